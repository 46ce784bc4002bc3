//! What can go wrong with a rollup as a whole; a single bad input file is a line of the coverage instead.

use std::path::PathBuf;

use slowleak_record::InputError;
use thiserror::Error;

/// A rollup that can not be built, written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RollupError {
    /// A rollup folder that can not be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A folder that can not be written.
    #[error("{}: can not write the rollup: {cause} (check that the folder is writable and the disk not full)", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the encoder said.
        cause: String,
    },
    /// More entities or cells than ids.
    #[error("view {view}: more than 2 billion {what} (use a longer window or a coarser dimension)")]
    TooMany {
        /// The view or column.
        view: String,
        /// What there are too many of.
        what: &'static str,
    },
    /// Cells that do not fit into memory can not be written to a temporary file.
    #[error("{}: can not set cells aside that exceed --memory: {cause} (give it room, or more memory)", path.display())]
    Spill {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Cells that were written to a temporary file can not be read again.
    #[error(
        "cells set aside in a temporary file can not be read again: {cause} (check the disk, then run again)"
    )]
    Unspill {
        /// What is wrong.
        cause: String,
    },
}
