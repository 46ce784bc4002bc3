//! Stretches of hours with fewer records than are expected. In: the hours of a log. Out: the best stretch of each day, and
//! the same with exact edges.
//!
//! A stretch scores by the likelihood of its count at its own rate against that at the expected one, negative-binomial; its
//! relative variance is measured on the stretches of that length in the log itself.

use std::ops::Range;

use crate::gap::hours::{Hours, SILENT};

/// Lengths that are tried, in hours. Edges are set to the hour afterwards, so that longer stretches are found by a part.
pub(crate) const LENGTHS: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 36, 48, 72];
/// Share of ordinary stretches below the quantile from which the scatter downwards is read...
const LOW: f64 = 0.1;
/// ...and that quantile of a normal distribution.
const LOW_DEVIATIONS: f64 = 1.2816;
/// Edges are sought as of something that has left this share at least: of nothing, a single record would be one.
const LEAST_LEFT: f64 = 0.01;
/// No total is steadier than this relative variance: one in a hundred.
const STEADIEST: f64 = 1e-4;

/// A stretch of hours with its figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) hours: Range<usize>,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    pub(crate) dispersion: f64,
    /// Nats.
    pub(crate) score: f64,
}

impl Stretch {
    /// Whether next to nothing is left.
    pub(crate) fn is_silent(&self) -> bool {
        self.observed <= SILENT * self.expected
    }

    /// Whether two have an hour in common, or touch.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.hours.start <= other.hours.end && other.hours.start <= self.hours.end
    }
}

/// The search of one log.
pub(crate) struct Search<'a> {
    hours: &'a Hours,
    /// Relative variance of totals of each length.
    dispersions: [f64; LENGTHS.len()],
}

impl<'a> Search<'a> {
    pub(crate) fn new(hours: &'a Hours) -> Self {
        let dispersions = LENGTHS.map(|length| {
            let stretches = starts(hours, length).map(|start| start..start + length);
            let figures = stretches.map(|hours_of| (hours.observed(&hours_of), hours.expected(&hours_of)));
            let (mut ratios, mut means): (Vec<f64>, Vec<f64>) = figures
                .filter(|(_, expected)| *expected > 0.0)
                .map(|(observed, expected)| (observed / expected, expected))
                .unzip();
            if ratios.is_empty() {
                return STEADIEST;
            }
            ratios.sort_by(f64::total_cmp);
            means.sort_by(f64::total_cmp);
            let (low, middle) = (ratios[(LOW * ratios.len() as f64) as usize], ratios[ratios.len() / 2]);
            let spread = (middle - low) / LOW_DEVIATIONS;
            (spread * spread - 1.0 / means[means.len() / 2]).max(STEADIEST)
        });
        Self { hours, dispersions }
    }

    /// The best stretch that begins on each day, where any has fewer records than expected.
    pub(crate) fn best_by_day(&self) -> Vec<Stretch> {
        let mut best: Vec<Option<Stretch>> = vec![None; self.hours.len() / 24];
        for length in LENGTHS {
            for start in starts(self.hours, length) {
                let one = self.stretch(start..start + length);
                let best = &mut best[start / 24];
                if one.score > best.as_ref().map_or(0.0, |best| best.score) {
                    *best = Some(one);
                }
            }
        }
        best.into_iter().flatten().collect()
    }

    /// The stretch with exact edges: around it, the hours that are likelier at its share of the expected than at all of it.
    /// The score stays that of the stretch, by which days are compared.
    pub(crate) fn edged(&self, stretch: &Stretch) -> Stretch {
        let left = (stretch.observed / stretch.expected).max(LEAST_LEFT);
        let hours = self.hours.edges(&stretch.hours, left);
        Stretch { score: stretch.score, ..self.stretch(hours) }
    }

    fn stretch(&self, hours: Range<usize>) -> Stretch {
        let length = LENGTHS.iter().rposition(|length| *length <= hours.len()).unwrap_or(0);
        let dispersion = self.dispersions[length];
        let (observed, expected) = (self.hours.observed(&hours), self.hours.expected(&hours));
        Stretch { hours, observed, expected, dispersion, score: drop_score(observed, expected, dispersion) }
    }
}

fn starts(hours: &Hours, length: usize) -> Range<usize> {
    let Range { start, end } = hours.judged;
    start..(end + 1).saturating_sub(length).max(start)
}

/// Log-likelihood ratio, nats, of a count below its mean at its own rate against that at the mean, for counts with variance
/// `mean + dispersion * mean^2` (negative binomial with size `1 / dispersion` under both). Zero where it is not below.
fn drop_score(x: f64, mean: f64, dispersion: f64) -> f64 {
    if x >= mean {
        return 0.0;
    }
    let size = 1.0 / dispersion;
    let own = if x > 0.0 { x * (x / mean).ln() } else { 0.0 };
    (own - (x + size) * ((size + x) / (size + mean)).ln()).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rate::score::ratio_score;

    proptest! {
        #[test]
        fn a_drop_scores_as_the_ratio_of_likelihoods(
            x in 1e-3..1e4f64, more in 1.001..50.0f64, dispersion in 1e-4..1.0f64,
        ) {
            let mean = x * more;
            let (drop, ratio) = (drop_score(x, mean, dispersion), ratio_score(x, mean, dispersion, 1.0 / more));
            prop_assert!((drop - ratio).abs() <= 1e-6 * (1.0 + drop + mean), "{drop} {ratio}");
        }

        #[test]
        fn fewer_records_and_less_noise_say_more(x in 0.0..100.0f64, mean in 101.0..1e4f64, noise in 1e-4..1.0f64) {
            let score = drop_score(x, mean, noise);
            prop_assert!(score > 0.0 && drop_score(x / 2.0, mean, noise) >= score);
            prop_assert!(drop_score(x, mean, 2.0 * noise) <= score && drop_score(mean, mean, noise) == 0.0);
        }
    }
}
