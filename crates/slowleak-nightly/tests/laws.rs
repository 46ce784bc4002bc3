//! Nights of any rhythm end in what one scan gives: the same rollup, byte for byte, and the same account of the log.

#![expect(clippy::unwrap_used, reason = "a helper that fails ends its test")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use slowleak_nightly::{Counted, Counting, Extent, Folder, History, Night, NightlyError, count_night};
use slowleak_record::{Mapping, Micros, TimeRange, Window, discover};
use slowleak_rollup::{Rollup, View, build, fields};
use slowleak_scan::{Coverage, Decoder, Io, Plan, SUBJECT_HASH_VERSION, ScanOptions};

/// 2025-06-12T00:00:00Z, a Thursday: weeks begin there.
const START: i64 = 1_749_686_400_000_000;

#[derive(Debug, Clone)]
struct Record {
    minute: i64,
    key: Option<u8>,
    user: u8,
    source: u8,
    subject: u16,
    rows: i64,
}

/// What somebody does to the folder of logs before a night.
#[derive(Debug, Clone)]
enum Deed {
    /// A file of one day's records, with a few of other days.
    Write {
        name: u8,
        records: Vec<Record>,
        late: Vec<Record>,
        without: u8,
    },
    /// A file that was written before, delivered again under another name, with others' records in it.
    Repeat {
        from: u8,
        name: u8,
        more: Vec<Record>,
    },
    Remove {
        name: u8,
    },
    /// Written again with the same records: another file all the same.
    Touch {
        name: u8,
    },
    Break {
        name: u8,
    },
    /// Given another name, in place of what is there.
    Move {
        from: u8,
        to: u8,
    },
    Night,
}

fn records(days: std::ops::Range<i64>, most: usize) -> impl Strategy<Value = Vec<Record>> {
    let minutes = days.start * 24 * 60..days.end * 24 * 60;
    let record =
        (minutes, proptest::option::weighted(0.9, 0..5_u8), 0..4_u8, 0..6_u8, 0..400_u16, -2..50_i64);
    let record = record.prop_map(|(minute, key, user, source, subject, rows)| Record {
        minute,
        key,
        user,
        source,
        subject,
        rows,
    });
    proptest::collection::vec(record, 0..most)
}

fn deed() -> impl Strategy<Value = Deed> {
    let write = (0..6_u8, 0..16_i64, 0..32_u8).prop_flat_map(|(name, day, without)| {
        (records(day..day + 1, 25), records(0..16, 3)).prop_map(move |(records, late)| Deed::Write {
            name,
            records,
            late,
            without,
        })
    });
    prop_oneof![
        8 => write,
        2 => (0..6_u8, 0..6_u8, records(0..16, 3)).prop_map(|(from, name, more)| Deed::Repeat { from, name, more }),
        1 => (0..6_u8).prop_map(|name| Deed::Remove { name }),
        1 => (0..6_u8).prop_map(|name| Deed::Touch { name }),
        1 => (0..6_u8).prop_map(|name| Deed::Break { name }),
        1 => (0..6_u8, 0..6_u8).prop_map(|(from, to)| Deed::Move { from, to }),
        4 => Just(Deed::Night),
    ]
}

fn path(logs: &Path, name: u8) -> PathBuf {
    logs.join(format!("{name:02}.parquet"))
}

/// Some files lack columns: bit 0 of `without` rows, bit 1 subjects, bit 2 sources, bit 3 event ids; with bit 4
/// times are text, of which footers tell nothing. Records of one id say
/// the same, columns that are lacking included.
fn write(path: &Path, records: &[Record], without: u8) {
    let text = |prefix: char, number: u8| format!("{prefix}{number}");
    let time = records.iter().map(|record| START + record.minute * 60_000_000);
    let keys = records.iter().map(|record| record.key.map(|key| text('k', key)));
    let times: ArrayRef = if without & 16 == 0 {
        Arc::new(TimestampMicrosecondArray::from_iter_values(time).with_timezone("UTC"))
    } else {
        Arc::new(StringArray::from_iter_values(time.map(|time| Micros(time).to_string())))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("time", times),
        ("key", Arc::new(StringArray::from_iter(keys))),
        (
            "user",
            Arc::new(StringArray::from_iter_values(records.iter().map(|record| text('u', record.user)))),
        ),
    ];
    if without & 1 == 0 {
        columns
            .push(("rows", Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.rows)))));
    }
    if without & 2 == 0 {
        let subjects = records.iter().map(|record| i64::from(record.subject));
        columns.push(("subject", Arc::new(Int64Array::from_iter_values(subjects))));
    }
    if without & 4 == 0 {
        let sources = records.iter().map(|record| text('s', record.source));
        columns.push(("source", Arc::new(StringArray::from_iter_values(sources))));
    }
    if without & 8 == 0 {
        let id = |record: &Record| {
            (!record.subject.is_multiple_of(7)).then(|| format!("{record:?}{}", without & 7))
        };
        columns.push(("event_id", Arc::new(StringArray::from_iter(records.iter().map(id)))));
    }
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(9)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn views(sources: bool) -> Vec<View> {
    let mut views = vec![
        "key@1h:rows,denied",
        "user@7d:subjects",
        "user@1d:rows",
        "key+source@1d:events",
        "user+source@14d:rows,subjects",
        "key@1d:subjects",
    ];
    views.extend(sources.then_some("key+user@12h:sources"));
    let mut views: Vec<View> = views.into_iter().map(|view| view.parse().unwrap()).collect();
    views.sort();
    views
}

fn counted(views: &[View]) -> Counted {
    Counted {
        views: views.iter().map(ToString::to_string).collect(),
        mapping: Mapping::native().fingerprint(),
        subject_hash: SUBJECT_HASH_VERSION,
    }
}

fn night(folder: &Folder, logs: &Path, views: &[View], extent: &Extent) -> Result<Night, NightlyError> {
    counting(views, |counting| count_night(folder, &discover(&[logs]).unwrap(), counting, extent))
}

fn counting<T>(views: &[View], with: impl FnOnce(&Counting<'_>) -> T) -> T {
    with(&Counting {
        views,
        mapping: &Mapping::native(),
        io: Io::Mmap,
        decoder: Decoder::Pages,
        memory: 256 << 20,
        progress: &|_| (),
    })
}

fn scan(logs: &Path, views: &[View], range: TimeRange) -> (Rollup, Coverage) {
    let options = ScanOptions { range, ..ScanOptions::default() };
    let plan = Plan::new(&discover(&[logs]).unwrap(), &Mapping::native(), fields(views), &options);
    build(&plan, views, &|_| ()).unwrap()
}

/// Every file under `folder` with its bytes, by path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for view in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(view.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Makes the night the last one, and compares it with one scan over everything.
fn check(
    folder: &mut Folder,
    work: &Path,
    views: &[View],
    extent: &Extent,
    range: TimeRange,
) -> Result<(), TestCaseError> {
    let logs = work.join("logs");
    let night = night(folder, &logs, views, extent).unwrap();
    let (rollup, coverage) = scan(&logs, views, range);
    prop_assert_eq!(&night.coverage, &coverage);
    night.rollup(folder).unwrap().write(&work.join("ours"), 1 << 20).unwrap();
    rollup.write(work.join("theirs")).unwrap();
    let (ours, theirs) = (contents(&work.join("ours")), contents(&work.join("theirs")));
    prop_assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, bytes) in &ours {
        prop_assert!(*bytes == theirs[name], "{} differs", name.display());
    }
    folder.commit(night.next).unwrap();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn nights_of_any_rhythm_are_one_scan(
        deeds in proptest::collection::vec(deed(), 1..40),
        sources: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let views = views(sources);
        write(&logs.join("always.parquet"), &[], 0);
        let mut written: BTreeMap<u8, (Vec<Record>, u8)> = BTreeMap::new();
        let mut time = std::time::SystemTime::UNIX_EPOCH;
        for deed in deeds.into_iter().chain([Deed::Night]) {
            match deed {
                Deed::Write { name, records, late, without, .. } => {
                    let records = [records, late].concat();
                    write(&path(&logs, name), &records, without);
                    written.insert(name, (records, without));
                }
                Deed::Repeat { from, name, more } => {
                    if let Some((records, without)) = written.get(&from).cloned() {
                        let records = [records, more].concat();
                        write(&path(&logs, name), &records, without);
                        written.insert(name, (records, without));
                    }
                }
                Deed::Remove { name } => _ = fs::remove_file(path(&logs, name)),
                Deed::Move { from, to } => _ = fs::rename(path(&logs, from), path(&logs, to)),
                Deed::Touch { name } => {
                    // Another time each, whatever the clock's steps.
                    time += std::time::Duration::from_secs(1);
                    if let Ok(file) = File::options().append(true).open(path(&logs, name)) {
                        file.set_modified(time).unwrap();
                    }
                }
                Deed::Break { name } => {
                    if let Ok(bytes) = fs::read(path(&logs, name)) {
                        fs::write(path(&logs, name), &bytes[..bytes.len() - 1]).unwrap();
                    }
                }
                Deed::Night => {
                    // Opened anew every night, as a job would.
                    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
                    check(&mut folder, dir.path(), &views, &Extent::default(), TimeRange::default())?;
                    let before = folder.state().clone();
                    let again = night(&folder, &logs, &views, &Extent::default()).unwrap();
                    prop_assert_eq!(&again.next, &before, "a night without news is the one before");
                }
            }
        }
    }

    #[test]
    fn what_lies_behind_the_instant_counts_when_its_night_comes(
        files in proptest::collection::vec((records(0..16, 30), 0..32_u8), 1..8),
        nights in proptest::collection::btree_set(0..17 * 24_i64, 1..6),
        sources: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let views = views(sources);
        for (at, (records, without)) in files.iter().enumerate() {
            write(&path(&logs, at as u8), records, *without);
        }
        let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
        for hour in nights {
            let until = Some(Micros(START + hour * Micros::HOUR));
            let extent = Extent { as_of: until, ..Extent::default() };
            check(&mut folder, dir.path(), &views, &extent, TimeRange { since: None, until })?;
        }
        check(&mut folder, dir.path(), &views, &Extent::default(), TimeRange::default())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_night_of_history_is_one_scan_of_what_was_there(
        files in proptest::collection::vec((records(0..16, 30), 0..32_u8), 1..8),
        sources: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (logs, there) = (dir.path().join("logs"), dir.path().join("there"));
        fs::create_dir(&logs).unwrap();
        fs::create_dir(&there).unwrap();
        let views = views(sources);
        for (at, (records, without)) in files.iter().enumerate() {
            write(&path(&logs, at as u8), records, *without);
        }
        let midnight = |day: i64| Micros(START + day * Micros::DAY);
        let history = counting(&views, |counting| {
            History::count(&discover(&[&logs]).unwrap(), counting, midnight(14), dir.path()).unwrap()
        });
        for day in 0..=14 {
            let until = midnight(day);
            // A file comes with its first record.
            for (at, (records, _)) in files.iter().enumerate() {
                if records.iter().any(|record| record.minute < day * 24 * 60) {
                    fs::copy(path(&logs, at as u8), path(&there, at as u8)).unwrap();
                }
            }
            let Some(past) = history.until(until, &views).unwrap() else {
                prop_assert!(fs::read_dir(&there).unwrap().next().is_none());
                continue;
            };
            let (rollup, coverage) = scan(&there, &views, TimeRange { since: None, until: Some(until) });
            prop_assert_eq!(past.records, coverage.rows.read);
            let last = coverage.time.unwrap().1;
            prop_assert!(past.end <= last && Window::HOUR.floor(last) <= past.end);
            past.rollup.write(&dir.path().join("ours"), 1 << 20).unwrap();
            rollup.write(dir.path().join("theirs")).unwrap();
            prop_assert!(contents(&dir.path().join("ours")) == contents(&dir.path().join("theirs")), "day {day}");
        }
    }
}

#[test]
fn many_nights_leave_few_segments() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let views: Vec<View> = vec!["key@1h:rows".parse().unwrap()];
    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
    for day in 0..70 {
        let of_day = |hour: i64| Record {
            minute: (day * 24 + hour) * 60,
            key: Some(1),
            user: 0,
            source: 0,
            subject: 0,
            rows: day,
        };
        write(&path(&logs, day as u8), &[of_day(1), of_day(5)], 0);
        let night = night(&folder, &logs, &views, &Extent::default()).unwrap();
        assert_eq!((night.news.new.len(), night.news.records), (1, 2));
        folder.commit(night.next).unwrap();
        let stored = fs::read_dir(folder.segments()).unwrap().count();
        assert_eq!(stored, folder.state().segments.len());
        assert!(stored <= 14, "{stored} segments after {day} nights");
    }
    check(&mut folder, dir.path(), &views, &Extent::default(), TimeRange::default()).unwrap();
}

#[test]
fn days_that_are_not_kept_are_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let views = views(false);
    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
    let extent = Extent { keep_days: Some(4), ..Extent::default() };
    let of_day = |day: i64| Record {
        minute: day * 24 * 60 + 7,
        key: Some(0),
        user: 1,
        source: 2,
        subject: 3,
        rows: 1,
    };
    for day in 0..9 {
        // Late records of a day that is still kept, and of one that is not.
        let records: Vec<Record> =
            [day, day - 2, day - 6].into_iter().filter(|day| *day >= 0).map(of_day).collect();
        write(&path(&logs, day as u8), &records, 0);
        let night = night(&folder, &logs, &views, &extent).unwrap();
        let since = Some(Micros(START + (day - 3) * Micros::DAY));
        let (rollup, coverage) = scan(&logs, &views, TimeRange { since, until: None });
        assert_eq!((night.coverage.rows, &night.coverage.gaps), (coverage.rows, &coverage.gaps));
        // Of a file's first day that is kept, the hour of its first record is known.
        let hour = |time: Micros| Window::HOUR.floor(time);
        let (ours, theirs) = (night.coverage.time.unwrap(), coverage.time.unwrap());
        assert_eq!((hour(ours.0), ours.1), (hour(theirs.0), theirs.1));
        night.rollup(&folder).unwrap().write(&dir.path().join("ours"), 1 << 20).unwrap();
        rollup.write(dir.path().join("theirs")).unwrap();
        assert!(contents(&dir.path().join("ours")) == contents(&dir.path().join("theirs")), "night {day}");
        folder.commit(night.next).unwrap();
    }
}

/// A file of one record at noon of a day.
fn write_day(logs: &Path, name: u8, day: i64) {
    let minute = day * 24 * 60 + 12 * 60;
    let record = Record { minute, key: Some(0), user: 1, source: 2, subject: u16::from(name), rows: 1 };
    write(&path(logs, name), &[record], 0);
}

#[test]
fn a_record_of_a_wrong_clock_does_not_drop_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let views = views(false);
    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
    let keep = |days: u32| Extent { keep_days: Some(days), ..Extent::default() };
    (0..9).for_each(|day| write_day(&logs, day, i64::from(day)));
    let first = night(&folder, &logs, &views, &keep(7)).unwrap();
    assert_eq!(first.news.kept_from, None);
    folder.commit(first.next).unwrap();
    // Half a year ahead: all would be forgotten. A month ahead and more, with many days kept: a part would.
    for (day, days) in [(190, 7), (45, 40)] {
        write_day(&logs, 9, day);
        let refused = night(&folder, &logs, &views, &keep(days)).unwrap_err().to_string();
        for words in ["09.parquet", "for good", "--as-of 2025-06-21", "--keep-days"] {
            assert!(refused.contains(words), "{words}: {refused}");
        }
    }
    // A job opens it anew each night, and what a refused one left is swept away.
    drop(folder);
    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
    // The same on a first night.
    let other = Folder::open(&dir.path().join("other"), &counted(&views)).unwrap();
    assert!(night(&other, &logs, &views, &keep(7)).is_err());
    // A log that was silent indeed goes on once all is kept for a night, and forgets from then on.
    let all = night(&folder, &logs, &views, &keep(46)).unwrap();
    assert_eq!(all.coverage.rows.read, 8);
    folder.commit(all.next).unwrap();
    let next = night(&folder, &logs, &views, &keep(7)).unwrap();
    assert_eq!((next.coverage.rows.read, next.news.kept_from), (1, None));
    folder.commit(next.next).unwrap();
    // What is gone is not had again by asking for it, and that is told.
    for extent in [keep(100), Extent::default()] {
        let kept_from = night(&folder, &logs, &views, &extent).unwrap().news.kept_from;
        assert_eq!(kept_from, Some((START / Micros::DAY) + 39));
    }
}

#[test]
fn a_file_that_is_renamed_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir_all(logs.join("archive")).unwrap();
    let views = views(false);
    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
    let keep = Extent { keep_removed: true, ..Extent::default() };
    let mut check = |extent: &Extent, new: usize, rows: u64| {
        let night = night(&folder, &logs, &views, extent).unwrap();
        assert_eq!((night.news.new.len(), night.news.replaced.len()), (new, 0));
        assert_eq!((night.news.counted, night.coverage.rows.read), (new, rows));
        folder.commit(night.next).unwrap();
    };
    // Rotated by name: 3 is the oldest, and goes; 2 becomes 3, 1 becomes 2, and 1 is new.
    for (name, day) in [(3, 0), (2, 1), (1, 2)] {
        write_day(&logs, name, day);
    }
    check(&keep, 3, 3);
    for day in 3..7 {
        for name in [2, 1] {
            fs::rename(path(&logs, name), path(&logs, name + 1)).unwrap();
        }
        write_day(&logs, 1, day);
        check(&keep, 1, day as u64 + 1);
    }
    // Moved into another folder; nothing is counted.
    fs::rename(path(&logs, 2), path(&logs.join("archive"), 2)).unwrap();
    check(&keep, 0, 7);
    // Into one whose name is a part of its records: it is another file.
    fs::create_dir(logs.join("user=eve")).unwrap();
    fs::rename(path(&logs, 1), path(&logs.join("user=eve"), 1)).unwrap();
    check(&Extent::default(), 1, 3);
}

#[test]
fn copies_count_once_what_they_repeat_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let views = views(false);
    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
    let of_minute = |minute: i64| Record { minute, key: Some(0), user: 1, source: 2, subject: 3, rows: 1 };
    let records: Vec<Record> = (0..100).map(|at| of_minute(at * 40)).collect();
    let mut seen = |read: u64, duplicates: u64| {
        check(&mut folder, dir.path(), &views, &Extent::default(), TimeRange::default()).unwrap();
        let entries = folder.state().files.values();
        assert_eq!(
            entries.flat_map(slowleak_nightly::Entry::records).map(|(_, records)| records).sum::<u64>(),
            read
        );
        let (_, coverage) = scan(&logs, &views, TimeRange::default());
        assert_eq!((coverage.rows.read, coverage.duplicate_rows), (read, duplicates));
    };
    write(&path(&logs, 5), &records[..60], 0);
    seen(60, 0);
    // All of it again under an earlier name, and a part of it with what is new.
    write(&path(&logs, 1), &records[..60], 0);
    write(&path(&logs, 9), &records[40..], 0);
    seen(100, 80);
    fs::remove_file(path(&logs, 5)).unwrap();
    seen(100, 20);
    write(&path(&logs, 1), &records[..10], 0);
    seen(70, 0);
}
