//! Results appear together or not at all: a run writes into a staging folder inside `--out`, and moves the
//! finished entries to their names in one short step at the end.
//!
//! The staging folder lies inside `--out` so that every move is a rename within one file system, and so that
//! foreign files beside the results stay where they are; swapping the whole folder would have to carry them
//! over. The step begins by taking away the earlier `findings.parquet` and ends by putting the new one in
//! place. So whoever finds that file sees the results of one run, and a run that is killed before the step
//! (all but some milliseconds of it) leaves the earlier results whole. A folder lock keeps two runs from
//! writing to one `--out`; what a killed run left behind is removed by the next.
//!
//! Knows names of results, not their content; what may not be replaced is refused in [`crate::refusal`].

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::Failure;

/// What makes a folder a finished run: taken away first and put in place last.
const LAST: &str = "findings.parquet";

/// The rollup's folder under `--out`.
pub(crate) const ROLLUP: &str = "rollup";

/// Every name that scan, rollup and detect may write under `--out`, and that a later run may replace.
pub(crate) const RESULTS: [&str; 10] = [
    LAST,
    "coverage.json",
    "evidence.parquet",
    "findings.csv",
    "findings.jsonl",
    "metrics.prom",
    "report.html",
    ROLLUP,
    "shares.parquet",
    "timeline.parquet",
];

/// Start of a staging folder's name; hidden, so that no scan takes it for input.
const PREFIX: &str = ".partial-";

/// A staging folder in a locked output folder. Dropped uncommitted, it is removed.
#[derive(Debug)]
pub(crate) struct Staging {
    out: PathBuf,
    staged: TempDir,
    _made: Option<Made>,
    /// Locked until this is dropped.
    _lock: File,
}

impl Staging {
    /// Makes `out` where it is missing, locks it and removes what a killed run left in it.
    ///
    /// # Errors
    /// `out` is no folder or can not be written, or another run is writing to it.
    pub(crate) fn new(out: &Path) -> Result<Self, Failure> {
        if out.exists() && !out.is_dir() {
            return Err(Failure::at(out, "is a file, not a folder", "choose another --out"));
        }
        let made = (!out.exists()).then(|| Made(out.to_path_buf()));
        fs::create_dir_all(out).map_err(|error| unwritable(out, &error))?;
        let lock = File::open(out).map_err(|error| unwritable(out, &error))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            let cause = "another run is writing to this folder";
            return Err(Failure::at(out, cause, "wait for it, or choose another --out"));
        }
        for entry in entries(out)? {
            if entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
                fs::remove_dir_all(&entry).map_err(|error| unwritable(&entry, &error))?;
            }
        }
        let staged = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(out)
            .map_err(|error| unwritable(out, &error))?;
        Ok(Self { out: out.to_path_buf(), staged, _made: made, _lock: lock })
    }

    /// Where to write; every entry of it will move to `--out`.
    pub(crate) fn path(&self) -> &Path {
        self.staged.path()
    }

    /// A folder beside the staged entries for what no result is: gone when dropped, or with the next run.
    ///
    /// # Errors
    /// It can not be made.
    pub(crate) fn scratch(&self) -> Result<TempDir, Failure> {
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&self.out);
        made.map_err(|error| unwritable(&self.out, &error))
    }

    /// Moves every staged entry to its place, in place of those of the same name, and takes away `stale`
    /// entries of an earlier run that this one did not write again.
    ///
    /// # Errors
    /// An entry can not be moved.
    pub(crate) fn commit(self, stale: &[&str]) -> Result<(), Failure> {
        let old = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&self.out)
            .map_err(|error| unwritable(&self.out, &error))?;
        let put_away = |name: &OsStr| -> Result<(), Failure> {
            let place = self.out.join(name);
            match fs::rename(&place, old.path().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(&place, &error)),
                _ => Ok(()),
            }
        };
        let mut staged = entries(self.path())?;
        let is_last = |entry: &PathBuf| entry.file_name() == Some(OsStr::new(LAST));
        staged.sort_by_key(is_last);
        if staged.iter().any(is_last) || stale.contains(&LAST) {
            put_away(OsStr::new(LAST))?;
        }
        for name in stale {
            put_away(OsStr::new(name))?;
        }
        for entry in &staged {
            let Some(name) = entry.file_name() else { continue };
            put_away(name)?;
            let place = self.out.join(name);
            fs::rename(entry, &place).map_err(|error| unwritable(&place, &error))?;
        }
        Ok(())
    }
}

/// A folder that this run made: removed again, when dropped, if nothing came into it.
#[derive(Debug)]
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // Refused where it is not empty, which is as it should be.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The entries of `folder`, sorted.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    let mut entries = listed.map_err(|error| unwritable(folder, &error))?;
    entries.sort();
    Ok(entries)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::at(
        path,
        format!("can not be written: {error}"),
        "check permissions and space, or choose another --out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        entries(folder).unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn a_commit_replaces_its_own_and_leaves_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("deep/out");
        for (round, names) in [("1", &["findings.parquet", "report.html"][..]), ("2", &["findings.parquet"])]
        {
            let staging = Staging::new(&out).unwrap();
            for name in names {
                fs::write(staging.path().join(name), round).unwrap();
            }
            fs::create_dir_all(staging.path().join("rollup/key@1h")).unwrap();
            fs::write(staging.path().join("rollup/key@1h").join(round), "").unwrap();
            staging.commit(&RESULTS).unwrap();
            fs::write(out.join("mine.txt"), "").unwrap();
        }
        assert_eq!(listing(&out), ["findings.parquet", "mine.txt", "rollup"]);
        assert_eq!(fs::read_to_string(out.join("findings.parquet")).unwrap(), "2");
        assert_eq!(listing(&out.join("rollup/key@1h")), ["2"]);
    }

    #[test]
    fn an_abandoned_run_leaves_the_earlier_results() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("findings.parquet"), "earlier").unwrap();
        let staging = Staging::new(dir.path()).unwrap();
        fs::write(staging.path().join("findings.parquet"), "new").unwrap();
        drop(staging);
        assert_eq!(listing(dir.path()), ["findings.parquet"]);
        assert_eq!(fs::read_to_string(dir.path().join("findings.parquet")).unwrap(), "earlier");
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_a_live_one_respected() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".partial-dead/rollup")).unwrap();
        let live = Staging::new(dir.path()).unwrap();
        assert_eq!(listing(dir.path()).len(), 1);
        assert!(Staging::new(dir.path()).unwrap_err().to_string().contains("another run"));
        drop(live);
        Staging::new(dir.path()).unwrap().commit(&[]).unwrap();
        assert_eq!(listing(dir.path()), [""; 0]);
    }
}
