//! `slowleak demo`: a labelled five-month leak, made, scanned and judged.
//!
//! Everything is made in the staging folder and appears at once, so that the folder never holds the log of
//! one demo beside the report of another.

use std::fs;
use std::path::Path;

use indicatif::HumanCount;
use slowleak_detect::{Severity, quality};
use slowleak_record::{Mapping, TimeRange, Truth, discover};
use slowleak_report::{Run, summary};
use slowleak_rollup::Stored;
use slowleak_scan::Decoder;
use slowleak_synth::Scenario;

use crate::answer::{FindingAnswer, RunAnswer};
use crate::cli::Format;
use crate::commands::{evaluate, generate};
use crate::failure::{Completion, Failure};
use crate::outside::Outside;
use crate::pipeline::{self, Stopwatch};
use crate::refusal::refuse_foreign_results;
use crate::settings::{Demo, Input};
use crate::staging::{RESULTS, ROLLUP, Staging};
use crate::terminal::{Terminal, count};

/// The scenario, built in so that the demo needs no file.
const SCENARIO: &str = include_str!("../../../../datasets/five-month.toml");

/// Records from which the scenario's leak is large enough to be told from chance. Measured: with two seeds it
/// is found at 2 and 5 million, and missed at 1 million and below.
const TELLING_ROWS: u64 = 2_000_000;

pub(crate) fn run(settings: &Demo, terminal: &Terminal) -> Result<Completion, Failure> {
    let Demo { out, rows, seed, counting, judging, io } = settings;
    refuse_foreign_log(out)?;
    refuse_foreign_results(out, &RESULTS)?;
    let scenario =
        Scenario::parse(SCENARIO, "five-month.toml").map_err(|error| Failure::Failed(error.to_string()))?;
    let outside = Outside::read(judging)?;
    let staging = Staging::new(out)?;
    let mut watch = Stopwatch::start();
    let made = generate::make(&scenario, staging.path(), Some(*rows), *seed, terminal)?;
    watch.lap("generate");
    if terminal.format == Format::Text {
        terminal.summary(&generate::sentence(&made, out))?;
    }

    let logs = staging.path().join(generate::LOGS);
    let files = discover(&[&logs])?;
    let input = Input {
        paths: vec![logs],
        mapping: Mapping::native(),
        mapping_reason: "the demo's own",
        range: TimeRange::default(),
        io: *io,
        decoder: Decoder::default(),
    };
    let (counts, coverage) = pipeline::count_records(&files, &input, counting, &staging, terminal)?;
    watch.lap("count");
    let mut gather = pipeline::gather(&outside, judging);
    let written = pipeline::write_rollup(&staging, counts, &coverage, counting, |cells| gather.add(&cells))?;
    watch.lap("write rollup");
    let rollup = Stored::open(staging.path().join(ROLLUP))?;
    let (detection, matched) = pipeline::judge(gather, &written, &rollup, &outside, judging)?;
    watch.lap("detect");
    let inputs = [out.join(generate::LOGS).display().to_string()];
    let run = Run {
        title: "Demo: a five-month leak",
        inputs: &inputs,
        out: Some(out),
        registry: matched.as_ref(),
        ..Run::new(&detection, Some(&coverage))
    };
    pipeline::stage_report(&staging, &run)?;
    let coverage_json = pipeline::staged_coverage(&staging);
    let verdict = quality(&detection.findings, &made.truth, Severity::Medium);
    let note = too_few(made.rows, &made.truth);
    staging.commit(&[&RESULTS[..], &generate::MADE].concat())?;
    watch.lap("report");
    match terminal.format {
        Format::Text => {
            terminal.summary("\n")?;
            terminal.summary(&summary(&run, terminal.width, terminal.color))?;
            let truth = out.join(generate::TRUTH).display().to_string();
            let mut judged = note.map(|note| note + "\n").unwrap_or_default();
            // Without a leak in it there is nothing to judge.
            if !made.truth.leaks.is_empty() {
                judged += &evaluate::text(&verdict);
            }
            let report = out.join("report.html").display().to_string();
            terminal.summary(&format!("\nAgainst {truth}\n{judged}\nThe report is {report}"))?;
        }
        Format::Json => terminal.json(&RunAnswer {
            command: "demo",
            out,
            findings: Some(detection.findings.iter().map(FindingAnswer::from).collect()),
            coverage: coverage_json,
            quality: Some(verdict),
            note,
            seconds: watch.seconds,
        })?,
    }
    Ok(pipeline::complete(Some(&coverage), &detection.findings, Some(judging), out))
}

/// What to say of a log with too few records for the leak to be found in it.
fn too_few(rows: u64, truth: &Truth) -> Option<String> {
    if rows >= TELLING_ROWS {
        return None;
    }
    let records = count(rows, "record", "records");
    let touched = match truth.leaks.iter().map(|leak| leak.subjects).sum() {
        0 => "none of the leak fell into it".to_owned(),
        accounts => format!("all of the leak is {} in five months", count(accounts, "account", "accounts")),
    };
    let enough = HumanCount(TELLING_ROWS);
    Some(format!(
        "A log of {records} is too small to judge by: {touched}, which nobody could tell from chance. Make \
         {enough} records or more (--rows)."
    ))
}

/// Refuses to replace a log that no demo made: a demo's has a truth beside it and holds nothing but Parquet
/// files.
fn refuse_foreign_log(out: &Path) -> Result<(), Failure> {
    let (logs, truth) = (out.join(generate::LOGS), out.join(generate::TRUTH));
    let mut there = generate::MADE.iter().map(|name| out.join(name)).filter(|path| path.exists());
    let Some(first) = there.next() else { return Ok(()) };
    if logs.is_dir() && Truth::read(&truth).is_ok() && only_parquet(&logs) {
        return Ok(());
    }
    Err(Failure::at(
        &first,
        "would be replaced, but no demo made it",
        "choose another --out, or move it away",
    ))
}

fn only_parquet(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else { return false };
    entries.all(|entry| {
        entry.is_ok_and(|entry| {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => only_parquet(&path),
                Ok(kind) => {
                    kind.is_file() && path.extension().is_some_and(|extension| extension == "parquet")
                }
                Err(_) => false,
            }
        })
    })
}
