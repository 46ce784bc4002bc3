//! Counting: records of one view in one worker into blocks of cells. In: runs of records of one window.
//! Out: blocks. A few windows are open at once; only records older than every one of these are looked up by hash.

use ahash::AHashMap;
use slowleak_record::Status;
use slowleak_scan::Subjects;

use crate::block::{Block, NONE, Shape};
use crate::closed::Closed;
use crate::compound::PairIds;
use crate::kernels::add_rows;
use crate::open::{EntityIds, OpenWindow};
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
    /// Empty blocks of closed windows, their empty slots and logs, for reuse.
    spare: Vec<OpenWindow>,
    /// A window may have several.
    closed: Vec<Closed>,
    /// Cells in closed blocks, and their bytes.
    closed_cells: usize,
    closed_bytes: usize,
    compact_at: usize,
    late: Late,
    /// Whether the unit may still move the open windows back in time.
    may_rewind: bool,
    /// Whether pairs recurred in the window that was closed last.
    recur: bool,
    overflowed: bool,
}

/// Cells of windows older than every open one; the block's own window means nothing.
#[derive(Debug, Default)]
struct Late {
    places: AHashMap<(u32, i64), u32>,
    /// Scratch: the id of each record of a run where it has none yet, and the cell.
    ids: Vec<u32>,
    cells: Vec<u32>,
    windows: Vec<i64>,
    block: Block,
    /// What the sketches hold on the heap.
    sketch_bytes: usize,
}

impl Counter {
    pub(crate) fn new(view: &View) -> Self {
        Self {
            shape: Shape::of(view),
            open: Vec::new(),
            spare: Vec::new(),
            closed: Vec::new(),
            closed_cells: 0,
            closed_bytes: 0,
            compact_at: COMPACT_FLOOR,
            late: Late::default(),
            may_rewind: true,
            recur: true,
            overflowed: false,
        }
    }

    /// A new unit begins: it may lie anywhere in time.
    pub(crate) fn start_unit(&mut self) {
        self.may_rewind = true;
    }

    /// Counts the records `range`, all of the window that starts at `window`; `entities` of the whole batch. `pairs` are
    /// the worker's, of a compound.
    pub(crate) fn count(
        &mut self,
        window: i64,
        range: std::ops::Range<usize>,
        entities: EntityIds<'_>,
        columns: &Columns<'_>,
        pairs: &mut [PairIds],
    ) {
        if self.closed_cells + self.late.block.len() > MOST_CELLS {
            self.overflowed = true;
            return;
        }
        let open = self.open_window(window, pairs);
        let shape = &self.shape;
        let columns = columns.rows_of(range.clone());
        let entities = entities.rows_of(range);
        match open {
            Some(at) => {
                let open = &mut self.open[at];
                open.find(entities, pairs, shape);
                add(&mut open.block, shape, &open.cells, &columns);
                open.add_subjects(columns.subjects);
            }
            None => {
                let Late { places, ids, cells, windows, block, sketch_bytes } = &mut self.late;
                let ids = match (entities, pairs.last_mut()) {
                    (EntityIds::Field { ids, .. }, _) => ids,
                    (EntityIds::Compound(keys), pairs) => {
                        if let Some(pairs) = pairs {
                            pairs.resolve(keys, ids);
                        }
                        ids
                    }
                };
                cells.clear();
                cells.extend(ids.iter().map(|entity| match *entity {
                    NONE => NONE,
                    entity => *places.entry((entity, window)).or_insert_with(|| {
                        windows.push(window);
                        block.push(entity, shape)
                    }),
                }));
                add(block, shape, cells, &columns);
                // Late records come in ones and twos: a log would cost more than it saves.
                let Subjects { hashes, blocks, valid } = columns.subjects;
                for (sketches, hashes) in block.sketches.columns_mut().into_iter().zip([hashes, blocks]) {
                    for (row, (cell, hash)) in cells.iter().zip(hashes).enumerate() {
                        if let Some(sketch) = sketches.get_mut(*cell as usize)
                            && valid.get(row).is_none_or(|valid| *valid)
                        {
                            let before = sketch.heap_bytes();
                            sketch.insert_hash(*hash);
                            *sketch_bytes = (*sketch_bytes + sketch.heap_bytes()).saturating_sub(before);
                        }
                    }
                }
            }
        }
    }

    /// Position of the open window, opened if it may be; `None` where it is older than every open one.
    fn open_window(&mut self, start: i64, pairs: &mut [PairIds]) -> Option<usize> {
        if let Some(at) = self.open.iter().rposition(|open| open.block.window == start) {
            return Some(at);
        }
        let full = self.open.len() == OPEN;
        if full && self.open[0].block.window > start {
            if !self.may_rewind {
                return None;
            }
            self.may_rewind = false;
            self.close_all(pairs);
        } else if full {
            self.close(0, pairs);
        }
        if self.closed_cells >= self.compact_at {
            self.compact();
        }
        let at = self.open.partition_point(|open| open.block.window < start);
        let mut fresh = self.spare.pop().unwrap_or_default();
        fresh.start(start, self.recur);
        self.open.insert(at, fresh);
        Some(at)
    }

    fn close(&mut self, at: usize, pairs: &mut [PairIds]) {
        let mut window = self.open.remove(at);
        self.recur = window.recurs();
        let closed = window.close(pairs, &self.shape);
        self.spare.push(window);
        self.closed_cells += closed.len();
        self.closed_bytes += closed.bytes();
        self.closed.push(closed);
    }

    fn close_all(&mut self, pairs: &mut [PairIds]) {
        while !self.open.is_empty() {
            self.close(self.open.len() - 1, pairs);
        }
    }

    /// Adds up closed blocks of the same window, so that memory stays in proportion to distinct cells.
    fn compact(&mut self) {
        self.closed = unite(std::mem::take(&mut self.closed), &self.shape, &mut Vec::new());
        self.closed_cells = self.closed.iter().map(Closed::len).sum();
        self.closed_bytes = self.closed.iter().map(Closed::bytes).sum();
        self.compact_at = (self.closed_cells * 2).max(COMPACT_FLOOR);
    }

    /// Bytes on the heap, about: closed, open and late cells.
    pub(crate) fn bytes(&self) -> usize {
        let open: usize = self.open.iter().chain(&self.spare).map(OpenWindow::bytes).sum();
        open + self.late.bytes() + self.closed_bytes + self.closed.capacity() * size_of::<Closed>()
    }

    /// All blocks, in no particular order; `None` where there were too many cells.
    pub(crate) fn finish(mut self, pairs: &mut [PairIds]) -> Option<Vec<Closed>> {
        self.close_all(pairs);
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
                block.sketches.hand_on(from, &mut of_window.sketches);
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

impl Late {
    fn bytes(&self) -> usize {
        // A place in the map has a byte of its own, and its share of those that stay empty.
        let place = size_of::<((u32, i64), u32)>() + 2;
        self.places.capacity() * place
            + (self.ids.capacity() + self.cells.capacity()) * size_of::<u32>()
            + self.windows.capacity() * size_of::<i64>()
            + self.block.bytes()
            + self.sketch_bytes
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
            all.merge(&more.reopen(), shape, slots);
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
                blocks: part(self.subjects.blocks, &range),
                valid: part(self.subjects.valid, &range),
            },
            sources: part(self.sources, &range),
        }
    }
}

/// Adds records to their cells.
fn add(block: &mut Block, shape: &Shape, cells: &[u32], columns: &Columns<'_>) {
    let values = |metric: &Metric| match metric {
        Metric::Rows => Some(columns.rows),
        Metric::Bytes => Some(columns.bytes),
        _ => None,
    };
    // Events come first, then rows and bytes.
    let mut summed = [&[][..]; 2];
    let mut count = 0;
    for (place, values) in summed.iter_mut().zip(shape.sums.iter().filter_map(values)) {
        *place = values;
        count += 1;
    }
    let width = shape.width();
    add_rows(&mut block.sums, width, cells, &summed[..count]);
    if width > 1 + count {
        // Few accesses fail.
        let place = |metric| shape.sums.iter().position(|other| *other == metric);
        let places = [
            (Status::Denied, place(Metric::Denied)),
            (Status::Missing, place(Metric::Missing)),
            (Status::Error, place(Metric::Error)),
        ];
        let failed = cells.iter().zip(columns.status).filter(|(_, status)| **status != Status::Ok);
        for (cell, status) in failed {
            let place = places.iter().find(|(other, _)| other == status).and_then(|(_, place)| *place);
            let at = place.map(|place| (*cell as usize).wrapping_mul(width).wrapping_add(place));
            // Records without a cell lie beyond the end.
            if let Some(sum) = at.and_then(|at| block.sums.get_mut(at)) {
                *sum = sum.saturating_add(1);
            }
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

    use slowleak_scan::subject_hash;

    use crate::Sketch;
    use crate::compound::pair;

    /// Entities of the test; one more stands for none.
    const ENTITIES: u32 = 6;

    /// (window, entity, (rows, bytes), status, (source, whether its subject is valid)).
    type Record = (i64, u32, (i64, i64), u8, (u32, bool));

    /// What a cell should hold.
    #[derive(Debug, Default, PartialEq)]
    struct Want {
        sums: [i64; 5],
        sources: std::collections::BTreeSet<u32>,
        sketches: [Sketch; 2],
    }

    /// Sums of honest numbers, and of such as saturate.
    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![20 => 0..50_i64, 3 => 0..1_i64 << 40, 1 => Just(i64::MAX), 1 => Just(i64::MAX / 2)]
    }

    fn record() -> impl Strategy<Value = Record> {
        (0..9_i64, 0..=ENTITIES, (number(), number()), 0..8_u8, (0..4_u32, any::<bool>()))
    }

    proptest! {
        /// Units in any order of time, disordered within, with blocks united as soon as there are a few cells.
        #[test]
        fn every_record_is_counted_once(
            units in proptest::collection::vec(proptest::collection::vec(record(), 0..40), 0..12),
            compact_at in 1_usize..40,
            sorted: bool,
            compound: bool,
        ) {
            let view = "key@1h:rows,bytes,denied,error,sources,subjects,blocks".parse().unwrap();
            let mut counter = Counter::new(&view);
            let mut pairs: Vec<PairIds> = Vec::new();
            pairs.resize_with(compound.into(), PairIds::default);
            let mut want: BTreeMap<(i64, u32), Want> = BTreeMap::new();
            for (number, mut unit) in units.into_iter().enumerate() {
                if sorted {
                    unit.sort_by_key(|record| record.0);
                }
                counter.start_unit();
                counter.compact_at = compact_at;
                let entity = |record: &Record| if record.1 == ENTITIES { NONE } else { record.1 };
                let ids: Vec<u32> = unit.iter().map(entity).collect();
                let keys: Vec<u64> = ids.iter().map(|id| pair(*id, 7)).collect();
                let entities = if compound {
                    EntityIds::Compound(&keys)
                } else {
                    EntityIds::Field { ids: &ids, known: ENTITIES as usize }
                };
                let rows: Vec<i64> = unit.iter().map(|record| record.2.0).collect();
                // A file may lack a column.
                let has_bytes = number % 4 != 3;
                let bytes: Vec<i64> = unit.iter().filter(|_| has_bytes).map(|record| record.2.1).collect();
                let statuses = [Status::Denied, Status::Missing, Status::Error];
                let status = |record: &Record| statuses.get(record.3 as usize).copied().unwrap_or_default();
                let status: Vec<Status> = unit.iter().map(status).collect();
                let sources: Vec<u32> = unit.iter().map(|record| record.4.0).collect();
                let hashes: Vec<u64> = sources.iter().map(|source| subject_hash(&[*source as u8])).collect();
                let blocks: Vec<u64> = sources.iter().map(|source| subject_hash(&[*source as u8 / 2])).collect();
                let valid: Vec<bool> = unit.iter().map(|record| record.4.1).collect();
                let columns = Columns {
                    rows: &rows,
                    bytes: &bytes,
                    status: &status,
                    subjects: Subjects { hashes: &hashes, blocks: &blocks, valid: &valid },
                    sources: &sources,
                };
                let mut start = 0;
                for run in unit.chunk_by(|a, b| a.0 == b.0) {
                    let range = start..start + run.len();
                    start = range.end;
                    counter.count(run[0].0, range, entities, &columns, &mut pairs);
                }
                for (row, record) in unit.iter().enumerate().filter(|(_, record)| record.1 != ENTITIES) {
                    let cell = want.entry((record.0, record.1)).or_default();
                    let more = [
                        1,
                        record.2.0,
                        if has_bytes { record.2.1 } else { 0 },
                        i64::from(status[row] == Status::Denied),
                        i64::from(status[row] == Status::Error),
                    ];
                    cell.sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
                    cell.sources.insert(record.4.0);
                    if record.4.1 {
                        cell.sketches[0].insert_hash(hashes[row]);
                        cell.sketches[1].insert_hash(blocks[row]);
                    }
                }
            }
            prop_assert!(want.is_empty() || counter.bytes() > 0);
            let shape = counter.shape.clone();
            let united = unite(counter.finish(&mut pairs).unwrap(), &shape, &mut Vec::new());
            let of_pair: Vec<u32> = pairs.iter().flat_map(PairIds::pairs).map(|(id, _)| id).collect();
            let mut got = BTreeMap::new();
            for block in united.into_iter().map(Closed::reopen) {
                for (cell, entity) in block.entities.iter().enumerate() {
                    let of_cell = block.sources.iter().filter(|(at, _)| *at as usize == cell);
                    let is = Want {
                        sums: block.sums[5 * cell..][..5].try_into().unwrap(),
                        sources: of_cell.map(|(_, source)| *source).collect(),
                        sketches: block.sketches.columns().map(|column| column[cell].clone()),
                    };
                    let entity = of_pair.get(*entity as usize).unwrap_or(entity);
                    prop_assert!(got.insert((block.window, *entity), is).is_none());
                }
            }
            prop_assert_eq!(got, want);
        }
    }

    /// What a counter says it holds grows with what it counts, and is near what closed cells take.
    #[test]
    fn bytes_follow_the_cells() {
        let mut counter = Counter::new(&"key@1h:rows,subjects".parse().unwrap());
        let ids: Vec<u32> = (0..1000).collect();
        let entities = EntityIds::Field { ids: &ids, known: 1000 };
        let rows: Vec<i64> = (0..1000).collect();
        let hashes: Vec<u64> = (0..1000_u32).map(|n| subject_hash(&n.to_le_bytes())).collect();
        let subjects = Subjects { hashes: &hashes, blocks: &[], valid: &[] };
        let columns = Columns { rows: &rows, bytes: &[], status: &[], subjects, sources: &[] };
        let mut count = |windows: std::ops::Range<i64>| {
            windows.for_each(|window| counter.count(window, 0..1000, entities, &columns, &mut []));
            counter.bytes()
        };
        let (few, many, late) = (count(0..10), count(10..110), count(0..100));
        // An entity, events in a byte, rows in two, a sketch.
        let cell = 4 + 1 + 2 + size_of::<Sketch>();
        let grown = (many - few) / (100 * 1000);
        assert!((cell..cell + 2).contains(&grown), "{grown}");
        assert!(late - many > 100 * 1000 * cell, "{late} after {many}");
    }
}
