//! The reader of one unit: batches of records as plain columns. This is the narrow border behind which the
//! page decoder may change: whoever counts sees instants, dense ids, counts and hashes, never Parquet.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter, take};
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use slowleak_record::{Field, FieldSet, InputError, InputResult, Micros, Status};

use crate::count_column::{self, Counts, Unusable};
use crate::coverage::{RowReason, ValueReason};
use crate::layout::{Role, guarded};
use crate::names::{Names, TooManyNames};
use crate::plan::{Plan, PlannedFile, Unit};
use crate::source::Source;
use crate::text_column::{HashColumn, TextColumn};
use crate::time_column::{self, Moment};

/// Rows a batch.
const BATCH_ROWS: usize = 8192;

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
}

/// A batch of records, all inside the time range and with a key or a user.
///
/// Columns that were not asked for, or that the file lacks, are absent.
#[derive(Default)]
pub struct Chunk {
    time: Vec<i64>,
    text: [Option<TextColumn>; Field::ALL.len()],
    rows: Option<Counts>,
    bytes: Option<Counts>,
    status: Option<Vec<Status>>,
    subjects: Option<HashColumn>,
}

impl Chunk {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// When: microseconds since the epoch.
    pub fn time(&self) -> &[i64] {
        &self.time
    }

    /// One id a record into [`Chunk::names`], [`Names::NONE`] where the value is null.
    pub fn ids(&self, field: Field) -> Option<&[u32]> {
        self.text[field.index()].as_ref().map(|column| column.ids.as_slice())
    }

    /// The names behind the ids: one set a unit, which grows from batch to batch.
    pub fn names(&self, field: Field) -> Option<&Names> {
        self.text[field.index()].as_ref().map(|column| &column.names)
    }

    /// Records returned.
    pub fn rows(&self) -> Option<&Counts> {
        self.rows.as_ref()
    }

    /// Bytes returned.
    pub fn bytes(&self) -> Option<&Counts> {
        self.bytes.as_ref()
    }

    /// Outcomes.
    pub fn status(&self) -> Option<&[Status]> {
        self.status.as_deref()
    }

    /// Hashes of the subjects ([`crate::subject_hash`]).
    pub fn subjects(&self) -> Option<&[Option<u64>]> {
        self.subjects.as_ref().map(|column| column.hashes.as_slice())
    }
}

/// What became of a unit's rows and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnitTally {
    /// Rows handed out.
    pub read: u64,
    /// Rows outside the time range.
    pub pruned: u64,
    /// Rows rejected, indexed by [`RowReason`].
    pub rejected_rows: [u64; 3],
    /// Values rejected, indexed by [`ValueReason`].
    pub rejected_values: [u64; 3],
}

impl UnitTally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.pruned += other.pruned;
        for (mine, theirs) in self.rejected_rows.iter_mut().zip(other.rejected_rows) {
            *mine += theirs;
        }
        for (mine, theirs) in self.rejected_values.iter_mut().zip(other.rejected_values) {
            *mine += theirs;
        }
    }
}

/// Reads one unit, batch by batch.
pub struct UnitReader<'p> {
    plan: &'p Plan,
    file: &'p PlannedFile,
    place: String,
    source: Source,
    batches: ParquetRecordBatchReader,
    /// Where the column of each field lies in a batch.
    positions: [Option<usize>; Field::ALL.len()],
    request: Request,
    chunk: Chunk,
    moments: Vec<Moment>,
    /// The column behind the status, and what each of its words means.
    status_words: TextColumn,
    statuses: Vec<(Status, bool)>,
    tally: UnitTally,
}

impl<'p> UnitReader<'p> {
    /// Opens a unit of `plan`.
    ///
    /// # Errors
    /// The file is gone, has changed since it was planned, or can not be decoded.
    pub fn open(plan: &'p Plan, unit: &Unit, request: Request) -> InputResult<Self> {
        let file = &plan.files[unit.file];
        let place = format!("row group {}", unit.row_group);
        let source = Source::open(&file.path, plan.options.io)?;
        source.check_unchanged(&file.path, file.stamp)?;

        let text = request.ids.with(Field::Time).with(Field::Key).with(Field::User);
        let mut wanted = text;
        for (field, asked) in [
            (Field::Rows, request.rows),
            (Field::Bytes, request.bytes),
            (Field::Status, request.status),
            (Field::Subject, request.subjects),
        ] {
            wanted = if asked { wanted.with(field) } else { wanted };
        }
        let root = |field| match file.layout.role(field) {
            Some(Role::Column { root, .. }) if wanted.contains(field) => Some(*root),
            _ => None,
        };
        let mut roots: Vec<usize> = Field::ALL.into_iter().filter_map(root).collect();
        roots.sort_unstable();
        roots.dedup();
        let batches = guarded(|| {
            let metadata = file.layout.typed_for(unit.row_group)?;
            let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
            ParquetRecordBatchReaderBuilder::new_with_metadata(source.clone(), metadata)
                .with_row_groups(vec![unit.row_group])
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
        });
        let batches = batches.map_err(|cause| damaged(file, &place, cause))?;

        let has = |field: Field| wanted.contains(field) && file.layout.role(field).is_some();
        let mut chunk = Chunk::default();
        for field in request.ids.iter().filter(|field| field.is_dimension() && has(*field)) {
            chunk.text[field.index()] = Some(TextColumn::default());
        }
        chunk.rows = (request.rows && has(Field::Rows)).then(Counts::default);
        chunk.bytes = (request.bytes && has(Field::Bytes)).then(Counts::default);
        chunk.status = (request.status && has(Field::Status)).then(Vec::new);
        chunk.subjects = (request.subjects && has(Field::Subject)).then(HashColumn::default);
        Ok(Self {
            plan,
            file,
            place,
            source,
            batches,
            positions: Field::ALL
                .map(|field| root(field).and_then(|root| roots.iter().position(|r| *r == root))),
            request,
            chunk,
            moments: Vec::new(),
            status_words: TextColumn::default(),
            statuses: Vec::new(),
            tally: UnitTally::default(),
        })
    }

    /// The next batch; it may be empty though more follow. `None` at the end of the unit.
    ///
    /// # Errors
    /// The bytes are damaged, or the file changed since it was planned. What was handed out so far must
    /// then not be used: the file as a whole is rejected.
    pub fn next_chunk(&mut self) -> InputResult<Option<&Chunk>> {
        let batches = &mut self.batches;
        let batch = guarded(|| batches.next().transpose().map_err(parquet::errors::ParquetError::from))
            .map_err(|cause| damaged(self.file, &self.place, cause))?;
        let Some(batch) = batch else {
            self.source.check_unchanged(&self.file.path, self.file.stamp)?;
            return Ok(None);
        };
        self.fill(&batch).map_err(|cause| damaged(self.file, &self.place, cause))?;
        Ok(Some(&self.chunk))
    }

    /// What became of the rows so far.
    pub fn tally(&self) -> UnitTally {
        self.tally
    }

    fn column(&self, batch: &RecordBatch, field: Field) -> Result<Option<ArrayRef>, String> {
        match self.file.layout.role(field) {
            None => Ok(None),
            Some(Role::Column { .. }) => {
                Ok(self.positions[field.index()].and_then(|at| batch.columns().get(at).cloned()))
            }
            Some(Role::Constant(value)) => {
                let zeros = UInt32Array::from(vec![0; batch.num_rows()]);
                take(value, &zeros, None).map(Some).map_err(|error| error.to_string())
            }
        }
    }

    fn fill(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let time = self.column(batch, Field::Time)?.ok_or("the time column is gone")?;
        let kind = match self.file.layout.role(Field::Time) {
            Some(Role::Column { kind, .. }) => kind.clone(),
            _ => time.data_type().clone(),
        };
        time_column::decode(&time, &kind, &mut self.moments);
        let keep = self.keep(batch)?;
        let keep = keep.as_ref();

        self.chunk.time.clear();
        match keep {
            None => self.chunk.time.extend(self.moments.iter().map(|moment| moment.0)),
            Some(keep) => {
                let kept = self.moments.iter().zip(keep.values()).filter(|(_, keep)| *keep);
                self.chunk.time.extend(kept.map(|(moment, _)| moment.0));
            }
        }
        self.tally.read += self.chunk.time.len() as u64;

        for field in self.request.ids.iter() {
            let Some(array) = self.column(batch, field)? else { continue };
            let Some(column) = &mut self.chunk.text[field.index()] else { continue };
            column.decode(&array).map_err(|error: TooManyNames| error.to_string())?;
            compact(&mut column.ids, keep);
        }
        if self.request.subjects
            && let Some(array) = self.column(batch, Field::Subject)?
            && let Some(column) = &mut self.chunk.subjects
        {
            column.decode(&array);
            compact(&mut column.hashes, keep);
        }
        for field in [Field::Rows, Field::Bytes] {
            let asked = if field == Field::Rows { self.request.rows } else { self.request.bytes };
            let Some(array) = (if asked { self.column(batch, field)? } else { None }) else { continue };
            let array = match keep {
                None => array,
                Some(keep) => filter(&array, keep).map_err(|error| error.to_string())?,
            };
            let counts = if field == Field::Rows { &mut self.chunk.rows } else { &mut self.chunk.bytes };
            let Unusable { negative, not_a_number } =
                count_column::decode(&array, counts.get_or_insert_default());
            self.tally.rejected_values[ValueReason::NegativeCount as usize] += negative;
            self.tally.rejected_values[ValueReason::NotANumber as usize] += not_a_number;
        }
        if self.request.status
            && let Some(array) = self.column(batch, Field::Status)?
        {
            self.fill_status(&array, keep)?;
        }
        Ok(())
    }

    fn fill_status(&mut self, array: &ArrayRef, keep: Option<&BooleanArray>) -> Result<(), String> {
        self.status_words.decode(array).map_err(|error| error.to_string())?;
        compact(&mut self.status_words.ids, keep);
        for id in self.statuses.len()..self.status_words.names.len() {
            let status = self.plan.mapping.status(self.status_words.names.name(id as u32));
            self.statuses.push((status.unwrap_or(Status::Error), status.is_some()));
        }
        let mut unknown = 0;
        let out = self.chunk.status.get_or_insert_default();
        out.clear();
        out.extend(self.status_words.ids.iter().map(|id| match self.statuses.get(*id as usize) {
            None => Status::Ok,
            Some((status, known)) => {
                unknown += u64::from(!known);
                *status
            }
        }));
        self.tally.rejected_values[ValueReason::UnknownStatus as usize] += unknown;
        Ok(())
    }

    /// Which rows count; `None` where all do. Rejected and pruned rows are tallied.
    fn keep(&mut self, batch: &RecordBatch) -> Result<Option<BooleanArray>, String> {
        let range = self.plan.options.range;
        let nulls = |array: Option<ArrayRef>| match array {
            None => None,
            // A dictionary's entries may be null too, so logical nulls count.
            Some(array) if *array.data_type() != DataType::Null => {
                Some(array.logical_nulls().filter(|nulls| nulls.null_count() > 0))
            }
            Some(_) => None,
        };
        let key = nulls(self.column(batch, Field::Key)?);
        let user = nulls(self.column(batch, Field::User)?);
        let has = |column: &Option<Option<arrow::buffer::NullBuffer>>, row: usize| match column {
            None => false,
            Some(None) => true,
            Some(Some(nulls)) => nulls.is_valid(row),
        };
        let every_principal = matches!(key, Some(None)) || matches!(user, Some(None));
        let inside = |moment: &Moment| moment.instant().is_some_and(|time| range.contains(time));
        if every_principal && self.moments.iter().all(inside) {
            return Ok(None);
        }
        let tally = &mut self.tally;
        let keep = self.moments.iter().enumerate().map(|(row, moment)| {
            let reason = match *moment {
                Moment::NULL => RowReason::NullTime,
                Moment::UNREADABLE => RowReason::UnreadableTime,
                Moment(time) if !range.contains(Micros(time)) => {
                    tally.pruned += 1;
                    return false;
                }
                _ if has(&key, row) || has(&user, row) => return true,
                _ => RowReason::NoPrincipal,
            };
            tally.rejected_rows[reason as usize] += 1;
            false
        });
        Ok(Some(BooleanArray::from(keep.collect::<Vec<bool>>())))
    }
}

/// Keeps the entries of kept rows.
fn compact<T>(values: &mut Vec<T>, keep: Option<&BooleanArray>) {
    if let Some(keep) = keep {
        let mut row = 0;
        values.retain(|_| {
            row += 1;
            keep.values().value(row - 1)
        });
    }
}

fn damaged(file: &PlannedFile, place: &str, cause: String) -> InputError {
    InputError::new(&file.path, cause).at(place).remedy("the file is damaged: write or copy it again")
}
