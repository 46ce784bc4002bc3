//! `slowleak`: finds slow data leaks in access logs.
//!
//! The command line over the library crates, and thin: [`cli`] is what a user types, [`settings`] what that
//! means, `commands` one module a command, [`pipeline`] the stages that commands share, [`staging`] how
//! results come into a folder, [`refusal`] what they must not replace, [`terminal`] how it talks, [`failure`]
//! how it ends. It counts and judges nothing itself.

mod answer;
mod cli;
mod commands;
mod config;
mod failure;
mod inspect;
mod outside;
mod pipeline;
mod refusal;
mod settings;
mod staging;
mod suppressions;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Completion, Failure, exit_code};
use crate::settings::Settings;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    // A panic over damaged bytes is told once, as an error with its file.
    let tell_panic = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !slowleak_record::is_guarded() {
            tell_panic(panic);
        }
    }));
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
    if let Some(fewer) = &settings.fewer {
        terminal::warn(fewer);
    }
    // 0 lets rayon take one thread a core.
    rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads.unwrap_or(0))
        .build_global()
        .map_err(|error| Failure::Failed(format!("worker threads: {error} (lower --threads)")))?;
    commands::run(settings.job, &terminal)
}
