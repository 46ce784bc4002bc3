//! Reading a rollup store, our own or one made by hand. In: a folder. Out: a rollup in canonical form, its views as
//! detection wants them, or the cells of one entity; or what is wrong with which file.

mod batch;
pub(crate) mod file;

use std::fs;
use std::path::{Path, PathBuf};

use slowleak_record::{InputError, InputResult, Window, discover};
use slowleak_scan::columns::TextColumn;

use crate::assemble::{ranked, table};
use crate::cells::Cells;
use crate::{DayTable, Dimension, Gather, Lookup, Metric, Rollup, RollupError, Table, View};
use batch::Reading;
use file::{Rows, ViewFile};

impl Rollup {
    /// Reads the rollup in `dir`: every folder in it named `DIMENSION@WINDOW`, and all Parquet files inside
    /// (names that start with `_` or `.` are left alone).
    ///
    /// A folder made by hand needs `entity` (text), `window` (a time of any type that a log's may have) and
    /// `events` (whole numbers); other metrics are read where their columns exist, unknown columns are
    /// ignored. Rows may come in any order and several files; rows of the same entity and window add up, and
    /// a cell of zero events is no cell. `subjects` and `blocks` count only with `subjects_sketch` and
    /// `blocks_sketch` beside them: estimates can not be added.
    ///
    /// # Errors
    /// No such folder or none of a view in it; a file that is no Parquet, lacks a column, or holds nulls,
    /// negative or fractional counts, unaligned windows, or damaged sketches.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RollupError> {
        let stored = Stored::open(dir)?;
        let tables = stored.views.iter().map(|view| view.read(&Metric::ALL, Rows::All));
        let mut tables: Vec<Table> = tables.collect::<InputResult<_>>()?;
        tables.sort_by(|a, b| a.view.cmp(&b.view));
        Ok(Self { tables })
    }

    /// Whether the file at `path` was written by [`Rollup::write`]; a file that can not be read was not.
    pub fn wrote(path: impl AsRef<Path>) -> bool {
        ViewFile::open(path.as_ref(), Rows::All).is_ok_and(|file| file.is_ours())
    }
}

/// A rollup on disk, of which as much is read as is asked for.
#[derive(Debug)]
pub struct Stored {
    dir: PathBuf,
    /// In the order of their folders' names.
    views: Vec<StoredView>,
}

/// A view's folder.
#[derive(Debug)]
pub(crate) struct StoredView {
    pub(crate) folder: PathBuf,
    dimension: Dimension,
    window: Window,
    pub(crate) files: Vec<PathBuf>,
}

impl Stored {
    /// Looks for views in `dir`, as [`Rollup::read`] does.
    ///
    /// # Errors
    /// No such folder or none of a view in it, or one of a view without a Parquet file.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, RollupError> {
        let dir = dir.as_ref();
        let broken = |error: std::io::Error| {
            InputError::new(dir, error)
                .remedy("name the rollup folder of a run, with a folder per view in it")
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && !name.starts_with(['_', '.']) {
                names.push(name);
            }
        }
        names.sort();
        let views: Vec<StoredView> =
            names.iter().map(|name| StoredView::find(&dir.join(name), name)).collect::<InputResult<_>>()?;
        for (at, later) in views.iter().enumerate() {
            let same =
                |first: &&StoredView| (&first.dimension, first.window) == (&later.dimension, later.window);
            if let Some(first) = views[..at].iter().find(same) {
                let cause = format!("the same view as in {}", first.folder.display());
                return Err(InputError::new(&later.folder, cause)
                    .remedy("put the files of both into one folder, or remove one")
                    .into());
            }
        }
        if views.is_empty() {
            return Err(InputError::new(dir, "no view here")
                .remedy("expected folders named DIMENSION@WINDOW, for instance key@1h/part-0.parquet")
                .into());
        }
        Ok(Self { dir: dir.to_path_buf(), views })
    }

    /// Hands the cells of every view to `gather`. Of a file that [`Rollup::write`] made, one row group is in memory at
    /// a time; others may hold the cells of an entity anywhere, so that a view of theirs is read whole.
    ///
    /// # Errors
    /// Those of [`Rollup::read`], in the columns that are gathered.
    pub fn gather(&self, gather: &mut Gather<'_>) -> Result<(), RollupError> {
        Ok(self.views.iter().try_for_each(|view| {
            view.groups(&DayTable::gathered(&view.dimension), None, &mut |cells| gather.add(cells))
        })?)
    }

    /// The view's folder, where there is one.
    pub(crate) fn view(&self, dimension: &Dimension, window: Window) -> Option<&StoredView> {
        self.views.iter().find(|stored| stored.dimension == *dimension && stored.window == window)
    }

    /// The view as it is stored.
    fn find(&self, view: &View) -> InputResult<&StoredView> {
        let gone = || missing(&self.dir, &format!("view {}", view.folder()));
        self.view(&view.dimension, view.window).ok_or_else(gone)
    }
}

/// The error about something that was there when the rollup was opened.
pub(crate) fn missing(path: &Path, what: &str) -> InputError {
    InputError::new(path, format!("there is no {what} any more"))
        .remedy("let nothing else change the rollup, and run again")
}

impl Lookup for Stored {
    type Error = RollupError;

    fn entity(&self, view: &View, name: &str) -> Result<Table, RollupError> {
        let stored = self.find(view)?;
        let table = stored.read(view.metrics(), Rows::Entity(name))?;
        let lost = view.metrics().iter().find(|metric| !table.view.metrics().contains(metric));
        match lost {
            Some(metric) => Err(missing(&stored.folder, &format!("column of {metric}")).into()),
            None if table.is_empty() => Err(missing(&stored.folder, &format!("cell of {name:?}")).into()),
            None => Ok(table),
        }
    }

    fn each(&self, view: &View, names: &[&str], take: &mut dyn FnMut(&Table)) -> Result<(), RollupError> {
        let stored = self.find(view)?;
        let mut rest = names;
        stored.groups(view.metrics(), Some(names), &mut |cells| {
            let known =
                |name: &&str| cells.entities.binary_search_by(|entity| entity.as_str().cmp(name)).is_ok();
            while rest.first().is_some_and(known) {
                rest = &rest[1..];
            }
            take(cells);
        })?;
        rest.first().map_or(Ok(()), |name| Err(missing(&stored.folder, &format!("cell of {name:?}")).into()))
    }
}

impl StoredView {
    fn find(folder: &Path, name: &str) -> InputResult<Self> {
        let (dimension, window) = parse_folder(name).ok_or_else(|| {
            InputError::new(folder, "the folder's name is no view")
                .remedy("name it DIMENSION@WINDOW, for instance key@1h, or start it with an underscore")
        })?;
        let files = discover(&[folder])?.into_iter().map(|file| file.path).collect();
        Ok(Self { folder: folder.to_path_buf(), dimension, window, files })
    }

    /// A row group of one of its files, with those of the `metrics` that there are.
    pub(crate) fn group(&self, file: &ViewFile<'_>, group: usize, metrics: &[Metric]) -> InputResult<Table> {
        let mut part = Part::of(self, metrics);
        part.add(file, Rows::Group(group))?;
        part.finish()
    }

    /// Some rows of all files as a table, with those of the `metrics` that there are.
    pub(crate) fn read(&self, metrics: &[Metric], rows: Rows<'_>) -> InputResult<Table> {
        let mut part = Part::of(self, metrics);
        for path in &self.files {
            part.add(&ViewFile::open(path, rows)?, rows)?;
        }
        part.finish()
    }

    /// Hands out the cells in order of their entities, with those of the `metrics` that there are: a row group of our
    /// own file at a time, and of it only those that can hold one of some ascending `names`; of other files all at once.
    fn groups(
        &self,
        metrics: &[Metric],
        names: Option<&[&str]>,
        each: &mut dyn FnMut(&Table),
    ) -> InputResult<()> {
        let one = match self.files.as_slice() {
            [path] => Some(ViewFile::open(path, Rows::All)?),
            _ => None,
        };
        let Some(file) = one.filter(|file| file.is_ours() && !file.groups().is_empty()) else {
            each(&self.read(metrics, Rows::All)?);
            return Ok(());
        };
        let mut last: Option<String> = None;
        for group in 0..file.groups().len() {
            if names.is_some_and(|names| !file.can_hold_any(group, names)) {
                continue;
            }
            let cells = self.group(&file, group, metrics)?;
            if last.as_ref().is_some_and(|last| cells.entities.first().is_some_and(|first| first <= last)) {
                return Err(InputError::new(file.path, "its entities are not in order")
                    .at(format!("row group {group}"))
                    .remedy("the file is damaged: write or copy it again"));
            }
            last = cells.entities.last().cloned().or(last);
            each(&cells);
        }
        Ok(())
    }
}

/// Rows of one or more files of a view.
struct Part<'a> {
    of: &'a StoredView,
    metrics: &'a [Metric],
    /// What all files hold.
    view: Option<View>,
    entities: TextColumn,
    cells: Cells,
}

impl<'a> Part<'a> {
    fn of(of: &'a StoredView, metrics: &'a [Metric]) -> Self {
        Self { of, metrics, view: None, entities: TextColumn::default(), cells: Cells::default() }
    }

    fn add(&mut self, file: &ViewFile<'_>, rows: Rows<'_>) -> InputResult<()> {
        let path = file.path;
        let found = View::new(self.of.dimension.clone(), self.of.window, file.metrics.iter().copied());
        if let Some(first) = self.view.as_ref().filter(|first| **first != found) {
            return Err(InputError::new(path, format!("it holds {found}, an earlier file {first}"))
                .remedy("give all files of a view the same metric columns"));
        }
        let view = self.read_of(&found);
        self.view = Some(found);
        self.cells.width = view.metrics().iter().filter(|metric| metric.sketch_column().is_none()).count();
        let mut next = file.batches(view.metrics(), rows)?;
        let mut row = file.before(rows);
        while let Some(batch) = next()? {
            Reading { path, view: &view, row }.batch(&batch, &mut self.entities, &mut self.cells)?;
            row = row.map(|row| row + batch.num_rows());
        }
        Ok(())
    }

    /// The view with what is read of it.
    fn read_of(&self, found: &View) -> View {
        let read = found.metrics().iter().copied().filter(|metric| self.metrics.contains(metric));
        View::new(found.dimension.clone(), found.window, read)
    }

    fn finish(mut self) -> InputResult<Table> {
        let view = self.view.take();
        let view = view.unwrap_or_else(|| View::new(self.of.dimension.clone(), self.of.window, []));
        let view = self.read_of(&view);
        let Self { of, entities, mut cells, .. } = self;
        let names = entities.into_names();
        let all = (0..names.len() as u32).map(|id| (id, names.name(id)));
        let mut used = vec![false; names.len()];
        cells.entities.iter().for_each(|entity| used[*entity as usize] = true);
        let (entities, ranks) = ranked(all.filter(|(id, _)| used[*id as usize]), names.len());
        cells.entities.iter_mut().for_each(|entity| *entity = ranks[*entity as usize]);
        let before = cells.len();
        if u32::try_from(before).is_err() {
            return Err(
                InputError::new(&of.folder, "more than 4 billion cells").remedy("use a longer window")
            );
        }
        cells.consolidate();
        let sources = view.metrics().contains(&Metric::Sources);
        if sources && cells.len() < before {
            return Err(InputError::new(&of.folder, "an entity and window occurs twice")
                .at("column \"sources\"")
                .remedy("distinct counts can not be added: keep one row a cell, or drop the column"));
        }
        Ok(table(view, entities, cells, sources))
    }
}

pub(crate) fn is_view_folder(name: &str) -> bool {
    parse_folder(name).is_some()
}

fn parse_folder(name: &str) -> Option<(Dimension, Window)> {
    let (dimension, window) = name.split_once('@')?;
    Some((dimension.parse().ok()?, window.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;
    use slowleak_record::Micros;
    use slowleak_scan::subject_hash;

    use super::*;
    use crate::Sketch;

    /// Hours of an entity, and the subjects that it touched in each.
    type Touched = BTreeMap<(String, i64), BTreeSet<u32>>;

    fn touched() -> impl Strategy<Value = Touched> {
        // As many subjects as make some sketches dense, and as many entities as make several row groups.
        let subjects = prop_oneof![9 => (0..900_u32, 1..4_u32), 1 => (0..900_u32, 300..600_u32)];
        let cell = (0..30_usize, 0..72_i64, subjects);
        proptest::collection::vec(cell, 1..150).prop_map(|cells| {
            let mut touched = Touched::new();
            for (entity, hour, (first, count)) in cells {
                touched.entry((format!("e{entity}"), hour)).or_default().extend(first..first + count);
            }
            touched
        })
    }

    fn sketch<'a>(subjects: impl IntoIterator<Item = &'a u32>) -> Sketch {
        let mut sketch = Sketch::default();
        subjects.into_iter().for_each(|subject| sketch.insert_hash(subject_hash(&subject.to_le_bytes())));
        sketch
    }

    fn hours(touched: &Touched) -> Table {
        let mut table = Table::empty("user@1h:events,subjects".parse().unwrap());
        for ((entity, hour), subjects) in touched {
            if table.entities.last() != Some(entity) {
                table.entities.push(entity.clone());
                table.offsets.push(table.len());
            }
            table.windows.push(Micros(hour * Micros::HOUR));
            table.counts[Metric::Events as usize].push(subjects.len() as i64);
            table.sketches.subjects.push(sketch(subjects));
            *table.offsets.last_mut().unwrap() = table.len();
        }
        table
    }

    /// Writes the cells as others might: in any order, in two files of small row groups.
    fn write_by_hand(folder: &Path, table: &Table, group: usize, turn: usize) {
        fs::create_dir_all(folder).unwrap();
        let mut rows: Vec<(&str, usize)> = (0..table.entities.len())
            .flat_map(|entity| table.cells(entity).map(move |cell| (table.entities[entity].as_str(), cell)))
            .collect();
        let turn = turn % rows.len();
        rows.rotate_left(turn);
        let (one, other) = rows.split_at(rows.len() / 2);
        for (name, rows) in [("one", one), ("other", other)] {
            let windows = rows.iter().map(|(_, cell)| table.windows[*cell].to_string());
            let events = rows.iter().map(|(_, cell)| table.count(Metric::Events)[*cell]);
            let sketches: Vec<Vec<u8>> =
                rows.iter().map(|(_, cell)| table.sketches.subjects[*cell].to_bytes()).collect();
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("subjects_sketch", Arc::new(BinaryArray::from_iter_values(sketches))),
                ("entity", Arc::new(StringArray::from_iter_values(rows.iter().map(|(entity, _)| entity)))),
                ("window", Arc::new(StringArray::from_iter_values(windows))),
                ("events", Arc::new(Int64Array::from_iter_values(events))),
            ];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(group))
                .set_data_page_row_count_limit(3)
                .set_write_batch_size(1)
                .build();
            let file = File::create(folder.join(name).with_extension("parquet")).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_read_in_parts_is_what_is_there(
            touched in touched(),
            interval in (0..72_i64, 1..48_i64),
            group in 1..40_usize,
            turn: usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (ours, others) = (dir.path().join("ours"), dir.path().join("others"));
            let rollup = Rollup { tables: vec![hours(&touched)] };
            rollup.write(&ours).unwrap();
            write_by_hand(&others.join("user@1h"), &rollup.tables[0], group, turn);
            let view = &rollup.tables[0].view;
            for store in [&ours, &others] {
                let stored = Stored::open(store).unwrap();
                let mut gather = Gather::new();
                stored.gather(&mut gather).unwrap();
                prop_assert_eq!(gather.finish(&[]), vec![DayTable::of(&rollup.tables[0])]);
                let interval = Micros(interval.0 * Micros::HOUR)..Micros((interval.0 + interval.1) * Micros::HOUR);
                for entity in &rollup.tables[0].entities {
                    let cells = stored.entity(view, entity).unwrap();
                    prop_assert_eq!(&cells, &rollup.entity(view, entity).unwrap());
                    let of_entity = touched.iter().filter(|((of, hour), _)| {
                        of == entity && interval.contains(&Micros(hour * Micros::HOUR))
                    });
                    let subjects: BTreeSet<u32> = of_entity.flat_map(|(_, subjects)| subjects).copied().collect();
                    prop_assert_eq!(cells.union(&interval), sketch(&subjects));
                }
            }
        }
    }

    #[test]
    fn what_is_gone_when_it_is_asked_for_is_an_error_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let touched: Touched = [(("e".to_owned(), 0), BTreeSet::from([1]))].into_iter().collect();
        let mut rollup = Rollup { tables: vec![hours(&touched)] };
        let store = dir.path().join("store");
        rollup.write(&store).unwrap();
        let stored = Stored::open(&store).unwrap();
        let says = |view: &str, entity: &str, words: &[&str]| {
            let error = stored.entity(&view.parse().unwrap(), entity).unwrap_err().to_string();
            for word in words.iter().chain(&["store", "let nothing else change the rollup"]) {
                assert!(error.contains(word), "{error:?} lacks {word:?}");
            }
        };
        says("user@1h:events", "other", &["user@1h: ", "\"other\""]);
        says("key@1h:events", "e", &["key@1h"]);
        says("user@1h:rows", "e", &["user@1h: ", "rows"]);
        // Another run takes its place.
        rollup.tables[0].entities = vec!["other".to_owned()];
        rollup.write(&store).unwrap();
        says("user@1h:subjects", "e", &["user@1h: ", "\"e\""]);
        fs::remove_file(store.join("user@1h/part-0.parquet")).unwrap();
        says("user@1h:subjects", "e", &["user@1h/part-0.parquet: "]);
    }

    #[test]
    fn row_groups_of_ours_in_another_order_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        let touched: Touched =
            (0..40).map(|entity| ((format!("e{entity:02}"), 0), BTreeSet::from([1]))).collect();
        let mut table = hours(&touched);
        table.entities.reverse();
        Rollup { tables: vec![table] }.write(dir.path().join("store")).unwrap();
        let stored = Stored::open(dir.path().join("store")).unwrap();
        let error = stored.gather(&mut Gather::new()).unwrap_err().to_string();
        assert!(error.contains("part-0.parquet: row group 1: ") && error.contains("not in order"), "{error}");
    }

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
                let stored = Stored::open(dir.path()).unwrap();
                let view = "key@1d:events".parse().unwrap();
                for error in [Rollup::read(dir.path()).err(), stored.entity(&view, "a").err()] {
                    let Some(error) = error else { continue };
                    let text = error.to_string();
                    assert!(text.contains("key@1d"), "byte {at}: {text}");
                    let of_the_file = text.contains("part-0.parquet: ");
                    assert!(of_the_file || text.contains("no cell of \"a\""), "byte {at}: {text}");
                    gave_up += usize::from(text.contains("the decoder gave up on damaged bytes"));
                }
            }
        }
        assert!(gave_up > 0, "no damage made the decoder panic: the guard went untested");
    }
}
