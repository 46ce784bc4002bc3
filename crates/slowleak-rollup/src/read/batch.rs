//! The rows of a batch, checked one by one. In: columns of any accepted type. Out: cells, or what is wrong with which
//! column and row.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use slowleak_record::{InputError, InputResult};
use slowleak_scan::columns::{self, TextColumn};
use slowleak_scan::{Counts, Names};

use crate::cells::Cells;
use crate::{Metric, Sketch, Sketches, View};

/// Where in a view's files we are.
pub(super) struct Reading<'a> {
    pub(super) path: &'a Path,
    pub(super) view: &'a View,
    /// Rows of the file before this batch; nothing where some were passed over.
    pub(super) row: Option<usize>,
}

impl Reading<'_> {
    fn error(&self, column: &str, row: Option<usize>, cause: impl std::fmt::Display) -> InputError {
        let place = match self.row.zip(row) {
            Some((before, row)) => format!("column {column:?}, row {}", before + row + 1),
            None => format!("column {column:?}"),
        };
        InputError::new(self.path, cause).at(place)
    }

    fn column<'b>(&self, batch: &'b RecordBatch, name: &str) -> InputResult<&'b ArrayRef> {
        batch.column_by_name(name).ok_or_else(|| self.error(name, None, "no such column"))
    }

    /// Appends the rows of `batch`.
    pub(super) fn batch(
        &self,
        batch: &RecordBatch,
        entities: &mut TextColumn,
        cells: &mut Cells,
    ) -> InputResult<()> {
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

        let counted = self.view.metrics().iter().filter(|metric| metric.sketch_column().is_none());
        let counts: Vec<Vec<i64>> =
            counted.map(|metric| self.counts(batch, *metric)).collect::<InputResult<_>>()?;
        let sketches = |metric: Metric| match metric.sketch_column() {
            Some(column) if self.view.metrics().contains(&metric) => self.sketches(batch, column),
            _ => Ok(Vec::new()),
        };
        let mut sketches =
            Sketches { subjects: sketches(Metric::Subjects)?, blocks: sketches(Metric::Blocks)? };
        let occupied = |row: &usize| counts.first().is_some_and(|events| events[*row] > 0);
        for row in 0..ids.len() {
            if occupied(&row) {
                cells.entities.push(ids[row]);
                cells.windows.push(windows[row]);
                cells.sums.extend(counts.iter().map(|column| column[row]));
                sketches.hand_on(row, &mut cells.sketches);
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

    fn sketches(&self, batch: &RecordBatch, column: &str) -> InputResult<Vec<Sketch>> {
        let array = self.column(batch, column)?;
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
