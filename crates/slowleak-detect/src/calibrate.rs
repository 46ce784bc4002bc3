//! From a score to how many leak-free entities would score as high.
//!
//! The model's own tail is too light on real logs, so the tail is measured on the entities of the same view
//! and metric: beyond the 60% quantile of their top scores it is taken for exponential, with the heaviest
//! of four scales (the model's own, and those of the body, the upper tail and the extreme tail). The highest
//! few are left out of each stretch, since they may be what is sought; entities with an honest cause take
//! no part.

/// Fewest entities from which a tail can be read.
pub(crate) const MIN_FITTED: usize = 16;
/// Fewest entities that may borrow a tail.
const MIN_BORROWED: usize = 8;
/// Ends of the stretches whose slopes are compared, as shares of entities above.
const BODY: (f64, f64) = (0.4, 0.1);
const UPPER: f64 = 0.02;
const EXTREME: f64 = 0.002;
/// Highest scores that no stretch may include, however few entities there are: one leak touches several.
const LEFT_OUT: usize = 3;
/// More entities than this share scoring as high are a custom, not an anomaly...
const COMMON_SHARE: f64 = 0.02;
/// ...unless they are only a handful.
const COMMON_COUNT: usize = 4;
/// No claim goes below this: more would be extrapolation.
const SMALLEST_CLAIM: f64 = 1e-6;

/// The tail of top scores of one view, metric and band.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tail {
    /// Top scores of the entities tested, ascending.
    tops: Vec<f64>,
    /// 60% quantile.
    start: f64,
    /// Nats of score per nat of tail probability, at least 1; `None` where too few entities.
    pub(crate) scale: Option<f64>,
}

impl Tail {
    /// Fits the tail of the given top scores.
    pub(crate) fn fit(mut tops: Vec<f64>) -> Self {
        tops.sort_by(f64::total_cmp);
        if tops.len() < MIN_FITTED {
            return Self { tops, start: 0.0, scale: None };
        }
        // The score that a share of entities reaches, and that share as it really is.
        let reached = |share: f64| {
            let above = ((share * tops.len() as f64) as usize).max(LEFT_OUT);
            (tops[tops.len() - 1 - above], (above + 1) as f64 / tops.len() as f64)
        };
        let points = [BODY.0, BODY.1, UPPER, EXTREME].map(reached);
        let slope = |pair: &[(f64, f64)]| {
            let nats = (pair[0].1 / pair[1].1).ln();
            if nats > 0.1 { (pair[1].0 - pair[0].0) / nats } else { 0.0 }
        };
        let scale = points.windows(2).map(slope).fold(1.0, f64::max);
        Self { start: points[0].0, scale: Some(scale), tops }
    }

    /// Takes another view's scale where there are too few entities of its own, though not very few.
    pub(crate) fn borrow(&mut self, scale: Option<f64>) {
        if self.scale.is_none() && self.tops.len() >= MIN_BORROWED {
            self.scale = scale;
        }
    }

    /// Negative log probability, nats, that a leak-free entity scores `score` or more; `None` where there
    /// is no calibration.
    pub(crate) fn calibrated(&self, score: f64) -> Option<f64> {
        let scale = self.scale?;
        Some(if self.start > 0.0 || self.tops.len() >= MIN_FITTED {
            ((score - self.start) / scale).max(0.0) - BODY.0.ln()
        } else {
            score / scale
        })
    }

    /// Expected number of leak-free entities, over `families` such tails, that score this much; never
    /// below the union bound over every interval of `windows` windows and `lanes` ratios.
    pub(crate) fn expected_false(&self, score: f64, families: f64, windows: f64, lanes: f64) -> Option<f64> {
        let entities = self.tops.len() as f64;
        let fitted = entities * (-self.calibrated(score)?).exp();
        let union = entities * windows * lanes * (-score).exp();
        Some((fitted.max(union) * families).max(SMALLEST_CLAIM))
    }

    /// Whether so many entities score this much that it is no anomaly.
    pub(crate) fn is_common(&self, score: f64) -> bool {
        let as_high = self.tops.len() - self.tops.partition_point(|top| *top < score);
        as_high > COMMON_COUNT.max((COMMON_SHARE * self.tops.len() as f64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exponential quantiles: the tail scale is known.
    fn exponential(count: usize, scale: f64) -> Vec<f64> {
        (0..count).map(|i| -scale * (1.0 - (i as f64 + 0.5) / count as f64).ln()).collect()
    }

    #[test]
    fn recovers_an_exponential_tail_and_bears_a_leak() {
        let mut tops = exponential(1000, 3.0);
        let clean = Tail::fit(tops.clone()).scale.unwrap();
        assert!((clean - 3.0).abs() < 0.2, "{clean}");
        tops[997..].fill(500.0);
        assert_eq!(Tail::fit(tops).scale, Some(clean));
    }

    #[test]
    fn a_tail_heavier_than_its_body_is_seen() {
        let mut tops = exponential(1000, 1.0);
        for (above, top) in tops.iter_mut().rev().take(50).enumerate() {
            *top += 20.0 * (50.0 / (above + 1) as f64).ln();
        }
        assert!(Tail::fit(tops).scale.unwrap() > 10.0);
    }

    #[test]
    fn few_entities_borrow_and_very_few_stay_silent() {
        let mut few = Tail::fit(exponential(10, 1.0));
        assert_eq!(few.expected_false(100.0, 1.0, 100.0, 10.0), None);
        few.borrow(Some(5.0));
        assert!(few.expected_false(100.0, 1.0, 100.0, 10.0).unwrap() < 1e-3);
        let mut very_few = Tail::fit(exponential(5, 1.0));
        very_few.borrow(Some(5.0));
        assert_eq!(very_few.expected_false(100.0, 1.0, 100.0, 10.0), None);
    }

    #[test]
    fn what_many_do_is_common() {
        let tail = Tail::fit(exponential(200, 2.0));
        assert!(tail.is_common(1.0) && !tail.is_common(10.0));
    }
}
