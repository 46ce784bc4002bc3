//! Tables whose accounts are visited by number, among many whose accounts come as they come.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Detector, Finding, Severity};
use slowleak_rollup::{Metric, Rollup, Sketch, Table};
use slowleak_scan::{block_hash, subject_hash};

use crate::world::{DAYS, Daily, day, name, poisson, rollup, run, wander};

const TABLES: usize = 40;
/// Accounts that there are.
const ACCOUNTS: u64 = 200_000;

/// Accounts of each table and day, in order.
type Log = Vec<Vec<Vec<u64>>>;

/// Tables that differ in how much is done with them; accounts are drawn from all, the recent ones more often.
fn honest(seed: u64, busy: f64) -> Log {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let table = |_| {
        let level = rng.random_range(5.0..busy);
        let factor = wander(&mut rng, 0.3, 0.5);
        let mut of_day = |factor: &f64| {
            let visits = poisson(&mut rng, level * factor) as usize;
            let account = |_| {
                let recent: f64 = rng.random();
                10_000_000 + ((1.0 - recent * recent) * ACCOUNTS as f64) as u64
            };
            (0..visits).map(account).collect::<Vec<u64>>()
        };
        factor.iter().map(&mut of_day).collect()
    };
    (0..TABLES).map(table).collect()
}

/// Visits so many accounts a day, one number after the other.
fn walk(log: &mut Log, table: usize, days: impl Iterator<Item = usize>, accounts: u64) {
    for (nth, day) in days.enumerate() {
        let first = 10_000_000 + (nth as u64 * accounts) % ACCOUNTS;
        log[table][day].extend(first..first + accounts);
    }
}

fn view(log: &Log) -> Table {
    let events = |table: &Vec<Vec<u64>>| -> Daily { table.iter().map(|day| day.len() as f64).collect() };
    let named: Vec<(String, Daily)> = log.iter().enumerate().map(|(at, of)| (name(at), events(of))).collect();
    let mut table = rollup("object@1d:events", &named);
    table.view = "object@1d:subjects,blocks".parse().unwrap();
    for day in log.iter().flatten().filter(|day| !day.is_empty()) {
        let texts: Vec<String> = day.iter().map(u64::to_string).collect();
        let sketch = |hash: fn(&[u8]) -> u64| {
            let mut sketch = Sketch::default();
            let hashes: Vec<u64> = texts.iter().map(|text| hash(text.as_bytes())).collect();
            sketch.insert_hashes(&hashes);
            sketch
        };
        table.sketches.subjects.push(sketch(subject_hash));
        table.sketches.blocks.push(sketch(block_hash));
    }
    table
}

fn found(log: &Log) -> Vec<Finding> {
    run(&Rollup { tables: vec![view(log)] })
}

/// Findings with an evidence of visits by number.
fn walkers(findings: &[Finding]) -> Vec<&Finding> {
    let walks = |finding: &&Finding| finding.evidence.iter().any(|row| row.detector == Detector::Enumeration);
    findings.iter().filter(walks).collect()
}

fn walked(log: &Log, table: usize, days: Range<usize>) {
    let all = found(log);
    let [one] = walkers(&all)[..] else { panic!("{all:?}") };
    let row = one.evidence.iter().find(|row| row.detector == Detector::Enumeration).unwrap();
    assert_eq!((row.entity.as_str(), row.metric), (name(table).as_str(), Metric::Neighbours));
    assert_eq!((row.start, row.end), (day(days.start), day(days.end)), "{}", one.summary);
    assert!(one.severity >= Severity::Medium, "{one:?}");
    assert!(one.summary.contains("visited by number"), "{}", one.summary);
}

#[test]
fn accounts_by_number_are_found_with_their_days() {
    for seed in 0..3 {
        let mut log = honest(seed, 60.0);
        walk(&mut log, 7, 100..110, 40);
        walked(&log, 7, 100..110);
    }
}

#[test]
fn a_leak_of_most_of_the_log_is_found() {
    let mut log = honest(20, 60.0);
    walk(&mut log, 7, 40..175, 40);
    walked(&log, 7, 40..175);
}

#[test]
fn estimated_counts_will_do() {
    let mut log = honest(21, 900.0);
    walk(&mut log, 7, 100..103, 3_000);
    walked(&log, 7, 100..103);
}

#[test]
fn what_is_all_by_number_is_said_so() {
    // A table that nobody used: no other detector has anything to hold it against.
    let mut log = honest(22, 60.0);
    log[7].iter_mut().for_each(Vec::clear);
    walk(&mut log, 7, 100..103, 400);
    let all = found(&log);
    let [one] = walkers(&all)[..] else { panic!("{all:?}") };
    assert_eq!((one.detector, one.start, one.end), (Detector::Enumeration, day(100), day(103)));
    assert!((1_100.0..1_250.0).contains(&one.observed) && one.expected < 300.0, "{}", one.summary);
    assert!((one.subjects.unwrap() / 1_200.0 - 1.0).abs() < 0.1, "{one:?}");
}

#[test]
fn nobody_goes_by_number_in_honest_logs() {
    for (seed, busy) in [(10, 60.0), (11, 60.0), (12, 900.0), (13, 900.0), (14, 6_000.0)] {
        let all = found(&honest(seed, busy));
        assert!(walkers(&all).is_empty(), "seed {seed}: {all:?}");
    }
}

#[test]
fn jobs_that_always_went_by_number_are_no_finding() {
    let mut log = honest(30, 60.0);
    // Every night; every Monday; on the first of the month; now and then, less and more.
    walk(&mut log, 7, 0..DAYS, 200);
    walk(&mut log, 8, (2..DAYS).step_by(7), 500);
    walk(&mut log, 9, (15..DAYS).step_by(30), 2_000);
    for (nth, day) in (3..DAYS).step_by(4).enumerate() {
        walk(&mut log, 10, std::iter::once(day), 50 + 400 * (nth as u64 % 5));
    }
    let all = found(&log);
    assert!(walkers(&all).is_empty(), "{all:?}");
}

#[test]
fn a_job_that_has_an_outage_and_catches_up_is_no_finding() {
    let mut log = honest(31, 60.0);
    walk(&mut log, 7, (0..80).chain(100..DAYS), 100);
    walk(&mut log, 7, std::iter::once(100), 2_000);
    let all = found(&log);
    assert!(walkers(&all).is_empty(), "{all:?}");
}
