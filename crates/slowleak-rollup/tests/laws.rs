//! Laws of the rollup: it adds up, merges exactly, and gives the same bytes however the work is cut.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers outside of test functions may fail loudly too"
)]

mod support;

use proptest::prelude::*;
use slowleak_record::Window;
use slowleak_rollup::{DayTable, Gather, Memory, Metric, Rollup, Sketch, Stored, Table, View, count};
use support::{Record, check, columns, naive, plan, records, rollup, views, write_columns, write_log};

/// The files of the store, by name.
fn store_bytes(rollup: &Rollup) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("rollup");
    rollup.write(&out).unwrap();
    files(&out)
}

fn files(store: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let files = slowleak_record::discover(&[store]).unwrap();
    let name = |path: &std::path::Path| path.strip_prefix(store).unwrap().display().to_string();
    files.into_iter().map(|file| (name(&file.path), std::fs::read(&file.path).unwrap())).collect()
}

/// Builds from one file a part.
fn built(parts: &[&[Record]], row_group: usize, threads: usize) -> Rollup {
    let dir = tempfile::tempdir().unwrap();
    for (index, part) in parts.iter().enumerate() {
        write_log(&dir.path().join(format!("{index}.parquet")), part, row_group, index % 2 == 0);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| rollup(dir.path(), &views()).0)
}

/// Without `sources`, which merges only over disjoint cells.
fn mergeable(rollup: &Rollup) -> Rollup {
    let mut rollup = rollup.clone();
    for table in &mut rollup.tables {
        let rest: Vec<Metric> =
            table.view.metrics().iter().copied().filter(|metric| *metric != Metric::Sources).collect();
        table.view = View::new(table.view.dimension.clone(), table.view.window, rest);
        table.counts[Metric::Sources as usize].clear();
    }
    rollup
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cells_add_up_and_the_store_round_trips(
        records in records(400),
        row_group in 1_usize..200,
        dictionary: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        write_log(&dir.path().join("log.parquet"), &records, row_group, dictionary);
        let (rollup, coverage) = rollup(dir.path(), &views());
        prop_assert_eq!(rollup.tables.len(), views().len());
        for table in &rollup.tables {
            check(table, &records);
        }
        let anonymous = records.iter().filter(|r| r.key.is_none() && r.user.is_none()).count() as u64;
        prop_assert_eq!(coverage.rows.read + anonymous, records.len() as u64);
        prop_assert_eq!(coverage.rows.rejected, anonymous);
        let out = dir.path().join("rollup");
        rollup.write(&out).unwrap();
        prop_assert_eq!(Rollup::read(&out).unwrap(), rollup);
    }

    /// A file that lacks a column counts as if the column were null throughout, whatever its neighbours have.
    #[test]
    fn columns_that_only_some_files_have_count_where_they_are(
        whole in records(150),
        partial in proptest::collection::vec((records(150), proptest::collection::vec(any::<bool>(), 7)), 1..4),
        row_group in 20_usize..200,
        threads in 1_usize..4,
    ) {
        const OPTIONAL: [&str; 7] = ["user", "source", "object", "subject", "rows", "bytes", "status"];
        let dir = tempfile::tempdir().unwrap();
        let mut all = whole.clone();
        // In the middle of the files' order, so that some come before and some after.
        write_log(&dir.path().join("1-whole.parquet"), &whole, row_group, true);
        for (number, (records, lacks)) in partial.iter().enumerate() {
            let lacks = |name: &str| OPTIONAL.iter().zip(lacks).any(|(column, lacks)| *column == name && *lacks);
            let mut some = columns(records);
            some.retain(|(name, _)| !lacks(name));
            write_columns(&dir.path().join(format!("{}-{number}.parquet", number % 3)), some, row_group, true);
            all.extend(records.iter().map(|record| Record {
                user: record.user.clone().filter(|_| !lacks("user")),
                source: record.source.clone().filter(|_| !lacks("source")),
                object: record.object.clone().filter(|_| !lacks("object")),
                subject: record.subject.filter(|_| !lacks("subject")),
                rows: record.rows.filter(|_| !lacks("rows")),
                bytes: record.bytes.filter(|_| !lacks("bytes")),
                status: record.status.filter(|_| !lacks("status")),
                ..record.clone()
            }));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (rollup, _) = pool.install(|| rollup(dir.path(), &views()));
        for table in &rollup.tables {
            check(table, &all);
        }
    }

    #[test]
    fn the_same_log_gives_the_same_bytes(records in records(600), cut in 0..600_usize, row_group in 1_usize..99) {
        let cut = cut.min(records.len() - 1);
        let whole = store_bytes(&built(&[&records], 1000, 1));
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|record| (record.subject, record.rows, record.time));
        prop_assert_eq!(&store_bytes(&built(&[&records[cut..], &records[..cut]], row_group, 2)), &whole);
        prop_assert_eq!(&store_bytes(&built(&[&shuffled], row_group, 3)), &whole);
    }

    /// With next to no memory every row group becomes a run, with a little one in some.
    #[test]
    fn cells_that_are_set_aside_come_back_as_the_same_bytes(
        records in records(600),
        row_group in 1_usize..99,
        limit in prop_oneof![Just(0_usize), 0..400_000_usize],
        threads in 1_usize..4,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::create_dir(&log).unwrap();
        write_log(&log.join("log.parquet"), &records, row_group, true);
        let whole = rollup(&log, &views()).0;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let count = || {
            let memory = beyond_taken(limit, threads, dir.path());
            count(&plan(&log, &views()), &views(), Some(&memory), &|_| ()).unwrap().0
        };
        let counts = pool.install(count);
        prop_assert!(limit > 0 || counts.spilled_runs() > 0);
        let out = dir.path().join("rollup");
        let mut gather = Gather::new();
        let (written, _) = pool.install(|| counts.write(&out, |cells| gather.add(&cells))).unwrap();
        let sizes = |table: &Table| (table.view.clone(), table.entities.len() as u64, table.len() as u64);
        let written_sizes = written.iter().map(|w| (w.view.clone(), w.entities, w.cells));
        prop_assert!(written_sizes.eq(whole.tables.iter().map(sizes)));
        let days: Vec<DayTable> = whole.tables.iter().map(DayTable::of).collect();
        prop_assert_eq!(&gather.finish(&written), &days);
        let mut gather = Gather::new();
        Stored::open(&out).unwrap().gather(&mut gather).unwrap();
        prop_assert_eq!(&gather.finish(&[]), &days);
        prop_assert_eq!(&files(&out), &store_bytes(&whole));
        prop_assert_eq!(&pool.install(count).into_rollup().unwrap(), &whole);
    }

    /// A view that follows from finer ones is what it is alone, when its records are counted; whatever is null, however
    /// often memory runs out.
    #[test]
    fn views_do_not_depend_on_each_other(
        records in records(600),
        row_group in 1_usize..200,
        limit in prop_oneof![Just(usize::MAX), 0..400_000_usize],
        threads in 1_usize..3,
    ) {
        let views: Vec<View> = [
            "key@1h:rows,subjects,sources",
            "key@1d:rows,subjects,blocks,sources",
            "user@2h:denied,subjects",
            "object@3h:rows,sources",
            "object@1d:subjects,blocks",
            "key+object@1h:rows,subjects,blocks,sources",
            "object+key@1d:rows,subjects",
            "user+object@1d:rows,bytes,denied,subjects",
            "user+object@2h:rows,sources",
            "user+object@3h:rows,bytes",
            "user+key+object@1h:rows,bytes,denied,missing,subjects,blocks,sources",
        ]
        .map(|view| view.parse().unwrap())
        .to_vec();
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::create_dir(&log).unwrap();
        write_log(&log.join("log.parquet"), &records, row_group, true);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let memory = beyond_taken(limit, threads, dir.path());
        let counted = || count(&plan(&log, &views), &views, Some(&memory), &|_| ()).unwrap().0;
        let together = pool.install(|| counted().into_rollup()).unwrap();
        prop_assert_eq!(together.tables.len(), views.len());
        for table in &together.tables {
            let alone = rollup(&log, std::slice::from_ref(&table.view)).0;
            prop_assert_eq!(table, &alone.tables[0]);
        }
    }

    #[test]
    fn merging_parts_is_building_the_whole(records in records(300), cuts in [0.0..1.0, 0.0..1.0_f64]) {
        let at = |cut: f64| (cut * (records.len() - 1) as f64) as usize;
        let (first, second) = (at(cuts[0].min(cuts[1])), at(cuts[0].max(cuts[1])));
        let slices = [&records[..first], &records[first..second], &records[second..]];
        let parts: Vec<Rollup> =
            slices.iter().filter(|part| !part.is_empty()).map(|part| mergeable(&built(&[part], 50, 2))).collect();
        let whole = mergeable(&built(&[&records], 50, 2));
        prop_assert_eq!(Rollup::merge(parts.clone()), whole.clone());
        let backwards = parts.iter().rev().cloned().collect();
        prop_assert_eq!(Rollup::merge(backwards), whole.clone());
        let folded = parts.into_iter().reduce(|a, b| Rollup::merge(vec![a, b]));
        prop_assert_eq!(folded, Some(whole));
    }

    #[test]
    fn coarser_windows_are_what_a_build_would_give(records in records(300)) {
        let fine: Vec<View> = vec!["key+object@1h:rows,missing,subjects,blocks,sources".parse().unwrap()];
        let coarse: Vec<View> = vec!["key+object@1d:rows,missing,subjects,blocks".parse().unwrap()];
        let dir = tempfile::tempdir().unwrap();
        write_log(&dir.path().join("log.parquet"), &records, 100, true);
        let hours = &rollup(dir.path(), &fine).0.tables[0];
        let days = &rollup(dir.path(), &coarse).0.tables[0];
        prop_assert_eq!(&hours.coarsen(Window::DAY), days);
        prop_assert_eq!(&days.coarsen(Window::HOUR), days);
    }
}

/// So many bytes beyond what a run takes anyway; with none, not even that.
fn beyond_taken(bytes: usize, threads: usize, folder: &std::path::Path) -> Memory {
    let taken = if bytes == 0 { 0 } else { Memory::taken(threads) };
    Memory::new(taken.saturating_add(bytes), folder)
}

/// Each row group becomes a run: more than lie in one file, and more than are merged at once.
#[test]
fn very_many_runs_are_merged_in_stages() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    std::fs::create_dir(&log).unwrap();
    let records: Vec<Record> = (0..300).map(|row| record(&format!("k{}", row % 11), row % 50, "s")).collect();
    write_log(&log.join("log.parquet"), &records, 1, true);
    let whole = rollup(&log, &views()).0;
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let memory = beyond_taken(0, threads, dir.path());
        let counts =
            pool.install(|| count(&plan(&log, &views()), &views(), Some(&memory), &|_| ()).unwrap().0);
        assert!((1..=96).contains(&counts.spilled_runs()), "{}", counts.spilled_runs());
        assert_eq!(pool.install(|| counts.into_rollup()).unwrap(), whole);
    }
}

#[test]
fn one_row_group_of_new_names_is_set_aside_in_parts() {
    let record = |row: i64| Record {
        time: 1_750_000_000_000_000 + row % 50_000 * 5_000_000,
        key: Some(format!("k{}", row % 7)),
        user: Some(format!("u{}", row * 7919 % 50_000)),
        source: Some(format!("s{}", row % 300)),
        object: Some(format!("o{}", row % 11)),
        subject: Some(row % 4000),
        rows: Some(1),
        ..Record::default()
    };
    let records: Vec<Record> = (0..60_000).map(record).collect();
    for dictionary in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::create_dir(&log).unwrap();
        write_log(&log.join("log.parquet"), &records, records.len(), dictionary);
        let memory = beyond_taken(6 << 20, 1, dir.path());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (counts, _) =
            pool.install(|| count(&plan(&log, &views()), &views(), Some(&memory), &|_| ()).unwrap());
        // The row group is read in eight batches.
        assert!(counts.spilled_runs() > 2, "{} runs", counts.spilled_runs());
        let out = dir.path().join("rollup");
        pool.install(|| counts.write(&out, |_| ())).unwrap();
        assert!(files(&out) == store_bytes(&rollup(&log, &views()).0));
    }
}

fn record(key: &str, hour: i64, source: &str) -> Record {
    Record {
        time: hour * 3_600_000_000,
        key: Some(key.to_owned()),
        user: None,
        source: Some(source.to_owned()),
        object: None,
        subject: Some(hour),
        rows: Some(1),
        bytes: None,
        status: None,
    }
}

#[test]
fn sources_survive_a_merge_of_disjoint_cells_only() {
    let view: View = "key@1h:sources".parse().unwrap();
    let build = |records: &[Record]| {
        let dir = tempfile::tempdir().unwrap();
        write_log(&dir.path().join("log.parquet"), records, 10, true);
        rollup(dir.path(), std::slice::from_ref(&view)).0
    };
    let monday = build(&[record("a", 1, "x"), record("a", 1, "y"), record("b", 1, "x")]);
    let tuesday = build(&[record("a", 25, "x")]);
    let overlap = build(&[record("b", 1, "z")]);
    let merged = Rollup::merge(vec![tuesday.clone(), monday.clone()]);
    assert_eq!(merged.tables[0].count(Metric::Sources), [2, 1, 1]);
    for order in [[&monday, &tuesday, &overlap], [&overlap, &tuesday, &monday]] {
        let merged = Rollup::merge(order.into_iter().cloned().collect());
        assert_eq!(merged.tables[0].view.metrics(), [Metric::Events]);
        assert_eq!(merged.tables[0].count(Metric::Events), [2, 1, 2]);
    }
}

#[test]
fn views_with_different_metrics_merge_to_what_both_know() {
    let dir = tempfile::tempdir().unwrap();
    write_log(&dir.path().join("log.parquet"), &[record("a", 1, "x")], 10, true);
    let one = |view: &str| rollup(dir.path(), &[view.parse().unwrap()]).0;
    let merged =
        Rollup::merge(vec![one("key@1h:rows,subjects"), one("key@1h:subjects,missing"), one("key@1d:rows")]);
    let views: Vec<String> = merged.tables.iter().map(|table| table.view.to_string()).collect();
    assert_eq!(views, ["key@1h:events,subjects", "key@1d:events,rows"]);
    assert_eq!(merged.tables[0].sketches.subjects[0].estimate(), 1.0);
    assert_eq!(Rollup::merge(Vec::new()), Rollup::default());
}

#[test]
fn disorder_and_large_sketches() {
    // Out of order and many: late cells and dense sketches take part.
    let many: Vec<Record> = (0..60_000_i64)
        .map(|i| {
            let mut record = record(&format!("k{}", i * 7919 % 5), i * 104_729 % 2000, "s");
            record.subject = Some(i);
            record
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    write_log(&dir.path().join("log.parquet"), &many, 9000, true);
    let views: Vec<View> = ["key@1h:rows,sources", "key@90d:subjects"].map(|v| v.parse().unwrap()).to_vec();
    let tables = rollup(dir.path(), &views).0.tables;
    check(tables.iter().find(|table| table.view == views[0]).unwrap(), &many);
    let quarter = tables.iter().find(|table| table.view == views[1]).unwrap();
    let want = naive(&many, &views[1]);
    for (sketch, naive) in quarter.sketches.subjects.iter().zip(want.values()) {
        let mut alone = Sketch::default();
        naive.subjects.iter().for_each(|hash| alone.insert_hash(*hash));
        assert_eq!(sketch.to_bytes(), alone.to_bytes());
        let truth = naive.subjects.len() as f64;
        assert!((sketch.estimate() / truth - 1.0).abs() < 4.0 * sketch.standard_error());
    }
}

#[test]
fn no_room_for_what_exceeds_the_memory_is_an_error_that_names_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let record = Record { time: 1_750_000_000_000_000, key: Some("k".into()), ..Record::default() };
    write_log(&dir.path().join("log.parquet"), &[record], 10, true);
    let gone = dir.path().join("gone");
    let counted = count(&plan(dir.path(), &views()), &views(), Some(&Memory::new(0, &gone)), &|_| ());
    let error = counted.unwrap_err().to_string();
    assert!(error.contains("gone: ") && error.contains("--memory"), "{error}");
}
