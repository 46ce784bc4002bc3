//! From counted cells to finished tables. In: cells of several partial counts and the names behind their
//! entity ids. Out: tables, sorted by entity bytes and window, one a row group. Partial counts merge exactly, in
//! whatever order they come.

mod transpose;

use rayon::prelude::*;
use slowleak_record::Micros;

use crate::block::{NONE, Shape};
use crate::cells::Cells;
use crate::closed::Closed;
use crate::counter::unite;
use crate::entities::Entities;
use crate::groups::{GroupCut, Rounds};
use crate::{Metric, RollupError, Sketches, Table, View};
use transpose::{Bounds, Laid, Piece, deal};

/// The table of `cells`, which are consolidated; their entity ids are positions in `entities`, ascending.
/// Where `counted_sources` holds, each cell's last number is that of its distinct sources.
pub(crate) fn table(view: View, entities: Vec<String>, cells: Cells, counted_sources: bool) -> Table {
    let mut sums = Shape::of(&view).sums;
    sums.extend(counted_sources.then_some(Metric::Sources));
    let mut offsets = vec![0_usize; entities.len() + 1];
    for entity in &cells.entities {
        offsets[*entity as usize + 1] += 1;
    }
    for at in 1..offsets.len() {
        offsets[at] += offsets[at - 1];
    }
    let mut counts = columns(&sums, &cells.sums);
    if !view.metrics().contains(&Metric::Sources) {
        counts[Metric::Sources as usize].clear();
    }
    let windows = cells.windows.into_iter().map(Micros).collect();
    Table { view, entities, offsets, windows, counts, sketches: cells.sketches }
}

/// Rows of numbers to columns by metric.
fn columns(metrics: &[Metric], sums: &[i64]) -> [Vec<i64>; 7] {
    let mut counts: [Vec<i64>; 7] = Default::default();
    for (position, metric) in metrics.iter().enumerate() {
        counts[*metric as usize] = sums.chunks_exact(metrics.len()).map(|row| row[position]).collect();
    }
    counts
}

/// Names sorted by bytes, and the rank of each id among them ([`NONE`] for ids without a name).
pub(crate) fn ranked<'a>(
    names: impl IntoIterator<Item = (u32, &'a str)>,
    ids: usize,
) -> (Vec<String>, Vec<u32>) {
    let mut sorted: Vec<(&str, u32)> = names.into_iter().map(|(id, name)| (name, id)).collect();
    sorted.par_sort_unstable();
    let mut ranks = vec![NONE; ids];
    let mut out: Vec<String> = Vec::with_capacity(sorted.len());
    for (name, id) in sorted {
        if out.last().is_none_or(|last| last != name) {
            out.push(name.to_owned());
        }
        ranks[id as usize] = out.len() as u32 - 1;
    }
    (out, ranks)
}

/// The cells of a view that were counted in memory, to be laid down row group by row group.
///
/// Blocks lie by time, the rollup by entity: the cells are transposed. Blocks of one window are united first, so that
/// the number of cells of each entity, and with it the cut into row groups, is known before any cell is moved.
pub(crate) struct Assembly<'a> {
    view: &'a View,
    entities: &'a Entities<'a>,
    shape: Shape,
    bounds: Bounds,
    /// Cells of each entity.
    counts: Vec<u32>,
    /// By row group, those not laid yet; the pieces of each in order of time.
    pieces: std::vec::IntoIter<Vec<Piece>>,
    laid: usize,
}

/// A row group, and the distinct sources of its cells where the view counts them (by their ranks, ascending).
pub(crate) struct Assembled {
    pub(crate) table: Table,
    pub(crate) sources: Vec<Vec<u32>>,
}

impl<'a> Assembly<'a> {
    /// `parts` are the blocks of each worker, whose entity ids `entities` ranks. Every entity has a cell.
    pub(crate) fn new(view: &'a View, entities: &'a Entities<'a>, parts: Vec<Vec<Closed>>) -> Self {
        let shape = Shape::of(view);
        let blocks = united(parts.into_iter().zip(&entities.ranks).collect(), &shape);
        let counts = counts(&blocks, entities.len());
        let mut cut = GroupCut::new(view);
        let ends = counts
            .iter()
            .enumerate()
            .map(|(entity, cells)| cut.ends_with(*cells as usize, entities.name_bytes(entity)));
        let bounds = Bounds::new(entities.len(), ends);
        let stretch = blocks.len().div_ceil(rayon::current_num_threads()).max(1);
        let mut stretches: Vec<Vec<Closed>> = Vec::new();
        let mut blocks = blocks.into_iter();
        while blocks.len() > 0 {
            stretches.push(blocks.by_ref().take(stretch).collect());
        }
        let dealt: Vec<Vec<Piece>> =
            stretches.into_par_iter().map(|blocks| deal(blocks, &bounds, shape.sources)).collect();
        let mut pieces: Vec<Vec<Piece>> = (0..bounds.len()).map(|_| Vec::new()).collect();
        for stretch in dealt {
            pieces.iter_mut().zip(stretch).for_each(|(pieces, piece)| pieces.push(piece));
        }
        Self { view, entities, shape, bounds, counts, pieces: pieces.into_iter(), laid: 0 }
    }

    /// The next row groups, so many at most; none at the end.
    pub(crate) fn next_groups(&mut self, most: usize) -> Vec<Assembled> {
        let pieces: Vec<Vec<Piece>> = self.pieces.by_ref().take(most).collect();
        let first = self.laid;
        self.laid += pieces.len();
        let lay = |(group, pieces)| self.lay(group, pieces);
        pieces.into_par_iter().enumerate().map(|(at, pieces)| (first + at, pieces)).map(lay).collect()
    }

    fn lay(&self, group: usize, pieces: Vec<Piece>) -> Assembled {
        let entities = self.bounds.entities(group);
        let mut next: Vec<u32> = Vec::with_capacity(entities.len());
        let mut offsets = Vec::with_capacity(entities.len() + 1);
        let mut cells = 0;
        offsets.push(cells);
        for count in &self.counts[entities.clone()] {
            next.push(cells as u32);
            cells += *count as usize;
            offsets.push(cells);
        }
        let mut windows = vec![0_i64; cells];
        let mut columns: Vec<Vec<i64>> = self.shape.sums.iter().map(|_| vec![0; cells]).collect();
        let mut sketches = Sketches::default();
        sketches.grow(&self.shape, cells);
        let mut sources = vec![Vec::new(); if self.shape.sources { cells } else { 0 }];
        let mut laid = Laid {
            next: &mut next,
            windows: &mut windows,
            columns: &mut columns,
            sketches: &mut sketches,
            sources: &mut sources,
        };
        pieces.into_iter().for_each(|piece| piece.lay(&mut laid));
        let mut counts: [Vec<i64>; 7] = Default::default();
        self.shape.sums.iter().zip(columns).for_each(|(metric, column)| counts[*metric as usize] = column);
        if self.shape.sources {
            counts[Metric::Sources as usize] = sources.iter().map(|sources| sources.len() as i64).collect();
        }
        let table = Table {
            view: self.view.clone(),
            entities: entities.map(|entity| self.entities.name(entity).into_owned()).collect(),
            offsets,
            windows: windows.into_iter().map(Micros).collect(),
            counts,
            sketches,
        };
        Assembled { table, sources }
    }
}

impl Rounds for Assembly<'_> {
    fn next_round(&mut self, most: usize) -> Result<Vec<Table>, RollupError> {
        Ok(self.next_groups(most).into_iter().map(|group| group.table).collect())
    }
}

/// Cells of each entity.
fn counts(blocks: &[Closed], entities: usize) -> Vec<u32> {
    let cells: usize = blocks.iter().map(Closed::len).sum();
    // Threads count apart as long as their counts are few against the cells.
    let parts = (cells / (4 * entities).max(1)).clamp(1, rayon::current_num_threads());
    let count = |blocks: &[Closed]| {
        let mut counts = vec![0_u32; entities];
        for block in blocks {
            block.entities.iter().for_each(|entity| counts[*entity as usize] += 1);
        }
        counts
    };
    let parts: Vec<Vec<u32>> = blocks.par_chunks(blocks.len().div_ceil(parts).max(1)).map(count).collect();
    let mut parts = parts.into_iter();
    let mut counts = parts.next().unwrap_or_default();
    for part in parts {
        counts.iter_mut().zip(part).for_each(|(count, more)| *count += more);
    }
    counts
}

/// One block a window, in order of time, entities named by their positions in the table.
fn united(parts: Vec<(Vec<Closed>, &Vec<u32>)>, shape: &Shape) -> Vec<Closed> {
    let mut blocks: Vec<Closed> = parts
        .into_par_iter()
        .flat_map(|(blocks, map)| {
            blocks.into_par_iter().map(move |mut block| {
                block.entities.iter_mut().for_each(|entity| *entity = map[*entity as usize]);
                block
            })
        })
        .collect();
    blocks.sort_by_key(|block| block.window);
    let mut groups: Vec<Vec<Closed>> = Vec::new();
    for block in blocks {
        match groups.last_mut() {
            Some(group) if group[0].window == block.window => group.push(block),
            _ => groups.push(vec![block]),
        }
    }
    groups.into_par_iter().flat_map_iter(|group| unite(group, shape, &mut Vec::new())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::block::Block;
    use crate::groups::round;

    /// Cells of one block in one worker: (window, its cells), each (entity, number, source).
    type Cells = Vec<(u32, i64, u32)>;

    /// Entities of the test; some have no cell, and so no place in the table.
    const ENTITIES: u32 = 40;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![4 => 1..5_i64, 2 => 1..100_000_i64, 1 => Just(i64::MAX)]
    }

    proptest! {
        /// Any blocks of some workers, several of a window in one of them too, each worker with ids of its own.
        #[test]
        fn a_table_is_the_sum_of_its_blocks(
            workers in proptest::collection::vec(
                proptest::collection::vec(
                    (0..12_i64, proptest::collection::vec((0..ENTITIES, number(), 0..3_u32), 0..60)),
                    0..10,
                ),
                1..4,
            ),
            turn in 0..ENTITIES,
            sources: bool,
            subjects: bool,
        ) {
            let workers: Vec<Vec<(i64, Cells)>> = workers;
            let metrics = [Metric::Rows]
                .into_iter()
                .chain(sources.then_some(Metric::Sources))
                .chain(subjects.then_some(Metric::Subjects));
            let view = View::new("key".parse().unwrap(), slowleak_record::Window::HOUR, metrics);
            let shape = Shape::of(&view);
            let mut want: BTreeMap<(u32, i64), (i64, i64, BTreeSet<u32>)> = BTreeMap::new();
            let mut blocks: Vec<Vec<Closed>> = Vec::new();
            for (worker, of_worker) in workers.iter().enumerate() {
                let id = |entity: u32| (entity + turn * worker as u32) % ENTITIES;
                let close = |(window, cells): &(i64, Cells)| {
                    let mut block = Block::new(*window, &shape, 0);
                    let mut slots: BTreeMap<u32, u32> = BTreeMap::new();
                    for (entity, number, source) in cells {
                        let slot = *slots.entry(*entity).or_insert_with(|| block.push(id(*entity), &shape));
                        let at = slot as usize;
                        block.sums[2 * at] += 1;
                        block.sums[2 * at + 1] = block.sums[2 * at + 1].saturating_add(*number);
                        let cell = want.entry((*entity, *window)).or_default();
                        cell.0 += 1;
                        cell.1 = cell.1.saturating_add(*number);
                        cell.2.insert(*source);
                        if sources {
                            block.sources.insert((slot, *source));
                        }
                        if subjects {
                            block.sketches.subjects[at].insert_hash(slowleak_scan::subject_hash(&source.to_le_bytes()));
                        }
                    }
                    Closed::of(&mut block, &shape)
                };
                blocks.push(of_worker.iter().map(close).collect());
            }
            let present: BTreeSet<u32> = want.keys().map(|(entity, _)| *entity).collect();
            let names: Vec<String> = present.iter().map(|entity| format!("{entity:03}")).collect();
            let maps: Vec<Vec<u32>> = (0..workers.len())
                .map(|worker| {
                    let mut map = vec![NONE; ENTITIES as usize];
                    for (rank, entity) in present.iter().enumerate() {
                        map[((entity + turn * worker as u32) % ENTITIES) as usize] = rank as u32;
                    }
                    map
                })
                .collect();
            let entities = Entities::named(names.iter().map(String::as_str).collect(), maps);
            let mut assembly = Assembly::new(&view, &entities, blocks);
            let mut table = Table::empty(view.clone());
            loop {
                let groups = assembly.next_groups(round());
                if groups.is_empty() {
                    break;
                }
                for Assembled { table: group, sources: of_group } in groups {
                    prop_assert_eq!(of_group.len(), if sources { group.len() } else { 0 });
                    prop_assert!(of_group.iter().all(|sources| sources.is_sorted_by(|a, b| a < b)));
                    table.append(group);
                }
            }

            prop_assert_eq!(&table.entities, &names);
            let cells: Vec<(String, i64)> = (0..names.len())
                .flat_map(|entity| table.cells(entity).map(move |cell| (entity, cell)))
                .map(|(entity, cell)| (table.entities[entity].clone(), table.windows[cell].0))
                .collect();
            let named = want.keys().map(|(entity, window)| (format!("{entity:03}"), *window));
            prop_assert_eq!(cells, named.collect::<Vec<_>>());
            let column = |of: fn(&(i64, i64, BTreeSet<u32>)) -> i64| want.values().map(of).collect::<Vec<i64>>();
            prop_assert_eq!(table.count(Metric::Events), column(|cell| cell.0));
            prop_assert_eq!(table.count(Metric::Rows), column(|cell| cell.1));
            let distinct = column(|cell| cell.2.len() as i64);
            prop_assert_eq!(table.count(Metric::Sources), if sources { distinct.as_slice() } else { &[] });
            let estimates: Vec<i64> = table.sketches.subjects.iter().map(|sketch| sketch.estimate() as i64).collect();
            prop_assert_eq!(estimates, if subjects { distinct } else { Vec::new() });
        }
    }
}
