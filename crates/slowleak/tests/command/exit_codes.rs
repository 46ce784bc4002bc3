//! Each exit code of the contract, and that a usage error comes before any work.

use std::fs;

use crate::support::{DAY, START, integers, logs, plain, slowleak, texts, times, write};

#[test]
fn a_clean_run_is_0_and_says_nothing_on_standard_error() {
    let dir = logs();
    let ran = slowleak(dir.path(), "scan {}/logs --out {}/out").exits(0);
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.is_empty() && !ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
    assert_eq!(slowleak(dir.path(), "scan {}/logs --out {}/out --quiet").exits(0).stdout, "");
}

#[test]
fn usage_errors_are_2_and_make_nothing() {
    let dir = logs();
    fs::write(dir.path().join("typo.toml"), "strict = true\nstict = true\n").unwrap();
    fs::write(dir.path().join("map.toml"), "[columns]\nkid = \"k\"\n").unwrap();
    for (flags, words) in [
        ("--since 2025-02-01 --until 2025-01-01", &["--since", "--until"][..]),
        ("--since yesterday", &["yesterday", "RFC 3339"]),
        ("--until 2025-13-01", &["2025-13-01"]),
        ("--view key@7h:events", &["7h"]),
        ("--view kid@1h:events", &["kid"]),
        ("--window 7h", &["7h"]),
        ("--window 1h --view key@1h:events", &["--window"]),
        ("--config {}/typo.toml", &["typo.toml", "line 2", "stict"]),
        ("--config {}/none.toml", &["none.toml"]),
        ("--map {}/map.toml", &["map.toml", "kid"]),
        ("--preset nope", &["nope"]),
        ("--fail-on Awful", &["Awful", "critical"]),
        ("--threads 0", &["0"]),
        ("--io carrier-pigeon", &["carrier-pigeon"]),
        ("--format xml", &["xml"]),
        ("--memory lots", &["lots", "512MiB"]),
        ("--memory 1MiB", &["--memory", "too little", "give 128"]),
        ("--no-such-flag", &["--no-such-flag"]),
    ] {
        slowleak(dir.path(), &format!("scan {{}}/logs --out {{}}/out {flags}")).exits(2).says(words);
    }
    slowleak(dir.path(), "scan {}/logs").exits(2).says(&["--out"]);
    slowleak(dir.path(), "").exits(2);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn failures_are_1_and_name_the_path() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/none --out {}/out").exits(1).says(&["error: ", "/none: ", "no such file"]);
    slowleak(dir.path(), "scan {}/logs --out {}/out --keys {}/k.csv").exits(1).says(&["k.csv"]);
    slowleak(dir.path(), "detect {}/none --out {}/out").exits(1).says(&["/none: "]);
    slowleak(dir.path(), "explain 1 --out {}/none").exits(1).says(&["/none: "]);
    slowleak(dir.path(), "evaluate --out {}/none --truth {}/truth.json").exits(1).says(&["/none: "]);
    slowleak(dir.path(), "generate {}/none.toml --out {}/made").exits(2).says(&["none.toml"]);
    fs::write(dir.path().join("file"), "").unwrap();
    slowleak(dir.path(), "scan {}/logs --out {}/file").exits(1).says(&["/file: ", "not a folder"]);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_rejected_file_row_or_value_is_3() {
    let dir = logs();
    fs::write(dir.path().join("logs/broken.parquet"), "not Parquet at all").unwrap();
    let ran = slowleak(dir.path(), "scan {}/logs --out {}/out").exits(3);
    ran.says(&["warning: 1 file rejected", "broken.parquet", "coverage.json"]);
    fs::remove_file(dir.path().join("logs/broken.parquet")).unwrap();

    write(
        &dir.path().join("logs/nulls.parquet"),
        vec![("time", times([Some(START), None])), ("key", texts([Some("k"), Some("k")]))],
    );
    slowleak(dir.path(), "scan {}/logs --out {}/out")
        .exits(3)
        .says(&["1 row rejected", "1 row: time is null"]);
    fs::remove_file(dir.path().join("logs/nulls.parquet")).unwrap();

    write(
        &dir.path().join("logs/negative.parquet"),
        vec![("time", times([Some(START)])), ("key", texts([Some("k")])), ("rows", integers([Some(-1)]))],
    );
    slowleak(dir.path(), "scan {}/logs --out {}/out")
        .exits(3)
        .says(&["1 value rejected", "1 value: rows or bytes below zero"]);
}

#[test]
fn strict_makes_any_rejection_a_failure_that_writes_nothing() {
    let dir = logs();
    fs::write(dir.path().join("logs/broken.parquet"), "PAR1").unwrap();
    for command in ["scan", "rollup"] {
        let ran = slowleak(dir.path(), &format!("{command} {{}}/logs --out {{}}/out --strict"));
        ran.exits(1).says(&["--strict", "broken.parquet"]);
    }
    assert!(!dir.path().join("out").exists());
    slowleak(dir.path(), "scan {}/logs/day-0.parquet --out {}/out --strict").exits(0);
}

#[test]
fn a_finding_at_fail_on_is_10_and_wins_over_3() {
    let dir = logs();
    // A rule's finding is certain: the key's owner left before the log begins.
    fs::write(dir.path().join("keys.csv"), "key,owner\nkey-1,kim\n").unwrap();
    fs::write(dir.path().join("people.csv"), "user,left_at\nkim,2024-12-01\n").unwrap();
    let base = "scan {}/logs --out {}/out --keys {}/keys.csv --people {}/people.csv";
    slowleak(dir.path(), base).exits(0);
    for severity in ["medium", "MEDIUM", "High"] {
        slowleak(dir.path(), &format!("{base} --fail-on {severity}")).exits(10);
    }
    slowleak(dir.path(), "evaluate --out {}/out --truth {}/none.json --min-severity HIGH").exits(1);
    fs::write(dir.path().join("logs/broken.parquet"), "not Parquet").unwrap();
    slowleak(dir.path(), base).exits(3);
    slowleak(dir.path(), &format!("{base} --fail-on medium")).exits(10);
    slowleak(
        dir.path(),
        "detect {}/out/rollup --out {}/again --keys {}/keys.csv --people {}/people.csv --fail-on high",
    )
    .exits(10);
}

#[test]
fn a_time_range_without_records_is_a_failure_in_words() {
    let dir = logs();
    let ran = slowleak(dir.path(), "scan {}/logs --out {}/out --since 2030-01-01");
    ran.exits(1).says(&["no record in the time range", "--since"]);
    slowleak(dir.path(), "scan {}/logs --out {}/out --since 2025-01-02 --until 2025-01-03").exits(0);
    plain(&dir.path().join("late/a.parquet"), START + 400 * DAY, 10);
    slowleak(dir.path(), "scan {}/late {}/logs --out {}/out --since 2026-01-01").exits(0);
}
