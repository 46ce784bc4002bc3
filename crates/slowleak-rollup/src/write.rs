//! Writing the rollup store: a folder of Parquet files that any tool opens. In: a rollup. Out: the folder,
//! whole or not at all, with the same bytes for the same rollup.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;

use crate::{Metric, Rollup, RollupError, Table};

/// Version of the store, in the files' metadata.
pub(crate) const FORMAT: u32 = 1;

/// Cells a row group.
const GROUP_CELLS: usize = 1 << 20;

/// Cells encoded at once.
const BATCH_CELLS: usize = 1 << 16;

/// Entities repeat for as many windows as they have: their dictionary is worth more room than the default.
const DICTIONARY_BYTES: usize = 64 << 20;

impl Rollup {
    /// Writes the rollup as `dir`: one folder a view, `DIMENSION@WINDOW/part-0.parquet`, sorted by entity and
    /// window. An earlier rollup in `dir` is replaced; the new one appears by rename once it is complete.
    ///
    /// # Errors
    /// The folder can not be written, or `dir` exists and holds something that is not a rollup.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<(), RollupError> {
        let dir = dir.as_ref();
        let broken = |path: &Path, cause: &dyn std::fmt::Display| RollupError::Write {
            path: path.to_path_buf(),
            cause: cause.to_string(),
        };
        if dir.exists() {
            check_replaceable(dir)?;
        }
        let (fresh, old) = (beside(dir, "new")?, beside(dir, "old")?);
        for leftover in [&fresh, &old] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).map_err(|error| broken(leftover, &error))?;
            }
        }
        fs::create_dir_all(&fresh).map_err(|error| broken(&fresh, &error))?;
        self.tables.par_iter().try_for_each(|table| write_table(&fresh, table))?;
        if dir.exists() {
            fs::rename(dir, &old).map_err(|error| broken(dir, &error))?;
        }
        fs::rename(&fresh, dir).map_err(|error| broken(dir, &error))?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(|error| broken(&old, &error))?;
        }
        Ok(())
    }
}

/// A hidden sibling of `dir`.
fn beside(dir: &Path, suffix: &str) -> Result<PathBuf, RollupError> {
    let name = dir.file_name().ok_or_else(|| RollupError::Write {
        path: dir.to_path_buf(),
        cause: "the path does not end in the name of a folder".to_owned(),
    })?;
    Ok(dir.with_file_name(format!(".{}.{suffix}", name.to_string_lossy())))
}

/// Only a rollup is ever removed: every visible entry is a folder named like a view.
fn check_replaceable(dir: &Path) -> Result<(), RollupError> {
    let broken = |cause: String| RollupError::Write { path: dir.to_path_buf(), cause };
    for entry in fs::read_dir(dir).map_err(|error| broken(error.to_string()))? {
        let entry = entry.map_err(|error| broken(error.to_string()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !crate::read::is_view_folder(&name) {
            return Err(broken(format!("the folder is in use: it holds {name:?}, which is no view")));
        }
    }
    Ok(())
}

fn write_table(dir: &Path, table: &Table) -> Result<(), RollupError> {
    let folder = dir.join(table.view.folder());
    let path = folder.join("part-0.parquet");
    let broken = |cause: String| RollupError::Write { path: path.clone(), cause };
    fs::create_dir_all(&folder).map_err(|error| broken(error.to_string()))?;
    let file = File::create(&path).map_err(|error| broken(error.to_string()))?;
    encode(table, &file).map_err(|error| broken(error.to_string()))
}

fn encode(table: &Table, file: &File) -> Result<(), parquet::errors::ParquetError> {
    let schema = Arc::new(schema(table));
    // Without the arrow schema every reader sees plain strings, not one library's dictionary type.
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties(table));
    let mut writer = ArrowWriter::try_new_with_options(file, schema.clone(), options)?;
    let mut entity = 0;
    let mut start = 0;
    while start < table.len() {
        let end = (start + BATCH_CELLS).min(table.len());
        writer.write(&batch(table, &schema, start..end, &mut entity)?)?;
        start = end;
    }
    writer.close()?;
    file.sync_all()?;
    Ok(())
}

fn properties(table: &Table) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("slowleak rollup {FORMAT}"))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_CELLS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_key_value_metadata(Some(vec![
            KeyValue::new("slowleak.rollup".to_owned(), FORMAT.to_string()),
            KeyValue::new("slowleak.view".to_owned(), table.view.to_string()),
            KeyValue::new(
                "slowleak.subject_hash".to_owned(),
                slowleak_scan::SUBJECT_HASH_VERSION.to_string(),
            ),
        ]));
    for column in ["subjects", "subjects_sketch"] {
        builder = builder.set_column_dictionary_enabled(column.into(), false);
    }
    let counts = table.view.metrics().iter().filter(|metric| **metric != Metric::Subjects).map(|m| m.name());
    for column in counts.chain(["window"]) {
        builder = builder
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

fn schema(table: &Table) -> Schema {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new("entity", text, false),
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
    Schema::new(fields)
}

/// The cells `range`; `entity` is that of the first of them, and that of the last on return.
fn batch(
    table: &Table,
    schema: &Arc<Schema>,
    range: std::ops::Range<usize>,
    entity: &mut usize,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut keys = Vec::with_capacity(range.len());
    let mut names: Vec<&str> = Vec::new();
    let mut last = None;
    for cell in range.clone() {
        while *entity + 1 < table.entities.len() && table.offsets[*entity + 1] <= cell {
            *entity += 1;
        }
        if last != Some(*entity) {
            last = Some(*entity);
            names.push(&table.entities[*entity]);
        }
        keys.push(names.len() as i32 - 1);
    }
    let entities =
        DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), Arc::new(StringArray::from(names)))?;
    let windows: Vec<i64> = table.windows[range.clone()].iter().map(|window| window.0).collect();
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(entities), Arc::new(TimestampMicrosecondArray::from(windows).with_timezone("UTC"))];
    for metric in table.view.metrics() {
        if *metric == Metric::Subjects {
            let sketches = &table.subjects[range.clone()];
            let estimates: Vec<f64> = sketches.iter().map(crate::Sketch::estimate).collect();
            columns.push(Arc::new(Float64Array::from(estimates)));
            let bytes = sketches.iter().map(crate::Sketch::to_bytes);
            columns.push(Arc::new(BinaryArray::from_iter_values(bytes)));
        } else {
            columns.push(Arc::new(Int64Array::from(table.count(*metric)[range.clone()].to_vec())));
        }
    }
    RecordBatch::try_new(schema.clone(), columns)
}
