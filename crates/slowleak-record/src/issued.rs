//! The `--issued` file: which key was issued when, and to whom. In: a path. Out: its rows, one at a time: such a list may
//! be longer than memory, so it is read once to be checked and again by whoever asks for the rows.

use std::path::{Path, PathBuf};

use crate::text_table::{each_row, position};
use crate::{InputError, InputResult, Micros};

/// A list of issues that was found to be in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedList {
    path: PathBuf,
    /// The first issue on the list: of what was issued earlier it knows nothing.
    pub begins: Micros,
    /// Whether it tells to whom keys were issued.
    pub names_users: bool,
}

/// A row of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue<'a> {
    /// The key.
    pub key: &'a str,
    /// To whom it was issued; `None` where the list does not say, which is anybody.
    pub user: Option<&'a str>,
    /// When.
    pub at: Micros,
}

impl IssuedList {
    /// Reads the list, `key,issued_at[,user]` as CSV or Parquet, and checks it. A key may have any number of rows.
    ///
    /// # Errors
    /// The file can not be read, lacks `key` or `issued_at`, has a blank or bad cell in one of them, or has no row.
    pub fn open(path: &Path) -> InputResult<Self> {
        let mut begins: Option<Micros> = None;
        let header = read(path, &mut |issue| {
            begins = Some(begins.map_or(issue.at, |begins| begins.min(issue.at)));
        })?;
        let begins = begins.ok_or_else(|| {
            InputError::new(path, "nothing is listed")
                .remedy("list what was issued, or leave out --issued: every use would be one without issue")
        })?;
        let names_users = position(&header, "user").is_some();
        Ok(Self { path: path.to_path_buf(), begins, names_users })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands each row to `visit`, in the order of the file.
    ///
    /// # Errors
    /// As for [`Self::open`]: the file may have changed since.
    pub fn each(&self, mut visit: impl FnMut(Issue<'_>)) -> InputResult<()> {
        read(&self.path, &mut visit).map(|_| ())
    }
}

fn read(path: &Path, visit: &mut dyn FnMut(Issue<'_>)) -> InputResult<Vec<String>> {
    each_row(path, &["key", "issued_at"], |row| {
        let at = row.time("issued_at")?.ok_or_else(|| {
            row.error("blank \"issued_at\"".to_owned()).remedy("say when, or leave the row out")
        })?;
        visit(Issue { key: row.id("key")?, user: row.text("user"), at });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
    use parquet::arrow::ArrowWriter;

    type Rows = Vec<(String, Option<String>, Micros)>;

    fn list(text: &str) -> InputResult<(IssuedList, Rows)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("issued.csv");
        std::fs::write(&path, text).unwrap();
        let list = IssuedList::open(&path)?;
        Ok((list.clone(), rows(&list)))
    }

    fn rows(list: &IssuedList) -> Rows {
        let mut rows = Vec::new();
        list.each(|issue| rows.push((issue.key.to_owned(), issue.user.map(str::to_owned), issue.at)))
            .unwrap();
        rows
    }

    #[test]
    fn rows_are_read_with_and_without_users() {
        let (day, eve): (Micros, Micros) =
            ("2025-01-02".parse().unwrap(), "2025-01-01T12:00".parse().unwrap());
        let (list_, all) = list("user,key,issued_at\nkim,k1,2025-01-02\n,k1,2025-01-01T12:00\n").unwrap();
        assert_eq!((list_.begins, list_.names_users), (eve, true));
        assert_eq!(all, [("k1".into(), Some("kim".into()), day), ("k1".into(), None, eve)]);
        assert!(!list("key,issued_at\nk1,2025-01-02\n").unwrap().0.names_users);
    }

    #[test]
    fn mistakes_name_file_row_and_remedy() {
        for (text, words) in [
            ("key,at\nk1,2025-01-01\n", &["no column \"issued_at\"", "key, at"][..]),
            ("key,issued_at\nk1,2025-01-01\nk2,soon\n", &["row 2", "issued_at", "soon"]),
            ("key,issued_at\nk1,\n", &["row 1", "blank \"issued_at\""]),
            ("key,issued_at\n,2025-01-01\n", &["row 1", "blank \"key\""]),
            ("key,issued_at\n", &["nothing is listed", "--issued"]),
        ] {
            let error = list(text).unwrap_err().to_string();
            assert!(
                error.contains("issued.csv: ") && words.iter().all(|word| error.contains(word)),
                "{error}"
            );
        }
    }

    #[test]
    fn parquet_of_many_batches_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("issued.parquet");
        let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..20_000).map(|n| format!("k{n}"))));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(5..20_005));
        let batch = RecordBatch::try_from_iter([("key", keys), ("issued_at", times)]).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let list = IssuedList::open(&path).unwrap();
        let rows = rows(&list);
        assert_eq!((list.begins, rows.len(), rows[19_999].0.as_str()), (Micros(5), 20_000, "k19999"));
    }
}
