//! Whatever is wrong with a log: nothing panics, nothing is skipped in silence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers outside of test functions may fail loudly too"
)]

mod files;
mod runs;
#[path = "../support/mod.rs"]
mod support;
mod values;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use proptest::prelude::*;
use slowleak_record::{InputFile, Mapping, Micros, TimeRange};
use slowleak_rollup::{Metric, Rollup, Sketch, View, build, fields};
use slowleak_scan::{Coverage, Decoder, Io, Plan, RowReason, ScanOptions, ValueReason};
use support::{Record, check, write_columns, write_log};

const NOON: i64 = 1_750_766_400_000_000;

type Columns = Vec<(&'static str, ArrayRef)>;

fn views() -> Vec<View> {
    vec!["key@1h:rows,bytes,denied,missing,error,subjects".parse().unwrap()]
}

fn times(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

fn text<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}

fn sound() -> Columns {
    vec![("time", times([Some(NOON)])), ("key", text([Some("k")]))]
}

fn file(path: &Path) -> InputFile {
    InputFile { path: path.to_path_buf(), partitions: Vec::new() }
}

fn scan_with(files: &[InputFile], views: &[View], options: ScanOptions) -> (Rollup, Coverage) {
    let plan = Plan::new(files, &Mapping::native(), fields(views), &options);
    build(&plan, views, &|_| ()).unwrap()
}

/// Both kinds of input must say the same.
fn scan(files: &[InputFile]) -> (Rollup, Coverage) {
    let with = |io| scan_with(files, &views(), ScanOptions { io, ..ScanOptions::default() });
    let (mapped, read) = (with(Io::Mmap), with(Io::Read));
    assert_eq!(mapped, read);
    mapped
}

fn scan_columns(columns: Columns) -> (Rollup, Coverage) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    write_columns(&path, columns, 1000, true);
    scan(&[file(&path)])
}

/// The reason for which a file is rejected; a sound one beside it must count all the same.
fn rejection(make: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (bad, good) = (dir.path().join("bad.parquet"), dir.path().join("good.parquet"));
    make(&bad);
    write_columns(&good, sound(), 10, true);
    let (rollup, coverage) = scan(&[file(&bad), file(&good)]);
    assert_eq!((coverage.files.read, coverage.files.rejected, coverage.rows.read), (1, 1, 1));
    assert_eq!(rollup.tables[0].count(Metric::Events), [1]);
    let [rejected] = &coverage.rejected_files[..] else { panic!("{coverage:?}") };
    assert_eq!(rejected.path, bad.display().to_string());
    rejected.reason.clone()
}

#[track_caller]
fn assert_says(reason: &str, words: &[&str]) {
    for word in words {
        assert!(reason.contains(word), "{reason:?} lacks {word:?}");
    }
}
