//! Rules, each on a log of a few keys that it is or is not about.

use slowleak_detect::{DetectConfig, Detection, Detector, Finding, Issues, Known, Sensitivity, Severity};
use slowleak_record::{KeyEntry, Registry};
use slowleak_rollup::{DayTable, Rollup};

use crate::world::{DAYS, Daily, World, day, detect, keys, leak, name, rollup};

/// One access on each of the given days.
fn on(days: impl IntoIterator<Item = usize>) -> Daily {
    let mut series = vec![0.0; DAYS];
    days.into_iter().for_each(|day| series[day] += 1.0);
    series
}

/// Keys a, b, ... with these series.
fn log(series: Vec<Daily>) -> Rollup {
    let named: Vec<(String, Daily)> =
        series.into_iter().zip('a'..).map(|(series, key)| (key.to_string(), series)).collect();
    Rollup { tables: vec![rollup("key@1d:events", &named)] }
}

fn registry(entries: &[(&str, KeyEntry)]) -> Registry {
    let keys = entries.iter().map(|(key, entry)| ((*key).to_owned(), entry.clone())).collect();
    Registry { keys, ..Registry::default() }
}

fn judge(rollup: &Rollup, registry: &Registry, config: &DetectConfig) -> Detection {
    let days: Vec<DayTable> = rollup.tables.iter().map(DayTable::of).collect();
    let Ok(detection) = slowleak_detect::detect(&days, rollup, registry, config);
    detection
}

/// Entity, first and last day, and events of each finding, in the order of names.
fn told(findings: &[Finding]) -> Vec<(&str, usize, usize, f64)> {
    let at = |time: slowleak_record::Micros| ((time.0 - day(0).0) / slowleak_record::Micros::DAY) as usize;
    let mut told: Vec<_> =
        findings.iter().map(|f| (f.entity.as_str(), at(f.start), at(f.end) - 1, f.observed)).collect();
    told.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    told
}

#[test]
fn use_before_the_issue_is_a_fact_and_use_on_its_day_is_not() {
    let entry = KeyEntry { issued_at: Some(day(50)), ..KeyEntry::default() };
    let rollup = log(vec![on([10, 20, 50, 51]), on([50, 60])]);
    let found = detect(&rollup, &registry(&[("a", entry.clone()), ("b", entry)])).findings;
    assert_eq!(told(&found), [("a", 10, 20, 2.0)]);
    assert_eq!((found[0].detector, found[0].severity), (Detector::KeyBeforeIssue, Severity::High));
    assert!(found[0].summary.contains("was used 2 times before it was issued (2025-04-20), "), "{found:?}");
}

#[test]
fn use_from_a_region_that_is_not_allowed_is_a_fact() {
    let mut rollup = log(vec![on(0..100), on(0..100), on(0..100)]);
    let slices =
        [("a + KR", on(0..90)), ("a + cn", on(90..100)), ("b + cn", on(0..100)), (r"c\ + d + cn", on([3]))];
    let slices: Vec<(String, Daily)> = slices.map(|(entity, days)| (entity.to_owned(), days)).into();
    rollup.tables.push(self::rollup("key+region@1d:events", &slices));
    let allowed = KeyEntry { regions: vec!["kr".to_owned(), "jp".to_owned()], ..KeyEntry::default() };
    let found = detect(&rollup, &registry(&[("a", allowed), ("b", KeyEntry::default())])).findings;
    assert_eq!(told(&found), [("a + cn", 90, 99, 10.0)]);
    assert_eq!((found[0].detector, found[0].key.as_deref()), (Detector::KeyOutsideRegion, Some("a")));
    assert!(found[0].summary.contains("from a region that it is not allowed (allowed: kr, jp)"), "{found:?}");
}

#[test]
fn regions_of_one_theft_are_one_finding() {
    let mut rollup = log(vec![on(0..100)]);
    let slices = [("a + cn", on(50..90)), ("a + ru", on(52..92))];
    let slices: Vec<(String, Daily)> = slices.map(|(entity, days)| (entity.to_owned(), days)).into();
    rollup.tables.push(self::rollup("key+region@1d:events", &slices));
    let allowed = KeyEntry { regions: vec!["kr".to_owned()], ..KeyEntry::default() };
    let found = detect(&rollup, &registry(&[("a", allowed)])).findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].evidence.len(), 2);
}

#[test]
fn a_key_that_wakes_after_long_silence_is_found_once_a_waking() {
    let config = DetectConfig { dormant_days: 60, ..DetectConfig::default() };
    // Silent for 60 days, 59 days, 60 days twice; "e" keeps the log going.
    let rollup = log(vec![on([0, 61, 62]), on([0, 60]), on([0, 61, 122]), on([100, 120]), on(0..DAYS)]);
    let found = judge(&rollup, &Registry::default(), &config).findings;
    assert_eq!(told(&found), [("a", 61, 62, 2.0), ("c", 61, 61, 1.0), ("c", 122, 122, 1.0)]);
    assert!(found.iter().all(|f| (f.detector, f.severity) == (Detector::DormantKey, Severity::Medium)));
    assert!(found[0].summary.contains("after 60 days without any use"), "{}", found[0].summary);
    assert!(judge(&rollup, &Registry::default(), &DetectConfig::default()).findings.is_empty());
}

#[test]
fn silence_is_shown_by_days_with_records_and_by_the_registry_alone() {
    let config = DetectConfig { dormant_days: 60, ..DetectConfig::default() };
    let existed = |issued: Option<i64>, rotated: Option<usize>| KeyEntry {
        issued_at: issued.map(|day_| slowleak_record::Micros(day(0).0 + day_ * slowleak_record::Micros::DAY)),
        rotated_at: rotated.map(day),
        ..KeyEntry::default()
    };
    // Existed before the log; made in it; rotated a day before; unknown.
    let rollup = log(vec![on([70]), on([70, 71]), on([0, 70]), on([70]), on(0..DAYS)]);
    let known = registry(&[
        ("a", existed(Some(-100), None)),
        ("b", existed(Some(20), None)),
        ("c", existed(Some(-9), Some(69))),
    ]);
    let found = judge(&rollup, &known, &config).findings;
    assert_eq!(told(&found), [("a", 70, 70, 1.0)]);
    assert_eq!(found[0].severity, Severity::Low, "perhaps it was only put to use late");
    assert!(found[0].summary.contains("and none before in this log (made 2024-11-21)"), "{found:?}");
    // The same silence, of which the log itself has lost half.
    let holed = log(vec![on([0, 70]), on((0..30).chain(60..DAYS))]);
    assert!(judge(&holed, &Registry::default(), &config).findings.is_empty());
}

#[test]
fn a_stale_key_is_low_and_leads_no_finding_that_has_more_to_say() {
    let config = DetectConfig { rotation_days: Some(30), ..DetectConfig::default() };
    let issued = |at| KeyEntry { issued_at: Some(day(at)), ..KeyEntry::default() };
    let rotated = KeyEntry { rotated_at: Some(day(40)), ..issued(0) };
    let revoked = KeyEntry { revoked_at: Some(day(60)), ..issued(0) };
    let rollup = log(vec![on([5, 29, 30, 50]), on([5, 50, 69]), on([5, 50, 65]), on([5])]);
    let known = registry(&[("a", issued(0)), ("b", rotated), ("c", revoked), ("d", issued(0))]);
    let found = judge(&rollup, &known, &config).findings;
    assert_eq!(told(&found), [("a", 30, 50, 2.0), ("c", 65, 65, 1.0)]);
    assert_eq!((found[0].detector, found[0].rank), (Detector::KeyAfterRevocation, 1));
    assert_eq!((found[1].detector, found[1].severity), (Detector::StaleKey, Severity::Low));
    assert!(found[1].summary.contains("with a secret older than 30 days (issued 2025-03-01)"), "{found:?}");
    assert!(judge(&rollup, &known, &DetectConfig::default()).findings.len() == 1, "no policy, no stale key");
}

#[test]
fn a_stale_key_that_leaks_is_one_finding_of_the_leak() {
    use rand::SeedableRng;
    let mut series = World { entities: 64, noise: 0.1, memory: 0.0 }.simulate(5);
    leak(&mut series[4], 90..120, 3.0, &mut rand_pcg::Pcg64Mcg::seed_from_u64(5));
    let entry = KeyEntry { issued_at: Some(day(0)), ..KeyEntry::default() };
    let known = registry(&[(&name(4), entry)]);
    let config = DetectConfig { rotation_days: Some(30), ..DetectConfig::default() };
    let found = judge(&keys(series), &known, &config).findings;
    let of_key: Vec<&Finding> = found.iter().filter(|finding| finding.entity == name(4)).collect();
    assert_eq!(of_key.len(), 1, "{of_key:?}");
    assert_eq!(of_key[0].detector, Detector::Rate);
    assert!(of_key[0].evidence.iter().any(|row| row.detector == Detector::StaleKey));
}

#[test]
fn a_rise_of_a_key_that_slept_leads_and_the_sleep_is_evidence() {
    use rand::SeedableRng;
    let mut series = World { entities: 64, noise: 0.1, memory: 0.0 }.simulate(5);
    series[4] = series[5].clone();
    series[4][10..75].fill(0.0);
    leak(&mut series[4], 130..150, 8.0, &mut rand_pcg::Pcg64Mcg::seed_from_u64(5));
    let config = DetectConfig { dormant_days: 60, ..DetectConfig::default() };
    let found = judge(&keys(series), &Registry::default(), &config).findings;
    let of_key: Vec<&Finding> = found.iter().filter(|finding| finding.entity == name(4)).collect();
    assert_eq!(of_key.len(), 1, "{of_key:?}");
    assert_eq!((of_key[0].detector, of_key[0].start), (Detector::Rate, day(130)));
    assert!(of_key[0].evidence.iter().any(|row| row.detector == Detector::DormantKey));
}

/// Findings of a log by key and by key and user, with a list of (key, user, day of issue).
fn issued(rollup: &Rollup, users: bool, begins: usize, list: &[(&str, Option<&str>, usize)]) -> Vec<Finding> {
    let days: Vec<DayTable> = rollup.tables.iter().map(DayTable::of).collect();
    let mut issues = Issues::new(&days, day(begins), users).unwrap();
    list.iter().for_each(|(key, user, at)| issues.issue(key, *user, day(*at)));
    let registry = Registry::default();
    let known = Known { registry: &registry, issues: Some(&issues) };
    let Ok(detection) = slowleak_detect::detect(&days, rollup, known, &DetectConfig::default());
    detection.findings
}

#[test]
fn use_without_issue_or_before_it_is_a_fact() {
    let rollup = log(vec![on([20, 21]), on([20, 30]), on([20]), on([5, 6])]);
    // "d" was in use before the list begins: its issue may be older.
    let list = [("a", None, 19), ("a", None, 40), ("b", None, 25), ("x", None, 10)];
    let found = issued(&rollup, false, 10, &list);
    assert_eq!(told(&found), [("b", 20, 20, 1.0), ("c", 20, 20, 1.0)]);
    assert!(found.iter().all(|f| f.detector == Detector::UseWithoutIssue && f.severity == Severity::High));
    assert!(
        found.iter().any(|f| f.summary.contains("was used 1 time without having been issued, ")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|f| f.summary.contains("before it was first issued (2025-03-26), ")),
        "{found:?}"
    );
    // A list that holds none of the log's keys is of something else.
    assert!(issued(&rollup, false, 0, &[("A", None, 1)]).is_empty());
}

#[test]
fn a_key_in_the_hands_of_another_user_than_it_was_issued_to_is_a_fact() {
    let mut rollup = log(vec![on([20, 21, 22]), on([20]), on([20, 21])]);
    let pairs =
        [("a + ann", on([20])), ("a + eve", on([21, 22])), ("b + eve", on([20])), ("c + ann", on([20, 21]))];
    let pairs: Vec<(String, Daily)> = pairs.map(|(pair, days)| (pair.to_owned(), days)).into();
    rollup.tables.push(self::rollup("key+user@1d:events", &pairs));
    // "b" was issued to nobody in particular; "c" to ann a day after it was to bob.
    let list = [("a", Some("ann"), 19), ("b", None, 19), ("c", Some("bob"), 19), ("c", Some("ann"), 21)];
    let found = issued(&rollup, true, 10, &list);
    assert_eq!(told(&found), [("a + eve", 21, 22, 2.0), ("c + ann", 20, 20, 1.0)]);
    assert_eq!((found[0].key.as_deref(), found[0].user.as_deref()), (Some("a"), Some("eve")));
    assert!(found[0].summary.contains("without having been issued to this user"), "{found:?}");
    assert!(
        issued(&rollup, false, 10, &list).is_empty(),
        "without users on the list the pairs are not judged"
    );
}

#[test]
fn sensitivity_changes_rank_and_severity() {
    let end = KeyEntry { revoked_at: Some(day(50)), ..KeyEntry::default() };
    let mut rollup = log(vec![on(50..60), on(50..55)]);
    let slices = [("a + logs", on(50..60)), ("b + cards", on(50..55))];
    let slices: Vec<(String, Daily)> = slices.map(|(entity, days)| (entity.to_owned(), days)).into();
    rollup.tables.push(self::rollup("key+object@1d:events", &slices));
    let known = registry(&[("a", end.clone()), ("b", end)]);
    let order = |weights: &[(&str, f64)]| {
        let weights = weights.iter().map(|(object, weight)| ((*object).to_owned(), *weight));
        let sensitivity = Sensitivity::new(weights).unwrap();
        let config = DetectConfig { sensitivity, ..DetectConfig::default() };
        let found = judge(&rollup, &known, &config).findings;
        found.iter().map(|f| (f.entity.clone(), f.taken, f.sensitivity)).collect::<Vec<_>>()
    };
    assert_eq!(order(&[]), [("a".to_owned(), 10.0, 1.0), ("b".to_owned(), 5.0, 1.0)]);
    assert_eq!(order(&[("card*", 3.0)]), [("b".to_owned(), 5.0, 3.0), ("a".to_owned(), 10.0, 1.0)]);
}
