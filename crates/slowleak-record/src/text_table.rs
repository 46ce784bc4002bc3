//! Small tables of text that people and other systems hand in: CSV, or Parquet where the name ends so. In: a path and
//! what to do with a row. Nothing is held but the row (of Parquet, the batch) at hand, so a file may be of any length.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{InputError, InputResult, Micros, guarded};

/// A row of text cells.
pub(crate) struct Row<'a> {
    path: &'a Path,
    header: &'a [String],
    /// 1-based position of the data row.
    number: u64,
    cells: &'a [Option<&'a str>],
}

/// Hands each row of the file to `visit` and returns the names of the columns.
///
/// # Errors
/// The file can not be read, lacks one of the `required` columns, or `visit` fails.
pub(crate) fn each_row(
    path: &Path,
    required: &[&str],
    mut visit: impl FnMut(&Row<'_>) -> InputResult<()>,
) -> InputResult<Vec<String>> {
    let parquet = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
    if parquet { parquet_rows(path, required, &mut visit) } else { csv_rows(path, required, &mut visit) }
}

/// Position of the column of that name, in whatever case.
pub(crate) fn position(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|column| column.trim().eq_ignore_ascii_case(name))
}

impl<'a> Row<'a> {
    /// The cell of a column; `None` where it is blank or the column is not there.
    pub(crate) fn text(&self, column: &str) -> Option<&'a str> {
        let cell = (*self.cells.get(position(self.header, column)?)?)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    /// The cell of a column that must not be blank, as it is written.
    pub(crate) fn id(&self, column: &str) -> InputResult<&'a str> {
        let cell = position(self.header, column).and_then(|at| self.cells.get(at).copied().flatten());
        cell.filter(|id| !id.is_empty()).ok_or_else(|| self.error(format!("blank {column:?}")))
    }

    /// The time in a column; `None` as for [`Self::text`].
    pub(crate) fn time(&self, column: &str) -> InputResult<Option<Micros>> {
        let parse = |text: &str| text.parse().map_err(|e| self.error(format!("column {column:?}: {e}")));
        self.text(column).map(parse).transpose()
    }

    /// An error about this row.
    pub(crate) fn error(&self, cause: String) -> InputError {
        InputError::new(self.path, cause).at(format!("row {}", self.number))
    }
}

fn require(path: &Path, header: &[String], required: &[&str]) -> InputResult<()> {
    match required.iter().find(|name| position(header, name).is_none()) {
        Some(name) => Err(InputError::new(path, format!("no column {name:?}"))
            .remedy(format!("the file has: {}", header.join(", ")))),
        None => Ok(()),
    }
}

type Visit<'v> = &'v mut dyn FnMut(&Row<'_>) -> InputResult<()>;

fn csv_rows(path: &Path, required: &[&str], visit: Visit<'_>) -> InputResult<Vec<String>> {
    let wrong = |error: csv::Error| InputError::new(path, error).remedy("expected CSV with a header line");
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(wrong)?;
    let header: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    require(path, &header, required)?;
    let mut record = csv::StringRecord::new();
    let mut number = 0;
    while reader.read_record(&mut record).map_err(wrong)? {
        number += 1;
        let cells: Vec<Option<&str>> = record.iter().map(Some).collect();
        visit(&Row { path, header: &header, number, cells: &cells })?;
    }
    Ok(header)
}

fn parquet_rows(path: &Path, required: &[&str], visit: Visit<'_>) -> InputResult<Vec<String>> {
    let wrong = |error: String| {
        InputError::new(path, error).remedy("expected a whole Parquet file: write or copy it again")
    };
    let file = File::open(path).map_err(|error| InputError::new(path, error))?;
    let open = || ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(8192).build();
    let mut reader = guarded(open).map_err(wrong)?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let header: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    require(path, &header, required)?;
    let mut number = 0;
    while let Some(batch) = guarded(|| reader.next().transpose()).map_err(wrong)? {
        let columns =
            texts(&batch).map_err(|error| InputError::new(path, error).remedy("write the column as text"))?;
        for row in 0..batch.num_rows() {
            number += 1;
            let cells: Vec<Option<&str>> =
                columns.iter().map(|text| text.is_valid(row).then(|| text.value(row))).collect();
            visit(&Row { path, header: &header, number, cells: &cells })?;
        }
    }
    Ok(header)
}

fn texts(batch: &RecordBatch) -> Result<Vec<StringArray>, ArrowError> {
    let text = |column: &ArrayRef| {
        let text = text(column)?;
        text.as_any()
            .downcast_ref::<StringArray>()
            .cloned()
            .ok_or_else(|| ArrowError::CastError(format!("{} where text is due", text.data_type())))
    };
    batch.columns().iter().map(text).collect()
}

/// A column as text. Instants are UTC, whatever the zone that they are shown in: its name need not be known.
fn text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let utc = cast(column, &DataType::Timestamp(*unit, Some("+00:00".into())))?;
            cast(&utc, &DataType::Utf8)
        }
        _ => cast(column, &DataType::Utf8),
    }
}
