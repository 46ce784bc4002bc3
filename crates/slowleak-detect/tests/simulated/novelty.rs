//! New sources that do little else than one thing, among many that do not.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{DetectConfig, Detector, Finding, Severity, detect};
use slowleak_record::{Micros, Registry};
use slowleak_rollup::{DayTable, Rollup};

use crate::world::{DAYS, Daily, day, poisson, rollup, run};

const OBJECTS: usize = 20;

/// Accesses by (source, object, day) under one key.
type Log = BTreeMap<(String, usize), Daily>;

fn add(log: &mut Log, source: &str, object: usize, day: usize, events: f64) {
    log.entry((source.to_owned(), object)).or_insert_with(|| vec![0.0; DAYS])[day] += events;
}

/// A key with 200 sources from the start and two more a day that stay for weeks; all of them draw from one mix. Some,
/// `devoted` in number, touch an object of their own alone.
fn honest(seed: u64, devoted: usize) -> Log {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut log = Log::new();
    for source in 0..200 + 2 * DAYS {
        let first = if source < 200 { 0 } else { (source - 200) / 2 };
        let last = if source < 200 { DAYS } else { DAYS.min(first + rng.random_range(1..60)) };
        for day in first..last {
            for _ in 0..poisson(&mut rng, 1.5) as usize {
                // The smaller of two: some objects are touched far more often than others.
                let mixed = rng.random_range(0..OBJECTS).min(rng.random_range(0..OBJECTS));
                let object = if source % 40 < devoted { source / 40 } else { mixed };
                add(&mut log, &format!("10.0.0.{source}"), object, day, 1.0);
            }
        }
    }
    log
}

fn found(log: &Log) -> Vec<Finding> {
    run(&counted(log))
}

fn counted(log: &Log) -> Rollup {
    let by = |of: &dyn Fn(&str, usize) -> String| {
        let mut sums = BTreeMap::<String, Daily>::new();
        for ((source, object), counts) in log {
            let sum = sums.entry(of(source, *object)).or_insert_with(|| vec![0.0; DAYS]);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sums.into_iter().collect::<Vec<_>>()
    };
    let mut pairs = rollup("key@1d:events", &by(&|source, object| format!("{source} + o{object:02}")));
    pairs.view = "source+object@1d:events".parse().unwrap();
    let tables = vec![
        rollup("key@1d:events", &by(&|_, _| "k".to_owned())),
        rollup("key+object@1d:events", &by(&|_, object| format!("k + o{object:02}"))),
        rollup("key+source@1d:events", &by(&|source, _| format!("k + {source}"))),
        rollup("object@1d:events", &by(&|_, object| format!("o{object:02}"))),
        pairs,
    ];
    Rollup { tables }
}

fn leak(log: &mut Log, days: std::ops::Range<usize>, seed: u64) {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    for day in days {
        for source in ["192.0.2.1", "192.0.2.2"] {
            add(log, source, 12, day, 1.0 + poisson(&mut rng, 2.5));
        }
    }
}

#[test]
fn two_new_addresses_that_read_one_object_alone_are_one_finding() {
    let mut log = honest(41, 0);
    leak(&mut log, 100..120, 41);
    let all = found(&log);
    let reported: Vec<_> = all.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    let [leak] = reported[..] else { panic!("{all:?}") };
    assert_eq!((leak.detector, leak.entity.as_str()), (Detector::Novelty, "k + o12"), "{}", leak.summary);
    assert_eq!((leak.start, leak.end), (day(100), day(120)));
    assert_eq!(leak.evidence.len(), 3, "the two and each of them");
    assert!(leak.summary.contains("2 sources never seen before (192.0.2."), "{}", leak.summary);
}

#[test]
fn it_is_found_after_two_days() {
    let mut log = honest(42, 0);
    leak(&mut log, 150..152, 42);
    for counts in log.values_mut() {
        counts[152..].fill(0.0);
    }
    let all = found(&log);
    assert!(
        all.iter().any(|f| f.severity >= Severity::Medium && f.end.0 - f.start.0 == 2 * Micros::DAY),
        "{all:?}"
    );
}

#[test]
fn new_sources_by_the_hundred_are_no_finding() {
    let mut raised = 0;
    for seed in 50..56 {
        raised += found(&honest(seed, 0)).len();
    }
    assert_eq!(raised, 0);
}

#[test]
fn where_sources_are_devoted_to_what_they_do_that_is_the_custom() {
    let mut log = honest(60, 8);
    leak(&mut log, 100..120, 60);
    let novel: Vec<_> = found(&log).into_iter().filter(|f| f.detector == Detector::Novelty).collect();
    assert!(novel.is_empty(), "{novel:?}");
}

#[test]
fn nobody_is_judged_by_a_part_of_the_pairs() {
    let mut log = honest(61, 0);
    leak(&mut log, 100..120, 61);
    let rollup = counted(&log);
    let mut days: Vec<DayTable> = rollup.tables.iter().map(DayTable::of).collect();
    let novel = |days: &[DayTable]| {
        let Ok(all) = detect(days, &rollup, &Registry::default(), &DetectConfig::default());
        all.findings.iter().any(|finding| finding.detector == Detector::Novelty)
    };
    assert!(novel(&days));
    days[4].partial = true;
    assert!(!novel(&days));
}
