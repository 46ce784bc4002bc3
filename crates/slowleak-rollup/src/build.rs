//! From a scan plan to a rollup, in one parallel pass. In: units of records. Out: the finished rollup and
//! the account of what was read.
//!
//! Each worker takes the next unit in time order and counts into cells of its own; names are mapped to
//! shared ids once a row group; cells of all workers are added up at the end.
//!
//! A file that breaks half-way must leave no trace, or a second run after its repair would count twice.
//! Counting file by file would make every record pay for that (cells of each file merged into those of all).
//! Damage behind a sound footer is rare: the pass goes on to find every damaged file, and is then repeated
//! without them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use slowleak_record::{Field, FieldSet, InputError, Micros};
use slowleak_scan::{Coverage, Names, Plan, RowReason, UnitReader, UnitTally, ValueReason};

use crate::assemble::table_of_blocks;
use crate::block::Block;
use crate::compound::PairIds;
use crate::entities::Entities;
use crate::worker::{DimensionIds, Shared, Worker};
use crate::{Metric, Rollup, RollupError, View};

/// Counts the records of `plan` into the cells of `views`.
///
/// A view of which the input lacks a dimension is left out, a metric of which it lacks the column is
/// dropped; [`Coverage::missing_columns`] names the fields. Two views of the same dimension and window
/// become one. `progress` is told of rows as they are read, [`Plan::rows`] in all unless a file fails. Runs on
/// the current rayon pool; the answer does not depend on the number of threads.
///
/// # Errors
/// More than 4 billion different names in a column, or cells in a view. Bad files are no error: see
/// [`Coverage::rejected_files`].
pub fn build(
    plan: &Plan,
    views: &[View],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Rollup, Coverage), RollupError> {
    let silent = |_| ();
    let mut pass = pass(plan, views, progress)?;
    let mut rest = None;
    while !pass.broken.is_empty() {
        let next = rest.as_ref().unwrap_or(plan).without(&pass.broken);
        pass = self::pass(&next, views, &silent)?;
        rest = Some(next);
    }
    Ok((pass.rollup, pass.coverage))
}

/// The fields that `views` need, for [`Plan::new`].
pub fn fields(views: &[View]) -> FieldSet {
    let parts = views.iter().flat_map(|view| view.dimension.parts().iter().copied());
    let metrics = views.iter().flat_map(|view| view.metrics().iter().filter_map(|metric| metric.needs()));
    parts.chain(metrics).chain([Field::Time]).collect()
}

struct Pass {
    rollup: Rollup,
    coverage: Coverage,
    broken: Vec<InputError>,
}

fn pass(plan: &Plan, views: &[View], progress: &(dyn Fn(u64) + Sync)) -> Result<Pass, RollupError> {
    let views = possible(views, plan.fields_present());
    let shared = Shared::new(&views);
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    let workers: Vec<Worker> = (0..rayon::current_num_threads())
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut worker = Worker::new(&views);
            while let Some(unit) = plan.units().get(next.fetch_add(1, Ordering::Relaxed)) {
                let read = UnitReader::open(plan, unit, shared.request)
                    .and_then(|reader| worker.read(reader, &shared, progress));
                if let Err(error) = read {
                    broken.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                }
            }
            worker
        })
        .collect();

    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !broken.is_empty() {
        return Ok(Pass { rollup: Rollup::default(), coverage: Coverage::default(), broken });
    }
    if let Some(error) = workers.iter().find_map(|worker| worker.failed.as_ref()) {
        return Err(RollupError::TooMany { view: error.to_string(), what: "different names" });
    }
    let coverage = coverage(plan, &workers);
    let names: Vec<Names> = shared
        .names
        .into_iter()
        .map(|names| names.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect();
    let rollup = assemble(&views, workers, &names)?;
    Ok(Pass { rollup, coverage, broken })
}

/// The views that the fields allow, with the metrics that they allow; sorted, one a dimension and window.
fn possible(views: &[View], present: FieldSet) -> Vec<View> {
    let mut out: Vec<View> = Vec::new();
    for view in views {
        if !view.dimension.parts().iter().all(|part| present.contains(*part)) {
            continue;
        }
        let has = |metric: &Metric| metric.needs().is_none_or(|field| present.contains(field));
        let metrics = view.metrics().iter().copied().filter(has);
        match out.iter_mut().find(|seen| seen.dimension == view.dimension && seen.window == view.window) {
            Some(seen) => {
                let metrics: Vec<Metric> = seen.metrics().iter().copied().chain(metrics).collect();
                *seen = View::new(view.dimension.clone(), view.window, metrics);
            }
            None => out.push(View::new(view.dimension.clone(), view.window, metrics)),
        }
    }
    out.sort();
    out
}

fn coverage(plan: &Plan, workers: &[Worker]) -> Coverage {
    let mut tally = UnitTally::default();
    let mut hours = BTreeSet::new();
    let mut span: Option<(i64, i64)> = None;
    for worker in workers {
        tally.add(&worker.tally);
        hours.extend(&worker.hours);
        span = match (span, worker.span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
    let mut coverage = plan.coverage().clone();
    coverage.rows.read += tally.read;
    coverage.rows.pruned += tally.pruned;
    coverage.rows.rejected += tally.rejected_rows.iter().sum::<u64>();
    coverage.rejected_rows = [RowReason::NullTime, RowReason::UnreadableTime, RowReason::NoPrincipal]
        .into_iter()
        .zip(tally.rejected_rows)
        .filter(|(_, count)| *count > 0)
        .collect();
    coverage.rejected_values =
        [ValueReason::NegativeCount, ValueReason::NotANumber, ValueReason::UnknownStatus]
            .into_iter()
            .zip(tally.rejected_values)
            .filter(|(_, count)| *count > 0)
            .collect();
    if plan.files().len() > 0 {
        let missing = plan.fields().iter().filter(|field| !plan.fields_present().contains(*field));
        coverage.missing_columns = missing.map(|field| field.name().to_owned()).collect();
    }
    coverage.time = span.map(|(first, last)| (Micros(first), Micros(last)));
    let hours: Vec<i64> = hours.into_iter().collect();
    let gap = |pair: &[i64]| (pair[1] - pair[0] > Micros::HOUR).then_some((pair[0] + Micros::HOUR, pair[1]));
    coverage.gaps =
        hours.windows(2).filter_map(gap).map(|(start, end)| (Micros(start), Micros(end))).collect();
    coverage
}

fn assemble(views: &[View], workers: Vec<Worker>, names: &[Names]) -> Result<Rollup, RollupError> {
    let mut by_view: Vec<Vec<Vec<Block>>> = views.iter().map(|_| Vec::new()).collect();
    let mut dimensions: Vec<Vec<DimensionIds>> = Vec::new();
    let mut dimension_of = Vec::new();
    for worker in workers {
        dimension_of = worker.counters.iter().map(|(dimension, _, _)| *dimension).collect();
        for ((view, blocks), (_, _, counter)) in views.iter().zip(&mut by_view).zip(worker.counters) {
            let too_many = || RollupError::TooMany { view: view.to_string(), what: "cells" };
            blocks.push(counter.finish().ok_or_else(too_many)?);
        }
        dimensions.push(worker.dimensions);
    }
    let count = dimensions.first().map_or(0, Vec::len);
    let entities = (0..count).into_par_iter().map(|at| {
        // Views of one dimension count the same records, so that any of them knows its entities.
        let view = dimension_of.iter().position(|dimension| *dimension == at).unwrap_or_default();
        let of_worker: Vec<&DimensionIds> = dimensions.iter().map(|worker| &worker[at]).collect();
        entities(&of_worker, &by_view[view], names)
    });
    let entities: Vec<Entities> = entities.collect();
    drop(dimensions);
    let tables = views.par_iter().zip(by_view).zip(&dimension_of).map(|((view, blocks), dimension)| {
        let total: usize = blocks.iter().flatten().map(Block::len).sum();
        if u32::try_from(total).is_err() {
            return Err(RollupError::TooMany { view: view.to_string(), what: "cells" });
        }
        let Entities { names, ranks } = &entities[*dimension];
        let parts = blocks.into_iter().zip(ranks).map(|(blocks, ranks)| (blocks, ranks.as_slice())).collect();
        Ok(table_of_blocks(view, names.clone(), parts))
    });
    Ok(Rollup { tables: tables.collect::<Result<_, _>>()? })
}

/// The entities of a dimension, of which `blocks` are each worker's cells in some view.
fn entities(workers: &[&DimensionIds], blocks: &[Vec<Block>], names: &[Names]) -> Entities {
    let fields = workers.first().map_or(&[][..], |ids| ids.dimension.parts());
    match fields {
        [field] => {
            let names = &names[field.index()];
            let mut used = vec![false; names.len()];
            let ids = blocks.iter().flatten().flat_map(|block| &block.entities);
            ids.for_each(|id| used[*id as usize] = true);
            Entities::of_field(names, &used, workers.len())
        }
        fields => {
            let names: Vec<&Names> = fields.iter().map(|field| &names[field.index()]).collect();
            let pairs: Vec<&[PairIds]> = workers.iter().map(|ids| ids.pairs.as_slice()).collect();
            Entities::of_compound(&names, &pairs)
        }
    }
}
