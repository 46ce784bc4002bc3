//! The state folder: `state.json`, `segments/` and `out/`. In: a path, and what is to be counted. Out: the state of the
//! last completed night, under a lock; later the state of the next one in its place.
//!
//! Whatever a night makes is new files, which nothing names until `state.json` is replaced by one rename. What a killed
//! night left is named by nobody, and swept away by the next. (The results under `out/` are put in place just before:
//! they follow from the records and the state before, so that the next night makes the same of them again.)

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use slowleak_record::{InputError, sync_folder};

use crate::NightlyError;
use crate::state::{Counted, FORMAT, State};

/// The state's own file.
const STATE: &str = "state.json";

/// Locked while a night runs.
const LOCK: &str = ".lock";

/// The folder of segments.
const SEGMENTS: &str = "segments";

/// An open state folder; nobody else writes to it until it is dropped.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    state: State,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it, and sweeps away what a killed night left.
    ///
    /// # Errors
    /// Another run works in it; it can not be read or written, holds files of others, is of another version, or of a log
    /// that was counted otherwise.
    pub fn open(dir: &Path, counted: &Counted) -> Result<Self, NightlyError> {
        if dir.exists() && !dir.is_dir() {
            return Err(InputError::new(dir, "is a file, not a folder")
                .remedy("choose another --state")
                .into());
        }
        fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
        if !dir.join(STATE).exists() {
            refuse_foreign(dir)?;
        }
        // A file, open for writing: what NFS asks for to lock between hosts, and folders can not be locked everywhere.
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(dir.join(LOCK));
        let lock = lock.map_err(|error| unwritable(dir, &error))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(InputError::new(dir, "another nightly run works in this state folder")
                    .remedy("wait for it: it does what this one would have done")
                    .into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(InputError::new(dir, format!("can not be locked: {error}"))
                    .remedy("use a file system that knows locks")
                    .into());
            }
            Ok(()) => {}
        }
        let found = read(dir)?;
        let begun = found.is_some();
        // Where nothing was counted yet, other settings do no harm.
        let state = found
            .filter(|state| *state != State::new(state.counted.clone()))
            .unwrap_or_else(|| State::new(counted.clone()));
        refuse_other(dir, &state.counted, counted)?;
        let mut folder = Self { dir: dir.to_path_buf(), state, _lock: lock };
        if begun {
            folder.sweep()?;
        } else {
            // So that segments without a state are known as those of a state that is lost.
            folder.commit(folder.state.clone())?;
        }
        Ok(folder)
    }

    /// What the last completed night left.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether no night was completed yet.
    pub fn is_new(&self) -> bool {
        self.state.night == 0
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the segments are.
    pub fn segments(&self) -> PathBuf {
        self.dir.join(SEGMENTS)
    }

    /// Where the results go.
    pub fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// Puts a state in the place of the last one. What it no longer names is removed.
    ///
    /// # Errors
    /// The folder can not be written. Either state may be there then, and is whole.
    pub fn commit(&mut self, state: State) -> Result<(), NightlyError> {
        let path = self.dir.join(STATE);
        let fresh = self.dir.join(".state.json.new");
        let written = (|| {
            // What the state names must be on the disk before it does.
            sync_folder(&self.segments())?;
            let mut file = File::create(&fresh)?;
            let mut text = serde_json::to_vec(&state).map_err(io::Error::other)?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        })();
        if let Err(error) = written {
            _ = fs::remove_file(&fresh);
            return Err(unwritable(&path, &error));
        }
        // From here on it is the state, whatever goes wrong: swept is by what the folder says.
        self.state = state;
        sync_folder(&self.dir).map_err(|error| {
            InputError::new(&path, format!("is that of tonight, and may not be on the disk yet: {error}"))
                .remedy("check the disk, and run again: whichever state is there is whole")
        })?;
        // What can not be removed now is removed by the next night.
        _ = self.sweep();
        Ok(())
    }

    /// Removes what the state does not name.
    fn sweep(&self) -> Result<(), NightlyError> {
        let fresh = self.dir.join(".state.json.new");
        if fresh.exists() {
            fs::remove_file(&fresh).map_err(|error| unwritable(&fresh, &error))?;
        }
        let segments = self.segments();
        let names = match fs::read_dir(&segments) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.and_then(|entries| entries.collect::<io::Result<Vec<_>>>()),
        };
        for entry in names.map_err(|error| unwritable(&segments, &error))? {
            let name = entry.file_name();
            if name.to_str().is_none_or(|name| !self.state.segments.contains_key(name)) {
                let path = entry.path();
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(|error| unwritable(&path, &error))?;
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    /// A night that failed takes what it made away: a full disk would stay full.
    fn drop(&mut self) {
        // What can not be removed now is removed by the next night.
        _ = self.sweep();
    }
}

/// The state in the folder; `None` where there is none.
fn read(dir: &Path) -> Result<Option<State>, NightlyError> {
    let path = dir.join(STATE);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| InputError::new(&path, error).remedy("check permissions"))?,
    };
    let damaged = |cause: &dyn std::fmt::Display| {
        InputError::new(&path, format!("is not a state that slowleak wrote: {cause}"))
            .remedy("put a copy of it back, or begin a new --state: everything in it follows from the logs")
    };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
    let format = value["format"].as_u64().ok_or_else(|| damaged(&"it tells no format"))?;
    if format != u64::from(FORMAT) {
        let cause = format!("is of format {format}; this version of slowleak knows format {FORMAT}");
        let remedy = match format > u64::from(FORMAT) {
            true => "use the version that wrote it, or begin a new --state from the logs",
            false => "begin a new --state from the logs: its format is of a version before the first release",
        };
        return Err(InputError::new(&path, cause).remedy(remedy).into());
    }
    let state: State = serde_json::from_value(value).map_err(|error| damaged(&error))?;
    state.check().map_err(|cause| damaged(&cause))?;
    Ok(Some(state))
}

/// A folder without a state must hold nothing that a state could name.
fn refuse_foreign(dir: &Path) -> Result<(), NightlyError> {
    let entries = fs::read_dir(dir).map_err(|error| unwritable(dir, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| unwritable(dir, &error))?.file_name();
        if name == SEGMENTS
            && fs::read_dir(dir.join(SEGMENTS)).is_ok_and(|mut segments| segments.next().is_some())
        {
            return Err(InputError::new(dir, "holds segments and no state.json, which tells what they are")
                .remedy("put state.json back, or begin a new --state from the logs")
                .into());
        }
        let ours = [SEGMENTS, LOCK, "out", ".state.json.new", "lost+found"];
        if !ours.iter().any(|ours| name == *ours) {
            let cause = format!("is in use: it holds {name:?} and no state.json");
            return Err(InputError::new(dir, cause)
                .remedy("name an empty or a new folder with --state")
                .into());
        }
    }
    Ok(())
}

/// Cells of other views or columns can not be added to these.
fn refuse_other(dir: &Path, of_state: &Counted, wanted: &Counted) -> Result<(), NightlyError> {
    let Counted { views, mapping, subject_hash } = of_state;
    let cause = if *views != wanted.views {
        let of = |a: &[String], b: &[String]| {
            let more: Vec<&str> = a.iter().filter(|view| !b.contains(view)).map(String::as_str).collect();
            if more.is_empty() { "nothing".to_owned() } else { more.join(" ") }
        };
        let (more, fewer) = (of(views, &wanted.views), of(&wanted.views, views));
        let registry = match [&more, &fewer].into_iter().any(|views| views.contains("key+region@")) {
            true => " (views of key+region come and go with the regions in the file of --keys)",
            false => "",
        };
        format!("its views are others: it has {more} that is not asked for now, and lacks {fewer}{registry}")
    } else if *mapping != wanted.mapping {
        "it was counted with another mapping of columns".to_owned()
    } else if *subject_hash != wanted.subject_hash {
        "it was counted with another hash of subjects".to_owned()
    } else {
        return Ok(());
    };
    Err(InputError::new(dir, cause)
        .remedy(
            "give the settings that it began with, or begin a new --state: it will be counted from the logs",
        )
        .into())
}

fn unwritable(path: &Path, error: &io::Error) -> NightlyError {
    InputError::new(path, format!("can not be written: {error}"))
        .remedy("check permissions and space; the state is that of the last completed night")
        .into()
}
