//! How an entity's accesses scatter within a day: relative variances over stretches of minutes to half a day.
//!
//! In: a series and its habit. Out: for each stretch the squared coefficient of variation of the rate about what the rest
//! of the day leads to expect, counting noise taken off (method of moments of the negative binomial). The share of
//! stretches that is trimmed holds two days of half a year: a burst does not teach its own noise.

use std::ops::Range;

use crate::burst::clock::Clock;
use crate::burst::series::Habit;
use crate::rate::noise::trimmed_mean;
use crate::rate::peers::weighted_quantile;

/// Stretches, in minutes, at which dispersion is measured.
const MINUTES: [i64; 6] = [1, 5, 15, 60, 240, 720];
/// Share of stretches left out, those above expectation by the most standard deviations...
const TRIM: f64 = 0.01;
/// ...but no more than so many, which hold a burst of an hour by the minute: where most stretches are empty, those with
/// any accesses at all are what scatters.
const MOST_TRIMMED: usize = 60;
/// Fewest peers whose dispersion can be pooled.
const MIN_PEERS: usize = 8;
/// Dispersion of a view in which nothing can be measured.
const FALLBACK: f64 = 0.1;
/// No log is so calm.
const LEAST: f64 = 1e-3;
/// Expected counts weigh a peer's dispersion up to this many.
const MAX_WEIGHT: f64 = 20.0;

/// The stretches of a clock, in windows, ascending.
pub(crate) fn stretches(clock: &Clock) -> Vec<usize> {
    let windows = |minutes: &i64| {
        let windows = minutes * clock.an_hour() as i64;
        (windows % 60 == 0).then_some((windows / 60) as usize)
    };
    MINUTES.iter().filter_map(windows).collect()
}

/// Of one entity, for each stretch: its dispersion, and the sum of squared expectations over the stretches it was
/// measured on, which is what it is worth.
pub(crate) type Scatter = Vec<(f64, f64)>;

/// Measures an entity.
pub(crate) fn measure(habit: &Habit<'_>, stretches: &[usize]) -> Scatter {
    let active = active(habit);
    stretches.iter().map(|stretch| of_stretch(habit, *stretch, &active)).collect()
}

/// The windows that lie within half a context of an access.
fn active(habit: &Habit<'_>) -> Vec<Range<usize>> {
    let mut active: Vec<Range<usize>> = Vec::new();
    for window in &habit.series.windows {
        let reach = window.saturating_sub(habit.half)..(window + habit.half).min(habit.span.end);
        match active.last_mut() {
            Some(last) if reach.start <= last.end => last.end = last.end.max(reach.end),
            _ => active.push(reach),
        }
    }
    active
}

fn of_stretch(habit: &Habit<'_>, stretch: usize, active: &[Range<usize>]) -> (f64, f64) {
    let (mut inside, mut lower, mut upper) = (Cursor(0), Cursor(0), Cursor(0));
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    for range in active {
        for block in range.start.div_ceil(stretch)..range.end / stretch {
            let windows = block * stretch..(block + 1) * stretch;
            let around = habit.context(&windows);
            let count = -inside.before(habit, windows.start) + inside.before(habit, windows.end);
            let day = upper.before(habit, around.end) - lower.before(habit, around.start);
            blocks.push((count, habit.of_day(&windows, &around, day - count)));
        }
    }
    let trimmed = ((blocks.len() as f64 * TRIM).ceil() as usize).min(MOST_TRIMMED);
    if blocks.len() < 30 + trimmed {
        return (0.0, 0.0);
    }
    let residual = |&(count, mean): &(f64, f64)| (count - mean) / (mean + 1e-3).sqrt();
    let kept = blocks.len() - trimmed;
    blocks.select_nth_unstable_by(kept, |a, b| residual(a).total_cmp(&residual(b)).then(a.1.total_cmp(&b.1)));
    blocks.truncate(kept);
    // The selection leaves no order, and sums of floats depend on it.
    blocks.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
    let squares: f64 = blocks.iter().map(|(_, mean)| mean * mean).sum();
    let excess: f64 = blocks.iter().map(|(count, mean)| (count - mean).powi(2) - mean).sum();
    (if squares > 0.0 { excess / squares } else { 0.0 }, squares)
}

/// A position in a series that only moves on.
pub(crate) struct Cursor(pub(crate) usize);

impl Cursor {
    /// Accesses before a window, which is not before an earlier one asked for.
    pub(crate) fn before(&mut self, habit: &Habit<'_>, window: usize) -> f64 {
        let windows = &habit.series.windows;
        while self.0 < windows.len() && windows[self.0] < window {
            self.0 += 1;
        }
        habit.series.sums[self.0]
    }
}

/// Dispersions of a view's entities, pooled by stretch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pool {
    stretches: Vec<usize>,
    typical: Vec<f64>,
}

impl Pool {
    pub(crate) fn of(stretches: &[usize], scatters: &[Scatter]) -> Self {
        let typical = |index: usize| {
            let measured = scatters.iter().map(|own| own[index]).filter(|(_, squares)| *squares > 0.0);
            let mut own: Vec<(f64, f64)> = measured
                .map(|(dispersion, squares)| (dispersion, squares.min(MAX_WEIGHT * MAX_WEIGHT)))
                .collect();
            let typical = match own.len() {
                0 => FALLBACK,
                few if few < MIN_PEERS => weighted_quantile(&mut own, 0.75).max(FALLBACK),
                _ => trimmed_mean(&mut own),
            };
            typical.max(LEAST)
        };
        Self { stretches: stretches.to_vec(), typical: (0..stretches.len()).map(typical).collect() }
    }

    /// The noise to assume for an entity: its own, weighed by its precision (two over the sum of squared expectations,
    /// the variance that counting noise alone gives it) against a prior as wide as the pooled value.
    pub(crate) fn noise(&self, own: &Scatter) -> Noise {
        let shrunk = |(&typical, &(dispersion, squares)): (&f64, &(f64, f64))| {
            let (own, prior) = (squares / 2.0, 1.0 / (typical * typical));
            ((own * dispersion + prior * typical) / (own + prior)).max(LEAST)
        };
        let dispersion = self.typical.iter().zip(own).map(shrunk).collect();
        Noise { stretches: self.stretches.clone(), dispersion }
    }
}

/// Dispersion to assume for an entity, by stretch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noise {
    stretches: Vec<usize>,
    dispersion: Vec<f64>,
}

impl Noise {
    /// Of a stretch of so many windows: log-linear between those measured.
    pub(crate) fn over(&self, windows: usize) -> f64 {
        let after = self.stretches.partition_point(|stretch| *stretch < windows);
        let (Some(stretch), Some(dispersion)) = (self.stretches.get(after), self.dispersion.get(after))
        else {
            return self.dispersion.last().copied().unwrap_or(FALLBACK);
        };
        let Some(before) = after.checked_sub(1) else { return *dispersion };
        let (low, high) = (self.stretches[before] as f64, *stretch as f64);
        let part = (windows as f64 / low).ln() / (high / low).ln();
        (self.dispersion[before].ln() * (1.0 - part) + dispersion.ln() * part).exp()
    }
}
