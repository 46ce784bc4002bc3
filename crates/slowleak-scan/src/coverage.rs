//! What was read and what was not: every file, row group, row and value is accounted for.

use std::collections::BTreeMap;

use slowleak_record::Micros;

/// The account of a run's input, as `coverage.json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Files read, pruned by time, rejected.
    pub files: Tally,
    /// Row groups read, pruned by time, rejected with their file.
    pub row_groups: Tally,
    /// Rows read, pruned, rejected. Rows read are those that were counted in the rollup.
    pub rows: Tally,
    /// Rows dropped because their event id was seen before.
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
