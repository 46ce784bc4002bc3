//! Runs the binary and makes small logs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts the exit code, and shows what was said where it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts that standard error holds all of `words`.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("standard output is JSON")
    }
}

/// The binary, away from the caller's terminal and its wishes.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slowleak"));
    for name in ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs `slowleak` with `arguments`, split at blanks; `{}` stands for `dir`.
#[track_caller]
pub(crate) fn slowleak(dir: &Path, arguments: &str) -> Ran {
    let root = dir.to_str().expect("temporary folders have plain names");
    let arguments: Vec<String> = arguments.split_whitespace().map(|word| word.replace("{}", root)).collect();
    ran(command().args(&arguments))
}

#[track_caller]
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    let ran = Ran {
        code: output.status.code().expect("no signal ends the program"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// 2025-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_735_689_600_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Columns of a file, by name.
pub(crate) type Columns = Vec<(&'static str, ArrayRef)>;

pub(crate) fn times(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}

pub(crate) fn integers(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values))
}

/// Writes one Parquet file with row groups of 1,000 rows.
pub(crate) fn write(path: &Path, columns: Columns) -> PathBuf {
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
    let file = File::create(path).expect("the file can be made");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writable schema");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    path.to_path_buf()
}

/// A usable file of `rows` records from `start` on, one a minute, over 7 keys and 11 users.
pub(crate) fn plain(path: &Path, start: i64, rows: i64) -> PathBuf {
    part(path, start, 0..rows)
}

/// The given records of the log that [`plain`] writes.
pub(crate) fn part(path: &Path, start: i64, records: std::ops::Range<i64>) -> PathBuf {
    let numbers = || records.clone();
    let text = |modulus: i64, name: &str| {
        let values: Vec<String> = numbers().map(|n| format!("{name}-{}", n * n % modulus)).collect();
        texts(values.iter().map(|value| Some(value.as_str())))
    };
    write(
        path,
        vec![
            ("time", times(numbers().map(|n| Some(start + n * 60_000_000)))),
            ("key", text(7, "key")),
            ("user", text(11, "user")),
            ("source", text(13, "10.0.0")),
            ("object", text(5, "table")),
            ("subject", integers(numbers().map(|n| Some(n * 7919 % 1009)))),
            ("rows", integers(numbers().map(|n| Some(n % 17)))),
            ("bytes", integers(numbers().map(|n| Some(n % 4099)))),
            ("status", texts(numbers().map(|n| (n % 50 == 0).then_some("denied")))),
        ],
    )
}

/// `logs/` of three files and 6,000 records under a new temporary folder.
pub(crate) fn logs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for day in 0..3 {
        plain(&dir.path().join(format!("logs/day-{day}.parquet")), START + day * DAY, 2000);
    }
    dir
}

/// Every file under `folder` with its bytes, by path.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").to_path_buf();
                found.push((name, fs::read(&path).expect("the file can be read")));
            }
        }
    }
    found.sort();
    found
}

/// Asserts that two folders hold the same files with the same bytes.
#[track_caller]
pub(crate) fn same(a: &Path, b: &Path) {
    let (a, b) = (contents(a), contents(b));
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{} differs", name.display());
    }
}
