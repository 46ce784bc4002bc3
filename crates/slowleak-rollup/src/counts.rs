//! What a pass has counted. In: the cells of each worker, in memory or in runs. Out: the views one after the other,
//! each row group by row group, into a store or into memory.

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use slowleak_record::Field;
use slowleak_scan::{Names, NamesByField};
use xxhash_rust::xxh3::xxh3_128;

use crate::assemble::{Assembled, Assembly};
use crate::block::Shape;
use crate::closed::Closed;
use crate::derive::{derived, finer};
use crate::entities::{Entities, FieldNames};
use crate::groups::{Rounds, round};
use crate::memory::Dealt;
use crate::spill::{EntityCells, Merge, Run, RunWriter};
use crate::worker::{DimensionIds, Part};
use crate::write::{Written, store};
use crate::{Metric, Profile, Rollup, RollupError, Step, Table, View};

/// The counted cells of some views, not laid down yet: [`Counts::write`] or [`Counts::into_rollup`] does that.
#[derive(Debug)]
pub struct Counts {
    views: Vec<View>,
    held: Held,
    profile: Profile,
    dealt: Dealt,
}

#[derive(Debug)]
pub(crate) enum Held {
    /// Of each worker.
    Memory(Vec<Part>),
    /// Some of it did not fit, so that all of it was written.
    Runs(Vec<Run>),
}

impl Counts {
    pub(crate) fn new(views: Vec<View>, held: Held, profile: Profile, dealt: Dealt) -> Self {
        Self { views, held, profile, dealt }
    }

    /// Where the time of counting went, and that of [`Counts::write`] once it is done.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How many runs were written to temporary files because memory did not suffice.
    pub fn spilled_runs(&self) -> usize {
        match &self.held {
            Held::Memory(_) => 0,
            Held::Runs(runs) => runs.len(),
        }
    }

    /// Writes the rollup as `dir`, as [`Rollup::write`] would, without ever holding it whole. `each` is handed the
    /// cells of every view once they are written, in order.
    ///
    /// # Errors
    /// The folder can not be written, or `dir` exists and holds something that is not a rollup; what was spilled can
    /// not be read again.
    pub fn write(
        self,
        dir: impl AsRef<Path>,
        mut each: impl FnMut(Table) + Send,
    ) -> Result<(Vec<Written>, Profile), RollupError> {
        let mut profile = self.profile.clone();
        let written = store(dir.as_ref(), self.dealt.groups, |store| {
            let mut written = Vec::new();
            self.each_view(&mut |view, rounds, prepared| {
                profile.record(Step::Assemble, prepared.elapsed());
                written.push(store.view(view, rounds, &mut each, &mut profile)?);
                Ok(())
            })?;
            Ok(written)
        })?;
        Ok((written, profile))
    }

    /// The rollup in memory.
    ///
    /// # Errors
    /// What was spilled can not be read again.
    pub fn into_rollup(self) -> Result<Rollup, RollupError> {
        let mut tables = Vec::new();
        self.each_view(&mut |view, rounds, _| {
            let mut table = Table::empty(view.clone());
            loop {
                let groups = rounds.next_round(round())?;
                if groups.is_empty() {
                    break;
                }
                groups.into_iter().for_each(|group| table.append(group));
            }
            tables.push(table);
            Ok(())
        })?;
        Ok(Rollup { tables })
    }

    /// Calls `each` with every view, in order, its row groups, and when these began to be prepared.
    fn each_view(self, each: &mut EachRounds<'_>) -> Result<(), RollupError> {
        let Self { views, held, dealt, .. } = self;
        match held {
            Held::Memory(parts) => {
                assemble(&views, parts, &mut |view, assembly, _, since| each(view, assembly, since))
            }
            Held::Runs(runs) => views.iter().enumerate().try_for_each(|(position, view)| {
                let since = Instant::now();
                each(view, &mut Merge::new(view, position, &runs, dealt.run_buffer)?, since)
            }),
        }
    }
}

/// Writes what a worker has counted as a sorted run, after the `last` that it wrote.
///
/// # Errors
/// The disk is full, or a view has too many cells.
pub(crate) fn spill(
    views: &[View],
    part: Part,
    folder: &Path,
    last: Option<&Run>,
) -> Result<Run, RollupError> {
    let mut writer = RunWriter::new(folder, last)?;
    assemble(views, vec![part], &mut |_, assembly, sources, _| {
        writer.start_view();
        loop {
            // One at a time: workers set aside side by side, and do so because memory is short.
            let groups = assembly.next_groups(1);
            if groups.is_empty() {
                return Ok(());
            }
            for group in groups {
                spill_group(&mut writer, &group, sources)?;
            }
        }
    })?;
    writer.finish()
}

fn spill_group(
    writer: &mut RunWriter<'_>,
    group: &Assembled,
    source_names: Option<&FieldNames<'_>>,
) -> Result<(), RollupError> {
    let Assembled { table, sources } = group;
    let columns: Vec<&[i64]> =
        Shape::of(&table.view).sums.into_iter().map(|metric| table.count(metric)).collect();
    let mut entity = EntityCells::new(columns.len());
    for (at, name) in table.entities.iter().enumerate() {
        entity.clear();
        for cell in table.cells(at) {
            let window = table.windows[cell].0;
            entity.cells.windows.push(window);
            entity.cells.sums.extend(columns.iter().map(|column| column[cell]));
            table.sketches.copy(cell..cell + 1, &mut entity.cells.sketches);
            if let (Some(sources), Some(names)) = (sources.get(cell), source_names) {
                let hash = |rank: &u32| (window, xxh3_128(names.name(*rank).as_bytes()).to_be_bytes());
                entity.sources.extend(sources.iter().map(hash));
            }
        }
        entity.sources.sort_unstable();
        writer.entity(&table.view, name, &entity)?;
    }
    Ok(())
}

/// What is called with each view: its row groups, and when these began to be prepared.
type EachRounds<'e> = dyn FnMut(&View, &mut (dyn Rounds + Send), Instant) -> Result<(), RollupError> + 'e;

/// What is called with each view: its row groups, the names of sources where it counts them, and when it began.
type EachView<'e> =
    dyn FnMut(&View, &mut Assembly<'_>, Option<&FieldNames<'_>>, Instant) -> Result<(), RollupError> + 'e;

/// Lays down the views one after the other, each on all threads: the cells of those done are gone before the next
/// begins.
fn assemble(views: &[View], parts: Vec<Part>, each: &mut EachView<'_>) -> Result<(), RollupError> {
    let mut since = Instant::now();
    let dimensions = distinct(views.iter().map(|view| &view.dimension));
    let mut by_view: Vec<Vec<Vec<Closed>>> = views.iter().map(|_| Vec::new()).collect();
    let mut names = Vec::new();
    let mut ids: Vec<Vec<DimensionIds>> = Vec::new();
    for (names_of, blocks, dimensions) in finished(views, parts)? {
        by_view.iter_mut().zip(blocks).for_each(|(of_view, blocks)| of_view.push(blocks));
        names.push(names_of);
        ids.push(dimensions);
    }
    let of_field = |field: Field| {
        let of_worker: Vec<&Names> = names.iter().map(|names| &names[field.index()]).collect();
        FieldNames::new(&of_worker)
    };
    let counts_sources = |view: &View| view.metrics().contains(&Metric::Sources);
    let sources = views.iter().any(counts_sources).then_some(&Field::Source);
    let fields = distinct(dimensions.iter().flat_map(|dimension| dimension.parts()).chain(sources));
    let fields: Vec<(Field, FieldNames<'_>)> =
        fields.into_par_iter().map(|field| (*field, of_field(*field))).collect();
    let field = |field: Field| fields.iter().find(|(other, _)| *other == field).map(|(_, names)| names);
    let sources = field(Field::Source);
    let mut finer = finer(views);
    // Views of one dimension follow each other.
    let mut last: Option<(usize, Entities<'_>)> = None;
    for (position, view) in views.iter().enumerate() {
        let Some(at) = dimensions.iter().position(|dimension| **dimension == view.dimension) else {
            continue;
        };
        // What follows from these cells and ids, or needs these ids for its own, has to before they are gone, and no
        // sooner: it takes memory.
        let of_dimension = |at: usize| views[at].dimension == view.dimension;
        for later in position..views.len() {
            if of_dimension(later) || finer[later].is_some_and(of_dimension) {
                complete(later, views, &mut finer, &mut by_view, &mut ids);
            }
        }
        let mut blocks = std::mem::take(&mut by_view[position]);
        if last.as_ref().is_none_or(|(of, _)| *of != at) {
            let parts: Vec<&FieldNames<'_>> =
                view.dimension.parts().iter().filter_map(|part| field(*part)).collect();
            // Views of one dimension count the same records, so that any of them knows its entities.
            let entities = match parts.as_slice() {
                [field] => Entities::of_field(field, &blocks),
                parts => {
                    let levels: Vec<_> = ids.iter().map(|worker| worker[at].pairs.as_slice()).collect();
                    let entities = Entities::of_compound(parts, &levels);
                    drop(levels);
                    ids.iter_mut().for_each(|worker| worker[at].pairs.clear());
                    entities
                }
            };
            last = Some((at, entities));
        }
        let Some((_, entities)) = &last else { continue };
        if let Some(sources) = sources.filter(|_| counts_sources(view)) {
            // The same source has another id in each worker: distinct ones are counted by their common places.
            for (worker, blocks) in blocks.iter_mut().enumerate() {
                blocks.par_iter_mut().for_each(|block| block.rename_sources(|id| sources.rank(worker, id)));
            }
        }
        let mut assembly = Assembly::new(view, entities, blocks);
        each(view, &mut assembly, sources, since)?;
        since = Instant::now();
    }
    Ok(())
}

/// Of each worker its names, the blocks of each view, and its ids of dimensions; workers side by side.
type Finished = Vec<(NamesByField, Vec<Vec<Closed>>, Vec<DimensionIds>)>;

/// Closes what the workers still have open.
fn finished(views: &[View], parts: Vec<Part>) -> Result<Finished, RollupError> {
    let finish = |part: Part| {
        let Part { names, mut dimensions, counters } = part;
        let blocks = views.iter().zip(counters).map(|(view, (dimension, counter))| {
            let too_many = || RollupError::TooMany { view: view.to_string(), what: "cells" };
            counter.finish(&mut dimensions[dimension].pairs).ok_or_else(too_many)
        });
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        Ok((names, blocks, dimensions))
    };
    parts.into_par_iter().map(finish).collect()
}

/// Adds to a view the cells that follow from a finer one, if any.
fn complete(
    coarse: usize,
    views: &[View],
    finer: &mut [Option<usize>],
    by_view: &mut [Vec<Vec<Closed>>],
    ids: &mut [Vec<DimensionIds>],
) {
    let Some(fine) = finer[coarse].take() else { return };
    complete(fine, views, finer, by_view, ids);
    let more: Vec<Vec<Closed>> = by_view[fine]
        .iter()
        .zip(ids)
        .map(|(blocks, ids)| derived(&views[coarse], &views[fine], blocks, ids))
        .collect();
    by_view[coarse].iter_mut().zip(more).for_each(|(blocks, more)| blocks.extend(more));
}

/// Each value once, in order of first sight.
fn distinct<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    values.for_each(|value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
    });
    seen
}
