//! The ledger: what was counted of which file. In: the account that a scan gives of a file. Out: an entry that the state
//! keeps, from which that account can be had again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slowleak_record::{Field, FieldSet, InputFile, Micros};
use slowleak_rollup::Days;
use slowleak_scan::{FileAccount, Tally, UnitTally};
use xxhash_rust::xxh3::xxh3_64;

use crate::stamp::Stamp;

/// What was counted of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was there when it was counted.
    pub stamp: Stamp,
    /// The `name=value` folders that led to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) partitions: Vec<(String, String)>,
    fields: Vec<String>,
    row_groups: (u64, u64),
    pruned_rows: u64,
    read: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    duplicate: u64,
    pruned: u64,
    rejected_rows: [u64; 3],
    rejected_values: [u64; 3],
    /// First and last record counted, microseconds since 1970-01-01.
    time: Option<(i64, i64)>,
    /// Ascending.
    days: Vec<DayOfFile>,
    /// Records of days that are no longer kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    forgotten: u64,
    /// The file has records behind the instant up to which it was counted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub goes_on: bool,
    /// The file is gone, and its records count all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gone: bool,
}

/// A UTC day's records of a file. There may be none but such as repeat those of other files: it is by the day that these are
/// found again when the others are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DayOfFile {
    day: i64,
    records: u64,
    /// Records that repeat others.
    #[serde(default, skip_serializing_if = "is_zero")]
    duplicates: u64,
    /// Bit `h` is set where hour `h` has a record.
    hours: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Entry {
    /// The entry of a file that was counted from its first record to its last or, with `limited`, up to some instant.
    pub(crate) fn new(file: &InputFile, stamp: Stamp, account: &FileAccount, limited: bool) -> Self {
        let FileAccount { fields, row_groups, pruned_rows, tally, time, .. } = account;
        Self {
            stamp,
            partitions: file.partitions.clone(),
            fields: fields.iter().map(|field| field.name().to_owned()).collect(),
            row_groups: (row_groups.read, row_groups.pruned),
            pruned_rows: *pruned_rows,
            read: tally.read,
            duplicate: tally.duplicate,
            pruned: tally.pruned,
            rejected_rows: tally.rejected_rows,
            rejected_values: tally.rejected_values,
            time: time.map(|(first, last)| (first.0, last.0)),
            days: days(account),
            forgotten: 0,
            goes_on: limited && pruned_rows + tally.pruned > 0,
            gone: false,
        }
    }

    /// The account of the file as one scan of what is kept would give it. (Which hour of a kept day its first record was
    /// in is all that is known of it where earlier days were forgotten.)
    pub(crate) fn account(&self) -> FileAccount {
        let hours = self.days.iter().flat_map(|of_day| {
            let hours = (0..24).filter(|hour| of_day.hours & 1 << hour != 0);
            hours.map(|hour| of_day.day * Micros::DAY + hour * Micros::HOUR)
        });
        // How the day's records spread over its hours is not kept; that hours have some is what an account is read for.
        let hours: BTreeMap<i64, u64> = hours.map(|hour| (hour, 1)).collect();
        let first = hours.keys().next().copied();
        let time = self.time.zip(first).map(|((start, end), first)| (Micros(start.max(first)), Micros(end)));
        FileAccount {
            path: PathBuf::new(),
            fields: self.fields(),
            row_groups: Tally { read: self.row_groups.0, pruned: self.row_groups.1, rejected: 0 },
            pruned_rows: self.pruned_rows,
            tally: UnitTally {
                read: self.read - self.forgotten,
                pruned: self.pruned + self.forgotten,
                duplicate: self.duplicate,
                rejected_rows: self.rejected_rows,
                rejected_values: self.rejected_values,
            },
            hours,
            repeated: BTreeMap::new(),
            time,
        }
    }

    /// Which of its records count on some days may have changed, since they were counted anew with those of other files: takes
    /// them from `account`, which is of these days alone.
    pub(crate) fn recounted(&mut self, range: &Range<i64>, account: &FileAccount) {
        let new = days(account);
        let sum = |days: &[DayOfFile], of: fn(&DayOfFile) -> u64| {
            days.iter().filter(|of_day| range.contains(&of_day.day)).map(of).sum::<u64>()
        };
        self.read = self.read - sum(&self.days, |of_day| of_day.records) + sum(&new, |of_day| of_day.records);
        self.duplicate = self.duplicate - sum(&self.days, |of_day| of_day.duplicates)
            + sum(&new, |of_day| of_day.duplicates);
        self.days.retain(|of_day| !range.contains(&of_day.day));
        self.days.extend(new.iter().filter(|of_day| range.contains(&of_day.day)));
        self.days.sort_by_key(|of_day| of_day.day);
        if let Some((first, last)) = account.time {
            let (start, end) = self.time.unwrap_or((first.0, last.0));
            self.time = Some((start.min(first.0), end.max(last.0)));
        }
    }

    /// How many days it has records of; `None` where its numbers can not be.
    pub(crate) fn check(&self, in_range: &dyn Fn(i64) -> bool) -> Option<u64> {
        let ascending = self.days.windows(2).all(|pair| pair[0].day < pair[1].day);
        let records =
            self.records().try_fold(self.forgotten, |sum, (_, records)| sum.checked_add(records))?;
        let duplicates =
            self.days.iter().try_fold(0_u64, |sum, of_day| sum.checked_add(of_day.duplicates))?;
        let possible = duplicates <= self.duplicate
            && ascending
            && self.records().all(|(day, _)| in_range(day))
            && records <= self.read;
        possible.then_some(self.days.len() as u64)
    }

    /// The fields that the file has.
    pub fn fields(&self) -> FieldSet {
        self.fields.iter().filter_map(|name| name.parse::<Field>().ok()).collect()
    }

    /// The days that it has records of.
    pub fn days(&self) -> Days {
        self.days.iter().map(|of_day| of_day.day).collect()
    }

    /// Records by day.
    pub fn records(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.days.iter().map(|of_day| (of_day.day, of_day.records))
    }

    /// Records of days that are no longer kept.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Its last record.
    pub fn last(&self) -> Option<Micros> {
        self.time.map(|(_, last)| Micros(last))
    }

    /// Leaves the days before `first` out.
    pub(crate) fn forget_before(&mut self, first: i64) {
        let forgotten: u64 = self.records().filter(|(day, _)| *day < first).map(|(_, records)| records).sum();
        self.forgotten += forgotten;
        let repeats = |of_day: &&DayOfFile| of_day.day < first;
        let duplicates: u64 = self.days.iter().filter(repeats).map(|of_day| of_day.duplicates).sum();
        self.duplicate -= duplicates;
        self.pruned += duplicates;
        self.days.retain(|of_day| of_day.day >= first);
    }
}

/// The days of an account.
fn days(account: &FileAccount) -> Vec<DayOfFile> {
    let mut days: BTreeMap<i64, DayOfFile> = BTreeMap::new();
    let day = |hour: i64| Days::of(Micros(hour));
    let none = |day: i64| DayOfFile { day, records: 0, duplicates: 0, hours: 0 };
    for (hour, records) in &account.hours {
        let of_day = days.entry(day(*hour)).or_insert_with(|| none(day(*hour)));
        of_day.records += records;
        of_day.hours |= 1 << hour.rem_euclid(Micros::DAY).div_euclid(Micros::HOUR);
    }
    for (hour, duplicates) in &account.repeated {
        days.entry(day(*hour)).or_insert_with(|| none(day(*hour))).duplicates += duplicates;
    }
    days.into_values().collect()
}

/// The name of a file in the ledger: its path without links, as far as that is text.
pub(crate) fn name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match real.to_str() {
        Some(text) => text.to_owned(),
        None => format!("{}#{:016x}", real.to_string_lossy(), xxh3_64(real.as_os_str().as_encoded_bytes())),
    }
}
