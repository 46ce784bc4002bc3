//! The transposition of cells, which come by window, into tables by entity. In: blocks, one a window, in order of
//! time. Out: the table of each row group.
//!
//! Two steps, each of which reads and writes few places at a time. The cells of a stretch of time are dealt out to the
//! row groups they belong to, still by window ([`deal`]); then each row group lays its cells behind those that their
//! entities have so far ([`Piece::lay`]).

use std::ops::Range;

use crate::Sketches;
use crate::closed::{Closed, Narrow};

/// Consecutive entities by row group.
#[derive(Debug)]
pub(super) struct Bounds {
    /// The first entity of each, and one past the last of all.
    firsts: Vec<u32>,
    /// The row group of each entity.
    of_entity: Vec<u32>,
}

impl Bounds {
    /// Row groups that end behind these entities; the last one ends with the last entity.
    pub(super) fn new(entities: usize, ends: impl Iterator<Item = bool>) -> Self {
        let mut firsts = vec![0];
        let mut of_entity = Vec::with_capacity(entities);
        for (entity, ends) in (1..).zip(ends).take(entities) {
            of_entity.push(firsts.len() as u32 - 1);
            if ends && (entity as usize) < entities {
                firsts.push(entity);
            }
        }
        if entities > 0 {
            firsts.push(entities as u32);
        }
        Self { firsts, of_entity }
    }

    /// Number of row groups.
    pub(super) fn len(&self) -> usize {
        self.firsts.len() - 1
    }

    /// The entities of a row group.
    pub(super) fn entities(&self, group: usize) -> Range<usize> {
        self.firsts[group] as usize..self.firsts[group + 1] as usize
    }
}

/// Cells of one row group in a stretch of time, by window.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Each window with its number of cells, in order of time.
    windows: Vec<(i64, u32)>,
    /// Counted from the first of the row group.
    entities: Vec<u32>,
    columns: Vec<Narrow>,
    sketches: Sketches,
    /// Of each cell, ascending, for views that count distinct sources.
    sources: Vec<Vec<u32>>,
}

/// Deals the cells of some blocks, which are in order of time, out to their row groups.
pub(super) fn deal(blocks: Vec<Closed>, bounds: &Bounds, counts_sources: bool) -> Vec<Piece> {
    let width = blocks.first().map_or(0, |block| block.columns.len());
    let widest = |at: usize| blocks.iter().map(|block| block.columns[at].width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..width).map(widest).collect();
    let piece =
        || Piece { columns: widths.iter().map(|width| Narrow::empty(*width)).collect(), ..Piece::default() };
    let mut pieces: Vec<Piece> = (0..bounds.len()).map(|_| piece()).collect();
    let mut ends: Vec<u32> = Vec::new();
    let mut order: Vec<u32> = Vec::new();
    for mut block in blocks {
        // Counting sort by row group.
        ends.clear();
        ends.resize(bounds.len() + 1, 0);
        block.entities.iter().for_each(|entity| ends[bounds.of_entity[*entity as usize] as usize + 1] += 1);
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        order.resize(block.len(), 0);
        for (cell, entity) in (0..).zip(&block.entities) {
            let next = &mut ends[bounds.of_entity[*entity as usize] as usize];
            order[*next as usize] = cell;
            *next += 1;
        }
        let mut sources: Vec<Vec<u32>> = vec![Vec::new(); if counts_sources { block.len() } else { 0 }];
        block.sources.drain().for_each(|(cell, source)| sources[cell as usize].push(source));
        sources.iter_mut().for_each(|sources| sources.sort_unstable());
        // Each row group's end is where the next one begins.
        let mut start = 0;
        for ((piece, end), first) in pieces.iter_mut().zip(&ends).zip(&bounds.firsts) {
            let cells = &order[start..*end as usize];
            start = *end as usize;
            if cells.is_empty() {
                continue;
            }
            piece.windows.push((block.window, cells.len() as u32));
            piece.entities.extend(cells.iter().map(|cell| block.entities[*cell as usize] - first));
            for (column, from) in piece.columns.iter_mut().zip(&block.columns) {
                column.append(from, cells);
            }
            cells.iter().for_each(|cell| block.sketches.hand_on(*cell as usize, &mut piece.sketches));
            let sources = |cell: &u32| sources.get_mut(*cell as usize).map(std::mem::take);
            piece.sources.extend(cells.iter().filter_map(sources));
        }
    }
    pieces
}

/// Columns of a row group that are being filled, by entity.
pub(super) struct Laid<'a> {
    /// Where the next cell of each entity goes.
    pub(super) next: &'a mut [u32],
    pub(super) windows: &'a mut [i64],
    /// One for each of the pieces' columns; all zeros so far.
    pub(super) columns: &'a mut [Vec<i64>],
    pub(super) sketches: &'a mut Sketches,
    pub(super) sources: &'a mut [Vec<u32>],
}

impl Piece {
    /// Lays the cells behind those that their entities have so far.
    pub(super) fn lay(self, laid: &mut Laid<'_>) {
        let Self { windows, entities, columns, sketches, sources } = self;
        let mut sketches = [sketches.subjects, sketches.blocks].map(Vec::into_iter);
        let mut sources = sources.into_iter();
        let mut places: Vec<usize> = Vec::new();
        let mut start = 0;
        for (window, count) in windows {
            let cells = start..start + count as usize;
            start = cells.end;
            places.clear();
            places.extend(entities[cells.clone()].iter().map(|entity| {
                let next = &mut laid.next[*entity as usize];
                *next += 1;
                *next as usize - 1
            }));
            places.iter().for_each(|place| laid.windows[*place] = window);
            for (column, from) in laid.columns.iter_mut().zip(&columns) {
                from.scatter(cells.clone(), &places, column);
            }
            for (sketches, laid) in sketches.iter_mut().zip(laid.sketches.columns_mut()) {
                places.iter().zip(sketches).for_each(|(place, sketch)| laid[*place] = sketch);
            }
            for (place, sources) in places.iter().zip(sources.by_ref()) {
                laid.sources[*place] = sources;
            }
        }
    }
}
