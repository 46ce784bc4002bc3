//! The demo, small: it must find its leak.

use std::fs;

use crate::support::slowleak;

#[test]
fn the_demo_finds_its_leak_and_replaces_itself_only() {
    let dir = tempfile::tempdir().unwrap();
    let run = "demo --out {}/demo --rows 1500000 --format json";
    let answer = slowleak(dir.path(), run).exits(0).json();
    let leak = &answer["quality"]["leaks"][0];
    assert_eq!(leak["found"]["rank"], 1, "{leak:#}");
    assert!(leak["found"]["iou"].as_f64().unwrap() > 0.95, "{leak:#}");
    assert_eq!(answer["quality"]["recall"], 1.0);
    assert_eq!(answer["quality"]["precision"], 1.0, "{:#}", answer["quality"]);

    let text = slowleak(dir.path(), "evaluate --out {}/demo --truth {}/demo/truth.json").exits(0).stdout;
    assert!(text.contains("FOUND") && text.contains("rank 1"), "{text}");
    let id = answer["findings"][0]["finding_id"].as_str().unwrap();
    let by_id = slowleak(dir.path(), &format!("explain {id} --out {{}}/demo")).exits(0).stdout;
    assert_eq!(slowleak(dir.path(), "explain 1 --out {}/demo").exits(0).stdout, by_id);
    slowleak(dir.path(), "explain zzz --out {}/demo").exits(1).says(&["zzz"]);

    fs::write(dir.path().join("demo/notes.txt"), "mine").unwrap();
    let before = fs::read(dir.path().join("demo/findings.parquet")).unwrap();
    slowleak(dir.path(), "scan {}/demo/logs --out {}/again").exits(0);
    assert!(fs::read(dir.path().join("again/findings.parquet")).unwrap() == before);
    slowleak(dir.path(), "demo --out {}/demo --rows 50000 --quiet").exits(0);
    assert!(dir.path().join("demo/notes.txt").exists());
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
