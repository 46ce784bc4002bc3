//! Counting: records of one view in one worker into blocks of cells. In: runs of records of one window.
//! Out: blocks. Windows that are open have a dense table from entity to cell, so that a record costs an
//! array access; only records older than every open window are looked up by hash.

use ahash::AHashMap;
use slowleak_record::Status;

use crate::block::{Block, NONE, Shape};
use crate::{Metric, View};

/// Windows kept open at once: enough for the jitter of a nearly sorted log around a boundary.
const OPEN: usize = 3;

/// Most cells of one view in one worker: positions are 32 bits wide.
const MOST_CELLS: usize = 1 << 31;

/// Cells below which blocks of the same window are left side by side.
const COMPACT_FLOOR: usize = 1 << 20;

/// Columns of one batch that a view may count; empty slices where it does not, or where the file lacks them.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) rows: &'a [i64],
    pub(crate) bytes: &'a [i64],
    pub(crate) status: &'a [Status],
    pub(crate) subjects: &'a [Option<u64>],
    pub(crate) sources: &'a [u32],
}

/// The cells of one view in one worker.
#[derive(Debug)]
pub(crate) struct Counter {
    shape: Shape,
    /// Open windows, ascending.
    open: Vec<OpenWindow>,
    /// Slot tables of closed windows, all [`NONE`], for reuse.
    spare: Vec<Vec<u32>>,
    /// A window may have several.
    closed: Vec<Block>,
    /// Cells in closed blocks.
    closed_cells: usize,
    compact_at: usize,
    late: Late,
    /// Whether the unit may still move the open windows back in time.
    may_rewind: bool,
    overflowed: bool,
}

/// A block, and the cell of each entity in it.
#[derive(Debug)]
struct OpenWindow {
    block: Block,
    slots: Vec<u32>,
}

/// Cells of windows older than every open one; the block's own window means nothing.
#[derive(Debug, Default)]
struct Late {
    cells: AHashMap<(u32, i64), u32>,
    windows: Vec<i64>,
    block: Block,
}

impl Counter {
    pub(crate) fn new(view: &View) -> Self {
        Self {
            shape: Shape::of(view),
            open: Vec::new(),
            spare: Vec::new(),
            closed: Vec::new(),
            closed_cells: 0,
            compact_at: COMPACT_FLOOR,
            late: Late::default(),
            may_rewind: true,
            overflowed: false,
        }
    }

    /// A new unit begins: it may lie anywhere in time.
    pub(crate) fn start_unit(&mut self) {
        self.may_rewind = true;
    }

    /// Counts the records `range`, all of the window that starts at `window`; `entities` of the whole batch,
    /// all of them below `known`.
    pub(crate) fn count(
        &mut self,
        window: i64,
        range: std::ops::Range<usize>,
        entities: &[u32],
        known: usize,
        columns: &Columns<'_>,
    ) {
        if self.closed_cells + self.late.block.len() > MOST_CELLS {
            self.overflowed = true;
            return;
        }
        let open = self.open_window(window);
        let adder = Adder::new(&self.shape, columns);
        let shape = &self.shape;
        match open {
            Some(at) => {
                let OpenWindow { block, slots } = &mut self.open[at];
                if slots.len() < known {
                    slots.resize(known, NONE);
                }
                for (row, entity) in range.clone().zip(&entities[range]) {
                    if *entity == NONE {
                        continue;
                    }
                    let slot = &mut slots[*entity as usize];
                    if *slot == NONE {
                        *slot = block.push(*entity, shape);
                    }
                    adder.add(block, *slot, row);
                }
            }
            None => {
                let Late { cells, windows, block } = &mut self.late;
                for (row, entity) in range.clone().zip(&entities[range]) {
                    if *entity == NONE {
                        continue;
                    }
                    let cell = *cells.entry((*entity, window)).or_insert_with(|| {
                        windows.push(window);
                        block.push(*entity, shape)
                    });
                    adder.add(block, cell, row);
                }
            }
        }
    }

    /// Position of the open window, opened if it may be; `None` where it is older than every open one.
    fn open_window(&mut self, start: i64) -> Option<usize> {
        if let Some(at) = self.open.iter().rposition(|open| open.block.window == start) {
            return Some(at);
        }
        let full = self.open.len() == OPEN;
        if full && self.open[0].block.window > start {
            if !self.may_rewind {
                return None;
            }
            self.may_rewind = false;
            self.close_all();
        } else if full {
            self.close(0);
        }
        if self.closed_cells >= self.compact_at {
            self.compact();
        }
        let at = self.open.partition_point(|open| open.block.window < start);
        // The window before is the best guess of how many entities this one will have.
        let cells = self.closed.last().map_or(0, Block::len);
        let block = Block::new(start, &self.shape, cells);
        self.open.insert(at, OpenWindow { block, slots: self.spare.pop().unwrap_or_default() });
        Some(at)
    }

    fn close(&mut self, at: usize) {
        let OpenWindow { mut block, mut slots } = self.open.remove(at);
        for entity in &block.entities {
            slots[*entity as usize] = NONE;
        }
        self.spare.push(slots);
        block.shrink();
        self.closed_cells += block.len();
        self.closed.push(block);
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close(self.open.len() - 1);
        }
    }

    /// Adds up closed blocks of the same window, so that memory stays in proportion to distinct cells.
    fn compact(&mut self) {
        let mut blocks = std::mem::take(&mut self.closed);
        blocks.sort_by_key(|block| block.window);
        let mut slots = self.spare.pop().unwrap_or_default();
        for block in blocks {
            match self.closed.last_mut() {
                Some(last) if last.window == block.window => last.merge(block, &self.shape, &mut slots),
                _ => self.closed.push(block),
            }
        }
        self.spare.push(slots);
        self.closed_cells = self.closed.iter().map(Block::len).sum();
        self.compact_at = (self.closed_cells * 2).max(COMPACT_FLOOR);
    }

    /// All blocks, in no particular order; `None` where there were too many cells.
    pub(crate) fn finish(mut self) -> Option<Vec<Block>> {
        self.close_all();
        let Late { windows, mut block, .. } = self.late;
        let mut order: Vec<u32> = (0..windows.len() as u32).collect();
        order.sort_unstable_by_key(|cell| (windows[*cell as usize], *cell));
        let width = self.shape.width();
        let mut renamed = vec![(0, 0); if block.sources.is_empty() { 0 } else { windows.len() }];
        for cells in order.chunk_by(|a, b| windows[*a as usize] == windows[*b as usize]) {
            let Some(first) = cells.first() else { continue };
            let mut of_window = Block::new(windows[*first as usize], &self.shape, cells.len());
            for cell in cells {
                let from = *cell as usize;
                if let Some(renamed) = renamed.get_mut(from) {
                    *renamed = (self.closed.len(), of_window.len() as u32);
                }
                of_window.entities.push(block.entities[from]);
                of_window.sums.extend_from_slice(&block.sums[from * width..(from + 1) * width]);
                of_window.sketches.extend(block.sketches.get_mut(from).map(std::mem::take));
            }
            self.closed.push(of_window);
        }
        for (cell, source) in &block.sources {
            let (at, cell) = renamed[*cell as usize];
            self.closed[at].sources.insert((cell, *source));
        }
        (!self.overflowed).then_some(self.closed)
    }
}

/// Where a view's numbers stand in a cell, with the columns that feed them.
struct Adder<'a> {
    width: usize,
    rows: Option<(usize, &'a [i64])>,
    bytes: Option<(usize, &'a [i64])>,
    /// Position of the number that each status adds to.
    status: Option<([Option<usize>; 4], &'a [Status])>,
    subjects: &'a [Option<u64>],
    sources: &'a [u32],
}

impl<'a> Adder<'a> {
    fn new(shape: &Shape, columns: &Columns<'a>) -> Self {
        let at = |metric: Metric| shape.sums.iter().position(|sum| *sum == metric);
        let fed =
            |metric: Metric, column: &'a [i64]| at(metric).filter(|_| !column.is_empty()).zip(Some(column));
        let status = [None, at(Metric::Denied), at(Metric::Missing), at(Metric::Error)];
        let wanted = !columns.status.is_empty() && status.iter().any(Option::is_some);
        Self {
            width: shape.width(),
            rows: fed(Metric::Rows, columns.rows),
            bytes: fed(Metric::Bytes, columns.bytes),
            status: wanted.then_some((status, columns.status)),
            subjects: if shape.subjects { columns.subjects } else { &[] },
            sources: if shape.sources { columns.sources } else { &[] },
        }
    }

    /// Adds one record to a cell.
    #[inline]
    fn add(&self, block: &mut Block, cell: u32, row: usize) {
        let at = cell as usize;
        let values = &mut block.sums[at * self.width..(at + 1) * self.width];
        values[0] += 1;
        for (position, column) in [&self.rows, &self.bytes].into_iter().flatten() {
            values[*position] = values[*position].saturating_add(column[row]);
        }
        if let Some((positions, column)) = &self.status
            && let Some(position) = positions[column[row] as usize]
        {
            values[position] += 1;
        }
        if let Some(Some(hash)) = self.subjects.get(row) {
            block.sketches[at].insert_hash(*hash);
        }
        if let Some(source) = self.sources.get(row)
            && *source != NONE
        {
            block.sources.insert((cell, *source));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A unit's records: (window, entity, rows, source).
    type Unit = Vec<(i64, u32, i64, u32)>;

    proptest! {
        /// Units in any order of time, disordered within, with blocks united as soon as there are a few cells.
        #[test]
        fn every_record_is_counted_once(
            units in proptest::collection::vec(
                proptest::collection::vec((0..9_i64, 0..6_u32, 0..50_i64, 0..4_u32), 0..30),
                0..12,
            ),
            compact_at in 1_usize..40,
        ) {
            let units: Vec<Unit> = units;
            let view = "key@1h:rows,sources,subjects".parse().unwrap();
            let mut counter = Counter::new(&view);
            let mut want: BTreeMap<(i64, u32), (i64, i64, Vec<u32>)> = BTreeMap::new();
            for unit in &units {
                counter.start_unit();
                counter.compact_at = compact_at;
                let entities: Vec<u32> = unit.iter().map(|record| record.1).collect();
                let rows: Vec<i64> = unit.iter().map(|record| record.2).collect();
                let sources: Vec<u32> = unit.iter().map(|record| record.3).collect();
                let subjects: Vec<Option<u64>> =
                    sources.iter().map(|source| Some(slowleak_scan::subject_hash(&[*source as u8]))).collect();
                let columns =
                    Columns { rows: &rows, bytes: &[], status: &[], subjects: &subjects, sources: &sources };
                for (row, (window, entity, more, source)) in unit.iter().enumerate() {
                    counter.count(*window, row..row + 1, &entities, 6, &columns);
                    let cell = want.entry((*window, *entity)).or_default();
                    cell.0 += 1;
                    cell.1 += more;
                    cell.2.push(*source);
                }
            }
            let shape = counter.shape.clone();
            let mut blocks = counter.finish().unwrap();
            blocks.sort_by_key(|block| block.window);
            let mut united: Vec<Block> = Vec::new();
            for block in blocks {
                match united.last_mut() {
                    Some(last) if last.window == block.window => last.merge(block, &shape, &mut Vec::new()),
                    _ => united.push(block),
                }
            }
            let mut got = BTreeMap::new();
            for block in united {
                for (cell, entity) in block.entities.iter().enumerate() {
                    let of_cell = block.sources.iter().filter(|(at, _)| *at as usize == cell);
                    let mut sources: Vec<u32> = of_cell.map(|(_, source)| *source).collect();
                    sources.sort_unstable();
                    prop_assert_eq!(block.sketches[cell].estimate(), sources.len() as f64);
                    let sums = (block.sums[2 * cell], block.sums[2 * cell + 1]);
                    let before = got.insert((block.window, *entity), (sums.0, sums.1, sources));
                    prop_assert!(before.is_none());
                }
            }
            for cell in want.values_mut() {
                cell.2.sort_unstable();
                cell.2.dedup();
            }
            prop_assert_eq!(got, want);
        }
    }
}
