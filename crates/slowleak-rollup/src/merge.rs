//! Merging finished rollups. In: rollups of any parts of a log. Out: the rollup of the whole. The operation
//! is associative, commutative and exact.

use crate::assemble::{ranked, table};
use crate::block::Shape;
use crate::cells::Cells;
use crate::{Metric, Rollup, Table, View};

impl Rollup {
    /// Merges rollups of disjoint parts of a log: counts add up (saturating), sketches unite.
    ///
    /// Tables of the same dimension and window become one, with the metrics that all of them have: a metric
    /// that one part lacks is unknown for the whole. Distinct sources are exact as long as no cell occurs in
    /// two tables; a finished table holds their number and not their names, so where one does, `sources` is
    /// dropped from the merged table rather than guessed.
    pub fn merge(rollups: Vec<Self>) -> Self {
        let mut groups: Vec<Vec<Table>> = Vec::new();
        for table in rollups.into_iter().flat_map(|rollup| rollup.tables) {
            let same = |group: &&mut Vec<Table>| {
                group.first().is_some_and(|first| {
                    first.view.dimension == table.view.dimension && first.view.window == table.view.window
                })
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(table),
                None => groups.push(vec![table]),
            }
        }
        let mut tables: Vec<Table> = groups.into_iter().filter_map(merge_tables).collect();
        tables.sort_by(|a, b| a.view.cmp(&b.view));
        Self { tables }
    }
}

fn merge_tables(mut tables: Vec<Table>) -> Option<Table> {
    if tables.len() < 2 {
        return tables.pop();
    }
    let first = tables.first()?.view.clone();
    let shared = |metric: &Metric| tables.iter().all(|table| table.view.metrics().contains(metric));
    let metrics: Vec<Metric> = first.metrics().iter().copied().filter(shared).collect();
    let view = View::new(first.dimension, first.window, metrics);

    let names = tables.iter().flat_map(|table| table.entities.iter().map(String::as_str));
    let all: Vec<&str> = names.collect();
    let (entities, ranks) = ranked(all.iter().enumerate().map(|(id, name)| (id as u32, *name)), all.len());
    let shape = Shape::of(&view);
    let mut merged = Cells::new(shape.sums.len() + usize::from(shape.sources));
    let with_sources = Shape {
        sums: shape.sums.iter().copied().chain(shape.sources.then_some(Metric::Sources)).collect(),
        ..shape
    };
    let mut base = 0;
    for table in tables {
        let count = table.entities.len();
        let part = Cells::of(table, &with_sources);
        merged.append(part, |entity| ranks[base + entity as usize]);
        base += count;
    }
    let before = merged.len();
    merged.consolidate();
    let disjoint = merged.len() == before;
    let view = if with_sources.sources && !disjoint {
        let rest = view.metrics().iter().copied().filter(|metric| *metric != Metric::Sources);
        View::new(view.dimension.clone(), view.window, rest.collect::<Vec<_>>())
    } else {
        view
    };
    Some(table(view, entities, merged, with_sources.sources))
}
