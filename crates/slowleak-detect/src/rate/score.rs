//! Log-likelihood ratios of a count that is q times its expectation, negative-binomial.

use pulp::{Arch, NullaryFnOnce};

use crate::rate::search::{LANES, Row};

/// The rises that the search tries: 1.1 to 13.8 in doubling steps of excess, 50 and 200.
pub(crate) const RATIOS: [f64; 10] = [1.1, 1.2, 1.4, 1.8, 2.6, 4.2, 7.4, 13.8, 50.0, 200.0];

/// Windows whose logarithms are taken together.
const BLOCK: usize = 64;
/// Below this product of dispersion and mean the negative binomial is Poisson to within rounding.
const POISSON: f64 = 1e-9;

/// Log-likelihood ratio, nats, of observing `x` under mean `ratio * mean` against mean `mean`, for counts
/// with variance `mean + dispersion * mean^2` (negative binomial with size `1 / dispersion` under both).
/// Linear in `x`, so it adds up over windows and splits exactly over slices of `x`.
pub(crate) fn ratio_score(x: f64, mean: f64, dispersion: f64, ratio: f64) -> f64 {
    let (slope, offset) = ratio_terms(mean, dispersion, ratio);
    x * slope - offset
}

/// The two terms of [`ratio_score`]: nats per count, and nats taken off.
pub(crate) fn ratio_terms(mean: f64, dispersion: f64, ratio: f64) -> (f64, f64) {
    if dispersion * mean < POISSON {
        return (ratio.ln(), (ratio - 1.0) * mean);
    }
    let size = 1.0 / dispersion;
    let growth = ((size + ratio * mean) / (size + mean)).ln();
    (ratio.ln() - growth, size * growth)
}

/// The ratio score of every window for each of the ratios that are searched (1.1 to 200), in its lane; lanes beyond them
/// are zero. Windows without a mean score nothing. Agrees with the single score to a few units of rounding.
pub fn ratio_rows(counts: &[f64], means: &[f64], dispersion: f64) -> Vec<Row> {
    Arch::new().dispatch(Rows { counts, means, dispersion })
}

struct Rows<'a> {
    counts: &'a [f64],
    means: &'a [f64],
    dispersion: f64,
}

impl NullaryFnOnce for Rows<'_> {
    type Output = Vec<Row>;

    #[inline(always)]
    fn call(self) -> Vec<Row> {
        let Self { counts, means, dispersion } = self;
        // Without dispersion every window is Poisson, and this is not used.
        let size = if dispersion > 0.0 { 1.0 / dispersion } else { 0.0 };
        let mut rows = vec![[0.0; LANES]; counts.len()];
        let blocks = counts.chunks(BLOCK).zip(means.chunks(BLOCK)).zip(rows.chunks_mut(BLOCK));
        for ((counts, means), rows) in blocks {
            // Blocks of one length, whose loops are taken as vectors. A window without a mean has neither count nor
            // scatter here: its scores are zero.
            let (mut count, mut scatter, mut base) = ([0.0; BLOCK], [0.0; BLOCK], [1.0; BLOCK]);
            for (window, mean) in means.iter().enumerate().filter(|(_, mean)| **mean > 0.0) {
                count[window] = counts[window];
                scatter[window] = dispersion * mean;
                base[window] = 1.0 / (1.0 + scatter[window]);
            }
            for (lane, ratio) in RATIOS.into_iter().enumerate() {
                let log = ratio.ln();
                let mut scores = [0.0; BLOCK];
                for window in 0..BLOCK {
                    let growth = ln((1.0 + ratio * scatter[window]) * base[window]);
                    scores[window] = count[window] * (log - growth) - growth * size;
                }
                for (row, score) in rows.iter_mut().zip(scores) {
                    row[lane] = score;
                }
            }
            let poisson = |mean: f64| mean > 0.0 && dispersion * mean < POISSON;
            for ((count, mean), row) in counts.iter().zip(means).zip(rows) {
                if poisson(*mean) {
                    for (score, ratio) in row.iter_mut().zip(RATIOS) {
                        *score = count * ratio.ln() - (ratio - 1.0) * mean;
                    }
                }
            }
        }
        rows
    }
}

/// Natural logarithm of a positive number that is not subnormal, to a few units of the last place, without a branch: a
/// call to the library's would keep lanes from being taken together. With `x = 2^e m` and m next to one,
/// `ln m = 2 artanh((m - 1) / (m + 1))`, whose series needs ten terms.
#[inline(always)]
fn ln(x: f64) -> f64 {
    /// Bits of the root of one half, where m begins.
    const BEGIN: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 1023 << 52;
    /// An integer below 2^52 in the low bits of this is that integer above 2^52.
    const MAGIC: u64 = 0x4330_0000_0000_0000;
    let bits = x.to_bits();
    let exponent = bits.wrapping_sub(BEGIN).wrapping_add(ONE) >> 52;
    let m = f64::from_bits(bits.wrapping_sub(exponent << 52).wrapping_add(ONE));
    let exponent = f64::from_bits(exponent | MAGIC) - (4_503_599_627_370_496.0 + 1023.0);
    let t = (m - 1.0) / (m + 1.0);
    let t2 = t * t;
    let mut series = 1.0 / 21.0;
    for odd in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = series * t2 + 1.0 / odd;
    }
    // The logarithm of two in two parts, so that a large exponent takes no digits from the rest.
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    exponent * LN2_HIGH + (exponent * LN2_LOW + (2.0 * t + 2.0 * t * t2 * series))
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
        fn logarithm_is_the_library_s(x in prop_oneof![1e-300..1e300f64, 0.5..2.0f64, 0.999..1.001f64]) {
            prop_assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(f64::MIN_POSITIVE), "{x}: {} {}", ln(x), x.ln());
        }

        #[test]
        fn rows_are_the_single_scores(
            windows in proptest::collection::vec((0.0..1e5f64, prop_oneof![Just(0.0), 1e-3..1e4f64]), 1..9),
            noise in prop_oneof![Just(0.0), 1e-6..5.0f64],
        ) {
            let (counts, means): (Vec<f64>, Vec<f64>) = windows.iter().copied().unzip();
            for ((count, mean), row) in windows.iter().zip(ratio_rows(&counts, &means, noise)) {
                for (lane, score) in row.into_iter().enumerate() {
                    let ratio = RATIOS.get(lane).copied().unwrap_or(1.0);
                    let single = if *mean > 0.0 { ratio_score(*count, *mean, noise, ratio) } else { 0.0 };
                    prop_assert!((score - single).abs() <= 1e-9 * (1.0 + count + mean), "{score} {single}");
                }
            }
        }

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
