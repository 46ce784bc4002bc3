//! Bursts of an hour or minutes inside busy days.

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Detector, Finding, Severity};
use slowleak_record::Micros;
use slowleak_rollup::{Metric, Rollup};

use crate::world::{DAYS, empty, gauss, name, poisson, run, start, wander};

const KEYS: usize = 60;

/// Accesses to be added: (key, first window, windows, accesses a window).
type Added = (usize, usize, usize, f64);

/// Keys with a working day, a day factor that they share, one of their own, and hours that scatter by a tenth.
fn log(seed: u64, an_hour: usize, added: &[Added]) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let common = wander(&mut rng, 0.12, 0.6);
    let mut table = empty(&format!("key@{}m:events", 60 / an_hour));
    for key in 0..KEYS {
        let level = 4.0 + 60.0 * key as f64 / KEYS as f64;
        let own = wander(&mut rng, 0.15, 0.5);
        table.entities.push(name(key));
        for hour in 0..DAYS * 24 {
            let (day, of_day) = (hour / 24, hour % 24);
            let work = if (8..18).contains(&of_day) && day % 7 < 5 { 1.0 } else { 0.1 };
            let rate = level * work * common[day] * own[day] * (0.1 * gauss(&mut rng)).exp() / an_hour as f64;
            for window in hour * an_hour..(hour + 1) * an_hour {
                let more = added.iter().filter(|(of, first, windows, _)| {
                    *of == key && (*first..first + windows).contains(&window)
                });
                let events = poisson(&mut rng, rate) + more.map(|(.., events)| events).sum::<f64>();
                if events > 0.0 {
                    table.windows.push(time(window, an_hour));
                    table.counts[Metric::Events as usize].push(events as i64);
                }
            }
        }
        table.offsets.push(table.windows.len());
    }
    Rollup { tables: vec![table] }
}

fn time(window: usize, an_hour: usize) -> Micros {
    Micros(start().0 + window as i64 * Micros::HOUR / an_hour as i64)
}

fn bursts(log: &Rollup) -> Vec<Finding> {
    let mut found = run(log);
    found.retain(|finding| finding.detector == Detector::Burst && finding.severity >= Severity::Medium);
    found
}

#[test]
fn a_burst_within_a_day_is_found_with_its_hours() {
    for seed in 0..3 {
        // Three hours of a working day at three times the rate: less than the day is worth on the day grid.
        let first = 94 * 24 + 10;
        let found = bursts(&log(seed, 1, &[(40, first, 3, 90.0)]));
        let of_key: Vec<&Finding> = found.iter().filter(|finding| finding.entity == name(40)).collect();
        assert_eq!(of_key.len(), 1, "seed {seed}: {found:?}");
        assert_eq!((of_key[0].start, of_key[0].end), (time(first, 1), time(first + 3, 1)));
        assert!(
            of_key[0].summary.contains("2025-06-03 10:00 to 2025-06-03 13:00 UTC"),
            "{}",
            of_key[0].summary
        );
        assert!(found.len() <= 2, "seed {seed}: {found:?}");
    }
}

#[test]
fn minutes_are_seen_where_the_view_has_them() {
    // Ten minutes at fifteen times the rate are half an hour's accesses more.
    let first = (94 * 24 + 10) * 6 + 2;
    let (hours, minutes) = (log(1, 1, &[(40, first / 6, 1, 30.0)]), log(1, 6, &[(40, first, 1, 100.0)]));
    assert!(bursts(&hours).iter().all(|finding| finding.entity != name(40)));
    let found = bursts(&minutes);
    assert_eq!(
        found.iter().map(|f| (f.entity.as_str(), f.start)).collect::<Vec<_>>(),
        [(&*name(40), time(first, 6))]
    );
}

#[test]
fn leak_free_hours_stay_quiet() {
    let found: Vec<Finding> = (10..20).flat_map(|seed| bursts(&log(seed, 1, &[]))).collect();
    // An expected 0.05 a log.
    assert!(found.len() <= 2, "{found:?}");
}

#[test]
fn what_recurs_and_what_all_do_is_no_burst() {
    // A job on the first of every month at another hour than ever else, and a catch-up of all after an outage.
    let monthly = (1..6).map(|month| (30, month * 30 * 24 + 3, 2, 200.0));
    let backlog = (0..KEYS).map(|key| (key, 100 * 24 + 13, 2, 1.5 * (4.0 + key as f64)));
    let found = bursts(&log(5, 1, &monthly.chain(backlog).collect::<Vec<_>>()));
    assert!(found.is_empty(), "{found:?}");
}
