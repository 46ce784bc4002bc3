//! The columns of a schema: type, the field that each maps to, and its share of nulls, from statistics where
//! all row groups have them, else from the sample.

use std::convert::Infallible;

use arrow::array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use serde::Serialize;
use slowleak_record::{Field, Mapping, guarded};

use super::Opened;

/// A column, or a folder name that stands in for one.
#[derive(Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Type as read, or `folder name`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The field of the access record that it holds.
    pub(crate) field: Option<&'static str>,
    /// Share of nulls, 0 to 1.
    pub(crate) nulls: Option<f64>,
    /// Where that share comes from: `statistics` or `sample`.
    pub(crate) nulls_from: Option<&'static str>,
}

/// The columns in file order, then the folder names in use.
pub(super) fn columns(
    members: &[Opened<'_>],
    mapping: &Mapping,
    sample: Option<&RecordBatch>,
) -> Vec<Column> {
    let Some(first) = members.first() else { return Vec::new() };
    let schema = first.metadata.schema();
    let names = || schema.fields().iter().map(|column| column.name().as_str());
    let mut fields: Vec<Option<&'static str>> = vec![None; schema.fields().len()];
    let mut folders = Vec::new();
    for field in Field::ALL {
        match mapping.find(field, names()) {
            Some(index) => {
                if let Some(slot) = fields.get_mut(index) {
                    *slot = Some(field.name());
                }
            }
            None => {
                // As the scan does: by the column's name first, then by the field's.
                let named = [mapping.column(field), field.name()];
                if let Some(name) = named.into_iter().find(|name| first.file.partition(name).is_some()) {
                    folders.push(Column {
                        name: name.to_owned(),
                        kind: "folder name".to_owned(),
                        field: Some(field.name()),
                        nulls: None,
                        nulls_from: None,
                    });
                }
            }
        }
    }
    let column = |(column, field): (&arrow::datatypes::FieldRef, Option<&'static str>)| {
        // Statistics are bytes of the file as well.
        let stated = guarded(|| Ok::<_, Infallible>(null_count(members, column.name()))).ok().flatten();
        let stated = stated.map(|share| (share, "statistics"));
        let nulls = stated.or_else(|| Some((sampled_nulls(sample?, column.name())?, "sample")));
        Column {
            name: column.name().clone(),
            kind: column.data_type().to_string(),
            field,
            nulls: nulls.map(|(share, _)| share),
            nulls_from: nulls.map(|(_, from)| from),
        }
    };
    schema.fields().iter().zip(fields).map(column).chain(folders).collect()
}

/// Share of nulls by the statistics; `None` where a row group states none, or there is no row.
fn null_count(members: &[Opened<'_>], column: &str) -> Option<f64> {
    let (mut nulls, mut rows) = (0_u64, 0_u64);
    for member in members {
        let metadata = member.metadata.metadata();
        let converter =
            StatisticsConverter::try_new(column, member.metadata.schema(), member.metadata.parquet_schema())
                .ok()?
                .with_missing_null_counts_as_zero(false);
        let counts = converter.row_group_null_counts(metadata.row_groups()).ok()?;
        for count in &counts {
            nulls += count?;
        }
        rows += super::rows(member);
    }
    (rows > 0).then(|| nulls as f64 / rows as f64)
}

fn sampled_nulls(sample: &RecordBatch, column: &str) -> Option<f64> {
    let values = sample.column_by_name(column)?;
    (!values.is_empty()).then(|| values.null_count() as f64 / values.len() as f64)
}
