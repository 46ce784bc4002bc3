//! From counted cells to finished tables. In: cells of several partial counts and the names behind their
//! entity ids. Out: one table, sorted by entity bytes and window. Partial counts merge exactly, in whatever
//! order they come.

use rayon::prelude::*;
use slowleak_record::Micros;

use crate::block::{Block, NONE, Shape, add_rows};
use crate::cells::Cells;
use crate::{Metric, Sketch, Table, View};

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
    Table { view, entities, offsets, windows, counts, subjects: cells.sketches }
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

/// The table of all `blocks`, of which every part's entity ids are renamed to positions in `entities` by its
/// map; every entity has a cell.
///
/// Blocks are taken in order of time and their cells dealt out to the entities: each entity's cells then
/// arrive in order, and those of the same window one after the other, without a sort of the cells.
pub(crate) fn table_of_blocks(view: &View, entities: Vec<String>, parts: Vec<(Vec<Block>, &[u32])>) -> Table {
    let shape = Shape::of(view);
    let width = shape.width();
    let mut blocks: Vec<(Block, &[u32])> = parts
        .into_iter()
        .flat_map(|(blocks, map)| blocks.into_iter().map(move |block| (block, map)))
        .collect();
    blocks.sort_by_key(|(block, _)| block.window);

    let mut starts = vec![0_usize; entities.len() + 1];
    for (block, map) in &blocks {
        for entity in &block.entities {
            starts[map[*entity as usize] as usize + 1] += 1;
        }
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let room = starts.last().copied().unwrap_or(0);
    let mut ends = starts.clone();
    let mut windows = vec![Micros(0); room];
    let mut sums = vec![0_i64; room * width];
    let mut sketches = vec![Sketch::default(); if shape.subjects { room } else { 0 }];
    let mut sources: Vec<(usize, u32)> = Vec::new();
    for (block, map) in blocks {
        let mut dealt = vec![0; if block.sources.is_empty() { 0 } else { block.len() }];
        let mut theirs = block.sketches.into_iter();
        for (cell, (entity, row)) in block.entities.iter().zip(block.sums.chunks_exact(width)).enumerate() {
            let rank = map[*entity as usize] as usize;
            let end = ends[rank];
            let sketch = theirs.next();
            let at = if end > starts[rank] && windows[end - 1].0 == block.window {
                add_rows(&mut sums[(end - 1) * width..end * width], row);
                if let (Some(mine), Some(theirs)) = (sketches.get_mut(end - 1), sketch) {
                    mine.merge(&theirs);
                }
                end - 1
            } else {
                windows[end] = Micros(block.window);
                sums[end * width..(end + 1) * width].copy_from_slice(row);
                if let Some(sketch) = sketch {
                    sketches[end] = sketch;
                }
                ends[rank] += 1;
                end
            };
            if let Some(dealt) = dealt.get_mut(cell) {
                *dealt = at;
            }
        }
        sources.extend(block.sources.iter().map(|(cell, source)| (dealt[*cell as usize], *source)));
    }

    let mut counts = columns(&shape.sums, &sums);
    drop(sums);
    if shape.sources {
        sources.sort_unstable();
        sources.dedup();
        let mut distinct = vec![0; room];
        sources.iter().for_each(|(cell, _)| distinct[*cell] += 1);
        counts[Metric::Sources as usize] = distinct;
    }
    let mut table =
        Table { view: view.clone(), entities, offsets: starts, windows, counts, subjects: sketches };
    close_gaps(&mut table, &ends);
    table
}

/// Removes the room that merged cells left between an entity's end and the next one's start.
fn close_gaps(table: &mut Table, ends: &[usize]) {
    let starts = std::mem::take(&mut table.offsets);
    let kept = |cell: usize, entity: &mut usize| {
        while cell >= starts[*entity + 1] {
            *entity += 1;
        }
        cell < ends[*entity]
    };
    fn retain<T>(column: &mut Vec<T>, kept: impl Fn(usize, &mut usize) -> bool) {
        let (mut cell, mut entity) = (0, 0);
        column.retain(|_| {
            cell += 1;
            kept(cell - 1, &mut entity)
        });
    }
    let used: usize = ends.iter().zip(&starts).map(|(end, start)| end - start).sum();
    if used < table.windows.len() {
        retain(&mut table.windows, kept);
        table.counts.iter_mut().for_each(|column| retain(column, kept));
        retain(&mut table.subjects, kept);
    }
    let mut at = 0;
    table.offsets = vec![0];
    for (start, end) in starts.iter().zip(ends).take(table.entities.len()) {
        at += end - start;
        table.offsets.push(at);
    }
}
