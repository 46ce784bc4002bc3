//! One column of a run of cells, as a chunk. In: a table and the cells of a row group. Out: the encoded pages.
//!
//! Which encoding, and what to compress, was measured on 30 million cells of 50 million records (bits a cell;
//! `benches/write.rs` makes such tables):
//!
//! | column | encoding | plain | zstd 1 | chosen |
//! | --- | --- | --- | --- | --- |
//! | `entity` | dictionary, runs | 0.2 | 0.1 | zstd: names are text, and many where entities are short |
//! | `window` | deltas | 36.0 | 11.3 | |
//! | | place among the windows, packed | 13.3 | 13.2 | plain; deltas where they are shorter |
//! | `events`, `rows`, `bytes` | deltas | 3.1, 6.6, 15.9 | 2.3, 6.4, 15.9 | plain: zstd would take most of the time |
//! | `subjects`, `blocks` | plain | 64 | 10 | zstd |
//! | `subjects_sketch`, `blocks_sketch` | plain | 1,140 | 940 | zstd where a page shrinks by a fifth: registers do, tokens less |

use std::ops::Range;

use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;
use slowleak_record::Micros;

use super::chunk::{Chunk, Extremes};
use super::{delta, indices};
use crate::{Metric, Sketch, Table, View};

/// Values a page at most.
const PAGE_CELLS: usize = 1 << 17;

/// Bytes a page at most, where a value may have many.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of the length before a plain byte array.
const LENGTH_BYTES: usize = 4;

/// One block in so many tells how long a page of deltas would be.
const SAMPLED: usize = 8;

type NewChunk = Result<Chunk, ParquetError>;

/// A column of the store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Column {
    Entity,
    Window,
    Count(Metric),
    Estimate(Metric),
    Sketch(Metric),
}

impl Column {
    /// The columns of a view's file, in order.
    pub(super) fn of(view: &View) -> Vec<Self> {
        let mut columns = vec![Self::Entity, Self::Window];
        for metric in view.metrics() {
            match metric {
                metric if metric.sketch_column().is_some() => {
                    columns.extend([Self::Estimate(*metric), Self::Sketch(*metric)]);
                }
                metric => columns.push(Self::Count(*metric)),
            }
        }
        columns
    }

    /// The column's chunk for `cells`, which are those of a row group.
    ///
    /// # Errors
    /// The table lacks cells of the column, or the encoder fails.
    pub(super) fn encode(self, table: &Table, cells: Range<usize>, column: &ColumnDescPtr) -> NewChunk {
        let missing =
            || ParquetError::General(format!("column {:?} of {} is short", column.name(), table.view));
        let compressible = matches!(self, Self::Entity | Self::Estimate(_) | Self::Sketch(_));
        let pages = cells.len().div_ceil(PAGE_CELLS);
        let chunk = || Chunk::new(column.clone(), compressible, pages);
        match self {
            Self::Entity => entities(chunk()?, table, cells),
            Self::Window => {
                let bounds = bounds(table, cells.clone());
                let grid =
                    bounds.and_then(|(first, last)| Grid::new(first, last, table.view.window.micros()));
                windows(chunk, table.windows.get(cells).ok_or_else(missing)?, grid)
            }
            Self::Count(metric) => counts(chunk()?, table.count(metric).get(cells).ok_or_else(missing)?),
            Self::Estimate(metric) => {
                estimates(chunk()?, table.sketches.of(metric).get(cells).ok_or_else(missing)?)
            }
            Self::Sketch(metric) => {
                sketches(chunk()?, table.sketches.of(metric).get(cells).ok_or_else(missing)?)
            }
        }
    }
}

/// The names of the row group in its dictionary, one run a name.
fn entities(mut chunk: Chunk, table: &Table, cells: Range<usize>) -> NewChunk {
    let first = table.offsets.partition_point(|offset| *offset <= cells.start).saturating_sub(1);
    // Each name with where its cells end.
    let mut names: Vec<(&str, usize)> = Vec::new();
    let mut at = cells.start;
    for (name, end) in table.entities.iter().zip(table.offsets.iter().skip(1)).skip(first) {
        let end = (*end).min(cells.end);
        if end > at {
            names.push((name, end));
            at = end;
        }
        if at == cells.end {
            break;
        }
    }
    let mut dictionary = Vec::with_capacity(names.iter().map(|(name, _)| name.len() + LENGTH_BYTES).sum());
    for (name, _) in &names {
        put_bytes(name.as_bytes(), &mut dictionary);
    }
    chunk.dictionary(dictionary, names.len())?;

    let width = indices::index_width(names.len());
    for start in cells.clone().step_by(PAGE_CELLS) {
        let end = cells.end.min(start + PAGE_CELLS);
        let first = names.partition_point(|(_, end)| *end <= start);
        let last = names.partition_point(|(_, at)| *at < end);
        let mut at = start;
        let runs = (first..).zip(names.get(first..=last).unwrap_or_default()).map(|(index, (_, until))| {
            let until = (*until).min(end);
            let count = until - at;
            at = until;
            (index as u64, count)
        });
        let mut page = Vec::new();
        indices::encode_runs(runs, width, &mut page);
        let text = |at: usize| names.get(at).map(|(name, _)| ByteArray::from(*name));
        let extremes = text(first).zip(text(last)).map(|(least, largest)| Extremes::Texts(least, largest));
        chunk.page(page, end - start, Encoding::RLE_DICTIONARY, extremes)?;
    }
    Ok(chunk)
}

/// The first and the last window of `cells`, told by the first and last of each entity.
fn bounds(table: &Table, cells: Range<usize>) -> Option<(i64, i64)> {
    let at = |cell: usize| table.windows.get(cell).map(|window| window.0);
    let first = table.offsets.partition_point(|offset| *offset <= cells.start);
    let last = table.offsets.partition_point(|offset| *offset < cells.end);
    let (mut least, mut largest) = (at(cells.start)?, at(cells.end.checked_sub(1)?)?);
    for start in table.offsets.get(first..last)? {
        least = least.min(at(*start)?);
        largest = largest.max(at(start - 1)?);
    }
    Some((least, largest))
}

/// Windows are multiples of their length, on a grid that is small against the cells: packed positions on it where
/// that is shorter than deltas, which take the length's many bits for every gap.
fn windows(chunk: impl Fn() -> NewChunk, windows: &[Micros], grid: Option<Grid>) -> NewChunk {
    let shorter = grid.filter(|grid| {
        let packed = windows.len() * indices::index_width(grid.len) as usize / 8;
        let starts = grid.len.saturating_mul(size_of::<i64>());
        starts.saturating_add(packed) < delta::estimate(windows, |window| window.0, SAMPLED)
    });
    if let Some(grid) = shorter
        && let Some(chunk) = on_grid(chunk()?, windows, &grid)?
    {
        return Ok(chunk);
    }
    let mut chunk = chunk()?;
    for windows in windows.chunks(PAGE_CELLS) {
        let mut page = Vec::with_capacity(windows.len() * 2);
        delta::encode(windows, |window| window.0, &mut page);
        let whole = (i64::MAX, i64::MIN);
        let (least, largest) = windows
            .iter()
            .fold(whole, |(least, largest), window| (least.min(window.0), largest.max(window.0)));
        let extremes = Extremes::Integers(least, largest);
        chunk.page(page, windows.len(), Encoding::DELTA_BINARY_PACKED, Some(extremes))?;
    }
    Ok(chunk)
}

/// The windows as positions on the grid; nothing where one is beside it.
fn on_grid(mut chunk: Chunk, windows: &[Micros], grid: &Grid) -> Result<Option<Chunk>, ParquetError> {
    let starts = (0..grid.len as u32).map(|position| grid.start(position));
    chunk.dictionary(starts.flat_map(i64::to_le_bytes).collect(), grid.len)?;
    let width = indices::index_width(grid.len);
    let mut positions = Vec::with_capacity(windows.len().min(PAGE_CELLS));
    for windows in windows.chunks(PAGE_CELLS) {
        let Some((least, largest)) = grid.positions(windows, &mut positions) else { return Ok(None) };
        let mut page = Vec::with_capacity(windows.len() * 2);
        indices::encode_packed(&positions, |position| u64::from(*position), width, &mut page);
        let extremes = Extremes::Integers(grid.start(least), grid.start(largest));
        chunk.page(page, windows.len(), Encoding::RLE_DICTIONARY, Some(extremes))?;
    }
    Ok(Some(chunk))
}

/// Every window from the first to the last, and where among them one stands.
struct Grid {
    first: i64,
    length: u64,
    /// The length is an odd number times two to the power of `zeros`; the inverse is that number's, modulo
    /// 2^64: multiplication by it divides exactly what is divisible.
    zeros: u32,
    inverse: u64,
    len: usize,
}

impl Grid {
    fn new(first: i64, last: i64, length: i64) -> Option<Self> {
        let span = last.checked_sub(first)?;
        let len = usize::try_from(span.checked_div(length)?.checked_add(1)?).ok()?;
        let length = u64::try_from(length).ok()?;
        let zeros = length.trailing_zeros();
        let odd = length >> zeros;
        // Newton's iteration doubles the right bits, of which an odd number has three for a start.
        let inverse = (0..5)
            .fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Some(Self { first, length, zeros, inverse, len })
    }

    /// The window at a position.
    fn start(&self, position: u32) -> i64 {
        self.first.wrapping_add(i64::from(position).wrapping_mul(self.length as i64))
    }

    /// The position of each window, and the least and largest of them; nothing where a window is beside the grid.
    ///
    /// What is not divisible leaves a remainder among the lowest bits, or gives a product beyond the grid: of a
    /// position on it, the length is a multiple without overflow.
    fn positions(&self, windows: &[Micros], positions: &mut Vec<u32>) -> Option<(u32, u32)> {
        positions.resize(windows.len(), 0);
        let (mut distances, mut products) = (0, 0);
        for (position, window) in positions.iter_mut().zip(windows) {
            let distance = window.0.wrapping_sub(self.first) as u64;
            let product = (distance >> self.zeros).wrapping_mul(self.inverse);
            distances |= distance;
            products |= product;
            *position = product as u32;
        }
        let (least, largest) = positions.iter().fold((i32::MAX, i32::MIN), |(least, largest), position| {
            (least.min(*position as i32), largest.max(*position as i32))
        });
        let divisible = distances & ((1 << self.zeros) - 1) == 0;
        let inside = products <= i32::MAX as u64 && (largest as usize) < self.len;
        (divisible && inside).then_some((least as u32, largest as u32))
    }
}

fn counts(mut chunk: Chunk, counts: &[i64]) -> NewChunk {
    for counts in counts.chunks(PAGE_CELLS) {
        let mut page = Vec::with_capacity(counts.len() * 2);
        delta::encode(counts, |count| *count, &mut page);
        chunk.page(page, counts.len(), Encoding::DELTA_BINARY_PACKED, None)?;
    }
    Ok(chunk)
}

fn estimates(mut chunk: Chunk, sketches: &[Sketch]) -> NewChunk {
    for sketches in sketches.chunks(PAGE_CELLS) {
        let mut page = Vec::with_capacity(sketches.len() * size_of::<f64>());
        sketches.iter().for_each(|sketch| page.extend_from_slice(&sketch.estimate().to_le_bytes()));
        chunk.page(page, sketches.len(), Encoding::PLAIN, None)?;
    }
    Ok(chunk)
}

fn sketches(mut chunk: Chunk, sketches: &[Sketch]) -> NewChunk {
    // A sketch is written behind those before it; where that is too much, it is moved to a new page.
    let mut page = Vec::with_capacity(PAGE_BYTES);
    let mut rows = 0;
    for sketch in sketches {
        let start = page.len();
        page.extend_from_slice(&[0; LENGTH_BYTES]);
        sketch.append_bytes(&mut page);
        let length = (page.len() - start - LENGTH_BYTES) as u32;
        page[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        if rows == PAGE_CELLS || (page.len() > PAGE_BYTES && rows > 0) {
            let mut next = Vec::with_capacity(PAGE_BYTES);
            next.extend_from_slice(&page[start..]);
            page.truncate(start);
            chunk.page(std::mem::replace(&mut page, next), rows, Encoding::PLAIN, None)?;
            rows = 0;
        }
        rows += 1;
    }
    if rows > 0 {
        chunk.page(page, rows, Encoding::PLAIN, None)?;
    }
    Ok(chunk)
}

/// Appends a plain byte array.
fn put_bytes(bytes: &[u8], page: &mut Vec<u8>) {
    page.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    page.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Lengths of any factors, windows on the grid and (one in some) beside it or beyond.
        #[test]
        fn positions_are_quotients_or_nothing(
            first in -1_000_000..1_000_000_i64,
            length in prop_oneof![1..1_000_i64, Just(3_600_000_000), Just(1 << 40), Just(604_800_000_000)],
            len in 1..1_000_usize,
            offsets in proptest::collection::vec(prop_oneof![40 => Just(0), 1 => any::<i64>(), 1 => -3..3_i64], 1..40),
            seed: u64,
        ) {
            let first = first * length;
            let grid = Grid::new(first, first + (len as i64 - 1) * length, length).unwrap();
            prop_assert_eq!(grid.len, len);
            let place = |at: usize| ((seed >> (at % 50)) % len as u64) as i64;
            let windows: Vec<Micros> = offsets
                .iter()
                .enumerate()
                .map(|(at, offset)| Micros((first + place(at) * length).wrapping_add(*offset)))
                .collect();
            let naive: Option<Vec<u32>> = windows
                .iter()
                .map(|window| {
                    let distance = window.0.checked_sub(first)?;
                    let position = usize::try_from(distance / length).ok().filter(|position| *position < len)?;
                    (distance % length == 0).then_some(position as u32)
                })
                .collect();
            let mut positions = Vec::new();
            let extremes = grid.positions(&windows, &mut positions);
            let want = naive.as_ref().map(|naive| (*naive.iter().min().unwrap(), *naive.iter().max().unwrap()));
            prop_assert_eq!(extremes, want);
            if let Some(naive) = naive {
                prop_assert_eq!(&positions, &naive);
                let starts: Vec<i64> = positions.iter().map(|position| grid.start(*position)).collect();
                prop_assert_eq!(starts, windows.iter().map(|window| window.0).collect::<Vec<_>>());
            }
        }
    }
}
