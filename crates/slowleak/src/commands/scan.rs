//! `slowleak scan`: count, detect and report in one run.

use std::path::PathBuf;

use slowleak_record::discover;
use slowleak_report::{Run, summary};
use slowleak_rollup::Stored;

use crate::answer::{FindingAnswer, RunAnswer};
use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::outside::Outside;
use crate::pipeline::{self, Stopwatch};
use crate::refusal::{refuse_foreign_results, refuse_out_among_logs, refuse_overlap};
use crate::settings::Scan;
use crate::staging::{RESULTS, ROLLUP, Staging};
use crate::terminal::Terminal;

pub(crate) fn run(settings: &Scan, terminal: &Terminal) -> Result<Completion, Failure> {
    let Scan { input, out, counting, judging } = settings;
    let files = discover(&input.paths)?;
    refuse_out_among_logs(&input.paths, out)?;
    refuse_overlap(&files, out)?;
    refuse_foreign_results(out, &RESULTS)?;
    let outside = Outside::read(judging)?;
    let counting = &outside.counting(counting);
    let staging = Staging::new(out)?;
    let mut watch = Stopwatch::start();
    let (counts, coverage) = pipeline::count_records(&files, input, counting, &staging, terminal)?;
    watch.lap("count");
    let mut gather = pipeline::gather(&outside, judging);
    let written = pipeline::write_rollup(&staging, counts, &coverage, counting, |cells| gather.add(&cells))?;
    watch.lap("write rollup");
    let rollup = Stored::open(staging.path().join(ROLLUP))?;
    let (detection, matched) = pipeline::judge(gather, &written, &rollup, &outside, judging)?;
    watch.lap("detect");
    let inputs = names(&input.paths);
    let run = Run {
        inputs: &inputs,
        out: Some(out),
        registry: matched.as_ref(),
        ..Run::new(&detection, Some(&coverage))
    };
    pipeline::stage_report(&staging, &run)?;
    let coverage_json = pipeline::staged_coverage(&staging);
    staging.commit(&RESULTS)?;
    watch.lap("report");
    match terminal.format {
        Format::Text => terminal.summary(&summary(&run, terminal.width, terminal.color))?,
        Format::Json => terminal.json(&RunAnswer {
            command: "scan",
            out,
            findings: Some(detection.findings.iter().map(FindingAnswer::from).collect()),
            coverage: coverage_json,
            quality: None,
            note: None,
            seconds: watch.seconds,
        })?,
    }
    Ok(pipeline::complete(Some(&coverage), &detection.findings, Some(judging), out))
}

/// The paths as typed, for the advice in the report; in an order that arguments do not decide.
pub(crate) fn names(paths: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.sort();
    names.dedup();
    names
}
