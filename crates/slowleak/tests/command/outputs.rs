//! What a run leaves under `--out`, and what it leaves alone.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use crate::support::{START, command, contents, integers, logs, same, slowleak, texts, times, write};

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
fn a_result_that_slowleak_did_not_write_is_not_replaced() {
    let dir = logs();
    slowleak(dir.path(), "rollup {}/logs --out {}/counted").exits(0);
    for name in
        ["findings.parquet", "findings.csv", "coverage.json", "report.html", "rollup/key@1h/x.parquet"]
    {
        let foreign = dir.path().join("out").join(name);
        fs::create_dir_all(foreign.parent().unwrap()).unwrap();
        // A table of another program, not just any bytes.
        fs::copy(dir.path().join("logs/day-0.parquet"), &foreign).unwrap();
        let before = contents(&dir.path().join("out"));
        for command in ["scan {}/logs", "rollup {}/logs", "demo --rows 50000", "detect {}/counted"] {
            if command.starts_with("detect") && name.starts_with("rollup") {
                continue;
            }
            slowleak(dir.path(), &format!("{command} --out {{}}/out")).exits(1).says(&[
                foreign.to_str().unwrap(),
                "slowleak did not write it",
                "move it away",
            ]);
        }
        assert!(contents(&dir.path().join("out")) == before, "{name}");
        fs::remove_dir_all(dir.path().join("out")).unwrap();
    }
    // A rollup made by hand is judged in place, and stays.
    let by_hand = dir.path().join("out/rollup/key@1d/mine.parquet");
    fs::create_dir_all(by_hand.parent().unwrap()).unwrap();
    let columns = vec![
        ("entity", texts([Some("a")])),
        ("window", times([Some(START)])),
        ("events", integers([Some(1)])),
    ];
    write(&by_hand, columns);
    for _ in 0..2 {
        slowleak(dir.path(), "detect {}/out/rollup --out {}/out").exits(0);
    }
    slowleak(dir.path(), "scan {}/logs --out {}/out").exits(1).says(&["mine.parquet"]);
}

#[test]
fn a_column_that_only_some_files_have_is_told() {
    let dir = logs();
    let lacking = |name: &str, key: bool| {
        let mut columns = vec![("time", times([Some(START)])), ("user", texts([Some("user-1")]))];
        if key {
            columns.push(("key", texts([Some("key-1")])));
        }
        write(&dir.path().join("logs").join(name), columns);
    };
    lacking("lean.parquet", true);
    lacking("leaner.parquet", false);
    let ran = slowleak(dir.path(), "scan {}/logs --out {}/out").exits(0);
    let account = fs::read_to_string(dir.path().join("out/coverage.json")).unwrap();
    let columns = &serde_json::from_str::<serde_json::Value>(&account).unwrap()["columns"];
    assert_eq!(columns["partial"]["key"], 1, "{columns}");
    assert_eq!(columns["partial"]["bytes"], 2, "{columns}");
    assert!(columns["partial"].get("time").is_none(), "{columns}");
    let page = fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    for text in [ran.stdout.split_whitespace().collect::<Vec<_>>().join(" "), page] {
        assert!(text.contains("key (1 of 5 files lack it)"), "{text}");
    }
    // Detection over the stored rollup still knows.
    let answer = slowleak(dir.path(), "detect {}/out --out {}/out --format json").exits(0).json();
    assert_eq!(&answer["coverage"]["columns"], columns);
    // A file outside the time range lacks nothing.
    let flags = "--until 2025-01-01T00:00:00.5 --format json";
    let answer = slowleak(dir.path(), &format!("scan {{}}/logs --out {{}}/early {flags}")).exits(0).json();
    assert_eq!(answer["coverage"]["columns"]["partial"]["bytes"], 2, "{answer:#}");
    let flags = "--since 2025-01-02 --format json";
    let answer = slowleak(dir.path(), &format!("scan {{}}/logs --out {{}}/late {flags}")).exits(0).json();
    assert_eq!(answer["coverage"]["columns"]["partial"], serde_json::json!({}), "{answer:#}");
}

#[test]
fn registry_rows_that_the_log_does_not_know_are_told() {
    let dir = logs();
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    file("keys.csv", "key,owner\nkey-1,kim\nKEY-2,lee\n");
    file("people.csv", "user,left_at\nkim,\nlee,2024-12-01\nuser-1,\n");
    let base = "scan {}/logs --out {}/out --format json";
    let registry = |flags: &str| {
        let ran = slowleak(dir.path(), &format!("{base} {flags}")).exits(0);
        (ran.json()["coverage"]["registry"].clone(), ran.stderr)
    };
    let (counts, said) = registry("--keys {}/keys.csv --people {}/people.csv --quiet");
    let keys = serde_json::json!({"listed": 2, "in_log": 1});
    let people = serde_json::json!({"listed": 3, "in_log": 2});
    assert_eq!(counts, serde_json::json!({"keys": keys, "people": people}));
    for words in
        ["keys.csv: 1 of 2 keys are not in the log, \"KEY-2\"", "people.csv: 1 of 3 people", "\"lee\""]
    {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let page = fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    assert!(page.contains("1 of 2 keys not in the log"), "{page}");

    let (_, said) = registry("--people {}/people.csv");
    assert!(said.contains("people.csv: ") && said.contains("add --keys"), "{said}");
    let (_, said) = registry("--keys {}/keys.csv --view user@1h:events");
    assert!(said.contains("--view key@1h:events"), "{said}");

    file("keys.csv", "key,owner\nkey-1,kim\n");
    let (counts, said) = registry("--keys {}/keys.csv");
    assert_eq!((&counts["keys"]["in_log"], said.as_str()), (&1.into(), ""));
    let (counts, said) = registry("");
    assert_eq!((counts, said.as_str()), (serde_json::Value::Null, ""));
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

#[test]
fn the_profile_goes_to_standard_error_and_the_decoder_nowhere() {
    let dir = logs();
    slowleak(dir.path(), "scan {}/logs --out {}/plain --quiet").exits(0);
    let ran = slowleak(dir.path(), "scan {}/logs --out {}/told --quiet --profile --decoder arrow").exits(0);
    ran.says(&["read names to ids", "count into cells", "encode rollup", "append to files", "p99"]);
    same(&dir.path().join("plain/rollup"), &dir.path().join("told/rollup"));
}
