//! `slowleak rollup`: stage 1 alone.

use slowleak_record::discover;
use slowleak_rollup::Written;

use crate::answer::RunAnswer;
use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::pipeline::{self, Stopwatch};
use crate::refusal::{refuse_foreign_results, refuse_out_among_logs, refuse_overlap};
use crate::settings::Rollup;
use crate::staging::{RESULTS, ROLLUP, Staging};
use crate::terminal::{Terminal, count};

pub(crate) fn run(settings: &Rollup, terminal: &Terminal) -> Result<Completion, Failure> {
    let Rollup { input, out, counting } = settings;
    let files = discover(&input.paths)?;
    refuse_out_among_logs(&input.paths, out)?;
    refuse_overlap(&files, out)?;
    refuse_foreign_results(out, &RESULTS)?;
    let staging = Staging::new(out)?;
    let mut watch = Stopwatch::start();
    let (counts, coverage) = pipeline::count_records(&files, input, counting, &staging, terminal)?;
    watch.lap("count");
    let written = pipeline::write_rollup(&staging, counts, &coverage, counting, drop)?;
    let coverage_json = pipeline::staged_coverage(&staging);
    // Findings of an earlier run are not of this rollup.
    staging.commit(&RESULTS)?;
    watch.lap("write rollup");
    match terminal.format {
        Format::Text => {
            let mut text = format!(
                "{} from {} counted into {}:\n",
                count(coverage.rows.read, "record", "records"),
                count(coverage.files.read, "file", "files"),
                out.join(ROLLUP).display()
            );
            for Written { view, entities, cells } in &written {
                text.push_str(&format!(
                    "  {view}: {} of {}\n",
                    count(*cells, "cell", "cells"),
                    count(*entities, "entity", "entities"),
                ));
            }
            terminal.summary(&text)?;
        }
        Format::Json => terminal.json(&RunAnswer {
            command: "rollup",
            out,
            findings: None,
            coverage: coverage_json,
            quality: None,
            note: None,
            seconds: watch.seconds,
        })?,
    }
    Ok(pipeline::complete(Some(&coverage), &[], None, out))
}
