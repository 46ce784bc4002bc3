//! Records of the log that are missing, beside people who stay away.

use std::ops::Range;

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Detector, Finding, Severity};
use slowleak_record::Micros;
use slowleak_rollup::{Dimension, Metric, Rollup};

use crate::world::{DAYS, empty, gauss, name, poisson, run, start, wander};

const KEYS: usize = 60;

/// Keys that work by day and a tenth as much at night and at weekends, with a day factor that they share and one of their
/// own; of their accesses in an hour the part that `left` says is in the log.
fn log(seed: u64, left: impl Fn(usize, usize) -> f64) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let common = wander(&mut rng, 0.12, 0.6);
    let mut table = empty("key@1h:events");
    for key in 0..KEYS {
        let level = 10.0 + 60.0 * key as f64 / KEYS as f64;
        let own = wander(&mut rng, 0.15, 0.5);
        table.entities.push(name(key));
        for hour in 0..DAYS * 24 {
            let (day, of_day) = (hour / 24, hour % 24);
            let work = if (8..18).contains(&of_day) && day % 7 < 5 { 1.0 } else { 0.1 };
            let rate = level * work * common[day] * own[day] * (0.1 * gauss(&mut rng)).exp();
            let events = poisson(&mut rng, rate * left(key, hour));
            if events > 0.0 {
                table.windows.push(time(hour));
                table.counts[Metric::Events as usize].push(events as i64);
            }
        }
        table.offsets.push(table.windows.len());
    }
    Rollup { tables: vec![table] }
}

fn time(hour: usize) -> Micros {
    Micros(start().0 + hour as i64 * Micros::HOUR)
}

/// The day 94 is a Tuesday.
fn on_day(hours: Range<usize>) -> Range<usize> {
    94 * 24 + hours.start..94 * 24 + hours.end
}

fn gaps(log: &Rollup) -> Vec<Finding> {
    let mut found = run(log);
    found.retain(|finding| finding.detector == Detector::LogGap);
    found
}

#[test]
fn a_lost_day_is_told_to_the_hour_with_what_it_should_have_held() {
    for seed in 0..3 {
        let lost = on_day(0..24);
        let found = gaps(&log(seed, |_, hour| if lost.contains(&hour) { 0.0 } else { 1.0 }));
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
        let gap = &found[0];
        assert_eq!((gap.start, gap.end), (time(lost.start), time(lost.end)));
        assert_eq!(
            (gap.severity, gap.dimension.clone(), gap.observed),
            (Severity::Medium, Dimension::LOG, 0.0)
        );
        // Sixty keys with a mean level of 39.5, ten hours of work and fourteen of a tenth.
        assert!((gap.expected / (60.0 * 39.5 * 11.4) - 1.0).abs() < 0.3, "{}", gap.expected);
        assert!(gap.summary.contains("no record at all for 24 hours"), "{}", gap.summary);
    }
}

#[test]
fn weeks_without_a_log_are_one_gap() {
    let lost = 60 * 24 + 5..75 * 24 + 11;
    let found = gaps(&log(4, |_, hour| if lost.contains(&hour) { 0.0 } else { 1.0 }));
    let edges: Vec<(Micros, Micros)> = found.iter().map(|gap| (gap.start, gap.end)).collect();
    assert_eq!(edges, [(time(lost.start), time(lost.end))]);
}

#[test]
fn an_outage_of_some_hours_looks_the_same_and_is_low() {
    let lost = on_day(9..13);
    let found = gaps(&log(5, |_, hour| if lost.contains(&hour) { 0.02 } else { 1.0 }));
    let told: Vec<(Micros, Micros, Severity)> =
        found.iter().map(|gap| (gap.start, gap.end, gap.severity)).collect();
    assert_eq!(told, [(time(lost.start), time(lost.end), Severity::Low)]);
    assert!(found[0].summary.contains("or nobody could work"), "{}", found[0].summary);
}

#[test]
fn an_outage_after_which_the_work_is_made_up_for_is_information() {
    let lost = on_day(9..13);
    let (left, none) = (0.02, 0.0);
    let cases = [(left, 1.0), (left, 1.6), (none, 1.0), (none, 1.6)];
    for (seed, (rest, more)) in (5..8).flat_map(|seed| cases.map(|case| (seed, case))) {
        let found = gaps(&log(seed, |_, hour| match hour {
            _ if lost.contains(&hour) => rest,
            _ if (lost.end..lost.end + 4).contains(&hour) => more,
            _ => 1.0,
        }));
        let [gap] = &found[..] else { panic!("seed {seed}: {found:?}") };
        let explained = (gap.severity, gap.cause.is_some());
        // Of an empty log nothing shows that it was written.
        let outage = rest > 0.0 && more > 1.0;
        let expected = if outage { (Severity::Info, true) } else { (Severity::Low, false) };
        assert_eq!(explained, expected, "seed {seed}: {}", gap.summary);
    }
}

/// The day 94 of a key that has seven accesses an hour at night.
fn stands_still(hours: Range<usize>) -> Rollup {
    log(8, move |key, hour| if key == KEYS - 1 && hours.contains(&hour) { 0.0 } else { 1.0 })
}

#[test]
fn what_never_rests_and_stands_still_is_told_once_it_is_back() {
    for days in [1, 7] {
        let lost = on_day(0..24 * days);
        let found = gaps(&stands_still(lost.clone()));
        let [gap] = &found[..] else { panic!("{found:?}") };
        assert_eq!((gap.start, gap.end, gap.severity), (time(lost.start), time(lost.end), Severity::Low));
        assert_eq!((gap.dimension.to_string(), &gap.key), ("key".to_owned(), &Some(name(KEYS - 1))));
        assert!(gap.observed == 0.0 && gap.expected > 300.0 * days as f64, "{gap:?}");
        assert!(gap.summary.contains("or it stood still"), "{}", gap.summary);
    }
}

#[test]
fn what_ends_or_rests_anyway_or_restarts_is_no_gap() {
    let given_up = gaps(&stands_still(94 * 24..DAYS * 24));
    assert!(given_up.is_empty(), "{given_up:?}");
    let restarted = gaps(&stands_still(on_day(10..14)));
    assert!(restarted.is_empty(), "{restarted:?}");
    // People: on leave for two weeks each, never there at night.
    let on_leave = gaps(&log(9, |key, hour| {
        let (day, of_day) = (hour / 24, hour % 24);
        let away = (30 + key..44 + key).contains(&day) && key % 2 == 0;
        if away || (key % 2 == 0 && !(8..18).contains(&of_day)) { 0.0 } else { 1.0 }
    }));
    assert!(on_leave.is_empty(), "{on_leave:?}");
}

#[test]
fn a_part_that_all_lose_alike_is_told_and_people_who_stay_away_are_not() {
    let lost = on_day(9..15);
    let (mut told, mut away, mut all) = (0, Vec::new(), Vec::new());
    for seed in 0..6 {
        let half = log(seed, |_, hour| if lost.contains(&hour) { 0.5 } else { 1.0 });
        let found = gaps(&half);
        told += usize::from(found.iter().any(|gap| {
            gap.start.0.abs_diff(time(lost.start).0) <= Micros::HOUR as u64
                && gap.end.0.abs_diff(time(lost.end).0) <= Micros::HOUR as u64
                && gap.summary.contains("alike")
        }));
        all.extend(found.into_iter().map(|gap| gap.summary));
        // As many accesses fewer, by two keys in three that do hardly anything.
        let some = |key: usize, hour: usize| {
            if lost.contains(&hour) && !key.is_multiple_of(3) { 0.2 } else { 1.0 }
        };
        away.extend(gaps(&log(seed, some)));
    }
    assert!(told >= 5, "{told} of 6: {all:?}");
    assert!(away.is_empty(), "{away:?}");
}

#[test]
fn leak_free_logs_have_no_gaps() {
    let found: Vec<Finding> = (10..20).flat_map(|seed| gaps(&log(seed, |_, _| 1.0))).collect();
    // An expected 0.05 a log.
    assert!(found.len() <= 2, "{found:?}");
}

#[test]
fn a_level_that_falls_for_good_and_records_still_on_their_way_are_no_gaps() {
    let falls = gaps(&log(6, |_, hour| if hour >= 100 * 24 { 0.5 } else { 1.0 }));
    assert!(falls.is_empty(), "{falls:?}");
    let late = gaps(&log(7, |_, hour| if hour >= DAYS * 24 - 16 { 0.3 } else { 1.0 }));
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_leak_and_the_gap_that_it_touches_name_each_other() {
    let lost = on_day(13..15);
    let found = run(&log(8, |key, hour| match hour {
        _ if lost.contains(&hour) => 0.0,
        _ if key == 40 && on_day(10..13).contains(&hour) => 4.0,
        _ => 1.0,
    }));
    let leak = found.iter().find(|one| one.entity == name(40) && one.severity >= Severity::Medium).unwrap();
    let gap = found.iter().find(|one| one.detector == Detector::LogGap).unwrap();
    assert!(leak.summary.contains("the log has a gap there (from 2025-06-03 13:00 to"), "{}", leak.summary);
    assert!(gap.summary.contains(&leak.id) && gap.severity <= Severity::Medium, "{}", gap.summary);
}
