//! Closed blocks: cells of a window that no record will be added to soon, as small as they go. In: a block. Out: the
//! same numbers in columns as narrow as their largest value; most are small, and many columns are all zeros.

use ahash::AHashSet;

use crate::block::{Block, Shape};
use crate::sketches::Sketches;

/// Bytes of a place in a set of (cell, source), its share of those that stay empty included.
pub(crate) const SOURCE_BYTES: usize = 10;

/// See the module. An entity occurs once.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Start of the window.
    pub(crate) window: i64,
    pub(crate) entities: Vec<u32>,
    /// One a metric of the shape, as in a block's row.
    pub(crate) columns: Vec<Narrow>,
    pub(crate) sketches: Sketches,
    pub(crate) sources: AHashSet<(u32, u32)>,
    /// What the sketches hold on the heap.
    sketch_bytes: usize,
}

/// Numbers that are never negative, none larger than its width holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Narrow {
    Zeros,
    Bytes(Vec<u8>),
    Halves(Vec<u16>),
    Words(Vec<u32>),
    Wide(Vec<i64>),
}

impl Narrow {
    /// The numbers at `at` of each row, given all their bits together: the largest has the highest of these.
    fn of_rows<const WIDTH: usize>(rows: &[[i64; WIDTH]], at: usize, bits: i64) -> Self {
        let values = || rows.iter().map(|row| row[at]);
        match bits {
            0 => Self::Zeros,
            0x1..=0xff => Self::Bytes(values().map(|value| value as u8).collect()),
            0x100..=0xffff => Self::Halves(values().map(|value| value as u16).collect()),
            0x1_0000..=0xffff_ffff => Self::Words(values().map(|value| value as u32).collect()),
            // Saturated counts need all bits; negative ones do not occur, but would too.
            _ => Self::Wide(values().collect()),
        }
    }

    /// Bytes on the heap.
    fn bytes(&self) -> usize {
        match self {
            Self::Zeros => 0,
            Self::Bytes(values) => values.len(),
            Self::Halves(values) => size_of_val(values.as_slice()),
            Self::Words(values) => size_of_val(values.as_slice()),
            Self::Wide(values) => size_of_val(values.as_slice()),
        }
    }

    /// The value of a cell.
    pub(crate) fn get(&self, cell: usize) -> i64 {
        match self {
            Self::Zeros => 0,
            Self::Bytes(values) => values[cell].into(),
            Self::Halves(values) => values[cell].into(),
            Self::Words(values) => values[cell].into(),
            Self::Wide(values) => values[cell],
        }
    }

    /// No numbers, of which each may take up to `width` bytes.
    pub(crate) fn empty(width: usize) -> Self {
        match width {
            0 => Self::Zeros,
            1 => Self::Bytes(Vec::new()),
            2 => Self::Halves(Vec::new()),
            4 => Self::Words(Vec::new()),
            _ => Self::Wide(Vec::new()),
        }
    }

    /// Bytes that a number takes.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Zeros => 0,
            Self::Bytes(_) => 1,
            Self::Halves(_) => 2,
            Self::Words(_) => 4,
            Self::Wide(_) => 8,
        }
    }

    /// Appends the values of `cells` of a column that is no wider than this one.
    pub(crate) fn append(&mut self, from: &Self, cells: &[u32]) {
        fn pick<T, F: Copy + Into<i64>>(
            out: &mut Vec<T>,
            from: &[F],
            cells: &[u32],
            narrow: impl Fn(i64) -> T,
        ) {
            out.extend(cells.iter().map(|cell| narrow(from[*cell as usize].into())));
        }
        fn append<T>(out: &mut Vec<T>, from: &Narrow, cells: &[u32], narrow: impl Fn(i64) -> T) {
            match from {
                Narrow::Zeros => out.extend(cells.iter().map(|_| narrow(0))),
                Narrow::Bytes(from) => pick(out, from, cells, narrow),
                Narrow::Halves(from) => pick(out, from, cells, narrow),
                Narrow::Words(from) => pick(out, from, cells, narrow),
                Narrow::Wide(from) => pick(out, from, cells, narrow),
            }
        }
        match self {
            Self::Zeros => {}
            Self::Bytes(out) => append(out, from, cells, |value| value as u8),
            Self::Halves(out) => append(out, from, cells, |value| value as u16),
            Self::Words(out) => append(out, from, cells, |value| value as u32),
            Self::Wide(out) => append(out, from, cells, |value| value),
        }
    }

    /// Adds each value to the number at `at` of its cell's row in `sums`, `width` numbers each. Sums saturate.
    pub(crate) fn add_to(&self, cells: &[u32], sums: &mut [i64], width: usize, at: usize) {
        fn add<T: Copy + Into<i64>>(values: &[T], cells: &[u32], sums: &mut [i64], width: usize, at: usize) {
            for (cell, value) in cells.iter().zip(values) {
                let sum = &mut sums[*cell as usize * width + at];
                *sum = sum.saturating_add((*value).into());
            }
        }
        match self {
            Self::Zeros => {}
            Self::Bytes(values) => add(values, cells, sums, width, at),
            Self::Halves(values) => add(values, cells, sums, width, at),
            Self::Words(values) => add(values, cells, sums, width, at),
            Self::Wide(values) => add(values, cells, sums, width, at),
        }
    }

    /// Writes the values of `cells` to `places` of `out`, which holds zeros there.
    pub(crate) fn scatter(&self, cells: std::ops::Range<usize>, places: &[usize], out: &mut [i64]) {
        fn scatter<T: Copy + Into<i64>>(values: &[T], places: &[usize], out: &mut [i64]) {
            places.iter().zip(values).for_each(|(place, value)| out[*place] = (*value).into());
        }
        match self {
            Self::Zeros => {}
            Self::Bytes(values) => scatter(&values[cells], places, out),
            Self::Halves(values) => scatter(&values[cells], places, out),
            Self::Words(values) => scatter(&values[cells], places, out),
            Self::Wide(values) => scatter(&values[cells], places, out),
        }
    }
}

/// The least that an allocator takes for anything.
const CHUNK: usize = 32;

impl Closed {
    /// Closes a block and leaves its room to be used again: it is empty afterwards.
    pub(crate) fn of(block: &mut Block, shape: &Shape) -> Self {
        let [subjects, blocks] = block.sketches.columns_mut().map(|column| Vec::from_iter(column.drain(..)));
        let sketches = Sketches { subjects, blocks };
        let closed = Self {
            window: block.window,
            entities: block.entities.clone(),
            columns: columns(&block.sums, shape.width()),
            sketch_bytes: sketches.heap_bytes(),
            sketches,
            sources: std::mem::take(&mut block.sources),
        };
        block.entities.clear();
        block.sums.clear();
        closed
    }

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Bytes on the heap, about.
    pub(crate) fn bytes(&self) -> usize {
        // Where windows are many and cells few, what a block is made of outweighs what is in it.
        let allocations = 3 + self.columns.len();
        allocations * CHUNK
            + size_of_val(self.columns.as_slice())
            + size_of_val(self.entities.as_slice())
            + self.columns.iter().map(Narrow::bytes).sum::<usize>()
            + self.sketches.room_bytes()
            + self.sketch_bytes
            + self.sources.capacity() * SOURCE_BYTES
    }

    /// The block that was closed.
    pub(crate) fn reopen(self) -> Block {
        let cells = 0..self.entities.len();
        let row = |cell: usize| self.columns.iter().map(move |column| column.get(cell));
        Block {
            window: self.window,
            sums: cells.flat_map(row).collect(),
            entities: self.entities,
            sketches: self.sketches,
            sources: self.sources,
        }
    }

    /// Replaces the ids of sources.
    pub(crate) fn rename_sources(&mut self, rename: impl Fn(u32) -> u32) {
        self.sources = self.sources.drain().map(|(cell, source)| (cell, rename(source))).collect();
    }
}

/// Rows of sums, `width` numbers each, as columns.
fn columns(sums: &[i64], width: usize) -> Vec<Narrow> {
    // Rows of a known width are read several times as fast.
    match width {
        1 => columns_of(sums.as_chunks::<1>().0),
        2 => columns_of(sums.as_chunks::<2>().0),
        3 => columns_of(sums.as_chunks::<3>().0),
        4 => columns_of(sums.as_chunks::<4>().0),
        5 => columns_of(sums.as_chunks::<5>().0),
        _ => columns_of(sums.as_chunks::<6>().0),
    }
}

fn columns_of<const WIDTH: usize>(rows: &[[i64; WIDTH]]) -> Vec<Narrow> {
    let mut bits = [0; WIDTH];
    for row in rows {
        bits.iter_mut().zip(row).for_each(|(bits, value)| *bits |= value);
    }
    (0..WIDTH).map(|at| Narrow::of_rows(rows, at, bits[at])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![Just(0), 0..300_i64, 0..70_000_i64, 0..1_i64 << 40, Just(i64::MAX), any::<i64>()]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_by_closing(rows in proptest::collection::vec((value(), value()), 0..40)) {
            let shape = Shape::of(&"key@1h:rows".parse().unwrap());
            let mut block = Block::new(5, &shape, 0);
            for (entity, (events, more)) in rows.iter().enumerate() {
                block.push(entity as u32 * 3, &shape);
                let at = block.sums.len() - 2;
                block.sums[at..].copy_from_slice(&[*events, *more]);
            }
            let (entities, sums) = (block.entities.clone(), block.sums.clone());
            let closed = Closed::of(&mut block, &shape);
            prop_assert_eq!(block.len(), 0);
            let order: Vec<u32> = (0..rows.len() as u32).rev().collect();
            for (at, column) in closed.columns.iter().enumerate() {
                let widest = if at == 0 { column.width() } else { 8 };
                let mut backwards = Narrow::empty(widest);
                backwards.append(column, &order);
                let mut out = vec![0; rows.len()];
                let places: Vec<usize> = (0..rows.len()).rev().collect();
                backwards.scatter(0..rows.len(), &places, &mut out);
                let mut twice = vec![7; 2 * rows.len()];
                backwards.add_to(&order, &mut twice, 2, 1);
                let want = |cell: usize| [7, 7_i64.saturating_add(out[cell])];
                prop_assert_eq!(twice, (0..rows.len()).flat_map(want).collect::<Vec<_>>());
                for (cell, value) in out.iter().enumerate() {
                    prop_assert_eq!(*value, sums[2 * cell + at]);
                    prop_assert_eq!(column.get(cell), *value);
                }
            }
            let again = closed.reopen();
            prop_assert_eq!((again.window, again.entities, again.sums), (5, entities, sums));
        }
    }
}
