//! The reader of one unit: a row group, batch by batch. In: a unit of the plan. Out: [`Chunk`]s of the records that
//! count, and a tally of all others. This is the narrow border behind which pages are decoded.

use std::time::{Duration, Instant};

use slowleak_record::{Field, FieldSet, InputError, InputResult, Micros, Status, guarded};
use xxhash_rust::xxh3::xxh3_128;

use crate::ahead::announce;
use crate::chunk::{Chunk, NamesByField, Request, UnitTally};
use crate::column::{Column, Opening};
use crate::count_column::{Judged, Unusable, settle};
use crate::coverage::{RowReason, ValueReason};
use crate::meaning::{Digests, Ids, Judging, Presence, Times};
use crate::names::Names;
use crate::plan::{Decoder, Plan, PlannedFile, Unit};
use crate::source::Source;
use crate::subject_column::SubjectColumn;
use crate::time_column::Moment;

/// Rows a batch: all columns of a batch together stay in the second-level cache.
const BATCH_ROWS: usize = 8192;

/// See the module.
pub struct UnitReader<'p> {
    plan: &'p Plan,
    opening: Opening<'p>,
    left: usize,
    identity: FieldSet,
    columns: Columns,
    time: Vec<i64>,
    keep: Vec<bool>,
    /// The words of the status column, and what each of them means.
    words: Names,
    meanings: Vec<(Status, bool)>,
    statuses: Vec<Status>,
    identities: Vec<u128>,
    /// Records to leave out, a bit each, and times of those left out of the batch.
    duplicates: &'p [u64],
    repeated: Vec<i64>,
    tally: UnitTally,
    spent: Spent,
}

/// Where the time of the last batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Fetching, decompressing and decoding times, counts and statuses.
    pub times: Duration,
    /// The same for names, and their ids.
    pub names: Duration,
    /// The same for subjects, and their hashes.
    pub subjects: Duration,
    /// Keeping the records that count.
    pub select: Duration,
}

struct Columns {
    time: Option<Column<Moment>>,
    ids: [Option<Column<u32>>; Field::ALL.len()],
    /// Key and user where their ids are not asked for: rows need one of the two.
    present: [Option<Column<()>>; 2],
    rows: Option<Column<Judged>>,
    bytes: Option<Column<Judged>>,
    status: Option<Column<u32>>,
    subjects: Option<SubjectColumn>,
    /// What, together with the time, tells which event a record is.
    identity: Vec<Option<Column<u128>>>,
}

const PRINCIPALS: [Field; 2] = [Field::Key, Field::User];

impl<'p> UnitReader<'p> {
    /// Opens a unit of `plan`.
    ///
    /// # Errors
    /// The file is gone, has changed since it was planned, or can not be decoded.
    pub fn open(plan: &'p Plan, unit: &Unit, request: Request) -> InputResult<Self> {
        let file = &plan.files[unit.file];
        let source = Source::open(&file.path, plan.options.io)?;
        source.check_unchanged(&file.path, file.stamp)?;
        let rows = usize::try_from(unit.rows()).unwrap_or(usize::MAX);
        announce(plan, unit, request, &source);
        let arrow = plan.options.decoder == Decoder::Arrow;
        let opening = Opening { file, source, row_group: unit.row_group, rows, arrow };
        let columns = guarded(|| Columns::open(&opening, request));
        let columns = columns.map_err(|cause| damaged(file, unit.row_group, cause))?;
        Ok(Self {
            plan,
            left: rows,
            identity: request.identity,
            opening,
            columns,
            time: Vec::new(),
            keep: Vec::new(),
            words: Names::default(),
            meanings: Vec::new(),
            statuses: Vec::new(),
            identities: Vec::new(),
            duplicates: &[],
            repeated: Vec::new(),
            tally: UnitTally::default(),
            spent: Spent::default(),
        })
    }

    /// Leaves these records out (see [`Duplicates::of`](crate::Duplicates::of)).
    #[must_use]
    pub fn without(self, duplicates: &'p [u64]) -> Self {
        Self { duplicates, ..self }
    }

    /// The next batch; it may be empty though more follow. `None` at the end of the unit. New names are added to
    /// `names`.
    ///
    /// # Errors
    /// The bytes are damaged, or the file changed since it was planned. What was handed out so far must
    /// then not be used: the file as a whole is rejected.
    pub fn next_chunk(&mut self, names: &mut NamesByField) -> InputResult<Option<Chunk<'_>>> {
        let Opening { file, row_group, .. } = self.opening;
        if self.left == 0 {
            self.opening.source.check_unchanged(&file.path, file.stamp)?;
            return Ok(None);
        }
        let rows = self.left.min(BATCH_ROWS);
        self.left -= rows;
        if let Err(cause) = guarded(|| self.fill(rows, names)) {
            // What looks like damage may be the zeros behind a file that was shortened.
            self.opening.source.check_unchanged(&file.path, file.stamp)?;
            return Err(damaged(file, row_group, cause));
        }
        fn out<T>(column: &Option<Column<T>>) -> Option<&[T]> {
            column.as_ref().map(|column| column.out.as_slice())
        }
        let columns = &self.columns;
        Ok(Some(Chunk {
            time: &self.time,
            ids: columns.ids.each_ref().map(out),
            rows: out(&columns.rows),
            bytes: out(&columns.bytes),
            status: columns.status.is_some().then_some(self.statuses.as_slice()),
            subjects: columns.subjects.as_ref().map(SubjectColumn::subjects),
            identities: (!columns.identity.is_empty()).then_some(self.identities.as_slice()),
            repeated: &self.repeated,
        }))
    }

    /// What became of the rows so far.
    pub fn tally(&self) -> UnitTally {
        self.tally
    }

    /// Where the time of the last batch went.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Whether there is no row left to read.
    pub fn ended(&self) -> bool {
        self.left == 0
    }

    /// From here on ids are those of `new`, in place of those of `old`: what the unit still knows by its id is given one
    /// in `new`, too.
    ///
    /// # Errors
    /// More names than ids.
    pub fn rename(&mut self, old: &NamesByField, new: &mut NamesByField) -> InputResult<()> {
        let columns = self.columns.ids.iter_mut().zip(old.iter().zip(new));
        for (column, (old, new)) in columns.filter_map(|(column, names)| Some((column.as_mut()?, names))) {
            column
                .rename(old, new)
                .map_err(|error| damaged(self.opening.file, self.opening.row_group, error.to_string()))?;
        }
        Ok(())
    }

    fn fill(&mut self, rows: usize, names: &mut NamesByField) -> Result<(), String> {
        let mut since = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now.duration_since(std::mem::replace(&mut since, now))
        };
        let (columns, opening) = (&mut self.columns, &self.opening);
        if let Some(time) = &mut columns.time {
            let kind = time.kind.clone();
            time.read(opening, rows, &mut Times { kind: &kind })?;
        }
        for column in [&mut columns.rows, &mut columns.bytes].into_iter().flatten() {
            let kind = column.kind.clone();
            column.read(opening, rows, &mut Judging { kind: &kind })?;
        }
        if let Some(column) = &mut columns.status {
            let kind = column.kind.clone();
            column.read(opening, rows, &mut Ids { names: &mut self.words, kind: &kind })?;
        }
        self.spent.times = lap();
        for (column, names) in columns.ids.iter_mut().zip(names) {
            let Some(column) = column else { continue };
            let kind = column.kind.clone();
            column.read(opening, rows, &mut Ids { names, kind: &kind })?;
        }
        for column in columns.present.iter_mut().flatten() {
            column.read(opening, rows, &mut Presence)?;
        }
        self.spent.names = lap();
        if let Some(column) = &mut columns.subjects {
            column.read(opening, rows)?;
        }
        self.spent.subjects = lap();
        for column in columns.identity.iter_mut().flatten() {
            let kind = column.kind.clone();
            column.read(opening, rows, &mut Digests { kind: &kind })?;
        }
        if !self.all_count() {
            self.judge_rows(rows);
            self.columns.retain(&self.keep);
        }
        for column in [&mut self.columns.rows, &mut self.columns.bytes].into_iter().flatten() {
            let Unusable { negative, not_a_number } = settle(&mut column.out);
            self.tally.rejected_values[ValueReason::NegativeCount as usize] += negative;
            self.tally.rejected_values[ValueReason::NotANumber as usize] += not_a_number;
        }
        self.fill_statuses();
        // Values are judged in copies, too: which of them is left out must not matter.
        self.leave_out();
        self.time.clear();
        if let Some(time) = &self.columns.time {
            self.time.extend(time.out.iter().map(|moment| moment.0));
        }
        self.tally.read += self.time.len() as u64;
        self.identify();
        self.spent.select = lap();
        Ok(())
    }

    /// Leaves out what repeats another record.
    fn leave_out(&mut self) {
        self.repeated.clear();
        if self.duplicates.is_empty() {
            return;
        }
        let times = self.columns.time.as_ref().map_or(&[][..], |time| &time.out);
        let before = self.tally.read + self.tally.duplicate;
        let repeats = |record: u64| {
            self.duplicates.get((record / 64) as usize).is_some_and(|word| word >> (record % 64) & 1 == 1)
        };
        self.keep.clear();
        self.keep.extend((before..).take(times.len()).map(|record| !repeats(record)));
        let repeated = times.iter().zip(&self.keep).filter(|(_, keep)| !**keep);
        self.repeated.extend(repeated.map(|(time, _)| time.0));
        if !self.repeated.is_empty() {
            self.tally.duplicate += self.repeated.len() as u64;
            self.columns.retain(&self.keep);
            let mut keep = self.keep.iter();
            self.statuses.retain(|_| keep.next().copied().unwrap_or(true));
        }
    }

    /// Tells by the time and what else identifies them which records are the same event.
    fn identify(&mut self) {
        let columns = &self.columns.identity;
        self.identities.clear();
        if columns.is_empty() {
            return;
        }
        // Where ids are wanted, what has none can not be told.
        let id = self.identity.iter().position(|field| field == Field::EventId);
        let id = id.map(|at| columns[at].as_ref().map_or(&[][..], |column| &column.out));
        let mut bytes = Vec::new();
        self.identities.extend(self.time.iter().enumerate().map(|(row, time)| {
            bytes.clear();
            for column in columns {
                // A file that lacks a column is as one where it is null.
                let digest =
                    column.as_ref().and_then(|column| column.out.get(row)).copied().unwrap_or_default();
                bytes.extend_from_slice(&digest.to_le_bytes());
            }
            let lacks_id = id.is_some_and(|ids| ids.get(row).is_none_or(|id| *id == 0));
            if lacks_id || bytes.iter().all(|byte| *byte == 0) {
                return 0;
            }
            bytes.extend_from_slice(&time.to_le_bytes());
            xxh3_128(&bytes)
        }));
    }

    fn fill_statuses(&mut self) {
        let Some(column) = &self.columns.status else { return };
        for id in self.meanings.len()..self.words.len() {
            let status = self.plan.mapping.status(self.words.name(id as u32));
            self.meanings.push((status.unwrap_or(Status::Error), status.is_some()));
        }
        let mut unknown = 0;
        self.statuses.clear();
        self.statuses.extend(column.out.iter().map(|id| match self.meanings.get(*id as usize) {
            None => Status::Ok,
            Some((status, known)) => {
                unknown += u64::from(!known);
                *status
            }
        }));
        self.tally.rejected_values[ValueReason::UnknownStatus as usize] += unknown;
    }

    /// Whether every row of the batch counts, told without looking at rows one by one.
    fn all_count(&self) -> bool {
        let range = self.plan.options.range;
        let inside = |moment: &Moment| moment.instant().is_some_and(|time| range.contains(time));
        let full = |principal| self.columns.validity(principal).is_some_and(<[bool]>::is_empty);
        let times = self.columns.time.as_ref().map_or(&[][..], |time| &time.out);
        PRINCIPALS.into_iter().any(full) && times.iter().all(inside)
    }

    /// Which rows count; those that do not are tallied.
    fn judge_rows(&mut self, rows: usize) {
        let range = self.plan.options.range;
        let validity = PRINCIPALS.map(|principal| self.columns.validity(principal));
        let has_principal = |row: usize| {
            let has = |valid: &[bool]| valid.get(row).copied().unwrap_or(valid.is_empty());
            validity.iter().flatten().any(|valid| has(valid))
        };
        let times = self.columns.time.as_ref().map_or(&[][..], |time| &time.out);
        let tally = &mut self.tally;
        self.keep.clear();
        self.keep.extend((0..rows).map(|row| {
            let reason = match times.get(row).copied().unwrap_or(Moment::NULL) {
                Moment::NULL => RowReason::NullTime,
                Moment::UNREADABLE => RowReason::UnreadableTime,
                Moment(time) if !range.contains(Micros(time)) => {
                    tally.pruned += 1;
                    return false;
                }
                _ if has_principal(row) => return true,
                _ => RowReason::NoPrincipal,
            };
            tally.rejected_rows[reason as usize] += 1;
            false
        }));
    }
}

impl Columns {
    fn open(opening: &Opening<'_>, request: Request) -> Result<Self, parquet::errors::ParquetError> {
        let mut ids = [const { None }; Field::ALL.len()];
        for field in request.ids.iter().filter(|field| field.is_dimension()) {
            ids[field.index()] = Column::open(opening, field)?;
        }
        fn asked<T: Copy>(
            opening: &Opening<'_>,
            field: Field,
            asked: bool,
        ) -> Result<Option<Column<T>>, parquet::errors::ParquetError> {
            if asked { Column::open(opening, field) } else { Ok(None) }
        }
        let mut identities = Vec::new();
        for field in request.identity.iter() {
            identities.push(Column::open(opening, field)?);
        }
        let [key, user] = PRINCIPALS.map(|field| asked(opening, field, !request.ids.contains(field)));
        Ok(Self {
            time: Column::open(opening, Field::Time)?,
            ids,
            present: [key?, user?],
            rows: asked(opening, Field::Rows, request.rows)?,
            bytes: asked(opening, Field::Bytes, request.bytes)?,
            status: asked(opening, Field::Status, request.status)?,
            subjects: match request.subjects || request.blocks {
                true => SubjectColumn::open(opening, request.blocks)?,
                false => None,
            },
            identity: identities,
        })
    }

    /// Which rows have a key, or a user: empty where all have; `None` where the file lacks the column.
    fn validity(&self, principal: Field) -> Option<&[bool]> {
        let present = if principal == Field::Key { &self.present[0] } else { &self.present[1] };
        let ids = self.ids[principal.index()].as_ref().map(|column| column.valid.as_slice());
        ids.or(present.as_ref().map(|column| column.valid.as_slice()))
    }

    fn retain(&mut self, keep: &[bool]) {
        fn each<T: Copy>(column: &mut Option<Column<T>>, keep: &[bool]) {
            if let Some(column) = column {
                column.retain(keep);
            }
        }
        each(&mut self.time, keep);
        self.ids.iter_mut().for_each(|column| each(column, keep));
        each(&mut self.rows, keep);
        each(&mut self.bytes, keep);
        each(&mut self.status, keep);
        if let Some(subjects) = &mut self.subjects {
            subjects.retain(keep);
        }
        self.identity.iter_mut().for_each(|column| each(column, keep));
    }
}

fn damaged(file: &PlannedFile, row_group: usize, cause: String) -> InputError {
    InputError::new(&file.path, cause)
        .at(format!("row group {row_group}"))
        .remedy("the file is damaged: write or copy it again")
}

#[cfg(test)]
mod tests;
