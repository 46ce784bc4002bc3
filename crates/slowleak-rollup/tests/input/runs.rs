//! Runs over many files, few records, and parts of them.

use super::*;

#[test]
fn a_million_distinct_keys() {
    let count = 1_000_000;
    let names: Vec<String> = (0..count).map(|i| format!("key-{i:07}")).collect();
    let (rollup, _) = scan_columns(vec![
        ("time", times((0..count).map(|i| Some(NOON + i)))),
        ("key", text(names.iter().map(|name| Some(name.as_str())))),
    ]);
    assert_eq!(rollup.tables[0].entities, names);
}

#[test]
fn one_record_and_all_at_one_instant() {
    let (rollup, coverage) = scan_columns(sound());
    assert_eq!((rollup.tables[0].len(), coverage.rows.read), (1, 1));
    assert!(coverage.gaps.is_empty());
    let many = vec![("time", times([Some(NOON); 3000])), ("key", text([Some("k"); 3000]))];
    let (rollup, coverage) = scan_columns(many);
    assert_eq!(rollup.tables[0].count(Metric::Events), [3000]);
    assert_eq!(coverage.time, Some((Micros(NOON), Micros(NOON))));
}

#[test]
fn no_rows_and_no_files() {
    let empty = || vec![("time", times([])), ("key", text([]))];
    let (rollup, coverage) = scan_columns(empty());
    assert_eq!((rollup.tables.len(), rollup.tables[0].len()), (1, 0));
    assert_eq!((coverage.files.read, coverage.rows.read, coverage.time), (1, 0, None));
    let (rollup, coverage) = scan(&[]);
    assert_eq!((rollup, coverage), (Rollup::default(), Coverage::default()));
}

#[test]
fn empty_row_groups() {
    let schema = "message log { required int64 time; required binary key (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let out = fs::File::create(&path).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(out, schema, Arc::default()).unwrap();
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        while let Some(column) = group.next_column().unwrap() {
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    let (_, coverage) = scan(&[file(&path)]);
    assert_eq!((coverage.files.read, coverage.files.rejected, coverage.row_groups.read), (1, 0, 2));
}

#[test]
fn a_time_range_prunes_files_row_groups_and_rows() {
    let hour = |i: i64| NOON + i * Micros::HOUR;
    let dir = tempfile::tempdir().unwrap();
    let hours = |from: i64, to: i64| {
        let count = (to - from) as usize;
        vec![("time", times((from..to).map(|i| Some(hour(i))))), ("key", text(vec![Some("k"); count]))]
    };
    for (name, from, to) in [("a", 0, 10), ("b", 10, 30), ("c", 30, 40)] {
        write_columns(&dir.path().join(format!("{name}.parquet")), hours(from, to), 5, true);
    }
    let files: Vec<InputFile> = slowleak_record::discover(&[dir.path()]).unwrap();
    let range = TimeRange { since: Some(Micros(hour(12))), until: Some(Micros(hour(23))) };
    let (rollup, coverage) = scan_with(&files, &views(), ScanOptions { range, ..ScanOptions::default() });
    assert_eq!(rollup.tables[0].len(), 11);
    assert_eq!((coverage.files.read, coverage.files.pruned), (1, 2));
    assert_eq!((coverage.row_groups.read, coverage.row_groups.pruned), (3, 5));
    assert_eq!((coverage.rows.read, coverage.rows.pruned), (11, 29));
}

#[test]
fn gaps_are_whole_hours_without_a_record() {
    let minutes = [0, 30, 61, 180, 200, 600];
    let (_, coverage) = scan_columns(vec![
        ("time", times(minutes.map(|minute| Some(NOON + minute * 60_000_000)))),
        ("key", text([Some("k"); 6])),
    ]);
    let hour = |i: i64| Micros(NOON + i * Micros::HOUR);
    assert_eq!(coverage.gaps, [(hour(2), hour(3)), (hour(4), hour(10))]);
}

#[test]
fn absent_columns_cost_their_metrics_and_views_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    write_columns(&path, sound(), 10, true);
    let views = View::defaults();
    let (rollup, coverage) = scan_with(&[file(&path)], &views, ScanOptions::default());
    let names: Vec<String> = rollup.tables.iter().map(|table| table.view.to_string()).collect();
    assert_eq!(names, ["key@1h:events", "key@1d:events"]);
    assert_eq!(
        coverage.missing_columns,
        ["user", "source", "action", "object", "subject", "rows", "bytes", "status"]
    );
}

#[test]
fn a_column_that_only_some_files_have() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    let mut rich = sound();
    rich.push(("rows", Arc::new(Int64Array::from(vec![5]))));
    write_columns(&a, rich, 10, true);
    write_columns(&b, sound(), 10, true);
    let (rollup, coverage) = scan(&[file(&a), file(&b)]);
    assert_eq!(rollup.tables[0].count(Metric::Rows), [5]);
    assert_eq!(rollup.tables[0].count(Metric::Events), [2]);
    assert!(!coverage.missing_columns.contains(&"rows".to_owned()));
}

#[test]
fn partitions_fill_absent_columns() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("key=kid%2F7/rows=3/status=denied");
    fs::create_dir_all(&folder).unwrap();
    let columns = vec![
        ("time", times([Some(NOON), Some(NOON)])),
        ("rows", Arc::new(Int64Array::from(vec![1, 1])) as _),
    ];
    write_columns(&folder.join("log.parquet"), columns, 10, true);
    let files = slowleak_record::discover(&[dir.path()]).unwrap();
    let (rollup, _) = scan(&files);
    let table = &rollup.tables[0];
    assert_eq!(table.entities, ["kid/7"]);
    assert_eq!(table.count(Metric::Rows), [2], "the file's own column wins");
    assert_eq!(table.count(Metric::Denied), [2]);
}

#[test]
fn a_file_that_changes_between_plan_and_scan_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    write_columns(&a, sound(), 10, true);
    write_columns(&b, sound(), 10, true);
    let plan =
        Plan::new(&[file(&a), file(&b)], &Mapping::native(), fields(&views()), &ScanOptions::default());
    assert_eq!(plan.rows(), 2);
    let bytes = fs::read(&a).unwrap();
    fs::write(&a, &bytes[..bytes.len() - 1]).unwrap();
    let (rollup, coverage) = build(&plan, &views(), &|_| ()).unwrap();
    assert_eq!(rollup.tables[0].count(Metric::Events), [1]);
    assert_eq!((coverage.files.read, coverage.files.rejected), (1, 1));
    assert_eq!((coverage.row_groups.rejected, coverage.rows.rejected), (1, 1));
    assert_says(&coverage.rejected_files[0].reason, &["changed while it was being read"]);
}

#[test]
fn progress_counts_every_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let records: Vec<Record> = (0..20_000)
        .map(|i| Record {
            time: NOON + i * 1_000_000,
            key: (i % 7 != 0).then(|| format!("k{}", i % 5)),
            user: None,
            source: None,
            object: None,
            subject: None,
            rows: Some(i),
            bytes: None,
            status: None,
        })
        .collect();
    write_log(&path, &records, 3000, true);
    let plan = Plan::new(&[file(&path)], &Mapping::native(), fields(&views()), &ScanOptions::default());
    let seen = std::sync::atomic::AtomicU64::new(0);
    let count = |rows| {
        seen.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
    };
    let (rollup, _) = build(&plan, &views(), &count).unwrap();
    assert_eq!(seen.into_inner(), 20_000);
    check(&rollup.tables[0], &records);
}
