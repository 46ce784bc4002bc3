//! Rules of a key's life, from the files that a user hands in.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Columns, DAY, HOUR, Ran, START, integers, slowleak, texts, times, write};

/// One access: key, user, region, day, hour.
type Access = (&'static str, &'static str, &'static str, i64, i64);

/// `logs/a.parquet` of these accesses, each to another account.
fn log(accesses: &[Access]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = |of: fn(&Access) -> &'static str| texts(accesses.iter().map(|access| Some(of(access))));
    let columns: Columns = vec![
        ("time", times(accesses.iter().map(|(.., day, hour)| Some(START + day * DAY + hour * HOUR)))),
        ("key", text(|access| access.0)),
        ("user", text(|access| access.1)),
        ("region", text(|access| access.2)),
        ("object", text(|_| "cards")),
        ("subject", integers((0..accesses.len() as i64).map(Some))),
    ];
    write(&dir.path().join("logs/a.parquet"), columns);
    dir
}

fn file(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

/// (detector, severity, entity, start, events) of each finding, by rank.
fn findings(ran: &Ran) -> Vec<(String, String, String, String, f64)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let json = ran.json();
    let each = json["findings"].as_array().unwrap().iter();
    let one = |finding: &Value| {
        assert!(finding["expected_false"].is_null(), "a rule states a fact");
        let [detector, severity, entity, start] =
            ["detector", "severity", "entity", "start"].map(|name| text(finding, name));
        (detector, severity, entity, start, finding["observed"].as_f64().unwrap())
    };
    each.map(one).collect()
}

fn found(
    detector: &str,
    severity: &str,
    entity: &str,
    start: &str,
    events: f64,
) -> (String, String, String, String, f64) {
    (detector.to_owned(), severity.to_owned(), entity.to_owned(), start.to_owned(), events)
}

#[test]
fn regions_are_counted_where_the_registry_asks_for_it() {
    let accesses = [
        ("k1", "kim", "KR", 0, 1),
        ("k1", "kim", "cn", 1, 2),
        ("k1", "kim", "cn", 1, 5),
        ("k2", "lee", "cn", 2, 3),
    ];
    let dir = log(&accesses);
    file(dir.path(), "keys.csv", "key,regions\nk1,kr;jp\nk2,\n");
    let scan = "scan {}/logs --out {}/out --keys {}/keys.csv --format json";
    let ran = slowleak(dir.path(), scan).exits(0);
    assert_eq!(ran.stderr, "");
    let wanted = [found("key_outside_region", "high", "k1 + cn", "2025-01-02T02:00:00Z", 2.0)];
    assert_eq!(findings(&ran), wanted);
    assert_eq!(ran.json()["findings"][0]["subjects"], 2.0);
    assert!(dir.path().join("out/rollup/key+region@1h").is_dir());
    let again = slowleak(dir.path(), "detect {}/out/rollup --out {}/again --keys {}/keys.csv --format json");
    assert_eq!(findings(&again.exits(0)), wanted);

    let explained = slowleak(dir.path(), "explain 1 --out {}/out").exits(0).stdout;
    for words in [
        "key k1 from region cn",
        "was used from a region that it is not allowed",
        "kr, jp",
        "VPN",
        "1. Revoke",
    ] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }
    let event = fs::read_to_string(dir.path().join("out/findings.jsonl")).unwrap();
    assert!(event.contains("Use of a credential outside its regions: key k1 from region cn"), "{event}");

    // Without such entries nobody pays for the view; views that the user chose are not added to.
    file(dir.path(), "any.csv", "key,regions\nk1,\n");
    slowleak(dir.path(), "scan {}/logs --out {}/any --keys {}/any.csv").exits(0);
    assert!(!dir.path().join("any/rollup/key+region@1h").exists());
    slowleak(dir.path(), "scan {}/logs --out {}/any --keys {}/keys.csv --view key@1h:events")
        .exits(0)
        .says(&["keys.csv: no key is judged by the regions", "--view key+region@1h:events"]);
}

#[test]
fn use_without_issue_is_found_from_csv_and_parquet_alike() {
    let dir = log(&[
        ("k1", "kim", "kr", 1, 1),
        ("k1", "eve", "kr", 2, 2),
        ("forged", "kim", "kr", 3, 3),
        ("forged", "kim", "kr", 3, 4),
        ("early", "lee", "kr", 4, 5),
        ("early", "lee", "kr", 6, 5),
    ]);
    let list = [("k1", "kim", 0), ("early", "lee", 5), ("elsewhere", "kim", 5)];
    let mut text = "key,issued_at,user\n".to_owned();
    for (key, user, day) in list {
        text.push_str(&format!("{key},2025-01-0{},{user}\n", day + 1));
    }
    file(dir.path(), "issued.csv", &text);
    write(
        &dir.path().join("issued.parquet"),
        vec![
            ("key", texts(list.iter().map(|(key, ..)| Some(*key)))),
            ("issued_at", times(list.iter().map(|(.., day)| Some(START + day * DAY)))),
            ("user", texts(list.iter().map(|(_, user, _)| Some(*user)))),
        ],
    );
    let mut results = Vec::new();
    for list in ["issued.csv", "issued.parquet"] {
        let ran = slowleak(
            dir.path(),
            &format!("scan {{}}/logs --out {{}}/out --issued {{}}/{list} --format json"),
        );
        let ran = ran.exits(0);
        assert_eq!(ran.stderr, "");
        let rule = "use_without_issue";
        let wanted = [
            found(rule, "high", "forged", "2025-01-04T03:00:00Z", 2.0),
            found(rule, "high", "early", "2025-01-05T05:00:00Z", 1.0),
            found(rule, "high", "k1 + eve", "2025-01-03T00:00:00Z", 1.0),
        ];
        assert_eq!(findings(&ran), wanted);
        results.push(fs::read(dir.path().join("out/findings.parquet")).unwrap());
    }
    assert_eq!(results[0], results[1]);
    let explained = slowleak(dir.path(), "explain 1 --out {}/out").exits(0).stdout;
    assert!(
        explained.contains("without having been issued") && explained.contains("was never issued may hold"),
        "{explained}"
    );
}

#[test]
fn a_list_of_issues_that_can_not_be_judged_by_says_so() {
    let dir = log(&[("k1", "kim", "kr", 1, 1), ("k2", "kim", "kr", 3, 1)]);
    let scan = "scan {}/logs --out {}/out --issued {}/issued.csv --format json";
    for (list, code, words) in [
        (
            "key,issued_at\nk1,2025-01-03\n",
            0,
            &["issued.csv: 1 of 2 keys in the log", "in use before it begins"][..],
        ),
        (
            "key,issued_at\nK1,2025-01-01\n",
            0,
            &["issued.csv: no key of the log is on the list", "written as the log"],
        ),
        ("key,issued_at\n", 1, &["issued.csv: nothing is listed"]),
        ("key,issued_at\nk1,2025-01-01\nk2,soon\n", 1, &["issued.csv: row 2", "soon"]),
        ("key,at\n", 1, &["issued.csv: no column \"issued_at\""]),
    ] {
        file(dir.path(), "issued.csv", list);
        slowleak(dir.path(), scan).exits(code).says(words);
    }
    file(dir.path(), "issued.csv", "key,issued_at\nk1,2025-01-01\n");
    slowleak(dir.path(), "scan {}/logs --out {}/out --issued {}/issued.csv --view user@1h:events")
        .exits(0)
        .says(&["issued.csv: nothing is judged by what was issued", "--view key@1h:events"]);
}

#[test]
fn dormant_stale_and_early_keys_are_found_as_configured() {
    // "busy" keeps the log going; "old" sleeps from day 1 to day 100.
    let mut accesses: Vec<Access> = (0..110).map(|day| ("busy", "kim", "kr", day, 9)).collect();
    accesses.extend([("old", "lee", "kr", 0, 8), ("old", "lee", "kr", 100, 7), ("new", "lee", "kr", 50, 6)]);
    let dir = log(&accesses);
    file(dir.path(), "keys.csv", "key,issued_at\nbusy,2024-12-01\nnew,2025-03-01\n");
    let scan = "scan {}/logs --out {}/out --keys {}/keys.csv --format json";
    let early = found("key_before_issue", "high", "new", "2025-02-20T06:00:00Z", 1.0);
    let ran = slowleak(dir.path(), scan).exits(0);
    assert_eq!(findings(&ran), std::slice::from_ref(&early));
    file(dir.path(), "slowleak.toml", "[detect]\ndormant_days = 90\nrotation_days = 60\n");
    let ran = slowleak(dir.path(), &format!("{scan} --config {{}}/slowleak.toml")).exits(0);
    let woken = found("dormant_key", "medium", "old", "2025-04-11T07:00:00Z", 1.0);
    let stale = found("stale_key", "low", "busy", "2025-01-30T09:00:00Z", 81.0);
    assert_eq!(findings(&ran), [early, woken, stale]);
    file(dir.path(), "slowleak.toml", "[detect]\ndormant_days = 0\n");
    slowleak(dir.path(), &format!("{scan} --config {{}}/slowleak.toml"))
        .exits(2)
        .says(&["slowleak.toml", "dormant_days"]);
}

#[test]
fn what_is_sensitive_is_worse() {
    let dir = log(&[("k1", "kim", "kr", 1, 1), ("k1", "kim", "kr", 2, 1)]);
    file(dir.path(), "keys.csv", "key,revoked_at\nk1,2025-01-01\n");
    file(dir.path(), "slowleak.toml", "[detect.sensitivity]\n\"card*\" = 500\n\"*\" = 0.1\n");
    let scan = "scan {}/logs --out {}/out --keys {}/keys.csv --format json";
    let severity = |ran: &Ran| findings(ran)[0].1.clone();
    assert_eq!(severity(&slowleak(dir.path(), scan).exits(0)), "high");
    let ran = slowleak(dir.path(), &format!("{scan} --config {{}}/slowleak.toml")).exits(0);
    assert_eq!(severity(&ran), "critical");
    let finding = &ran.json()["findings"][0];
    assert_eq!((finding["taken"].as_f64(), finding["sensitivity"].as_f64()), (Some(2.0), Some(500.0)));
    let explained = slowleak(dir.path(), "explain 1 --out {}/out").exits(0).stdout;
    assert!(explained.contains("weighed by sensitivity (500) as 1,000"), "{explained}");
    for (text, words) in [("\"card*\" = -1", "zero or more"), ("\"card[\" = 1", "is not a pattern")] {
        file(dir.path(), "slowleak.toml", &format!("[detect.sensitivity]\n{text}\n"));
        let ran = slowleak(dir.path(), &format!("{scan} --config {{}}/slowleak.toml"));
        ran.exits(2).says(&["slowleak.toml: line 1", words]);
    }
}
