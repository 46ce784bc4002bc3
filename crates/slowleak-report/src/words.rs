//! What a finding says, as a person says it: who, what and how sure; [`figures`] and [`times`] hold the words
//! for those. All times are UTC; whoever shows one says so once.

mod figures;
mod times;

use std::collections::BTreeMap;

use slowleak_detect::{Detector, Family as Examined, Finding};
use slowleak_record::Field;
use slowleak_rollup::{Dimension, Metric};

use crate::rules;

pub(crate) use figures::{about, bytes, figure, full, growth, percent, plural, quantity, unit, whole};
pub(crate) use times::{day, duration, instant, interval, interval_brief};

/// What detection claims at most; anything rarer would be extrapolation.
const RAREST: f64 = 1e-6;

/// How sure a finding is, in a sentence without its full stop.
pub(crate) fn certainty(expected_false: Option<f64>) -> String {
    match expected_false {
        None => "a fact from the log and the registers, not a likelihood".to_owned(),
        Some(expected) if expected.is_nan() => "how sure this is could not be computed".to_owned(),
        Some(expected) if expected >= 0.5 => format!(
            "a leak-free log of this size is expected to show about {} as strong: noise unless something else supports it",
            full((expected * 10.0).round() / 10.0)
        ),
        Some(expected) => {
            let rarest = if expected <= RAREST { "at most " } else { "" };
            format!("{rarest}about {} leak-free logs of this size would show one as strong", one_in(expected))
        }
    }
}

/// How sure a finding is, or why it needs no alarm, in a sentence without its full stop. The cause is passed through
/// `show`, which must make it safe.
pub(crate) fn verdict(finding: &Finding, show: impl Fn(&str) -> String) -> String {
    match &finding.cause {
        Some(cause) => format!("information only, {}", show(cause)),
        None => certainty(finding.expected_false),
    }
}

/// [`certainty`] for a table cell.
pub(crate) fn certainty_brief(expected_false: Option<f64>) -> String {
    match expected_false {
        None => "fact".to_owned(),
        Some(expected) if expected.is_nan() => "unknown".to_owned(),
        Some(expected) if expected >= 0.5 => format!("{} per log", full((expected * 10.0).round() / 10.0)),
        Some(expected) if expected <= RAREST => format!("≤ {}", one_in(expected)),
        Some(expected) => one_in(expected),
    }
}

/// `1 in 20`; the number has at most two significant digits.
fn one_in(expected: f64) -> String {
    let number = 1.0 / expected.max(RAREST);
    let step = 10f64.powf((number.log10() + 1e-9).floor() - 1.0).max(1.0);
    format!("1 in {}", full((number / step).round() * step))
}

/// Why the entities of a view could not be tested under a metric.
pub(crate) fn why_untestable(family: &Examined) -> &'static str {
    if family.tested == 0 {
        "nobody had enough days and events (min_days, min_events)"
    } else {
        "too few peers to calibrate on"
    }
}

/// The views and metrics that could not be tested, by reason.
pub(crate) fn untestable(families: &[Examined]) -> BTreeMap<&'static str, Vec<String>> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for family in families.iter().filter(|family| family.tail_scale.is_none()) {
        let name = format!("{} ({})", family.dimension, family.metric);
        by_reason.entry(why_untestable(family)).or_default().push(name);
    }
    by_reason
}

/// The entity with the name of its dimension: `key kid-7`, `key A from source 10.0.0.1`. The value is
/// passed through `show`, which must make it safe.
pub(crate) fn who(dimension: &Dimension, entity: &str, show: impl Fn(&str) -> String) -> String {
    if *dimension == Dimension::LOG {
        return "the log".to_owned();
    }
    match parts(dimension, entity) {
        Some(parts) => {
            let words: Vec<String> = parts
                .iter()
                .enumerate()
                .map(|(index, (field, value))| {
                    let joiner = match (index, field) {
                        (0, _) => "",
                        (_, Field::Source | Field::Region) => " from ",
                        (_, Field::Object | Field::Subject) => " on ",
                        _ => " with ",
                    };
                    format!("{joiner}{} {}", field_word(*field), show(value))
                })
                .collect();
            words.concat()
        }
        None => format!("{dimension} {}", show(entity)),
    }
}

/// The parts of an entity with their fields; `None` where it was not joined from as many parts as the
/// dimension has, so that nobody can say which part is which.
pub(crate) fn parts(dimension: &Dimension, entity: &str) -> Option<Vec<(Field, String)>> {
    let parts = dimension.split(entity);
    let whole = parts.len() == dimension.parts().len();
    let whole = whole && dimension.join(parts.iter().map(String::as_str)) == entity;
    whole.then(|| dimension.parts().iter().copied().zip(parts).collect())
}

fn field_word(field: Field) -> &'static str {
    match field {
        Field::Subject => "account",
        _ => field.name(),
    }
}

/// What was too high, as the head of a clause: `made 12.3 million accesses where 8 million were expected
/// (+54%)`.
pub(crate) fn what(finding: &Finding) -> String {
    let observed = quantity(finding.metric, finding.observed);
    if let Some(rule) = rules::rule(finding.detector) {
        return format!("{rule} ({observed})");
    }
    let expected = match finding.metric {
        Metric::Bytes => bytes(finding.expected),
        _ => about(finding.expected),
    };
    match finding.detector {
        Detector::Swap => {
            return format!(
                "made {observed} in another's manner, of which {expected} such as before ({})",
                growth(finding.observed, finding.expected)
            );
        }
        Detector::LogGap => {
            return format!("has {observed} where {expected} were expected: records are missing");
        }
        Detector::Profile => return format!("made {observed} unlike its own where {expected} were expected"),
        _ => (),
    }
    let verb = match finding.metric {
        Metric::Subjects => "touched",
        Metric::Rows | Metric::Bytes => "read",
        Metric::Sources | Metric::NewObjects => "used",
        Metric::Neighbours => "visited",
        _ => "made",
    };
    format!(
        "{verb} {observed} where {expected} were expected ({})",
        growth(finding.observed, finding.expected)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn certainty_is_honest() {
        assert_eq!(
            certainty(Some(0.00001)),
            "about 1 in 100,000 leak-free logs of this size would show one as strong"
        );
        assert!(certainty(Some(0.0)).starts_with("at most about 1 in 1,000,000 "));
        assert!(
            certainty(Some(3.2)).starts_with("a leak-free log of this size is expected to show about 3.2")
        );
        assert!(certainty(None).starts_with("a fact"));
        for (expected, text) in [
            (Some(0.05), "1 in 20"),
            (Some(0.00037), "1 in 2,700"),
            (Some(1e-9), "≤ 1 in 1,000,000"),
            (Some(0.3), "1 in 3"),
            (Some(0.7), "0.7 per log"),
            (None, "fact"),
        ] {
            assert_eq!(certainty_brief(expected), text);
        }
    }

    #[test]
    fn compounds_are_read_out() {
        let dimension: Dimension = "key+source".parse().unwrap();
        let plain = |text: &str| text.to_owned();
        assert_eq!(who(&dimension, "k1 + 10.0.0.1", plain), "key k1 from source 10.0.0.1");
        assert_eq!(who(&dimension, r"k \+ 1 + 10.0.0.1", plain), "key k + 1 from source 10.0.0.1");
        assert_eq!(who(&dimension, "k + 1 + 10.0.0.1", plain), "key+source k + 1 + 10.0.0.1");
    }

    proptest! {
        #[test]
        fn any_certainty_has_words(expected in any::<f64>()) {
            prop_assert!(!certainty(Some(expected)).is_empty() && !certainty_brief(Some(expected)).is_empty());
        }
    }
}
