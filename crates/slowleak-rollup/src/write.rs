//! Writing the rollup store: a folder of Parquet files that any tool opens. In: views, row group by row group. Out:
//! the folder, whole or not at all, with the same bytes for the same cells.

mod chunk;
mod column;
mod delta;
mod file;
mod indices;
pub(crate) mod pack;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use slowleak_record::sync_folder;

use crate::groups::{Pace, Rounds, Sliced};
use crate::{Profile, Rollup, RollupError, Table, View};

/// Version of the store, in the files' metadata.
pub(crate) const FORMAT: u32 = 1;

impl Rollup {
    /// Writes the rollup as `dir`: one folder a view, `DIMENSION@WINDOW/part-0.parquet`, sorted by entity and
    /// window. An earlier rollup in `dir` is replaced; the new one appears by rename once it is complete.
    ///
    /// # Errors
    /// The folder can not be written, or `dir` exists and holds something that is not a rollup.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<(), RollupError> {
        store(dir.as_ref(), usize::MAX, |store| {
            self.tables.iter().try_for_each(|table| {
                store
                    .view(&table.view, &mut Sliced::new(table), &mut |_| (), &mut Profile::default())
                    .map(drop)
            })
        })
    }
}

/// What was written of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The view.
    pub view: View,
    /// Entities with a cell.
    pub entities: u64,
    /// Cells.
    pub cells: u64,
}

/// A store that nobody sees yet.
pub(crate) struct Store {
    dir: PathBuf,
    /// Bytes for row groups that are being written.
    room: usize,
    /// Files that the disk may not have yet.
    syncs: Vec<(PathBuf, io::Result<JoinHandle<io::Result<()>>>)>,
}

/// Writes a store through `fill`, with `room` bytes for the row groups that are being written, and puts it in the place
/// of an earlier one in `dir`, once the disk has it.
///
/// # Errors
/// Those of `fill`; the folder can not be written, or `dir` exists and holds something that is not a rollup.
pub(crate) fn store<T>(
    dir: &Path,
    room: usize,
    fill: impl FnOnce(&mut Store) -> Result<T, RollupError>,
) -> Result<T, RollupError> {
    let broken = |path: &Path, cause: io::Error| RollupError::Write {
        path: path.to_path_buf(),
        cause: cause.to_string(),
    };
    if dir.exists() {
        check_replaceable(dir)?;
    }
    let (fresh, old) = (beside(dir, "new")?, beside(dir, "old")?);
    for leftover in [&fresh, &old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(|error| broken(leftover, error))?;
        }
    }
    fs::create_dir_all(&fresh).map_err(|error| broken(&fresh, error))?;
    let mut store = Store { dir: fresh.clone(), room, syncs: Vec::new() };
    let filled = match fill(&mut store) {
        Ok(filled) => filled,
        Err(error) => {
            // A full disk would stay full. What can not be removed now is removed by the next run.
            _ = fs::remove_dir_all(&fresh);
            return Err(error);
        }
    };
    for (path, sync) in store.syncs {
        let died = |_| Err(io::Error::other("the thread that waits for the disk died"));
        let synced = sync.and_then(|thread| thread.join().unwrap_or_else(died));
        let folders = || path.parent().map_or(Ok(()), sync_folder);
        synced.and_then(|()| folders()).map_err(|error| broken(&path, error))?;
    }
    sync_folder(&fresh).map_err(|error| broken(&fresh, error))?;
    if dir.exists() {
        fs::rename(dir, &old).map_err(|error| broken(dir, error))?;
    }
    fs::rename(&fresh, dir).map_err(|error| broken(dir, error))?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(|error| broken(&old, error))?;
    }
    Ok(filled)
}

impl Store {
    /// Writes the row groups of a view, each of which `each` takes once it is appended. The time goes to
    /// [`Step::Assemble`] and those after it.
    ///
    /// # Errors
    /// The row groups can not be had, or the file can not be written.
    pub(crate) fn view(
        &mut self,
        view: &View,
        rounds: &mut (dyn Rounds + Send),
        each: &mut (dyn FnMut(Table) + Send),
        profile: &mut Profile,
    ) -> Result<Written, RollupError> {
        let folder = self.dir.join(view.folder());
        let path = folder.join("part-0.parquet");
        let broken = |error: io::Error| RollupError::Write { path: path.clone(), cause: error.to_string() };
        fs::create_dir_all(&folder).map_err(broken)?;
        let file = File::create(&path).map_err(broken)?;
        let pace = Pace::new(view, self.room);
        let written = file::write(view, rounds, pace, each, &path, &file, profile)?;
        // The disk needs no thread of the pool to wait for it.
        self.syncs.push((path.clone(), thread::Builder::new().spawn(move || file.sync_all())));
        Ok(written)
    }
}

/// A hidden sibling of `dir`.
fn beside(dir: &Path, suffix: &str) -> Result<PathBuf, RollupError> {
    let name = dir.file_name().ok_or_else(|| RollupError::Write {
        path: dir.to_path_buf(),
        cause: "the path does not end in the name of a folder".to_owned(),
    })?;
    Ok(dir.with_file_name(format!(".{}.{suffix}", name.to_string_lossy())))
}

/// Only a rollup is ever removed: every visible entry is a folder named like a view.
fn check_replaceable(dir: &Path) -> Result<(), RollupError> {
    let broken = |cause: String| RollupError::Write { path: dir.to_path_buf(), cause };
    for entry in fs::read_dir(dir).map_err(|error| broken(error.to_string()))? {
        let entry = entry.map_err(|error| broken(error.to_string()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !crate::read::is_view_folder(&name) {
            return Err(broken(format!("the folder is in use: it holds {name:?}, which is no view")));
        }
    }
    Ok(())
}
