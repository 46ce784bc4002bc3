//! What a night adds to `metrics.prom`, behind what every run writes: the one result that tells the time and how long things
//! took.

use std::fmt::Write as _;

use crate::leaks::{Change, Leak, Status};
use crate::night::News;

/// A night as it is measured.
#[derive(Debug)]
pub struct Measured<'a> {
    /// When it succeeded, seconds since 1970-01-01.
    pub success: f64,
    /// From the last record to the moment for which the night speaks, seconds.
    pub lag: Option<f64>,
    /// Wall time by stage, seconds.
    pub seconds: &'a [(&'static str, f64)],
    /// What was new.
    pub news: &'a News,
    /// Files that could not be read.
    pub rejected: usize,
    /// Segments of the rollup.
    pub segments: usize,
    /// What was announced.
    pub changes: &'a [Change<'a>],
    /// Everything known.
    pub leaks: &'a [Leak],
    /// Messages that have not been sent.
    pub outbox: usize,
}

/// The name of the moment of success, by which the next night finds it.
const SUCCESS: &str = "slowleak_nightly_last_success_timestamp_seconds";

/// The number of messages that wait, which changes after the page was written.
const OUTBOX: &str = "slowleak_nightly_outbox";

const STATUSES: [Status; 6] =
    [Status::New, Status::Ongoing, Status::Grown, Status::Ended, Status::Merged, Status::Withdrawn];

/// The lines of a night in the Prometheus text format.
pub fn prometheus(night: &Measured<'_>) -> String {
    let mut page = String::new();
    let mut family = |name: &str, help: &str, samples: Vec<(String, f64)>| {
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let _ = writeln!(page, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let label = |name: &str, value: &str| format!("{{{name}=\"{value}\"}}");
    family(SUCCESS, "When a night last brought something new.", one(night.success));
    if let Some(lag) = night.lag {
        family("slowleak_nightly_lag_seconds", "Age of the newest record then.", one(lag));
    }
    family("slowleak_nightly_records", "Records counted that night.", one(night.news.records as f64));
    let news = night.news;
    let files = [
        ("new", news.new.len()),
        ("replaced", news.replaced.len()),
        ("removed", news.removed.len() + news.rotated.len()),
        ("rejected", night.rejected),
    ];
    let files = files.map(|(what, count)| (label("what", what), count as f64)).to_vec();
    family("slowleak_nightly_files", "Input files by what became of them that night.", files);
    let days = [("late", news.late.len()), ("again", news.again.len())];
    let days = days.map(|(what, count)| (label("what", what), count as f64)).to_vec();
    family("slowleak_nightly_days", "Earlier days that got late records, or were counted again.", days);
    family("slowleak_nightly_segments", "Segments of the stored rollup.", one(night.segments as f64));
    let by_status = |count: &dyn Fn(Status) -> usize| {
        STATUSES.map(|status| (label("status", status.name()), count(status) as f64)).to_vec()
    };
    let changes = by_status(&|status| night.changes.iter().filter(|change| change.status == status).count());
    family("slowleak_nightly_changes", "Leaks announced that night, by what became of them.", changes);
    let leaks = by_status(&|status| night.leaks.iter().filter(|leak| leak.status == status).count());
    family("slowleak_nightly_leaks", "Leaks ever announced, by where they stand.", leaks);
    family(OUTBOX, "Messages that wait to be posted.", one(night.outbox as f64));
    let seconds = night.seconds.iter().map(|(stage, seconds)| (label("stage", stage), *seconds)).collect();
    family("slowleak_nightly_duration_seconds", "Wall time of the night by stage.", seconds);
    page
}

/// The page with another number of messages that wait.
pub fn with_outbox(page: &str, waiting: usize) -> String {
    let line = |line: &str| match line.strip_prefix(OUTBOX).is_some_and(|rest| rest.starts_with(' ')) {
        true => format!("{OUTBOX} {waiting}\n"),
        false => format!("{line}\n"),
    };
    page.lines().map(line).collect()
}

/// When the night that wrote this page succeeded.
pub fn last_success(page: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(SUCCESS)?.trim().parse().ok())
}
