//! How much a rate moves beyond counting noise, for stretches of 1, 7 and 28 days.
//!
//! Daily counts of one entity are not independent: the same marginal noise gives 7-day means that scatter
//! far more than seven independent days would. Matching the dispersion to the interval's length is what
//! keeps false alarms at their nominal rate.

use crate::rate::peers::weighted_quantile;

/// Stretches, in days, at which dispersion is measured.
pub(crate) const STRETCHES: [usize; 3] = [1, 7, 28];
/// An entity's own daily dispersion weighs against its peers' as its days against this many.
const PRIOR_DAYS: f64 = 20.0;
/// An entity's own dispersion counts up to this quantile of its peers', or a leak would teach the noise
/// that hides it.
const CAP_QUANTILE: f64 = 0.75;
/// Largest share of daily residuals that is set aside as the series' own outliers.
const TRIM: f64 = 0.05;
/// Days on either side of a day that its local level is taken from.
const AROUND: usize = 7;
/// Share of peers, by weight, left out at either end when their dispersions are averaged.
const POOL_TRIM: f64 = 0.1;
/// Expected counts weigh a peer's dispersion up to this many: beyond, the scatter is the peer's own and no
/// longer counting's.
const MAX_WEIGHT: f64 = 20.0;
/// Dispersion of a view in which nothing can be measured.
const FALLBACK: [f64; 3] = [0.1, 0.05, 0.03];
/// Fewest peers whose dispersion can be pooled.
const MIN_PEERS: usize = 8;

/// Relative variances (squared coefficients of variation) of the rate over [`STRETCHES`], counting noise
/// taken off (negative where counts scatter less than chance), with the expected count each was measured
/// on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Scatter {
    pub(crate) dispersion: [f64; 3],
    pub(crate) weight: [f64; 3],
    pub(crate) days: f64,
    /// Dispersion of a day against the days around it: a step of the level, such as a leak that nobody has seen yet, is
    /// not in it.
    pub(crate) calm: f64,
}

impl Scatter {
    /// Measures `counts` against `expected` over the days that count.
    pub(crate) fn measure(counts: &[f64], expected: &[f64], counted: &[bool]) -> Self {
        let mut scatter = Self::default();
        for (index, stretch) in STRETCHES.into_iter().enumerate() {
            let mut blocks: Vec<(f64, f64)> = Vec::new();
            for start in (0..counts.len()).step_by(stretch) {
                let days = || (start..(start + stretch).min(counts.len())).filter(|day| counted[*day]);
                // A block that is mostly absent would count as a long stretch and scatter like a short one.
                if days().count() * 4 >= stretch * 3 {
                    let sum = |of: &[f64]| days().map(|day| of[day]).sum::<f64>();
                    blocks.push((sum(counts), sum(expected)));
                }
            }
            if stretch == 1 {
                scatter.days = blocks.len() as f64;
                trim(&mut blocks);
            }
            let squares: f64 = blocks.iter().map(|(_, mean)| mean * mean).sum();
            let excess: f64 = blocks.iter().map(|(x, mean)| (x - mean).powi(2) - mean).sum();
            // One degree of freedom went into the level.
            let blocks_used = blocks.len() as f64;
            if blocks_used >= 3.0 && squares > 0.0 {
                scatter.dispersion[index] = excess / squares * blocks_used / (blocks_used - 1.0);
                scatter.weight[index] = squares.sqrt() / blocks_used.sqrt();
            }
        }
        scatter.calm = calm(counts, expected, counted);
        scatter
    }
}

/// Dispersion of single days against the mean of the counted days around them, relative to what is expected.
fn calm(counts: &[f64], expected: &[f64], counted: &[bool]) -> f64 {
    let mut sums = vec![(0.0, 0.0, 0.0)];
    for day in 0..counts.len() {
        let (count, mean, days) = sums[day];
        let more = if counted[day] { (counts[day], expected[day], 1.0) } else { (0.0, 0.0, 0.0) };
        sums.push((count + more.0, mean + more.1, days + more.2));
    }
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    let (mut freedom, mut all) = (0.0, 0.0);
    for day in (0..counts.len()).filter(|day| counted[*day]) {
        let (from, to) = (sums[day.saturating_sub(AROUND)], sums[(day + AROUND + 1).min(counts.len())]);
        let (count, mean, days) = (to.0 - from.0, to.1 - from.1, to.2 - from.2);
        if mean > 0.0 && days > 1.0 {
            blocks.push((counts[day], expected[day] * count / mean));
            freedom += 1.0 - 1.0 / days;
            all += 1.0;
        }
    }
    trim(&mut blocks);
    let squares: f64 = blocks.iter().map(|(_, mean)| mean * mean).sum();
    let kept = blocks.len() as f64;
    if kept < 3.0 || squares <= 0.0 {
        return 0.0;
    }
    // A day is in the mean that it is compared with: both its noises are smaller by as much.
    let free = freedom / all;
    let excess: f64 = blocks.iter().map(|(x, mean)| (x - mean).powi(2) / free - mean).sum();
    excess / squares
}

/// Weighted mean of the values between the outer [`POOL_TRIM`] of the weight; `items` must not be empty.
pub(crate) fn trimmed_mean(items: &mut [(f64, f64)]) -> f64 {
    let (low, high) = (weighted_quantile(items, POOL_TRIM), weighted_quantile(items, 1.0 - POOL_TRIM));
    let kept = || items.iter().filter(|(value, _)| (low..=high).contains(value));
    let weight: f64 = kept().map(|(_, weight)| weight).sum();
    kept().map(|(value, weight)| value * weight).sum::<f64>() / weight
}

/// Drops the largest standardised upward residuals, [`TRIM`] of all.
fn trim(blocks: &mut Vec<(f64, f64)>) {
    let residual = |&(x, mean): &(f64, f64)| (x - mean) / mean.max(0.1);
    blocks.sort_by(|a, b| residual(a).total_cmp(&residual(b)));
    blocks.truncate(blocks.len() - (TRIM * blocks.len() as f64) as usize);
}

/// Dispersion of a view's entities, pooled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pool {
    typical: [f64; 3],
    cap: f64,
    /// Of a day against those around it, and its cap, where entities are scaled by that.
    calm: Option<(f64, f64)>,
}

impl Pool {
    /// Pools over peers that were counted often enough for their scatter to mean anything.
    pub(crate) fn of(scatters: &[Scatter]) -> Self {
        let mut pool = Self { typical: FALLBACK, cap: f64::INFINITY, calm: None };
        for (index, fallback) in FALLBACK.into_iter().enumerate() {
            let measured = scatters.iter().filter(|own| own.weight[index] > 0.0);
            // A mean of unclipped estimates: small counts scatter both ways around the truth, so that a median
            // of clipped ones would call every view of small counts free of noise.
            let mut own: Vec<(f64, f64)> = measured
                .map(|own| (own.dispersion[index], own.weight[index].min(MAX_WEIGHT).powi(2)))
                .collect();
            if own.len() >= MIN_PEERS {
                pool.typical[index] = trimmed_mean(&mut own);
                if index == 0 {
                    pool.cap = weighted_quantile(&mut own, CAP_QUANTILE);
                }
            } else if !own.is_empty() {
                pool.typical[index] = weighted_quantile(&mut own, 0.75).max(fallback);
            }
        }
        // A longer stretch can not scatter more than a shorter one; a floor keeps a calm log from claiming
        // certainty that its few weeks can not give.
        pool.typical[0] = pool.typical[0].max(1e-3);
        for index in 1..STRETCHES.len() {
            pool.typical[index] = pool.typical[index].clamp(5e-4, pool.typical[index - 1]);
        }
        pool
    }

    /// Long stretches of an entity are scaled by how its days scatter around their local level, and no longer by how they
    /// scatter in all, which a leak raises before it is masked. For what is as steady as a share; the volume of a lively
    /// person swings for weeks, and its own days must say so.
    pub(crate) fn scaled_by_calm(self, scatters: &[Scatter]) -> Self {
        let measured = scatters.iter().filter(|own| own.weight[0] > 0.0);
        let mut calm: Vec<(f64, f64)> =
            measured.map(|own| (own.calm, own.weight[0].min(MAX_WEIGHT).powi(2))).collect();
        if calm.len() < MIN_PEERS {
            return self;
        }
        let typical = trimmed_mean(&mut calm).max(1e-3);
        Self { calm: Some((typical, weighted_quantile(&mut calm, CAP_QUANTILE))), ..self }
    }

    /// The noise to assume for an entity.
    pub(crate) fn noise(&self, own: &Scatter) -> Noise {
        let shrunk = |measured: f64, typical: f64, cap: f64| {
            let shrunk = (own.days * measured + PRIOR_DAYS * typical) / (own.days + PRIOR_DAYS);
            shrunk.min(cap.max(typical))
        };
        let day = shrunk(own.dispersion[0], self.typical[0], self.cap);
        let scale = match self.calm {
            Some((typical, cap)) => shrunk(own.calm, typical, cap) / typical,
            None => day / self.typical[0],
        };
        let scale = scale.clamp(0.5, 4.0);
        Noise { day, stretches: self.typical.map(|typical| typical * scale) }
    }
}

/// Dispersion to assume for one entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Noise {
    /// Of a single day.
    pub(crate) day: f64,
    stretches: [f64; 3],
}

impl Noise {
    /// Relative variance of the rate over `days` days: through the pooled stretches, log-linear between
    /// them, and no smaller beyond the longest, since a level that drifted for a month may drift on.
    pub(crate) fn over(&self, days: f64) -> f64 {
        let [first, .., last] = STRETCHES;
        if days <= first as f64 {
            return self.stretches[0].max(self.day);
        }
        if days >= last as f64 {
            return self.stretches[2];
        }
        let upper = if days <= STRETCHES[1] as f64 { 1 } else { 2 };
        let position = (days / STRETCHES[upper - 1] as f64).ln()
            / (STRETCHES[upper] as f64 / STRETCHES[upper - 1] as f64).ln();
        let logs = [self.stretches[upper - 1].ln(), self.stretches[upper].ln()];
        (logs[0] + position * (logs[1] - logs[0])).exp()
    }

    /// Dispersion per day that gives a sum over many days at least the variance that their stretch has.
    pub(crate) fn per_day_of_long(&self) -> f64 {
        let of = |index: usize| STRETCHES[index] as f64 * self.stretches[index];
        of(0).max(of(1)).max(of(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_noise_alone_has_no_dispersion() {
        // A repeated Poisson-like pattern: variance about equal to the mean.
        let counts: Vec<f64> = [7.0, 10.0, 13.0, 10.0].into_iter().cycle().take(280).collect();
        let expected = vec![10.0; 280];
        let scatter = Scatter::measure(&counts, &expected, &[true; 280]);
        assert!(scatter.dispersion.iter().all(|dispersion| *dispersion < 0.01), "{scatter:?}");
    }

    #[test]
    fn a_step_is_not_in_the_calm_scatter() {
        let step = |high: f64| -> Vec<f64> {
            let noise = [0.9, 1.0, 1.1, 1.0].into_iter().cycle();
            noise.zip(0..280).map(|(n, day)| if day < 140 { 1000.0 * n } else { high * n }).collect()
        };
        let of = |counts: &[f64]| Scatter::measure(counts, &vec![1000.0; counts.len()], &[true; 280]);
        let (flat, risen) = (of(&step(1000.0)), of(&step(2000.0)));
        assert!(risen.dispersion[0] > 10.0 * flat.dispersion[0], "{risen:?}");
        // The days by the step itself lie off their local level; with them trimmed it is the flat one's.
        assert!((0.004..0.008).contains(&flat.calm) && risen.calm < 2.0 * flat.calm, "{flat:?} {risen:?}");
    }

    #[test]
    fn slow_swings_show_at_long_stretches() {
        let counts: Vec<f64> = (0..280).map(|day| if day / 28 % 2 == 0 { 800.0 } else { 1200.0 }).collect();
        let scatter = Scatter::measure(&counts, &vec![1000.0; 280], &[true; 280]);
        assert!(scatter.dispersion[2] > 0.035, "{scatter:?}");
        let noise = Pool::of(&[scatter; 10]).noise(&scatter);
        assert!(noise.per_day_of_long() > 1.0);
        assert!(noise.over(100.0) > 0.035 && noise.over(14.0) > 0.03);
    }
}
