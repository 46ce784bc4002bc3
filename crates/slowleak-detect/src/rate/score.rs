//! Log-likelihood ratios of a count that is q times its expectation, negative-binomial.

/// The rises that the search tries: 1.1 to 13.8 in doubling steps of excess, 50 and 200.
pub(crate) const RATIOS: [f64; 10] = [1.1, 1.2, 1.4, 1.8, 2.6, 4.2, 7.4, 13.8, 50.0, 200.0];

/// Log-likelihood ratio, nats, of observing `x` under mean `ratio * mean` against mean `mean`, for counts
/// with variance `mean + dispersion * mean^2` (negative binomial with size `1 / dispersion` under both).
/// Linear in `x`, so it adds up over windows and splits exactly over slices of `x`.
pub(crate) fn ratio_score(x: f64, mean: f64, dispersion: f64, ratio: f64) -> f64 {
    let (slope, offset) = ratio_terms(mean, dispersion, ratio);
    x * slope - offset
}

/// The two terms of [`ratio_score`]: nats per count, and nats taken off.
pub(crate) fn ratio_terms(mean: f64, dispersion: f64, ratio: f64) -> (f64, f64) {
    // Below this the negative binomial is Poisson to within rounding.
    if dispersion * mean < 1e-9 {
        return (ratio.ln(), (ratio - 1.0) * mean);
    }
    let size = 1.0 / dispersion;
    let growth = ((size + ratio * mean) / (size + mean)).ln();
    (ratio.ln() - growth, size * growth)
}

/// The ratio score at the best ratio, `x / mean`; 0 where `x` is not above `mean`.
pub(crate) fn profile_score(x: f64, mean: f64, dispersion: f64) -> f64 {
    if x <= mean || mean <= 0.0 { 0.0 } else { ratio_score(x, mean, dispersion, x / mean) }
}

/// A count, its expectation and the relative variance of the rate behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) count: f64,
    pub(crate) expected: f64,
    pub(crate) dispersion: f64,
}

/// Two-sample bound, nats: half the squared log ratio of the rates inside and outside over their summed
/// variances. A baseline that is itself an estimate can not support more than this.
pub(crate) fn two_sample_bound(inside: Sample, outside: Sample) -> f64 {
    let log_rate = |s: Sample| ((s.count + 0.5) / (s.expected + 0.5)).ln();
    let variance = |s: Sample| 1.0 / (s.count + 0.5) + s.dispersion;
    let gap = (log_rate(inside) - log_rate(outside)).max(0.0);
    0.5 * gap * gap / (variance(inside) + variance(outside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_dispersion_meets_poisson() {
        let poisson = 7.0 * 2f64.ln() - 3.0;
        assert!((ratio_score(7.0, 3.0, 0.0, 2.0) - poisson).abs() < 1e-12);
        assert!((ratio_score(7.0, 3.0, 1e-7, 2.0) - poisson).abs() < 1e-4);
    }

    #[test]
    fn more_noise_means_less_evidence() {
        let scores = [0.0, 0.01, 0.1, 1.0].map(|noise| profile_score(200.0, 100.0, noise));
        assert!(scores.windows(2).all(|pair| pair[1] < pair[0]), "{scores:?}");
    }

    proptest! {
        #[test]
        fn profile_is_the_largest_ratio_score(x in 0.0..1e4, mean in 0.01..1e3f64, noise in 0.0..2.0) {
            let best = profile_score(x, mean, noise);
            for ratio in RATIOS {
                prop_assert!(ratio_score(x, mean, noise, ratio) <= best + 1e-9 * best.max(1.0));
            }
        }

        /// Under the null the likelihood ratio has mean one, so exp(score) can exceed 1/p at most with p.
        #[test]
        fn null_expectation_of_the_likelihood_ratio_is_one(mean in 0.1..5.0f64, noise in 0.05..1.0, pick in 0usize..8) {
            let (size, ratio) = (1.0 / noise, RATIOS[pick]);
            // Negative binomial log probabilities by recurrence; a ratio of up to 13.8 needs a long tail.
            let success: f64 = mean / (size + mean);
            let (mut log_p, mut total) = (size * (1.0 - success).ln(), 0.0f64);
            for x in 0..50_000 {
                let x = f64::from(x);
                total += (log_p + ratio_score(x, mean, noise, ratio)).exp();
                log_p += (success * (size + x) / (x + 1.0)).ln();
            }
            prop_assert!((total - 1.0).abs() < 1e-6, "{total}");
        }
    }
}
