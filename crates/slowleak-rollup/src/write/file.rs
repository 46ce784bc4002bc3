//! One view as a Parquet file. In: its row groups, in order. Out: the file, behind the schema of the contract.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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
use slowleak_scan::give_back;

use super::chunk::Chunk;
use super::column::Column;
use super::{FORMAT, Written};
use crate::groups::{Pace, Rounds};
use crate::{Metric, Profile, RollupError, Step, Table, View};

/// What a Parquet file begins with, by the format.
const MAGIC: &[u8] = b"PAR1";

/// The version of the format that the footer tells; readers go by encodings instead.
const PARQUET_VERSION: i32 = 1;

/// Row groups a file at most: the format numbers them in 16 bits.
const MOST_GROUPS: usize = i16::MAX as usize;

/// Writes the row groups of `view` to `file`, from its start; hands each on to `each` once it is appended.
///
/// Row groups are encoded on all threads of the pool, while those before are appended, and no more than two rounds of them
/// are in memory; one where `pace` does not allow the overlap. So a single large view keeps every thread busy, but for one
/// that was set aside: its rounds are of one row group, merged on one thread before its columns are encoded side by side.
///
/// # Errors
/// The row groups can not be had; the file can not be written, or a table is not in the form that [`Table`] describes.
pub(super) fn write(
    view: &View,
    rounds: &mut (dyn Rounds + Send),
    pace: Pace,
    each: &mut (dyn FnMut(Table) + Send),
    path: &Path,
    file: &File,
    profile: &mut Profile,
) -> Result<Written, RollupError> {
    let broken =
        |error: ParquetError| RollupError::Write { path: path.to_path_buf(), cause: error.to_string() };
    let schema = Arc::new(schema(view).map_err(broken)?);
    let columns: Vec<_> = Column::of(view).into_iter().zip(schema.columns()).collect();
    let encode = |groups: &[Table]| -> Result<Vec<Chunk>, ParquetError> {
        let chunks = groups.par_iter().flat_map(|group| {
            columns.par_iter().map(|(column, description)| column.encode(group, 0..group.len(), description))
        });
        chunks.collect()
    };
    let failed = OnceLock::new();
    let mut appender = Appender::new(Reporting { file, failed: &failed }, schema.clone()).map_err(broken)?;
    let mut append = |chunks: Vec<Chunk>| {
        let mut chunks = chunks.into_iter().peekable();
        while chunks.peek().is_some() {
            appender.row_group(chunks.by_ref().take(columns.len()))?;
        }
        Ok::<_, ParquetError>(())
    };
    let mut written = Written { view: view.clone(), entities: 0, cells: 0 };
    let mut ready: (Vec<Table>, Vec<Chunk>) = Default::default();
    loop {
        let (groups, chunks) = std::mem::take(&mut ready);
        // Whoever takes a row group may be slow at it, if only to free its sketches: that, too, beside the next round.
        let before = || {
            let since = Instant::now();
            append(chunks)?;
            let appended = since.elapsed();
            for group in groups {
                written.entities += group.entities.len() as u64;
                written.cells += group.len() as u64;
                each(group);
            }
            Ok((appended, since.elapsed()))
        };
        let mut next = || {
            let since = Instant::now();
            let groups = rounds.next_round(pace.groups)?;
            let assembled = since.elapsed();
            let chunks = encode(&groups).map_err(broken)?;
            Ok::<_, RollupError>((groups, chunks, assembled, since.elapsed()))
        };
        let (appended, round) = if pace.overlap {
            rayon::join(before, next)
        } else {
            let appended = before();
            give_back();
            (appended, next())
        };
        let (appended, handed_on) = appended.map_err(broken)?;
        // The first time there is nothing yet.
        if written.cells > 0 {
            profile.record(Step::Append, appended);
            profile.record(Step::HandOn, handed_on - appended);
        }
        let (groups, chunks, assembled, encoded) = round?;
        if groups.is_empty() {
            break;
        }
        profile.record(Step::Assemble, assembled);
        profile.record(Step::Write, encoded - assembled);
        ready = (groups, chunks);
    }
    let since = Instant::now();
    appender.footer(key_values(view)).map_err(broken)?;
    profile.record(Step::Append, since.elapsed());
    failed.into_inner().map_or(Ok(written), |error| Err(broken(error.into())))
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
        if self.groups.len() == MOST_GROUPS {
            return Err(ParquetError::General(format!("more than {MOST_GROUPS} row groups")));
        }
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

fn key_values(view: &View) -> Vec<KeyValue> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut pairs = vec![
        pair("slowleak.rollup", FORMAT.to_string()),
        pair("slowleak.view", view.to_string()),
        pair("slowleak.subject_hash", slowleak_scan::SUBJECT_HASH_VERSION.to_string()),
    ];
    if view.metrics().contains(&Metric::Blocks) {
        pairs.push(pair("slowleak.block_hash", slowleak_scan::BLOCK_HASH_VERSION.to_string()));
    }
    pairs
}

/// From what arrow would say. The file does not repeat that: every reader then sees plain types, not one library's.
fn schema(view: &View) -> Result<SchemaDescriptor, ParquetError> {
    let mut fields = vec![
        Field::new("entity", DataType::Utf8, false),
        Field::new("window", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ];
    for metric in view.metrics() {
        match metric.sketch_column() {
            Some(sketch) => {
                fields.push(Field::new(metric.name(), DataType::Float64, false));
                fields.push(Field::new(sketch, DataType::Binary, false));
            }
            None => fields.push(Field::new(metric.name(), DataType::Int64, false)),
        }
    }
    ArrowSchemaConverter::new().convert(&Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Sliced;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        // A file of one row fits into the buffer that is written last of all.
        let table = Table {
            entities: vec!["a".to_owned()],
            offsets: vec![0, 1],
            windows: vec![slowleak_record::Micros(0)],
            counts: std::array::from_fn(|metric| if metric == 0 { vec![1] } else { Vec::new() }),
            ..Table::empty("key@1h:events".parse().unwrap())
        };
        let path = Path::new("/dev/full");
        let full = File::options().write(true).open(path).unwrap();
        let mut groups = Sliced::new(&table);
        let pace = Pace { groups: 1, overlap: true };
        let error = write(&table.view, &mut groups, pace, &mut |_| (), path, &full, &mut Profile::default());
        assert!(error.unwrap_err().to_string().contains("space"));
    }
}
