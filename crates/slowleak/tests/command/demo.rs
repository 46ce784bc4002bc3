//! The demo: it judges itself, and replaces only what a demo made.

use std::fs;

use crate::support::slowleak;

#[test]
fn a_small_demo_finds_its_leak() {
    let dir = tempfile::tempdir().unwrap();
    let answer = slowleak(dir.path(), "demo --out {}/demo --rows 5000000 --format json").exits(0).json();
    let leak = &answer["quality"]["leaks"][0];
    assert_eq!(leak["found"]["rank"], 1, "{leak:#}");
    assert!(leak["found"]["iou"].as_f64().unwrap() >= 0.9, "{leak:#}");
    assert_eq!(answer["quality"]["precision"], 1.0, "{:#}", answer["quality"]);
    assert_eq!(answer["note"], serde_json::Value::Null);
}

#[test]
fn the_demo_judges_itself_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let answer = slowleak(dir.path(), "demo --out {}/demo --rows 300000 --format json").exits(0).json();
    assert_eq!(answer["coverage"]["rows"]["read"], 300_000);
    let evaluated = slowleak(dir.path(), "evaluate --out {}/demo --truth {}/demo/truth.json --format json");
    assert_eq!(evaluated.exits(0).json(), answer["quality"]);
    assert_eq!(answer["quality"]["leaks"].as_array().unwrap().len(), 1);

    // Scanning the demo's log by hand gives the demo's findings.
    slowleak(dir.path(), "scan {}/demo/logs --out {}/again").exits(0);
    let findings = |folder: &str| fs::read(dir.path().join(folder).join("findings.parquet")).unwrap();
    assert!(findings("demo") == findings("again"));

    fs::write(dir.path().join("demo/notes.txt"), "mine").unwrap();
    let text = slowleak(dir.path(), "demo --out {}/demo --rows 50000 --seed 3").exits(0).stdout;
    assert!(text.contains("50,000 records made") && text.contains("Recall"), "{text}");
    assert!(!text.contains(".partial-"), "{text}");
    assert!(dir.path().join("demo/notes.txt").exists());
    let generated = slowleak(dir.path(), "inspect {}/demo/logs --format json").exits(0).json();
    assert_eq!(generated["rows"], 50_000);
}

#[test]
fn a_log_too_small_for_its_leak_is_said_to_be_so_and_not_judged() {
    let dir = tempfile::tempdir().unwrap();
    let text = slowleak(dir.path(), "demo --out {}/demo --rows 2000").exits(0).stdout;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "A log of 2,000 records is too small to judge by: none of the leak fell into it";
    assert!(flat.contains(words) && flat.contains("2,000,000 records or more (--rows)"), "{text}");
    assert!(!flat.contains("every finding is false") && !flat.contains("Recall"), "{text}");
    let answer = slowleak(dir.path(), "demo --out {}/demo --rows 20000 --format json").exits(0).json();
    assert!(answer["note"].as_str().unwrap().contains("all of the leak is 2 accounts"), "{answer:#}");
}

#[test]
fn findings_are_explained_by_id_by_its_start_and_by_rank() {
    let dir = crate::support::logs();
    fs::write(dir.path().join("keys.csv"), "key,owner\nkey-1,kim\n").unwrap();
    fs::write(dir.path().join("people.csv"), "user,left_at\nkim,2024-12-01\n").unwrap();
    let scan = "scan {}/logs --out {}/out --keys {}/keys.csv --people {}/people.csv --format json";
    let answer = slowleak(dir.path(), scan).exits(0).json();
    let id = answer["findings"][0]["finding_id"].as_str().unwrap();
    let explain = |id: &str| slowleak(dir.path(), &format!("explain {id} --out {{}}/out")).exits(0).stdout;
    let by_id = explain(id);
    assert!(by_id.contains("key-1") && by_id.contains(id), "{by_id}");
    assert_eq!(explain("1"), by_id);
    assert_eq!(explain(&id[..id.len() - 1]), by_id);
    slowleak(dir.path(), "explain zzz --out {}/out").exits(1).says(&["/out: ", "zzz", "ranks go from 1"]);
    slowleak(dir.path(), "explain 99 --out {}/out").exits(1);

    // Against a truth: found, and with its leak elsewhere, false.
    let truth = |key: &str| {
        let leak = format!(
            r#"{{"leaks":[{{"scenario":"s","key":"{key}","dimension":"key","entity":"{key}",
            "start":"2025-01-01T00:00:00Z","end":"2025-01-04T00:00:00Z","subjects":5}}]}}"#
        );
        fs::write(dir.path().join("truth.json"), leak).unwrap();
        slowleak(dir.path(), "evaluate --out {}/out --truth {}/truth.json").exits(0).stdout
    };
    let found = truth("key-1");
    assert!(found.contains("FOUND") && found.contains("Recall 1.000, precision 1.000"), "{found}");
    let missed = truth("key-9");
    assert!(missed.contains("MISSED") && missed.contains("False findings: 1"), "{missed}");
}

#[test]
fn a_log_that_no_demo_made_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("demo/logs")).unwrap();
    fs::write(dir.path().join("demo/logs/app.log"), "years of it").unwrap();
    slowleak(dir.path(), "demo --out {}/demo --rows 1000").exits(1).says(&["/demo/logs", "no demo made it"]);
    fs::write(dir.path().join("demo/truth.json"), "{\"leaks\":[]}").unwrap();
    slowleak(dir.path(), "demo --out {}/demo --rows 1000").exits(1);
    assert!(dir.path().join("demo/logs/app.log").exists());
}
