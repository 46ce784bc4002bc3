//! What a caller of the generator sees: files, bytes, truth and registries, read back from Parquet.

#![expect(clippy::unwrap_used, reason = "a test that can not set itself up must stop")]

mod scenarios;
mod truth;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use slowleak_record::discover;
use slowleak_synth::{GenerateOptions, Generated, Scenario, SynthError};

/// A record as read back; the strings that the tests look at.
struct Record {
    time: i64,
    key: Option<String>,
    user: Option<String>,
    source: String,
    region: String,
    object: String,
    subject: i64,
    rows: i64,
    bytes: i64,
    status: String,
}

fn read(out: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for file in discover(&[out.join("logs")]).unwrap() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = |name: &str, kind| cast(batch.column_by_name(name).unwrap(), &kind).unwrap();
            let [time, subject, rows, bytes] =
                ["time", "subject", "rows", "bytes"].map(|name| column(name, DataType::Int64));
            let [key, user, source, region, object, status] =
                ["key", "user", "source", "region", "object", "status"].map(|n| column(n, DataType::Utf8));
            let number =
                |array: &arrow::array::ArrayRef, row: usize| array.as_primitive::<Int64Type>().value(row);
            let text = |array: &arrow::array::ArrayRef, row: usize| {
                let array = array.as_string::<i32>();
                arrow::array::Array::is_valid(array, row).then(|| array.value(row).to_owned())
            };
            records.extend((0..batch.num_rows()).map(|row| Record {
                time: number(&time, row),
                key: text(&key, row),
                user: text(&user, row),
                source: text(&source, row).unwrap(),
                region: text(&region, row).unwrap(),
                object: text(&object, row).unwrap(),
                subject: number(&subject, row),
                rows: number(&rows, row),
                bytes: number(&bytes, row),
                status: text(&status, row).unwrap(),
            }));
        }
    }
    records
}

fn generate(text: &str, out: &Path, rows: u64, seed: u64) -> Generated {
    let options = GenerateOptions { rows: Some(rows), seed: Some(seed) };
    Scenario::parse(text, "test.toml").unwrap().generate(out, &options, &|_| {}).unwrap()
}

/// Every file below a folder, with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

const SPAN: &str = "[span]\nstart = 2025-03-01\nend = 2025-06-01\nutc_offset_hours = 9\n";

const LEAK: &str = r#"
[[object]]
name = "account-edit"
share = 0.001
groups = ["customer"]

[[leak]]
name = "test-leak"
dimension = "key"
credential = CREDENTIAL
user = USER

[[leak.phase]]
start = 2025-04-01T03:30:00Z
end = 2025-05-11
share = 0.01
objects = [{ name = "account-edit" }]
pattern = "once"
misses = 0.25
addresses = 50
active = 5
region = "cn"
"#;

fn leaking(credential: &str, user: &str, life: &str) -> String {
    format!("{SPAN}\n[life]\n{life}\n{}", LEAK.replace("CREDENTIAL", credential).replace("USER", user))
}

const DEDICATED: &str = r#"{ dedicated = { key = "copied", owner = "gone", owner_left = 2025-01-01 } }"#;

#[test]
fn same_seed_same_bytes_whatever_the_threads() {
    let text = leaking(DEDICATED, "\"null\"", "");
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, threads: usize, seed: u64| {
        let out = dir.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| generate(&text, &out, 30_000, seed));
        bytes_of(&out)
    };
    let one = run("one", 1, 5);
    assert!(one.len() > 10 && one.contains_key(Path::new("keys.csv")));
    assert!(one == run("two", 2, 5), "two threads wrote other bytes than one");
    let other = run("other", 1, 6);
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one.iter().all(|(path, bytes)| other[path] != *bytes), "another seed wrote the same bytes");
}

#[test]
fn the_number_of_records_is_exact_and_progress_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    for (n, rows) in [1, 777, 50_000].into_iter().enumerate() {
        let out = dir.path().join(n.to_string());
        let seen = AtomicU64::new(0);
        let options = GenerateOptions { rows: Some(rows), seed: None };
        let scenario = Scenario::parse(SPAN, "t").unwrap();
        let made = scenario
            .generate(&out, &options, &|count| {
                seen.fetch_add(count, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!((made.rows, seen.into_inner()), (rows, rows));
        let on_disk: u64 = bytes_of(&out.join("logs")).values().map(|bytes| bytes.len() as u64).sum();
        assert_eq!(made.bytes, on_disk);
        assert_eq!(read(&out).len() as u64, rows);
        assert!(!out.join("_logs.unfinished").exists());
    }
}

#[test]
fn an_existing_log_is_never_mixed_with_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    generate(SPAN, dir.path(), 100, 1);
    let before = bytes_of(dir.path());
    let again =
        Scenario::parse(SPAN, "t").unwrap().generate(dir.path(), &GenerateOptions::default(), &|_| {});
    let error = again.unwrap_err();
    assert!(matches!(error, SynthError::Occupied(_)) && error.to_string().contains("already holds a log"));
    assert!(bytes_of(dir.path()) == before);
    // What a killed run left behind goes.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("_logs.unfinished/date=2020-01-01")).unwrap();
    std::fs::write(dir.path().join("_logs.unfinished/date=2020-01-01/part-0.parquet"), b"half").unwrap();
    generate(SPAN, dir.path(), 100, 1);
    assert!(
        !dir.path().join("_logs.unfinished").exists() && !dir.path().join("logs/date=2020-01-01").exists()
    );
}

#[test]
fn event_ids_are_there_on_request_and_all_differ() {
    let dir = tempfile::tempdir().unwrap();
    generate(&format!("event_id = true\n{}", leaking(DEDICATED, "\"null\"", "")), dir.path(), 20_000, 1);
    let mut ids = BTreeSet::new();
    for file in discover(&[dir.path().join("logs")]).unwrap() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name("event_id").unwrap().as_string::<i32>().clone();
            ids.extend(column.iter().flatten().map(str::to_owned));
        }
    }
    assert_eq!(ids.len(), 20_000);
}
