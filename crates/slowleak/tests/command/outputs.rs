//! What a run leaves under `--out`, and what it leaves alone.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use crate::support::{command, contents, logs, slowleak};

const CONTRACT: [&str; 6] = [
    "findings.parquet",
    "findings.jsonl",
    "evidence.parquet",
    "coverage.json",
    "report.html",
    "metrics.prom",
];

fn listing(folder: &std::path::Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_scan_writes_the_contract_and_nothing_hidden() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/deep/out").exits(0);
    let names = listing(&dir.path().join("deep/out"));
    for name in CONTRACT.iter().chain(&["rollup"]) {
        assert!(names.contains(&(*name).to_owned()), "{name} is not among {names:?}");
    }
    assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
    // A rollup run into the same folder takes every other result of the scan away, so no name is unknown.
    slowleak(dir.path(), "rollup {}/logs --out {}/deep/out").exits(0);
    assert_eq!(listing(&dir.path().join("deep/out")), ["coverage.json", "rollup"]);
}

#[test]
fn another_run_replaces_its_own_and_leaves_the_rest() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/out --view key@1h:events").exits(0);
    fs::write(dir.path().join("out/notes.txt"), "mine").unwrap();
    slowleak(dir.path(), "scan {}/logs --out {}/out --view user@1h:events").exits(0);
    assert_eq!(listing(&dir.path().join("out/rollup")), ["user@1h"]);
    assert_eq!(fs::read_to_string(dir.path().join("out/notes.txt")).unwrap(), "mine");
}

#[test]
fn a_failed_run_leaves_the_earlier_results_untouched() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/out").exits(0);
    let before = contents(&dir.path().join("out"));
    slowleak(dir.path(), "scan {}/logs --out {}/out --since 2040-01-01").exits(1);
    slowleak(dir.path(), "scan {}/logs --out {}/out --keys {}/none.csv").exits(1);
    assert!(contents(&dir.path().join("out")) == before);
}

#[test]
fn results_are_not_taken_for_logs() {
    let dir = logs();
    for out in ["logs", "logs/out"] {
        slowleak(dir.path(), &format!("scan {{}}/logs --out {{}}/{out}"))
            .exits(1)
            .says(&["--out lies in this folder of logs"]);
    }
    slowleak(dir.path(), "scan {}/logs --out {}/out").exits(0);
    slowleak(dir.path(), "scan {}/out/findings.parquet --out {}/out")
        .exits(1)
        .says(&["/out/", "result of an earlier run"]);
}

#[test]
fn a_foreign_rollup_folder_is_not_replaced() {
    let dir = logs();
    fs::create_dir_all(dir.path().join("out/rollup")).unwrap();
    fs::write(dir.path().join("out/rollup/thesis.txt"), "years").unwrap();
    slowleak(dir.path(), "scan {}/logs --out {}/out").exits(1).says(&["thesis.txt"]);
    assert!(dir.path().join("out/rollup/thesis.txt").exists());
}

#[test]
fn the_json_answer_has_findings_coverage_and_timings() {
    let dir = logs();
    let answer = slowleak(dir.path(), "scan {}/logs --out {}/out --format json --quiet").exits(0).json();
    assert_eq!(answer["coverage"]["rows"]["read"], 6000);
    assert_eq!(answer["coverage"]["time"]["start"], "2025-01-01T00:00:00Z");
    assert!(answer["findings"].is_array() && answer["seconds"].is_array());
}

#[test]
fn a_closed_pipe_is_silent() {
    let dir = logs();
    let mut child = command()
        .args(["inspect", "--format", "json"])
        .arg(dir.path().join("logs"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
