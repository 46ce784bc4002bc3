//! Cells that do not fit into memory. A worker that has counted as much as it may writes what it has as a sorted
//! [`Run`] to an unnamed temporary file and begins anew; in the end all runs are merged ([`Merge`]), entity by entity,
//! into the row groups that would have come out of memory. Cells merge exactly, so that nothing tells afterwards how
//! often or where the count was cut.

mod merge;
mod run;

pub(crate) use merge::{Merge, merge_runs};
pub(crate) use run::{EntityCells, Run, RunWriter};

/// Runs merged at once: each has a buffer.
pub(crate) const MOST_RUNS: usize = 96;
