//! `replay.parquet`: what the replay adds, and the columns of `findings.parquet`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use slowleak_detect::Finding;

use super::{Replayed, ReplayedPhase};
use crate::tables;

/// The rows.
pub(super) fn batch(rows: &[Replayed]) -> Result<RecordBatch, ArrowError> {
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
        ("phases", phases(rows)?, false),
        ("first_severity", text(|row| Some(row.first_severity.name())), false),
        ("told_id", text(|row| Some(&row.told_id)), false),
        ("nights", Arc::new(Int32Array::from_iter_values(nights)), false),
        (
            "at_first_night",
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.at_first_night)))),
            false,
        ),
        ("stands", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.stands)))), false),
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

/// A list for each row: the phases with their first reports.
fn phases(rows: &[Replayed]) -> Result<ArrayRef, ArrowError> {
    let all: Vec<ReplayedPhase> = rows.iter().flat_map(|row| row.phases.iter().copied()).collect();
    let delays = Float64Array::from_iter_values(all.iter().map(ReplayedPhase::delay_hours));
    let columns: [(&str, ArrayRef); 4] = [
        ("start", tables::time(all.iter().map(|phase| phase.start))),
        ("end", tables::time(all.iter().map(|phase| phase.end))),
        ("first_reported", tables::time(all.iter().map(|phase| phase.first_reported))),
        ("delay_hours", Arc::new(delays)),
    ];
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), false), array))
        .unzip();
    let structs = StructArray::try_new(fields.into(), arrays, None)?;
    let item = Arc::new(Field::new("item", structs.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.phases.len()));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(structs), None)?))
}
