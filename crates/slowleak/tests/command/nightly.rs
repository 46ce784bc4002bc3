//! `slowleak nightly`, night after night.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Instant, SystemTime};

use crate::support::{DAY, START, command, contents, plain, ran, slowleak};

/// Results that are those of one scan, byte for byte. (The page and the metrics also tell of the run itself.)
const OF_A_SCAN: [&str; 7] = [
    "findings.parquet",
    "findings.jsonl",
    "findings.csv",
    "evidence.parquet",
    "timeline.parquet",
    "shares.parquet",
    "coverage.json",
];

/// A file a day, of six weeks; from day 30 on one key reads far more than before.
pub(crate) fn day_of_log(dir: &Path, day: i64) {
    let path = dir.join(format!("logs/day-{day:02}.parquet"));
    let start = START + day * DAY;
    let mut records: Vec<(i64, String, i64)> =
        (0..600).map(|n| (n * 140, format!("key-{}", n % 12), n)).collect();
    if day >= 30 {
        records.extend((0..600).map(|n| (n * 140 + 7, "key-3".to_owned(), 5000 + n + day * 600)));
    }
    use crate::support::{integers, texts, times, write};
    write(
        &path,
        vec![
            ("time", times(records.iter().map(|(second, ..)| Some(start + second * 1_000_000)))),
            ("key", texts(records.iter().map(|(_, key, _)| Some(key.as_str())))),
            (
                "user",
                texts(
                    records
                        .iter()
                        .map(|(_, key, _)| Some(if key.as_str() < "key-6" { "ada" } else { "bob" })),
                ),
            ),
            (
                "object",
                texts(records.iter().map(|(_, _, n)| Some(if n % 3 == 0 { "accounts" } else { "orders" }))),
            ),
            ("subject", integers(records.iter().map(|(.., n)| Some(n * 7919 % 40_009)))),
        ],
    );
}

/// The owner of the key left on the day before: every use from day 30 on is misuse, which one night tells.
pub(crate) const KNOWN: &str = "--keys {}/keys.csv --people {}/people.csv";

pub(crate) fn registry(dir: &Path) {
    fs::write(dir.join("keys.csv"), "key,owner\nkey-3,eve\n").unwrap();
    fs::write(dir.join("people.csv"), "user,left_at\neve,2025-01-31\n").unwrap();
}

#[track_caller]
fn same_as_a_scan(dir: &Path) {
    let known = if dir.join("keys.csv").exists() { KNOWN } else { "" };
    slowleak(dir, &format!("scan {{}}/logs --out {{}}/scan --quiet {known}")).exits(0);
    for name in OF_A_SCAN {
        let read = |folder: &str| fs::read(dir.join(folder).join(name)).unwrap();
        assert!(read("state/out") == read("scan"), "{name} differs");
    }
}

pub(crate) fn lines(path: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// (id, activity, status) of what a night announced.
fn changes(dir: &Path) -> Vec<(String, i64, String)> {
    let told = lines(&dir.join("state/out/changes.jsonl"));
    let of = |event: &serde_json::Value| {
        assert_eq!(event["class_uid"], 2004);
        assert_eq!(event["type_uid"], 200_400 + event["activity_id"].as_i64().unwrap());
        let status = event["unmapped"]["slowleak"]["status"].as_str().unwrap().to_owned();
        (
            event["finding_info"]["uid"].as_str().unwrap().to_owned(),
            event["activity_id"].as_i64().unwrap(),
            status,
        )
    };
    told.iter().map(of).collect()
}

#[test]
fn a_leak_is_one_finding_and_not_one_a_night() {
    let dir = tempfile::tempdir().unwrap();
    registry(dir.path());
    let mut told = Vec::new();
    for day in 0..42 {
        day_of_log(dir.path(), day);
        if day < 28 {
            continue;
        }
        slowleak(dir.path(), &format!("nightly {{}}/logs --state {{}}/state --quiet {KNOWN}")).exits(0);
        told.extend(changes(dir.path()).into_iter().map(|(id, _, status)| (day, id, status)));
    }
    same_as_a_scan(dir.path());
    let findings = lines(&dir.path().join("state/out/findings.jsonl"));
    assert!(!findings.is_empty(), "the leak is seen: {told:?}");
    let ids: std::collections::BTreeSet<&String> = told.iter().map(|(_, id, _)| id).collect();
    for id in &ids {
        let of_id: Vec<&str> =
            told.iter().filter(|(_, of, _)| of == *id).map(|(.., status)| status.as_str()).collect();
        assert_eq!(of_id[0], "new", "{told:?}");
        assert!(of_id.len() <= 5, "news is not told every night: {told:?}");
    }
    // Whoever was told of an id can ask for it.
    let first = &told[0].1;
    // What was announced and is no finding any more is told of, too.
    let path = dir.path().join("state/out/leaks.jsonl");
    let gone = r#"{"id":"SL-GONE","finding_id":"SL-GONE","status":"withdrawn","severity":"high","summary":"key old: did much"}"#;
    let leaks = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{leaks}{gone}\n")).unwrap();
    let told = slowleak(dir.path(), "explain SL-GONE --out {}/state/out").exits(0);
    assert!(
        told.stdout.contains("withdrawn") && told.stdout.contains("key old: did much"),
        "{}",
        told.stdout
    );
    fs::write(&path, leaks).unwrap();
    let said = slowleak(dir.path(), &format!("explain {first} --out {{}}/state/out")).exits(0);
    assert!(said.stdout.contains("key-3"), "{}", said.stdout);
}

#[test]
fn nights_in_any_rhythm_are_one_scan() {
    // Daily, weekly, out of order, two at once, with gaps.
    for (rhythm, nights) in [
        ("weekly", (0..6).map(|week| (week * 7..week * 7 + 7).collect()).collect::<Vec<Vec<i64>>>()),
        ("backwards", vec![(21..42).collect(), (7..21).rev().collect(), (0..7).collect()]),
        ("alternately", vec![(0..42).step_by(2).collect(), (1..42).step_by(2).collect()]),
        ("at once", vec![(0..42).collect()]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        registry(dir.path());
        for days in nights {
            days.iter().for_each(|day| day_of_log(dir.path(), *day));
            slowleak(dir.path(), &format!("nightly {{}}/logs --state {{}}/state --quiet {KNOWN}")).exits(0);
        }
        println!("{rhythm}");
        same_as_a_scan(dir.path());
    }
}

#[test]
fn a_night_without_news_changes_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    (0..3).for_each(|day| day_of_log(dir.path(), day));
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    // Whoever works with the results may leave something beside them.
    fs::write(dir.path().join("state/out/why.txt"), "because").unwrap();
    let before = contents(&dir.path().join("state"));
    let times = |name: &str| fs::metadata(dir.path().join("state").join(name)).unwrap().modified().unwrap();
    let (findings, state) = (times("out/findings.parquet"), times("state.json"));
    let again = slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    assert!(again.stdout.contains("Nothing new"), "{}", again.stdout);
    assert!(contents(&dir.path().join("state")) == before);
    assert_eq!((times("out/findings.parquet"), times("state.json")), (findings, state));
    // A result that somebody took away is made again.
    fs::remove_file(dir.path().join("state/out/report.html")).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    assert!(dir.path().join("state/out/report.html").exists());
}

#[test]
fn files_that_change_are_noticed_and_told() {
    let dir = tempfile::tempdir().unwrap();
    (0..5).for_each(|day| day_of_log(dir.path(), day));
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    // Replaced: the records of day 9 under the name of day 1.
    day_of_log(dir.path(), 9);
    fs::rename(dir.path().join("logs/day-09.parquet"), dir.path().join("logs/day-01.parquet")).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0).says(&[
        "1 file",
        "replaced",
        "day-01.parquet",
    ]);
    same_as_a_scan(dir.path());
    fs::remove_file(dir.path().join("logs/day-03.parquet")).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0).says(&[
        "gone",
        "day-03.parquet",
        "--removed keep",
    ]);
    same_as_a_scan(dir.path());
    // Old logs are taken away.
    let before = fs::read(dir.path().join("state/out/findings.parquet")).unwrap();
    fs::remove_file(dir.path().join("logs/day-00.parquet")).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state --removed keep").exits(0).says(&["still count"]);
    assert!(fs::read(dir.path().join("state/out/findings.parquet")).unwrap() == before);
    let rows = |dir: &Path| {
        let text = fs::read_to_string(dir.join("state/out/coverage.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["rows"]["read"].as_u64().unwrap()
    };
    assert_eq!(rows(dir.path()), 2400);
}

#[test]
fn a_file_that_can_not_be_read_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    (0..3).for_each(|day| day_of_log(dir.path(), day));
    let path = dir.path().join("logs/day-01.parquet");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(3).says(&["day-01.parquet", "truncated"]);
    let before = contents(&dir.path().join("state"));
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(3).says(&["day-01.parquet", "truncated"]);
    assert!(contents(&dir.path().join("state")) == before);
    fs::write(&path, &whole).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    same_as_a_scan(dir.path());
}

#[test]
fn another_version_and_other_settings_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    day_of_log(dir.path(), 0);
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    slowleak(dir.path(), "nightly {}/logs --state {}/state --window 2h").exits(1).says(&[
        "views are others",
        "key@1h",
        "begin a new --state",
    ]);
    fs::write(dir.path().join("map.toml"), "[columns]\nkey = \"user\"\n").unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state --map {}/map.toml")
        .exits(1)
        .says(&["another mapping"]);
    slowleak(dir.path(), "nightly {}/logs --state {}/state --as-of 2024-01-01")
        .exits(1)
        .says(&["--as-of", "later"]);
    slowleak(dir.path(), "nightly {}/logs --state {}/other --view key@7d:sources")
        .exits(2)
        .says(&["key@7d", "by the day"]);
    slowleak(dir.path(), "nightly {}/logs --state {}/logs/state").exits(1).says(&["logs"]);
    let path = dir.path().join("state/state.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, words) in [
        ("\"format\":1", "\"format\":2", "use the version that wrote it"),
        ("\"format\":1", "\"format\":0", "begin a new --state"),
        ("\"format\"", "\"farmat\"", "is not a state"),
        ("{", "", "is not a state"),
        ("\"segments\":{\"", "\"segments\":{\"x\":{\"days\":[[0,9000000000000000000]]},\"", "can not be"),
        ("\"segments\":{\"", "\"segments\":{\"x\":{\"days\":[[0,90000000]]},\"", "days without records"),
        ("\"read\":600", "\"read\":599", "day-00.parquet can not be"),
    ] {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(1).says(&["state.json", words]);
    }
    // A state that is put back from a copy: segments first.
    fs::remove_file(&path).unwrap();
    let segments = contents(&dir.path().join("state/segments"));
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(1).says(&["put state.json back"]);
    assert!(contents(&dir.path().join("state/segments")) == segments);
    fs::write(&path, &text).unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    fs::create_dir(dir.path().join("mine")).unwrap();
    fs::write(dir.path().join("mine/thesis.txt"), "years").unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/mine").exits(1).says(&["thesis.txt", "in use"]);
}

#[test]
fn two_at_once_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    day_of_log(dir.path(), 0);
    fs::create_dir(dir.path().join("state")).unwrap();
    let held = File::create(dir.path().join("state/.lock")).unwrap();
    held.lock().unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state")
        .exits(1)
        .says(&["another nightly run", "wait for it"]);
    drop(held);
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
}

#[test]
fn a_night_that_is_killed_anywhere_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    (0..20).for_each(|day| day_of_log(dir.path(), day));
    slowleak(dir.path(), "nightly {}/logs --state {}/state --quiet").exits(0);
    let before = copy(&state, &dir.path().join("before"));
    (20..34).for_each(|day| day_of_log(dir.path(), day));
    plain(&dir.path().join("logs/late.parquet"), START + 3 * DAY, 50);
    fs::remove_file(dir.path().join("logs/day-05.parquet")).unwrap();
    let since = Instant::now();
    slowleak(dir.path(), "nightly {}/logs --state {}/state --quiet").exits(0);
    let whole = since.elapsed();
    let undisturbed = results(&state);
    for kill in 0..20_u32 {
        fs::remove_dir_all(&state).unwrap();
        copy(&before, &state);
        let arguments = ["nightly", "logs", "--state", "state", "--quiet"];
        // As it would have been typed in full: what reports tell of paths must be the same.
        let full =
            |word: &str| if word == "logs" || word == "state" { dir.path().join(word) } else { word.into() };
        let mut child = command().args(arguments.map(full)).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(whole.mul_f64(f64::from(kill) / 19.0));
        let _ = child.kill();
        child.wait().unwrap();
        slowleak(dir.path(), "nightly {}/logs --state {}/state --quiet").exits(0);
        for ((name, bytes), (_, want)) in results(&state).iter().zip(&undisturbed) {
            assert!(bytes == want, "killed at {kill}/19 of {whole:?}: {} differs", name.display());
        }
        assert_eq!(results(&state).len(), undisturbed.len());
    }
}

/// Everything in a state folder but the metrics, which tell the time.
fn results(state: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = contents(state);
    files.retain(|(name, _)| !name.ends_with("metrics.prom"));
    files
}

fn copy(from: &Path, to: &Path) -> std::path::PathBuf {
    for (name, bytes) in contents(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    to.to_path_buf()
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_and_a_clock_set_back_are_told_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    (0..3).for_each(|day| day_of_log(dir.path(), day));
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    let before = contents(&dir.path().join("state"));
    day_of_log(dir.path(), 3);
    // No file may grow beyond 8 KiB: what a full disk is to a program.
    let root = dir.path().display();
    let line = format!(
        "ulimit -f 8; trap '' XFSZ; exec {} nightly {root}/logs --state {root}/state",
        env!("CARGO_BIN_EXE_slowleak")
    );
    ran(std::process::Command::new("bash").args(["-c", &line])).exits(1).says(&["can not"]);
    assert!(contents(&dir.path().join("state")) == before);
    // The last night was in the future.
    let path = dir.path().join("state/out/metrics.prom");
    let text = fs::read_to_string(&path).unwrap();
    let told = |line: &str| match line.starts_with("slowleak_nightly_last_success") {
        true => "slowleak_nightly_last_success_timestamp_seconds 9000000000".to_owned(),
        false => line.to_owned(),
    };
    fs::write(&path, text.lines().map(told).collect::<Vec<_>>().join("\n") + "\n").unwrap();
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0).says(&["clock", "2255"]);
    assert!(fs::read_to_string(&path).unwrap().contains("last_success_timestamp_seconds 9000000000\n"));
    same_as_a_scan(dir.path());
}

#[test]
fn metrics_tell_of_the_night() {
    let dir = tempfile::tempdir().unwrap();
    (0..2).for_each(|day| day_of_log(dir.path(), day));
    slowleak(dir.path(), "nightly {}/logs --state {}/state --as-of 2025-01-04").exits(0);
    let text = fs::read_to_string(dir.path().join("state/out/metrics.prom")).unwrap();
    for line in [
        "slowleak_nightly_records 1200",
        "slowleak_nightly_files{what=\"new\"} 2",
        "slowleak_nightly_segments 1",
        "slowleak_records{outcome=\"read\"} 1200",
        "slowleak_findings{severity=\"high\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
    }
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    // From the last record of 2 January, 23:17:40, to the start of the 4th.
    assert_eq!(value("slowleak_nightly_lag_seconds "), 86_400.0 + 2540.0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - value("slowleak_nightly_last_success_timestamp_seconds ")).abs() < 600.0);
    assert!(value("slowleak_nightly_duration_seconds{stage=\"detect\"} ") >= 0.0);
    // A clock that was wrong hides no feed that is dead.
    plain(&dir.path().join("logs/2099.parquet"), START + 27_000 * DAY, 5);
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    let text = fs::read_to_string(dir.path().join("state/out/metrics.prom")).unwrap();
    let lag = text.lines().find_map(|line| line.strip_prefix("slowleak_nightly_lag_seconds ")).unwrap();
    assert!(lag.parse::<f64>().unwrap() > 0.0, "{lag}");
    slowleak(dir.path(), "nightly {}/logs --state {}/state --as-of 2026-01-01")
        .exits(1)
        .says(&["2099.parquet", "--as-of"]);
}

#[test]
#[cfg(unix)]
fn a_state_that_can_not_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    day_of_log(dir.path(), 0);
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(0);
    let segments = dir.path().join("state/segments");
    fs::set_permissions(&segments, fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser writes anywhere.
    if File::create(segments.join("probe")).is_ok() {
        fs::remove_file(segments.join("probe")).unwrap();
        return;
    }
    let before = contents(&dir.path().join("state"));
    day_of_log(dir.path(), 1);
    slowleak(dir.path(), "nightly {}/logs --state {}/state").exits(1).says(&["can not", "permission"]);
    assert!(contents(&dir.path().join("state")) == before);
    fs::set_permissions(&segments, fs::Permissions::from_mode(0o755)).unwrap();
}
