//! How bad a finding is, and which is worse. In: its figures. Out: what was taken at least, its severity, its rank.

use crate::candidate::{Candidate, Grade};
use crate::config::DetectConfig;
use crate::finding::{Finding, Severity};

/// Standard deviations between what is expected and the most that is still taken to be honest: one in twenty honest
/// totals is higher.
pub(crate) const CAREFUL: f64 = 1.645;

/// The part of a candidate's traffic in the interval that is excess at the least, 0 to 1: what would be left if the
/// honest traffic had been as high as it is in one of twenty such intervals. Its variance is that of counting and of the
/// rate. Of misuse nothing is honest; of what is only untidy nothing is known not to be.
fn least_excess(lead: &Candidate) -> f64 {
    if lead.observed <= 0.0 || lead.grade() == Some(Grade::Minor) {
        return 0.0;
    }
    let expected = lead.expected.max(0.0);
    let spread = (expected + lead.dispersion.max(0.0) * expected * expected).sqrt();
    ((lead.observed - expected - CAREFUL * spread) / lead.observed).clamp(0.0, 1.0)
}

/// Lower bound of the distinct subjects taken beyond the expected (of accesses, where subjects are not logged).
/// Excess accesses are taken to touch as many different subjects as honest ones do.
pub(crate) fn taken(lead: &Candidate, subjects: Option<f64>) -> f64 {
    subjects.unwrap_or(lead.observed) * least_excess(lead)
}

/// The severity of a finding that is not explained. `weighted` is what was taken at least, times its sensitivity; `None`
/// where subjects are not logged, so that nobody knows how many it were.
pub(crate) fn severity(lead: &Candidate, weighted: Option<f64>, config: &DetectConfig) -> Severity {
    let many = weighted.is_some_and(|taken| taken >= config.critical_subjects);
    match (lead.grade(), lead.expected_false) {
        (Some(Grade::Minor), _) => Severity::Low,
        (Some(Grade::Odd), _) if many => Severity::High,
        (Some(Grade::Odd), _) => Severity::Medium,
        (_, None) if many => Severity::Critical,
        (_, None) => Severity::High,
        (_, Some(odds)) if odds <= config.critical_expected_false && many => Severity::Critical,
        (_, Some(odds)) if odds <= config.high_expected_false => Severity::High,
        (_, Some(_)) => Severity::Medium,
    }
}

/// Numbers findings, the worst first: severity, rules before likelihoods, what was taken at the least times its
/// sensitivity, then names, so that ties never depend on the order of discovery.
pub(crate) fn rank(findings: &mut [Finding]) {
    let taken = |finding: &Finding| finding.taken * finding.sensitivity;
    let name = |finding: &Finding| {
        (finding.dimension.clone(), finding.entity.clone(), finding.metric, finding.start)
    };
    findings.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| b.detector.is_rule().cmp(&a.detector.is_rule()))
            .then_with(|| taken(b).total_cmp(&taken(a)))
            .then_with(|| name(a).cmp(&name(b)))
    });
    number(findings);
}

/// Gives ranks in the order that findings have.
pub(crate) fn number(findings: &mut [Finding]) {
    for (index, finding) in findings.iter_mut().enumerate() {
        finding.rank = u32::try_from(index + 1).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slowleak_rollup::Metric;

    use super::*;
    use crate::candidate::Fact;
    use crate::finding::Detector;

    fn candidate(observed: f64, expected: f64, dispersion: f64) -> Candidate {
        let rule = expected == 0.0;
        Candidate {
            detector: if rule { Detector::KeyAfterDeparture } else { Detector::Rate },
            dimension: "key".parse().unwrap(),
            entity: "k".to_owned(),
            who: Vec::new(),
            metric: Metric::Events,
            days: 0..1,
            anchor: 0,
            observed,
            expected,
            excess_events: observed - expected,
            level_per_day: 0.0,
            dispersion,
            raw_score: 0.0,
            score: 0.0,
            expected_false: (!rule).then_some(1e-5),
            cause: None,
            fact: rule.then(|| Fact { why: String::new(), grade: Grade::Misuse }),
            seen: None,
            partner: None,
            edges: None,
            timeline: Vec::new(),
        }
    }

    #[test]
    fn all_of_a_misuse_is_taken_and_of_a_rise_what_exceeds_a_high_honest_total() {
        let misuse = candidate(50.0, 0.0, 0.0);
        assert_eq!(taken(&misuse, Some(40.0)), 40.0);
        let fact = Some(Fact { why: String::new(), grade: Grade::Minor });
        assert_eq!(taken(&Candidate { fact, ..misuse }, Some(40.0)), 0.0);
        // 10,000 expected, give or take 100 by counting and 500 by the rate: sqrt(10,000 + 250,000) = 510.
        let low = taken(&candidate(20_000.0, 10_000.0, 0.0025), Some(10_000.0));
        assert!((low - 10_000.0 * (10_000.0 - 1.645 * 509.9) / 20_000.0).abs() < 0.1, "{low}");
        assert_eq!(taken(&candidate(20_000.0, 19_900.0, 0.0025), Some(10_000.0)), 0.0);
    }

    #[test]
    fn sensitivity_decides_what_is_critical() {
        let config = DetectConfig::default();
        let lead = candidate(50.0, 0.0, 0.0);
        let of = |weighted| severity(&lead, weighted, &config);
        assert_eq!(
            [of(Some(1000.0)), of(Some(999.0)), of(None)],
            [Severity::Critical, Severity::High, Severity::High]
        );
        let graded = |grade, weighted| {
            let fact = Some(Fact { why: String::new(), grade });
            severity(&Candidate { fact, ..lead.clone() }, Some(weighted), &config)
        };
        assert_eq!(graded(Grade::Minor, 1e9), Severity::Low);
        assert_eq!(
            [graded(Grade::Odd, 999.0), graded(Grade::Odd, 1000.0)],
            [Severity::Medium, Severity::High]
        );
    }

    proptest! {
        #[test]
        fn the_bound_lies_below_the_estimate_and_falls_with_doubt(
            observed in 0.0_f64..1e9, expected in 0.0_f64..1e9, dispersion in 0.0_f64..1.0, subjects in 0.0_f64..1e9,
        ) {
            let sure = taken(&candidate(observed, expected, 0.0), Some(subjects));
            let unsure = taken(&candidate(observed, expected, dispersion), Some(subjects));
            let estimate = subjects * ((observed - expected) / observed.max(1e-300)).max(0.0);
            prop_assert!(0.0 <= unsure && unsure <= sure && sure <= estimate + 1e-6 * subjects);
        }
    }
}
