//! One column of one row group, in batches of any size: straight from its pages where [`crate::page`] covers it, from
//! the arrow reader where not, or one value for all rows where it stands in the path. All three give the same.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::errors::ParquetError;
use slowleak_record::Field;

use crate::layout::Role;
use crate::meaning::Meaning;
use crate::names::{Names, TooManyNames};
use crate::page::{ColumnChunk, Damage, Sink, Texts, Trouble};
use crate::plan::PlannedFile;
use crate::source::Source;

/// Rows that the arrow reader decodes at once.
const ARROW_ROWS: usize = 8192;

/// Where a unit's columns are opened.
pub(crate) struct Opening<'p> {
    pub(crate) file: &'p PlannedFile,
    pub(crate) source: Source,
    pub(crate) row_group: usize,
    pub(crate) rows: usize,
    /// Whether all columns go through the arrow reader.
    pub(crate) arrow: bool,
}

/// See the module.
pub(crate) struct Column<T> {
    origin: Origin,
    pub(crate) kind: DataType,
    /// What the entries of the row group's dictionary have become.
    map: Vec<T>,
    /// One entry a row of the batch.
    pub(crate) out: Vec<T>,
    /// One entry a row where at least one is null; else empty.
    pub(crate) valid: Vec<bool>,
}

impl Column<u32> {
    /// Gives the entries of the dictionary ids of `new` in place of those of `old`.
    pub(crate) fn rename(&mut self, old: &Names, new: &mut Names) -> Result<(), TooManyNames> {
        for id in self.map.iter_mut().filter(|id| **id != Names::NONE) {
            *id = new.intern(old.name(*id))?;
        }
        Ok(())
    }
}

enum Origin {
    Pages { pages: Box<ColumnChunk>, root: usize },
    Arrow(ArrowColumn),
    Constant(ArrayRef),
}

struct ArrowColumn {
    batches: ParquetRecordBatchReader,
    /// What is left of the last array.
    rest: Option<ArrayRef>,
}

impl<T: Copy> Column<T> {
    /// Opens the column of `field`; `None` where the file lacks it.
    pub(crate) fn open(opening: &Opening<'_>, field: Field) -> Result<Option<Self>, ParquetError> {
        let Some(role) = opening.file.layout.role(field) else { return Ok(None) };
        let (origin, kind) = match role {
            Role::Constant(value) => (Origin::Constant(value.clone()), value.data_type().clone()),
            Role::Column { root, leaf, kind } => {
                let group = opening.file.layout.metadata().metadata().row_group(opening.row_group);
                let pages = match group.columns().get(*leaf).filter(|_| covers(field, kind) && !opening.arrow)
                {
                    Some(chunk) => ColumnChunk::open(&opening.source, chunk, opening.rows)?,
                    None => None,
                };
                let origin = match pages {
                    Some(pages) => Origin::Pages { pages: Box::new(pages), root: *root },
                    None => Origin::Arrow(ArrowColumn::open(opening, *root, 0)?),
                };
                (origin, kind.clone())
            }
        };
        Ok(Some(Self { origin, kind, map: Vec::new(), out: Vec::new(), valid: Vec::new() }))
    }

    /// Replaces the batch by the next `rows` rows.
    pub(crate) fn read<M: Meaning<Out = T>>(
        &mut self,
        opening: &Opening<'_>,
        rows: usize,
        meaning: &mut M,
    ) -> Result<(), String> {
        self.out.clear();
        self.valid.clear();
        match &mut self.origin {
            Origin::Pages { pages, root } => {
                let mut sink = Appending { meaning, map: &mut self.map, out: &mut self.out };
                match pages.read(rows, &mut sink, &mut self.valid) {
                    Ok(()) => {}
                    Err(Trouble::Damaged(cause)) => return Err(cause),
                    Err(Trouble::Uncovered { rows: before }) => {
                        // Begin the batch again, with the other reader.
                        let done = sink.out.len() + self.valid.iter().filter(|valid| !**valid).count();
                        let arrow = ArrowColumn::open(opening, *root, before - done);
                        self.origin = Origin::Arrow(arrow.map_err(|error| error.to_string())?);
                        return self.read(opening, rows, meaning);
                    }
                }
                if !self.valid.is_empty() {
                    spread(&mut self.out, &self.valid, M::NULL);
                }
            }
            Origin::Arrow(arrow) => arrow.read(rows, meaning, &mut self.out, &mut self.valid)?,
            Origin::Constant(value) => {
                meaning.array(value, &mut self.out).map_err(|damage| damage.0.to_owned())?;
                if let Some(value) = self.out.first().copied() {
                    self.out.resize(rows, value);
                }
            }
        }
        Ok(())
    }

    /// Whether the next value comes straight from a page.
    #[cfg(test)]
    pub(crate) fn reads_pages(&self) -> bool {
        matches!(self.origin, Origin::Pages { .. })
    }

    /// Keeps the rows for which `keep` holds.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        retain(&mut self.out, keep);
        if !self.valid.is_empty() {
            retain(&mut self.valid, keep);
        }
    }
}

/// Keeps the entries for which `keep` holds.
fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().copied().unwrap_or(false));
}

/// Whether pages of this type can be read without the arrow reader's help, if Parquet stores it the usual way.
fn covers(field: Field, kind: &DataType) -> bool {
    let text = matches!(kind, DataType::Utf8 | DataType::Binary);
    match field {
        Field::Time => {
            let time = matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
            text || time || kind.is_integer()
        }
        Field::Rows | Field::Bytes => kind.is_integer(),
        _ => text || kind.is_integer(),
    }
}

/// Moves values to their rows: `values` holds those of valid rows, in order.
fn spread<T: Copy>(values: &mut Vec<T>, valid: &[bool], null: T) {
    let mut next = values.len();
    values.resize(valid.len(), null);
    for row in (0..valid.len()).rev() {
        values[row] = if valid[row] && next > 0 {
            next -= 1;
            values[next]
        } else {
            null
        };
    }
}

impl ArrowColumn {
    fn open(opening: &Opening<'_>, root: usize, skip: usize) -> Result<Self, ParquetError> {
        let metadata = opening.file.layout.typed()?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), [root]);
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(opening.source.clone(), metadata)
                .with_row_groups(vec![opening.row_group])
                .with_projection(mask)
                .with_batch_size(ARROW_ROWS);
        if skip > 0 {
            let rest = RowSelector::select(opening.rows.saturating_sub(skip));
            builder = builder.with_row_selection(RowSelection::from(vec![RowSelector::skip(skip), rest]));
        }
        Ok(Self { batches: builder.build()?, rest: None })
    }

    fn read<M: Meaning>(
        &mut self,
        rows: usize,
        meaning: &mut M,
        out: &mut Vec<M::Out>,
        valid: &mut Vec<bool>,
    ) -> Result<(), String> {
        let mut done = 0;
        while done < rows {
            let Some(array) = self.rest.take().filter(|array| !array.is_empty()) else {
                let batch = self.batches.next().ok_or("the column ends before its row group")?;
                let batch = batch.map_err(|error| error.to_string())?;
                self.rest = batch.columns().first().cloned();
                continue;
            };
            let some = array.len().min(rows - done);
            let now = array.slice(0, some);
            self.rest = Some(array.slice(some, array.len() - some));
            meaning.array(&now, out).map_err(|damage| damage.0.to_owned())?;
            let nulls = now.logical_nulls().filter(|nulls| nulls.null_count() > 0);
            if nulls.is_some() && valid.is_empty() {
                valid.resize(done, true);
            }
            match nulls {
                Some(nulls) => valid.extend(nulls.iter()),
                None if !valid.is_empty() => valid.resize(done + some, true),
                None => {}
            }
            done += some;
        }
        Ok(())
    }
}

/// Hands the values of pages to a meaning, the dictionary's once.
struct Appending<'a, M: Meaning> {
    meaning: &'a mut M,
    map: &'a mut Vec<M::Out>,
    out: &'a mut Vec<M::Out>,
}

impl<M: Meaning> Sink for Appending<'_, M> {
    fn text_dictionary(&mut self, texts: Texts<'_>) -> Result<(), Damage> {
        self.map.clear();
        self.meaning.texts(texts, self.map)
    }

    fn integer_dictionary(&mut self, integers: &[i64]) -> Result<(), Damage> {
        self.map.clear();
        self.meaning.integers(integers, self.map)
    }

    fn indices(&mut self, indices: &[u32]) {
        let map = self.map.as_slice();
        self.out.extend(indices.iter().map(|index| map.get(*index as usize).copied().unwrap_or(M::NULL)));
    }

    fn texts(&mut self, texts: Texts<'_>) -> Result<(), Damage> {
        self.meaning.texts(texts, self.out)
    }

    fn integers(&mut self, integers: &[i64]) -> Result<(), Damage> {
        self.meaning.integers(integers, self.out)
    }
}
