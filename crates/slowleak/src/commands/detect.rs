//! `slowleak detect`: stage 2 alone, over a rollup of this or any other origin.

use std::path::{Path, PathBuf};

use slowleak_report::{Run, read_coverage, summary};
use slowleak_rollup::Stored;

use crate::answer::{FindingAnswer, RunAnswer};
use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::outside::Outside;
use crate::pipeline::{self, Stopwatch};
use crate::refusal::refuse_foreign_results;
use crate::settings::Detect;
use crate::staging::{RESULTS, ROLLUP, Staging};
use crate::terminal::Terminal;

pub(crate) fn run(settings: &Detect, terminal: &Terminal) -> Result<Completion, Failure> {
    let Detect { rollup: named, out, judging } = settings;
    let folder = folder(named)?;
    refuse_other_rollup(&folder, out)?;
    let replaced: Vec<&str> = RESULTS.into_iter().filter(|name| *name != ROLLUP).collect();
    refuse_foreign_results(out, &replaced)?;
    let outside = Outside::read(judging)?;
    let staging = Staging::new(out)?;
    let mut watch = Stopwatch::start();
    let mut gather = pipeline::gather(&outside, judging);
    let rollup = Stored::open(&folder)?;
    rollup.gather(&mut gather)?;
    // What the run that made the rollup said of its input; a rollup made by hand has no such account.
    let account = folder.parent().map(|parent| read_coverage(&parent.join("coverage.json")));
    let coverage = account.transpose()?.flatten();
    watch.lap("read rollup");
    let (detection, matched) = pipeline::judge(gather, &[], &rollup, &outside, judging)?;
    watch.lap("detect");
    let run = Run { out: Some(out), registry: matched.as_ref(), ..Run::new(&detection, coverage.as_ref()) };
    pipeline::stage_report(&staging, &run)?;
    let coverage_json = pipeline::staged_coverage(&staging);
    staging.commit(&replaced)?;
    watch.lap("report");
    match terminal.format {
        Format::Text => terminal.summary(&summary(&run, terminal.width, terminal.color))?,
        Format::Json => terminal.json(&RunAnswer {
            command: "detect",
            out,
            findings: Some(detection.findings.iter().map(FindingAnswer::from).collect()),
            coverage: coverage_json,
            quality: None,
            note: None,
            seconds: watch.seconds,
        })?,
    }
    // Whether the rollup's input was whole was the business of the run that made it.
    Ok(pipeline::complete(None, &detection.findings, Some(judging), out))
}

/// The rollup's folder, whether it was named itself or by the `--out` that holds it.
fn folder(named: &Path) -> Result<PathBuf, Failure> {
    if !named.is_dir() {
        let cause = if named.exists() { "is not a folder" } else { "no such folder" };
        return Err(Failure::at(named, cause, "name the rollup folder of an earlier run"));
    }
    let inner = named.join(ROLLUP);
    Ok(if inner.is_dir() { inner } else { named.to_path_buf() })
}

/// Findings of one rollup beside another would look like one run.
fn refuse_other_rollup(folder: &Path, out: &Path) -> Result<(), Failure> {
    let beside = out.join(ROLLUP);
    let same = match (beside.canonicalize(), folder.canonicalize()) {
        (Ok(beside), Ok(folder)) => beside == folder,
        _ => true,
    };
    if same {
        return Ok(());
    }
    Err(Failure::at(&beside, "is the rollup of another run", "choose another --out, or remove it"))
}
