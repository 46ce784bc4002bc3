//! Same input, same bytes.

use std::fs;

use crate::support::{START, integers, logs, part, plain, same, slowleak, texts, times, write};

#[test]
fn threads_argument_order_and_io_leave_no_trace() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/a --threads 1").exits(0);
    for flags in [
        "{}/logs --threads 2",
        "{}/logs --threads 7 --io read",
        "{}/logs {}/logs/day-1.parquet --quiet",
        "{}/logs --format json",
    ] {
        slowleak(dir.path(), &format!("scan {flags} --out {{}}/b")).exits(0);
        if flags.starts_with("{}/logs {}") {
            // The report names the paths as they were typed; the figures are the same.
            for part in ["rollup", "findings.parquet", "evidence.parquet", "coverage.json"] {
                same_part(dir.path(), part);
            }
        } else {
            same(&dir.path().join("a"), &dir.path().join("b"));
        }
    }
    slowleak(dir.path(), "scan {}/logs/day-0.parquet {}/logs/day-1.parquet {}/logs/day-2.parquet --out {}/a")
        .exits(0);
    slowleak(dir.path(), "scan {}/logs/day-2.parquet {}/logs/day-0.parquet {}/logs/day-1.parquet --out {}/b")
        .exits(0);
    same(&dir.path().join("a"), &dir.path().join("b"));
}

fn same_part(dir: &std::path::Path, part: &str) {
    let (a, b) = (dir.join("a").join(part), dir.join("b").join(part));
    if a.is_dir() {
        same(&a, &b);
    } else {
        assert!(fs::read(&a).unwrap() == fs::read(&b).unwrap(), "{part} differs");
    }
}

#[test]
fn how_records_are_cut_into_files_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    plain(&dir.path().join("whole/all.parquet"), START, 4000);
    for (name, records) in [("z", 0..1500), ("a", 1500..1501), ("m/n", 1501..4000)] {
        part(&dir.path().join(format!("parts/{name}.parquet")), START, records);
    }
    for log in ["whole", "parts"] {
        slowleak(dir.path(), &format!("rollup {{}}/{log} --out {{}}/counted-{log}")).exits(0);
    }
    same(&dir.path().join("counted-whole/rollup"), &dir.path().join("counted-parts/rollup"));
}

#[test]
fn a_scan_is_a_rollup_and_a_detection() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/scan").exits(0);
    slowleak(dir.path(), "rollup {}/logs --out {}/counted").exits(0);
    same(&dir.path().join("scan/rollup"), &dir.path().join("counted/rollup"));
    for (rollup, out) in [("counted/rollup", "a"), ("counted", "b")] {
        slowleak(dir.path(), &format!("detect {{}}/{rollup} --out {{}}/{out}")).exits(0);
        for name in
            ["findings.parquet", "findings.jsonl", "evidence.parquet", "coverage.json", "metrics.prom"]
        {
            let read = |folder: &str| fs::read(dir.path().join(folder).join(name)).unwrap();
            assert!(read("scan") == read(out), "{name} differs");
        }
    }
}

#[test]
fn detection_can_be_rerun_in_place() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/out").exits(0);
    let before = fs::read(dir.path().join("out/findings.parquet")).unwrap();
    slowleak(dir.path(), "detect {}/out --out {}/out").exits(0);
    assert!(fs::read(dir.path().join("out/findings.parquet")).unwrap() == before);
    assert!(dir.path().join("out/rollup/key@1h").is_dir());
    slowleak(dir.path(), "rollup {}/logs --out {}/other").exits(0);
    slowleak(dir.path(), "detect {}/other --out {}/out").exits(1).says(&["rollup of another run"]);
}

#[test]
fn the_records_before_and_after_an_instant_are_all() {
    let dir = logs();
    let cut = "2025-01-02";
    let rows = |flags: &str| {
        let ran =
            slowleak(dir.path(), &format!("scan {{}}/logs --out {{}}/part --format json {flags}")).exits(0);
        ran.json()["coverage"]["rows"]["read"].as_u64().unwrap()
    };
    let (before, after) = (rows(&format!("--until {cut}")), rows(&format!("--since {cut}")));
    assert_eq!(before + after, 6000);
    assert_eq!(before, 1440);
}

/// Every record by another user: 300,000 names are more than 128 MiB hold.
#[test]
fn cells_that_exceed_the_memory_are_set_aside_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = 0..300_000_i64;
    let users: Vec<String> = numbers.clone().map(|n| format!("user-{:06}", n * 7919 % 300_000)).collect();
    write(
        &dir.path().join("logs/many-users.parquet"),
        vec![
            ("time", times(numbers.clone().map(|n| Some(START + n * 1_000_000)))),
            ("user", texts(users.iter().map(|user| Some(user.as_str())))),
            ("object", texts(numbers.clone().map(|n| Some(["orders", "accounts"][(n % 2) as usize])))),
            ("subject", integers(numbers.map(|n| Some(n % 1009)))),
        ],
    );
    let whole = slowleak(dir.path(), "scan {}/logs --out {}/whole --profile").exits(0);
    assert!(!whole.stderr.contains("set cells aside"), "{}", whole.stderr);
    slowleak(dir.path(), "scan {}/logs --out {}/cut --memory 128MiB --threads 2 --profile")
        .exits(0)
        .says(&["set cells aside"]);
    same(&dir.path().join("whole"), &dir.path().join("cut"));
}
