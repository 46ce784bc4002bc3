//! What is new since the last night. In: the ledger, and the files that are there now. Out: which files are new, replaced,
//! gone or still the same, by size, modification time and footer, whatever it is called now.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use slowleak_record::InputFile;
use slowleak_rollup::Days;

use super::Extent;
use crate::ledger::{self, Entry};
use crate::stamp::Stamp;
use crate::state::State;

/// The files that are there now, by their names in the ledger.
pub(super) struct Listed {
    files: BTreeMap<String, (InputFile, Stamp)>,
    names: BTreeMap<PathBuf, String>,
}

impl Listed {
    pub(super) fn new(files: &[InputFile]) -> Self {
        // What can not be read is another file than was counted; the plan will say why.
        let look = |file: &InputFile| {
            let stamp = Stamp::of(&file.path).unwrap_or_else(|_| Stamp::unreadable());
            (ledger::name(&file.path), (file.clone(), stamp))
        };
        let files: BTreeMap<_, _> = files.par_iter().map(look).collect::<Vec<_>>().into_iter().collect();
        let names = files.iter().map(|(name, (file, _))| (file.path.clone(), name.clone())).collect();
        Self { files, names }
    }

    pub(super) fn file(&self, name: &str) -> Option<&InputFile> {
        self.files.get(name).map(|(file, _)| file)
    }

    /// The name in the ledger of the file at a path, and the file with its stamp.
    pub(super) fn of_path(&self, path: &Path) -> Option<(&str, &(InputFile, Stamp))> {
        let name = self.names.get(path)?;
        self.files.get(name).map(|file| (name.as_str(), file))
    }

    /// The ledger by the names that files have now. One that was renamed or moved is known again by its stamp; the
    /// `name=value` folders that lead to it must be the same, because they are part of its records. What was counted of a
    /// file that is gone, and whose name such a file has now, is kept under a name of its own.
    pub(super) fn renamed(&self, ledger: &BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
        let is_there = |name: &String, entry: &Entry| {
            self.files.get(name).is_some_and(|(_, stamp)| *stamp == entry.stamp)
        };
        let (mut ledger, away): (BTreeMap<_, _>, BTreeMap<_, _>) =
            ledger.clone().into_iter().partition(|(name, entry)| is_there(name, entry));
        let mut by_look: BTreeMap<_, VecDeque<(String, Entry)>> = BTreeMap::new();
        for (name, entry) in away {
            let look = (entry.stamp.clone(), entry.partitions.clone());
            by_look.entry(look).or_default().push_back((name, entry));
        }
        for (name, (file, stamp)) in &self.files {
            let look = (stamp.clone(), file.partitions.clone());
            if !ledger.contains_key(name)
                && let Some((_, entry)) = by_look.get_mut(&look).and_then(VecDeque::pop_front)
            {
                ledger.insert(name.clone(), entry);
            }
        }
        for (name, entry) in by_look.into_values().flatten() {
            let Stamp { modified, footer, .. } = &entry.stamp;
            let own = format!("{name}#{modified}.{footer}");
            ledger.insert(if ledger.contains_key(&name) { own } else { name }, entry);
        }
        ledger
    }
}

/// See the module. Files are told by their names in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// Not seen before, or not readable then.
    pub new: Vec<String>,
    /// Others under the name of one that was counted.
    pub replaced: Vec<String>,
    /// Counted and no longer there; their records no longer count.
    pub removed: Vec<String>,
    /// Counted and no longer there; their records count all the same.
    pub rotated: Vec<String>,
    /// There again, as they were counted.
    pub returned: Vec<String>,
    /// Counted up to an earlier instant, with records behind it.
    pub continued: Vec<String>,
    /// Records that were counted of the files that are new, replaced or continued.
    pub records: u64,
    /// Days that had been counted and to which records were added.
    pub late: Days,
    /// Days that were counted anew.
    pub again: Days,
    /// Of these records, those of days that are not kept.
    pub forgotten: u64,
    /// The first day that is kept, where more days are to be kept than that: those before were forgotten on an earlier night.
    pub kept_from: Option<i64>,
    /// Files that were counted.
    pub counted: usize,
}

impl News {
    pub(super) fn of(state: &State, listed: &Listed, extent: &Extent) -> Self {
        let mut news = Self::default();
        let as_of = extent.as_of.map(|time| time.to_string());
        for (name, (_, stamp)) in &listed.files {
            match state.files.get(name) {
                None => news.new.push(name.clone()),
                Some(entry) if entry.stamp != *stamp => news.replaced.push(name.clone()),
                Some(entry) if entry.goes_on && as_of != state.as_of => news.continued.push(name.clone()),
                Some(entry) if entry.gone => news.returned.push(name.clone()),
                Some(_) => {}
            }
        }
        for (name, entry) in state.files.iter().filter(|(name, _)| !listed.files.contains_key(*name)) {
            match extent.keep_removed {
                true if entry.gone => {}
                true => news.rotated.push(name.clone()),
                false => news.removed.push(name.clone()),
            }
        }
        news
    }

    /// The files whose records are to be counted.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &str> {
        self.new.iter().chain(&self.replaced).chain(&self.continued).map(String::as_str)
    }

    /// The files of the ledger whose records, as they were counted, no longer count.
    pub(super) fn outdated(&self) -> impl Iterator<Item = &str> {
        self.replaced.iter().chain(&self.continued).chain(&self.removed).map(String::as_str)
    }
}
