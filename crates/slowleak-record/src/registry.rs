//! Who owns a key and who has left: the `--keys` and `--people` files, as CSV or Parquet.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::{InputError, InputResult, Micros, guarded};

/// What is known about one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyEntry {
    /// Person or team that owns it.
    pub owner: Option<String>,
    /// Kind of key, free text.
    pub kind: Option<String>,
    /// When it was issued.
    pub issued_at: Option<Micros>,
    /// When it expires.
    pub expires_at: Option<Micros>,
    /// When it was withdrawn.
    pub revoked_at: Option<Micros>,
    /// When it was last rotated.
    pub rotated_at: Option<Micros>,
    /// Regions it may be used from; empty means any.
    pub regions: Vec<String>,
}

/// What is known about one person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonEntry {
    /// Team or peer group.
    pub group: Option<String>,
    /// When the person left; `None` while employed.
    pub left_at: Option<Micros>,
}

/// Keys and people, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// Keys by key id.
    pub keys: BTreeMap<String, KeyEntry>,
    /// People by user id.
    pub people: BTreeMap<String, PersonEntry>,
}

impl Registry {
    /// Reads the key registry: `key,owner,kind,issued_at,expires_at,revoked_at,rotated_at,regions`. Only
    /// `key` is required; blank cells are unknown.
    ///
    /// # Errors
    /// The file can not be read, has no `key` column, a bad time, or a key twice.
    pub fn read_keys(&mut self, path: &Path) -> InputResult<()> {
        let table = Table::read(path)?;
        for row in table.rows("key")? {
            let entry = KeyEntry {
                owner: row.text("owner"),
                kind: row.text("kind"),
                issued_at: row.time("issued_at")?,
                expires_at: row.time("expires_at")?,
                revoked_at: row.time("revoked_at")?,
                rotated_at: row.time("rotated_at")?,
                regions: row
                    .text("regions")
                    .map(|regions| regions.split(';').map(|r| r.trim().to_owned()).collect())
                    .unwrap_or_default(),
            };
            if self.keys.insert(row.id.clone(), entry).is_some() {
                return Err(row
                    .error(format!("key {:?} is listed twice", row.id))
                    .remedy("keep one line a key"));
            }
        }
        Ok(())
    }

    /// Reads the people file: `user,group,left_at`. Only `user` is required.
    ///
    /// # Errors
    /// The file can not be read, has no `user` column, a bad time, or a user twice.
    pub fn read_people(&mut self, path: &Path) -> InputResult<()> {
        let table = Table::read(path)?;
        for row in table.rows("user")? {
            let entry = PersonEntry { group: row.text("group"), left_at: row.time("left_at")? };
            if self.people.insert(row.id.clone(), entry).is_some() {
                return Err(row
                    .error(format!("user {:?} is listed twice", row.id))
                    .remedy("keep one line a user"));
            }
        }
        Ok(())
    }
}

/// A small table of text cells, whatever the file format.
struct Table<'a> {
    path: &'a Path,
    header: Vec<String>,
    cells: Vec<Vec<Option<String>>>,
}

struct Row<'a> {
    table: &'a Table<'a>,
    /// 1-based position of the data row.
    number: usize,
    id: String,
}

impl<'a> Table<'a> {
    fn read(path: &'a Path) -> InputResult<Self> {
        let parquet = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("parquet"));
        let (header, cells) = if parquet { read_parquet(path) } else { read_csv(path) }?;
        Ok(Self { path, header, cells })
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.trim().eq_ignore_ascii_case(name))
    }

    fn rows(&'a self, id_column: &str) -> InputResult<Vec<Row<'a>>> {
        let column = self.column(id_column).ok_or_else(|| {
            InputError::new(self.path, format!("no column {id_column:?}"))
                .remedy(format!("the file has: {}", self.header.join(", ")))
        })?;
        let row = |(index, cells): (usize, &Vec<Option<String>>)| {
            let id = cells[column].clone().filter(|id| !id.is_empty()).ok_or_else(|| {
                InputError::new(self.path, format!("blank {id_column:?}")).at(format!("row {}", index + 1))
            })?;
            Ok(Row { table: self, number: index + 1, id })
        };
        self.cells.iter().enumerate().map(row).collect()
    }
}

impl Row<'_> {
    fn text(&self, column: &str) -> Option<String> {
        let cell = self.table.cells[self.number - 1][self.table.column(column)?].as_deref()?.trim();
        (!cell.is_empty()).then(|| cell.to_owned())
    }

    fn time(&self, column: &str) -> InputResult<Option<Micros>> {
        let parse = |text: String| text.parse().map_err(|e| self.error(format!("column {column:?}: {e}")));
        self.text(column).map(parse).transpose()
    }

    fn error(&self, cause: String) -> InputError {
        InputError::new(self.table.path, cause).at(format!("row {}", self.number))
    }
}

type Cells = (Vec<String>, Vec<Vec<Option<String>>>);

fn read_csv(path: &Path) -> InputResult<Cells> {
    let wrong = |error: csv::Error| InputError::new(path, error).remedy("expected CSV with a header line");
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(wrong)?;
    let header = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let mut cells = Vec::new();
    for record in reader.records() {
        cells.push(record.map_err(wrong)?.iter().map(|cell| Some(cell.to_owned())).collect());
    }
    Ok((header, cells))
}

fn read_parquet(path: &Path) -> InputResult<Cells> {
    let wrong = |error: String| {
        InputError::new(path, error).remedy("expected a whole Parquet file: write or copy it again")
    };
    let file = File::open(path).map_err(|error| InputError::new(path, error))?;
    let decode = || {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        let batches = reader.collect::<Result<Vec<RecordBatch>, _>>();
        batches.map_err(ParquetError::from)
    };
    let (mut header, mut cells) = (Vec::new(), Vec::new());
    for batch in guarded(decode).map_err(wrong)? {
        header = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = batch.columns().iter().map(|column| text(column));
        let unknown = |error: ArrowError| InputError::new(path, error).remedy("write the column as text");
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(unknown)?;
        let texts: Vec<&StringArray> =
            columns.iter().filter_map(|column| column.as_any().downcast_ref()).collect();
        for row in 0..batch.num_rows() {
            let cell = |text: &&StringArray| text.is_valid(row).then(|| text.value(row).to_owned());
            cells.push(texts.iter().map(cell).collect());
        }
    }
    Ok((header, cells))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::TimestampMicrosecondArray;
    use parquet::arrow::ArrowWriter;

    fn keys(text: &str) -> InputResult<Registry> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.csv");
        std::fs::write(&path, text).unwrap();
        let mut registry = Registry::default();
        registry.read_keys(&path).map(|()| registry)
    }

    #[test]
    fn reads_keys_with_missing_columns_and_blank_cells() {
        let registry = keys("key,owner,issued_at,regions\nk1,kim,2024-01-01,kr; jp\nk2,,,\n").unwrap();
        assert_eq!(registry.keys["k1"].owner.as_deref(), Some("kim"));
        assert_eq!(registry.keys["k1"].regions, ["kr", "jp"]);
        assert_eq!(registry.keys["k2"], KeyEntry::default());
    }

    #[test]
    fn mistakes_name_file_row_and_column() {
        let text = keys("key,issued_at\nk1,soon\n").unwrap_err().to_string();
        assert!(text.contains("row 1") && text.contains("issued_at") && text.contains("soon"), "{text}");
        assert!(keys("owner\nkim\n").unwrap_err().to_string().contains("no column \"key\""));
        assert!(keys("key\nk1\nk1\n").unwrap_err().to_string().contains("twice"));
        assert!(keys("key,owner\n,kim\n").unwrap_err().to_string().contains("blank"));
    }

    #[test]
    fn times_of_any_zone_are_read_from_parquet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.parquet");
        let issued: Micros = "2025-03-01T12:00:00Z".parse().unwrap();
        for zone in ["UTC", "+00:00", "Asia/Seoul", "-05:00"] {
            let times = TimestampMicrosecondArray::from(vec![issued.0]).with_timezone(zone);
            let key: ArrayRef = Arc::new(StringArray::from(vec!["k1"]));
            let batch = RecordBatch::try_from_iter([("key", key), ("issued_at", Arc::new(times))]).unwrap();
            let mut writer =
                ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let mut registry = Registry::default();
            registry.read_keys(&path).unwrap();
            assert_eq!(registry.keys["k1"].issued_at, Some(issued), "{zone}");
        }
    }

    #[test]
    fn a_damaged_parquet_file_is_an_error_with_its_name_and_never_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.parquet");
        let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let columns = [
            ("key", text(vec![Some("k1"), Some("k2")]), true),
            ("owner", text(vec![Some("kim"), None]), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut registry = Registry::default();
        registry.read_keys(&path).unwrap();
        assert_eq!(registry.keys["k1"].owner.as_deref(), Some("kim"));

        let mut gave_up = 0;
        for at in 0..whole.len() {
            for value in [0x00, 0x7f, 0xff, whole[at] ^ 0x01, whole[at] ^ 0x80] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                std::fs::write(&path, &damaged).unwrap();
                let Err(error) = Registry::default().read_keys(&path) else { continue };
                let text = error.to_string();
                assert!(text.contains("keys.parquet: "), "byte {at}: {text}");
                gave_up += usize::from(text.contains("the decoder gave up on damaged bytes"));
            }
        }
        assert!(gave_up > 0, "no damage made the decoder panic: the guard went untested");
    }
}
