//! Shares of a key by object: a rise of one among its siblings, and which findings are one leak.

use rand::SeedableRng;
use rand_distr::{Distribution, Gamma};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{Finding, Severity};
use slowleak_rollup::Rollup;

use crate::world::{DAYS, Daily, name, poisson, rollup, run, wander};

const KEYS: usize = 40;
/// So many that a leak of one moves the shares of the others little.
const OBJECTS: usize = 15;

/// A leak: key, object, days, and by how much the slice is multiplied.
type Leak = (usize, usize, std::ops::Range<usize>, f64);

/// Keys whose days differ wildly, all together and each for itself, while each key's objects keep their shares.
fn company(seed: u64, leaks: &[Leak]) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let common = wander(&mut rng, 0.3, 0.7);
    let mut slices: Vec<(String, Daily)> = Vec::new();
    let (mut keys, mut objects) = (vec![vec![0.0; DAYS]; KEYS], vec![vec![0.0; DAYS]; OBJECTS]);
    for (key, of_key) in keys.iter_mut().enumerate() {
        let own = wander(&mut rng, 0.3, 0.7);
        let level = 400.0 + Gamma::new(1.0, 400.0).unwrap().sample(&mut rng);
        let wanted: Vec<f64> = (0..OBJECTS).map(|_| Gamma::new(3.0, 1.0).unwrap().sample(&mut rng)).collect();
        let all: f64 = wanted.iter().sum();
        for (object, of_object) in objects.iter_mut().enumerate() {
            let rate = |day: usize| {
                let here = |leak: &&Leak| (leak.0, leak.1) == (key, object) && leak.2.contains(&day);
                let times = leaks.iter().find(here).map_or(1.0, |leak| leak.3);
                level * common[day] * own[day] * wanted[object] / all * times
            };
            let counts: Daily = (0..DAYS).map(|day| poisson(&mut rng, rate(day))).collect();
            for of in [&mut *of_key, of_object] {
                of.iter_mut().zip(&counts).for_each(|(sum, count)| *sum += count);
            }
            slices.push((format!("{} + o{object}", name(key)), counts));
        }
    }
    let named = |series: Vec<Daily>, of: &dyn Fn(usize) -> String| -> Vec<(String, Daily)> {
        series.into_iter().enumerate().map(|(index, series)| (of(index), series)).collect()
    };
    Rollup {
        tables: vec![
            rollup("key@1d:events", &named(keys, &name)),
            rollup("object@1d:events", &named(objects, &|object| format!("o{object}"))),
            rollup("key+object@1d:events", &slices),
        ],
    }
}

fn reported(seed: u64, leaks: &[Leak]) -> Vec<Finding> {
    run(&company(seed, leaks)).into_iter().filter(|finding| finding.severity >= Severity::Medium).collect()
}

/// For messages.
fn said(found: &[Finding]) -> Vec<String> {
    let evidence = |finding: &Finding| -> Vec<String> {
        finding.evidence.iter().map(|evidence| format!("{} {}", evidence.detector, evidence.entity)).collect()
    };
    found.iter().map(|finding| format!("{}; of {:?}", finding.summary, evidence(finding))).collect()
}

#[test]
fn shares_that_keep_are_quiet_however_wild_the_days() {
    let raised: usize = (0..6).map(|seed| reported(300 + seed, &[]).len()).sum();
    assert!(raised <= 1, "{raised} findings in 6 leak-free logs");
}

#[test]
fn a_rise_of_one_object_shows_where_the_volume_hides_it() {
    for seed in 0..4 {
        let found = reported(320 + seed, &[(7, 2, 40..150, 1.8)]);
        assert_eq!(found.len(), 1, "seed {seed}: {:#?}", said(&found));
        assert_eq!(found[0].entity, format!("{} + o2", name(7)));
        let days = (found[0].end.0 - found[0].start.0) / slowleak_record::Micros::DAY;
        assert!((105..=115).contains(&days), "{}", found[0].summary);
    }
}

#[test]
fn one_key_on_two_objects_at_once_is_one_leak() {
    for seed in 0..4 {
        let found = reported(340 + seed, &[(7, 2, 40..150, 2.5), (7, 4, 40..150, 2.5)]);
        assert_eq!(found.len(), 1, "seed {seed}: {:#?}", said(&found));
        assert!(found[0].summary.contains("so did its use of o"), "{}", found[0].summary);
    }
}

#[test]
fn leaks_at_other_times_or_by_another_key_are_leaks_of_their_own() {
    for seed in 0..4 {
        let apart = reported(360 + seed, &[(7, 2, 40..70, 3.0), (7, 4, 110..150, 3.0)]);
        assert_eq!(apart.len(), 2, "seed {seed}: {:#?}", said(&apart));
        let beside = reported(380 + seed, &[(7, 2, 40..150, 3.0), (9, 2, 60..150, 3.0)]);
        let names: Vec<&str> = beside.iter().filter_map(|finding| finding.key.as_deref()).collect();
        assert!(
            names.contains(&name(7).as_str()) && names.contains(&name(9).as_str()),
            "seed {seed}: {:#?}",
            said(&beside)
        );
    }
}
