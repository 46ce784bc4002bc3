//! Cells that do not fit into memory. A worker that has counted as much as it may writes what it has as a sorted
//! [`Run`] to an unnamed temporary file and begins anew; in the end all runs are merged ([`Merge`]), entity by entity,
//! into the row groups that would have come out of memory. Cells merge exactly, so that nothing tells afterwards how
//! often or where the count was cut.

mod merge;
mod run;

use std::path::{Path, PathBuf};

pub(crate) use merge::{Merge, merge_runs};
pub(crate) use run::{EntityCells, Run, RunWriter};

/// Runs merged at once: each is an open file with a buffer.
pub(crate) const MOST_RUNS: usize = if cfg!(test) { 3 } else { 96 };

/// How much memory counting may take, and where it goes when that is not enough.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Bytes for everything that grows with the input: names, cells and what they are assembled in. The mapped bytes
    /// of the input, which the system takes back when it needs them, do not count.
    pub limit: usize,
    /// A folder with room for what does not fit; the files in it have no names and vanish with the process.
    pub folder: PathBuf,
}

impl Memory {
    /// A limit, with a folder for what does not fit.
    pub fn new(limit: usize, folder: impl AsRef<Path>) -> Self {
        Self { limit, folder: folder.as_ref().to_path_buf() }
    }

    /// What one of `threads` workers may hold before it writes a run. The rest is for sorting, encoding and
    /// the cells that follow from finer ones: with half, a run over 50 million users took a third more than it was
    /// given.
    pub(crate) fn of_worker(&self, threads: usize) -> usize {
        self.limit / 3 / threads.max(1)
    }
}
