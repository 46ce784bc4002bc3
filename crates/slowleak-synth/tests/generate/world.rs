//! The honest background.

use std::collections::{BTreeMap, BTreeSet};

use slowleak_record::{Micros, Registry};

use crate::{Record, SPAN, generate, read};

#[test]
fn the_background_breaks_no_registry_rule() {
    let dir = tempfile::tempdir().unwrap();
    generate(&format!("{SPAN}[life]\nborn = 0.3\nretired = 0.3\n"), dir.path(), 150_000, 6);
    let mut registry = Registry::default();
    registry.read_keys(&dir.path().join("keys.csv")).unwrap();
    registry.read_people(&dir.path().join("people.csv")).unwrap();
    let log = read(dir.path());
    let mut withdrawn = 0;
    for record in &log {
        let time = Micros(record.time);
        if let Some(user) = &record.user {
            assert!(registry.people[user].left_at.is_none_or(|left| time < left), "{user} at {time}");
        }
        let Some(key) = &record.key else { continue };
        let entry = &registry.keys[key];
        assert!(entry.issued_at.is_none_or(|issued| time > issued), "{key} at {time} before its issue");
        assert!(entry.revoked_at.is_none_or(|revoked| time < revoked), "{key} at {time} after its end");
        assert!(
            entry.regions.is_empty() || entry.regions.contains(&record.region),
            "{key} in {}",
            record.region
        );
        let owner = entry.owner.as_ref().map(|owner| &registry.people[owner]);
        assert!(owner.is_none_or(|owner| owner.left_at.is_none_or(|left| time < left)), "{key} at {time}");
        withdrawn += u64::from(entry.revoked_at.is_some());
    }
    assert!(withdrawn > 100, "no key in use was withdrawn later");
    let used: BTreeSet<&String> = log.iter().filter_map(|r| r.key.as_ref()).collect();
    let old: Vec<_> = registry.keys.keys().filter(|key| key.contains("-old-")).collect();
    assert!(old.len() == 20 && old.iter().all(|key| !used.contains(key)), "{}", old.len());
}

/// Daily counts of whatever `name` picks.
fn daily(log: &[Record], mut name: impl FnMut(&Record) -> Option<String>) -> BTreeMap<String, Vec<f64>> {
    let first = "2025-03-01".parse::<Micros>().unwrap().0;
    let mut series: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in log {
        if let Some(name) = name(record) {
            let day = ((record.time - first) / Micros::DAY) as usize;
            series.entry(name).or_insert_with(|| vec![0.0; 92])[day] += 1.0;
        }
    }
    series
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Correlation of a series with itself a day later.
fn autocorrelation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let pairs: f64 = values.windows(2).map(|pair| (pair[0] - centre) * (pair[1] - centre)).sum();
    pairs / values.iter().map(|value| (value - centre).powi(2)).sum::<f64>()
}

#[test]
fn days_are_overdispersed_and_remember_the_day_before() {
    let dir = tempfile::tempdir().unwrap();
    let life = "day_cv = 0.25\nday_ar = 0.85\nholidays = []\nsales = []\noutages = 0";
    generate(&format!("{SPAN}[life]\n{life}\n"), dir.path(), 200_000, 7);
    let log = read(dir.path());
    let total =
        daily(&log, |r| r.key.as_ref()?.starts_with("customer").then(String::new)).remove("").unwrap();
    assert!(autocorrelation(&total) > 0.5, "{}", autocorrelation(&total));
    let users = daily(&log, |r| r.user.clone().filter(|user| user.starts_with("support")));
    let busy: Vec<&Vec<f64>> = users.values().filter(|days| mean(days) > 1.0).collect();
    assert!(busy.len() > 30, "{}", busy.len());
    let dispersion: Vec<f64> = busy
        .iter()
        .map(|days| {
            let centre = mean(days);
            days.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / days.len() as f64 / centre
        })
        .collect();
    assert!(mean(&dispersion) > 1.5, "Poisson has 1, these {}", mean(&dispersion));
    // Without the shared factor, and in a group without noise of its own, the memory is gone.
    let calm = tempfile::tempdir().unwrap();
    let groups =
        "[[group]]\nname = \"customer\"\nshare = 1\nkeys = 4\nusers = 8\nseason = \"customers\"\ncv = 0.0\n";
    let life =
        "day_cv = 0.0\nborn = 0.0\nretired = 0.0\ngrowing = 0.0\nholidays = []\nsales = []\noutages = 0";
    generate(&format!("{SPAN}{groups}[life]\n{life}\n"), calm.path(), 200_000, 7);
    let total = daily(&read(calm.path()), |_| Some(String::new())).remove("").unwrap();
    let weekdays: Vec<f64> =
        total.iter().enumerate().filter(|(day, _)| ![0, 1].contains(&(day % 7))).map(|(_, &x)| x).collect();
    assert!(mean(&weekdays) > 1000.0);
    let centre = mean(&weekdays);
    let spread = (weekdays.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / weekdays.len() as f64).sqrt();
    assert!(spread / centre < 0.06, "{}", spread / centre);
}

#[test]
fn seasons_holidays_and_absences_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let life = "holidays = [2025-04-16]\nsales = [2025-04-23]\noutages = 0\nday_cv = 0.05\ntrips = 0.02";
    generate(&format!("{SPAN}[life]\n{life}\n"), dir.path(), 300_000, 8);
    let log = read(dir.path());
    let group = |record: &Record| record.key.as_ref().map(|key| key.split('-').next().unwrap().to_owned());
    let mut by_hour: BTreeMap<(String, i64), f64> = BTreeMap::new();
    for record in &log {
        let hour = (record.time + 9 * Micros::HOUR).rem_euclid(Micros::DAY) / Micros::HOUR;
        *by_hour.entry((group(record).unwrap_or_default(), hour)).or_default() += 1.0;
    }
    let at = |name: &str, hour: i64| by_hour.get(&(name.to_owned(), hour)).copied().unwrap_or(0.0);
    assert!(at("office", 10) > 20.0 * at("office", 3), "office: {} {}", at("office", 10), at("office", 3));
    assert!(at("customer", 21) > 2.0 * at("customer", 5));
    assert!(at("batch", 14) == 0.0 && at("batch", 2) > 100.0);
    let local = |record: &Record| record.time + 9 * Micros::HOUR;
    let first = "2025-03-01".parse::<Micros>().unwrap().0;
    let mut days: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in &log {
        let day = ((local(record) - first) / Micros::DAY) as usize;
        days.entry(group(record).unwrap_or_default()).or_insert_with(|| vec![0.0; 93])[day] += 1.0;
    }
    // 16 and 23 April are Wednesdays, days 46 and 53.
    let wednesdays = |name: &str| mean(&[32, 39, 60, 67].map(|day| days[name][day]));
    assert!(days["office"][46] < 0.5 * wednesdays("office"));
    assert!((0.7..1.4).contains(&(days["batch"][46] / wednesdays("batch"))));
    assert!(days["customer"][53] > 1.25 * wednesdays("customer"));
    // Somebody is silent for at least a week between two busy times, and somebody begins late.
    let users = daily(&log, |r| r.user.clone().filter(|user| user.starts_with("support")));
    let runs = |days: &Vec<f64>| {
        let active: Vec<usize> = (0..days.len()).filter(|&day| days[day] > 0.0).collect();
        let gap = active.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        (gap, active.first().copied().unwrap_or(0))
    };
    let busy: Vec<(usize, usize)> =
        users.values().filter(|days| days.iter().sum::<f64>() > 150.0).map(runs).collect();
    assert!(busy.iter().filter(|(gap, _)| (7..=30).contains(gap)).count() >= 5);
    assert!(busy.iter().any(|&(_, first)| first > 14));
    // People and customers are abroad now and then; several sources a person.
    let abroad = log.iter().filter(|r| r.region != "kr").count() as f64 / log.len() as f64;
    assert!((0.002..0.03).contains(&abroad), "{abroad}");
    let mut sources: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for record in &log {
        if let Some(user) = record.user.as_ref().filter(|user| user.starts_with("office")) {
            sources.entry(user).or_default().insert(&record.source);
        }
    }
    let counts: Vec<f64> = sources.values().map(|sources| sources.len() as f64).collect();
    assert!(mean(&counts) > 5.0, "{}", mean(&counts));
}

#[test]
fn records_are_nearly_in_order_and_some_fail() {
    let dir = tempfile::tempdir().unwrap();
    generate(&format!("{SPAN}[life]\nlate = 0.002\n"), dir.path(), 100_000, 9);
    let log = read(dir.path());
    let (mut latest, mut disordered, mut late) = (0, 0, 0);
    for record in &log {
        let behind = latest - record.time;
        disordered += u64::from(behind > 0);
        late += u64::from(behind > 60 * Micros::SECOND);
        assert!(behind < 2 * Micros::HOUR + 10 * Micros::SECOND);
        latest = latest.max(record.time);
    }
    assert!(disordered >= late && (100..320).contains(&late), "{disordered} {late}");
    let share =
        |what: &dyn Fn(&Record) -> bool| log.iter().filter(|r| what(r)).count() as f64 / log.len() as f64;
    assert!((0.008..0.02).contains(&share(&|r| r.status != "ok")));
    assert!((0.0003..0.003).contains(&share(&|r| r.key.is_none())));
    assert!((0.0008..0.004).contains(&share(&|r| r.user.is_none())));
    assert!(log.iter().all(|r| r.key.is_some() || r.user.is_some()));
    assert!(log.iter().all(|r| (r.rows > 0) == (r.status == "ok") && r.bytes > 0));
    // Objects differ in the size of their answers: heavy tails, correlated with the object.
    let mut sums: BTreeMap<&String, (f64, f64)> = BTreeMap::new();
    for record in
        log.iter().filter(|r| r.status == "ok" && !r.key.as_deref().unwrap_or("batch").starts_with("batch"))
    {
        let sum = sums.entry(&record.object).or_default();
        *sum = (sum.0 + record.rows as f64, sum.1 + 1.0);
    }
    let means: Vec<f64> = sums.values().filter(|sum| sum.1 > 200.0).map(|sum| sum.0 / sum.1).collect();
    let (low, high) = means.iter().fold((f64::MAX, 0.0_f64), |(low, high), &x| (low.min(x), high.max(x)));
    assert!(high > 4.0 * low, "{low} {high}");
}

#[test]
fn a_migration_moves_the_users_and_a_service_lifts_tables() {
    let dir = tempfile::tempdir().unwrap();
    generate(
        &format!("{SPAN}[life]\nmigrations = 3\nservices = 1\nborn = 0.0\nretired = 0.0\n"),
        dir.path(),
        200_000,
        10,
    );
    let mut registry = Registry::default();
    registry.read_keys(&dir.path().join("keys.csv")).unwrap();
    let span_start = "2025-03-01".parse::<Micros>().unwrap();
    let new: Vec<&String> = registry
        .keys
        .iter()
        .filter(|(_, key)| key.issued_at > Some(span_start))
        .map(|(name, _)| name)
        .collect();
    let gone: Vec<&String> = registry
        .keys
        .iter()
        .filter(|(_, key)| key.revoked_at > Some(span_start))
        .map(|(name, _)| name)
        .collect();
    assert_eq!((new.len(), gone.len()), (4, 3), "three migrations and one service");
    let log = read(dir.path());
    let users = |key: &String| -> BTreeSet<&String> {
        log.iter().filter(|r| r.key.as_ref() == Some(key)).filter_map(|r| r.user.as_ref()).collect()
    };
    for old in gone {
        let before = users(old);
        let best = new.iter().map(|key| users(key).intersection(&before).count()).max().unwrap();
        assert!(best * 2 > before.len(), "{old}: {best} of {}", before.len());
    }
}
