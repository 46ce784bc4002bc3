//! Cells while they are being counted: open windows as dense slot tables, everything else as rows of
//! numbers. In: runs of records of one window. Out: cells, each (entity, window) once after
//! [`Cells::consolidate`]. It does not know what an entity is called.

use ahash::{AHashMap, AHashSet};
use rayon::prelude::*;
use slowleak_record::Status;

use crate::{Metric, Sketch, View};

/// "No slot", "no entity".
pub(crate) const NONE: u32 = u32::MAX;

/// Windows kept open at once: enough for the jitter of a nearly sorted log around a boundary.
const OPEN: usize = 3;

/// Most cells of one view in one worker: positions are 32 bits wide.
const MOST_CELLS: usize = 1 << 31;

/// Cells below which duplicates are left alone.
const COMPACT_FLOOR: usize = 1 << 20;

/// The metrics of a view, as positions in a cell's row of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Integer metrics in column order, events first, without sources.
    pub(crate) sums: Vec<Metric>,
    pub(crate) sources: bool,
    pub(crate) subjects: bool,
}

impl Shape {
    pub(crate) fn of(view: &View) -> Self {
        let summed = |metric: &&Metric| !matches!(metric, Metric::Sources | Metric::Subjects);
        Self {
            sums: view.metrics().iter().filter(summed).copied().collect(),
            sources: view.metrics().contains(&Metric::Sources),
            subjects: view.metrics().contains(&Metric::Subjects),
        }
    }
}

/// Cells in columns; the same (entity, window) may occur more than once until they are consolidated.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) entities: Vec<u32>,
    pub(crate) windows: Vec<i64>,
    /// One row of `width` numbers a cell.
    pub(crate) sums: Vec<i64>,
    pub(crate) width: usize,
    pub(crate) sketches: Vec<Sketch>,
    /// (cell, source), for views that count distinct sources.
    pub(crate) sources: AHashSet<(u32, u32)>,
}

impl Cells {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    fn push(&mut self, entity: u32, window: i64, subjects: bool) -> u32 {
        let slot = self.entities.len() as u32;
        self.entities.push(entity);
        self.windows.push(window);
        self.sums.resize(self.sums.len() + self.width, 0);
        if subjects {
            self.sketches.push(Sketch::default());
        }
        slot
    }

    /// Moves the cells of `other` in, entities renamed by `map`.
    pub(crate) fn append(&mut self, other: Self, map: impl Fn(u32) -> u32, source: impl Fn(u32) -> u32) {
        let base = self.entities.len() as u32;
        self.entities.extend(other.entities.iter().map(|entity| map(*entity)));
        self.windows.extend(other.windows);
        self.sums.extend(other.sums);
        self.sketches.extend(other.sketches);
        self.sources.extend(other.sources.iter().map(|(cell, name)| (base + cell, source(*name))));
    }

    /// Sorts by (entity, window) and adds up the cells of the same one. The result does not depend on the
    /// order of the cells before: sums saturate, sketches and sets are unions.
    pub(crate) fn consolidate(&mut self) {
        let mut order: Vec<u32> = self.order_by_entity();
        // Windows nearly ascend within an entity: the stable sort finds the runs.
        let windows = &self.windows;
        for_each_entity(&self.entities, &mut order, |cells| {
            if !cells.is_sorted_by_key(|cell| windows[*cell as usize]) {
                cells.sort_by_key(|cell| windows[*cell as usize]);
            }
        });
        let mut out = Self::new(self.width);
        out.entities.reserve(order.len());
        out.windows.reserve(order.len());
        out.sums.reserve(order.len() * self.width);
        out.sketches.reserve(self.sketches.len());
        let mut renamed = vec![0_u32; if self.sources.is_empty() { 0 } else { order.len() }];
        for cell in order {
            let from = cell as usize;
            let (entity, window) = (self.entities[from], self.windows[from]);
            let row = &self.sums[from * self.width..(from + 1) * self.width];
            let same = out.entities.last() == Some(&entity) && out.windows.last() == Some(&window);
            if same {
                let start = out.sums.len() - self.width;
                for (sum, value) in out.sums[start..].iter_mut().zip(row) {
                    *sum = sum.saturating_add(*value);
                }
                if let Some(sketch) = self.sketches.get(from)
                    && let Some(last) = out.sketches.last_mut()
                {
                    last.merge(sketch);
                }
            } else {
                out.entities.push(entity);
                out.windows.push(window);
                out.sums.extend_from_slice(row);
                if let Some(sketch) = self.sketches.get_mut(from) {
                    out.sketches.push(std::mem::take(sketch));
                }
            }
            if let Some(renamed) = renamed.get_mut(from) {
                *renamed = out.entities.len() as u32 - 1;
            }
        }
        out.sources = self.sources.iter().map(|(cell, name)| (renamed[*cell as usize], *name)).collect();
        *self = out;
    }

    /// Cell positions in ascending order of entity (counting sort, stable).
    fn order_by_entity(&self) -> Vec<u32> {
        let entities = self.entities.iter().max().map_or(0, |max| *max as usize + 1);
        let mut starts = vec![0_u32; entities + 1];
        for entity in &self.entities {
            starts[*entity as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut order = vec![0_u32; self.entities.len()];
        for (cell, entity) in self.entities.iter().enumerate() {
            let at = &mut starts[*entity as usize];
            order[*at as usize] = cell as u32;
            *at += 1;
        }
        order
    }
}

/// Calls `each` with the slice of `order` that belongs to each entity, in parallel.
fn for_each_entity(entities: &[u32], order: &mut [u32], each: impl Fn(&mut [u32]) + Send + Sync) {
    order.par_chunk_by_mut(|a, b| entities[*a as usize] == entities[*b as usize]).for_each(each);
}

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
    cells: Cells,
    /// Open windows, ascending.
    open: Vec<OpenWindow>,
    /// Slot tables of closed windows, for reuse.
    spare: Vec<Vec<u32>>,
    /// Cells of windows older than every open one, since the last compaction.
    late: AHashMap<(u32, i64), u32>,
    /// Whether the unit may still move the open windows back in time.
    may_rewind: bool,
    compact_at: usize,
    overflowed: bool,
}

/// Slots by entity, and the cells opened through them.
#[derive(Debug)]
struct OpenWindow {
    start: i64,
    slots: Vec<u32>,
    touched: Vec<u32>,
}

impl Counter {
    pub(crate) fn new(view: &View) -> Self {
        let shape = Shape::of(view);
        Self {
            cells: Cells::new(shape.sums.len()),
            shape,
            open: Vec::new(),
            spare: Vec::new(),
            late: AHashMap::new(),
            may_rewind: true,
            compact_at: COMPACT_FLOOR,
            overflowed: false,
        }
    }

    /// A new unit begins: it may lie anywhere in time.
    pub(crate) fn start_unit(&mut self) {
        self.may_rewind = true;
    }

    /// The cells; `None` where there were too many.
    pub(crate) fn finish(self) -> Option<Cells> {
        (!self.overflowed).then_some(self.cells)
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
        if self.cells.len() >= self.compact_at {
            self.compact();
        }
        if self.cells.len() > MOST_CELLS {
            self.overflowed = true;
            return;
        }
        let open = self.open_window(window);
        let subjects = self.shape.subjects;
        let adder = Adder::new(&self.shape, columns);
        let cells = &mut self.cells;
        match open {
            Some(at) => {
                let open = &mut self.open[at];
                if open.slots.len() < known {
                    open.slots.resize(known, NONE);
                }
                for row in range {
                    let entity = entities[row];
                    if entity == NONE {
                        continue;
                    }
                    let mut slot = open.slots[entity as usize];
                    if slot == NONE {
                        slot = cells.push(entity, window, subjects);
                        open.slots[entity as usize] = slot;
                        open.touched.push(entity);
                    }
                    adder.add(cells, slot, row);
                }
            }
            None => {
                for row in range {
                    let entity = entities[row];
                    if entity == NONE {
                        continue;
                    }
                    let late = &mut self.late;
                    let slot =
                        *late.entry((entity, window)).or_insert_with(|| cells.push(entity, window, subjects));
                    adder.add(cells, slot, row);
                }
            }
        }
    }

    /// Position of the open window, opened if it may be; `None` where it is older than every open one.
    fn open_window(&mut self, start: i64) -> Option<usize> {
        if let Some(at) = self.open.iter().rposition(|open| open.start == start) {
            return Some(at);
        }
        let full = self.open.len() == OPEN;
        if full && self.open[0].start > start {
            if !self.may_rewind {
                return None;
            }
            self.may_rewind = false;
            self.close_all();
        } else if full {
            self.close(0);
        }
        let at = self.open.partition_point(|open| open.start < start);
        let slots = self.spare.pop().unwrap_or_default();
        self.open.insert(at, OpenWindow { start, slots, touched: Vec::new() });
        Some(at)
    }

    fn close(&mut self, at: usize) {
        let mut closed = self.open.remove(at);
        for entity in closed.touched {
            closed.slots[entity as usize] = NONE;
        }
        self.spare.push(closed.slots);
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close(self.open.len() - 1);
        }
    }

    /// Adds up duplicates, so that memory stays in proportion to distinct cells.
    fn compact(&mut self) {
        self.close_all();
        self.late.clear();
        self.cells.consolidate();
        self.compact_at = (self.cells.len() * 2).max(COMPACT_FLOOR);
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
            width: shape.sums.len(),
            rows: fed(Metric::Rows, columns.rows),
            bytes: fed(Metric::Bytes, columns.bytes),
            status: wanted.then_some((status, columns.status)),
            subjects: if shape.subjects { columns.subjects } else { &[] },
            sources: if shape.sources { columns.sources } else { &[] },
        }
    }

    /// Adds one record to a cell.
    #[inline]
    fn add(&self, cells: &mut Cells, slot: u32, row: usize) {
        let at = slot as usize;
        let values = &mut cells.sums[at * self.width..(at + 1) * self.width];
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
            cells.sketches[at].insert_hash(*hash);
        }
        if let Some(source) = self.sources.get(row)
            && *source != NONE
        {
            cells.sources.insert((slot, *source));
        }
    }
}
