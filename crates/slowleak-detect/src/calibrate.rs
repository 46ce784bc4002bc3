//! From a score to how many leak-free entities would score as high.
//!
//! The model's own tail is too light on real logs, so the tail is measured on the entities of the same view
//! and metric: beyond the 60% quantile of their top scores it is taken for exponential, with the heaviest
//! of three scales (the model's, the body's, the upper tail's). The highest few are left out of the fit,
//! since they may be what is sought.

/// Fewest entities from which a tail can be read.
pub(crate) const MIN_FITTED: usize = 16;
/// Fewest entities that may borrow a tail.
const MIN_BORROWED: usize = 8;
/// Share of the highest scores that the fit must bear.
const CONTAMINATION: f64 = 0.02;
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
        let quantile = |p: f64| tops[((tops.len() - 1) as f64 * p) as usize];
        if tops.len() < MIN_FITTED {
            return Self { tops, start: 0.0, scale: None };
        }
        let (q60, q90) = (quantile(0.6), quantile(0.9));
        let body = (q90 - q60) / (0.4f64 / 0.1).ln();
        let left_out = (CONTAMINATION * tops.len() as f64).ceil();
        let upper_share = (left_out + 1.0) / tops.len() as f64;
        let upper = if upper_share < 0.1 {
            (tops[tops.len() - 1 - left_out as usize] - q90) / (0.1 / upper_share).ln()
        } else {
            0.0
        };
        Self { start: q60, scale: Some(body.max(upper).max(1.0)), tops }
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
            ((score - self.start) / scale).max(0.0) + -(0.4f64.ln())
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
        assert!((clean - 3.0).abs() < 0.1, "{clean}");
        tops[999] = 500.0;
        assert_eq!(Tail::fit(tops).scale, Some(clean));
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
