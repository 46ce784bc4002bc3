//! How much worse it is to lose one account's data of an object than of another. In: `[detect.sensitivity]`, patterns of
//! objects with weights. Out: the weight of a finding.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use slowleak_record::Field;

use crate::finding::Share;
use crate::pattern::Pattern;

/// Weights of objects; without any, every object weighs 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sensitivity {
    /// The longest pattern first.
    weights: Vec<(Pattern, f64)>,
}

impl Sensitivity {
    /// Weights from patterns with a weight each.
    ///
    /// # Errors
    /// A pattern is none, or a weight is negative or no number.
    pub fn new(weights: impl IntoIterator<Item = (String, f64)>) -> Result<Self, String> {
        let weight = |(text, weight): (String, f64)| {
            if !weight.is_finite() || weight < 0.0 {
                return Err(format!("sensitivity {text:?} = {weight}: write a number of zero or more"));
            }
            Ok((text.parse::<Pattern>()?, weight))
        };
        let mut weights = weights.into_iter().map(weight).collect::<Result<Vec<_>, String>>()?;
        // A longer pattern says more exactly what it means; of two of one length the text decides, not the file.
        weights.sort_by(|(a, _), (b, _)| {
            b.text().len().cmp(&a.text().len()).then_with(|| a.text().cmp(b.text()))
        });
        Ok(Self { weights })
    }

    /// The weight of an object: of the longest pattern that matches its name, 1 where none does.
    pub fn of_object(&self, name: &str) -> f64 {
        let matching = self.weights.iter().find(|(pattern, _)| pattern.matches(name));
        matching.map_or(1.0, |(_, weight)| *weight)
    }

    /// The weight of a finding: that of its own `object`, or else the mean over the objects that carry its excess, each
    /// by its share. What no object is known to carry weighs 1.
    pub(crate) fn of_finding(&self, object: Option<&str>, shares: &[Share]) -> f64 {
        if self.weights.is_empty() {
            return 1.0;
        }
        if let Some(object) = object {
            return self.of_object(object);
        }
        // Sums of several objects are set in brackets, and their objects are named beside them.
        let named = shares.iter().filter(|share| {
            share.dimension == Field::Object.name() && !share.value.starts_with('(') && share.share > 0.0
        });
        let (mut carried, mut weighed) = (0.0, 0.0);
        for share in named {
            carried += share.share;
            weighed += share.share * self.of_object(&share.value);
        }
        // Objects that fell below what was expected leave more than the whole to the others.
        if carried > 1.0 { weighed / carried } else { weighed + (1.0 - carried) }
    }
}

impl<'de> Deserialize<'de> for Sensitivity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::<String, f64>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights(weights: &[(&str, f64)]) -> Sensitivity {
        Sensitivity::new(weights.iter().map(|(text, weight)| ((*text).to_owned(), *weight))).unwrap()
    }

    fn share(value: &str, share: f64) -> Share {
        Share { dimension: "object".to_owned(), value: value.to_owned(), observed: 1.0, expected: 0.0, share }
    }

    #[test]
    fn the_longest_pattern_wins() {
        let weights = weights(&[("*", 0.5), ("pay*", 10.0), ("pay.public", 0.1)]);
        let of = ["pay.cards", "pay.public", "orders"].map(|object| weights.of_object(object));
        assert_eq!(of, [10.0, 0.1, 0.5]);
        assert!(Sensitivity::new([("a".to_owned(), f64::NAN)]).is_err());
        assert!(Sensitivity::new([("a[".to_owned(), 1.0)]).is_err());
    }

    #[test]
    fn a_finding_weighs_what_its_objects_do() {
        let weights = weights(&[("pay*", 10.0)]);
        assert_eq!(weights.of_finding(Some("pay.cards"), &[]), 10.0);
        let shares =
            [share("(2 never seen here before)", 0.7), share("pay.cards", 0.5), share("orders", 0.2)];
        // The half that is cards, the fifth that is orders, and the rest that nobody names.
        assert!((weights.of_finding(None, &shares) - (5.0 + 0.2 + 0.3)).abs() < 1e-12);
        assert_eq!(weights.of_finding(None, &[]), 1.0);
        assert_eq!(Sensitivity::default().of_finding(None, &shares), 1.0);
    }

    proptest! {
        #[test]
        fn a_finding_weighs_between_the_least_and_the_most(
            parts in prop::collection::vec((0_usize..4, -2.0_f64..3.0), 0..8),
        ) {
            let weights = weights(&[("o0", 0.2), ("o1", 3.0), ("o2", 7.0)]);
            let shares: Vec<Share> = parts.iter().map(|(o, part)| share(&format!("o{o}"), *part)).collect();
            let weight = weights.of_finding(None, &shares);
            prop_assert!((0.2 - 1e-9..=7.0 + 1e-9).contains(&weight), "{}", weight);
        }
    }
}
