//! What a caller of the generator sees: files, bytes, truth and registries, read back from Parquet.

#![expect(clippy::unwrap_used, reason = "a test that can not set itself up must stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use slowleak_record::{Micros, Registry, Truth, discover};
use slowleak_synth::{GenerateOptions, Generated, Scenario, SynthError};

/// A record as read back; the strings that the tests look at.
struct Record {
    time: i64,
    key: Option<String>,
    user: Option<String>,
    source: String,
    region: String,
    object: String,
    subject: i64,
    rows: i64,
    bytes: i64,
    status: String,
}

fn read(out: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    for file in discover(&[out.join("logs")]).unwrap() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = |name: &str, kind| cast(batch.column_by_name(name).unwrap(), &kind).unwrap();
            let [time, subject, rows, bytes] =
                ["time", "subject", "rows", "bytes"].map(|name| column(name, DataType::Int64));
            let [key, user, source, region, object, status] =
                ["key", "user", "source", "region", "object", "status"].map(|n| column(n, DataType::Utf8));
            let number =
                |array: &arrow::array::ArrayRef, row: usize| array.as_primitive::<Int64Type>().value(row);
            let text = |array: &arrow::array::ArrayRef, row: usize| {
                let array = array.as_string::<i32>();
                arrow::array::Array::is_valid(array, row).then(|| array.value(row).to_owned())
            };
            records.extend((0..batch.num_rows()).map(|row| Record {
                time: number(&time, row),
                key: text(&key, row),
                user: text(&user, row),
                source: text(&source, row).unwrap(),
                region: text(&region, row).unwrap(),
                object: text(&object, row).unwrap(),
                subject: number(&subject, row),
                rows: number(&rows, row),
                bytes: number(&bytes, row),
                status: text(&status, row).unwrap(),
            }));
        }
    }
    records
}

fn generate(text: &str, out: &Path, rows: u64, seed: u64) -> Generated {
    let options = GenerateOptions { rows: Some(rows), seed: Some(seed) };
    Scenario::parse(text, "test.toml").unwrap().generate(out, &options, &|_| {}).unwrap()
}

/// Every file below a folder, with its bytes.
fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

const SPAN: &str = "[span]\nstart = 2025-03-01\nend = 2025-06-01\nutc_offset_hours = 9\n";

const LEAK: &str = r#"
[[object]]
name = "account-edit"
share = 0.001
groups = ["customer"]

[[leak]]
name = "test-leak"
dimension = "key"
credential = CREDENTIAL
user = USER

[[leak.phase]]
start = 2025-04-01T03:30:00Z
end = 2025-05-11
share = 0.01
objects = [{ name = "account-edit" }]
pattern = "once"
misses = 0.25
addresses = 50
active = 5
region = "cn"
"#;

fn leaking(credential: &str, user: &str, life: &str) -> String {
    format!("{SPAN}\n[life]\n{life}\n{}", LEAK.replace("CREDENTIAL", credential).replace("USER", user))
}

const DEDICATED: &str = r#"{ dedicated = { key = "copied", owner = "gone", owner_left = 2025-01-01 } }"#;

#[test]
fn same_seed_same_bytes_whatever_the_threads() {
    let text = leaking(DEDICATED, "\"null\"", "");
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, threads: usize, seed: u64| {
        let out = dir.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| generate(&text, &out, 30_000, seed));
        bytes_of(&out)
    };
    let one = run("one", 1, 5);
    assert!(one.len() > 10 && one.contains_key(Path::new("keys.csv")));
    assert!(one == run("two", 2, 5), "two threads wrote other bytes than one");
    let other = run("other", 1, 6);
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert!(one.iter().all(|(path, bytes)| other[path] != *bytes), "another seed wrote the same bytes");
}

#[test]
fn the_number_of_records_is_exact_and_progress_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    for (n, rows) in [1, 777, 50_000].into_iter().enumerate() {
        let out = dir.path().join(n.to_string());
        let seen = AtomicU64::new(0);
        let options = GenerateOptions { rows: Some(rows), seed: None };
        let scenario = Scenario::parse(SPAN, "t").unwrap();
        let made = scenario
            .generate(&out, &options, &|count| {
                seen.fetch_add(count, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!((made.rows, seen.into_inner()), (rows, rows));
        let on_disk: u64 = bytes_of(&out.join("logs")).values().map(|bytes| bytes.len() as u64).sum();
        assert_eq!(made.bytes, on_disk);
        assert_eq!(read(&out).len() as u64, rows);
        assert!(!out.join("_logs.unfinished").exists());
    }
}

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

fn mean(values: &[f64]) -> f64 {
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

#[test]
fn an_existing_log_is_never_mixed_with_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    generate(SPAN, dir.path(), 100, 1);
    let before = bytes_of(dir.path());
    let again =
        Scenario::parse(SPAN, "t").unwrap().generate(dir.path(), &GenerateOptions::default(), &|_| {});
    let error = again.unwrap_err();
    assert!(matches!(error, SynthError::Occupied(_)) && error.to_string().contains("already holds a log"));
    assert!(bytes_of(dir.path()) == before);
    // What a killed run left behind goes.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("_logs.unfinished/date=2020-01-01")).unwrap();
    std::fs::write(dir.path().join("_logs.unfinished/date=2020-01-01/part-0.parquet"), b"half").unwrap();
    generate(SPAN, dir.path(), 100, 1);
    assert!(
        !dir.path().join("_logs.unfinished").exists() && !dir.path().join("logs/date=2020-01-01").exists()
    );
}

#[test]
fn event_ids_are_there_on_request_and_all_differ() {
    let dir = tempfile::tempdir().unwrap();
    generate(&format!("event_id = true\n{}", leaking(DEDICATED, "\"null\"", "")), dir.path(), 20_000, 1);
    let mut ids = BTreeSet::new();
    for file in discover(&[dir.path().join("logs")]).unwrap() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name("event_id").unwrap().as_string::<i32>().clone();
            ids.extend(column.iter().flatten().map(str::to_owned));
        }
    }
    assert_eq!(ids.len(), 20_000);
}

#[test]
fn wrong_scenarios_are_refused_with_line_and_remedy() {
    let leak = leaking(DEDICATED, "\"null\"", "");
    let cases = [
        (String::new(), 1, "span"),
        ("rows = 5\nspeed = 3\n".to_owned() + SPAN, 2, "unknown field"),
        (SPAN.replace("2025-06-01", "2025-02-01"), 3, "span has"),
        (SPAN.replace("2025-06-01", "2025-06-01T01:00:00Z"), 3, "midnight"),
        (SPAN.replace("2025-06-01", "\"June\""), 3, "not a time"),
        (SPAN.replace("= 9", "= 99"), 4, "utc_offset_hours"),
        (format!("{SPAN}[life]\nmissing = 0.9\n"), 6, "missing = 0.9"),
        (format!("{SPAN}[population]\nabroad = []\n"), 6, "abroad"),
        (format!("{SPAN}[[object]]\nname = \"a,b\"\nshare = 0.1\n"), 6, "plain name"),
        (format!("{SPAN}[[object]]\nname = \"a\"\nshare = 0.1\ngroups = [\"x\"]\n"), 8, "not a group"),
        (leak.replace("share = 0.01\n", ""), 20, "volume"),
        (leak.replace("2025-05-11", "2025-07-11"), 22, "leaves the span"),
        (leak.replace("[{ name = \"account-edit\" }]", "[{ name = \"orders\" }]"), 24, "not an object"),
        (leak.replace("region = \"cn\"", "region = \"xx\""), 29, "neither home nor abroad"),
        (leak.replace("dimension = \"key\"", "dimension = \"user\""), 16, "can not name"),
        (leak.replace("share = 0.01\n", "lift = 0.5\n"), 23, "have none"),
        (leak.replace("region = \"cn\"\n", ""), 20, "no region"),
        (leak.replace("addresses = 50\n", ""), 20, "no insider"),
        (leak.replace("misses = 0.25", "unused = 9"), 26, "whose objects these are not"),
        (
            leaking("{ shared = { share = 0.1, group = \"office\" } }", "\"of-key\"", "")
                .replace("misses = 0.25", "unused = 99"),
            26,
            "leaves 1",
        ),
        (leak.replace("misses = 0.25", "bulk = 0"), 26, "bulk = 0 is out of range"),
        (
            leak.replace("dimension = \"key\"", "dimension = \"key\"\ncopies = 0"),
            17,
            "copies = 0 is out of range",
        ),
        (
            leaking("{ shared = { share = 0.1 } }", "{ new = \"x\" }", ""),
            18,
            "a new user on a key that others use",
        ),
    ];
    for (text, line, cause) in cases {
        let error = Scenario::parse(&text, "bad.toml").unwrap_err();
        let SynthError::Scenario { line: at, ref remedy, .. } = error else { panic!("{error}") };
        let message = error.to_string();
        assert!(message.contains(cause), "{message} lacks {cause:?}");
        assert_eq!(at, line, "{message}\n{text}");
        assert!(message.starts_with(&format!("bad.toml:{line}: ")) && !remedy.is_empty(), "{message}");
    }
    let error = Scenario::read(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(error.contains("no/such.toml") && error.contains("five-month"), "{error}");
}

#[test]
fn the_shipped_scenarios_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    for (name, leaks) in [("five-month", 1), ("seven-month", 1), ("departed-key", 1), ("quiet", 0)] {
        let scenario = Scenario::read(&folder.join(format!("{name}.toml"))).unwrap();
        assert_eq!(scenario.name(), name);
        let dir = tempfile::tempdir().unwrap();
        let options = GenerateOptions { rows: Some(100_000), seed: None };
        let made = scenario.generate(dir.path(), &options, &|_| {}).unwrap();
        assert_eq!(made.truth.leaks.len(), leaks, "{name}");
    }
}

#[test]
fn the_scenarios_of_the_quality_bench_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/quality");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "toml") || name == "bench" {
            continue;
        }
        let scenario = Scenario::read(&path).unwrap();
        assert_eq!(scenario.name(), name, "a scenario is named as its file");
        let leaks = std::fs::read_to_string(&path).unwrap().contains("[[leak]]");
        let dir = tempfile::tempdir().unwrap();
        let options = GenerateOptions { rows: Some(150_000), seed: Some(1) };
        let made = scenario.generate(dir.path(), &options, &|_| {}).unwrap();
        assert_eq!(made.truth.leaks.is_empty(), !leaks, "{name}");
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}
