//! Bigger answers, and more misses, at an unchanged number of accesses.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Finding, Severity};
use slowleak_record::Micros;
use slowleak_rollup::{Metric, Rollup, Table};

use crate::world::{DAYS, Daily, World, day, name, poisson, rollup, run};

/// Users whose accesses return rows in lumps; one in twenty finds nothing. `change` gives factors on the rows of an
/// access, on the bytes of a row and on misses.
fn world(seed: u64, change: impl Fn(usize, i64) -> [f64; 3]) -> Vec<Finding> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let series = World { entities: 80, noise: 0.2, memory: 0.5 }.simulate(seed);
    let named: Vec<_> = series.into_iter().enumerate().map(|(user, counts)| (name(user), counts)).collect();
    let mut table: Table = rollup("user@1d:events", &named);
    table.view = "user@1d:events,rows,bytes,missing".parse().unwrap();
    for user in 0..table.entities.len() {
        for cell in table.cells(user) {
            let of_day = (table.windows[cell].0 - day(0).0) / Micros::DAY;
            let [rows, bytes, misses] = change(user, of_day);
            let events = table.counts[Metric::Events as usize][cell] as f64;
            // Answers of 1 to 20 rows.
            let lump = |rng: &mut Pcg64Mcg| f64::from(rng.random_range(1..20));
            let returned: f64 = (0..events as usize).map(|_| (rows * lump(&mut rng)).round()).sum();
            let size = 300.0 * bytes * rng.random_range(0.9..1.1);
            table.counts[Metric::Rows as usize].push(returned as i64);
            table.counts[Metric::Bytes as usize].push((returned * size) as i64);
            table.counts[Metric::Missing as usize]
                .push(poisson(&mut rng, 0.05 * misses * events).min(events) as i64);
        }
    }
    run(&Rollup { tables: vec![table] })
}

fn busiest(user: usize) -> bool {
    // Level drawn by `World`: the user is chosen for being neither rare nor the largest.
    user == 11
}

#[test]
fn what_returns_more_for_each_access_is_found_by_its_own_metric() {
    for (place, metric) in [(0, Metric::Rows), (1, Metric::Bytes), (2, Metric::Missing)] {
        let found = world(71, |user, day| {
            let mut factors = [1.0; 3];
            if busiest(user) && (90..130).contains(&day) {
                factors[place] = 5.0;
            }
            factors
        });
        let about: Vec<_> = found.iter().filter(|finding| finding.entity == name(11)).collect();
        assert!(!about.is_empty(), "{metric}: {found:?}");
        assert_eq!(about[0].metric, metric, "{}", about[0].summary);
        assert!((about[0].start.0 - day(90).0).abs() <= 2 * Micros::DAY, "{}", about[0].summary);
        assert!((about[0].end.0 - day(130).0).abs() <= 2 * Micros::DAY, "{}", about[0].summary);
        assert!(about[0].severity >= Severity::Medium && found.len() <= 2, "{found:?}");
    }
}

#[test]
fn answers_of_any_size_are_quiet() {
    let raised: usize = (80..86).map(|seed| world(seed, |_, _| [1.0; 3]).len()).sum();
    assert!(raised <= 1, "{raised}");
}

#[test]
fn bigger_answers_of_a_user_and_of_its_key_are_one_finding() {
    let mut rng = Pcg64Mcg::seed_from_u64(75);
    let series = World { entities: 120, noise: 0.2, memory: 0.5 }.simulate(75);
    let rows: Vec<Daily> = (0..series.len())
        .map(|user| {
            let factor = |day| if user == 11 && (90..130).contains(&day) { 30.0 } else { 1.0 };
            let mut answers = |(day, events): (usize, &f64)| {
                (0..*events as usize).map(|_| factor(day) * f64::from(rng.random_range(1..20))).sum()
            };
            series[user].iter().enumerate().map(&mut answers).collect()
        })
        .collect();
    // Two users a key, and one object that everybody reads.
    let by = |view: &str, of: &dyn Fn(usize) -> String| {
        let mut sums = BTreeMap::<String, [Daily; 2]>::new();
        for user in 0..series.len() {
            let sum = sums.entry(of(user)).or_insert_with(|| [vec![0.0; DAYS], vec![0.0; DAYS]]);
            for (sum, more) in sum.iter_mut().zip([&series[user], &rows[user]]) {
                sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            }
        }
        let events: Vec<_> = sums.iter().map(|(name, [events, _])| (name.clone(), events.clone())).collect();
        let mut table = rollup("user@1d:events", &events);
        table.view = view.parse().unwrap();
        let kept = sums.values().flat_map(|[events, rows]| events.iter().zip(rows));
        table.counts[Metric::Rows as usize] =
            kept.filter(|(events, _)| **events > 0.0).map(|(_, rows)| *rows as i64).collect();
        table
    };
    let key = |user: usize| format!("k{:02}", user / 2);
    let tables = vec![
        by("key+object@1d:events,rows", &|user| format!("{} + o", key(user))),
        by("key+user@1d:events,rows", &|user| format!("{} + {}", key(user), name(user))),
        by("user@1d:events,rows", &name),
        by("user+object@1d:events,rows", &|user| format!("{} + o", name(user))),
    ];
    let found: Vec<_> =
        run(&Rollup { tables }).into_iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    let [leak] = &found[..] else { panic!("{found:?}") };
    assert_eq!((leak.metric, leak.entity.as_str()), (Metric::Rows, name(11).as_str()), "{}", leak.summary);
    assert!(leak.evidence.iter().any(|row| row.entity == "k05 + o"), "{:?}", leak.evidence);
}
