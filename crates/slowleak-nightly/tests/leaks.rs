//! Leaks live from night to night: ids stay, and only changes are told.

#![expect(clippy::unwrap_used, reason = "a helper that fails ends its test")]

use slowleak_detect::{Detector, Finding, Severity};
use slowleak_nightly::{Course, Leak, Status, finding_of, follow, json_lines, leak_lines, messages};
use slowleak_record::Micros;
use slowleak_rollup::Metric;

fn day(day: i64) -> Micros {
    Micros(day * Micros::DAY)
}

fn finding(id: &str, key: &str, days: std::ops::Range<i64>, taken: f64, severity: Severity) -> Finding {
    Finding {
        id: id.to_owned(),
        rank: 1,
        severity,
        detector: Detector::Rate,
        dimension: "key".parse().unwrap(),
        entity: key.to_owned(),
        key: Some(key.to_owned()),
        user: None,
        metric: Metric::Events,
        start: day(days.start),
        end: day(days.end),
        observed: 2.0 * taken,
        expected: taken,
        subjects: None,
        taken,
        sensitivity: 1.0,
        score: 40.0,
        expected_false: Some(1e-9),
        open: false,
        summary: format!("{key} <took> too much"),
        suppressed: None,
        cause: None,
        evidence: Vec::new(),
        shares: Vec::new(),
        timeline: Vec::new(),
    }
}

/// Follows one night after the other; gives (night, id, status) of what was told, and the leaks in the end.
fn lived(nights: &[(i64, Vec<Finding>)]) -> (Vec<(i64, String, Status)>, Vec<Leak>) {
    let (mut leaks, mut told) = (Vec::new(), Vec::new());
    for (end, findings) in nights {
        let (next, changes) = follow(&leaks, findings, day(*end));
        told.extend(changes.iter().map(|change| (*end, change.leak.id.clone(), change.status)));
        leaks = next;
    }
    (told, leaks)
}

fn told(list: &[(i64, &str, Status)]) -> Vec<(i64, String, Status)> {
    list.iter().map(|(night, id, status)| (*night, (*id).to_owned(), *status)).collect()
}

#[test]
fn a_leak_of_seven_months_is_told_a_few_times() {
    // It takes one account more each day.
    let nights: Vec<(i64, Vec<Finding>)> = (10..220)
        .map(|night| {
            let days = 3..night.min(200);
            (night, vec![finding("SL-A", "k", days.clone(), (days.end - days.start) as f64, Severity::High)])
        })
        .collect();
    let (told, leaks) = lived(&nights);
    assert_eq!(told.first().unwrap(), &(10, "SL-A".to_owned(), Status::New));
    assert_eq!(told.last().unwrap(), &(207, "SL-A".to_owned(), Status::Ended));
    // 7, 14, 28, 56, 112: each time twice as much.
    assert_eq!(told.iter().filter(|(.., status)| *status == Status::Grown).count(), 4);
    assert_eq!((told.len(), leaks.len()), (6, 1));
}

#[test]
fn an_id_that_was_told_stays_when_the_finding_gets_another() {
    let of = |id: &str, days| vec![finding(id, "k", days, 50.0, Severity::High)];
    let nights = [(10, of("SL-A", 3..10)), (11, of("SL-B", 2..11)), (12, of("SL-B", 2..12))];
    let (changes, leaks) = lived(&nights);
    assert_eq!(changes, told(&[(10, "SL-A", Status::New)]));
    assert_eq!((leaks[0].id.as_str(), leaks[0].finding.as_str()), ("SL-A", "SL-B"));
    let lines = leak_lines(&leaks).unwrap();
    assert_eq!(finding_of(&lines, "SL-A").as_deref(), Some("SL-B"));
    assert_eq!(finding_of(&lines, "SL-C"), None);
    // The same key half a year later is another leak, even under an id that was told of the first.
    let mut both = of("SL-B", 2..12);
    both.push(finding("SL-A", "k", 190..200, 50.0, Severity::High));
    let (next, changes) = follow(&leaks, &both, day(200));
    let new: Vec<&str> = changes
        .iter()
        .filter(|change| change.status == Status::New)
        .map(|change| change.leak.id.as_str())
        .collect();
    assert_eq!(new, ["SL-A.2"]);
    assert_eq!(next.len(), 2);
}

#[test]
fn leaks_that_become_one_go_on_under_the_older_id() {
    let older = finding("SL-Z", "k", 3..6, 50.0, Severity::High);
    let later = finding("SL-B", "k", 9..12, 50.0, Severity::High);
    let whole = finding("SL-B", "k", 3..13, 90.0, Severity::High);
    let (changes, leaks) = lived(&[(6, vec![older.clone()]), (12, vec![older, later]), (13, vec![whole])]);
    let want = [
        (6, "SL-Z", Status::New),
        (12, "SL-B", Status::New),
        (13, "SL-Z", Status::Ongoing),
        (13, "SL-B", Status::Merged),
    ];
    assert_eq!(changes, told(&want));
    let lines = leak_lines(&leaks).unwrap();
    for id in ["SL-Z", "SL-B"] {
        assert_eq!(finding_of(&lines, id).as_deref(), Some("SL-B"));
    }
}

#[test]
fn what_vanishes_is_withdrawn_and_may_come_again() {
    let leak = || vec![finding("SL-A", "k", 3..9, 50.0, Severity::Medium)];
    let (changes, _) = lived(&[(9, leak()), (10, vec![]), (11, vec![]), (12, leak()), (13, leak())]);
    let want = [(9, "SL-A", Status::New), (10, "SL-A", Status::Withdrawn), (12, "SL-A", Status::Ongoing)];
    assert_eq!(changes, told(&want));
    // What the settings suppress is not told.
    let mut hidden = leak();
    hidden[0].suppressed = Some("known".to_owned());
    assert_eq!(lived(&[(9, hidden)]).0, []);
}

#[test]
fn only_what_is_bad_and_new_is_posted_and_names_do_no_harm() {
    let findings = vec![
        finding("SL-A", "a", 3..9, 50.0, Severity::High),
        finding("SL-B", "b", 3..9, 50.0, Severity::Low),
    ];
    let (leaks, changes) = follow(&[], &findings, day(9));
    let posted = messages(&changes, &[], Severity::High, day(9));
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0].body["text"], "*HIGH* SL-A: a &lt;took&gt; too much");
    assert_eq!(posted[0].body["finding"]["finding_info"]["uid"], "SL-A");
    // One grows to it; the other is told already.
    let worse = vec![
        finding("SL-A", "a", 3..9, 500.0, Severity::Critical),
        finding("SL-B", "b", 3..9, 50.0, Severity::High),
    ];
    let (_, changes) = follow(&leaks, &worse, day(10));
    let posted = messages(&changes, &leaks, Severity::High, day(10));
    assert_eq!(posted.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["SL-B"]);
    for line in json_lines(&changes, day(10)).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((event["activity_id"].as_i64(), event["type_uid"].as_i64()), (Some(2), Some(200_402)));
    }
}

#[test]
fn a_course_knows_first_reports_and_what_was_taken_back() {
    let mut course = Course::default();
    let of = |id: &str, key: &str, taken: f64| finding(id, key, 3..9, taken, Severity::Medium);
    // One leak under two ids, which grows and goes on; another that two nights tell and the next take back.
    course.night(day(9), &[of("SL-A", "a", 50.0)], day(9));
    course.night(day(10), &[of("SL-A2", "a", 60.0), of("SL-B", "b", 20.0)], day(10));
    course.same_night();
    course.night(day(12), &[of("SL-A2", "a", 70.0)], day(12));
    course.same_night();
    let told = course.told();
    let summary: Vec<_> = told
        .iter()
        .map(|told| (told.leak.id.as_str(), told.finding.id.as_str(), told.first_reported, told.nights))
        .collect();
    assert_eq!(summary, [("SL-A", "SL-A2", day(9), 5), ("SL-B", "SL-B", day(10), 2)]);
    assert_eq!((told[0].first.taken, told[0].finding.taken), (50.0, 70.0));
    assert_eq!((told[0].leak.status, told[1].leak.status), (Status::Ongoing, Status::Withdrawn));
}
