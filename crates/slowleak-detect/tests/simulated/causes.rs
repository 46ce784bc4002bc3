//! What explains a rise, and what must not.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::Severity;
use slowleak_record::{Micros, PersonEntry, Registry};
use slowleak_rollup::{Metric, Rollup};

use crate::world::{DAYS, Daily, World, busy, company, day, detect, name, poisson, rollup, run};

#[test]
fn a_new_user_explains_the_rise_of_an_object_through_the_weekly_view() {
    let mut rng = Pcg64Mcg::seed_from_u64(31);
    let mut objects = World { entities: 40, noise: 0.1, memory: 0.3 }.simulate(31);
    let newcomer = busy(&mut rng, 90..DAYS, 150.0);
    objects[4] = (0..DAYS).map(|day| poisson(&mut rng, 40.0) + newcomer[day]).collect();
    let named: Vec<_> = objects.into_iter().enumerate().map(|(i, s)| (name(i), s)).collect();
    let mut weekly = rollup("user@1d:events", &[(format!("newcomer + {}", name(4)), newcomer.clone())]);
    weekly.view = "user+object@7d:events".parse().unwrap();
    for window in &mut weekly.windows {
        *window = weekly.view.window.floor(*window);
    }
    // One cell a week.
    let (mut windows, mut counts): (Vec<Micros>, Vec<i64>) = (Vec::new(), Vec::new());
    for (window, count) in weekly.windows.iter().zip(&weekly.counts[Metric::Events as usize]) {
        if windows.last() == Some(window) {
            *counts.last_mut().unwrap() += count;
        } else {
            windows.push(*window);
            counts.push(*count);
        }
    }
    weekly.offsets = vec![0, windows.len()];
    weekly.windows = windows;
    weekly.counts[Metric::Events as usize] = counts;
    let users = rollup("user@1d:events", &[("newcomer".to_owned(), newcomer)]);
    let found = run(&Rollup { tables: vec![rollup("object@1d:events", &named), users, weekly] });
    let about = found.iter().find(|finding| finding.entity == name(4)).unwrap();
    assert_eq!(about.severity, Severity::Info, "{}", about.summary);
    assert!(about.summary.contains("new user newcomer"), "{}", about.summary);
}

#[test]
fn a_key_and_its_user_that_rise_together_are_one_finding() {
    let found = run(&company(21, |pairs, rng| {
        pairs[10].2 =
            (0..DAYS).map(|day| poisson(rng, if (60..150).contains(&day) { 200.0 } else { 40.0 })).collect();
        pairs[11].2 = busy(rng, 0..DAYS, 5.0);
    }));
    let reported: Vec<_> = found.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    assert_eq!(reported.len(), 1, "{found:?}");
    assert_eq!(reported[0].key.as_deref(), Some(name(5).as_str()));
    assert_eq!(reported[0].evidence.len(), 2, "the key and the user");
}

#[test]
fn a_user_through_whom_a_leak_goes_for_some_of_its_days_is_no_leak_of_its_own() {
    let found = run(&company(23, |pairs, rng| {
        let rate = |day: usize, more: std::ops::Range<usize>| if more.contains(&day) { 100.0 } else { 40.0 };
        pairs[10].2 = (0..DAYS).map(|day| poisson(rng, rate(day, 50..130))).collect();
        pairs[11].2 = (0..DAYS).map(|day| poisson(rng, rate(day, 80..95))).collect();
    }));
    let reported: Vec<_> = found.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    assert_eq!(reported.len(), 1, "{:?}", reported.iter().map(|f| &f.summary).collect::<Vec<_>>());
    assert!(
        reported[0].evidence.iter().any(|evidence| evidence.entity == "u011"),
        "{:?}",
        reported[0].evidence
    );
}

#[test]
fn a_new_colleague_explains_the_rise_of_a_key() {
    let found = run(&company(22, |pairs, rng| {
        pairs[10].2 = busy(rng, 0..DAYS, 40.0);
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
        pairs.push((name(5), "newcomer".to_owned(), busy(rng, 90..DAYS, 150.0)));
    }));
    let about: Vec<_> = found.iter().filter(|finding| finding.entity.contains(&name(5))).collect();
    assert!(!about.is_empty() && about.iter().all(|finding| finding.severity == Severity::Info), "{about:?}");
    assert!(about[0].summary.contains("new user newcomer"), "{}", about[0].summary);
}

#[test]
fn a_user_who_is_back_from_leave_explains_the_rise_of_a_key() {
    let found = run(&company(27, |pairs, rng| {
        let leave = |day: usize| (30..75).contains(&day);
        pairs[10].2 = (0..DAYS).map(|day| if leave(day) { 0.0 } else { poisson(rng, 120.0) }).collect();
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
    }));
    let about: Vec<_> = found.iter().filter(|finding| finding.entity == name(5)).collect();
    assert!(!about.is_empty() && about.iter().all(|finding| finding.severity == Severity::Info), "{found:?}");
    assert!(about[0].summary.contains("explained by user u010 ("), "{}", about[0].summary);
}

#[test]
fn a_user_whose_id_works_for_two_explains_nothing() {
    let found = run(&company(27, |pairs, rng| {
        let rate = |day: usize| if day < 50 { 40.0 } else { 120.0 };
        pairs[10].2 = (0..DAYS).map(|day| poisson(rng, rate(day))).collect();
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
    }));
    assert!(found[0].severity >= Severity::High && found[0].key.as_deref() == Some(&name(5)), "{found:?}");
}

#[test]
fn an_id_that_slept_for_months_explains_nothing() {
    let found = run(&company(27, |pairs, rng| {
        let rate = |day: usize| if (20..110).contains(&day) { 0.0 } else { 120.0 };
        pairs[10].2 = (0..DAYS).map(|day| poisson(rng, rate(day))).collect();
        // Tried once before.
        pairs[10].2[100] = 1.0;
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
    }));
    let about = found.iter().find(|finding| finding.entity == name(5)).unwrap();
    assert!(about.severity >= Severity::High, "{}", about.summary);
}

#[test]
fn a_user_who_is_back_does_not_explain_what_another_adds() {
    // One user of the key is back from leave, and nobody knows who does half as much again.
    let mut world = company(27, |pairs, rng| {
        let leave = |day: usize| (30..75).contains(&day);
        pairs[10].2 = (0..DAYS).map(|day| if leave(day) { 0.0 } else { poisson(rng, 120.0) }).collect();
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
    });
    let mut rng = Pcg64Mcg::seed_from_u64(28);
    let keys = &mut world.tables[0];
    let victim = keys.entities.iter().position(|key| *key == name(5)).unwrap();
    for cell in keys.cells(victim).filter(|cell| keys.windows[*cell] >= day(75)).collect::<Vec<_>>() {
        keys.counts[Metric::Events as usize][cell] += poisson(&mut rng, 60.0) as i64;
    }
    let found = run(&world);
    let about = found.iter().find(|finding| finding.entity == name(5)).unwrap();
    assert!(about.severity >= Severity::High, "{}", about.summary);
}

#[test]
fn a_steady_reader_does_not_explain_what_nobody_adds_on_the_same_table() {
    // The key has other users, the table other keys; of the two together, one user only is known.
    let mut rng = Pcg64Mcg::seed_from_u64(43);
    let mut world = company(43, |pairs, rng| {
        pairs[10].2 = busy(rng, 0..DAYS, 300.0);
        pairs[11].2 = busy(rng, 0..DAYS, 4000.0);
    });
    let reader = busy(&mut rng, 0..DAYS, 30.0);
    let leak = (0..DAYS).map(|day| reader[day] + poisson(&mut rng, if day >= 90 { 30.0 } else { 0.0 }));
    let leak: Daily = leak.collect();
    let mut slices = World { entities: 40, noise: 0.1, memory: 0.3 }.simulate(44);
    slices.truncate(40);
    let mut slices: Vec<_> = slices
        .into_iter()
        .enumerate()
        .map(|(i, counts)| (format!("{} + table", name(10 + i)), counts))
        .collect();
    slices.insert(0, (format!("{} + table", name(5)), leak));
    world.tables.push(rollup("key+object@1d:events", &slices));
    world.tables.push(rollup("user+object@1d:events", &[("u010 + table".to_owned(), reader)]));
    let found = run(&world);
    let about = found.iter().find(|finding| finding.entity == format!("{} + table", name(5))).unwrap();
    assert!(about.severity >= Severity::High, "{}", about.summary);
}

#[test]
fn users_too_few_to_be_judged_explain_nothing() {
    // One of six accounts does three times its work, all of it on one table.
    let mut rng = Pcg64Mcg::seed_from_u64(45);
    let mut objects = World { entities: 40, noise: 0.1, memory: 0.3 }.simulate(45);
    let users: Vec<(String, Daily)> = (0..6)
        .map(|user| {
            let rate = |day: usize| if user == 0 && day >= 90 { 150.0 } else { 50.0 };
            (format!("u{user}"), (0..DAYS).map(|day| poisson(&mut rng, rate(day))).collect())
        })
        .collect();
    objects[4].clone_from(&users[0].1);
    let objects: Vec<_> = objects.into_iter().enumerate().map(|(i, counts)| (name(i), counts)).collect();
    let link = rollup("user+object@1d:events", &[(format!("u0 + {}", name(4)), users[0].1.clone())]);
    let tables = vec![rollup("object@1d:events", &objects), rollup("user@1d:events", &users), link];
    let found = run(&Rollup { tables });
    assert!(found[0].entity == name(4) && found[0].severity >= Severity::High, "{found:?}");
}

#[test]
fn a_user_who_comes_over_from_another_key_explains_the_rise_of_a_table_slice() {
    // No more work in all, and the same tables as ever: only the key is another from day 90 on.
    let mut rng = Pcg64Mcg::seed_from_u64(47);
    let table: Vec<Daily> = vec![busy(&mut rng, 0..DAYS, 30.0), busy(&mut rng, 0..DAYS, 90.0)];
    let work = |day: usize| table[0][day] + table[1][day];
    let mut world = company(47, |pairs, rng| {
        pairs[10].2 = busy(rng, 0..DAYS, 20.0);
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
        let before = |day: usize| if day < 90 { work(day) } else { 0.0 };
        pairs[12].2 = (0..DAYS).map(before).collect();
        pairs[13].2 = busy(rng, 0..DAYS, 400.0);
        let user = pairs[12].1.clone();
        pairs.push((name(5), user, (0..DAYS).map(|day| work(day) - before(day)).collect()));
    });
    let mut slices: Vec<_> = World { entities: 40, noise: 0.1, memory: 0.3 }
        .simulate(48)
        .into_iter()
        .enumerate()
        .map(|(i, counts)| (format!("{} + table", name(10 + i)), counts))
        .collect();
    let slice = (0..DAYS).map(|day| if day < 90 { 0.0 } else { table[0][day] } + poisson(&mut rng, 1.0));
    slices.insert(0, (format!("{} + table", name(5)), slice.collect()));
    world.tables.push(rollup("key+object@1d:events", &slices));
    world.tables.push(rollup("user+object@1d:events", &[("u012 + table".to_owned(), table[0].clone())]));
    let found = run(&world);
    let about = found.iter().find(|finding| finding.entity == format!("{} + table", name(5))).unwrap();
    assert_eq!(about.severity, Severity::Info, "{}", about.summary);
}

#[test]
fn a_user_who_turns_to_another_table_does_not_explain_its_rise() {
    // As much work as ever, but from day 90 on a third of it on a table that the user hardly touched before.
    let mut rng = Pcg64Mcg::seed_from_u64(41);
    let mut world = company(41, |pairs, rng| pairs[10].2 = busy(rng, 0..DAYS, 120.0));
    let of_user = |day: usize| if day < 90 { 0.5 } else { 40.0 };
    let leak: Daily = (0..DAYS).map(|day| poisson(&mut rng, of_user(day))).collect();
    let mut objects = World { entities: 40, noise: 0.1, memory: 0.3 }.simulate(41);
    objects[4] = leak.iter().map(|events| events + poisson(&mut rng, 20.0)).collect();
    let objects: Vec<_> = objects.into_iter().enumerate().map(|(i, counts)| (name(i), counts)).collect();
    world.tables.push(rollup("object@1d:events", &objects));
    world.tables.push(rollup("user+object@1d:events", &[(format!("u010 + {}", name(4)), leak)]));
    let found = run(&world);
    let about = found.iter().find(|finding| finding.dimension.to_string() == "object").unwrap();
    assert!(about.entity == name(4) && about.severity >= Severity::High, "{}", about.summary);
}

#[test]
fn a_new_colleague_who_had_already_left_explains_nothing() {
    let world = company(22, |pairs, rng| {
        pairs[10].2 = busy(rng, 0..DAYS, 40.0);
        pairs[11].2 = busy(rng, 0..DAYS, 20.0);
        pairs.push((name(5), "newcomer".to_owned(), busy(rng, 90..DAYS, 150.0)));
    });
    let mut registry = Registry::default();
    registry.people.insert("newcomer".to_owned(), PersonEntry { group: None, left_at: Some(day(30)) });
    let found = detect(&world, &registry).findings;
    assert!(found[0].severity >= Severity::Medium && found[0].entity.contains(&name(5)), "{found:?}");
}

#[test]
fn people_who_move_to_another_key_explain_its_rise() {
    let found = run(&company(23, |pairs, rng| {
        // Both users of key 6 go to key 5 on day 90.
        for (from, onto) in [(12, 10), (13, 11)] {
            pairs[onto].2 = busy(rng, 0..DAYS, 20.0);
            pairs[from].2 = busy(rng, 0..90, 120.0);
            let user = pairs[from].1.clone();
            pairs.push((name(5), user, busy(rng, 90..DAYS, 120.0)));
        }
    }));
    let about: Vec<_> = found.iter().filter(|finding| finding.entity == name(5)).collect();
    assert!(!about.is_empty() && about.iter().all(|finding| finding.severity == Severity::Info), "{about:?}");
    assert!(about[0].summary.contains(&format!("moved here from key {}", name(6))), "{}", about[0].summary);
    assert!(found.iter().all(|finding| finding.severity == Severity::Info), "{found:?}");
}

#[test]
fn people_who_move_do_not_explain_what_they_never_touched() {
    // Half of another key's people come over on the day that a rare object of the key multiplies.
    let mut world = company(25, |pairs, rng| {
        for (from, onto) in [(12, 10), (13, 11)] {
            pairs[onto].2 = busy(rng, 0..DAYS, 400.0);
            pairs[from].2 = busy(rng, 0..90, 60.0);
            let user = pairs[from].1.clone();
            pairs.push((name(5), user, busy(rng, 90..DAYS, 60.0)));
        }
    });
    let mut rng = Pcg64Mcg::seed_from_u64(25);
    let mut objects: Vec<(String, Daily)> = World { entities: 40, noise: 0.1, memory: 0.3 }
        .simulate(26)
        .into_iter()
        .enumerate()
        .map(|(i, counts)| (format!("{} + table", name(10 + i)), counts))
        .collect();
    let leak = (0..DAYS).map(|day| poisson(&mut rng, if day >= 90 { 9.0 } else { 1.5 })).collect();
    objects.insert(0, (format!("{} + account-edit", name(5)), leak));
    objects.insert(1, (format!("{} + table", name(6)), busy(&mut rng, 0..90, 120.0)));
    world.tables.push(rollup("key+object@1d:events", &objects));
    let found = run(&world);
    let about = found.iter().find(|finding| finding.entity.contains("account-edit")).unwrap();
    assert!(about.severity >= Severity::Medium, "{}", about.summary);
}

/// Sixty people who work eight times as much on some days, mostly by one key that all share, and a little, calmly, each by a
/// key of their own. On day 120 the own key of one is used sixty times; what that person did in all is given.
fn lively_people(seed: u64, in_all: f64) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut users: Vec<(String, Daily)> = Vec::new();
    let mut keys: Vec<(String, Daily)> = Vec::new();
    let mut pairs: Vec<(String, Daily)> = Vec::new();
    let mut shared = vec![0.0; DAYS];
    for person in 0..60 {
        let mut own: Daily = (0..DAYS).map(|_| poisson(&mut rng, 2.0)).collect();
        let mut all: Daily = (0..DAYS).map(|_| poisson(&mut rng, 20.0)).collect();
        for _ in 0..6 {
            all[rng.random_range(0..DAYS)] = poisson(&mut rng, 160.0);
        }
        if person == 7 {
            (own[120], all[120]) = (60.0, in_all);
        }
        let rest: Daily = all.iter().zip(&own).map(|(all, own)| (all - own).max(0.0)).collect();
        shared.iter_mut().zip(&rest).for_each(|(sum, rest)| *sum += rest);
        let user = format!("u{person:02}");
        pairs.push((format!("{} + {user}", name(person)), own.clone()));
        pairs.push((format!("shared + {user}"), rest.clone()));
        users.push((user, own.iter().zip(&rest).map(|(own, rest)| own + rest).collect()));
        keys.push((name(person), own));
    }
    keys.push(("shared".to_owned(), shared));
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    Rollup {
        tables: vec![
            rollup("key@1d:events", &keys),
            rollup("user@1d:events", &users),
            rollup("key+user@1d:events", &pairs),
        ],
    }
}

#[test]
fn a_day_on_which_everything_rises_explains_its_parts() {
    for seed in 60..63 {
        let found = run(&lively_people(seed, 200.0));
        let about = found.iter().find(|finding| finding.entity == name(7));
        let about = about.unwrap_or_else(|| panic!("{seed}: {found:?}"));
        assert_eq!(about.severity, Severity::Info, "{seed}: {}", about.summary);
    }
}

#[test]
fn a_day_on_which_most_is_done_in_one_place_explains_nothing() {
    for seed in 60..63 {
        let found = run(&lively_people(seed, 90.0));
        let about = found.iter().find(|finding| finding.entity == name(7));
        let about = about.unwrap_or_else(|| panic!("{seed}: {found:?}"));
        assert!(about.severity >= Severity::Medium, "{seed}: {}", about.summary);
    }
}
