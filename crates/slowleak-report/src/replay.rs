//! What nights would have told, for machines and people. In: leaks with the night of their first report. Out:
//! `replay.parquet`, one row a leak, and a table for the terminal.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use slowleak_detect::{Finding, Severity};
use slowleak_record::Micros;
use xxhash_rust::xxh3::xxh3_128;

use crate::escape::{brief, visible};
use crate::layout::{Sheet, severity_style};
use crate::write::{Stage, parquet_bytes};
use crate::{ReportError, tables, words};

const REPLAY: &str = "replay.parquet";

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
    /// The severity that was told then.
    pub first_severity: Severity,
    /// Nights on which it was among the findings.
    pub nights: u32,
    /// Estimated distinct subjects that its entity had touched in its interval by the first report, of
    /// [`Finding::subjects`]; where these are known.
    pub subjects_by_then: Option<f64>,
    /// The least that was taken, as it was told at the first report; see [`Finding::taken`].
    pub taken_by_then: f64,
}

impl Replayed {
    /// From the start of the leak, as it is known at last, to its first report.
    pub fn delay_hours(&self) -> f64 {
        self.first_reported.0.saturating_sub(self.finding.start.0) as f64 / Micros::HOUR as f64
    }

    /// Subjects touched after the first report: those that an answer to it would have saved.
    pub fn subjects_after(&self) -> Option<f64> {
        let all = self.finding.subjects?;
        self.subjects_by_then.map(|by_then| (all - by_then).max(0.0))
    }

    /// Whether it is still among the findings after the last night.
    pub fn stands(&self) -> bool {
        !["withdrawn", "merged"].contains(&self.status)
    }
}

/// The rows of `replay.parquet`: what the replay adds, and the columns of `findings.parquet`.
fn table(rows: &[Replayed]) -> Result<RecordBatch, ArrowError> {
    let findings: Vec<Finding> = rows.iter().map(|row| row.finding.clone()).collect();
    let findings = tables::findings(&findings)?;
    let text = |of: fn(&Replayed) -> Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(of)))
    };
    let float = |of: fn(&Replayed) -> Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(rows.iter().map(of)))
    };
    let nights = rows.iter().map(|row| i32::try_from(row.nights).unwrap_or(i32::MAX));
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("first_reported", tables::time(rows.iter().map(|row| row.first_reported)), false),
        ("delay_hours", float(|row| Some(row.delay_hours())), false),
        ("subjects_by_then", float(|row| row.subjects_by_then), true),
        ("subjects_after", float(Replayed::subjects_after), true),
        ("taken_by_then", float(|row| Some(row.taken_by_then)), false),
        ("first_severity", text(|row| Some(row.first_severity.name())), false),
        ("told_id", text(|row| Some(&row.told_id)), false),
        ("nights", Arc::new(Int32Array::from_iter_values(nights)), false),
        ("status", text(|row| Some(row.status)), false),
        ("merged_into", text(|row| row.merged_into.as_deref()), true),
        ("settings", text(|row| Some(&row.settings)), false),
    ];
    // The contract begins with the id and the start.
    for (place, name) in ["finding_id", "start"].into_iter().enumerate() {
        if let Some(column) = findings.column_by_name(name) {
            columns.insert(place, (name, Arc::clone(column), false));
        }
    }
    let schema = findings.schema();
    for (field, column) in schema.fields().iter().zip(findings.columns()) {
        if !["finding_id", "start"].contains(&field.name().as_str()) {
            columns.push((field.name(), Arc::clone(column), field.is_nullable()));
        }
    }
    RecordBatch::try_from_iter_with_nullable(columns)
}

/// Writes `replay.parquet` into the folder `out`. The bytes depend on the rows alone.
///
/// # Errors
/// The folder can not be written.
pub fn write_replay(out: &Path, rows: &[Replayed]) -> Result<(), ReportError> {
    let encode = |cause: &dyn std::fmt::Display| ReportError::Encode {
        path: out.join(REPLAY),
        cause: cause.to_string(),
    };
    let batch = table(rows).map_err(|error| encode(&error))?;
    let digest = format!("{:032x}", xxh3_128(format!("{rows:?}").as_bytes()));
    let bytes = parquet_bytes(&batch, &digest).map_err(|error| encode(&error))?;
    let mut stage = Stage::new(out)?;
    stage.add(REPLAY, &bytes)?;
    stage.publish()
}

/// What the nights under one name of settings told, as text that fits `width` columns: `lead` in bold, then a table.
pub fn replay_summary(lead: &str, rows: &[Replayed], width: usize, color: bool) -> String {
    let mut sheet = Sheet::new(width, color);
    sheet.heading(&visible(lead));
    if rows.is_empty() {
        sheet.paragraph(
            0,
            "",
            "Nothing was told: on no night did a leak stand out in what could be examined.",
        );
        return sheet.finish();
    }
    let accounts = |number: Option<f64>| number.map_or("-".to_owned(), |n| format!("~{}", words::about(n)));
    let header =
        ["severity", "who", "began", "first reported", "delay", "accounts by then", "after", "nights"];
    let line = |row: &Replayed| {
        let finding = &row.finding;
        let mut who = words::who(&finding.dimension, &finding.entity, |part| brief(part, 40));
        who.push_str(&format!("\n{}", row.told_id));
        if !row.stands() {
            let into = row.merged_into.as_ref().map(|id| format!(" into {id}")).unwrap_or_default();
            who.push_str(&format!(", {}{into}", row.status));
        }
        vec![
            finding.severity.name().to_owned(),
            who,
            words::day(finding.start),
            words::day(row.first_reported),
            words::duration(finding.start, row.first_reported.max(finding.start)),
            accounts(row.subjects_by_then),
            accounts(row.subjects_after()),
            row.nights.to_string(),
        ]
    };
    let (standing, gone): (Vec<&Replayed>, Vec<&Replayed>) = rows.iter().partition(|row| row.stands());
    let lines: Vec<Vec<String>> = standing.into_iter().chain(gone).map(line).collect();
    sheet.table(0, &header, &[5, 6, 7], &lines, |line| {
        line.split_whitespace().next()?.parse().ok().map(severity_style)
    });

    sheet.finish()
}
