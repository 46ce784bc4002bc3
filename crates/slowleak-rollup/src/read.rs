//! Reading a rollup store, our own or one made by hand. In: a folder. Out: a rollup in canonical form, or
//! what is wrong with which file.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use slowleak_record::{InputError, InputResult, Window, discover, guarded};
use slowleak_scan::columns::{self, TextColumn};
use slowleak_scan::{Counts, Names};

use crate::assemble::{ranked, table};
use crate::cells::Cells;
use crate::{Dimension, Metric, Rollup, RollupError, Sketch, Table, View};

impl Rollup {
    /// Reads the rollup in `dir`: every folder in it named `DIMENSION@WINDOW`, and all Parquet files inside
    /// (names that start with `_` or `.` are left alone).
    ///
    /// A folder made by hand needs `entity` (text), `window` (a time of any type that a log's may have) and
    /// `events` (whole numbers); other metrics are read where their columns exist, unknown columns are
    /// ignored. Rows may come in any order and several files; rows of the same entity and window add up, and
    /// a cell of zero events is no cell. `subjects` counts only with `subjects_sketch` beside it: estimates
    /// can not be added.
    ///
    /// # Errors
    /// No such folder or none of a view in it; a file that is no Parquet, lacks a column, or holds nulls,
    /// negative or fractional counts, unaligned windows, or damaged sketches.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RollupError> {
        let dir = dir.as_ref();
        let broken = |error: std::io::Error| {
            InputError::new(dir, error)
                .remedy("name the rollup folder of a run, with a folder per view in it")
        };
        let mut tables = Vec::new();
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && !name.starts_with(['_', '.']) {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let folder = dir.join(&name);
            let (dimension, window) = parse_folder(&name).ok_or_else(|| {
                InputError::new(&folder, "the folder's name is no view")
                    .remedy("name it DIMENSION@WINDOW, for instance key@1h, or start it with an underscore")
            })?;
            tables.push(read_view(&folder, dimension, window)?);
        }
        if tables.is_empty() {
            return Err(InputError::new(dir, "no view here")
                .remedy("expected folders named DIMENSION@WINDOW, for instance key@1h/part-0.parquet")
                .into());
        }
        tables.sort_by(|a: &Table, b| a.view.cmp(&b.view));
        Ok(Self { tables })
    }
}

impl Rollup {
    /// Whether the file at `path` was written by [`Rollup::write`], told by the name of the writer in its
    /// footer; a file that can not be read was not.
    pub fn wrote(path: impl AsRef<Path>) -> bool {
        let Ok(file) = File::open(path) else { return false };
        let footer = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
        footer.is_ok_and(|footer| {
            let writer = footer.metadata().file_metadata().created_by();
            writer.is_some_and(|writer| writer.starts_with("slowleak rollup "))
        })
    }
}

pub(crate) fn is_view_folder(name: &str) -> bool {
    parse_folder(name).is_some()
}

fn parse_folder(name: &str) -> Option<(Dimension, Window)> {
    let (dimension, window) = name.split_once('@')?;
    Some((dimension.parse().ok()?, window.parse().ok()?))
}

fn read_view(folder: &Path, dimension: Dimension, window: Window) -> InputResult<Table> {
    let files = discover(&[folder])?;
    let mut entities = TextColumn::default();
    let mut cells = Cells::default();
    let mut view: Option<View> = None;
    for file in files {
        let path = file.path.as_path();
        let (schema, mut batches) = open(path)?;
        let found = View::new(dimension.clone(), window, metrics(path, &schema)?);
        if let Some(first) = view.as_ref().filter(|first| **first != found) {
            return Err(InputError::new(path, format!("it holds {found}, an earlier file {first}"))
                .remedy("give all files of a view the same metric columns"));
        }
        cells.width = found.metrics().iter().filter(|metric| **metric != Metric::Subjects).count();
        let mut row = 0;
        let mut next = || guarded(|| batches.next().transpose()).map_err(|cause| damaged(path, cause));
        while let Some(batch) = next()? {
            let rows = batch.num_rows();
            Reading { path, view: &found, row }.batch(&batch, &mut entities, &mut cells)?;
            row += rows;
        }
        view = Some(found);
    }
    let view = view.unwrap_or_else(|| View::new(dimension, window, []));
    finish(folder, view, &entities.into_names(), cells)
}

fn finish(folder: &Path, view: View, names: &Names, mut cells: Cells) -> InputResult<Table> {
    let all = (0..names.len() as u32).map(|id| (id, names.name(id)));
    let mut used = vec![false; names.len()];
    cells.entities.iter().for_each(|entity| used[*entity as usize] = true);
    let (entities, ranks) = ranked(all.filter(|(id, _)| used[*id as usize]), names.len());
    cells.entities.iter_mut().for_each(|entity| *entity = ranks[*entity as usize]);
    let before = cells.len();
    if u32::try_from(before).is_err() {
        return Err(InputError::new(folder, "more than 4 billion cells").remedy("use a longer window"));
    }
    cells.consolidate();
    let sources = view.metrics().contains(&Metric::Sources);
    if sources && cells.len() < before {
        return Err(InputError::new(folder, "an entity and window occurs twice")
            .at("column \"sources\"")
            .remedy("distinct counts can not be added: keep one row a cell, or drop the column"));
    }
    Ok(table(view, entities, cells, sources))
}

type Batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader;

/// Opens a file on the columns that matter.
fn open(path: &Path) -> InputResult<(Arc<Schema>, Batches)> {
    let file = File::open(path).map_err(|error| InputError::new(path, error))?;
    guarded(|| reader(file)).map_err(|cause| {
        InputError::new(path, cause).remedy("a rollup holds Parquet files only: write or copy it again")
    })
}

fn damaged(path: &Path, cause: String) -> InputError {
    InputError::new(path, cause).remedy("the file is damaged: write or copy it again")
}

fn reader(file: File) -> Result<(Arc<Schema>, Batches), ParquetError> {
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::load(&file, options())?;
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let typed = plain.schema().fields().iter().map(|field| {
        if field.name() == "entity" && *field.data_type() == DataType::Utf8 {
            Arc::new(field.as_ref().clone().with_data_type(text.clone()))
        } else {
            field.clone()
        }
    });
    let typed =
        Arc::new(Schema::new_with_metadata(typed.collect::<Vec<_>>(), plain.schema().metadata().clone()));
    let metadata = ArrowReaderMetadata::try_new(plain.metadata().clone(), options().with_schema(typed))?;
    let wanted = |name: &str| {
        ["entity", "window", "subjects_sketch"].contains(&name) || name.parse::<Metric>().is_ok()
    };
    let schema = metadata.schema().clone();
    let roots =
        schema.fields().iter().enumerate().filter(|(_, field)| wanted(field.name())).map(|(at, _)| at);
    let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.collect::<Vec<_>>());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_projection(mask)
        .with_batch_size(1 << 16)
        .build()?;
    Ok((schema, reader))
}

/// The metrics that the columns hold.
fn metrics(path: &Path, schema: &Schema) -> InputResult<Vec<Metric>> {
    let has = |name: &str| schema.column_with_name(name).is_some();
    for name in ["entity", "window", "events"] {
        if !has(name) {
            return Err(InputError::new(path, "no such column")
                .at(format!("column {name:?}"))
                .remedy("a rollup needs entity, window and events"));
        }
    }
    if has("subjects") && !has("subjects_sketch") {
        return Err(InputError::new(path, "there is no column subjects_sketch beside it")
            .at("column \"subjects\"")
            .remedy(
                "estimates can not be added up: drop the column, or let `slowleak rollup` make the view",
            ));
    }
    Ok(Metric::ALL
        .into_iter()
        .filter(|metric| match metric {
            Metric::Subjects => has("subjects_sketch"),
            metric => has(metric.name()),
        })
        .collect())
}

/// Where in a view's files we are.
struct Reading<'a> {
    path: &'a Path,
    view: &'a View,
    row: usize,
}

impl Reading<'_> {
    fn error(&self, column: &str, row: Option<usize>, cause: impl std::fmt::Display) -> InputError {
        let place = match row {
            Some(row) => format!("column {column:?}, row {}", self.row + row + 1),
            None => format!("column {column:?}"),
        };
        InputError::new(self.path, cause).at(place)
    }

    fn column<'b>(&self, batch: &'b RecordBatch, name: &str) -> InputResult<&'b ArrayRef> {
        batch.column_by_name(name).ok_or_else(|| self.error(name, None, "no such column"))
    }

    /// Appends the rows of `batch`.
    fn batch(&self, batch: &RecordBatch, entities: &mut TextColumn, cells: &mut Cells) -> InputResult<()> {
        let array = self.column(batch, "entity")?;
        if !columns::is_text(array.data_type()) {
            let cause = format!("its type is {}, expected text", array.data_type());
            return Err(self.error("entity", None, cause));
        }
        entities.decode(array).map_err(|error| self.error("entity", None, error))?;
        let ids = entities.ids();
        if let Some(row) = ids.iter().position(|id| *id == Names::NONE) {
            return Err(self.error("entity", Some(row), "null").remedy("every cell needs an entity"));
        }

        let array = self.column(batch, "window")?;
        if !columns::is_time(array.data_type()) {
            let cause = format!("its type is {}, expected a time", array.data_type());
            return Err(self.error("window", None, cause));
        }
        let mut windows = Vec::with_capacity(ids.len());
        for (row, time) in columns::times(array).into_iter().enumerate() {
            let time = time.ok_or_else(|| {
                self.error("window", Some(row), "null, or not a time").remedy("write its start, in UTC")
            })?;
            if self.view.window.floor(time) != time {
                let cause = format!("{time} is not the start of a {} window", self.view.window);
                return Err(self
                    .error("window", Some(row), cause)
                    .remedy("windows are aligned to 1970-01-01T00:00:00Z: round the times down"));
            }
            windows.push(time.0);
        }

        let counted = self.view.metrics().iter().filter(|metric| **metric != Metric::Subjects);
        let counts: Vec<Vec<i64>> =
            counted.map(|metric| self.counts(batch, *metric)).collect::<InputResult<_>>()?;
        let sketches = match self.view.metrics().contains(&Metric::Subjects) {
            true => Some(self.sketches(self.column(batch, "subjects_sketch")?)?),
            false => None,
        };
        let occupied = |row: &usize| counts.first().is_some_and(|events| events[*row] > 0);
        let mut sketches = sketches.map(Vec::into_iter);
        for row in 0..ids.len() {
            let sketch = sketches.as_mut().and_then(Iterator::next);
            if occupied(&row) {
                cells.entities.push(ids[row]);
                cells.windows.push(windows[row]);
                cells.sums.extend(counts.iter().map(|column| column[row]));
                cells.sketches.extend(sketch);
            }
        }
        Ok(())
    }

    fn counts(&self, batch: &RecordBatch, metric: Metric) -> InputResult<Vec<i64>> {
        let array = self.column(batch, metric.name())?;
        if !columns::is_count(array.data_type()) {
            let cause = format!("its type is {}, expected whole numbers", array.data_type());
            return Err(self.error(metric.name(), None, cause));
        }
        let Counts { values, valid } = columns::counts(array);
        match valid.and_then(|valid| valid.iter().position(|valid| !valid)) {
            Some(row) => Err(self
                .error(metric.name(), Some(row), "null, negative or not a whole number")
                .remedy("write whole numbers from 0")),
            None => Ok(values),
        }
    }

    fn sketches(&self, array: &ArrayRef) -> InputResult<Vec<Sketch>> {
        let column = "subjects_sketch";
        let remedy = "let `slowleak rollup` make the view again, or drop the column";
        let bytes = array.as_binary_opt::<i32>().ok_or_else(|| {
            self.error(column, None, format!("its type is {}, expected binary", array.data_type()))
                .remedy(remedy)
        })?;
        let sketches = bytes.iter().enumerate().map(|(row, bytes)| {
            let bytes = bytes.ok_or_else(|| self.error(column, Some(row), "null").remedy(remedy))?;
            Sketch::from_bytes(bytes).map_err(|error| self.error(column, Some(row), error).remedy(remedy))
        });
        sketches.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rollup;
    use arrow::array::{Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;

    /// A store of one file, small enough to be damaged at every byte.
    fn store(dir: &Path) -> std::path::PathBuf {
        let folder = dir.join("key@1d");
        fs::create_dir(&folder).unwrap();
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("entity", Arc::new(StringArray::from(vec!["a", "b", "a"])), false),
            ("window", Arc::new(StringArray::from(vec!["2025-06-24", "2025-06-24", "2025-06-25"])), false),
            ("events", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3)])), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let path = folder.join("part-0.parquet");
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    #[test]
    fn a_byte_of_damage_anywhere_is_an_error_with_the_file_and_never_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = store(dir.path());
        let whole = fs::read(&path).unwrap();
        let mut gave_up = 0;
        for at in 0..whole.len() {
            for value in [0x00, 0x7f, 0xff, whole[at] ^ 0x01, whole[at] ^ 0x80] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                fs::write(&path, &damaged).unwrap();
                let Err(error) = Rollup::read(dir.path()) else { continue };
                let text = error.to_string();
                assert!(text.contains("part-0.parquet: "), "byte {at}: {text}");
                gave_up += usize::from(text.contains("the decoder gave up on damaged bytes"));
            }
        }
        assert!(gave_up > 0, "no damage made the decoder panic: the guard went untested");
    }
}
