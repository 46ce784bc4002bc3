//! What was read and what was not: every file, row group, row and value is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use slowleak_record::{Field, FieldSet, Micros};

use crate::chunk::UnitTally;

/// The account of a run's input, as `coverage.json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Files read, pruned by time, rejected.
    pub files: Tally,
    /// Row groups read, pruned by time, rejected with their file.
    pub row_groups: Tally,
    /// Rows read, pruned, rejected. Rows read are those that were counted in the rollup.
    pub rows: Tally,
    /// Rows left out because they repeat one that is counted.
    pub duplicate_rows: u64,
    /// Files that could not be read, sorted by path, with the reason in words.
    pub rejected_files: Vec<RejectedFile>,
    /// Rows that could not be used, by reason, sorted by reason.
    pub rejected_rows: Vec<(RowReason, u64)>,
    /// Values that could not be used in rows that still count (a negative byte count), by reason.
    pub rejected_values: Vec<(ValueReason, u64)>,
    /// Names of fields that no file had; metrics that need them were not computed.
    pub missing_columns: Vec<String>,
    /// Names of fields that some of the files read lack and others have, with how many lack them; their
    /// metrics and views count the others' records alone.
    pub partial_columns: BTreeMap<String, u64>,
    /// First and last record counted; `None` where there was none.
    pub time: Option<(Micros, Micros)>,
    /// Half-open stretches without a single record inside the span of the data, in time order.
    pub gaps: Vec<(Micros, Micros)>,
}

impl Coverage {
    /// The account of accepted `files` and of what `rejected` says of others. `fields` are those that were asked for.
    /// A log that was read in parts, night by night, has the account of one that was read at once.
    pub fn of(files: &[FileAccount], rejected: &Self, fields: FieldSet) -> Self {
        let mut whole = Self {
            rejected_files: rejected.rejected_files.clone(),
            files: Tally { rejected: rejected.files.rejected, ..Tally::default() },
            row_groups: Tally { rejected: rejected.row_groups.rejected, ..Tally::default() },
            rows: Tally { rejected: rejected.rows.rejected, ..Tally::default() },
            ..Self::default()
        };
        let mut tally = UnitTally::default();
        let mut hours = BTreeSet::new();
        for file in files {
            tally.add(&file.tally);
            hours.extend(file.hours.keys().copied());
            if file.is_pruned() {
                whole.files.pruned += 1;
            } else {
                whole.files.read += 1;
            }
            whole.row_groups.read += file.row_groups.read;
            whole.row_groups.pruned += file.row_groups.pruned;
            whole.rows.pruned += file.pruned_rows;
            whole.time = match (whole.time, file.time) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        }
        whole.rows.read += tally.read;
        whole.rows.pruned += tally.pruned;
        whole.duplicate_rows = tally.duplicate;
        whole.rows.rejected += tally.rejected_rows.iter().sum::<u64>();
        whole.rejected_rows = counted(RowReason::ALL, tally.rejected_rows);
        whole.rejected_values = counted(ValueReason::ALL, tally.rejected_values);
        // Event ids are not asked for by any view, and told of only where they are missing in part.
        let has_ids = files.iter().any(|file| file.fields.contains(Field::EventId));
        let fields = if has_ids { fields.with(Field::EventId) } else { fields };
        for field in fields.iter() {
            let lacking = files.iter().filter(|file| !file.fields.contains(field));
            if files.iter().all(|file| !file.fields.contains(field)) {
                whole.missing_columns.extend((!files.is_empty()).then(|| field.name().to_owned()));
                continue;
            }
            let lacking = lacking.filter(|file| !file.is_pruned()).count() as u64;
            if lacking > 0 {
                whole.partial_columns.insert(field.name().to_owned(), lacking);
            }
        }
        let hours: Vec<i64> = hours.into_iter().collect();
        let gap =
            |pair: &[i64]| (pair[1] - pair[0] > Micros::HOUR).then_some((pair[0] + Micros::HOUR, pair[1]));
        let gaps = hours.windows(2).filter_map(gap);
        whole.gaps = gaps.map(|(start, end)| (Micros(start), Micros(end))).collect();
        whole
    }
}

/// The reasons for which there is anything.
fn counted<R: Copy, const N: usize>(reasons: [R; N], counts: [u64; N]) -> Vec<(R, u64)> {
    reasons.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}

/// How many units were read, pruned and rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Read and used.
    pub read: u64,
    /// Left out because the user's time range, by statistics or by record, excludes them.
    pub pruned: u64,
    /// Unusable.
    pub rejected: u64,
}

/// The share that one accepted file has in a [`Coverage`], for those who count a log file by file and night by night.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileAccount {
    /// Path as named or discovered.
    pub path: PathBuf,
    /// Fields that the file has, of those that were asked for.
    pub fields: FieldSet,
    /// Row groups read and pruned.
    pub row_groups: Tally,
    /// Rows of the row groups that were pruned by statistics; those pruned one by one are in the tally.
    pub pruned_rows: u64,
    /// What became of the rows of the row groups read, and of their values.
    pub tally: UnitTally,
    /// Records counted, by the start of their UTC hour in microseconds since 1970-01-01.
    pub hours: BTreeMap<i64, u64>,
    /// Records left out because they repeat another one, by the start of their hour likewise.
    pub repeated: BTreeMap<i64, u64>,
    /// First and last record counted.
    pub time: Option<(Micros, Micros)>,
}

impl FileAccount {
    /// Whether the time range left none of its row groups.
    pub fn is_pruned(&self) -> bool {
        self.row_groups.read == 0 && self.row_groups.pruned > 0
    }
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RejectedFile {
    /// Path as named or discovered.
    pub path: String,
    /// Place, cause and remedy.
    pub reason: String,
}

/// Why a row could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowReason {
    /// The time is null.
    NullTime,
    /// The time is text or a number that is no time.
    UnreadableTime,
    /// Neither key nor user is given.
    NoPrincipal,
}

impl RowReason {
    /// Every reason, as tallies have them.
    pub const ALL: [Self; 3] = [Self::NullTime, Self::UnreadableTime, Self::NoPrincipal];
}

/// Why a value could not be used; the row it stands in counts all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueReason {
    /// A negative number of rows or bytes.
    NegativeCount,
    /// NaN, an infinity or a fraction where a whole number is due.
    NotANumber,
    /// A status that neither the contract nor the map file knows; counted as `error`.
    UnknownStatus,
}

impl ValueReason {
    /// Every reason, as tallies have them.
    pub const ALL: [Self; 3] = [Self::NegativeCount, Self::NotANumber, Self::UnknownStatus];
}
