//! Who owns a key and who has left: the `--keys` and `--people` files, as CSV or Parquet.

use std::collections::BTreeMap;
use std::path::Path;

use crate::text_table::each_row;
use crate::{InputResult, Micros};

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
        each_row(path, &["key"], |row| {
            let key = row.id("key")?;
            let owned = |column: &str| row.text(column).map(str::to_owned);
            let regions = row.text("regions").unwrap_or_default().split(';').map(str::trim);
            let entry = KeyEntry {
                owner: owned("owner"),
                kind: owned("kind"),
                issued_at: row.time("issued_at")?,
                expires_at: row.time("expires_at")?,
                revoked_at: row.time("revoked_at")?,
                rotated_at: row.time("rotated_at")?,
                regions: regions.filter(|region| !region.is_empty()).map(str::to_owned).collect(),
            };
            match self.keys.insert(key.to_owned(), entry) {
                Some(_) => {
                    Err(row.error(format!("key {key:?} is listed twice")).remedy("keep one line a key"))
                }
                None => Ok(()),
            }
        })
        .map(|_| ())
    }

    /// Reads the people file: `user,group,left_at`. Only `user` is required.
    ///
    /// # Errors
    /// The file can not be read, has no `user` column, a bad time, or a user twice.
    pub fn read_people(&mut self, path: &Path) -> InputResult<()> {
        each_row(path, &["user"], |row| {
            let user = row.id("user")?;
            let entry =
                PersonEntry { group: row.text("group").map(str::to_owned), left_at: row.time("left_at")? };
            match self.people.insert(user.to_owned(), entry) {
                Some(_) => {
                    Err(row.error(format!("user {user:?} is listed twice")).remedy("keep one line a user"))
                }
                None => Ok(()),
            }
        })
        .map(|_| ())
    }

    /// Whether any key may be used from some regions only.
    pub fn has_regions(&self) -> bool {
        self.keys.values().any(|key| !key.regions.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
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
        let registry = keys("key,owner,issued_at,regions\nk1,kim,2024-01-01,kr; jp;\nk2,,,;\n").unwrap();
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
