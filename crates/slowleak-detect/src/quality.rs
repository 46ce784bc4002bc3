//! How good a run's findings are against the truth of a labelled log: recall, precision, overlap and error
//! of the intervals, and what was reported beside. In: findings and a [`Truth`]. Out: figures, in the order
//! of the truth's leaks. Knows nothing of files or of how findings came about.
//!
//! No point-adjusted figure is given: a method that flags one lucky instant of a five-month leak would look
//! perfect under it.

use serde::Serialize;
use slowleak_record::{Leak, Micros, Truth};

use crate::{Finding, Severity};

/// The comparison of findings with a truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Share of leaks that some finding meets; `None` where the truth has no leak.
    pub recall: Option<f64>,
    /// Share of findings that meet a leak, duplicates left out of both sides; `None` without findings.
    pub precision: Option<f64>,
    /// Share of leaks whose finding overlaps with an IoU of at least [`EVENT_IOU`].
    pub event_recall: Option<f64>,
    /// Share of all findings, duplicates included, that are the first of a leak with such an IoU.
    pub event_precision: Option<f64>,
    /// Mean IoU over all leaks; a missed leak counts 0.
    pub mean_iou: Option<f64>,
    /// Findings that were compared.
    pub findings: usize,
    /// One entry a leak, in the truth's order.
    pub leaks: Vec<LeakOutcome>,
    /// Findings that meet no leak, by rank.
    pub false_findings: Vec<FalseFinding>,
    /// How many of them there are at each severity, the worst first.
    pub false_by_severity: Vec<SeverityCount>,
}

/// Interval overlap from which a leak counts as found as an event.
pub const EVENT_IOU: f64 = 0.5;

/// What became of one leak.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeakOutcome {
    /// The leak's name in the truth.
    pub scenario: String,
    /// Its dimension.
    pub dimension: String,
    /// Its entity.
    pub entity: String,
    /// Its interval, RFC 3339.
    pub start: String,
    /// Exclusive end of its interval, RFC 3339.
    pub end: String,
    /// Distinct subjects that it really touched.
    pub subjects: u64,
    /// The best-ranked finding that meets it; `None` where it was missed.
    pub found: Option<Match>,
    /// Further findings that meet it: ids by rank. Not false, but one leak should be one finding.
    pub duplicates: Vec<String>,
}

/// A leak's finding against the leak.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// Id of the finding.
    pub finding_id: String,
    /// Its rank.
    pub rank: u32,
    /// Its severity.
    pub severity: &'static str,
    /// What it names.
    pub named: String,
    /// Length of the intersection over the length of the union of both intervals, 0 to 1.
    pub iou: f64,
    /// Start of the finding less that of the leak, hours; negative is early.
    pub start_error_hours: f64,
    /// End of the finding less that of the leak, hours; negative is early.
    pub end_error_hours: f64,
    /// Distinct subjects that the finding states, where it does.
    pub subjects_estimated: Option<f64>,
    /// That figure over the true one; `None` where either is absent or the true one is 0.
    pub subjects_ratio: Option<f64>,
}

/// A finding that meets no leak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FalseFinding {
    /// Its id.
    pub finding_id: String,
    /// Its rank.
    pub rank: u32,
    /// Its severity.
    pub severity: &'static str,
    /// What it names, as `dimension entity`.
    pub named: String,
}

/// A number of findings at one severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeverityCount {
    /// The severity.
    pub severity: &'static str,
    /// How many.
    pub findings: usize,
}

/// Compares the findings of `min_severity` and above with the truth.
///
/// A finding meets a leak where the intervals overlap and the keys are equal, or the users are, or
/// dimension and entity are. It counts for one leak only: the one that it overlaps best (by IoU, then by
/// the truth's order). Of several findings of a leak the best-ranked counts and the others are duplicates.
///
/// ```
/// use slowleak_detect::{Severity, quality};
/// use slowleak_record::Truth;
///
/// let silent = quality(&[], &Truth::default(), Severity::Medium);
/// assert_eq!((silent.recall, silent.precision), (None, None));
/// ```
pub fn quality(findings: &[Finding], truth: &Truth, min_severity: Severity) -> Quality {
    let mut findings: Vec<&Finding> = findings.iter().filter(|f| f.severity >= min_severity).collect();
    findings.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.id.cmp(&b.id)));

    let mut leaks: Vec<LeakOutcome> = truth.leaks.iter().map(outcome).collect();
    let mut false_findings = Vec::new();
    for finding in &findings {
        let Some(index) = best_leak(finding, &truth.leaks) else {
            false_findings.push(FalseFinding {
                finding_id: finding.id.clone(),
                rank: finding.rank,
                severity: finding.severity.name(),
                named: named(finding),
            });
            continue;
        };
        if let (Some(outcome), Some(leak)) = (leaks.get_mut(index), truth.leaks.get(index)) {
            match outcome.found {
                None => outcome.found = Some(compare(finding, leak)),
                Some(_) => outcome.duplicates.push(finding.id.clone()),
            }
        }
    }

    let found: Vec<&Match> = leaks.iter().filter_map(|leak| leak.found.as_ref()).collect();
    let events = found.iter().filter(|found| found.iou >= EVENT_IOU).count();
    // Folded from +0: the sum of nothing is -0, which would be shown.
    let iou_sum = found.iter().fold(0.0, |sum, found| sum + found.iou);
    let by_severity = Severity::ALL.into_iter().rev().map(|severity| SeverityCount {
        severity: severity.name(),
        findings: false_findings.iter().filter(|f| f.severity == severity.name()).count(),
    });
    Quality {
        recall: share(found.len(), leaks.len()),
        precision: share(found.len(), found.len() + false_findings.len()),
        event_recall: share(events, leaks.len()),
        event_precision: share(events, findings.len()),
        mean_iou: (!leaks.is_empty()).then(|| iou_sum / leaks.len() as f64),
        findings: findings.len(),
        false_by_severity: by_severity.filter(|count| count.findings > 0).collect(),
        false_findings,
        leaks,
    }
}

/// Position of the leak that `finding` is about, or `None`.
fn best_leak(finding: &Finding, leaks: &[Leak]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, leak) in leaks.iter().enumerate() {
        let (start, end) = (Micros::from(leak.start), Micros::from(leak.end));
        let overlaps = finding.start < end && start < finding.end;
        if overlaps && same_actor(finding, leak) {
            let iou = iou(finding, leak);
            if best.is_none_or(|(_, other)| iou > other) {
                best = Some((index, iou));
            }
        }
    }
    best.map(|(index, _)| index)
}

fn same_actor(finding: &Finding, leak: &Leak) -> bool {
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    same(&finding.key, &leak.key)
        || same(&finding.user, &leak.user)
        || (finding.dimension.to_string() == leak.dimension && finding.entity == leak.entity)
}

fn iou(finding: &Finding, leak: &Leak) -> f64 {
    let (start, end) = (Micros::from(leak.start).0, Micros::from(leak.end).0);
    // In floating point: instants at the edges of the calendar must not overflow.
    let length = |from: i64, to: i64| (to as f64 - from as f64).max(0.0);
    let both = length(start.max(finding.start.0), end.min(finding.end.0));
    let either = length(start, end) + length(finding.start.0, finding.end.0) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

fn compare(finding: &Finding, leak: &Leak) -> Match {
    let hours = |found: Micros, truth: Micros| (found.0 as f64 - truth.0 as f64) / Micros::HOUR as f64;
    Match {
        finding_id: finding.id.clone(),
        rank: finding.rank,
        severity: finding.severity.name(),
        named: named(finding),
        iou: iou(finding, leak),
        start_error_hours: hours(finding.start, leak.start.into()),
        end_error_hours: hours(finding.end, leak.end.into()),
        subjects_estimated: finding.subjects,
        subjects_ratio: finding
            .subjects
            .filter(|_| leak.subjects > 0)
            .map(|subjects| subjects / leak.subjects as f64),
    }
}

fn outcome(leak: &Leak) -> LeakOutcome {
    LeakOutcome {
        scenario: leak.scenario.clone(),
        dimension: leak.dimension.clone(),
        entity: leak.entity.clone(),
        start: leak.start.to_string(),
        end: leak.end.to_string(),
        subjects: leak.subjects,
        found: None,
        duplicates: Vec::new(),
    }
}

fn named(finding: &Finding) -> String {
    format!("{} {}", finding.dimension, finding.entity)
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detector;
    use proptest::prelude::*;
    use slowleak_rollup::Metric;

    const DAY: i64 = Micros::DAY;

    fn finding(rank: u32, key: &str, start: i64, end: i64) -> Finding {
        Finding {
            id: format!("f{rank}"),
            rank,
            severity: Severity::High,
            detector: Detector::Rate,
            dimension: "key".parse().unwrap(),
            entity: key.to_owned(),
            key: Some(key.to_owned()),
            user: None,
            metric: Metric::Events,
            start: Micros(start * DAY),
            end: Micros(end * DAY),
            observed: 10.0,
            expected: 1.0,
            subjects: Some(90.0),
            taken: 0.0,
            sensitivity: 1.0,
            score: 30.0,
            expected_false: Some(1e-4),
            open: false,
            summary: String::new(),
            suppressed: None,
            cause: None,
            evidence: Vec::new(),
            shares: Vec::new(),
            timeline: Vec::new(),
        }
    }

    fn leak(key: &str, start: i64, end: i64) -> Leak {
        Leak {
            scenario: format!("{key} leaks"),
            key: Some(key.to_owned()),
            user: None,
            dimension: "key".to_owned(),
            entity: key.to_owned(),
            start: Micros(start * DAY).timestamp(),
            end: Micros(end * DAY).timestamp(),
            subjects: 100,
        }
    }

    fn judge(findings: &[Finding], leaks: &[Leak]) -> Quality {
        quality(findings, &Truth { leaks: leaks.to_vec() }, Severity::Medium)
    }

    #[test]
    fn a_perfect_answer_is_perfect() {
        let quality = judge(&[finding(1, "k", 10, 20)], &[leak("k", 10, 20)]);
        assert_eq!(
            [quality.recall, quality.precision, quality.event_recall, quality.event_precision],
            [Some(1.0); 4]
        );
        assert_eq!(quality.mean_iou, Some(1.0));
        let found = quality.leaks[0].found.as_ref().unwrap();
        assert_eq!((found.start_error_hours, found.end_error_hours), (0.0, 0.0));
        assert_eq!(found.subjects_ratio, Some(0.9));
    }

    #[test]
    fn late_starts_and_half_overlaps_are_measured() {
        let quality = judge(&[finding(1, "k", 11, 21)], &[leak("k", 10, 20)]);
        let found = quality.leaks[0].found.as_ref().unwrap();
        assert!((found.iou - 9.0 / 11.0).abs() < 1e-12);
        assert_eq!((found.start_error_hours, found.end_error_hours), (24.0, 24.0));

        let quality = judge(&[finding(1, "k", 10, 12)], &[leak("k", 10, 20)]);
        assert_eq!((quality.recall, quality.event_recall), (Some(1.0), Some(0.0)));
        assert_eq!(quality.event_precision, Some(0.0));
    }

    #[test]
    fn a_second_finding_is_a_duplicate_and_a_stranger_is_false() {
        let findings = [finding(3, "other", 10, 20), finding(2, "k", 15, 20), finding(1, "k", 10, 15)];
        let quality = judge(&findings, &[leak("k", 10, 20)]);
        assert_eq!(quality.leaks[0].found.as_ref().unwrap().rank, 1);
        assert_eq!(quality.leaks[0].duplicates, ["f2"]);
        assert_eq!(quality.false_findings[0].named, "key other");
        assert_eq!(quality.false_by_severity, [SeverityCount { severity: "high", findings: 1 }]);
        assert_eq!(quality.precision, Some(0.5));
        assert_eq!(quality.event_precision, Some(1.0 / 3.0));
    }

    #[test]
    fn the_right_key_at_another_time_is_false() {
        let quality = judge(&[finding(1, "k", 20, 30)], &[leak("k", 10, 20)]);
        assert_eq!((quality.recall, quality.precision), (Some(0.0), Some(0.0)));
        assert_eq!(quality.mean_iou.map(f64::to_bits), Some(0.0_f64.to_bits()));
    }

    #[test]
    fn users_and_compound_entities_match_too() {
        let mut by_user = finding(1, "x", 10, 20);
        by_user.key = None;
        by_user.user = Some("kim".to_owned());
        let mut truth = leak("k", 10, 20);
        truth.user = Some("kim".to_owned());
        assert_eq!(judge(&[by_user], &[truth]).recall, Some(1.0));

        let mut slice = finding(1, "giant + 10.0.0.1", 10, 20);
        slice.dimension = "key+source".parse().unwrap();
        slice.key = None;
        let mut truth = leak("giant + 10.0.0.1", 10, 20);
        truth.key = None;
        truth.dimension = "key+source".to_owned();
        assert_eq!(judge(&[slice], &[truth]).recall, Some(1.0));
    }

    #[test]
    fn absent_keys_do_not_match_each_other() {
        let mut a = finding(1, "x", 10, 20);
        a.key = None;
        let mut b = leak("y", 10, 20);
        b.key = None;
        assert_eq!(judge(&[a], &[b]).recall, Some(0.0));
    }

    #[test]
    fn findings_below_the_severity_do_not_count() {
        let mut weak = finding(1, "k", 10, 20);
        weak.severity = Severity::Low;
        let quality = judge(&[weak], &[leak("k", 10, 20)]);
        assert_eq!((quality.findings, quality.recall, quality.precision), (0, Some(0.0), None));
    }

    #[test]
    fn two_leaks_of_one_key_take_a_finding_each() {
        let leaks = [leak("k", 10, 20), leak("k", 30, 40)];
        let quality = judge(&[finding(1, "k", 31, 40), finding(2, "k", 10, 19)], &leaks);
        let ranks: Vec<_> = quality.leaks.iter().map(|l| l.found.as_ref().unwrap().rank).collect();
        assert_eq!(ranks, [2, 1]);
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_every_finding_is_counted_once(
            spans in prop::collection::vec((0..3u8, 0..50i64, 1..20i64), 0..8),
            truths in prop::collection::vec((0..3u8, 0..50i64, 1..20i64), 0..5),
        ) {
            let mut findings: Vec<Finding> = (1..).zip(&spans)
                .map(|(rank, (key, start, length))| finding(rank, &format!("k{key}"), *start, start + length))
                .collect();
            let leaks: Vec<Leak> = truths.iter()
                .map(|(key, start, length)| leak(&format!("k{key}"), *start, start + length))
                .collect();
            let forward = judge(&findings, &leaks);
            findings.reverse();
            prop_assert_eq!(&forward, &judge(&findings, &leaks));
            let met: usize =
                forward.leaks.iter().map(|l| usize::from(l.found.is_some()) + l.duplicates.len()).sum();
            prop_assert_eq!(met + forward.false_findings.len(), findings.len());
            for figure in [forward.recall, forward.precision, forward.event_recall, forward.mean_iou] {
                prop_assert!(figure.is_none_or(|figure| (0.0..=1.0).contains(&figure)));
            }
        }
    }
}
