//! `[[suppress]]` in the settings file: what it hides, what it says, and what it may not do.

use std::fs;
use std::path::Path;

use crate::support::{contents, logs, slowleak};

const SCAN: &str = "scan {}/logs --out {}/out --keys {}/keys.csv --config {}/slowleak.toml";

/// Two keys that were used after they were revoked.
fn leaky() -> tempfile::TempDir {
    let dir = logs();
    fs::write(dir.path().join("keys.csv"), "key,revoked_at\nkey-1,2025-01-01\nkey-2,2025-01-01\n").unwrap();
    dir
}

fn settings(dir: &Path, suppressions: &[(&str, &str)]) {
    let one = |(pattern, expires): &(&str, &str)| {
        format!(
            "[[suppress]]\n{pattern}\nreason = \"a test of ours\"\nowner = \"red-team\"\nexpires = {expires}\n\n"
        )
    };
    fs::write(dir.join("slowleak.toml"), suppressions.iter().map(one).collect::<String>()).unwrap();
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join("out").join(name)).unwrap()
}

#[test]
fn suppressed_findings_are_hidden_counted_and_shown_on_request() {
    let dir = leaky();
    settings(
        dir.path(),
        &[("key = \"key-1\"\ndetector = \"key_after_*\"", "2025-02-01"), ("key = \"none-*\"", "2025-02-01")],
    );
    let ran = slowleak(dir.path(), &format!("{SCAN} --fail-on high")).exits(10);
    assert_eq!(ran.stderr, "");
    for words in [
        "1 finding suppressed by the settings. Show them with --show-suppressed.",
        "1 finding by key = \"key-1\", detector = \"key_after_*\" (red-team, until 1 Feb 2025: a test of ours).",
        "Matched nothing: key = \"none-*\" (red-team",
    ] {
        let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    assert!(!ran.stdout.contains("key key-1") && ran.stdout.contains("key key-2"), "{}", ran.stdout);
    assert!(!read(dir.path(), "findings.csv").contains("\"key-1\""));
    let coverage: serde_json::Value = serde_json::from_str(&read(dir.path(), "coverage.json")).unwrap();
    assert_eq!(coverage["suppressed"]["findings"], 1);
    assert_eq!(coverage["suppressed"]["by"][0]["patterns"]["key"], "key-1");
    assert_eq!(coverage["suppressed"]["by"][1]["findings"], 0);
    let metrics = read(dir.path(), "metrics.prom");
    assert!(metrics.contains("slowleak_findings_suppressed 1\n"), "{metrics}");
    assert!(metrics.contains("slowleak_suppressions{state=\"unused\"} 1\n"), "{metrics}");
    assert!(read(dir.path(), "report.html").contains("<h2>Suppressed</h2>"));

    let shown = slowleak(dir.path(), &format!("{SCAN} --show-suppressed --format json")).exits(0).json();
    let shown = shown["findings"].as_array().unwrap();
    assert_eq!(shown.iter().map(|f| f["key"].as_str().unwrap()).collect::<Vec<_>>(), ["key-2", "key-1"]);
    assert!(shown[0]["suppressed"].is_null());
    assert_eq!(shown[1]["suppressed"], "a test of ours (red-team, until 2025-02-01)");
    let explained = slowleak(dir.path(), "explain 2 --out {}/out").exits(0).stdout;
    assert!(explained.contains("Why it is suppressed") && explained.contains("red-team"), "{explained}");
    let event = read(dir.path(), "findings.jsonl");
    assert!(event.lines().nth(1).unwrap().contains("\"status\":\"Suppressed\""), "{event}");
    assert!(read(dir.path(), "metrics.prom").contains("slowleak_findings{severity=\"high\"} 1\n"));
}

#[test]
fn a_run_whose_findings_are_all_suppressed_raises_no_alarm() {
    let dir = leaky();
    settings(dir.path(), &[("entity = \"key-*\"", "2025-02-01")]);
    let ran = slowleak(dir.path(), &format!("{SCAN} --fail-on info")).exits(0);
    assert!(
        ran.stdout.contains("Nothing to report: every finding is suppressed")
            && ran.stdout.contains("2 findings suppressed"),
        "{}",
        ran.stdout
    );
    let ran = slowleak(dir.path(), &format!("{SCAN} --fail-on info --show-suppressed")).exits(0);
    assert!(ran.stdout.contains("suppressed: a test of ours (red-team"), "{}", ran.stdout);
    slowleak(
        dir.path(),
        &format!(
            "{} --fail-on info",
            SCAN.replace("scan {}/logs", "detect {}/out").replace("{}/out --keys", "{}/again --keys")
        ),
    )
    .exits(0);
}

#[test]
fn an_end_before_that_of_the_data_ends_it_whatever_the_clock() {
    let dir = leaky();
    // The data ends on 2025-01-04 at 09:20, long ago; its last window at 10:00.
    settings(dir.path(), &[("key = \"key-1\"", "2025-01-04T10:00:00Z")]);
    slowleak(dir.path(), &format!("{SCAN} --fail-on high")).exits(10);
    assert!(!read(dir.path(), "findings.csv").contains("\"key-1\""));
    settings(dir.path(), &[("key = \"key-1\"", "2025-01-04T09:59:59Z")]);
    let ran = slowleak(dir.path(), SCAN).exits(0);
    assert!(read(dir.path(), "findings.csv").contains("\"key-1\""));
    ran.says(&[
        "warning: the suppression of key = \"key-1\" expired at 2025-01-04T09:59:59Z",
        "1 finding",
        "red-team",
    ]);
    assert!(read(dir.path(), "metrics.prom").contains("slowleak_suppressions{state=\"expired\"} 1\n"));
    let first = contents(&dir.path().join("out"));
    slowleak(dir.path(), &format!("{SCAN} --threads 3")).exits(0);
    assert!(contents(&dir.path().join("out")) == first);
}

#[test]
fn a_suppression_without_reason_owner_or_end_is_a_usage_error() {
    let dir = leaky();
    let whole = "[[suppress]]\nkey = \"key-1\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2025-02-01\n";
    for (line, words) in [
        ("reason", "needs a reason"),
        ("owner", "needs an owner"),
        ("expires", "needs an end"),
        ("key", "needs a pattern"),
    ] {
        let kept: Vec<&str> = whole.lines().filter(|kept| !kept.starts_with(line)).collect();
        fs::write(dir.path().join("slowleak.toml"), kept.join("\n")).unwrap();
        slowleak(dir.path(), SCAN).exits(2).says(&["slowleak.toml: line 1", words]);
    }
    assert!(!dir.path().join("out").exists());
}
