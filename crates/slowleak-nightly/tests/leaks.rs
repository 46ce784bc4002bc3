//! Leaks live from night to night: ids stay, and only changes are told.

#![expect(clippy::unwrap_used, reason = "a helper that fails ends its test")]

use slowleak_detect::{Detector, Evidence, Finding, Severity};
use slowleak_nightly::{Course, Leak, Status, Telling, follow, json_lines, leak_lines, leak_of, messages};
use slowleak_record::Micros;
use slowleak_rollup::Metric;

fn day(day: i64) -> Micros {
    Micros(day * Micros::DAY)
}

fn telling(end: i64) -> Telling {
    Telling { night: 7, end: day(end) }
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
        let (next, changes) = follow(&leaks, findings, day(0), day(*end));
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
    assert_eq!(leak_of(&lines, "SL-A").unwrap()["finding_id"], "SL-B");
    assert_eq!(leak_of(&lines, "SL-C"), None);
    // The same key half a year later is another leak, even under an id that was told of the first.
    let mut both = of("SL-B", 2..12);
    both.push(finding("SL-A", "k", 190..200, 50.0, Severity::High));
    let (next, changes) = follow(&leaks, &both, day(0), day(200));
    let new: Vec<&str> = changes
        .iter()
        .filter(|change| change.status == Status::New)
        .map(|change| change.leak.id.as_str())
        .collect();
    assert_eq!(new, ["SL-A.2"]);
    assert_eq!(next.len(), 2);
}

#[test]
fn an_id_that_moves_makes_no_other_leak_of_the_user_its_own() {
    let of = |id: &str, key: &str, days| Finding {
        user: Some("alice".to_owned()),
        ..finding(id, key, days, 50.0, Severity::High)
    };
    // The long one covers the other leak wholly, and the other's own finding begins a day later than it did.
    for (short, long) in [("SL-A", "SL-B"), ("SL-B", "SL-A")] {
        let nights = [
            (95, vec![of(long, "k2", 0..95), of(short, "k1", 30..90)]),
            (96, vec![of(long, "k2", 0..96), of("SL-C", "k1", 31..90)]),
        ];
        let (changes, leaks) = lived(&nights);
        let later: Vec<_> = changes.iter().filter(|(night, ..)| *night == 96).collect();
        assert_eq!(later, [] as [&(i64, String, Status); 0], "{short}");
        let now = |id: &str| leaks.iter().find(|leak| leak.id == id).unwrap().finding.as_str();
        assert_eq!((now(short), now(long)), ("SL-C", long));
    }
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
        assert_eq!(leak_of(&lines, id).unwrap()["finding_id"], "SL-B");
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
    let (leaks, changes) = follow(&[], &findings, day(0), day(9));
    let posted = messages(&changes, &[], Severity::High, telling(9));
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0].body["text"], "*HIGH* SL-A: a &lt;took&gt; too much");
    assert_eq!(posted[0].body["finding"]["finding_info"]["uid"], "SL-A");
    // One grows to it; the other is told already.
    let worse = vec![
        finding("SL-A", "a", 3..9, 500.0, Severity::Critical),
        finding("SL-B", "b", 3..9, 50.0, Severity::High),
    ];
    let (_, changes) = follow(&leaks, &worse, day(0), day(10));
    let posted = messages(&changes, &leaks, Severity::High, telling(10));
    assert_eq!(posted.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["SL-B"]);
    for line in json_lines(&changes, telling(10)).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((event["activity_id"].as_i64(), event["type_uid"].as_i64()), (Some(2), Some(200_402)));
        assert_eq!(event["unmapped"]["slowleak"]["night"], 7);
    }
}

#[test]
fn what_is_over_when_it_is_told_is_closed_on_the_next_night() {
    let old = |taken, severity| vec![finding("SL-A", "k", 3..9, taken, severity)];
    let same = || old(50.0, Severity::High);
    let nights = [(100, same()), (101, same()), (102, same())];
    let want = [(100, "SL-A", Status::New), (101, "SL-A", Status::Ended)];
    assert_eq!(lived(&nights).0, told(&want));
    // Once more where late records make it worse.
    let worse = || old(500.0, Severity::Critical);
    let nights = [(100, same()), (101, worse()), (102, worse()), (103, worse())];
    let want = [(100, "SL-A", Status::New), (101, "SL-A", Status::Grown), (102, "SL-A", Status::Ended)];
    assert_eq!(lived(&nights).0, told(&want));
}

#[test]
fn a_leak_that_is_forgotten_is_no_false_alarm() {
    let leak = vec![finding("SL-A", "k", 3..9, 50.0, Severity::High)];
    let (new, _) = follow(&[], &leak, day(0), day(9));
    let (ended, changes) = follow(&new, &leak, day(0), day(20));
    assert_eq!(changes[0].status, Status::Ended);
    let (still, changes) = follow(&ended, &[], day(15), day(30));
    assert_eq!((still, changes), (Vec::new(), Vec::new()));
    // With few days kept it goes before the week of quiet is over.
    let (gone, changes) = follow(&new, &[], day(9), day(12));
    assert_eq!((gone[0].status, changes.len()), (Status::Ended, 1));
    let lines = json_lines(&changes, telling(12)).unwrap();
    assert!(lines.contains("before the days that are kept"));
    // What is remembered of it is told in the same members as ever.
    let event: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&event["severity"], &event["severity_id"]), (&"High".into(), &4.into()));
    assert_eq!(event["finding_info"]["title"], "Slow data leak: key k");
    assert_eq!(event["unmapped"]["slowleak"]["entity"], "k");
}

#[test]
fn many_at_once_are_one_message() {
    let of = |number: usize| {
        let severity = if number == 0 { Severity::Critical } else { Severity::High };
        let mut finding = finding(&format!("SL-{number:02}"), &format!("k{number}"), 3..9, 50.0, severity);
        finding.rank = number as u32 + 1;
        finding
    };
    for (number, messages_of) in [(20, 20), (21, 1)] {
        let findings: Vec<Finding> = (0..number).map(of).collect();
        let (_, changes) = follow(&[], &findings, day(0), day(9));
        let posted = messages(&changes, &[], Severity::High, telling(9));
        assert_eq!(posted.len(), messages_of);
        if let [one] = posted.as_slice() {
            let text = one.body["text"].as_str().unwrap();
            assert!(text.starts_with("*21 leaks at once* (1 critical, 20 high): SL-00, SL-01, "), "{text}");
            assert!(text.ends_with("SL-19, and 1 more in changes.jsonl"), "{text}");
            assert_eq!(one.body["ids"].as_array().unwrap().len(), 21);
        }
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

#[test]
fn the_key_that_drains_an_object_is_the_leak_that_was_told_of_the_object() {
    let object = |id: &str, name: &str| Finding {
        dimension: "object".parse().unwrap(),
        entity: name.to_owned(),
        key: None,
        ..finding(id, "k", 3..9, 50.0, Severity::High)
    };
    let narrow = Finding {
        dimension: "key+object".parse().unwrap(),
        entity: "k + customers".to_owned(),
        ..finding("SL-B", "k", 4..12, 60.0, Severity::High)
    };
    let nights = [(9, vec![object("SL-A", "customers")]), (12, vec![narrow.clone()])];
    let (told_of, leaks) = lived(&nights);
    assert_eq!(told_of, told(&[(9, "SL-A", Status::New)]));
    assert_eq!((leaks[0].id.as_str(), leaks[0].finding.as_str()), ("SL-A", "SL-B"));
    // Another object is another leak, and so is another key; and what was closed is not it again by its place alone.
    for before in
        [object("SL-A", "invoices"), Finding { key: Some("other".to_owned()), ..object("SL-A", "customers") }]
    {
        let nights = [(9, vec![before]), (12, vec![narrow.clone()])];
        assert!(lived(&nights).0.contains(&(12, "SL-B".to_owned(), Status::New)));
    }
    let nights =
        [(9, vec![object("SL-A", "customers")]), (20, vec![object("SL-A", "customers")]), (21, vec![narrow])];
    assert!(lived(&nights).0.contains(&(21, "SL-B".to_owned(), Status::New)));
}

#[test]
fn what_was_closed_is_remembered_as_long_as_its_days_are_kept() {
    let night = |leaks: &[Leak], findings: &[Finding], kept: i64, end: i64| {
        let (leaks, changes) = follow(leaks, findings, day(kept), day(end));
        (leaks, changes.iter().map(|change| change.status).collect::<Vec<_>>())
    };
    let one = [finding("SL-A", "k", 3..9, 50.0, Severity::High)];
    let (leaks, _) = night(&[], &one, 0, 9);
    let (leaks, told) = night(&leaks, &one, 0, 20);
    assert_eq!(told, [Status::Ended]);
    let (leaks, told) = night(&leaks, &one, 8, 30);
    assert_eq!((leaks.len(), told.len()), (1, 0));
    let (leaks, told) = night(&leaks, &[], 9, 31);
    assert_eq!((leaks.len(), told.len()), (0, 0));
    // One whose days are dropped while it goes on is told as ended first.
    let open = [finding("SL-B", "k", 20..31, 50.0, Severity::High)];
    let (leaks, _) = night(&leaks, &open, 9, 31);
    let (leaks, told) = night(&leaks, &[], 31, 62);
    assert_eq!((leaks.len(), told), (1, vec![Status::Ended]));
    assert!(night(&leaks, &[], 31, 63).0.is_empty());
}

#[test]
fn each_phase_has_its_first_report_also_where_it_was_told_as_a_leak_of_its_own() {
    let phase = |phase: u32, days: std::ops::Range<i64>| Evidence {
        phase,
        detector: Detector::Rate,
        dimension: "key".parse().unwrap(),
        entity: "a".to_owned(),
        metric: Metric::Events,
        start: day(days.start),
        end: day(days.end),
        observed: 20.0,
        expected: 10.0,
        level_per_day: 1.0,
        dispersion: 0.1,
        raw_score: 40.0,
        score: 40.0,
        expected_false: None,
    };
    let of = |id: &str, days: std::ops::Range<i64>, evidence: Vec<Evidence>| Finding {
        evidence,
        ..finding(id, "a", days, 50.0, Severity::Medium)
    };
    let (one, two) = (|| of("SL-A", 3..9, vec![phase(1, 3..9)]), of("SL-B", 20..24, vec![phase(1, 20..24)]));
    let mut course = Course::default();
    course.night(day(10), &[one()], day(10));
    course.night(day(24), &[one(), two], day(24));
    course.night(
        day(30),
        &[of("SL-A", 3..29, vec![phase(2, 19..29), phase(1, 4..9), phase(2, 19..20)])],
        day(30),
    );
    // A third phase, with the others known better.
    let last = vec![phase(1, 4..9), phase(2, 19..29), phase(3, 33..36)];
    course.night(day(40), &[of("SL-A", 4..36, last)], day(40));
    let told = course.told();
    assert_eq!(told[0].phases, [day(10), day(24), day(40)], "the second was first told as SL-B");
    assert_eq!((told[1].leak.status, told[1].phases.as_slice()), (Status::Merged, &[day(24)][..]));

    // Phases that follow each other may overlap; one that was merged has its own nights, too; what is no finding any more does
    // not stand, ended or not.
    let mut course = Course::default();
    course.night(day(10), &[of("SL-A", 3..9, vec![phase(1, 3..9)])], day(10));
    course.night(day(24), &[one(), of("SL-B", 50..54, vec![phase(1, 50..54)])], day(24));
    let both = of("SL-B", 50..70, vec![phase(1, 50..54), phase(2, 53..70)]);
    course.night(day(70), &[one(), both], day(70));
    let all = vec![phase(1, 3..9), phase(2, 8..40), phase(3, 50..70)];
    course.night(day(80), &[of("SL-A", 3..70, all)], day(80));
    course.night(day(90), &[], day(90));
    course.same_night();
    let told = course.told();
    let first = [day(10), day(80), day(24)];
    assert_eq!(told[0].phases, first, "the second phase is not the last day of the first");
    assert_eq!((told[1].leak.status, told[1].phases.as_slice()), (Status::Merged, &[day(24), day(70)][..]));
    assert!(told.iter().all(|told| !told.stands));
    assert_eq!((told[0].nights, told[1].nights), (4, 2));
}
