//! Writing the rollup store: a folder of Parquet files that any tool opens. In: a rollup. Out: the folder,
//! whole or not at all, with the same bytes for the same rollup.

mod chunk;
mod column;
mod delta;
mod file;
mod indices;
mod pack;
mod varint;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::prelude::*;

use crate::{Rollup, RollupError, Table};

/// Version of the store, in the files' metadata.
pub(crate) const FORMAT: u32 = 1;

impl Rollup {
    /// Writes the rollup as `dir`: one folder a view, `DIMENSION@WINDOW/part-0.parquet`, sorted by entity and
    /// window. An earlier rollup in `dir` is replaced; the new one appears by rename once it is complete.
    ///
    /// # Errors
    /// The folder can not be written, or `dir` exists and holds something that is not a rollup.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<(), RollupError> {
        let dir = dir.as_ref();
        let broken = |path: &Path, cause: &dyn std::fmt::Display| RollupError::Write {
            path: path.to_path_buf(),
            cause: cause.to_string(),
        };
        if dir.exists() {
            check_replaceable(dir)?;
        }
        let (fresh, old) = (beside(dir, "new")?, beside(dir, "old")?);
        for leftover in [&fresh, &old] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).map_err(|error| broken(leftover, &error))?;
            }
        }
        fs::create_dir_all(&fresh).map_err(|error| broken(&fresh, &error))?;
        write_tables(&fresh, &self.tables)?;
        if dir.exists() {
            fs::rename(dir, &old).map_err(|error| broken(dir, &error))?;
        }
        fs::rename(&fresh, dir).map_err(|error| broken(dir, &error))?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(|error| broken(&old, &error))?;
        }
        Ok(())
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

/// Writes the files of all tables, and waits until the disk has them.
fn write_tables(dir: &Path, tables: &[Table]) -> Result<(), RollupError> {
    thread::scope(|scope| {
        let pending = Mutex::new(Vec::new());
        tables.par_iter().try_for_each(|table| {
            let (path, file) = write_table(dir, table)?;
            // The disk needs no thread of the pool to wait for it.
            let sync = move || file.sync_all();
            let thread = thread::Builder::new().spawn_scoped(scope, sync);
            pending.lock().unwrap_or_else(PoisonError::into_inner).push((path, thread));
            Ok::<_, RollupError>(())
        })?;
        let pending = pending.into_inner().unwrap_or_else(PoisonError::into_inner);
        pending.into_iter().try_for_each(|(path, thread)| {
            let synced = thread.and_then(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("the thread that waits for the disk died")))
            });
            synced.map_err(|error| RollupError::Write { path, cause: error.to_string() })
        })
    })
}

fn write_table(dir: &Path, table: &Table) -> Result<(PathBuf, File), RollupError> {
    let folder = dir.join(table.view.folder());
    let path = folder.join("part-0.parquet");
    let broken = |cause: String| RollupError::Write { path: path.clone(), cause };
    fs::create_dir_all(&folder).map_err(|error| broken(error.to_string()))?;
    let file = File::create(&path).map_err(|error| broken(error.to_string()))?;
    file::write(table, &file).map_err(|error| broken(error.to_string()))?;
    Ok((path, file))
}
