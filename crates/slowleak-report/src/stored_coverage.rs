//! `coverage.json` on its own: written where only stage 1 ran, and read back so that detection over a stored
//! rollup can say what was read to make it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use slowleak_detect::Detection;
use slowleak_record::{InputError, InputResult, Micros};
use slowleak_scan::{Coverage, RejectedFile, RowReason, Tally, ValueReason};

use crate::coverage::{row_reason, value_reason};
use crate::write::Stage;
use crate::{ReportError, Run, coverage};

const ROW_REASONS: [RowReason; 3] = [RowReason::NullTime, RowReason::UnreadableTime, RowReason::NoPrincipal];
const VALUE_REASONS: [ValueReason; 3] =
    [ValueReason::NegativeCount, ValueReason::NotANumber, ValueReason::UnknownStatus];

/// Writes `coverage.json` under `out` (made where it is missing), by rename; nothing was examined yet.
///
/// # Errors
/// The folder can not be made or written.
pub fn write_coverage(out: &Path, coverage: &Coverage) -> Result<(), ReportError> {
    let detection = Detection::default();
    let text = coverage::json(&Run::new(&detection, Some(coverage)))
        .map_err(|error| ReportError::Encode { path: out.join("coverage.json"), cause: error.to_string() })?;
    let mut stage = Stage::new(out)?;
    stage.add("coverage.json", text.as_bytes())?;
    stage.publish()
}

#[derive(Deserialize)]
struct Stored {
    files: Units,
    row_groups: Units,
    rows: Units,
    rejected: Vec<Rejected>,
    gaps: Vec<Stretch>,
    columns: Columns,
    time: Stretch,
    #[serde(default)]
    known: bool,
    #[serde(default)]
    rejected_rows: Vec<Count>,
    #[serde(default)]
    rejected_values: Vec<Count>,
}

#[derive(Deserialize)]
struct Units {
    read: u64,
    pruned: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    duplicate: u64,
}

#[derive(Deserialize)]
struct Rejected {
    path: String,
    reason: String,
}

#[derive(Deserialize)]
struct Stretch {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
struct Columns {
    missing: Vec<String>,
    #[serde(default)]
    partial: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Count {
    reason: String,
    count: u64,
}

/// Reads a `coverage.json` that this program wrote; `None` where there is no such file, or where it says
/// itself that the coverage is not known.
///
/// # Errors
/// The file can not be read, or is not of the contract's form.
pub fn read_coverage(path: &Path) -> InputResult<Option<Coverage>> {
    let broken = |cause: &dyn std::fmt::Display| {
        InputError::new(path, cause).remedy("run the rollup again, or remove the file to go without it")
    };
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| broken(&error))?,
    };
    let stored: Stored = serde_json::from_str(&text).map_err(|error| broken(&error))?;
    if !stored.known {
        return Ok(None);
    }
    let tally = |units: &Units| Tally { read: units.read, pruned: units.pruned, rejected: units.rejected };
    let stretch = |stretch: &Stretch| -> InputResult<Option<(Micros, Micros)>> {
        let time = |text: &Option<String>| {
            text.as_deref().map(str::parse::<Micros>).transpose().map_err(|error| broken(&error))
        };
        Ok(time(&stretch.start)?.zip(time(&stretch.end)?))
    };
    let mut gaps = Vec::with_capacity(stored.gaps.len());
    for gap in &stored.gaps {
        gaps.extend(stretch(gap)?);
    }
    Ok(Some(Coverage {
        files: tally(&stored.files),
        row_groups: tally(&stored.row_groups),
        rows: tally(&stored.rows),
        duplicate_rows: stored.rows.duplicate,
        rejected_files: stored
            .rejected
            .into_iter()
            .map(|file| RejectedFile { path: file.path, reason: file.reason })
            .collect(),
        rejected_rows: counts(&stored.rejected_rows, &ROW_REASONS, row_reason).map_err(|e| broken(&e))?,
        rejected_values: counts(&stored.rejected_values, &VALUE_REASONS, value_reason)
            .map_err(|e| broken(&e))?,
        missing_columns: stored.columns.missing,
        partial_columns: stored.columns.partial,
        time: stretch(&stored.time)?,
        gaps,
    }))
}

/// Whether `text` has the members that the contract asks of a `coverage.json`.
pub(crate) fn is_one(text: &str) -> bool {
    serde_json::from_str::<Stored>(text).is_ok()
}

/// Reasons back from their words.
fn counts<R: Copy>(
    stored: &[Count],
    reasons: &[R],
    word: fn(R) -> &'static str,
) -> Result<Vec<(R, u64)>, String> {
    let count = |count: &Count| {
        let reason = reasons.iter().copied().find(|reason| word(*reason) == count.reason);
        Ok((reason.ok_or_else(|| format!("unknown reason {:?}", count.reason))?, count.count))
    };
    stored.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_survives_the_file() {
        let coverage = Coverage {
            files: Tally { read: 3, pruned: 2, rejected: 1 },
            row_groups: Tally { read: 9, pruned: 8, rejected: 7 },
            rows: Tally { read: 1 << 40, pruned: 5, rejected: 6 },
            duplicate_rows: 4,
            rejected_files: vec![RejectedFile { path: "a\u{202e}b".into(), reason: "cut \"short\"".into() }],
            rejected_rows: ROW_REASONS.map(|reason| (reason, 2)).to_vec(),
            rejected_values: VALUE_REASONS.map(|reason| (reason, 3)).to_vec(),
            missing_columns: vec!["subject".into()],
            partial_columns: [("rows".to_owned(), 2), ("bytes".to_owned(), 1)].into(),
            time: Some((Micros(-1), Micros(1_750_000_000_123_456))),
            gaps: vec![(Micros(0), Micros(Micros::HOUR))],
        };
        let dir = tempfile::tempdir().unwrap();
        write_coverage(dir.path(), &coverage).unwrap();
        assert_eq!(read_coverage(&dir.path().join("coverage.json")).unwrap(), Some(coverage));
    }

    #[test]
    fn absence_is_no_error_and_damage_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coverage.json");
        assert_eq!(read_coverage(&path), Ok(None));
        std::fs::write(&path, "{\"files\":").unwrap();
        assert!(read_coverage(&path).unwrap_err().to_string().contains("coverage.json"));
    }
}
