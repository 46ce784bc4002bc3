//! `slowleak generate`: a labelled log from a scenario.

use std::path::Path;

use serde::Serialize;
use slowleak_synth::{GenerateOptions, Generated, Scenario};

use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::settings::Generate;
use crate::staging::Staging;
use crate::terminal::{Terminal, count};

/// Folder of the log under `--out`.
pub(crate) const LOGS: &str = "logs";

/// Ground truth under `--out`.
pub(crate) const TRUTH: &str = "truth.json";

/// Everything that generating may write under `--out`.
pub(crate) const MADE: [&str; 4] = [LOGS, TRUTH, "keys.csv", "people.csv"];

#[derive(Serialize)]
struct Answer<'a> {
    command: &'static str,
    out: &'a Path,
    rows: u64,
}

pub(crate) fn run(settings: &Generate, terminal: &Terminal) -> Result<Completion, Failure> {
    let Generate { scenario, out, rows, seed } = settings;
    let scenario = Scenario::read(scenario).map_err(|error| Failure::Usage(error.to_string()))?;
    if let Some(old) = MADE.iter().map(|name| out.join(name)).find(|path| path.exists()) {
        return Err(Failure::at(
            &old,
            "is there already",
            "choose another --out, or remove the old log first",
        ));
    }
    let staging = Staging::new(out)?;
    let made = make(&scenario, staging.path(), *rows, *seed, terminal)?;
    staging.commit(&[])?;
    match terminal.format {
        Format::Text => terminal.summary(&sentence(&made, out))?,
        Format::Json => terminal.json(&Answer { command: "generate", out, rows: made.rows })?,
    }
    Ok(Completion::default())
}

/// Makes the log under `folder`, with progress.
pub(crate) fn make(
    scenario: &Scenario,
    folder: &Path,
    rows: Option<u64>,
    seed: Option<u64>,
    terminal: &Terminal,
) -> Result<Generated, Failure> {
    let progress = terminal.progress("making", rows.unwrap_or_else(|| scenario.rows()));
    let options = GenerateOptions { rows, seed };
    let made = scenario.generate(folder, &options, &|records| progress.add(records));
    made.map_err(|error| Failure::Failed(error.to_string()))
}

/// What was made, in words.
pub(crate) fn sentence(made: &Generated, out: &Path) -> String {
    let records = count(made.rows, "record", "records");
    format!(
        "{records} made under {}; {} tells the truth",
        out.join(LOGS).display(),
        out.join(TRUTH).display()
    )
}
