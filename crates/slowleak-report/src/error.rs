//! What can go wrong while a report is written. Trouble with reading one back is an
//! [`slowleak_record::InputError`].

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An output that could not be written. Outputs of an earlier run are left as they were, unless the
/// failure came between two renames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file system refused.
    #[error("{}: can not be written: {source} (check that the folder is writable and has space)", path.display())]
    Io {
        /// File or folder that was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content could not be brought into the file's format.
    #[error("{}: can not be encoded: {cause} (this is a defect of slowleak; please report it)", path.display())]
    Encode {
        /// File that was being written.
        path: PathBuf,
        /// What the encoder said.
        cause: String,
    },
}
