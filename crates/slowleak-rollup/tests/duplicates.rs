//! Records that repeat others count once: which ones are left out, against brute force.

#![allow(clippy::unwrap_used, reason = "test helpers outside of test functions may fail loudly too")]

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use proptest::prelude::*;
use slowleak_record::{FieldSet, Mapping, Micros, TimeRange, discover};
use slowleak_rollup::{Memory, Metric, Rollup, count, count_files};
use slowleak_scan::{Decoder, Duplicates, Plan, ScanOptions};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Event {
    /// Seconds since the epoch; `None` is a record that can not be used.
    time: Option<i64>,
    key: Option<u8>,
    id: Option<u8>,
    object: u8,
}

#[derive(Debug, Clone)]
struct Log {
    events: Vec<Event>,
    /// Ids as integers.
    integers: bool,
    statistics: bool,
    row_group: usize,
}

fn log() -> impl Strategy<Value = Log> {
    let event = (
        proptest::option::weighted(0.95, 0..40_i64),
        proptest::option::weighted(0.9, 0..3_u8),
        proptest::option::weighted(0.9, 0..6_u8),
        0..3_u8,
    );
    let event = event.prop_map(|(time, key, id, object)| Event { time, key, id, object });
    (proptest::collection::vec(event, 0..40), any::<bool>(), any::<bool>(), 1..12_usize, any::<bool>())
        .prop_map(|(mut events, integers, statistics, row_group, sorted)| {
            if sorted {
                events.sort_by_key(|event| event.time);
            }
            Log { events, integers, statistics, row_group }
        })
}

fn write(path: &Path, log: &Log) {
    let Log { events, integers, statistics, row_group } = log;
    let texts = |of: &dyn Fn(&Event) -> Option<u8>| -> ArrayRef {
        Arc::new(StringArray::from_iter(events.iter().map(|event| Some(of(event)?.to_string()))))
    };
    let ids: ArrayRef = if *integers {
        Arc::new(Int64Array::from_iter(events.iter().map(|event| event.id.map(i64::from))))
    } else {
        texts(&|event| event.id)
    };
    let times = events.iter().map(|event| event.time.map(|time| time * 1_000_000));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("time", Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC")), true),
        ("key", texts(&|event| event.key), true),
        ("object", texts(&|event| Some(event.object)), true),
        ("event_id", ids, true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let statistics = if *statistics { EnabledStatistics::Chunk } else { EnabledStatistics::None };
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(*row_group))
        .set_statistics_enabled(statistics)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn plan(paths: &[PathBuf], mapping: &Mapping, decoder: Decoder, range: TimeRange) -> Plan {
    let options = ScanOptions { decoder, range, ..ScanOptions::default() };
    Plan::new(&discover(paths).unwrap(), mapping, FieldSet::EMPTY, &options)
}

/// By file, the events that count, and whether each repeats one before it.
fn expected(logs: &[&Log], range: TimeRange, same: fn(&Event) -> Option<Same>) -> Vec<Vec<bool>> {
    let mut seen = HashSet::new();
    let counts = |event: &&Event| {
        event.key.is_some() && event.time.is_some_and(|time| range.contains(Micros(time * 1_000_000)))
    };
    let mut repeats = |event: &Event| same(event).is_some_and(|same| !seen.insert((event.time, same)));
    logs.iter().map(|log| log.events.iter().filter(counts).map(&mut repeats).collect()).collect()
}

type Same = (Option<u8>, Option<u8>, u8);

/// The rule of the native preset: an id must be there.
fn by_default(event: &Event) -> Option<Same> {
    event.id.map(|id| (Some(id), event.key, event.object))
}

/// A rule of a source that logs every event twice, under two ids.
fn by_key_and_object(event: &Event) -> Option<Same> {
    Some((None, event.key, event.object))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn of_copies_the_first_is_kept(
        logs in proptest::collection::vec(log(), 1..5),
        earlier in 0..3_usize,
        room in prop_oneof![1_usize..4_000, Just(1 << 20)],
        threads in 1_usize..4,
        arrow: bool,
        by_object: bool,
        range in (0..40_i64, 0..40_i64),
        cut: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..logs.len()).map(|at| dir.path().join(format!("{at}.parquet"))).collect();
        logs.iter().zip(&paths).for_each(|(log, path)| write(path, log));
        let rule = dir.path().join("map.toml");
        std::fs::write(&rule, "[duplicates]\nby = [\"key\", \"object\"]\n").unwrap();
        let mapping = if by_object { Mapping::native().with_file(&rule).unwrap() } else { Mapping::native() };
        let same = if by_object { by_key_and_object } else { by_default };
        let range = if cut {
            let at = |second: i64| Some(Micros(second * 1_000_000));
            TimeRange { since: at(range.0.min(range.1)), until: at(range.0.max(range.1)) }
        } else {
            TimeRange::default()
        };
        let decoder = if arrow { Decoder::Arrow } else { Decoder::Pages };
        let earlier = earlier.min(logs.len() - 1);
        let before = (earlier > 0).then(|| plan(&paths[..earlier], &mapping, decoder, range));
        let plan = plan(&paths[earlier..], &mapping, decoder, range);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| Duplicates::find(&plan, before.as_ref(), room)).unwrap();

        let expected = expected(&logs.iter().collect::<Vec<_>>(), range, same);
        let left_out = |file: usize| expected[earlier + file].iter().filter(|repeats| **repeats).count() as u64;
        let (_, accounts, _) =
            count_files(&plan, before.as_ref(), &["key@1h:events".parse().unwrap()], None, &|_| ()).unwrap();
        for (file, account) in accounts.iter().enumerate() {
            let of_file = plan.units().iter().enumerate().filter(|(_, unit)| unit.file() == file);
            let left: u32 = of_file.flat_map(|(at, _)| found.of(at)).map(|word| word.count_ones()).sum();
            prop_assert_eq!(u64::from(left), left_out(file));
            prop_assert_eq!(account.tally.duplicate, left_out(file));
            prop_assert_eq!(account.tally.read + account.tally.duplicate, expected[earlier + file].len() as u64);
            prop_assert_eq!(account.repeated.values().sum::<u64>(), left_out(file));
        }
    }

    /// Copies say the same; so the cells do not depend on which of them is kept.
    #[test]
    fn a_log_that_was_delivered_twice_is_the_log(
        logs in proptest::collection::vec(log(), 1..4),
        again in proptest::collection::vec(0..4_usize, 0..4),
        limit in prop_oneof![Just(0_usize), Just(1 << 30)],
        threads in 1_usize..4,
    ) {
        // Every event has an id of its own.
        let mut logs = logs;
        for (id, event) in logs.iter_mut().flat_map(|log| &mut log.events).enumerate() {
            event.id = Some((id % 251) as u8);
            event.time = event.time.map(|time| time + 60 * (id / 251) as i64);
        }
        let (once, twice) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (at, log) in logs.iter().enumerate() {
            write(&once.path().join(format!("{at}.parquet")), log);
            write(&twice.path().join(format!("{at}.parquet")), log);
        }
        for (copy, at) in again.iter().enumerate() {
            // In between, by path.
            let log = &logs[at % logs.len()];
            write(&twice.path().join(format!("{}-{copy}.parquet", copy % 2)), log);
        }
        let views = ["key@1h:events".parse().unwrap(), "object@1d:events".parse().unwrap()];
        let rollup = |dir: &Path| -> Rollup {
            let options = ScanOptions::default();
            let plan = Plan::new(&discover(&[dir]).unwrap(), &Mapping::native(), slowleak_rollup::fields(&views), &options);
            let memory = Memory::new(limit, std::env::temp_dir());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| count(&plan, &views, Some(&memory), &|_| ()).unwrap().0.into_rollup().unwrap())
        };
        let (once, twice) = (rollup(once.path()), rollup(twice.path()));
        prop_assert_eq!(&once, &twice);
        let events: i64 = once.tables[0].counts[Metric::Events as usize].iter().sum();
        let usable = logs.iter().flat_map(|log| &log.events).filter(|event| event.key.is_some() && event.time.is_some());
        prop_assert_eq!(events, usable.count() as i64);
    }
}

/// A file that breaks is not what another one's records repeat.
#[test]
fn copies_of_what_can_not_be_read_count() {
    let dir = tempfile::tempdir().unwrap();
    let event = |time: i64| Event { time: Some(time), key: Some(0), id: Some(7), object: 0 };
    let log = Log { events: (0..40).map(event).collect(), integers: false, statistics: true, row_group: 100 };
    let paths = [dir.path().join("0.parquet"), dir.path().join("1.parquet")];
    paths.iter().for_each(|path| write(path, &log));
    let mapping = Mapping::native();
    let views = ["key@1h:events".parse().unwrap()];
    let counted = |paths: &[PathBuf]| {
        let plan = plan(paths, &mapping, Decoder::Pages, TimeRange::default());
        let (_, coverage) = count(&plan, &views, None, &|_| ()).unwrap();
        (coverage.rows.read, coverage.duplicate_rows, coverage.files.rejected)
    };
    assert_eq!(counted(&paths), (40, 40, 0));
    // Its pages, behind a sound footer.
    let mut bytes = std::fs::read(&paths[0]).unwrap();
    bytes[4..200].fill(0xff);
    std::fs::write(&paths[0], bytes).unwrap();
    assert_eq!(counted(&paths), (40, 0, 1));
}
