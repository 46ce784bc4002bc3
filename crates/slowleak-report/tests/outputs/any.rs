//! Whatever detection could say.

use proptest::prelude::*;
use slowleak_detect::{Detection, Detector, Evidence, Finding, Point, Severity, Share};
use slowleak_record::Micros;
use slowleak_report::{Run, explain, read_findings, summary, write_outputs};
use slowleak_rollup::Metric;
use tempfile::tempdir;

use crate::specimen;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>().prop_filter("equal to itself", |x| !x.is_nan()), Just(0.0), 0.0..1e9]
}

fn micros() -> impl Strategy<Value = Micros> {
    any::<i64>().prop_map(Micros)
}

prop_compose! {
    fn any_evidence()(
        detector in prop::sample::select(&Detector::ALL[..]),
        dimension in prop::sample::select(&["key", "user", "key+source", "object"][..]),
        entity in any::<String>(),
        metric in prop::sample::select(&Metric::ALL[..]),
        (start, end) in (micros(), micros()),
        numbers in prop::array::uniform6(number()),
        expected_false in prop::option::of(number()),
        phase in 1..4_u32,
    ) -> Evidence {
        let [observed, expected, level_per_day, dispersion, raw_score, score] = numbers;
        Evidence {
            phase, detector, dimension: dimension.parse().unwrap(), entity, metric, start, end,
            observed, expected, level_per_day, dispersion, raw_score, score, expected_false,
        }
    }
}

prop_compose! {
    fn any_finding()(
        leading in any_evidence(),
        severity in prop::sample::select(&Severity::ALL[..]),
        key in prop::option::of(any::<String>()),
        user in prop::option::of(any::<String>()),
        subjects in prop::option::of(number()),
        open: bool,
        summary in any::<String>(),
        cause in prop::option::of(any::<String>()),
        suppressed in prop::option::of(any::<String>()),
        (taken, sensitivity) in (number(), number()),
        evidence in prop::collection::vec(any_evidence(), 0..4),
        shares in prop::collection::vec((any::<String>(), any::<String>(), number(), number(), number()), 0..4),
        timeline in prop::collection::vec((micros(), number(), number()), 0..6),
    ) -> Finding {
        Finding {
            id: String::new(), rank: 1, severity, detector: leading.detector, dimension: leading.dimension,
            entity: leading.entity, key, user, metric: leading.metric, start: leading.start, end: leading.end,
            observed: leading.observed, expected: leading.expected, subjects, score: leading.score,
            expected_false: leading.expected_false, open, summary, suppressed, cause, evidence, taken, sensitivity,
            shares: shares.into_iter().map(|(dimension, value, observed, expected, share)| {
                Share { dimension, value, observed, expected, share }
            }).collect(),
            timeline: timeline.into_iter().map(|(start, observed, expected)| {
                Point { start, observed, expected }
            }).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever detection says, it can be written, read back unchanged, and told without a panic.
    #[test]
    fn any_findings_round_trip(mut findings in prop::collection::vec(any_finding(), 0..4), width in 1..200usize) {
        for (index, finding) in findings.iter_mut().enumerate() {
            finding.id = format!("{index}-{}", finding.entity);
            finding.rank = u32::try_from(index).unwrap() + 1;
        }
        let detection = Detection { findings, scope: specimen::scope(), ..Detection::default() };
        let dir = tempdir().unwrap();
        let run = Run::new(&detection, None);
        write_outputs(dir.path(), &run).unwrap();
        prop_assert_eq!(&read_findings(dir.path()).unwrap(), &detection.findings);
        prop_assert!(!summary(&run, width, false).is_empty());
        for finding in &detection.findings {
            prop_assert!(!explain(finding, width, true).is_empty());
        }
    }
}
