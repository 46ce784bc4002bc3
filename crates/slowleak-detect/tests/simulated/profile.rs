//! What people do rather than how much: work that is not theirs, and two who work as each other did.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::Detector;
use slowleak_rollup::Rollup;

use crate::world::{DAYS, Daily, day, poisson, rollup, run};

const USERS: usize = 40;
const ACTIONS: usize = 8;

/// People who work on three days of five and have two actions each; `whose(user, day, chance)` says whose work it is
/// that they do, by chance.
fn office(seed: u64, whose: impl Fn(usize, usize, f64) -> usize) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut pairs = BTreeMap::<(usize, usize), Daily>::new();
    for user in 0..USERS {
        for at in 0..DAYS {
            if at % 7 >= 5 || rng.random::<f64>() < 0.4 {
                continue;
            }
            for _ in 0..poisson(&mut rng, 12.0) as usize {
                let work = whose(user, at, rng.random());
                let action = if rng.random::<f64>() < 0.7 { work } else { work * 3 + 1 } % ACTIONS;
                pairs.entry((user, action)).or_insert_with(|| vec![0.0; DAYS])[at] += 1.0;
            }
        }
    }
    let mut users = vec![vec![0.0; DAYS]; USERS];
    for ((user, _), counts) in &pairs {
        users[*user].iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    let name = |user: usize| format!("u{user:02}");
    let users: Vec<(String, Daily)> = users.into_iter().enumerate().map(|(u, c)| (name(u), c)).collect();
    let pairs: Vec<(String, Daily)> = pairs
        .into_iter()
        .map(|((user, action), counts)| (format!("{} + a{action}", name(user)), counts))
        .collect();
    Rollup { tables: vec![rollup("user@1d:events", &users), rollup("user+action@1d:events", &pairs)] }
}

#[test]
fn work_as_ever_is_silent() {
    for seed in 0..4 {
        let found = run(&office(seed, |user, _, _| user));
        assert!(found.is_empty(), "{seed}: {:?}", found.iter().map(|f| &f.summary).collect::<Vec<_>>());
    }
}

#[test]
fn work_of_others_is_seen_at_the_same_volume() {
    // Half of what the user does for five weeks is spread over what everybody does.
    let found = run(&office(7, |user, at, chance| {
        if user == 11 && (90..125).contains(&at) && chance < 0.5 {
            (chance * 2.0 * USERS as f64) as usize
        } else {
            user
        }
    }));
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|f| &f.summary).collect::<Vec<_>>());
    assert_eq!((found[0].detector, found[0].entity.as_str()), (Detector::Profile, "u11"));
    assert!(found[0].start < day(107) && found[0].end > day(107));
    assert!(found[0].summary.contains("hardly its own"), "{}", found[0].summary);
}

#[test]
fn an_exchange_of_ids_names_the_partner() {
    let found = run(&office(8, |user, at, _| match user {
        5 if at >= 100 => 18,
        18 if at >= 100 => 5,
        _ => user,
    }));
    let of = |user: &str| found.iter().find(|f| f.entity == user && f.detector == Detector::Swap);
    for (user, partner) in [("u05", "u18"), ("u18", "u05")] {
        let finding = of(user).unwrap();
        assert_eq!(finding.shares[0].value, partner);
        assert!((finding.start.0 - day(100).0).abs() <= 7 * 86_400_000_000, "{}", finding.start);
        assert!(finding.summary.contains(partner), "{}", finding.summary);
    }
}
