//! What is kept from night to night, but for the cells: `state.json`, one file, replaced by one rename.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slowleak_record::Micros;
use slowleak_rollup::Days;

use crate::leaks::Leak;
use crate::ledger::Entry;

/// Version of the folder that this program writes.
pub const FORMAT: u32 = 1;

/// No time has a day further from 1970-01-01: microseconds end there.
const FURTHEST_DAY: u64 = (i64::MAX / Micros::DAY).unsigned_abs();

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// See [`FORMAT`].
    pub format: u32,
    /// What was counted, and how.
    pub counted: Counted,
    /// How many nights have changed the state.
    pub night: u64,
    /// How many segments were ever made: the next one's number.
    pub made: u64,
    /// The instant up to which records count, as it was given; RFC 3339.
    pub as_of: Option<String>,
    /// First UTC day that is kept; `None` where none was dropped.
    pub kept_from: Option<i64>,
    /// By folder under `segments/`.
    pub segments: BTreeMap<String, Segment>,
    /// By path.
    pub files: BTreeMap<String, Entry>,
    /// Files that could not be read last night, with the reason.
    pub rejected: Vec<(String, String)>,
    /// What findings were made of besides the records: settings, registries, the program. A checksum.
    pub judged: String,
    /// Checksums of the results by name, so that a night without news knows whether they are as they were.
    pub results: BTreeMap<String, String>,
    /// What was found so far.
    pub leaks: Vec<Leak>,
    /// Messages that have not arrived yet.
    pub outbox: Vec<Message>,
}

/// A segment's days, as half-open ranges of days since 1970-01-01.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// See above.
    pub days: Vec<(i64, i64)>,
}

/// What the cells of a state are made of: another answer to any of it would make others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The views, in their order.
    pub views: Vec<String>,
    /// Which column holds which field, and what status words mean.
    pub mapping: String,
    /// Version of the hash of subjects.
    pub subject_hash: u8,
}

/// A message for a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The finding that it is about.
    pub id: String,
    /// What is posted.
    pub body: serde_json::Value,
}

impl State {
    /// Before the first night.
    pub(crate) fn new(counted: Counted) -> Self {
        Self {
            format: FORMAT,
            counted,
            night: 0,
            made: 0,
            as_of: None,
            kept_from: None,
            segments: BTreeMap::new(),
            files: BTreeMap::new(),
            rejected: Vec::new(),
            judged: String::new(),
            results: BTreeMap::new(),
            leaks: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// Refuses numbers that no log leads to, and that could not be worked with: the file may have been edited.
    pub(crate) fn check(&self) -> Result<(), String> {
        let in_range = |day: i64| day.unsigned_abs() <= FURTHEST_DAY;
        let mut counted: u64 = 0;
        for (name, entry) in &self.files {
            counted += entry.check(&in_range).ok_or_else(|| format!("the entry of {name} can not be"))?;
        }
        let mut kept: u64 = 0;
        for (name, segment) in &self.segments {
            for (start, end) in &segment.days {
                let days = (in_range(*start) && in_range(*end) && start < end).then(|| end.abs_diff(*start));
                kept +=
                    days.ok_or_else(|| format!("the days {start} to {end} of segment {name} can not be"))?;
            }
        }
        // Each day that a segment answers for has records of some file.
        if kept > counted || self.kept_from.is_some_and(|day| !in_range(day)) {
            return Err("its segments have days without records".to_owned());
        }
        Ok(())
    }

    /// The days that some segment answers for.
    pub fn days(&self) -> Days {
        self.segments.values().flat_map(|segment| segment.days().iter().collect::<Vec<_>>()).collect()
    }
}

impl Segment {
    pub(crate) fn new(days: &Days) -> Self {
        Self { days: days.ranges().iter().map(|range| (range.start, range.end)).collect() }
    }

    /// The days that it answers for.
    pub fn days(&self) -> Days {
        self.days.iter().flat_map(|(start, end)| *start..*end).collect()
    }
}
