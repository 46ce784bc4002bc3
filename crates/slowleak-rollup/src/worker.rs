//! One thread's share of a pass. In: units, chunk by chunk. Out: blocks of cells for each view, and what
//! became of the rows. Names are mapped to ids that all workers share, once a row group.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use slowleak_record::{Field, InputResult, Micros, Window};
use slowleak_scan::{Chunk, Names, Request, UnitReader, UnitTally};

use crate::block::NONE;
use crate::compound::{PairIds, pair};
use crate::counter::{Columns, Counter};
use crate::{Dimension, Metric, View};

/// What all workers share: ids of names by field.
pub(crate) struct Shared {
    pub(crate) names: [Mutex<Names>; Field::ALL.len()],
    pub(crate) request: Request,
}

impl Shared {
    pub(crate) fn new(views: &[View]) -> Self {
        let counts = |metric: Metric| views.iter().any(|view| view.metrics().contains(&metric));
        let parts = views.iter().flat_map(|view| view.dimension.parts().iter().copied());
        let sources = counts(Metric::Sources).then_some(Field::Source);
        Self {
            names: Default::default(),
            request: Request {
                ids: parts.chain(sources).collect(),
                rows: counts(Metric::Rows),
                bytes: counts(Metric::Bytes),
                status: [Metric::Denied, Metric::Missing, Metric::Error].into_iter().any(counts),
                subjects: counts(Metric::Subjects),
            },
        }
    }
}

/// One thread's share of the count.
pub(crate) struct Worker {
    columns: [Column; Field::ALL.len()],
    pub(crate) dimensions: Vec<DimensionIds>,
    /// For each view: position of its dimension and of its window, and its counter.
    pub(crate) counters: Vec<(usize, usize, Counter)>,
    windows: Vec<(Window, Vec<Run>)>,
    pub(crate) hours: BTreeSet<i64>,
    last_hour: Option<i64>,
    pub(crate) span: Option<(i64, i64)>,
    pub(crate) tally: UnitTally,
    pub(crate) failed: Option<Field>,
}

/// Shared ids of one field in the current unit and batch.
#[derive(Default)]
struct Column {
    /// From the unit's ids to the shared ones.
    map: Vec<u32>,
    /// One more than the largest shared id seen.
    known: usize,
    ids: Vec<u32>,
}

/// Consecutive records of one window.
struct Run {
    window: i64,
    rows: std::ops::Range<usize>,
}

/// Entity ids of one dimension in the current batch; for compounds, this worker's own ids.
pub(crate) struct DimensionIds {
    pub(crate) dimension: Dimension,
    /// Of the first two parts, then of that pair and the third; none for a dimension of one field.
    pub(crate) pairs: Vec<PairIds>,
    keys: Vec<u64>,
    ids: Vec<u32>,
}

impl Worker {
    pub(crate) fn new(views: &[View]) -> Self {
        let mut dimensions: Vec<DimensionIds> = Vec::new();
        let mut windows = vec![(Window::HOUR, Vec::new())];
        let mut counters = Vec::new();
        for view in views {
            let known = dimensions.iter().position(|known| known.dimension == view.dimension);
            let dimension = known.unwrap_or_else(|| {
                dimensions.push(DimensionIds {
                    dimension: view.dimension.clone(),
                    pairs: view.dimension.parts().iter().skip(1).map(|_| PairIds::default()).collect(),
                    keys: Vec::new(),
                    ids: Vec::new(),
                });
                dimensions.len() - 1
            });
            let known = windows.iter().position(|(window, _)| *window == view.window);
            let window = known.unwrap_or_else(|| {
                windows.push((view.window, Vec::new()));
                windows.len() - 1
            });
            counters.push((dimension, window, Counter::new(view)));
        }
        Self {
            columns: Default::default(),
            dimensions,
            counters,
            windows,
            hours: BTreeSet::new(),
            last_hour: None,
            span: None,
            tally: UnitTally::default(),
            failed: None,
        }
    }

    /// Counts a unit.
    pub(crate) fn read(
        &mut self,
        mut reader: UnitReader<'_>,
        shared: &Shared,
        progress: &(dyn Fn(u64) + Sync),
    ) -> InputResult<()> {
        self.columns.iter_mut().for_each(|column| column.map.clear());
        self.counters.iter_mut().for_each(|(_, _, counter)| counter.start_unit());
        let mut reported = 0;
        while let Some(chunk) = reader.next_chunk()? {
            self.count(chunk, shared);
            let tally = reader.tally();
            let rows = tally.read + tally.pruned + tally.rejected_rows.iter().sum::<u64>();
            progress(rows - reported);
            reported = rows;
        }
        self.tally.add(&reader.tally());
        Ok(())
    }

    fn count(&mut self, chunk: &Chunk, shared: &Shared) {
        let time = chunk.time();
        let (Some(first), Some(last)) = (time.iter().min(), time.iter().max()) else { return };
        let span = self.span.unwrap_or((*first, *last));
        self.span = Some((span.0.min(*first), span.1.max(*last)));
        for (window, runs) in &mut self.windows {
            split_runs(time, *window, runs);
        }
        // Window::HOUR comes first.
        for run in &self.windows[0].1 {
            if self.last_hour != Some(run.window) {
                self.last_hour = Some(run.window);
                self.hours.insert(run.window);
            }
        }

        for field in shared.request.ids.iter() {
            let column = &mut self.columns[field.index()];
            let (Some(ids), Some(names)) = (chunk.ids(field), chunk.names(field)) else {
                column.ids.clear();
                column.ids.resize(time.len(), NONE);
                continue;
            };
            if column.map.len() < names.len() {
                let mut shared = shared.names[field.index()].lock().unwrap_or_else(PoisonError::into_inner);
                for id in column.map.len()..names.len() {
                    let id = shared.intern(names.name(id as u32)).unwrap_or_else(|_| {
                        self.failed = Some(field);
                        0
                    });
                    column.known = column.known.max(id as usize + 1);
                    column.map.push(id);
                }
            }
            column.ids.clear();
            column.ids.extend(ids.iter().map(|id| column.map.get(*id as usize).copied().unwrap_or(NONE)));
        }
        for dimension in &mut self.dimensions {
            dimension.fill(&self.columns);
        }

        let sources = &self.columns[Field::Source.index()].ids;
        for (dimension, window, counter) in &mut self.counters {
            let dimension = &self.dimensions[*dimension];
            let (ids, known) = dimension.ids(&self.columns);
            let columns = Columns {
                rows: chunk.rows().map_or(&[], |counts| &counts.values),
                bytes: chunk.bytes().map_or(&[], |counts| &counts.values),
                status: chunk.status().unwrap_or_default(),
                subjects: chunk.subjects().unwrap_or_default(),
                sources,
            };
            for run in &self.windows[*window].1 {
                counter.count(run.window, run.rows.clone(), ids, known, &columns);
            }
        }
    }
}

/// Cuts a batch where the window changes.
fn split_runs(time: &[i64], window: Window, runs: &mut Vec<Run>) {
    runs.clear();
    let mut start = 0;
    while let Some(first) = time.get(start) {
        let floor = window.floor(Micros(*first)).0;
        let inside = floor..floor + window.micros();
        let length = time[start..].iter().position(|time| !inside.contains(time));
        let end = length.map_or(time.len(), |length| start + length);
        runs.push(Run { window: floor, rows: start..end });
        start = end;
    }
}

impl DimensionIds {
    /// Computes the batch's ids of a compound.
    fn fill(&mut self, columns: &[Column; Field::ALL.len()]) {
        let mut parts = self.dimension.parts().iter().map(|field| columns[field.index()].ids.as_slice());
        let first = parts.next().unwrap_or_default();
        for (level, (pairs, right)) in self.pairs.iter_mut().zip(parts).enumerate() {
            let left = if level == 0 { first } else { &self.ids };
            self.keys.clear();
            self.keys.extend(left.iter().zip(right).map(|(left, right)| pair(*left, *right)));
            pairs.resolve(&self.keys, &mut self.ids);
        }
    }

    /// The batch's ids, and one more than the largest ever.
    fn ids<'a>(&'a self, columns: &'a [Column; Field::ALL.len()]) -> (&'a [u32], usize) {
        match self.dimension.parts() {
            [field] => (&columns[field.index()].ids, columns[field.index()].known),
            _ => (&self.ids, self.pairs.last().map_or(0, PairIds::len)),
        }
    }
}
