//! The merge of sorted runs. In: runs, in any order. Out: the cells of each entity once, added up, in the order of
//! names; as row groups, or as one longer run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use slowleak_record::Micros;

use super::MOST_RUNS;
use super::run::{EntityCells, Run, RunReader, RunWriter};
use crate::block::Shape;
use crate::groups::{GroupCut, Rounds};
use crate::{Metric, RollupError, Table, View};

/// One view of some runs, entity by entity.
pub(crate) struct Merge<'a> {
    view: &'a View,
    shape: Shape,
    readers: Vec<RunReader>,
    /// The next name of each run that has one.
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    cut: GroupCut,
    entity: EntityCells,
}

impl<'a> Merge<'a> {
    /// The view at `position` in each of the runs, of which so many bytes are read at once.
    ///
    /// # Errors
    /// A run can not be read again.
    pub(crate) fn new(
        view: &'a View,
        position: usize,
        runs: &[Run],
        at_once: usize,
    ) -> Result<Self, RollupError> {
        let shape = Shape::of(view);
        let mut readers: Vec<RunReader> = runs.iter().map(|run| run.read(position, at_once)).collect();
        let mut heads = BinaryHeap::with_capacity(readers.len());
        for (at, reader) in readers.iter_mut().enumerate() {
            let mut name = Vec::new();
            if reader.next(&mut name)? {
                heads.push(Reverse((name, at)));
            }
        }
        let entity = EntityCells::new(shape.width());
        Ok(Self { view, shape, readers, heads, cut: GroupCut::new(view), entity })
    }

    /// The next entity: its name, and its cells in `self.entity`.
    fn next_entity(&mut self) -> Result<Option<String>, RollupError> {
        self.entity.clear();
        let Some(Reverse((name, _))) = self.heads.peek() else { return Ok(None) };
        let name = name.clone();
        let mut parts = 0;
        while self.heads.peek().is_some_and(|Reverse((next, _))| *next == name) {
            let Some(Reverse((mut next, at))) = self.heads.pop() else { break };
            self.readers[at].cells(self.view, &self.shape, &mut self.entity)?;
            parts += 1;
            if self.readers[at].next(&mut next)? {
                self.heads.push(Reverse((next, at)));
            }
        }
        if parts > 1 {
            self.entity.cells.consolidate();
            self.entity.sources.sort_unstable();
            self.entity.sources.dedup();
        }
        let cause = "a name is not what was written".to_owned();
        String::from_utf8(name).map(Some).map_err(|_| RollupError::Unspill { cause })
    }

    /// Appends the cells of `self.entity`.
    fn append(&self, name: String, table: &mut Table) {
        let EntityCells { cells, sources } = &self.entity;
        table.entities.push(name);
        table.windows.extend(cells.windows.iter().map(|window| Micros(*window)));
        table.offsets.push(table.windows.len());
        for (at, metric) in self.shape.sums.iter().enumerate() {
            let column = cells.sums.iter().skip(at).step_by(cells.width);
            table.counts[*metric as usize].extend(column);
        }
        if self.shape.sources {
            let of = |window: &i64| {
                let of_window = |bound: i64| sources.partition_point(|(other, _)| *other < bound);
                (of_window(*window + 1) - of_window(*window)) as i64
            };
            table.counts[Metric::Sources as usize].extend(cells.windows.iter().map(of));
        }
        cells.sketches.copy(0..cells.windows.len(), &mut table.sketches);
    }
}

impl Rounds for Merge<'_> {
    fn next_round(&mut self, _most: usize) -> Result<Vec<Table>, RollupError> {
        let mut table = Table::empty(self.view.clone());
        while let Some(name) = self.next_entity()? {
            let (cells, name_bytes) = (self.entity.cells.len(), name.len());
            self.append(name, &mut table);
            if self.cut.ends_with(cells, name_bytes) {
                break;
            }
        }
        Ok(if table.is_empty() { Vec::new() } else { vec![table] })
    }
}

/// As few runs as can be merged at once, of each of which so many bytes are read at once.
///
/// # Errors
/// The disk is full, or a run can not be read again.
pub(crate) fn merge_runs(
    views: &[View],
    mut runs: Vec<Run>,
    folder: &Path,
    at_once: usize,
) -> Result<Vec<Run>, RollupError> {
    while runs.len() > MOST_RUNS {
        let merged: Vec<Run> = runs.drain(..MOST_RUNS).collect();
        let mut writer = RunWriter::new(folder, None)?;
        for (position, view) in views.iter().enumerate() {
            let mut merge = Merge::new(view, position, &merged, at_once)?;
            writer.start_view();
            while let Some(name) = merge.next_entity()? {
                writer.entity(view, &name, &merge.entity)?;
            }
        }
        runs.push(writer.finish()?);
    }
    Ok(runs)
}
