//! A log from which a file was deleted, and one from which records were taken.

use std::fs;
use std::path::Path;

use crate::nightly::lines;
use crate::support::{Columns, DAY, HOUR, START, slowleak, texts, times, write};

const DAYS: i64 = 60;
const LOST: i64 = 30;
const THINNED: i64 = 45;

/// A number that looks random (splitmix64).
fn scrambled(seed: i64) -> u64 {
    let mut x = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A file a day of 24 keys that never rest; on one day a third of the records of six hours is not there.
fn logs(dir: &Path) {
    for day in 0..DAYS {
        let mut accesses: Vec<(i64, String, String)> = Vec::new();
        for hour in 0..24 {
            for key in 0..24 {
                let slot = (day * 24 + hour) * 24 + key;
                for nth in 0..3 + scrambled(slot) as i64 % 3 + key % 4 {
                    let chance = scrambled(slot * 100 + nth + 7);
                    if day == THINNED && (9..15).contains(&hour) && chance.is_multiple_of(3) {
                        continue;
                    }
                    let time = START + day * DAY + hour * HOUR + (chance % HOUR as u64) as i64;
                    accesses.push((time, format!("k{key:02}"), format!("o{}", chance / 7 % 10)));
                }
            }
        }
        accesses.sort();
        let columns: Columns = vec![
            ("time", times(accesses.iter().map(|access| Some(access.0)))),
            ("key", texts(accesses.iter().map(|access| Some(access.1.as_str())))),
            ("object", texts(accesses.iter().map(|access| Some(access.2.as_str())))),
        ];
        write(&dir.join(format!("logs/day-{day:02}.parquet")), columns);
    }
}

#[test]
fn a_deleted_file_and_records_taken_out_are_findings_about_the_log() {
    let dir = tempfile::tempdir().unwrap();
    logs(dir.path());
    fs::remove_file(dir.path().join(format!("logs/day-{LOST}.parquet"))).unwrap();

    let ran = slowleak(dir.path(), "scan {}/logs --out {}/out").exits(0);
    let screen = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(screen.contains("LOG GAPS: 2 gaps"), "{screen}");
    assert!(screen.contains("no record at all for 24 hours") || screen.contains("records are missing"));

    let answer = slowleak(dir.path(), "scan {}/logs --out {}/out --format json").exits(0).json();
    let all = answer["findings"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|finding| finding["detector"] == "log_gap").collect();
    let times = |finding: &serde_json::Value| {
        [&finding["start"], &finding["end"]].map(|time| time.as_str().unwrap_or_default().to_owned())
    };
    let mut spans: Vec<[String; 2]> = found.iter().map(|finding| times(finding)).collect();
    spans.sort();
    let expected =
        [["2025-01-31T00:00:00Z", "2025-02-01T00:00:00Z"], ["2025-02-15T09:00:00Z", "2025-02-15T15:00:00Z"]];
    assert_eq!(spans, expected, "{answer}");
    for finding in &found {
        assert_eq!(finding["dimension"], "log");
        assert_eq!(finding["severity"], "medium", "{finding}");
        assert!(finding["key"].is_null() && finding["user"].is_null());
    }

    let coverage: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("out/coverage.json")).unwrap()).unwrap();
    assert_eq!(coverage["gaps"][0]["hours"], 24);
    let lost: Vec<i64> =
        coverage["thinned"].as_array().unwrap().iter().filter_map(|one| one["hours"].as_i64()).collect();
    assert_eq!(lost.iter().sum::<i64>(), 30, "{coverage}");

    let id = found[0]["finding_id"].as_str().unwrap();
    let explained = slowleak(dir.path(), &format!("explain {id} --out {{}}/out")).exits(0).stdout;
    let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["the log", "missing", "backup", "An outage on record"] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }

    // Told from the rollup alone.
    slowleak(dir.path(), "detect {}/out/rollup --out {}/again --quiet").exits(0);
    let of = |run: &str| fs::read(dir.path().join(run).join("findings.jsonl")).unwrap();
    assert_eq!(of("again"), of("out"));
    slowleak(dir.path(), "scan {}/logs --out {}/bad --view log@1h:events").exits(2).says(&["log"]);
}

#[test]
fn a_whole_log_has_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    logs(dir.path());
    let answer =
        slowleak(dir.path(), "scan {}/logs --out {}/out --format json --until 2025-02-15").exits(0).json();
    let all = answer["findings"].as_array().unwrap();
    assert!(all.iter().all(|finding| finding["detector"] != "log_gap"), "{answer}");
}

/// (status, severity, start) of what is known of gaps after a night, and the exit code.
fn night(dir: &Path) -> Vec<(String, String, String)> {
    let run = "nightly {}/logs --state {}/state --quiet --fail-on medium";
    let told = slowleak(dir, run);
    let leaks = lines(&dir.join("state/out/leaks.jsonl"));
    let text = |leak: &serde_json::Value, name: &str| leak[name].as_str().unwrap_or_default().to_owned();
    let gaps = lines(&dir.join("state/out/findings.jsonl"));
    let open = gaps.iter().filter(|one| one["evidences"][0]["data"]["detector"] == "log_gap").count();
    assert_eq!(told.code, if open > 0 { 10 } else { 0 }, "{gaps:?} {}", told.stderr);
    leaks.iter().map(|leak| (text(leak, "status"), text(leak, "severity"), text(leak, "start"))).collect()
}

#[test]
fn a_day_that_never_arrives_is_told_the_next_night_and_withdrawn_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    logs(dir.path());
    let file = |folder: &str, day: i64| dir.path().join(format!("{folder}/day-{day:02}.parquet"));
    fs::create_dir(dir.path().join("later")).unwrap();
    let move_to = |from: &str, to: &str, day: i64| fs::rename(file(from, day), file(to, day)).unwrap();
    (LOST..DAYS).for_each(|day| move_to("logs", "later", day));

    assert_eq!(night(dir.path()), []);
    move_to("later", "logs", LOST + 1);
    let told = |status: &str| (status.to_owned(), "medium".to_owned(), "2025-01-31T00:00:00Z".to_owned());
    assert_eq!(night(dir.path()), [told("new")]);
    let metrics = fs::read_to_string(dir.path().join("state/out/metrics.prom")).unwrap();
    assert!(metrics.contains("slowleak_findings{severity=\"medium\"} 1"), "{metrics}");
    let coverage: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("state/out/coverage.json")).unwrap()).unwrap();
    assert_eq!((&coverage["gaps"][0]["hours"], &coverage["thinned"][0]["hours"]), (&24.into(), &24.into()));

    move_to("later", "logs", LOST);
    assert_eq!(night(dir.path()), [told("withdrawn")]);
    let metrics = fs::read_to_string(dir.path().join("state/out/metrics.prom")).unwrap();
    assert!(metrics.contains("slowleak_findings{severity=\"medium\"} 0"), "{metrics}");
}
