//! A batch of records as plain columns: what whoever counts sees of a log. Instants, dense ids, counts and hashes,
//! never Parquet.

use slowleak_record::{Field, FieldSet, Status};

use crate::names::Names;

/// What the reader of a unit is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// Fields whose text is wanted as dense ids.
    pub ids: FieldSet,
    /// Whether rows are wanted.
    pub rows: bool,
    /// Whether bytes are wanted.
    pub bytes: bool,
    /// Whether the status is wanted.
    pub status: bool,
    /// Whether subject hashes are wanted.
    pub subjects: bool,
    /// The fields by which, with the time, records are the same event; none where that is not wanted.
    pub identity: FieldSet,
    /// Whether those of their blocks are wanted beside them.
    pub blocks: bool,
}

/// A set of names for each field, indexed by [`Field::index`]: what the ids of chunks stand for. One goes from unit
/// to unit, so that a name keeps its id.
pub type NamesByField = [Names; Field::ALL.len()];

/// A batch of records, all inside the time range and with a key or a user.
///
/// Columns that were not asked for, or that the file lacks, are absent.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    pub(crate) time: &'a [i64],
    pub(crate) ids: [Option<&'a [u32]>; Field::ALL.len()],
    pub(crate) rows: Option<&'a [i64]>,
    pub(crate) bytes: Option<&'a [i64]>,
    pub(crate) status: Option<&'a [Status]>,
    pub(crate) subjects: Option<Subjects<'a>>,
    pub(crate) identities: Option<&'a [u128]>,
    pub(crate) repeated: &'a [i64],
}

/// Hashes of subjects ([`crate::subject_hash`]) and of their blocks ([`crate::block_hash`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subjects<'a> {
    /// One a record; meaningless where the subject is null.
    pub hashes: &'a [u64],
    /// The same of blocks; empty where these are not asked for.
    pub blocks: &'a [u64],
    /// Which subjects are not null; empty where none is.
    pub valid: &'a [bool],
}

impl<'a> Chunk<'a> {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// When: microseconds since the epoch.
    pub fn time(&self) -> &'a [i64] {
        self.time
    }

    /// One id a record into the names of the field, [`Names::NONE`] where the value is null.
    pub fn ids(&self, field: Field) -> Option<&'a [u32]> {
        self.ids[field.index()]
    }

    /// Records returned, 0 where there is no usable number.
    pub fn rows(&self) -> Option<&'a [i64]> {
        self.rows
    }

    /// Bytes returned, 0 where there is no usable number.
    pub fn bytes(&self) -> Option<&'a [i64]> {
        self.bytes
    }

    /// Outcomes.
    pub fn status(&self) -> Option<&'a [Status]> {
        self.status
    }

    /// Subjects.
    pub fn subjects(&self) -> Option<Subjects<'a>> {
        self.subjects
    }

    /// One a record, the same for records of the same event; 0 where nothing identifies the record.
    pub fn identities(&self) -> Option<&'a [u128]> {
        self.identities
    }

    /// Times of the records that were left out here because they repeat another one.
    pub fn repeated(&self) -> &'a [i64] {
        self.repeated
    }
}

/// What became of a unit's rows and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnitTally {
    /// Rows handed out.
    pub read: u64,
    /// Rows outside the time range.
    pub pruned: u64,
    /// Rows left out because they repeat another one.
    pub duplicate: u64,
    /// Rows rejected, indexed by [`crate::RowReason`].
    pub rejected_rows: [u64; 3],
    /// Values rejected, indexed by [`crate::ValueReason`].
    pub rejected_values: [u64; 3],
}

impl UnitTally {
    /// Rows so far, whatever became of them.
    pub fn rows(&self) -> u64 {
        self.read + self.pruned + self.duplicate + self.rejected_rows.iter().sum::<u64>()
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.pruned += other.pruned;
        self.duplicate += other.duplicate;
        for (mine, theirs) in self.rejected_rows.iter_mut().zip(other.rejected_rows) {
            *mine += theirs;
        }
        for (mine, theirs) in self.rejected_values.iter_mut().zip(other.rejected_values) {
            *mine += theirs;
        }
    }
}
