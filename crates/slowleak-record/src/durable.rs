//! What a power cut must not take back. In: a folder. Out: its entries are on the disk.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes what happened to the entries of a folder last; nothing where there is none.
///
/// # Errors
/// The disk does not confirm it.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Windows opens no folders, and keeps entries without being asked.
        folder if cfg!(unix) => folder?.sync_all(),
        _ => Ok(()),
    }
}
