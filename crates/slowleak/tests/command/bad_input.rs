//! Inputs that a night's log folder really holds: the message names the file, and nothing panics.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array};

use crate::support::{HOUR, Ran, START, integers, plain, slowleak, texts, times, write};

/// Scans `bad` alone and beside a good file. Alone it fails with `words`; beside the good one it is told of
/// and the rest is read.
#[track_caller]
fn rejected(dir: &Path, bad: &str, words: &[&str]) {
    let named = [&[bad][..], words].concat();
    for command in ["scan", "rollup"] {
        slowleak(dir, &format!("{command} {{}}/{bad} --out {{}}/out")).exits(1).says(&named);
    }
    plain(&dir.join("good.parquet"), START, 100);
    slowleak(dir, &format!("scan {{}}/{bad} {{}}/good.parquet --out {{}}/out")).exits(3).says(&named);
    slowleak(dir, &format!("scan {{}}/{bad} {{}}/good.parquet --out {{}}/out --io read"))
        .exits(3)
        .says(&named);
    let account = fs::read_to_string(dir.join("out/coverage.json")).unwrap();
    assert!(account.contains(bad), "{account}");
}

#[test]
fn no_parquet_file_at_all() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("logs")).unwrap();
    slowleak(dir.path(), "scan {}/logs --out {}/out").exits(1).says(&["/logs: ", "no Parquet file"]);
    slowleak(dir.path(), "inspect {}/logs/*.parquet").exits(1).says(&["*.parquet"]);
}

#[test]
fn an_empty_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.parquet"), "").unwrap();
    rejected(dir.path(), "bad.parquet", &["empty"]);
}

#[test]
fn a_file_that_is_not_parquet() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.parquet"), "time,key\n2025-01-01,k\n".repeat(100)).unwrap();
    rejected(dir.path(), "bad.parquet", &["not a Parquet file"]);
}

#[test]
fn a_truncated_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = plain(&dir.path().join("bad.parquet"), START, 3000);
    let bytes = fs::read(&path).unwrap();
    for length in [4, 11, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        rejected(dir.path(), "bad.parquet", &[]);
    }
}

#[test]
fn damaged_bytes_inside_are_an_error_or_a_rejection_and_never_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let path = plain(&dir.path().join("bad.parquet"), START, 3000);
    let bytes = fs::read(&path).unwrap();
    for part in 1..24 {
        let mut damaged = bytes.clone();
        let at = bytes.len() * part / 24;
        for byte in damaged.iter_mut().skip(at).take(16) {
            *byte ^= 0xa5;
        }
        fs::write(&path, &damaged).unwrap();
        let ran = slowleak(dir.path(), "scan {}/bad.parquet --out {}/out --quiet");
        // A page without checksum may decode to other values; that can not be told.
        assert!([0, 1, 3].contains(&ran.code), "{part}: {ran:?}");
        assert!(
            ran.code == 0 || ran.stderr.contains("bad.parquet") || ran.stderr.contains("rejected"),
            "{ran:?}"
        );
        slowleak(dir.path(), "inspect {}/bad.parquet");
    }
}

/// Damages every byte of `path` in turn and runs `arguments` until one makes the decoder panic inside.
#[track_caller]
fn decoder_gives_up(dir: &Path, path: &Path, arguments: &str) -> Ran {
    let whole = fs::read(path).unwrap();
    let gives_up = |at: usize| {
        let mut damaged = whole.clone();
        damaged[at] = 0xff;
        fs::write(path, &damaged).unwrap();
        // Runs that say "panicked" fail in here.
        let ran = slowleak(dir, arguments);
        ran.stderr.contains("the decoder gave up on damaged bytes").then_some(ran)
    };
    let ran = (4..whole.len()).find_map(gives_up).expect("some damage makes the decoder panic");
    fs::write(path, &whole).unwrap();
    ran
}

#[test]
fn a_damaged_rollup_or_registry_is_a_failure_with_its_file_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    plain(&dir.path().join("logs/a.parquet"), START, 100);
    slowleak(dir.path(), "rollup {}/logs --out {}/counted --view key@1d:events").exits(0);
    let part = dir.path().join("counted/rollup/key@1d/part-0.parquet");
    let ran = decoder_gives_up(dir.path(), &part, "detect {}/counted/rollup --out {}/out");
    ran.exits(1).says(&["error: ", "key@1d/part-0.parquet: ", "write or copy it again"]);

    let columns = vec![("key", texts([Some("key-1")])), ("owner", texts([Some("kim")]))];
    let keys = write(&dir.path().join("keys.parquet"), columns);
    let detect = "detect {}/counted/rollup --out {}/out --keys {}/keys.parquet";
    let ran = decoder_gives_up(dir.path(), &keys, detect);
    ran.exits(1).says(&["error: ", "keys.parquet: ", "write or copy it again"]);
    assert!(!dir.path().join("out").exists());
    slowleak(dir.path(), detect).exits(0);
}

#[test]
fn a_required_column_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("bad.parquet"), vec![("key", texts([Some("k")]))]);
    rejected(dir.path(), "bad.parquet", &["column \"time\"", "--map"]);
    write(&dir.path().join("bad.parquet"), vec![("time", times([Some(START)]))]);
    rejected(dir.path(), "bad.parquet", &["\"key\"", "\"user\"", "--map"]);
}

#[test]
fn a_column_of_the_wrong_type() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("bad.parquet"),
        vec![("time", Arc::new(BooleanArray::from(vec![true]))), ("key", texts([Some("k")]))],
    );
    rejected(dir.path(), "bad.parquet", &["column \"time\"", "type"]);
    write(
        &dir.path().join("bad.parquet"),
        vec![("time", times([Some(START)])), ("key", texts([Some("k")])), ("bytes", texts([Some("many")]))],
    );
    rejected(dir.path(), "bad.parquet", &["column \"bytes\"", "type"]);
}

#[test]
fn no_row_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("bad.parquet"),
        vec![("time", times([None, Some(START)])), ("key", texts([Some("k"), None]))],
    );
    slowleak(dir.path(), "scan {}/bad.parquet --out {}/out").exits(1).says(&[
        "bad.parquet",
        "2 rows",
        "1 row: time is null",
        "1 row: neither key nor user is given",
    ]);
    write(&dir.path().join("bad.parquet"), vec![("time", times([])), ("key", texts([]))]);
    slowleak(dir.path(), "scan {}/bad.parquet --out {}/out").exits(1).says(&["bad.parquet", "no record"]);
}

#[test]
fn counts_that_are_no_counts_cost_the_value_not_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = [f64::NAN, f64::INFINITY, -5.0, 0.5, 1e300, 10.0];
    write(
        &dir.path().join("odd.parquet"),
        vec![
            ("time", times((0..6).map(|n| Some(START + n)))),
            ("key", texts([Some("k"); 6])),
            ("rows", integers([Some(-1), None, Some(3), Some(i64::MAX), Some(i64::MAX), Some(i64::MIN)])),
            ("bytes", Arc::new(Float64Array::from(bytes.to_vec()))),
        ],
    );
    let ran = slowleak(dir.path(), "scan {}/odd.parquet --out {}/out --format json").exits(3);
    assert_eq!(ran.json()["coverage"]["rows"]["read"], 6);
}

#[test]
fn the_smallest_logs_complete() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("one.parquet"),
        vec![("time", times([Some(START)])), ("user", texts([Some("u")]))],
    );
    slowleak(dir.path(), "scan {}/one.parquet --out {}/out").exits(0);
    write(
        &dir.path().join("instant.parquet"),
        vec![("time", times([Some(START + HOUR); 5000])), ("key", texts([Some("k"); 5000]))],
    );
    slowleak(dir.path(), "scan {}/instant.parquet --out {}/out").exits(0);
    slowleak(dir.path(), "inspect {}/instant.parquet {}/one.parquet").exits(0);
}

#[test]
fn times_at_the_edge_of_the_calendar() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("far.parquet"),
        vec![
            ("time", times([Some(i64::MIN), Some(i64::MAX), Some(0), Some(START)])),
            ("key", texts([Some("k"); 4])),
        ],
    );
    let ran = slowleak(dir.path(), "scan {}/far.parquet --out {}/out");
    assert!([0, 1, 3].contains(&ran.code), "{ran:?}");
    slowleak(dir.path(), "inspect {}/far.parquet").exits(0);
}

#[test]
fn views_by_what_the_log_does_not_have() {
    let dir = tempfile::tempdir().unwrap();
    plain(&dir.path().join("good.parquet"), START, 100);
    for command in ["scan", "rollup"] {
        slowleak(dir.path(), &format!("{command} {{}}/good.parquet --view region@1h:events --out {{}}/out"))
            .exits(1)
            .says(&["region@1h:events", "--view"]);
    }
}
