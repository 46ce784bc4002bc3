//! `slowleak`: finds slow data leaks in access logs.
//!
//! The command line over the library crates, and thin: [`cli`] is what a user types, [`settings`] what that
//! means, `commands` one module a command, [`pipeline`] the stages that commands share, [`staging`] how
//! results come into a folder, [`terminal`] how it talks, [`failure`] how it ends. It counts and judges
//! nothing itself.

mod answer;
mod cli;
mod commands;
mod config;
mod failure;
mod inspect;
mod pipeline;
mod settings;
mod staging;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Completion, Failure, exit_code};
use crate::settings::Settings;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(&cli.common);
    let result = run(cli, terminal);
    if let Err(failure) = &result {
        terminal::tell(failure);
    }
    exit_code(&result)
}

fn run(cli: Cli, terminal: Terminal) -> Result<Completion, Failure> {
    let settings = Settings::new(cli)?;
    // 0 lets rayon take one thread a core.
    rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads.unwrap_or(0))
        .build_global()
        .map_err(|error| Failure::Failed(format!("worker threads: {error} (lower --threads)")))?;
    commands::run(settings.job, &terminal)
}
