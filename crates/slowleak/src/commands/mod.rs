//! One module a command: each takes its checked settings and the terminal, and says how it ended.

mod demo;
mod detect;
mod evaluate;
mod explain;
mod generate;
mod inspect;
mod nightly;
mod replay;
mod rollup;
mod scan;

use crate::failure::{Completion, Failure};
use crate::settings::Job;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(job: Job, terminal: &Terminal) -> Result<Completion, Failure> {
    match job {
        Job::Demo(demo) => demo::run(&demo, terminal),
        Job::Generate(generate) => generate::run(&generate, terminal),
        Job::Inspect(input) => inspect::run(&input, terminal),
        Job::Scan(scan) => scan::run(&scan, terminal),
        Job::Rollup(rollup) => rollup::run(&rollup, terminal),
        Job::Detect(detect) => detect::run(&detect, terminal),
        Job::Nightly(nightly) => nightly::run(&nightly, terminal),
        Job::Replay(replay) => replay::run(&replay, terminal),
        Job::Explain(explain) => explain::run(&explain, terminal),
        Job::Evaluate(evaluate) => evaluate::run(&evaluate, terminal),
    }
}
