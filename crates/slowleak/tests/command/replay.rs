//! `slowleak replay`: what nights would have told, beside nights that were.

use std::fs::{self, File};
use std::path::Path;

use arrow::array::{Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::nightly::{KNOWN, day_of_log, lines, registry};
use crate::support::{DAY, START, contents, slowleak};

/// The rows of a small table.
fn rows(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut batches = reader.build().unwrap();
    batches.next().unwrap().unwrap()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    column.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<f64> {
    let column = batch.column_by_name(name).unwrap().as_any().downcast_ref::<Float64Array>().unwrap();
    column.iter().map(|number| number.unwrap_or(f64::NAN)).collect()
}

fn times(batch: &RecordBatch, name: &str) -> Vec<i64> {
    let column = batch.column_by_name(name).unwrap();
    column.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap().values().to_vec()
}

/// Six weeks, one file a day; from day 30 on one key reads far more than before.
fn six_weeks(dir: &Path) {
    (0..42).for_each(|day| day_of_log(dir, day));
}

/// From the 31st day's end to the end of the log.
const NIGHTS: &str = "replay {}/logs --from 2025-01-29 --to 2025-02-12";

#[test]
fn a_replay_tells_what_nights_told_and_ends_as_one_scan() {
    let dir = tempfile::tempdir().unwrap();
    registry(dir.path());
    let mut told: Vec<(i64, String)> = Vec::new();
    for day in 0..42 {
        day_of_log(dir.path(), day);
        if day < 27 {
            continue;
        }
        slowleak(dir.path(), &format!("nightly {{}}/logs --state {{}}/state --quiet {KNOWN}")).exits(0);
        for event in lines(&dir.path().join("state/out/changes.jsonl")) {
            if event["unmapped"]["slowleak"]["status"] == "new" {
                // The night after a day.
                let id = event["finding_info"]["uid"].as_str().unwrap().to_owned();
                told.push((START + (day + 1) * DAY, id));
            }
        }
    }
    assert!(!told.is_empty());
    let ran = slowleak(dir.path(), &format!("{NIGHTS} --out {{}}/replayed {KNOWN}")).exits(0);
    assert!(ran.stdout.contains("15 nights from 2025-01-29 to 2025-02-12"), "{}", ran.stdout);
    let batch = rows(&dir.path().join("replayed/replay.parquet"));
    let mut replayed: Vec<(i64, String)> =
        times(&batch, "first_reported").into_iter().zip(texts(&batch, "told_id")).collect();
    replayed.sort();
    told.sort();
    assert_eq!(replayed, told);

    slowleak(dir.path(), "explain 1 --out {}/replayed").exits(1).says(&["replay.parquet", "--until"]);

    // What stands at last is what a scan finds, column by column.
    slowleak(dir.path(), &format!("scan {{}}/logs --out {{}}/scan --quiet {KNOWN}")).exits(0);
    let scanned = rows(&dir.path().join("scan/findings.parquet"));
    let status = texts(&batch, "status");
    let standing = (0..batch.num_rows()).filter(|row| !["withdrawn", "merged"].contains(&&*status[*row]));
    let mut at: Vec<usize> = standing.collect();
    let ids = texts(&batch, "finding_id");
    let of_scan = texts(&scanned, "finding_id");
    at.sort_by_key(|row| of_scan.iter().position(|id| *id == ids[*row]));
    assert_eq!(at.iter().map(|row| ids[*row].clone()).collect::<Vec<_>>(), of_scan);
    for (field, column) in scanned.schema().fields().iter().zip(scanned.columns()) {
        let replayed = batch.column_by_name(field.name()).unwrap();
        for (row, at) in at.iter().enumerate() {
            assert!(column.slice(row, 1) == replayed.slice(*at, 1), "{} of row {row}", field.name());
        }
    }

    // The departed owner's key is told of the night after its first use, with that day's accounts.
    let departed = texts(&batch, "detector").iter().position(|name| name == "key_after_departure").unwrap();
    assert_eq!(times(&batch, "first_reported")[departed], START + 31 * DAY);
    let delay = floats(&batch, "delay_hours")[departed];
    assert!((0.0..=24.0).contains(&delay), "{delay}");
    let (then, after) = (floats(&batch, "subjects_by_then"), floats(&batch, "subjects_after"));
    let (then, after, all) = (then[departed], after[departed], floats(&batch, "subjects")[departed]);
    assert!(then > 0.0 && after > then && (then + after - all).abs() < 1e-6, "{then} + {after} of {all}");
}

#[test]
fn other_settings_are_replayed_beside() {
    let dir = tempfile::tempdir().unwrap();
    six_weeks(dir.path());
    registry(dir.path());
    fs::write(dir.path().join("people.toml"), "keys = \"keys.csv\"\npeople = \"people.csv\"\n").unwrap();
    let nights = "replay {}/logs --from 2025-01-31 --to 2025-02-12 --every 5d";
    let both = format!("{nights} --settings with-people={{}}/people.toml --format json");
    let both = slowleak(dir.path(), &format!("{both} --out {{}}/both")).exits(0).json();
    assert_eq!(both["nights"].as_array().unwrap().len(), 4);
    assert_eq!(both["nights"][3], "2025-02-12T00:00:00Z");
    let names: Vec<&str> =
        both["settings"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "with-people"]);
    // Each says what it says alone.
    let alone = |flags: &str, out: &str| {
        let ran = slowleak(dir.path(), &format!("{nights} --format json --out {{}}/{out} {flags}"));
        ran.exits(0).json()["settings"][0]["leaks"].clone()
    };
    assert_eq!(both["settings"][0]["leaks"], alone("", "without"));
    assert_eq!(both["settings"][1]["leaks"], alone(KNOWN, "with"));
    assert_ne!(both["settings"][0]["leaks"], both["settings"][1]["leaks"]);
    let settings = texts(&rows(&dir.path().join("both/replay.parquet")), "settings");
    assert!(settings.iter().any(|name| name == "with-people"), "{settings:?}");
}

#[test]
fn the_same_replay_gives_the_same_bytes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    six_weeks(dir.path());
    registry(dir.path());
    let nights = format!("replay {{}}/logs --from 2025-01-31 --to 2025-02-12 --every 6d {KNOWN}");
    slowleak(dir.path(), &format!("{nights} --out {{}}/one --threads 1")).exits(0);
    let names: Vec<String> =
        contents(&dir.path().join("one")).iter().map(|file| file.0.display().to_string()).collect();
    assert_eq!(names, ["coverage.json", "replay.parquet", "replay.svg"]);
    slowleak(dir.path(), &format!("{nights} --out {{}}/two --threads 3")).exits(0);
    crate::support::same(&dir.path().join("one"), &dir.path().join("two"));
    // Again, in place of its own; an alarm is told.
    slowleak(dir.path(), &format!("{nights} --out {{}}/one --fail-on low")).exits(10);
    crate::support::same(&dir.path().join("one"), &dir.path().join("two"));
}

#[test]
fn ranges_and_folders_that_make_no_sense_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    (0..3).for_each(|day| day_of_log(dir.path(), day));
    fs::write(dir.path().join("views.toml"), "views = [\"key@1h:events\"]\n").unwrap();
    for (flags, words) in [
        ("--from 2025-02-01 --to 2025-01-01", &["--from", "after --to"][..]),
        ("--from 2025-01-01T06:00:00Z --to 2025-01-03", &["--from", "midnight"]),
        ("--from 2025-01-01 --to 2025-01-03 --every 1h", &["--every 1h", "less than a day"]),
        ("--from 2025-01-01 --to 2025-01-03 --every 36h", &["--every", "36h"]),
        ("--from 2025-01-01", &["--to"]),
        ("--from soon --to 2025-01-03", &["soon"]),
        ("--from 2025-01-01 --to 2025-01-03 --settings views.toml", &["as in strict=strict.toml"]),
        ("--from 2025-01-01 --to 2025-01-03 --settings v={}/views.toml", &["--settings v=", "take them out"]),
        ("--from 2025-01-01 --to 2025-01-03 --settings v={}/none.toml", &["none.toml"]),
        ("--from 2025-01-01 --to 2025-01-03 --view key@7d:sources", &["key@7d", "by the day"]),
    ] {
        slowleak(dir.path(), &format!("replay {{}}/logs --out {{}}/out {flags}")).exits(2).says(words);
    }
    for (flags, words) in [
        ("--out {}/out --from 2024-01-01 --to 2024-02-01", &["no record before --to", "correct --to"][..]),
        ("--out {}/logs/out --from 2025-01-01 --to 2025-01-03", &["logs"]),
    ] {
        slowleak(dir.path(), &format!("replay {{}}/logs {flags}")).exits(1).says(words);
    }
    assert!(!dir.path().join("out").exists(), "what failed leaves nothing");
    slowleak(dir.path(), "scan {}/logs --out {}/scan --quiet").exits(0);
    slowleak(dir.path(), "replay {}/logs --out {}/scan --from 2025-01-02 --to 2025-01-03").exits(1).says(&[
        "findings.parquet",
        "another command",
        "choose another --out",
    ]);
    fs::create_dir(dir.path().join("mine")).unwrap();
    fs::write(dir.path().join("mine/replay.parquet"), "years of work").unwrap();
    slowleak(dir.path(), "replay {}/logs --out {}/mine --from 2025-01-02 --to 2025-01-03")
        .exits(1)
        .says(&["replay.parquet", "slowleak did not write it"]);
}

#[test]
fn what_can_not_be_read_is_told_and_nights_without_records_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    (0..3).for_each(|day| day_of_log(dir.path(), day));
    let path = dir.path().join("logs/day-01.parquet");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    // The log begins on the first of January and ends on the third.
    let nights = "replay {}/logs --out {}/out --from 2024-12-30 --to 2025-01-20";
    let ran = slowleak(dir.path(), nights).exits(3).says(&["day-01.parquet", "truncated", "coverage.json"]);
    assert!(ran.stdout.contains("19 nights"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Nothing was told"), "{}", ran.stdout);
    slowleak(dir.path(), &format!("{nights} --strict")).exits(1).says(&["--strict", "day-01.parquet"]);
    fs::write(dir.path().join("keep.toml"), "[nightly]\nkeep_days = 2\n").unwrap();
    let late = "replay {}/logs --out {}/late --from 2025-03-01 --to 2025-03-02 --config {}/keep.toml";
    slowleak(dir.path(), late).exits(3).says(&[
        "the log ends at 2025-01-03",
        "--from",
        "keep_days",
        "not heeded",
    ]);
}
