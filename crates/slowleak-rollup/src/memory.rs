//! How the memory that counting may take is dealt. In: the limit, and how many threads count. Out: what a worker may
//! hold before it sets cells aside, what the final merge may buffer, and what row groups may take while they are
//! written. Counting and writing come one after the other, so that each is dealt nearly all of the limit.
//!
//! What a run and a thread take are estimates; `scripts/checks/memory` holds a run's peak against the limit.

use std::path::{Path, PathBuf};

use crate::spill::MOST_RUNS;

/// The program, and what the plan knows of the files.
const OF_RUN: usize = 12 << 20;

/// A thread's batch, the pages that it decodes, and what its allocator keeps.
const OF_THREAD: usize = 8 << 20;

/// The least share of a worker with which runs do not become very many and very short.
const LEAST_SHARE: usize = 4 << 20;

/// A worker that sets its share aside takes so many times as much meanwhile: the tables that have just grown, the names
/// in order, the cells by entity, those that follow from finer ones.
const TIMES: usize = 3;

/// Bytes of each run that the merge reads at once, at most and at least.
const RUN_BUFFER: (usize, usize) = (1 << 18, 1 << 14);

/// What a merge takes that reads as much at once as it may.
const MERGE: usize = RUN_BUFFER.0 * MOST_RUNS + OF_GROUP;

/// The row group that takes most while it is made and encoded: every cell with a full sketch.
pub(crate) const OF_GROUP: usize = 72 << 20;

/// How much memory counting may take, and where it goes when that is not enough.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Bytes for the whole run until the rollup is written. The mapped bytes of the input, which the system takes back
    /// when it needs them, do not count.
    pub limit: usize,
    /// A folder with room for what does not fit; the files in it have no names and vanish with the process.
    pub folder: PathBuf,
}

impl Memory {
    /// The least limit that one thread keeps to: a merge that reads from as many runs as it may, and one row group.
    pub const LEAST: usize = 128 << 20;

    /// A limit, with a folder for what does not fit.
    pub fn new(limit: usize, folder: impl AsRef<Path>) -> Self {
        Self { limit, folder: folder.as_ref().to_path_buf() }
    }

    /// How many threads can count within a limit, at least one.
    pub fn threads(limit: usize) -> usize {
        let counting = limit.saturating_sub(OF_RUN) / (OF_THREAD + TIMES * LEAST_SHARE);
        let merging = limit.saturating_sub(OF_RUN + MERGE) / OF_THREAD;
        counting.min(merging).max(1)
    }

    /// The least limit that so many threads can count within.
    pub fn of_threads(threads: usize) -> usize {
        let counting = threads.saturating_mul(OF_THREAD + TIMES * LEAST_SHARE);
        let merging = threads.saturating_mul(OF_THREAD).saturating_add(MERGE);
        OF_RUN.saturating_add(counting.max(merging)).max(Self::LEAST)
    }

    /// What a run of so many threads takes before it holds a cell.
    pub fn taken(threads: usize) -> usize {
        OF_RUN.saturating_add(OF_THREAD.saturating_mul(threads.max(1)))
    }

    /// The same with so many bytes taken for something else.
    pub(crate) fn less(&self, bytes: usize) -> Self {
        Self { limit: self.limit.saturating_sub(bytes), folder: self.folder.clone() }
    }

    /// What is left of the limit on so many threads.
    pub(crate) fn left(&self, threads: usize) -> usize {
        self.limit.saturating_sub(Self::taken(threads))
    }

    /// What is left of the limit, dealt to `threads`.
    pub(crate) fn dealt(&self, threads: usize) -> Dealt {
        let left = self.left(threads);
        let run_buffer = (left / 4 / MOST_RUNS).clamp(RUN_BUFFER.1, RUN_BUFFER.0);
        Dealt {
            of_worker: left / TIMES / threads.max(1),
            run_buffer,
            groups: left.saturating_sub(run_buffer * MOST_RUNS),
        }
    }
}

/// See [`Memory::dealt`]; without a limit, as much as is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dealt {
    /// Bytes that a worker may hold before it writes a run.
    pub(crate) of_worker: usize,
    /// Bytes of each run that the merge reads at once.
    pub(crate) run_buffer: usize,
    /// Bytes for row groups that are being written.
    pub(crate) groups: usize,
}

impl Default for Dealt {
    fn default() -> Self {
        Self { of_worker: usize::MAX, run_buffer: RUN_BUFFER.0, groups: usize::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dealt_is_within_the_limit() {
        for limit in [Memory::LEAST, 150 << 20, 192 << 20, 512 << 20, 2 << 30, 64 << 30] {
            let memory = Memory::new(limit, "");
            let most = Memory::threads(limit);
            assert!(Memory::of_threads(most) <= limit && Memory::of_threads(most + 1) > limit);
            for threads in (1..=most).step_by(most.div_ceil(20)) {
                let Dealt { of_worker, run_buffer, groups } = memory.dealt(threads);
                let counting = Memory::taken(threads) + threads * TIMES * of_worker;
                let merging = Memory::taken(threads) + run_buffer * MOST_RUNS + groups;
                assert!(counting <= limit && merging <= limit, "{limit} on {threads}: {counting}, {merging}");
                assert!(groups >= OF_GROUP, "{limit} on {threads}: {groups}");
                assert!(of_worker >= LEAST_SHARE, "{limit} on {threads}: {of_worker}");
            }
        }
    }

    #[test]
    fn a_limit_below_what_a_run_takes_leaves_nothing() {
        let Dealt { of_worker, groups, .. } = Memory::new(1 << 20, "").dealt(4);
        assert_eq!((of_worker, groups), (0, 0));
    }
}
