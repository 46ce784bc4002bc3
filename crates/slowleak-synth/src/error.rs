//! What can go wrong when a scenario is read or a log is written.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A scenario that can not be used, or a log that can not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The scenario text is wrong; displayed as `NAME:LINE: CAUSE (REMEDY)`.
    #[error("{name}:{line}: {cause} ({remedy})")]
    Scenario {
        /// File or given name of the scenario.
        name: String,
        /// 1-based line.
        line: usize,
        /// What is wrong.
        cause: String,
        /// What to do about it.
        remedy: String,
    },
    /// A file or folder can not be read or written.
    #[error("{}: {cause} ({remedy})", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The output folder already holds a log.
    #[error("{}: already holds a log (name another folder, or remove that one first)", .0.display())]
    Occupied(PathBuf),
    /// The Parquet writer refused a row group or a file.
    #[error("{}: {cause} (check the free space and that the folder is writable)", path.display())]
    Parquet {
        /// The file being written.
        path: PathBuf,
        /// What went wrong.
        cause: parquet::errors::ParquetError,
    },
}

impl SynthError {
    pub(crate) fn io(path: &Path, cause: std::io::Error) -> Self {
        let remedy = "check that the folder exists, is writable and has space";
        Self::Io { path: path.to_path_buf(), cause, remedy }
    }

    pub(crate) fn parquet(path: &Path, cause: parquet::errors::ParquetError) -> Self {
        Self::Parquet { path: path.to_path_buf(), cause }
    }
}
