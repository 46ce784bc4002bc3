//! From a scan plan to counted cells, in one parallel pass. In: units of records. Out: the cells of all workers and
//! the account of what was read.
//!
//! Each worker takes the next unit, in the order of the files' paths, and counts into cells of its own, under ids of its own; where these
//! outgrow its memory it writes them as a sorted run and begins anew.
//!
//! A file that breaks half-way must leave no trace, or a second run after its repair would count twice.
//! Counting file by file would make every record pay for that (cells of each file merged into those of all).
//! Damage behind a sound footer is rare: the pass goes on to find every damaged file, and is then repeated
//! without them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use slowleak_record::{Field, FieldSet, InputError, Micros};
use slowleak_scan::{Coverage, Duplicates, FileAccount, Plan, give_back};

use crate::counts::{Held, spill};
use crate::spill::{Run, merge_runs};
use crate::worker::{Counted, Part, Room, UnitAccount, Worker, request};
use crate::{Counts, Memory, Metric, Profile, Rollup, RollupError, Step, View};

/// Counts the records of `plan` into the cells of `views` and keeps them in memory, however many they are.
///
/// # Errors
/// Those of [`count`].
pub fn build(
    plan: &Plan,
    views: &[View],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Rollup, Coverage), RollupError> {
    let (counts, coverage) = count(plan, views, None, progress)?;
    Ok((counts.into_rollup()?, coverage))
}

/// Counts the records of `plan` into the cells of `views`, within `memory` where it is given.
///
/// A view of which the input lacks a dimension is left out, a metric of which it lacks the column is
/// dropped; [`Coverage::missing_columns`] names the fields. Two views of the same dimension and window
/// become one. `progress` is told of rows as they are read, [`Plan::rows`] in all unless a file fails. Runs on
/// the current rayon pool; the answer depends neither on the number of threads nor on the memory.
///
/// # Errors
/// What does not fit into memory does not fit on the disk; more than 2 billion cells of a view in one thread's memory.
/// Bad files are no error, nor is one with which a column would have more than 4 billion different names: see
/// [`Coverage::rejected_files`].
pub fn count(
    plan: &Plan,
    views: &[View],
    memory: Option<&Memory>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Counts, Coverage), RollupError> {
    let (counts, accounts, others) = count_files(plan, None, views, memory, progress)?;
    Ok((counts, Coverage::of(&accounts, &others, plan.fields())))
}

/// The same, with the account of each accepted file, from which with that of the others [`Coverage::of`] makes the whole.
/// Records that repeat one of `earlier`, what was counted before, do not count.
///
/// # Errors
/// Those of [`count`]; a file of `earlier` can not be read.
pub fn count_files(
    plan: &Plan,
    earlier: Option<&Plan>,
    views: &[View],
    memory: Option<&Memory>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(Counts, Vec<FileAccount>, Coverage), RollupError> {
    let silent = |_| ();
    let mut pass = pass(plan, earlier, views, memory, progress)?;
    let mut rest = None;
    loop {
        match pass {
            Pass::Whole(whole) => return Ok(*whole),
            Pass::Broken(mut files) => {
                // What was counted before can not be left out.
                let is_new = |error: &InputError| plan.files().any(|file| file == error.path());
                if let Some(lost) = files.iter().position(|error| !is_new(error)) {
                    return Err(files.swap_remove(lost).into());
                }
                let next = rest.as_ref().unwrap_or(plan).without(&files);
                pass = self::pass(&next, earlier, views, memory, &silent)?;
                rest = Some(next);
            }
        }
    }
}

/// The fields that `views` need, for [`Plan::new`].
pub fn fields(views: &[View]) -> FieldSet {
    let parts = views.iter().flat_map(|view| view.dimension.parts().iter().copied());
    let metrics = views.iter().flat_map(|view| view.metrics().iter().filter_map(|metric| metric.needs()));
    parts.chain(metrics).chain([Field::Time]).collect()
}

/// Bytes for comparing records, whatever the limit: below, the log would be read over and over again; above, sorting is no faster.
const LEAST_ROOM: usize = 1 << 20;
const MOST_ROOM: usize = 2 << 30;

enum Pass {
    /// The cells, the account of each accepted file, and that of the others.
    Whole(Box<(Counts, Vec<FileAccount>, Coverage)>),
    /// These files broke half-way; what was counted has some of their records and is gone, so that its memory is free
    /// for the next pass.
    Broken(Vec<InputError>),
}

fn pass(
    plan: &Plan,
    earlier: Option<&Plan>,
    views: &[View],
    memory: Option<&Memory>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Pass, RollupError> {
    let views = possible(views, plan.fields_present());
    let request = request(&views);
    let threads = rayon::current_num_threads();
    let since = Instant::now();
    let room = memory.map_or(MOST_ROOM, |memory| memory.left(threads)).clamp(LEAST_ROOM, MOST_ROOM);
    let duplicates = match Duplicates::find(plan, earlier, room) {
        Ok(duplicates) => duplicates,
        Err(files) => return Ok(Pass::Broken(files)),
    };
    let looking = since.elapsed();
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    let memory = memory.map(|memory| memory.less(duplicates.bytes()));
    let memory = memory.as_ref();
    let mut dealt = memory.map(|memory| memory.dealt(threads)).unwrap_or_default();
    let room = memory.map(|memory| Room { most: dealt.of_worker, folder: &memory.folder });
    let workers: Result<Vec<Counted>, RollupError> = (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut worker = Worker::new(&views, room);
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(unit) = plan.units().get(at) else { break };
                match worker.read(plan, unit, duplicates.of(at), request, progress) {
                    Err(RollupError::Input(error)) => {
                        broken.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                    }
                    Err(error) => {
                        // The run has failed: nobody takes another unit.
                        next.store(plan.units().len(), Ordering::Relaxed);
                        return Err(error);
                    }
                    Ok(()) => {}
                }
            }
            Ok(worker.finish())
        })
        .collect();
    let mut workers = workers?;
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !broken.is_empty() {
        return Ok(Pass::Broken(broken));
    }
    let accounts = accounts(plan, &workers);
    let mut profile = Profile::default();
    if plan.has_identities() {
        profile.record(Step::Duplicates, looking);
    }
    workers.iter().for_each(|worker| profile.merge(&worker.profile));
    let mut runs: Vec<Run> = workers.iter_mut().flat_map(|worker| std::mem::take(&mut worker.runs)).collect();
    let parts: Vec<Part> = workers.into_iter().map(|worker| worker.part).collect();
    let held = match memory.filter(|_| !runs.is_empty()) {
        None => {
            // The cells of a view are there twice while they are laid down by entity.
            let held: usize = parts.iter().map(Part::bytes).sum();
            dealt.groups = dealt.groups.saturating_sub(2 * held);
            Held::Memory(parts)
        }
        Some(memory) => {
            let last = parts.into_par_iter().map(|part| {
                let since = Instant::now();
                spill(&views, part, &memory.folder, None).map(|run| (run, since.elapsed()))
            });
            for (run, time) in last.collect::<Result<Vec<(Run, Duration)>, _>>()? {
                runs.push(run);
                profile.record(Step::Spill, time);
            }
            give_back();
            let since = Instant::now();
            let runs = merge_runs(&views, runs, &memory.folder, dealt.run_buffer)?;
            profile.record(Step::Spill, since.elapsed());
            Held::Runs(runs)
        }
    };
    let counts = Counts::new(views, held, profile, dealt);
    Ok(Pass::Whole(Box::new((counts, accounts, plan.coverage().clone()))))
}

/// The views that the fields of a log allow, with the metrics that they allow; sorted, one a dimension and window.
pub fn possible(views: &[View], present: FieldSet) -> Vec<View> {
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

/// What became of each accepted file.
fn accounts(plan: &Plan, workers: &[Counted]) -> Vec<FileAccount> {
    let mut accounts = plan.accounts();
    for (file, account) in accounts.iter_mut().enumerate() {
        let mut whole = UnitAccount::default();
        workers.iter().filter_map(|worker| worker.accounts.get(&file)).for_each(|part| whole.add(part));
        account.tally = whole.tally;
        account.hours = whole.hours;
        account.repeated = whole.repeated;
        account.time = whole.span.map(|(first, last)| (Micros(first), Micros(last)));
    }
    accounts
}
