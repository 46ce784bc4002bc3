//! The plan of a scan: which files and row groups will be read, which are pruned, which are rejected and
//! why. In: files, mapping, fields and a time range. Out: units of work (one a row group) in a fixed order.
//! It reads footers only.

use std::path::{Path, PathBuf};

use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use rayon::prelude::*;
use slowleak_record::{Field, FieldSet, InputError, InputFile, InputResult, Mapping, Micros, TimeRange};

use crate::coverage::{Coverage, FileAccount, RejectedFile, Tally};
use crate::layout::{Layout, Role};
use crate::source::{Io, Source, Stamp};
use crate::time_column;

/// What to scan, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanOptions {
    /// Records outside are pruned.
    pub range: TimeRange,
    /// How files are read.
    pub io: Io,
    /// How pages are decoded.
    pub decoder: Decoder,
}

/// How pages are decoded. Both give the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decoder {
    /// By this crate, straight from the page; by the arrow reader only where a page is of a rare kind.
    #[default]
    Pages,
    /// By the arrow reader: several times slower, and a second opinion.
    Arrow,
}

/// What a scan will read. Rejected and pruned files are accounted for already.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) files: Vec<PlannedFile>,
    pub(crate) mapping: Mapping,
    pub(crate) options: ScanOptions,
    units: Vec<Unit>,
    fields: FieldSet,
    present: FieldSet,
    coverage: Coverage,
}

/// One row group of one file: the grain of parallel work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    pub(crate) file: usize,
    pub(crate) row_group: usize,
    rows: u64,
}

impl Unit {
    /// Position of the file among the plan's accepted files.
    pub fn file(&self) -> usize {
        self.file
    }

    /// Rows in the row group.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PlannedFile {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    pub(crate) layout: Layout,
    /// Row groups to read, and those pruned, with their rows.
    groups: Vec<(usize, u64)>,
    pruned_groups: u64,
    pruned_rows: u64,
}

impl PlannedFile {
    /// Whether the time range leaves none of its row groups.
    fn is_pruned(&self) -> bool {
        self.groups.is_empty() && self.pruned_groups > 0
    }
}

impl Plan {
    /// Opens the footers of `files` in parallel on the current rayon pool.
    ///
    /// `fields` are those that the views need; time, key and user are always read. A file that can not be
    /// used is rejected in [`Plan::coverage`], it does not fail the plan.
    pub fn new(files: &[InputFile], mapping: &Mapping, fields: FieldSet, options: &ScanOptions) -> Self {
        let fields = fields.with(Field::Time).with(Field::Key).with(Field::User);
        let mut files: Vec<&InputFile> = files.iter().collect();
        files.sort();
        files.dedup();
        let open = |file: &&InputFile| open(file, mapping, fields, options);
        let opened: Vec<InputResult<PlannedFile>> = files.par_iter().map(open).collect();

        let mut plan = Self {
            files: Vec::new(),
            mapping: mapping.clone(),
            options: *options,
            units: Vec::new(),
            fields,
            present: FieldSet::EMPTY,
            coverage: Coverage::default(),
        };
        for opened in opened {
            match opened {
                Ok(file) => plan.accept(file),
                Err(error) => plan
                    .coverage
                    .rejected_files
                    .push(RejectedFile { path: error.path().display().to_string(), reason: error.reason() }),
            }
        }
        plan.settled()
    }

    /// What can be told once all files are accepted or rejected.
    fn settled(mut self) -> Self {
        let coverage = &mut self.coverage;
        coverage.files.rejected = coverage.rejected_files.len() as u64;
        coverage.rejected_files.sort();
        for field in self.fields.iter().filter(|field| self.present.contains(*field)) {
            let lacks = |file: &&PlannedFile| !file.is_pruned() && file.layout.role(field).is_none();
            let lacking = self.files.iter().filter(lacks).count() as u64;
            if lacking > 0 {
                coverage.partial_columns.insert(field.name().to_owned(), lacking);
            }
        }
        self
    }

    fn accept(&mut self, file: PlannedFile) {
        let index = self.files.len();
        self.present = self.present.union(file.layout.fields());
        self.coverage.row_groups.pruned += file.pruned_groups;
        self.coverage.rows.pruned += file.pruned_rows;
        if file.is_pruned() {
            self.coverage.files.pruned += 1;
        } else {
            self.coverage.files.read += 1;
            self.coverage.row_groups.read += file.groups.len() as u64;
        }
        let unit =
            |(row_group, rows): &(usize, u64)| Unit { file: index, row_group: *row_group, rows: *rows };
        self.units.extend(file.groups.iter().map(unit));
        self.files.push(file);
    }

    /// The row groups to read: by path of the file, then by position in it.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// First and last time of a unit's rows, where the footer tells them.
    pub fn span(&self, unit: &Unit) -> Option<(Micros, Micros)> {
        span(&self.files[unit.file].layout, unit.row_group)
    }

    /// Whether anything tells which event the unit's records are.
    pub(crate) fn identifies(&self, unit: &Unit) -> bool {
        let layout = &self.files[unit.file].layout;
        let identity = self.mapping.identity();
        let has = |field: Field| layout.role(field).is_some();
        if !identity.contains(Field::EventId) {
            return identity.iter().any(has);
        }
        // A column without a single id costs nothing.
        let ids = match layout.role(Field::EventId) {
            None => return false,
            Some(Role::Constant(_)) => return true,
            Some(Role::Column { leaf, .. }) => *leaf,
        };
        let column = layout.metadata().metadata().row_group(unit.row_group).columns().get(ids);
        let nulls = column.and_then(|column| column.statistics()?.null_count_opt());
        nulls.is_none_or(|nulls| nulls < unit.rows)
    }

    /// Whether anything tells which event its records are, at least in some files.
    pub fn has_identities(&self) -> bool {
        self.units.iter().any(|unit| self.identifies(unit))
    }

    /// Rows in the row groups to read.
    pub fn rows(&self) -> u64 {
        self.units.iter().map(Unit::rows).sum()
    }

    /// Accepted files, those wholly pruned by time included.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The fields that the plan was made for, time, key and user included.
    pub fn fields(&self) -> FieldSet {
        self.fields
    }

    /// The fields among [`Plan::fields`] that at least one accepted file has.
    pub fn fields_present(&self) -> FieldSet {
        self.present
    }

    /// The account as far as it is known before any row is read: files and row groups pruned and rejected.
    /// Those to read are counted as read.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// What is known of each accepted file before any row is read; in the order of [`Plan::files`].
    pub fn accounts(&self) -> Vec<FileAccount> {
        let account = |file: &PlannedFile| FileAccount {
            path: file.path.clone(),
            fields: file.layout.fields(),
            row_groups: Tally {
                read: file.groups.len() as u64,
                pruned: file.pruned_groups,
                ..Tally::default()
            },
            pruned_rows: file.pruned_rows,
            ..FileAccount::default()
        };
        self.files.iter().map(account).collect()
    }

    /// The plan without the accepted files for which `errors` holds an entry: they are rejected instead.
    #[must_use]
    pub fn without(&self, errors: &[slowleak_record::InputError]) -> Self {
        let mut plan = Self {
            files: Vec::new(),
            mapping: self.mapping.clone(),
            options: self.options,
            units: Vec::new(),
            fields: self.fields,
            present: FieldSet::EMPTY,
            coverage: Coverage {
                rejected_files: self.coverage.rejected_files.clone(),
                row_groups: crate::Tally {
                    rejected: self.coverage.row_groups.rejected,
                    ..Default::default()
                },
                rows: crate::Tally { rejected: self.coverage.rows.rejected, ..Default::default() },
                ..Coverage::default()
            },
        };
        for file in &self.files {
            let Some(error) = errors.iter().find(|error| error.path() == file.path) else {
                plan.accept(file.clone());
                continue;
            };
            plan.coverage
                .rejected_files
                .push(RejectedFile { path: file.path.display().to_string(), reason: error.reason() });
            plan.coverage.row_groups.rejected += file.groups.len() as u64 + file.pruned_groups;
            plan.coverage.rows.rejected +=
                file.groups.iter().map(|group| group.1).sum::<u64>() + file.pruned_rows;
        }
        plan.settled()
    }
}

fn open(
    file: &InputFile,
    mapping: &Mapping,
    fields: FieldSet,
    options: &ScanOptions,
) -> InputResult<PlannedFile> {
    let source = Source::open(&file.path, options.io)?;
    let layout = Layout::read(&source, file, mapping, fields, mapping.identity())?;
    let mut planned = PlannedFile {
        path: file.path.clone(),
        stamp: source.stamp(),
        groups: Vec::new(),
        pruned_groups: 0,
        pruned_rows: 0,
        layout,
    };
    for (index, group) in planned.layout.metadata().metadata().row_groups().iter().enumerate() {
        let rows = rows(group, &planned.layout).map_err(|what| {
            let place = format!("row group {index}");
            InputError::new(&file.path, what).at(place).remedy("the file is damaged: write or copy it again")
        })?;
        if span(&planned.layout, index).is_some_and(|(first, last)| !options.range.overlaps(first, last)) {
            planned.pruned_groups += 1;
            planned.pruned_rows += rows;
        } else {
            planned.groups.push((index, rows));
        }
    }
    Ok(planned)
}

/// Rows of a row group, which the footer must tell alike for all columns that are read.
fn rows(group: &RowGroupMetaData, layout: &Layout) -> Result<u64, String> {
    let rows = group.num_rows();
    for field in Field::ALL {
        let Some(Role::Column { leaf, .. }) = layout.role(field) else { continue };
        let Some(column) = group.columns().get(*leaf) else { continue };
        // Values of lists are not one a row.
        if column.column_descr().max_rep_level() == 0 && column.num_values() != rows {
            let (name, values) = (column.column_path().string(), column.num_values());
            return Err(format!("the footer tells {rows} rows, and {values} of column {name:?}"));
        }
    }
    u64::try_from(rows).map_err(|_| format!("the footer tells {rows} rows"))
}

/// First and last time of a row group by its statistics, where they can be trusted to bound every row.
fn span(layout: &Layout, row_group: usize) -> Option<(Micros, Micros)> {
    let Role::Column { leaf, kind, .. } = layout.role(Field::Time)? else { return None };
    let column = layout.metadata().metadata().row_group(row_group).columns().get(*leaf)?;
    let (low, high) = match column.statistics()? {
        Statistics::Int64(stats) => (*stats.min_opt()?, *stats.max_opt()?),
        Statistics::Int32(stats) if kind.is_unsigned_integer() => {
            // Ordered as unsigned, stored as signed.
            (i64::from(*stats.min_opt()? as u32), i64::from(*stats.max_opt()? as u32))
        }
        Statistics::Int32(stats) => (i64::from(*stats.min_opt()?), i64::from(*stats.max_opt()?)),
        _ => return None,
    };
    if low > high {
        return None;
    }
    let first = time_column::scale(kind, low)?.instant()?;
    let last = time_column::scale(kind, high)?.instant()?;
    // Bare integers are judged one by one: the bounds hold for what lies between only within one unit.
    let same_unit = time_column::unit_of(low) == time_column::unit_of(high) && low.signum() == high.signum();
    (!kind.is_integer() || same_unit).then_some((first, last))
}
