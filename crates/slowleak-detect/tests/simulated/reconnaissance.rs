//! Keys and users that look around, among many that go about their work.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Detector, Finding, Severity};
use slowleak_record::{Micros, Window};
use slowleak_rollup::{Metric, Rollup, Table};

use crate::world::{DAYS, Daily, busy, day, name, poisson, rollup, run, wander};

const KEYS: usize = 80;

/// Accesses by key, object and day.
type Log = BTreeMap<(usize, usize), Daily>;

fn add(log: &mut Log, key: usize, object: usize, day: usize, events: f64) {
    log.entry((key, object)).or_insert_with(|| vec![0.0; DAYS])[day] += events;
}

/// Keys that differ in how much they do, and in how many of the first 80 objects they care for; each has favourites, and
/// now and then comes upon something else.
fn honest(seed: u64) -> Log {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut log = Log::new();
    for key in 0..KEYS {
        let (level, curious) = (rng.random_range(2.0..40.0), rng.random_range(0.0..0.3));
        let own = rng.random_range(0..80);
        let factor = wander(&mut rng, 0.3, 0.5);
        for (day, factor) in factor.iter().enumerate() {
            for _ in 0..poisson(&mut rng, level * factor) as usize {
                let far = rng.random_bool(curious);
                let object = if far { rng.random_range(0..80) } else { (own + rng.random_range(0..4)) % 80 };
                add(&mut log, key, object, day, 1.0);
            }
        }
    }
    log
}

/// Touches so many objects that hardly anybody knows, once each, from the first one on.
fn look_around(log: &mut Log, key: usize, days: Range<usize>, objects: Range<usize>) {
    for object in objects {
        add(log, key, object, days.start + object % days.len(), 1.0);
    }
}

fn summed(log: &Log, of: &dyn Fn(usize, usize) -> String) -> Vec<(String, Daily)> {
    let mut sums = BTreeMap::<String, Daily>::new();
    for ((key, object), counts) in log {
        let sum = sums.entry(of(*key, *object)).or_insert_with(|| vec![0.0; DAYS]);
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    sums.into_iter().collect()
}

fn by(field: &str, log: &Log) -> Vec<Table> {
    vec![
        rollup(&format!("{field}@1d:events"), &summed(log, &|key, _| name(key))),
        rollup(
            &format!("{field}+object@1d:events"),
            &summed(log, &|key, object| format!("{} + o{object:03}", name(key))),
        ),
        rollup("object@1d:events", &summed(log, &|_, object| format!("o{object:03}"))),
    ]
}

fn found(log: &Log) -> Vec<Finding> {
    run(&Rollup { tables: by("key", log) })
}

fn explorers(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.detector == Detector::Reconnaissance).collect()
}

#[test]
fn a_key_that_looks_around_for_three_days_is_found() {
    for seed in 0..3 {
        let mut log = honest(seed);
        look_around(&mut log, 7, 100..103, 80..110);
        let all = found(&log);
        let [one] = explorers(&all)[..] else { panic!("seed {seed}: {all:?}") };
        assert_eq!((one.entity.as_str(), one.metric), (name(7).as_str(), Metric::NewObjects));
        assert_eq!((one.start, one.end), (day(100), day(103)), "{}", one.summary);
        assert!((30.0..36.0).contains(&one.observed) && one.expected < 6.0, "{}", one.summary);
        assert!(one.severity >= Severity::Medium && one.subjects.is_none(), "{one:?}");
        assert!(one.summary.contains("o080, o08"), "{}", one.summary);
    }
}

#[test]
fn nobody_looks_around_in_honest_logs() {
    for seed in 10..16 {
        let all = found(&honest(seed));
        assert!(explorers(&all).is_empty(), "seed {seed}: {all:?}");
    }
}

#[test]
fn what_many_begin_to_use_is_no_reconnaissance() {
    let mut log = honest(30);
    for key in 0..8 {
        look_around(&mut log, key, 100 + key % 3..103 + key % 3, 80..110);
    }
    let all = found(&log);
    assert!(explorers(&all).is_empty(), "{all:?}");
}

#[test]
fn who_keeps_what_was_new_has_new_work() {
    let mut log = honest(31);
    for object in 80..110 {
        for day in (100 + object % 3..DAYS).step_by(5) {
            add(&mut log, 7, object, day, 1.0);
        }
    }
    let all = found(&log);
    assert!(explorers(&all).is_empty(), "{all:?}");
}

#[test]
fn a_key_is_not_blamed_for_what_its_new_user_knew() {
    let mut log = honest(32);
    look_around(&mut log, 7, 100..103, 80..110);
    let users = |knew: bool| {
        // The user of key 7 since that day; before, the same objects under key 8.
        let mut tables = by("key", &log);
        let pairs = |user: &str, key: usize, days| {
            (format!("{} + {user}", name(key)), busy(&mut Pcg64Mcg::seed_from_u64(1), days, 9.0))
        };
        tables.push(rollup("key+user@1d:events", &[pairs("kim", 7, 100..180), pairs("kim", 8, 0..100)]));
        let first = if knew { 20 } else { 101 };
        let use_of = |object: usize| {
            let then = 100 + object % 3;
            let counts = (0..DAYS).map(|day| f64::from(u8::from(day == first || day == then))).collect();
            (format!("kim + o{object:03}"), counts)
        };
        tables.push(rollup("user+object@1d:events", &(80..110).map(use_of).collect::<Vec<_>>()));
        let all = run(&Rollup { tables });
        all.iter().any(|finding| finding.detector == Detector::Reconnaissance && finding.entity == name(7))
    };
    assert!(!users(true) && users(false));
}

#[test]
fn the_leak_that_follows_has_it_as_evidence() {
    let mut log = honest(33);
    look_around(&mut log, 7, 100..103, 80..110);
    for day in 105..119 {
        add(&mut log, 7, 85, day, 60.0);
    }
    let all = found(&log);
    let of_key: Vec<&Finding> =
        all.iter().filter(|finding| finding.key.as_deref() == Some(&name(7))).collect();
    let [one] = of_key[..] else { panic!("{all:?}") };
    assert_ne!(one.detector, Detector::Reconnaissance, "{}", one.summary);
    assert_eq!((one.start, one.end), (day(105), day(119)), "{}", one.summary);
    let before = one.evidence.iter().find(|row| row.detector == Detector::Reconnaissance).unwrap();
    assert_eq!((before.start, before.metric), (day(100), Metric::NewObjects));
    assert!(one.summary.contains("objects were used for the first time"), "{}", one.summary);
}

#[test]
fn weeks_tell_of_users() {
    let mut log = honest(34);
    look_around(&mut log, 7, 100..102, 80..110);
    let mut tables = by("user", &log);
    let weekly = &mut tables[1];
    weekly.view = "user+object@7d:events".parse().unwrap();
    let (mut windows, mut events, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
    for entity in 0..weekly.entities.len() {
        let mut weeks = BTreeMap::<Micros, i64>::new();
        for cell in weekly.cells(entity) {
            *weeks.entry(Window::WEEK.floor(weekly.windows[cell])).or_default() +=
                weekly.count(Metric::Events)[cell];
        }
        windows.extend(weeks.keys());
        events.extend(weeks.values());
        offsets.push(windows.len());
    }
    (weekly.windows, weekly.offsets) = (windows, offsets);
    weekly.counts[Metric::Events as usize] = events;
    let all = run(&Rollup { tables });
    let [one] = explorers(&all)[..] else { panic!("{all:?}") };
    assert_eq!((one.entity.as_str(), one.dimension.to_string().as_str()), (name(7).as_str(), "user"));
    assert!(
        (one.start..one.end).contains(&day(100)) && one.end.0 - one.start.0 <= 14 * Micros::DAY,
        "{}",
        one.summary
    );
}
