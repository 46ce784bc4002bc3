//! Counting: records of one view in one worker into blocks of cells. In: runs of records of one window.
//! Out: blocks. Windows that are open have a dense table from entity to cell, so that a record costs an
//! array access; only records older than every open window are looked up by hash.

use ahash::AHashMap;
use slowleak_record::Status;
use slowleak_scan::Subjects;

use crate::block::{Block, NONE, Shape};
use crate::closed::Closed;
use crate::subject_log::SubjectLog;
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
    pub(crate) subjects: Subjects<'a>,
    pub(crate) sources: &'a [u32],
}

/// The cells of one view in one worker.
#[derive(Debug)]
pub(crate) struct Counter {
    shape: Shape,
    /// Open windows, ascending.
    open: Vec<OpenWindow>,
    /// Empty blocks of closed windows, their slot tables, all [`NONE`], and their empty logs, for reuse.
    spare: Vec<OpenWindow>,
    /// Scratch: the cell of each record of a run.
    cells: Vec<u32>,
    /// A window may have several.
    closed: Vec<Closed>,
    /// Cells in closed blocks.
    closed_cells: usize,
    compact_at: usize,
    late: Late,
    /// Whether the unit may still move the open windows back in time.
    may_rewind: bool,
    overflowed: bool,
}

/// A block, the cell of each entity in it, and subjects that its sketches have not taken yet.
#[derive(Debug, Default)]
struct OpenWindow {
    block: Block,
    slots: Vec<u32>,
    log: SubjectLog,
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
            cells: Vec::new(),
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
        let shape = &self.shape;
        let columns = columns.rows_of(range.clone());
        let entities = &entities[range];
        self.cells.clear();
        match open {
            Some(at) => {
                let OpenWindow { block, slots, log } = &mut self.open[at];
                if slots.len() < known {
                    slots.resize(known, NONE);
                }
                self.cells.extend(entities.iter().map(|entity| match slots.get_mut(*entity as usize) {
                    Some(slot) => {
                        if *slot == NONE {
                            *slot = block.push(*entity, shape);
                        }
                        *slot
                    }
                    None => NONE,
                }));
                add(block, shape, &self.cells, &columns);
                if shape.subjects {
                    let Subjects { hashes, valid } = columns.subjects;
                    log.add(&self.cells, hashes, valid, &mut block.sketches);
                }
            }
            None => {
                let Late { cells, windows, block } = &mut self.late;
                self.cells.extend(entities.iter().map(|entity| match *entity {
                    NONE => NONE,
                    entity => *cells.entry((entity, window)).or_insert_with(|| {
                        windows.push(window);
                        block.push(entity, shape)
                    }),
                }));
                add(block, shape, &self.cells, &columns);
                if shape.subjects {
                    // Late records come in ones and twos: a log would cost more than it saves.
                    let Subjects { hashes, valid } = columns.subjects;
                    for (row, (cell, hash)) in self.cells.iter().zip(hashes).enumerate() {
                        if let Some(sketch) = block.sketches.get_mut(*cell as usize)
                            && valid.get(row).is_none_or(|valid| *valid)
                        {
                            sketch.insert_hash(*hash);
                        }
                    }
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
        let mut fresh = self.spare.pop().unwrap_or_default();
        fresh.block.window = start;
        self.open.insert(at, fresh);
        Some(at)
    }

    fn close(&mut self, at: usize) {
        let mut window = self.open.remove(at);
        window.log.deal(&mut window.block.sketches);
        for entity in &window.block.entities {
            window.slots[*entity as usize] = NONE;
        }
        let closed = Closed::of(&mut window.block, &self.shape);
        self.spare.push(window);
        self.closed_cells += closed.len();
        self.closed.push(closed);
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close(self.open.len() - 1);
        }
    }

    /// Adds up closed blocks of the same window, so that memory stays in proportion to distinct cells.
    fn compact(&mut self) {
        let mut slots = self.spare.pop().unwrap_or_default();
        self.closed = unite(std::mem::take(&mut self.closed), &self.shape, &mut slots.slots);
        self.spare.push(slots);
        self.closed_cells = self.closed.iter().map(Closed::len).sum();
        self.compact_at = (self.closed_cells * 2).max(COMPACT_FLOOR);
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.closed.iter().map(Closed::bytes).sum()
    }

    /// All blocks, in no particular order; `None` where there were too many cells.
    pub(crate) fn finish(mut self) -> Option<Vec<Closed>> {
        self.close_all();
        let Late { windows, mut block, .. } = self.late;
        let mut order: Vec<u32> = (0..windows.len() as u32).collect();
        order.sort_unstable_by_key(|cell| (windows[*cell as usize], *cell));
        let width = self.shape.width();
        let mut late = Vec::new();
        let mut renamed = vec![(0, 0); if block.sources.is_empty() { 0 } else { windows.len() }];
        for cells in order.chunk_by(|a, b| windows[*a as usize] == windows[*b as usize]) {
            let Some(first) = cells.first() else { continue };
            let mut of_window = Block::new(windows[*first as usize], &self.shape, cells.len());
            for cell in cells {
                let from = *cell as usize;
                if let Some(renamed) = renamed.get_mut(from) {
                    *renamed = (late.len(), of_window.len() as u32);
                }
                of_window.entities.push(block.entities[from]);
                of_window.sums.extend_from_slice(&block.sums[from * width..(from + 1) * width]);
                of_window.sketches.extend(block.sketches.get_mut(from).map(std::mem::take));
            }
            late.push(of_window);
        }
        for (cell, source) in &block.sources {
            let (at, cell) = renamed[*cell as usize];
            late[at].sources.insert((cell, *source));
        }
        self.closed.extend(late.iter_mut().map(|block| Closed::of(block, &self.shape)));
        (!self.overflowed).then_some(self.closed)
    }
}

/// Blocks by time, those of one window added up. `slots` is scratch, all [`NONE`] before and after.
pub(crate) fn unite(mut blocks: Vec<Closed>, shape: &Shape, slots: &mut Vec<u32>) -> Vec<Closed> {
    blocks.sort_by_key(|block| block.window);
    let mut out: Vec<Closed> = Vec::with_capacity(blocks.len());
    let mut blocks = blocks.into_iter().peekable();
    while let Some(first) = blocks.next() {
        let window = first.window;
        if blocks.peek().is_none_or(|next| next.window != window) {
            out.push(first);
            continue;
        }
        let mut all = first.reopen();
        while let Some(more) = blocks.next_if(|next| next.window == window) {
            all.merge(more.reopen(), shape, slots);
        }
        out.push(Closed::of(&mut all, shape));
    }
    out
}

impl<'a> Columns<'a> {
    /// The columns of some records.
    fn rows_of(&self, range: std::ops::Range<usize>) -> Self {
        fn part<'a, T>(column: &'a [T], range: &std::ops::Range<usize>) -> &'a [T] {
            column.get(range.clone()).unwrap_or_default()
        }
        Self {
            rows: part(self.rows, &range),
            bytes: part(self.bytes, &range),
            status: part(self.status, &range),
            subjects: Subjects {
                hashes: part(self.subjects.hashes, &range),
                valid: part(self.subjects.valid, &range),
            },
            sources: part(self.sources, &range),
        }
    }
}

/// Adds records to their cells, one metric after the other.
fn add(block: &mut Block, shape: &Shape, cells: &[u32], columns: &Columns<'_>) {
    let width = shape.width();
    for (at, metric) in shape.sums.iter().enumerate() {
        let sums = &mut block.sums;
        let mut sum = |cell: u32, more: i64| {
            // Records without a cell lie beyond the end.
            if let Some(sum) = sums.get_mut((cell as usize).wrapping_mul(width).wrapping_add(at)) {
                *sum = sum.saturating_add(more);
            }
        };
        let mut sum_column =
            |column: &[i64]| cells.iter().zip(column).for_each(|(cell, more)| sum(*cell, *more));
        let status = match metric {
            Metric::Events => {
                cells.iter().for_each(|cell| sum(*cell, 1));
                continue;
            }
            Metric::Rows => {
                sum_column(columns.rows);
                continue;
            }
            Metric::Bytes => {
                sum_column(columns.bytes);
                continue;
            }
            Metric::Denied => Status::Denied,
            Metric::Missing => Status::Missing,
            Metric::Error => Status::Error,
            Metric::Sources | Metric::Subjects => continue,
        };
        for (cell, _) in cells.iter().zip(columns.status).filter(|(_, other)| **other == status) {
            sum(*cell, 1);
        }
    }
    if shape.sources {
        let known =
            cells.iter().zip(columns.sources).filter(|(cell, source)| **cell != NONE && **source != NONE);
        block.sources.extend(known.map(|(cell, source)| (*cell, *source)));
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
                let hashes: Vec<u64> =
                    sources.iter().map(|source| slowleak_scan::subject_hash(&[*source as u8])).collect();
                let subjects = Subjects { hashes: &hashes, valid: &[] };
                let columns =
                    Columns { rows: &rows, bytes: &[], status: &[], subjects, sources: &sources };
                for (row, (window, entity, more, source)) in unit.iter().enumerate() {
                    counter.count(*window, row..row + 1, &entities, 6, &columns);
                    let cell = want.entry((*window, *entity)).or_default();
                    cell.0 += 1;
                    cell.1 += more;
                    cell.2.push(*source);
                }
            }
            let shape = counter.shape.clone();
            let united = unite(counter.finish().unwrap(), &shape, &mut Vec::new());
            let mut got = BTreeMap::new();
            for block in united.into_iter().map(Closed::reopen) {
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
