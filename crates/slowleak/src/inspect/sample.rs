//! One sample a schema: the first rows of its first file that has any.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use slowleak_record::guarded;

use super::{Opened, columns::Column, rows, times::micros};

/// Rows in a sample.
pub(super) const SAMPLE_ROWS: usize = 8192;

/// Records shown.
const SHOWN: usize = 5;

/// Longest value shown, in characters.
const SHOWN_CHARS: usize = 80;

/// Reads the sample; `None` where no file has a row that can be decoded.
pub(super) fn read(members: &[Opened<'_>]) -> Option<RecordBatch> {
    let member = members.iter().find(|member| rows(member) > 0)?;
    let decode = || {
        let file = File::open(&member.file.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, member.metadata.clone());
        let mut reader = builder.with_batch_size(SAMPLE_ROWS).with_limit(SAMPLE_ROWS).build()?;
        Ok::<_, ParquetError>(reader.next().transpose()?)
    };
    // Damaged pages: the survey goes on without a sample.
    guarded(decode).ok()?
}

/// The first records of the sample by field; a field that comes from a folder name is left out.
pub(super) fn records(
    sample: Option<&RecordBatch>,
    columns: &[Column],
) -> Vec<BTreeMap<&'static str, Option<String>>> {
    let Some(sample) = sample else { return Vec::new() };
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
    let mapped = columns.iter().filter_map(|column| {
        let values = sample.column_by_name(&column.name)?;
        // Named time zones need a database that is not built in; all instants are shown in UTC.
        let values =
            micros(values).map_or_else(|| values.clone(), |times| Arc::new(times.with_timezone("+00:00")));
        Some((column.field?, values))
    });
    let mapped: Vec<(&'static str, ArrayRef)> = mapped.collect();
    let record = |row: usize| {
        let value = |(field, values): &(&'static str, ArrayRef)| {
            let shown = || {
                let text = ArrayFormatter::try_new(values.as_ref(), &options)
                    .ok()?
                    .value(row)
                    .try_to_string()
                    .ok()?;
                let cut = text.char_indices().nth(SHOWN_CHARS).map(|(at, _)| at);
                Some(cut.map_or_else(|| text.clone(), |at| format!("{}…", &text[..at])))
            };
            (*field, values.is_valid(row).then(shown).flatten())
        };
        mapped.iter().map(value).collect()
    };
    (0..sample.num_rows().min(SHOWN)).map(record).collect()
}
