//! Phases: what one actor does in turn in several places, or again in the same one, is one leak; what two do is two.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::SeedableRng;
use rand_distr::{Distribution, Gamma};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Finding, Severity};
use slowleak_record::Micros;
use slowleak_rollup::Rollup;

use crate::world::{DAYS, Daily, day, name, poisson, rollup, run, wander};

const KEYS: usize = 40;
/// Of a key.
const USERS: usize = 2;
/// So many that a leak of one moves the shares of the others little.
const OBJECTS: usize = 15;
const KEY: usize = 7;

/// So many accesses a day more by a user of the key to an object.
struct Leak {
    user: usize,
    object: usize,
    days: Range<usize>,
    accesses: f64,
}

fn leak(user: usize, object: usize, days: Range<usize>) -> Leak {
    Leak { user, object, days, accesses: 60.0 }
}

/// Keys with two users each, who use all objects of the key; one key leaks. Users are known by what they do with keys and
/// objects alone: none has a series that could vouch for it.
fn company(seed: u64, leaks: &[Leak]) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let common = wander(&mut rng, 0.2, 0.7);
    let mut views: BTreeMap<&str, BTreeMap<String, Daily>> = BTreeMap::new();
    for key in 0..KEYS {
        let own = wander(&mut rng, 0.2, 0.7);
        let level = 400.0 + Gamma::new(1.0, 200.0).unwrap().sample(&mut rng);
        let wanted: Vec<f64> =
            (0..OBJECTS).map(|_| 1.0 + Gamma::new(2.0, 1.0).unwrap().sample(&mut rng)).collect();
        let all: f64 = wanted.iter().sum();
        for user in 0..USERS {
            for (object, wanted) in wanted.iter().enumerate() {
                let leaked = |day: usize| {
                    let here = |leak: &&Leak| {
                        (key, user, object) == (KEY, leak.user, leak.object) && leak.days.contains(&day)
                    };
                    leaks.iter().filter(here).map(|leak| leak.accesses).sum::<f64>()
                };
                let rate =
                    |day: usize| level * common[day] * own[day] * wanted / all / USERS as f64 + leaked(day);
                let counts: Daily = (0..DAYS).map(|day| poisson(&mut rng, rate(day))).collect();
                let (key, user, object) = (name(key), person(key, user), format!("o{object:02}"));
                for (view, entity) in [
                    ("key@1d:events", key.clone()),
                    ("object@1d:events", object.clone()),
                    ("key+object@1d:events", format!("{key} + {object}")),
                    ("key+user@1d:events", format!("{key} + {user}")),
                    ("user+object@1d:events", format!("{user} + {object}")),
                ] {
                    let sums =
                        views.entry(view).or_default().entry(entity).or_insert_with(|| vec![0.0; DAYS]);
                    sums.iter_mut().zip(&counts).for_each(|(sum, count)| *sum += count);
                }
            }
        }
    }
    let table = |(view, entities): (&str, BTreeMap<String, Daily>)| {
        rollup(view, &entities.into_iter().collect::<Vec<_>>())
    };
    Rollup { tables: views.into_iter().map(table).collect() }
}

fn person(key: usize, user: usize) -> String {
    format!("p{key:03}-{user}")
}

/// What is reported of the key.
fn reported(seed: u64, leaks: &[Leak]) -> Vec<Finding> {
    let found = run(&company(seed, leaks)).into_iter();
    found.filter(|finding| finding.severity >= Severity::Medium).collect()
}

/// For messages.
fn said(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.summary.as_str()).collect()
}

fn spans(finding: &Finding, days: Range<usize>) -> bool {
    let near = |time: Micros, wanted: usize| (time.0 - day(wanted).0).abs() <= 3 * Micros::DAY;
    near(finding.start, days.start) && near(finding.end, days.end)
}

/// Joining makes nothing surer: the odds are those of a part.
fn pays(finding: &Finding) -> bool {
    let surest = finding.phases().into_iter().filter_map(|phase| phase.expected_false).min_by(f64::total_cmp);
    surest == finding.expected_false
        && finding.phases().iter().all(|phase| phase.expected_false <= Some(0.05))
}

#[test]
fn one_user_who_moves_on_to_another_object_is_one_leak() {
    for seed in 0..4 {
        let found = reported(400 + seed, &[leak(0, 2, 40..90), leak(0, 4, 90..150)]);
        assert_eq!(found.len(), 1, "seed {seed}: {:#?}", said(&found));
        let finding = &found[0];
        assert!(
            finding.phases().len() == 2 && spans(finding, 40..150) && pays(finding),
            "{}",
            finding.summary
        );
        assert!(finding.summary.contains("2 phases: "), "{}", finding.summary);
        let places: Vec<&str> = finding.phases().iter().map(|phase| phase.entity.as_str()).collect();
        assert!(places[0].ends_with("o02") && places[1].ends_with("o04"), "{places:?}");
    }
}

#[test]
fn bursts_of_one_user_at_one_place_are_one_campaign() {
    for seed in 0..4 {
        let bursts: Vec<Leak> =
            [40, 80, 120, 160].map(|from| Leak { accesses: 200.0, ..leak(0, 2, from..from + 4) }).into();
        let found = reported(420 + seed, &bursts);
        assert_eq!(found.len(), 1, "seed {seed}: {:#?}", said(&found));
        let finding = &found[0];
        assert!(
            finding.phases().len() == 4 && spans(finding, 40..164) && pays(finding),
            "{}",
            finding.summary
        );
        let counted: f64 = finding.phases().iter().map(|phase| phase.observed).sum();
        assert!(finding.observed > counted, "what lies between the bursts is in the interval, too");
    }
}

#[test]
fn two_users_of_one_key_are_two_leaks_though_one_begins_as_the_other_ends() {
    for seed in 0..2 {
        let apart = |leaks: &[Leak]| {
            let found = reported(440 + seed, leaks);
            assert_eq!(found.len(), 2, "seed {seed}: {:#?}", said(&found));
            assert!(
                found.iter().all(|finding| finding.phases().len() == 1),
                "seed {seed}: {:#?}",
                said(&found)
            );
        };
        apart(&[leak(0, 2, 40..90), leak(1, 4, 90..150)]);
        apart(&[leak(0, 2, 40..70), leak(1, 2, 110..140)]);
    }
}

#[test]
fn another_object_at_another_time_is_another_leak() {
    for seed in 0..4 {
        let found = reported(460 + seed, &[leak(0, 2, 40..70), leak(0, 4, 110..140)]);
        assert_eq!(found.len(), 2, "seed {seed}: {:#?}", said(&found));
    }
}
