//! What nights would have told, for machines and people. In: leaks with the nights of their first reports. Out:
//! `replay.parquet`, one row a leak, `replay.svg`, and a table for the terminal.

mod picture;
mod table;
mod terminal;

use std::path::Path;

use slowleak_detect::{Finding, Severity};
use slowleak_record::Micros;
use xxhash_rust::xxh3::xxh3_128;

use crate::ReportError;
use crate::write::{Stage, parquet_bytes};

pub use terminal::replay_summary;

const REPLAY: &str = "replay.parquet";
const PICTURE: &str = "replay.svg";

/// A leak that nights told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// Name of the settings that it was told under.
    pub settings: String,
    /// Its finding on the last night that had one.
    pub finding: Finding,
    /// The id under which it was told first, which stays.
    pub told_id: String,
    /// Where it stands after the last night, in the words of `changes.jsonl`.
    pub status: &'static str,
    /// The leak that it became a part of.
    pub merged_into: Option<String>,
    /// The night of the first report.
    pub first_reported: Micros,
    /// Whether that was the first night that was lived: an earlier one might have told it before.
    pub at_first_night: bool,
    /// Its phases, in the order of time; one of a leak that keeps to one place.
    pub phases: Vec<ReplayedPhase>,
    /// The severity that was told then.
    pub first_severity: Severity,
    /// Nights on which it was among the findings.
    pub nights: u32,
    /// Whether it was on the last one.
    pub stands: bool,
    /// Estimated distinct subjects that its entity had touched in its interval by the first report, of
    /// [`Finding::subjects`]; where these are known.
    pub subjects_by_then: Option<f64>,
    /// The least that was taken, as it was told at the first report; see [`Finding::taken`].
    pub taken_by_then: f64,
}

/// A phase of a leak that nights told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayedPhase {
    /// As the last night knows it.
    pub start: Micros,
    /// Exclusive.
    pub end: Micros,
    /// The first night that told of it.
    pub first_reported: Micros,
}

impl ReplayedPhase {
    /// From its start to its first report.
    pub fn delay_hours(&self) -> f64 {
        hours(self.start, self.first_reported)
    }
}

fn hours(from: Micros, to: Micros) -> f64 {
    to.0.saturating_sub(from.0) as f64 / Micros::HOUR as f64
}

impl Replayed {
    /// From the start of the leak, as it is known at last, to its first report.
    pub fn delay_hours(&self) -> f64 {
        hours(self.finding.start, self.first_reported)
    }

    /// Subjects touched after the first report: those that an answer to it would have saved.
    pub fn subjects_after(&self) -> Option<f64> {
        let all = self.finding.subjects?;
        self.subjects_by_then.map(|by_then| (all - by_then).max(0.0))
    }
}

/// Writes `replay.parquet` and `replay.svg` into the folder `out`; the picture's time ends at `until`, the last night. The
/// bytes depend on the rows and that night alone.
///
/// # Errors
/// The folder can not be written.
pub fn write_replay(out: &Path, rows: &[Replayed], until: Micros) -> Result<(), ReportError> {
    let encode = |name: &str, cause: &dyn std::fmt::Display| ReportError::Encode {
        path: out.join(name),
        cause: cause.to_string(),
    };
    let batch = table::batch(rows).map_err(|error| encode(REPLAY, &error))?;
    let digest = format!("{:032x}", xxh3_128(format!("{rows:?}").as_bytes()));
    let bytes = parquet_bytes(&batch, &digest).map_err(|error| encode(REPLAY, &error))?;
    let picture = picture::svg(rows, until).map_err(|error| encode(PICTURE, &error))?;
    let mut stage = Stage::new(out)?;
    stage.add(REPLAY, &bytes)?;
    stage.add(PICTURE, picture.as_bytes())?;
    stage.publish()
}
