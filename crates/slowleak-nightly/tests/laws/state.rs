//! What a state keeps, forgets and knows again.

use super::*;

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
