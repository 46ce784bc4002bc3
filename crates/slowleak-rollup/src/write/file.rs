//! One table as a Parquet file. In: a table. Out: its row groups, in order, behind the schema of the contract.
//!
//! Columns of a few row groups are encoded at once, on all threads of the pool, while those before are
//! appended: a single large table keeps every thread busy, and no more than two rounds of it are in memory.
//! How the work is cut depends on the table alone, so that the number of threads never reaches the file.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};
use rayon::prelude::*;

use super::FORMAT;
use super::chunk::Chunk;
use super::column::Column;
use crate::{Metric, Table};

/// What a Parquet file begins with, by the format.
const MAGIC: &[u8] = b"PAR1";

/// The version of the format that the footer tells; readers go by encodings instead.
const PARQUET_VERSION: i32 = 1;

/// Cells a row group at most.
const GROUP_CELLS: usize = 1 << 20;

/// The same with sketches, each of up to a kilobyte.
const GROUP_SKETCHES: usize = 1 << 16;

/// Row groups a file at most: the format numbers them in 16 bits.
const MOST_GROUPS: usize = 1 << 14;

/// Bytes of names a row group at most: its dictionary is one page.
const GROUP_NAME_BYTES: usize = 64 << 20;

/// Row groups encoded in a round.
const ROUND_GROUPS: usize = 4;

/// Writes `table` to `file`, from its start.
///
/// # Errors
/// The file can not be written, or the table is not in the form that [`Table`] describes.
pub(super) fn write(table: &Table, file: &File) -> Result<(), ParquetError> {
    let schema = Arc::new(schema(table)?);
    let columns: Vec<_> = Column::of(&table.view).into_iter().zip(schema.columns()).collect();
    let encode = |groups: &[Range<usize>]| -> Result<Vec<Chunk>, ParquetError> {
        let chunks = groups.par_iter().flat_map(|cells| {
            columns.par_iter().map(|(column, description)| column.encode(table, cells.clone(), description))
        });
        chunks.collect()
    };
    let failed = OnceLock::new();
    let mut file = Appender::new(Reporting { file, failed: &failed }, schema.clone())?;
    let mut append = |chunks: Vec<Chunk>| {
        let mut chunks = chunks.into_iter().peekable();
        while chunks.peek().is_some() {
            file.row_group(chunks.by_ref().take(columns.len()))?;
        }
        Ok::<_, ParquetError>(())
    };
    let groups = groups(table);
    let mut ready = Vec::new();
    for round in groups.chunks(ROUND_GROUPS) {
        let (appended, encoded) = rayon::join(|| append(std::mem::take(&mut ready)), || encode(round));
        appended?;
        ready = encoded?;
    }
    append(ready)?;
    file.footer(key_values(table))?;
    failed.into_inner().map_or(Ok(()), |error| Err(error.into()))
}

/// A file that keeps its first error: what parquet's writer holds back, it writes when it is dropped, where no one
/// else would hear of it.
struct Reporting<'a> {
    file: &'a File,
    failed: &'a OnceLock<io::Error>,
}

impl Write for Reporting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                _ = self.failed.set(io::Error::new(error.kind(), error.to_string()));
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file so far: finished chunks are handed to the system as they are, without another copy.
struct Appender<'a> {
    sink: TrackedWrite<Reporting<'a>>,
    schema: SchemaDescPtr,
    groups: Vec<RowGroupMetaData>,
    column_indexes: Vec<Vec<ColumnIndexMetaData>>,
    offset_indexes: Vec<Vec<OffsetIndexMetaData>>,
}

impl<'a> Appender<'a> {
    fn new(file: Reporting<'a>, schema: SchemaDescPtr) -> Result<Self, ParquetError> {
        let mut sink = TrackedWrite::new(file);
        sink.write_all(MAGIC)?;
        Ok(Self { sink, schema, groups: Vec::new(), column_indexes: Vec::new(), offset_indexes: Vec::new() })
    }

    fn row_group(&mut self, chunks: impl Iterator<Item = Chunk>) -> Result<(), ParquetError> {
        let start = self.sink.bytes_written();
        let (mut columns, mut column_indexes, mut offset_indexes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rows, mut bytes) = (0, 0);
        for mut chunk in chunks {
            let at = self.sink.bytes_written() as u64;
            self.sink.write_all(chunk.bytes()?)?;
            rows = chunk.rows();
            let placed = chunk.placed(at)?;
            bytes += placed.metadata.uncompressed_size();
            columns.push(placed.metadata);
            column_indexes.push(placed.column_index);
            offset_indexes.push(placed.offset_index);
        }
        let group = RowGroupMetaData::builder(self.schema.clone())
            .set_num_rows(rows as i64)
            .set_total_byte_size(bytes)
            .set_column_metadata(columns)
            .set_ordinal(self.groups.len() as i16)
            .set_file_offset(start as i64)
            .build()?;
        self.groups.push(group);
        self.column_indexes.push(column_indexes);
        self.offset_indexes.push(offset_indexes);
        Ok(())
    }

    fn footer(self, key_values: Vec<KeyValue>) -> Result<(), ParquetError> {
        let rows = self.groups.iter().map(RowGroupMetaData::num_rows).sum();
        let created_by = Some(format!("slowleak rollup {FORMAT}"));
        // The writer adds the order of values, by which readers know how to read the extremes.
        let file = FileMetaData::new(PARQUET_VERSION, rows, created_by, Some(key_values), self.schema, None);
        let metadata = ParquetMetaDataBuilder::new(file)
            .set_row_groups(self.groups)
            .set_column_index(Some(self.column_indexes))
            .set_offset_index(Some(self.offset_indexes))
            .build();
        ParquetMetaDataWriter::new_with_tracked(self.sink, &metadata).finish()
    }
}

/// The row groups: so many cells each, fewer where names are very long.
fn groups(table: &Table) -> Vec<Range<usize>> {
    let sketches = table.view.metrics().contains(&Metric::Subjects);
    let most = if sketches { GROUP_SKETCHES } else { GROUP_CELLS };
    let most = most.max(table.len().div_ceil(MOST_GROUPS));
    let mut groups = Vec::new();
    let (mut start, mut name_bytes) = (0, 0);
    let ends = table.offsets.iter().skip(1);
    for ((name, end), entity) in table.entities.iter().zip(ends).zip(&table.offsets) {
        name_bytes += name.len();
        if name_bytes > GROUP_NAME_BYTES && *entity > start {
            groups.push(start..*entity);
            (start, name_bytes) = (*entity, name.len());
        }
        while end - start >= most {
            groups.push(start..start + most);
            (start, name_bytes) = (start + most, name.len());
        }
    }
    if start < table.len() {
        groups.push(start..table.len());
    }
    groups
}

fn key_values(table: &Table) -> Vec<KeyValue> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    vec![
        pair("slowleak.rollup", FORMAT.to_string()),
        pair("slowleak.view", table.view.to_string()),
        pair("slowleak.subject_hash", slowleak_scan::SUBJECT_HASH_VERSION.to_string()),
    ]
}

/// From what arrow would say. The file does not repeat that: every reader then sees plain types, not one library's.
fn schema(table: &Table) -> Result<SchemaDescriptor, ParquetError> {
    let mut fields = vec![
        Field::new("entity", DataType::Utf8, false),
        Field::new("window", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ];
    for metric in table.view.metrics() {
        if *metric == Metric::Subjects {
            fields.push(Field::new("subjects", DataType::Float64, false));
            fields.push(Field::new("subjects_sketch", DataType::Binary, false));
        } else {
            fields.push(Field::new(metric.name(), DataType::Int64, false));
        }
    }
    ArrowSchemaConverter::new().convert(&Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        // A file of one row fits into the buffer that is written last of all.
        let table = Table {
            view: "key@1h:events".parse().unwrap(),
            entities: vec!["a".to_owned()],
            offsets: vec![0, 1],
            windows: vec![slowleak_record::Micros(0)],
            counts: std::array::from_fn(|metric| if metric == 0 { vec![1] } else { Vec::new() }),
            subjects: Vec::new(),
        };
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(write(&table, &full).unwrap_err().to_string().contains("space"));
    }

    #[test]
    fn long_names_make_short_row_groups() {
        let entities: Vec<String> = (0..5).map(|name| format!("{name}{}", "x".repeat(30 << 20))).collect();
        let table = Table {
            view: "key@1h:events".parse().unwrap(),
            offsets: vec![0, 1, 2, 2_000_000, 2_000_001, 2_000_002],
            windows: vec![slowleak_record::Micros(0); 2_000_002],
            counts: Default::default(),
            subjects: Vec::new(),
            entities,
        };
        let cut = 2 + GROUP_CELLS;
        assert_eq!(groups(&table), [0..2, 2..cut, cut..2_000_001, 2_000_001..2_000_002]);
    }
}
