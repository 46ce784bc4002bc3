//! Newcomers: who begins as others do, and who does not.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Detector, Finding, Severity};
use slowleak_rollup::Rollup;

use crate::world::{DAYS, Daily, busy, day, gauss, name, rollup, run};

const OBJECTS: usize = 12;
const SOURCES: usize = 40;

/// Daily counts by key, object and source.
type Triples = BTreeMap<(String, String, String), Daily>;

/// A key at work: on so many objects, evenly, from these sources.
fn work(
    triples: &mut Triples,
    rng: &mut Pcg64Mcg,
    key: &str,
    days: Range<usize>,
    rate: f64,
    objects: Range<usize>,
    sources: &[String],
) {
    let share = 1.0 / (objects.len() * sources.len()) as f64;
    for object in objects {
        for source in sources {
            let counts = busy(rng, days.clone(), rate * share);
            triples.insert((key.to_owned(), format!("table-{object:02}"), source.clone()), counts);
        }
    }
}

/// Sixty keys from the start and twelve that are born later, of every size, at work on several objects from the sources
/// that all share; and what `change` adds; up to a day.
fn estate(seed: u64, until: usize, change: impl Fn(&mut Triples, &mut Pcg64Mcg)) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut triples = Triples::new();
    for key in 0..72 {
        let born = if key < 60 { 0 } else { 30 + 10 * (key - 60) };
        let rate = (2.5 + 1.2 * gauss(&mut rng)).exp();
        let first = rng.random_range(0..OBJECTS - 6);
        let sources: Vec<String> =
            (0..3).map(|_| format!("10.0.0.{}", rng.random_range(0..SOURCES))).collect();
        let objects = first..first + rng.random_range(3..6);
        work(&mut triples, &mut rng, &name(key), born..DAYS, rate, objects, &sources);
    }
    change(&mut triples, &mut rng);
    let by = |of: fn(&(String, String, String)) -> String| {
        let mut sums = BTreeMap::<String, Daily>::new();
        for (triple, counts) in &triples {
            let sum = sums.entry(of(triple)).or_insert_with(|| vec![0.0; DAYS]);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sums.into_iter().map(|(name, counts)| (name, counts[..until].to_vec())).collect::<Vec<_>>()
    };
    Rollup {
        tables: vec![
            rollup("key@1d:events", &by(|(key, ..)| key.clone())),
            rollup("object@1d:events", &by(|(_, object, _)| object.clone())),
            rollup("key+object@1d:events", &by(|(key, object, _)| format!("{key} + {object}"))),
            rollup("key+source@1d:events", &by(|(key, _, source)| format!("{key} + {source}"))),
        ],
    }
}

fn reported(found: &[Finding]) -> Vec<&Finding> {
    found.iter().filter(|finding| finding.severity >= Severity::Medium).collect()
}

fn strangers() -> Vec<String> {
    (0..3).map(|source| format!("198.51.100.{source}")).collect()
}

#[test]
fn a_key_that_drains_from_its_first_day_is_one_finding_and_excuses_no_rise() {
    for seed in 0..5 {
        let found = run(&estate(seed, DAYS, |triples, rng| {
            work(triples, rng, "partner", 100..112, 400.0, 3..4, &strangers());
        }));
        let reported = reported(&found);
        assert_eq!(reported.len(), 1, "seed {seed}: {found:#?}");
        let partner = reported[0];
        assert_eq!((partner.detector, partner.entity.as_str()), (Detector::Birth, "partner"));
        assert_eq!((partner.start, partner.end), (day(100), day(112)));
        assert!(partner.summary.contains("sources that no older key uses"), "{}", partner.summary);
        // The table that it lifts is evidence, not a finding with an excuse.
        assert!(found.iter().all(|finding| finding.entity != "table-03"), "{found:?}");
    }
}

#[test]
fn it_is_found_on_its_third_day() {
    for seed in 5..10 {
        let found = run(&estate(seed, 103, |triples, rng| {
            work(triples, rng, "partner", 100..112, 2000.0, 3..4, &strangers());
        }));
        assert!(found[0].entity == "partner" && found[0].open, "seed {seed}: {found:?}");
    }
}

#[test]
fn honest_newcomers_of_every_kind_are_not_reported() {
    let known: Vec<String> = (0..3).map(|source| format!("10.0.0.{source}")).collect();
    for seed in 10..15 {
        let found = run(&estate(seed, DAYS, |triples, rng| {
            // A batch job that reads one table, from where others run; a service that starts large; a colleague with a
            // new machine.
            work(triples, rng, "batch", 80..DAYS, 300.0, 3..4, &known);
            work(triples, rng, "service", 90..DAYS, 2000.0, 2..6, &known);
            work(triples, rng, "colleague", 95..DAYS, 12.0, 5..9, &strangers());
        }));
        assert!(found.iter().all(|finding| finding.detector != Detector::Birth), "seed {seed}: {found:?}");
    }
}

#[test]
fn services_of_usual_size_on_hosts_of_their_own_that_read_one_table_each_are_not_reported() {
    for seed in 15..20 {
        let found = run(&estate(seed, DAYS, |triples, rng| {
            for service in 0..12 {
                let hosts: Vec<String> =
                    (0..3).map(|host| format!("192.0.2.{}", 3 * service + host)).collect();
                let (born, rate) = (40 + 10 * service, (2.5 + 1.2 * gauss(rng)).exp());
                work(
                    triples,
                    rng,
                    &format!("service-{service}"),
                    born..DAYS,
                    rate,
                    service..service + 1,
                    &hosts,
                );
            }
        }));
        assert!(found.iter().all(|finding| finding.detector != Detector::Birth), "seed {seed}: {found:?}");
    }
}
