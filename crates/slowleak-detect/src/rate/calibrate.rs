//! From a score to how many leak-free entities would score as high.
//!
//! The model's own tail is too light on real logs, so the tail is measured on the entities of the same view
//! and metric: beyond the 60% quantile of their top scores it is taken for exponential, with the heaviest of
//! the model's own scale and those of four stretches from there to the extreme tail. Each stretch may only
//! be so much heavier than the ones below it, and the highest few scores are in none, since they may be what
//! is sought; entities with an honest cause take no part.

/// Fewest entities from which a tail can be read.
pub(crate) const MIN_FITTED: usize = 16;
/// Fewest entities that may borrow a tail.
const MIN_BORROWED: usize = 8;
/// Ends of the stretches whose slopes are compared, as shares of entities above.
const STRETCHES: [f64; 5] = [START, 0.2, 0.1, 0.02, 0.002];
/// Share of entities above the point from which the tail is taken for exponential.
const START: f64 = 0.4;
/// How much heavier each stretch may make the scale than what lies below it: a tail that is honest grows
/// heavier by degrees, while leaks, if they are several, stand far above and must not hide each other.
const HEAVIER: [f64; 4] = [f64::INFINITY, 2.0, 3.0, 2.0];
/// Highest scores that no stretch may include, however few entities there are: one leak touches several.
const LEFT_OUT: usize = 3;
/// More entities than this share scoring as high are a custom, not an anomaly...
const COMMON_SHARE: f64 = 0.05;
/// ...unless they are only a handful.
const COMMON_COUNT: usize = 12;
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
    pub(crate) fn fit(tops: Vec<f64>) -> Self {
        Self::fit_without(tops, LEFT_OUT)
    }

    /// The same, where so many of the highest scores may be of leaks.
    pub(crate) fn fit_without(mut tops: Vec<f64>, left_out: usize) -> Self {
        tops.sort_by(f64::total_cmp);
        if tops.len() < MIN_FITTED {
            return Self { tops, start: 0.0, scale: None };
        }
        // The score that a share of entities reaches, and that share as it really is.
        let reached = |share: f64| {
            let above = ((share * tops.len() as f64) as usize).max(left_out);
            (tops[tops.len() - 1 - above], (above + 1) as f64 / tops.len() as f64)
        };
        let points = STRETCHES.map(reached);
        let slope = |pair: &[(f64, f64)]| {
            let nats = (pair[0].1 / pair[1].1).ln();
            if nats > 0.1 { (pair[1].0 - pair[0].0) / nats } else { 0.0 }
        };
        let mut scale: f64 = 1.0;
        for (pair, limit) in points.windows(2).zip(HEAVIER) {
            scale = scale.max(slope(pair).min(limit * scale));
        }
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
        Some(if self.tops.len() >= MIN_FITTED {
            ((score - self.start) / scale).max(0.0) - START.ln()
        } else {
            score / scale
        })
    }

    /// Expected number of leak-free ones among `entities`, over `families` such tails, that score this much; never
    /// below the union bound over every interval of `windows` windows and `lanes` ratios.
    pub(crate) fn expected_false(
        &self,
        score: f64,
        entities: f64,
        families: f64,
        windows: f64,
        lanes: f64,
    ) -> Option<f64> {
        let fitted = entities * (-self.calibrated(score)?).exp();
        let union = entities * windows * lanes * (-score).exp();
        Some((fitted.max(union) * families).max(SMALLEST_CLAIM))
    }

    /// How many entities score this much, where they are too many for an anomaly.
    pub(crate) fn common(&self, score: f64) -> Option<usize> {
        let as_high = self.tops.len() - self.tops.partition_point(|top| *top < score);
        (as_high > COMMON_COUNT.max((COMMON_SHARE * self.tops.len() as f64) as usize)).then_some(as_high)
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
    fn several_leaks_do_not_hide_each_other() {
        for (entities, leaks) in [(64, 4), (64, 8), (400, 40), (400, 4)] {
            let mut tops = exponential(entities, 1.5);
            tops[entities - leaks..].fill(2000.0);
            let tail = Tail::fit(tops);
            let odds = tail.expected_false(2000.0, entities as f64, 10.0, 200.0, 10.0).unwrap();
            assert!(
                odds < 1e-5 && tail.common(2000.0).is_none_or(|_| leaks > 12),
                "{leaks} of {entities}: {odds}"
            );
        }
    }

    #[test]
    fn a_tail_heavier_than_its_body_is_seen() {
        let mut tops = exponential(1000, 1.0);
        for (above, top) in tops.iter_mut().rev().take(50).enumerate() {
            *top += 20.0 * (50.0 / (above + 1) as f64).ln();
        }
        assert!(Tail::fit(tops).scale.unwrap() > 5.0);
    }

    #[test]
    fn few_entities_borrow_and_very_few_stay_silent() {
        let mut few = Tail::fit(exponential(10, 1.0));
        assert_eq!(few.expected_false(100.0, 10.0, 1.0, 100.0, 10.0), None);
        few.borrow(Some(5.0));
        assert!(few.expected_false(100.0, 10.0, 1.0, 100.0, 10.0).unwrap() < 1e-3);
        let mut very_few = Tail::fit(exponential(5, 1.0));
        very_few.borrow(Some(5.0));
        assert_eq!(very_few.expected_false(100.0, 10.0, 1.0, 100.0, 10.0), None);
    }

    #[test]
    fn what_many_do_is_common() {
        let tail = Tail::fit(exponential(200, 2.0));
        assert!(tail.common(1.0).is_some() && tail.common(10.0).is_none());
    }
}
