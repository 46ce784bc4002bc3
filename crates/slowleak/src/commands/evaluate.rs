//! `slowleak evaluate`: a run's findings against the truth of a labelled log.

use std::fmt::Write as _;

use slowleak_detect::{EVENT_IOU, LeakOutcome, Quality, quality};
use slowleak_record::Truth;
use slowleak_report::{read_findings, visible};

use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::settings::Evaluate;
use crate::terminal::Terminal;

/// False findings listed before "and N more".
const LISTED: usize = 20;

pub(crate) fn run(settings: &Evaluate, terminal: &Terminal) -> Result<Completion, Failure> {
    let findings = read_findings(&settings.out)?;
    let truth = Truth::read(&settings.truth).map_err(|error| Failure::Failed(error.to_string()))?;
    let quality = quality(&findings, &truth, settings.min_severity);
    match terminal.format {
        Format::Text => terminal.answer(&text(&quality))?,
        Format::Json => terminal.json(&quality)?,
    }
    Ok(Completion::default())
}

/// The verdict in words; also the end of the demo.
pub(crate) fn text(quality: &Quality) -> String {
    let mut out = String::new();
    // Writing to a string can not fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    if quality.leaks.is_empty() {
        line("The truth has no leak: any finding would be false.".to_owned());
    }
    for leak in &quality.leaks {
        for text in leak_lines(leak) {
            line(text);
        }
    }
    let reported = match quality.false_findings.len() {
        0 => "No false finding.".to_owned(),
        false_findings => {
            let severities = quality.false_by_severity.iter();
            let severities: Vec<String> =
                severities.map(|count| format!("{} {}", count.findings, count.severity)).collect();
            format!("False findings: {false_findings} ({}).", severities.join(", "))
        }
    };
    line(reported);
    for finding in quality.false_findings.iter().take(LISTED) {
        let (rank, severity, named) = (finding.rank, finding.severity, visible(&finding.named));
        line(format!("  rank {rank} {severity} {named} ({})", visible(&finding.finding_id)));
    }
    if quality.false_findings.len() > LISTED {
        line(format!("  and {} more (--format json lists them)", quality.false_findings.len() - LISTED));
    }
    line(format!(
        "Recall {}, precision {}; as events with IoU of {EVENT_IOU} and more: recall {}, precision {}; mean IoU {}.",
        figure(quality.recall),
        figure(quality.precision),
        figure(quality.event_recall),
        figure(quality.event_precision),
        figure(quality.mean_iou),
    ));
    out
}

fn leak_lines(leak: &LeakOutcome) -> Vec<String> {
    let what = format!("{}: {} {}", visible(&leak.scenario), leak.dimension, visible(&leak.entity));
    let Some(found) = &leak.found else {
        return vec![format!("MISSED {what}, {} to {}, {} subjects", leak.start, leak.end, leak.subjects)];
    };
    let subjects = match (found.subjects_estimated, found.subjects_ratio) {
        (Some(estimate), Some(ratio)) => {
            format!(
                "{estimate:.0} subjects estimated, {} true ({:+.1}%)",
                leak.subjects,
                (ratio - 1.0) * 100.0
            )
        }
        _ => format!("subjects not estimated, {} true", leak.subjects),
    };
    let mut lines = vec![
        format!(
            "FOUND  {what}, as {} at rank {}, severity {}",
            visible(&found.named),
            found.rank,
            found.severity
        ),
        format!(
            "       interval overlap (IoU) {:.4}, start {:+.1} h, end {:+.1} h; {subjects}",
            found.iou, found.start_error_hours, found.end_error_hours
        ),
    ];
    if !leak.duplicates.is_empty() {
        let ids: Vec<_> = leak.duplicates.iter().map(|id| visible(id)).collect();
        lines.push(format!("       found again by {}", ids.join(", ")));
    }
    lines
}

fn figure(share: Option<f64>) -> String {
    share.map_or_else(|| "n/a".to_owned(), |share| format!("{share:.3}"))
}
