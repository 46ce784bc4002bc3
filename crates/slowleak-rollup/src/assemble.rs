//! From counted cells to finished tables, and from tables back to cells. In: cells of several partial
//! counts, each with its own entity ids, and the names behind the ids. Out: one table, sorted by entity
//! bytes and window. Partial counts merge exactly, in whatever order they come.

use rayon::prelude::*;
use slowleak_record::Micros;

use crate::cells::{Cells, NONE, Shape};
use crate::{Metric, Table, View};

/// The table of `cells`, which are consolidated and whose entity ids are positions in `entities`, ascending.
pub(crate) fn table(view: View, entities: Vec<String>, cells: Cells) -> Table {
    let shape = Shape::of(&view);
    let mut offsets = vec![0_usize; entities.len() + 1];
    for entity in &cells.entities {
        offsets[*entity as usize + 1] += 1;
    }
    for at in 1..offsets.len() {
        offsets[at] += offsets[at - 1];
    }
    let mut counts: [Vec<i64>; 7] = Default::default();
    for (position, metric) in shape.sums.iter().enumerate() {
        counts[*metric as usize] = cells.sums.iter().skip(position).step_by(cells.width).copied().collect();
    }
    if shape.sources {
        let mut distinct = vec![0_i64; cells.len()];
        for (cell, _) in &cells.sources {
            distinct[*cell as usize] += 1;
        }
        counts[Metric::Sources as usize] = distinct;
    }
    let windows = cells.windows.into_iter().map(Micros).collect();
    Table { view, entities, offsets, windows, counts, subjects: cells.sketches }
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

/// The cells of a table, with the metrics of `shape` (all of which the table has); entity ids are the
/// table's positions.
pub(crate) fn cells(table: Table, shape: &Shape) -> Cells {
    let mut cells = Cells::new(shape.sums.len());
    for entity in 0..table.entities.len() {
        cells.entities.extend(table.cells(entity).map(|_| entity as u32));
    }
    let columns: Vec<&[i64]> = shape.sums.iter().map(|metric| table.count(*metric)).collect();
    cells.sums.reserve(table.len() * columns.len());
    for cell in 0..table.len() {
        cells.sums.extend(columns.iter().map(|column| column.get(cell).copied().unwrap_or(0)));
    }
    cells.windows = table.windows.iter().map(|window| window.0).collect();
    if shape.subjects {
        cells.sketches = table.subjects;
    }
    cells
}

/// Like [`table`], for cells whose last number is that of their distinct sources.
pub(crate) fn table_with_counted_sources(
    view: View,
    entities: Vec<String>,
    mut cells: Cells,
    counted: bool,
) -> Table {
    let mut sources = Vec::new();
    if counted {
        let width = cells.width;
        sources = cells.sums.iter().skip(width - 1).step_by(width).copied().collect();
        let kept = cells.sums.chunks_exact(width).flat_map(|row| &row[..width - 1]);
        cells.sums = kept.copied().collect();
        cells.width = width - 1;
    }
    let keep = view.metrics().contains(&Metric::Sources);
    let mut table = table(view, entities, cells);
    table.counts[Metric::Sources as usize] = if keep { sources } else { Vec::new() };
    table
}
