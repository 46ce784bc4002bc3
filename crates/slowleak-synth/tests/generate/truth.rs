//! What is injected, and what the truth says of it.

use std::collections::BTreeSet;

use slowleak_record::{Micros, Registry, Truth};

use crate::world::mean;
use crate::{DEDICATED, Record, generate, leaking, read};

#[test]
fn truth_is_what_a_reader_finds_for_a_key_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let made = generate(&leaking(DEDICATED, "\"null\"", ""), dir.path(), 80_000, 1);
    let log = read(dir.path());
    let leaked: Vec<&Record> = log.iter().filter(|r| r.key.as_deref() == Some("copied")).collect();
    let leak = &made.truth.leaks[0];
    assert_eq!(
        (leak.entity.as_str(), leak.key.as_deref(), leak.user.as_deref()),
        ("copied", Some("copied"), None)
    );
    let times = || leaked.iter().map(|r| r.time);
    assert_eq!(Micros::from(leak.start).0, times().min().unwrap());
    assert_eq!(Micros::from(leak.end).0, times().max().unwrap() + 1);
    let hits = leaked.iter().filter(|r| r.status != "missing");
    let accounts: BTreeSet<i64> = hits.clone().map(|r| r.subject).collect();
    assert_eq!(leak.subjects, accounts.len() as u64);
    assert_eq!(accounts.len(), hits.count(), "each account once");
    assert!(leaked.iter().all(|r| r.object == "account-edit" && r.region == "cn" && r.user.is_none()));
    let misses = leaked.iter().filter(|r| r.status == "missing").count() as f64 / leaked.len() as f64;
    assert!((misses - 0.25).abs() < 0.02, "{misses}");
    assert_eq!(Truth::read(dir.path().join("truth.json")).unwrap(), made.truth);
}

#[test]
fn truth_is_what_a_reader_finds_for_a_shared_key() {
    // Without honest traffic from abroad the foreign addresses are the leak's alone.
    let life = "foreign = 0.0\ntrips = 0.0";
    let dir = tempfile::tempdir().unwrap();
    let shared = r#"{ shared = { share = 0.15, group = "customer" } }"#;
    let made = generate(&leaking(shared, "\"of-key\"", life), dir.path(), 80_000, 2);
    let log = read(dir.path());
    let leak = &made.truth.leaks[0];
    let leaked: Vec<&Record> = log.iter().filter(|r| r.region == "cn").collect();
    assert!(leaked.iter().all(|r| r.key == leak.key && r.object == "account-edit"));
    assert_eq!(Micros::from(leak.start).0, leaked.iter().map(|r| r.time).min().unwrap());
    assert_eq!(Micros::from(leak.end).0, leaked.iter().map(|r| r.time).max().unwrap() + 1);
    let accounts: BTreeSet<i64> = leaked.iter().filter(|r| r.status == "ok").map(|r| r.subject).collect();
    assert_eq!(leak.subjects, accounts.len() as u64);
    let on_key = log.iter().filter(|r| r.key == leak.key).count() as f64 / log.len() as f64;
    assert!((0.1..0.25).contains(&on_key), "{on_key}");
    // The users are the key's own.
    let honest: BTreeSet<_> =
        log.iter().filter(|r| r.key == leak.key && r.region != "cn").map(|r| &r.user).collect();
    assert!(leaked.iter().all(|r| honest.contains(&r.user)));
}

#[test]
fn the_share_of_a_leak_is_kept_whatever_the_size() {
    for rows in [20_000, 200_000] {
        let dir = tempfile::tempdir().unwrap();
        let made = generate(&leaking(DEDICATED, "\"null\"", ""), dir.path(), rows, 3);
        let (start, end) =
            ("2025-04-01T03:30:00Z".parse::<Micros>().unwrap(), "2025-05-11".parse::<Micros>().unwrap());
        let log = read(dir.path());
        let within: Vec<&Record> = log.iter().filter(|r| (start.0..end.0).contains(&r.time)).collect();
        let leaked = within.iter().filter(|r| r.key.as_deref() == Some("copied")).count();
        let share = leaked as f64 / within.len() as f64;
        assert!((share / 0.01 - 1.0).abs() < 0.02, "{share} of {rows}");
        assert_eq!(made.truth.leaks.len(), 1);
    }
}

#[test]
fn without_a_key_the_victim_is_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        leaking("\"none\"", "\"victim\"", "").replace("dimension = \"key\"", "dimension = \"object+region\"");
    let made = generate(&text, dir.path(), 50_000, 4);
    assert_eq!(made.truth.leaks[0].entity, "account-edit + cn");
    let log = read(dir.path());
    let victims: Vec<&Record> =
        log.iter().filter(|r| r.user.as_deref().is_some_and(|user| user.starts_with("member-"))).collect();
    assert!(victims.len() > 100);
    for record in victims {
        assert_eq!(record.user.as_deref(), Some(format!("member-{}", record.subject).as_str()));
        assert_eq!((record.key.as_deref(), record.region.as_str()), (None, "cn"));
    }
}

#[test]
fn an_insider_uses_the_own_key_at_the_given_hours() {
    let dir = tempfile::tempdir().unwrap();
    let text = leaking("\"own\"", "{ insider = \"support\" }", "trips = 0.0\nforeign = 0.0")
        .replace("dimension = \"key\"", "dimension = \"user\"")
        .replace(
            "region = \"cn\"",
            "region = \"cn\"\nduty = { hours = [22, 4], weekdays = [\"sat\", \"sun\"] }",
        );
    let made = generate(&text, dir.path(), 50_000, 5);
    let leak = &made.truth.leaks[0];
    assert!(leak.user.as_deref().unwrap().starts_with("support."));
    let log = read(dir.path());
    let leaked: Vec<&Record> = log.iter().filter(|r| r.region == "cn").collect();
    assert!(leaked.len() > 100);
    for record in leaked {
        assert_eq!((&record.user, &record.key), (&leak.user, &leak.key));
        // Records are up to two seconds older than their arrival.
        let local = record.time + 9 * Micros::HOUR + 2 * Micros::SECOND;
        let (day, hour) = (local.div_euclid(Micros::DAY), local.rem_euclid(Micros::DAY) / Micros::HOUR);
        assert!([2, 3].contains(&(day.rem_euclid(7))) && !(4..22).contains(&hour), "{day} {hour}");
    }
}

#[test]
fn a_lift_is_a_multiple_of_what_the_key_does_anyway() {
    let dir = tempfile::tempdir().unwrap();
    let shared = r#"{ shared = { share = 0.15, group = "customer" } }"#;
    let text = leaking(shared, "\"of-key\"", "foreign = 0.0\ntrips = 0.0")
        .replace("share = 0.01\n", "lift = 0.54\n");
    let made = generate(&text, dir.path(), 80_000, 21);
    let leak = &made.truth.leaks[0];
    let (start, end) = (Micros::from(leak.start).0, Micros::from(leak.end).0);
    let log = read(dir.path());
    let within = log.iter().filter(|r| r.key == leak.key && (start..end).contains(&r.time));
    let (leaked, honest): (Vec<&Record>, Vec<&Record>) = within.partition(|r| r.region == "cn");
    let lift = leaked.len() as f64 / honest.len() as f64;
    assert!((lift - 0.54).abs() < 0.05, "{lift}");
}

#[test]
fn unused_objects_are_those_that_the_group_of_the_leak_leaves_alone() {
    let dir = tempfile::tempdir().unwrap();
    let shared = r#"{ shared = { share = 0.15, group = "customer" } }"#;
    let text = leaking(shared, "\"of-key\"", "foreign = 0.0\ntrips = 0.0")
        .replace("objects = [{ name = \"account-edit\" }]", "unused = 12")
        .replace("share = 0.01\n", "accesses = 400\n");
    generate(&text, dir.path(), 60_000, 23);
    let log = read(dir.path());
    let objects = |leaked: bool| -> BTreeSet<&String> {
        let of_group = |r: &&Record| r.key.as_ref().is_some_and(|key| key.starts_with("customer"));
        log.iter().filter(of_group).filter(|r| (r.region == "cn") == leaked).map(|r| &r.object).collect()
    };
    assert_eq!(objects(true).len(), 12);
    assert!(objects(true).is_disjoint(&objects(false)));
}

#[test]
fn copies_are_leaks_by_different_people_from_their_own_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let text = leaking("\"own\"", "{ insider = \"support\" }", "")
        .replace("dimension = \"key\"", "dimension = \"user\"\ncopies = 3")
        .replace("addresses = 50\nactive = 5\nregion = \"cn\"\n", "")
        .replace("share = 0.01\n", "accesses = 300\nbulk = 1000\n");
    let made = generate(&text, dir.path(), 80_000, 22);
    let names: Vec<&str> = made.truth.leaks.iter().map(|leak| leak.scenario.as_str()).collect();
    assert_eq!(names, ["test-leak-000", "test-leak-001", "test-leak-002"]);
    let log = read(dir.path());
    let people: BTreeSet<&Option<String>> = made.truth.leaks.iter().map(|leak| &leak.user).collect();
    assert_eq!(people.len(), 3);
    for person in people {
        let own: Vec<&Record> = log.iter().filter(|r| r.user == *person).collect();
        let (leaked, honest): (Vec<&Record>, Vec<&Record>) =
            own.into_iter().partition(|r| r.object == "account-edit");
        assert_eq!(leaked.len(), 300);
        let known: BTreeSet<&String> = honest.iter().map(|r| &r.source).collect();
        let at_home = leaked.iter().filter(|r| known.contains(&r.source)).count();
        assert!(at_home > 150, "{at_home} of 300 from addresses that the person works from");
        let rows = |records: &[&Record]| mean(&records.iter().map(|r| r.rows as f64).collect::<Vec<_>>());
        assert!(rows(&leaked) > 20.0 * rows(&honest), "{} {}", rows(&leaked), rows(&honest));
    }
}

#[test]
fn a_new_user_does_nothing_before_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let credential = r#"{ dedicated = { key = "partner", issued = 2025-03-28 } }"#;
    let text = leaking(credential, "{ new = \"joiner\" }", "")
        .replace("dimension = \"key\"", "dimension = \"user\"");
    let made = generate(&text, dir.path(), 50_000, 23);
    let leak = &made.truth.leaks[0];
    assert_eq!((leak.entity.as_str(), leak.key.as_deref()), ("joiner", Some("partner")));
    let log = read(dir.path());
    let seen: Vec<&Record> = log.iter().filter(|r| r.user == leak.user).collect();
    assert!(seen.len() > 100);
    assert!(seen.iter().all(|r| r.key == leak.key && r.object == "account-edit"));
    assert_eq!(seen.len(), log.iter().filter(|r| r.key == leak.key).count());
    let mut registry = Registry::default();
    registry.read_people(&dir.path().join("people.csv")).unwrap();
    assert_eq!(registry.people["joiner"].left_at, None);
}
