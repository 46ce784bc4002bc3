//! Findings as Arrow tables and back: the columns of `findings.parquet`, `evidence.parquet`,
//! `timeline.parquet` and `shares.parquet`. It knows no files.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use slowleak_detect::{Evidence, Finding, Point, Share};
use slowleak_record::Micros;

/// A column: its name, its values, and whether they may be null.
type Column = (&'static str, ArrayRef, bool);

fn text<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from(values.into_iter().collect::<Vec<&str>>()))
}

fn words(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from(values.into_iter().collect::<Vec<String>>()))
}

fn float(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

pub(crate) fn time(values: impl IntoIterator<Item = Micros>) -> ArrayRef {
    let values = values.into_iter().map(|time| time.0);
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

fn table(columns: Vec<Column>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns)
}

/// `findings.parquet`: one row a finding.
pub(crate) fn findings(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    let rank = findings.iter().map(|f| number(f.rank));
    let each = findings.iter();
    table(vec![
        ("finding_id", text(each.clone().map(|f| f.id.as_str())), false),
        ("rank", Arc::new(Int32Array::from_iter_values(rank)), false),
        ("severity", text(each.clone().map(|f| f.severity.name())), false),
        ("detector", text(each.clone().map(|f| f.detector.name())), false),
        ("dimension", words(each.clone().map(|f| f.dimension.to_string())), false),
        ("entity", text(each.clone().map(|f| f.entity.as_str())), false),
        ("key", Arc::new(StringArray::from_iter(each.clone().map(|f| f.key.as_deref()))), true),
        ("user", Arc::new(StringArray::from_iter(each.clone().map(|f| f.user.as_deref()))), true),
        ("metric", text(each.clone().map(|f| f.metric.name())), false),
        ("start", time(each.clone().map(|f| f.start)), false),
        ("end", time(each.clone().map(|f| f.end)), false),
        ("observed", float(each.clone().map(|f| f.observed)), false),
        ("expected", float(each.clone().map(|f| f.expected)), false),
        ("subjects", Arc::new(Float64Array::from_iter(each.clone().map(|f| f.subjects))), true),
        ("score", float(each.clone().map(|f| f.score)), false),
        ("expected_false", Arc::new(Float64Array::from_iter(each.clone().map(|f| f.expected_false))), true),
        ("open", Arc::new(BooleanArray::from_iter(each.clone().map(|f| Some(f.open)))), false),
        ("summary", text(each.clone().map(|f| f.summary.as_str())), false),
        ("cause", Arc::new(StringArray::from_iter(each.clone().map(|f| f.cause.as_deref()))), true),
        ("taken", float(each.clone().map(|f| f.taken)), false),
        ("sensitivity", float(each.clone().map(|f| f.sensitivity)), false),
        ("suppressed", Arc::new(StringArray::from_iter(each.map(|f| f.suppressed.as_deref()))), true),
    ])
}

/// `evidence.parquet`: one row an interval folded into a finding, the leading one first, with the phase of the leak that
/// it shows.
pub(crate) fn evidence(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    let each = findings.iter().flat_map(|f| f.evidence.iter().map(move |e| (f.id.as_str(), e)));
    table(vec![
        ("finding_id", text(each.clone().map(|(id, _)| id)), false),
        ("detector", text(each.clone().map(|(_, e)| e.detector.name())), false),
        ("dimension", words(each.clone().map(|(_, e)| e.dimension.to_string())), false),
        ("entity", text(each.clone().map(|(_, e)| e.entity.as_str())), false),
        ("metric", text(each.clone().map(|(_, e)| e.metric.name())), false),
        ("start", time(each.clone().map(|(_, e)| e.start)), false),
        ("end", time(each.clone().map(|(_, e)| e.end)), false),
        ("observed", float(each.clone().map(|(_, e)| e.observed)), false),
        ("expected", float(each.clone().map(|(_, e)| e.expected)), false),
        ("level_per_day", float(each.clone().map(|(_, e)| e.level_per_day)), false),
        ("dispersion", float(each.clone().map(|(_, e)| e.dispersion)), false),
        ("raw_score", float(each.clone().map(|(_, e)| e.raw_score)), false),
        ("score", float(each.clone().map(|(_, e)| e.score)), false),
        (
            "expected_false",
            Arc::new(Float64Array::from_iter(each.clone().map(|(_, e)| e.expected_false))),
            true,
        ),
        ("phase", Arc::new(Int32Array::from_iter_values(each.map(|(_, e)| number(e.phase)))), false),
    ])
}

/// A number of the contract's type.
fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// `timeline.parquet`: the leading series of each finding, in time order.
pub(crate) fn timeline(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    let each = findings.iter().flat_map(|f| f.timeline.iter().map(move |p| (f.id.as_str(), p)));
    table(vec![
        ("finding_id", text(each.clone().map(|(id, _)| id)), false),
        ("start", time(each.clone().map(|(_, p)| p.start)), false),
        ("observed", float(each.clone().map(|(_, p)| p.observed)), false),
        ("expected", float(each.map(|(_, p)| p.expected)), false),
    ])
}

/// `shares.parquet`: how each finding's excess splits, largest first.
pub(crate) fn shares(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    let each = findings.iter().flat_map(|f| f.shares.iter().map(move |s| (f.id.as_str(), s)));
    table(vec![
        ("finding_id", text(each.clone().map(|(id, _)| id)), false),
        ("dimension", text(each.clone().map(|(_, s)| s.dimension.as_str())), false),
        ("value", text(each.clone().map(|(_, s)| s.value.as_str())), false),
        ("observed", float(each.clone().map(|(_, s)| s.observed)), false),
        ("expected", float(each.clone().map(|(_, s)| s.expected)), false),
        ("share", float(each.map(|(_, s)| s.share)), false),
    ])
}

/// A row that can not be understood: the column, and why.
pub(crate) struct Unreadable {
    pub(crate) place: String,
    pub(crate) cause: String,
}

/// The columns of one batch, by name and in the types that we write; other writers' equivalents
/// (dictionaries, string views, other time units) are cast.
pub(crate) struct Columns(pub(crate) RecordBatch);

impl Columns {
    fn column(&self, name: &str, wanted: &DataType, nullable: bool) -> Result<ArrayRef, Unreadable> {
        let unreadable = |cause: String| Unreadable { place: format!("column {name:?}"), cause };
        let Some(column) = self.0.column_by_name(name) else {
            return Err(unreadable("no such column".to_owned()));
        };
        let column = cast(column, wanted).map_err(|error| unreadable(error.to_string()))?;
        if !nullable && column.null_count() > 0 {
            return Err(unreadable("a value is null".to_owned()));
        }
        Ok(column)
    }

    /// Values of a column of type `T`, whose Arrow type is `wanted`.
    fn typed<T: Array + Clone + 'static>(
        &self,
        name: &str,
        wanted: &DataType,
        nullable: bool,
    ) -> Result<T, Unreadable> {
        let column = self.column(name, wanted, nullable)?;
        let typed = column.as_any().downcast_ref::<T>().cloned();
        typed.ok_or_else(|| Unreadable {
            place: format!("column {name:?}"),
            cause: format!("{} where {wanted} is due", column.data_type()),
        })
    }

    fn text(&self, name: &str) -> Result<StringArray, Unreadable> {
        self.typed(name, &DataType::Utf8, false)
    }

    fn text_or_null(&self, name: &str) -> Result<StringArray, Unreadable> {
        self.typed(name, &DataType::Utf8, true)
    }

    fn float(&self, name: &str) -> Result<Float64Array, Unreadable> {
        self.typed(name, &DataType::Float64, false)
    }

    fn float_or_null(&self, name: &str) -> Result<Float64Array, Unreadable> {
        self.typed(name, &DataType::Float64, true)
    }

    fn time(&self, name: &str) -> Result<TimestampMicrosecondArray, Unreadable> {
        self.typed(name, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
    }

    /// Rows of `findings.parquet`, as findings without evidence, shares and timeline.
    pub(crate) fn findings(&self) -> Result<Vec<Finding>, Unreadable> {
        let id = self.text("finding_id")?;
        let rank: Int32Array = self.typed("rank", &DataType::Int32, false)?;
        let severity = self.text("severity")?;
        let detector = self.text("detector")?;
        let dimension = self.text("dimension")?;
        let entity = self.text("entity")?;
        let (key, user) = (self.text_or_null("key")?, self.text_or_null("user")?);
        let metric = self.text("metric")?;
        let (start, end) = (self.time("start")?, self.time("end")?);
        let (observed, expected) = (self.float("observed")?, self.float("expected")?);
        let subjects = self.float_or_null("subjects")?;
        let score = self.float("score")?;
        let expected_false = self.float_or_null("expected_false")?;
        let open: BooleanArray = self.typed("open", &DataType::Boolean, false)?;
        let summary = self.text("summary")?;
        // Runs of earlier versions have none.
        let later = |name: &str| self.0.column_by_name(name).map(|_| self.text_or_null(name)).transpose();
        let (cause, suppressed) = (later("cause")?, later("suppressed")?);
        let text = |column: &Option<StringArray>, row| {
            column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row).to_owned())
        };
        let later = |name: &str| self.0.column_by_name(name).map(|_| self.float(name)).transpose();
        let (taken, sensitivity) = (later("taken")?, later("sensitivity")?);
        let rows = 0..self.0.num_rows();
        rows.map(|row| {
            Ok(Finding {
                id: id.value(row).to_owned(),
                rank: u32::try_from(rank.value(row)).map_err(|_| at_row("rank", row, "below zero"))?,
                severity: parse("severity", &severity, row)?,
                detector: parse("detector", &detector, row)?,
                dimension: parse("dimension", &dimension, row)?,
                entity: entity.value(row).to_owned(),
                key: key.is_valid(row).then(|| key.value(row).to_owned()),
                user: user.is_valid(row).then(|| user.value(row).to_owned()),
                metric: parse("metric", &metric, row)?,
                start: Micros(start.value(row)),
                end: Micros(end.value(row)),
                observed: observed.value(row),
                expected: expected.value(row),
                subjects: subjects.is_valid(row).then(|| subjects.value(row)),
                score: score.value(row),
                expected_false: expected_false.is_valid(row).then(|| expected_false.value(row)),
                open: open.value(row),
                summary: summary.value(row).to_owned(),
                taken: taken.as_ref().map_or(0.0, |taken| taken.value(row)),
                sensitivity: sensitivity.as_ref().map_or(1.0, |sensitivity| sensitivity.value(row)),
                suppressed: text(&suppressed, row),
                cause: text(&cause, row),
                evidence: Vec::new(),
                shares: Vec::new(),
                timeline: Vec::new(),
            })
        })
        .collect()
    }

    /// Rows of `evidence.parquet`, each with the id of its finding.
    pub(crate) fn evidence(&self) -> Result<Vec<(String, Evidence)>, Unreadable> {
        let id = self.text("finding_id")?;
        let detector = self.text("detector")?;
        let dimension = self.text("dimension")?;
        let entity = self.text("entity")?;
        let metric = self.text("metric")?;
        let (start, end) = (self.time("start")?, self.time("end")?);
        let (observed, expected) = (self.float("observed")?, self.float("expected")?);
        let (level, dispersion) = (self.float("level_per_day")?, self.float("dispersion")?);
        let (raw_score, score) = (self.float("raw_score")?, self.float("score")?);
        let expected_false = self.float_or_null("expected_false")?;
        // Runs of earlier versions knew one phase a leak.
        let phase = self.0.column_by_name("phase").map(|_| self.typed("phase", &DataType::Int32, false));
        let phase: Option<Int32Array> = phase.transpose()?;
        let phase = |row| {
            let phase = phase.as_ref().map_or(1, |phase| phase.value(row));
            u32::try_from(phase).map_err(|_| at_row("phase", row, "below zero"))
        };
        let rows = 0..self.0.num_rows();
        rows.map(|row| {
            let evidence = Evidence {
                phase: phase(row)?,
                detector: parse("detector", &detector, row)?,
                dimension: parse("dimension", &dimension, row)?,
                entity: entity.value(row).to_owned(),
                metric: parse("metric", &metric, row)?,
                start: Micros(start.value(row)),
                end: Micros(end.value(row)),
                observed: observed.value(row),
                expected: expected.value(row),
                level_per_day: level.value(row),
                dispersion: dispersion.value(row),
                raw_score: raw_score.value(row),
                score: score.value(row),
                expected_false: expected_false.is_valid(row).then(|| expected_false.value(row)),
            };
            Ok((id.value(row).to_owned(), evidence))
        })
        .collect()
    }

    /// Rows of `timeline.parquet`, each with the id of its finding.
    pub(crate) fn timeline(&self) -> Result<Vec<(String, Point)>, Unreadable> {
        let id = self.text("finding_id")?;
        let start = self.time("start")?;
        let (observed, expected) = (self.float("observed")?, self.float("expected")?);
        let point = |row| Point {
            start: Micros(start.value(row)),
            observed: observed.value(row),
            expected: expected.value(row),
        };
        Ok((0..self.0.num_rows()).map(|row| (id.value(row).to_owned(), point(row))).collect())
    }

    /// Rows of `shares.parquet`, each with the id of its finding.
    pub(crate) fn shares(&self) -> Result<Vec<(String, Share)>, Unreadable> {
        let id = self.text("finding_id")?;
        let (dimension, value) = (self.text("dimension")?, self.text("value")?);
        let (observed, expected) = (self.float("observed")?, self.float("expected")?);
        let share = self.float("share")?;
        let slice = |row| Share {
            dimension: dimension.value(row).to_owned(),
            value: value.value(row).to_owned(),
            observed: observed.value(row),
            expected: expected.value(row),
            share: share.value(row),
        };
        Ok((0..self.0.num_rows()).map(|row| (id.value(row).to_owned(), slice(row))).collect())
    }
}

fn at_row(column: &str, row: usize, cause: impl std::fmt::Display) -> Unreadable {
    Unreadable { place: format!("column {column:?}, row {}", row + 1), cause: cause.to_string() }
}

fn parse<T>(column: &str, values: &StringArray, row: usize) -> Result<T, Unreadable>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    values.value(row).parse().map_err(|error| at_row(column, row, error))
}
