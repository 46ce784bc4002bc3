//! From a scan plan to a rollup, in one parallel pass. In: units of records. Out: the finished rollup and
//! the account of what was read.
//!
//! Each worker takes the next unit in time order and counts into cells of its own, under ids of its own; at the end
//! names are sorted, ids renamed to their places and cells of all workers added up.
//!
//! A file that breaks half-way must leave no trace, or a second run after its repair would count twice.
//! Counting file by file would make every record pay for that (cells of each file merged into those of all).
//! Damage behind a sound footer is rare: the pass goes on to find every damaged file, and is then repeated
//! without them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use slowleak_record::{Field, FieldSet, InputError, Micros};
use slowleak_scan::{Coverage, Names, Plan, RowReason, UnitTally, ValueReason};

use crate::assemble::table_of_blocks;
use crate::closed::Closed;
use crate::entities::{Entities, FieldNames};
use crate::worker::{Counted, Worker, request};
use crate::{Metric, Profile, Rollup, RollupError, Step, View};

/// Counts the records of `plan` into the cells of `views`.
///
/// A view of which the input lacks a dimension is left out, a metric of which it lacks the column is
/// dropped; [`Coverage::missing_columns`] names the fields. Two views of the same dimension and window
/// become one. `progress` is told of rows as they are read, [`Plan::rows`] in all unless a file fails. Runs on
/// the current rayon pool; the answer does not depend on the number of threads.
///
/// # Errors
/// More than 4 billion cells in a view. Bad files are no error, nor is one with which a column would have more than
/// 4 billion different names: see [`Coverage::rejected_files`].
pub fn build(
    plan: &Plan,
    views: &[View],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Rollup, Coverage), RollupError> {
    build_profiled(plan, views, progress).map(|(rollup, coverage, _)| (rollup, coverage))
}

/// [`build`], and where the time went.
///
/// # Errors
/// Those of [`build`].
pub fn build_profiled(
    plan: &Plan,
    views: &[View],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Rollup, Coverage, Profile), RollupError> {
    let silent = |_| ();
    let mut pass = pass(plan, views, progress)?;
    let mut rest = None;
    while !pass.broken.is_empty() {
        let next = rest.as_ref().unwrap_or(plan).without(&pass.broken);
        pass = self::pass(&next, views, &silent)?;
        rest = Some(next);
    }
    Ok((pass.rollup, pass.coverage, pass.profile))
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
    profile: Profile,
    broken: Vec<InputError>,
}

fn pass(plan: &Plan, views: &[View], progress: &(dyn Fn(u64) + Sync)) -> Result<Pass, RollupError> {
    let views = possible(views, plan.fields_present());
    let request = request(&views);
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    let workers: Vec<Counted> = (0..rayon::current_num_threads())
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut worker = Worker::new(&views);
            while let Some(unit) = plan.units().get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = worker.read(plan, unit, request, progress) {
                    broken.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                }
            }
            worker.finish()
        })
        .collect();

    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !broken.is_empty() {
        return Ok(Pass {
            rollup: Rollup::default(),
            coverage: Coverage::default(),
            profile: Profile::default(),
            broken,
        });
    }
    let coverage = coverage(plan, &workers);
    let mut profile = Profile::default();
    workers.iter().for_each(|worker| profile.merge(&worker.profile));
    let since = Instant::now();
    let rollup = assemble(&views, workers)?;
    profile.record(Step::Assemble, since.elapsed());
    Ok(Pass { rollup, coverage, profile, broken })
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

fn coverage(plan: &Plan, workers: &[Counted]) -> Coverage {
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

fn assemble(views: &[View], workers: Vec<Counted>) -> Result<Rollup, RollupError> {
    let dimensions = distinct(views.iter().map(|view| &view.dimension));
    let mut by_view: Vec<Vec<Vec<Closed>>> = views.iter().map(|_| Vec::new()).collect();
    let mut names = Vec::new();
    let mut pairs = Vec::new();
    for worker in workers {
        for ((view, blocks), (_, counter)) in views.iter().zip(&mut by_view).zip(worker.counters) {
            let too_many = || RollupError::TooMany { view: view.to_string(), what: "cells" };
            blocks.push(counter.finish().ok_or_else(too_many)?);
        }
        names.push(worker.names);
        pairs.push(worker.dimensions);
    }
    let of_field = |field: Field| {
        let of_worker: Vec<&Names> = names.iter().map(|names| &names[field.index()]).collect();
        FieldNames::new(&of_worker)
    };
    let counts_sources = |view: &View| view.metrics().contains(&Metric::Sources);
    let sources = views.iter().any(counts_sources).then_some(&Field::Source);
    let parts = distinct(dimensions.iter().flat_map(|dimension| dimension.parts()).chain(sources));
    let fields: Vec<(Field, FieldNames<'_>)> =
        parts.into_par_iter().map(|field| (*field, of_field(*field))).collect();
    let entities = dimensions.par_iter().enumerate().map(|(at, dimension)| {
        let parts = dimension.parts().iter();
        let parts: Vec<&FieldNames<'_>> =
            parts.filter_map(|part| fields.iter().find(|(field, _)| field == part)).map(|(_, f)| f).collect();
        // Views of one dimension count the same records, so that any of them knows its entities.
        let view = views.iter().position(|view| view.dimension == **dimension).unwrap_or_default();
        match parts.as_slice() {
            [field] => Entities::of_field(field, &by_view[view]),
            parts => {
                let pairs: Vec<_> = pairs.iter().map(|worker| worker[at].pairs.as_slice()).collect();
                Entities::of_compound(parts, &pairs)
            }
        }
    });
    let entities: Vec<Entities> = entities.collect();
    drop(pairs);
    if let Some((_, sources)) = fields.iter().find(|(field, _)| *field == Field::Source) {
        // The same source has another id in each worker: distinct ones are counted by their common places.
        for (_, workers) in views.iter().zip(&mut by_view).filter(|(view, _)| counts_sources(view)) {
            for (worker, blocks) in workers.iter_mut().enumerate() {
                blocks.par_iter_mut().for_each(|block| block.rename_sources(|id| sources.rank(worker, id)));
            }
        }
    }
    // One view after the other, each on all threads: the cells of those done are gone before the next begins.
    let tables = views.iter().zip(by_view).map(|(view, blocks)| {
        let total: usize = blocks.iter().flatten().map(Closed::len).sum();
        if u32::try_from(total).is_err() {
            return Err(RollupError::TooMany { view: view.to_string(), what: "cells" });
        }
        let dimension = dimensions.iter().position(|dimension| **dimension == view.dimension);
        let Some(Entities { names, ranks }) = dimension.and_then(|at| entities.get(at)) else {
            return Ok(table_of_blocks(view, Vec::new(), Vec::new()));
        };
        let parts = blocks.into_iter().zip(ranks).map(|(blocks, ranks)| (blocks, ranks.as_slice())).collect();
        Ok(table_of_blocks(view, names.clone(), parts))
    });
    Ok(Rollup { tables: tables.collect::<Result<_, _>>()? })
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
