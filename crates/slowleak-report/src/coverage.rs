//! `coverage.json`: what was read, what was not, and what was examined. The contract's members come first;
//! the others may be ignored by a reader that does not know them.

use std::collections::BTreeMap;

use serde::Serialize;
use slowleak_detect::{Detector, Suppressing};
use slowleak_record::{Matched, Micros};
use slowleak_scan::{Coverage, RowReason, Tally, ValueReason};

use crate::Run;
use crate::escape::json_text;

#[derive(Serialize)]
struct CoverageJson<'a> {
    files: Units,
    row_groups: Units,
    rows: Rows,
    rejected: Vec<Rejected>,
    gaps: Vec<Gap>,
    /// Stretches in which records are missing, of the log or of one key, user, object or source, as far as findings tell of
    /// them; those in which the log is empty are gaps, too.
    thinned: Vec<Thinned<'a>>,
    columns: Columns<'a>,
    time: Stretch,
    /// False where detection ran over a rollup whose making is not known: every count is then 0.
    known: bool,
    rejected_rows: Vec<Count>,
    rejected_values: Vec<Count>,
    scope: Vec<Examined>,
    /// Absent where the settings have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<Suppressed<'a>>,
    /// Absent where no registry was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<Registries>,
}

/// What suppressions hid.
#[derive(Serialize)]
struct Suppressed<'a> {
    findings: u64,
    by: Vec<Suppression<'a>>,
}

#[derive(Serialize)]
struct Suppression<'a> {
    patterns: BTreeMap<&'static str, &'a str>,
    reason: &'a str,
    owner: &'a str,
    expires: String,
    /// Then it hid nothing, and `findings` are those that it would have hidden.
    expired: bool,
    findings: u64,
}

impl<'a> From<&'a Suppressing> for Suppression<'a> {
    fn from(one: &'a Suppressing) -> Self {
        let given = one.suppression.patterns.given();
        Self {
            patterns: given.into_iter().map(|(name, pattern)| (name, pattern.text())).collect(),
            reason: &one.suppression.reason,
            owner: &one.suppression.owner,
            expires: one.suppression.expires.to_string(),
            expired: one.expired,
            findings: one.findings,
        }
    }
}

#[derive(Serialize)]
struct Registries {
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Listed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Listed>,
}

/// Rows of a registry, and those whose id is in the log.
#[derive(Serialize)]
struct Listed {
    listed: u64,
    in_log: u64,
}

impl From<&Matched> for Listed {
    fn from(matched: &Matched) -> Self {
        Self { listed: matched.listed, in_log: matched.in_log }
    }
}

#[derive(Serialize)]
struct Units {
    read: u64,
    pruned: u64,
    rejected: u64,
}

#[derive(Serialize)]
struct Rows {
    read: u64,
    pruned: u64,
    rejected: u64,
    duplicate: u64,
}

#[derive(Serialize)]
struct Rejected {
    path: String,
    reason: String,
}

#[derive(Serialize)]
struct Stretch {
    start: Option<String>,
    end: Option<String>,
}

/// A stretch without a single record.
#[derive(Serialize)]
struct Gap {
    start: String,
    end: String,
    hours: i64,
}

/// A stretch with fewer records than expected.
#[derive(Serialize)]
struct Thinned<'a> {
    finding_id: &'a str,
    severity: &'static str,
    dimension: String,
    entity: &'a str,
    start: String,
    end: String,
    hours: i64,
    observed: f64,
    expected: f64,
}

fn hours(start: Micros, end: Micros) -> i64 {
    end.0.saturating_sub(start.0) / Micros::HOUR
}

#[derive(Serialize)]
struct Columns<'a> {
    missing: &'a [String],
    /// Field to the number of files read that lack it, where others have it.
    partial: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct Count {
    reason: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Examined {
    dimension: String,
    metric: &'static str,
    entities: u64,
    tested: u64,
    tail_scale: Option<f64>,
}

/// The content of `coverage.json`, with a newline at its end.
pub(crate) fn json(run: &Run<'_>) -> Result<String, serde_json::Error> {
    let unknown = slowleak_scan::Coverage::default();
    let coverage = run.coverage.unwrap_or(&unknown);
    let units = |tally: Tally| Units { read: tally.read, pruned: tally.pruned, rejected: tally.rejected };
    let stretch = |(start, end): (Micros, Micros)| Stretch {
        start: Some(start.to_string()),
        end: Some(end.to_string()),
    };
    let content = CoverageJson {
        files: units(coverage.files),
        row_groups: units(coverage.row_groups),
        rows: Rows {
            read: coverage.rows.read,
            pruned: coverage.rows.pruned,
            rejected: coverage.rows.rejected,
            duplicate: coverage.duplicate_rows,
        },
        rejected: coverage
            .rejected_files
            .iter()
            .map(|file| Rejected { path: file.path.clone(), reason: file.reason.clone() })
            .collect(),
        gaps: coverage
            .gaps
            .iter()
            .map(|&(start, end)| Gap {
                start: start.to_string(),
                end: end.to_string(),
                hours: hours(start, end),
            })
            .collect(),
        thinned: run
            .detection
            .findings
            .iter()
            .filter(|finding| finding.detector == Detector::LogGap)
            .map(|finding| Thinned {
                finding_id: &finding.id,
                severity: finding.severity.name(),
                dimension: finding.dimension.to_string(),
                entity: &finding.entity,
                start: finding.start.to_string(),
                end: finding.end.to_string(),
                hours: hours(finding.start, finding.end),
                observed: finding.observed,
                expected: finding.expected,
            })
            .collect(),
        columns: Columns { missing: &coverage.missing_columns, partial: &coverage.partial_columns },
        time: coverage.time.map_or(Stretch { start: None, end: None }, stretch),
        known: run.coverage.is_some(),
        rejected_rows: coverage
            .rejected_rows
            .iter()
            .map(|&(reason, count)| Count { reason: row_reason(reason), count })
            .collect(),
        rejected_values: coverage
            .rejected_values
            .iter()
            .map(|&(reason, count)| Count { reason: value_reason(reason), count })
            .collect(),
        scope: run
            .detection
            .scope
            .families
            .iter()
            .map(|family| Examined {
                dimension: family.dimension.to_string(),
                metric: family.metric.name(),
                entities: family.entities,
                tested: family.tested,
                tail_scale: family.tail_scale,
            })
            .collect(),
        suppressed: (!run.detection.suppressions.is_empty()).then(|| Suppressed {
            findings: run.detection.suppressed(),
            by: run.detection.suppressions.iter().map(Suppression::from).collect(),
        }),
        registry: run.registry.map(|registry| Registries {
            keys: registry.keys.as_ref().map(Listed::from),
            people: registry.people.as_ref().map(Listed::from),
        }),
    };
    let mut text = json_text(&content, true)?;
    text.push('\n');
    Ok(text)
}

/// Why rows were rejected, with how many: by reason, then those that fell with their file.
pub fn rejected_rows(coverage: &Coverage) -> Vec<(u64, &'static str)> {
    let told: u64 = coverage.rejected_rows.iter().map(|(_, count)| count).sum();
    let with_file = (coverage.rows.rejected.saturating_sub(told), "in rejected files");
    let told = coverage.rejected_rows.iter().map(|&(reason, count)| (count, row_reason(reason)));
    told.chain([with_file]).filter(|(count, _)| *count > 0).collect()
}

/// Why values were left out of rows that count, with how many, by reason.
pub fn rejected_values(coverage: &Coverage) -> Vec<(u64, &'static str)> {
    coverage.rejected_values.iter().map(|&(reason, count)| (count, value_reason(reason))).collect()
}

/// The word for why a row was left out.
pub(crate) fn row_reason(reason: RowReason) -> &'static str {
    match reason {
        RowReason::NullTime => "time is null",
        RowReason::UnreadableTime => "time can not be read",
        RowReason::NoPrincipal => "neither key nor user is given",
    }
}

/// The word for why a value was left out.
pub(crate) fn value_reason(reason: ValueReason) -> &'static str {
    match reason {
        ValueReason::NegativeCount => "rows or bytes below zero",
        ValueReason::NotANumber => "rows or bytes that is no whole number",
        ValueReason::UnknownStatus => "unknown status, counted as error",
    }
}
