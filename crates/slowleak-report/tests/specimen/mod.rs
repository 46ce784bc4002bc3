//! A made-up run with every kind of finding, for tests and for looking at: `cargo run --example specimen`.

#![expect(clippy::unwrap_used, reason = "made-up values that parse")]

use slowleak_detect::{Detection, Detector, Evidence, Family, Finding, Point, Scope, Severity, Share};
use slowleak_record::Micros;
use slowleak_rollup::Metric;
use slowleak_scan::{Coverage, RejectedFile, RowReason, Tally, ValueReason};

pub(crate) fn at(text: &str) -> Micros {
    text.parse().unwrap()
}

/// Days of a year with a week's rhythm; `leak` a day is added between `start` and `end`.
fn timeline(level: f64, leak: f64, start: Micros, end: Micros) -> Vec<Point> {
    let first = at("2025-03-01");
    let day = |index: i64| {
        let begin = Micros(first.0 + index * Micros::DAY);
        let season = if index % 7 < 5 { 1.0 } else { 0.45 };
        let noise = 1.0 + 0.08 * ((index * 7919 % 101) as f64 / 50.0 - 1.0);
        let extra = if begin >= start && begin < end { leak } else { 0.0 };
        let expected = level * season;
        Point { start: begin, observed: (expected * noise + extra).round(), expected }
    };
    (0..270).map(day).collect()
}

fn evidence(finding: &Finding, dimension: &str, entity: &str, metric: Metric, scale: f64) -> Evidence {
    let days = (finding.end.0 - finding.start.0) as f64 / Micros::DAY as f64;
    Evidence {
        phase: 1,
        detector: finding.detector,
        dimension: dimension.parse().unwrap(),
        entity: entity.to_owned(),
        metric,
        start: finding.start,
        end: finding.end,
        observed: finding.observed * scale,
        expected: finding.expected * scale,
        level_per_day: finding.expected * scale / days * 1.15,
        dispersion: 0.0025,
        raw_score: finding.score * 14.0,
        score: finding.score * scale.min(1.0),
        expected_false: finding.expected_false,
    }
}

fn share(dimension: &str, value: &str, observed: f64, expected: f64, share: f64) -> Share {
    Share { dimension: dimension.to_owned(), value: value.to_owned(), observed, expected, share }
}

/// The five-month leak.
pub(crate) fn leak() -> Finding {
    let (start, end) = (at("2025-06-24"), at("2025-11-08"));
    let mut finding = Finding {
        id: "3f9c2a7be1d04c55".to_owned(),
        rank: 1,
        severity: Severity::Critical,
        detector: Detector::Rate,
        dimension: "key+source".parse().unwrap(),
        entity: "kid-2021-auth-07 + 203.0.113.77".to_owned(),
        key: Some("kid-2021-auth-07".to_owned()),
        user: None,
        metric: Metric::Events,
        start,
        end,
        observed: 105_212_345.0,
        expected: 68_330_112.0,
        subjects: Some(33_712_345.0),
        taken: 11_700_000.0,
        sensitivity: 1.0,
        score: 31.4,
        expected_false: Some(1e-5),
        open: false,
        summary: "Key kid-2021-auth-07 read 54% more accounts than its baseline explains for 137 days."
            .to_owned(),
        suppressed: None,
        cause: None,
        evidence: Vec::new(),
        shares: vec![
            share("source", "203.0.113.77", 36_000_000.0, 12_000.0, 0.976),
            share("object", "orders.customer_profile", 30_100_000.0, 9_800_000.0, 0.55),
            share("object", "orders.delivery_address", 14_900_000.0, 6_800_000.0, 0.22),
            share("weekday", "weekend", 20_000_000.0, 11_000_000.0, 0.24),
        ],
        timeline: timeline(520_000.0, 270_000.0, start, end),
    };
    finding.evidence = vec![
        evidence(&finding, "key+source", "kid-2021-auth-07 + 203.0.113.77", Metric::Events, 1.0),
        evidence(&finding, "key", "kid-2021-auth-07", Metric::Events, 0.97),
        evidence(&finding, "key", "kid-2021-auth-07", Metric::Subjects, 0.4),
        evidence(&finding, "key+object", "kid-2021-auth-07 + orders.customer_profile", Metric::Bytes, 900.0),
    ];
    finding
}

/// A rule: use after the owner left, still going on.
pub(crate) fn departed() -> Finding {
    let (start, end) = (at("2025-11-03T22:14:07"), at("2025-11-25T23:00"));
    let mut finding = Finding {
        id: "9d01e77a40b2c8f3".to_owned(),
        rank: 2,
        severity: Severity::High,
        detector: Detector::KeyAfterDeparture,
        dimension: "key".parse().unwrap(),
        entity: "AKIA-DEPARTED-0042".to_owned(),
        key: Some("AKIA-DEPARTED-0042".to_owned()),
        user: Some("h.park".to_owned()),
        metric: Metric::Events,
        observed: 18_220.0,
        expected: 0.0,
        subjects: Some(11_900.0),
        taken: 11_900.0,
        sensitivity: 1.0,
        score: 0.0,
        expected_false: None,
        open: true,
        summary:
            "Key AKIA-DEPARTED-0042 of h.park was used 18,220 times after its owner left on 31 Oct 2025."
                .to_owned(),
        suppressed: None,
        cause: None,
        evidence: Vec::new(),
        shares: vec![share("source", "198.51.100.9", 18_220.0, 0.0, 1.0)],
        timeline: timeline(0.0, 800.0, start, end),
        start,
        end,
    };
    finding.evidence = vec![evidence(&finding, "key", "AKIA-DEPARTED-0042", Metric::Events, 1.0)];
    finding
}

/// A burst of minutes whose identifiers attack every output.
pub(crate) fn hostile() -> Finding {
    let (start, end) = (at("2025-08-12T03:20"), at("2025-08-12T04:05"));
    let user = HOSTILE.join(" ");
    let mut finding = Finding {
        id: "=cmd|'/c calc'!A1".to_owned(),
        rank: 3,
        severity: Severity::Medium,
        detector: Detector::Breadth,
        dimension: "user".parse().unwrap(),
        entity: user.clone(),
        key: None,
        user: Some(format!("={user}")),
        metric: Metric::Subjects,
        start,
        end,
        observed: 48_000.0,
        expected: 1_250.0,
        subjects: Some(48_000.0),
        taken: 900.0,
        sensitivity: 1.0,
        score: 14.2,
        expected_false: Some(0.012),
        open: false,
        summary: format!("+User {user} touched 38 times as many accounts as usual."),
        suppressed: None,
        cause: Some(format!("explained by the new key {user}")),
        evidence: Vec::new(),
        shares: vec![
            share(&user, &user, 40_000.0, 1_000.0, 0.83),
            share("object", "@SUM(1+1)", 8_000.0, 250.0, 0.17),
        ],
        timeline: timeline(30_000.0, 46_750.0, at("2025-08-12"), at("2025-08-13")),
    };
    finding.evidence = vec![evidence(&finding, "user", &user, Metric::Subjects, 1.0)];
    finding
}

/// Markup, a template, a terminal title, a cursor move, a C1 control, an override, a new line.
pub(crate) const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{ 7*7 }}",
    "\u{1b}]0;owned\u{7}\u{1b}[2J",
    "\u{9b}31m",
    "\u{202e}gpj.exe",
    "line\r\nbreak\t\u{2028}",
];

pub(crate) fn weak() -> Finding {
    let (start, end) = (at("2025-05-05"), at("2025-05-09"));
    let mut finding = Finding {
        id: "b7700c11d2aa9034".to_owned(),
        rank: 4,
        severity: Severity::Low,
        detector: Detector::Rate,
        dimension: "object".parse().unwrap(),
        entity: "billing.invoice".to_owned(),
        key: None,
        user: None,
        metric: Metric::Bytes,
        start,
        end,
        observed: 8.2e9,
        expected: 5.9e9,
        subjects: None,
        taken: 50.0,
        sensitivity: 1.0,
        score: 9.0,
        expected_false: Some(0.7),
        open: false,
        summary: "Table billing.invoice returned 39% more bytes than expected for 4 days.".to_owned(),
        suppressed: None,
        cause: None,
        evidence: Vec::new(),
        shares: Vec::new(),
        timeline: timeline(1.5e9, 0.6e9, start, end),
    };
    finding.evidence = vec![evidence(&finding, "object", "billing.invoice", Metric::Bytes, 1.0)];
    finding
}

pub(crate) fn detection() -> Detection {
    Detection {
        findings: vec![leak(), departed(), hostile(), weak()],
        scope: scope(),
        ..Detection::default()
    }
}

pub(crate) fn scope() -> Scope {
    let family = |dimension: &str, metric, entities, tested, tail_scale| Family {
        dimension: dimension.parse().unwrap(),
        metric,
        entities,
        tested,
        tail_scale,
    };
    Scope {
        end: Some(at("2025-11-25T23:00")),
        families: vec![
            family("key", Metric::Events, 45_210, 12_007, Some(2.31)),
            family("key", Metric::Subjects, 45_210, 11_950, Some(1.0)),
            family("user", Metric::Events, 1_804, 1_377, Some(1.4)),
            family("key+source", Metric::Events, 310_422, 98_114, Some(3.02)),
            family("object", Metric::Missing, 9, 6, None),
        ],
    }
}

pub(crate) fn coverage() -> Coverage {
    Coverage {
        files: Tally { read: 412, pruned: 3, rejected: 2 },
        row_groups: Tally { read: 5_120, pruned: 33, rejected: 14 },
        rows: Tally { read: 1_204_551_930, pruned: 120_044, rejected: 1_204 },
        duplicate_rows: 8_813,
        rejected_files: vec![
            RejectedFile {
                path: "logs/day=2025-07-04/part-3.parquet".to_owned(),
                reason: "footer: not a Parquet file (copy it again)".to_owned(),
            },
            RejectedFile { path: "logs/<b>\u{1b}[31m.parquet".to_owned(), reason: "\u{202e}eof".to_owned() },
        ],
        rejected_rows: vec![(RowReason::NullTime, 1_004), (RowReason::NoPrincipal, 200)],
        rejected_values: vec![(ValueReason::UnknownStatus, 17)],
        missing_columns: vec!["region".to_owned()],
        partial_columns: [("bytes".to_owned(), 31)].into(),
        time: Some((at("2025-03-01T00:00:01"), at("2025-11-25T22:59:58"))),
        gaps: vec![(at("2025-07-04"), at("2025-07-05")), (at("2025-09-01T03:00"), at("2025-09-01T07:00"))],
    }
}
