//! The transposition of cells, which come by window, into columns by entity. In: blocks, one a window, in order of
//! time. Out: filled columns. Entities are cut into stretches: each block is arranged by stretch, and every stretch
//! then takes its cells of all blocks, side by side with the others, into columns of its own.

use std::ops::Range;

use rayon::prelude::*;

use crate::Sketch;
use crate::closed::{Closed, Narrow};

/// Most entities of a stretch: each is written to at the end of its cells so far, and these ends are to stay in the
/// cache. (Unit tests have few cells, and shall have several stretches.)
const STRETCH_ENTITIES: usize = if cfg!(test) { 8 } else { 1 << 12 };

/// Cells of a stretch, about: few enough for every thread to have several.
const STRETCH_CELLS: usize = if cfg!(test) { 64 } else { 1 << 19 };

/// Consecutive entities, cut where enough cells have come together.
pub(super) struct Stretches {
    /// The first entity of each, and one past the last of all.
    bounds: Vec<usize>,
    /// The stretch of each entity.
    of_entity: Vec<u32>,
}

impl Stretches {
    pub(super) fn new(offsets: &[usize]) -> Self {
        let entities = offsets.len() - 1;
        let mut bounds = vec![0];
        let mut of_entity = Vec::with_capacity(entities);
        let mut start = 0;
        for entity in 0..entities {
            let full =
                offsets[entity + 1] - offsets[start] > STRETCH_CELLS || entity - start == STRETCH_ENTITIES;
            if full && entity > start {
                start = entity;
                bounds.push(entity);
            }
            of_entity.push(bounds.len() as u32 - 1);
        }
        bounds.push(entities);
        Self { bounds, of_entity }
    }

    fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.bounds.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// The cells of a block by stretch: what belongs to a stretch is then read in one piece.
    pub(super) fn arrange(&self, block: Closed) -> Arranged {
        let mut ends = vec![0_u32; self.bounds.len()];
        block.entities.iter().for_each(|entity| ends[self.of_entity[*entity as usize] as usize + 1] += 1);
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let starts = ends.clone();
        let to: Vec<u32> = block
            .entities
            .iter()
            .map(|entity| {
                let next = &mut ends[self.of_entity[*entity as usize] as usize];
                *next += 1;
                *next - 1
            })
            .collect();
        let mut entities = vec![0; block.len()];
        block.entities.iter().zip(&to).for_each(|(entity, to)| entities[*to as usize] = *entity);
        let sources = match block.distinct_sources() {
            none if none.is_empty() => Narrow::Zeros,
            distinct => Narrow::Wide(distinct),
        };
        let columns = block.columns.iter().chain([&sources]).map(|column| column.permuted(&to)).collect();
        let mut sketches = vec![Sketch::default(); block.sketches.len()];
        block.sketches.into_iter().zip(&to).for_each(|(sketch, to)| sketches[*to as usize] = sketch);
        Arranged { window: block.window, entities, columns, sketches, starts }
    }

    /// Fills columns by entity: windows, one column for each of the blocks' (all zeros so far), and sketches where
    /// the blocks have any. `offsets` tells where each entity's cells start.
    pub(super) fn fill(
        &self,
        mut blocks: Vec<Arranged>,
        offsets: &[usize],
        mut windows: &mut [i64],
        columns: &mut [Vec<i64>],
        mut subjects: &mut [Sketch],
    ) {
        let mut sketches: Vec<Vec<Sketch>> =
            blocks.iter_mut().map(|block| std::mem::take(&mut block.sketches)).collect();
        let mut sketches: Vec<&mut [Sketch]> = sketches.iter_mut().map(Vec::as_mut_slice).collect();
        let mut columns: Vec<&mut [i64]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
        let sketched = !subjects.is_empty();
        let target = |(stretch, entities): (usize, Range<usize>)| {
            let cells = offsets[entities.end] - offsets[entities.start];
            let mut of_blocks = Vec::new();
            if sketched {
                for (block, sketches) in blocks.iter().zip(&mut sketches) {
                    of_blocks.push(cut(sketches, block.of(stretch).len()));
                }
            }
            Target {
                stretch,
                first: offsets[entities.start],
                entities,
                windows: cut(&mut windows, cells),
                columns: columns.iter_mut().map(|column| cut(column, cells)).collect(),
                subjects: cut(&mut subjects, if sketched { cells } else { 0 }),
                sketches: of_blocks,
            }
        };
        let targets: Vec<Target<'_>> = self.iter().enumerate().map(target).collect();
        targets.into_par_iter().for_each(|target| target.fill(&blocks, offsets));
    }
}

/// Takes the first of what is left.
fn cut<'a, T>(left: &mut &'a mut [T], length: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(left).split_at_mut(length);
    *left = rest;
    first
}

/// A block, the cells of the first stretch first.
pub(super) struct Arranged {
    window: i64,
    entities: Vec<u32>,
    /// Those of the block, then distinct sources (none where they are not counted).
    columns: Vec<Narrow>,
    sketches: Vec<Sketch>,
    /// Where each stretch starts; one more entry than stretches.
    starts: Vec<u32>,
}

impl Arranged {
    fn of(&self, stretch: usize) -> Range<usize> {
        self.starts[stretch] as usize..self.starts[stretch + 1] as usize
    }
}

/// What belongs to one stretch.
struct Target<'a> {
    stretch: usize,
    entities: Range<usize>,
    /// Its first cell in the table.
    first: usize,
    windows: &'a mut [i64],
    columns: Vec<&'a mut [i64]>,
    subjects: &'a mut [Sketch],
    /// Its sketches in each block; empty where there are none.
    sketches: Vec<&'a mut [Sketch]>,
}

impl Target<'_> {
    fn fill(mut self, blocks: &[Arranged], offsets: &[usize]) {
        let starts = &offsets[self.entities.clone()];
        let mut next: Vec<usize> = starts.iter().map(|offset| offset - self.first).collect();
        let mut places = Vec::new();
        let mut sketches = self.sketches.into_iter();
        for block in blocks {
            let moved = block.of(self.stretch);
            places.clear();
            places.extend(block.entities[moved.clone()].iter().map(|entity| {
                let next = &mut next[*entity as usize - self.entities.start];
                *next += 1;
                *next - 1
            }));
            places.iter().for_each(|place| self.windows[*place] = block.window);
            for (column, from) in self.columns.iter_mut().zip(&block.columns) {
                from.scatter(moved.clone(), &places, column);
            }
            for (place, sketch) in places.iter().zip(sketches.next().unwrap_or_default()) {
                self.subjects[*place] = std::mem::take(sketch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_cut_by_entities_and_by_cells() {
        let offsets: Vec<usize> = (0..=2 * STRETCH_ENTITIES + 1).collect();
        let stretches: Vec<Range<usize>> = Stretches::new(&offsets).iter().collect();
        let most = STRETCH_ENTITIES;
        assert_eq!(stretches, [0..most, most..2 * most, 2 * most..2 * most + 1]);
        let stretches: Vec<Range<usize>> =
            Stretches::new(&[0, STRETCH_CELLS, STRETCH_CELLS + 1, STRETCH_CELLS + 2]).iter().collect();
        assert_eq!(stretches, [0..1, 1..3]);
    }
}
