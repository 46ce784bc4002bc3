//! The best bursts of an entity. In: its series, habit and noise. Out: for each day the stretch that stands out the most,
//! of a set of lengths from a window to half a day, each starting at a window with accesses.
//!
//! A stretch of `x` accesses where `mu` are expected scores the negative-binomial log-likelihood ratio at the rate `x/mu`
//! (`rate/score.rs`), capped by the two-sample bound against the rest of its day, which is itself counted, and of which
//! the profile tells what it is worth. The lengths grow by a quarter; edges are then set exactly, where the sum of the
//! windows' Poisson scores at that rate is largest.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::burst::clock::{Clock, HOURS};
use crate::burst::noise::{Cursor, Noise};
use crate::burst::series::Habit;
use crate::rate::score::{Sample, profile_score, two_sample_bound};

/// Longest burst, hours: half a day is as much as the rest of the day can vouch against.
const LONGEST_HOURS: usize = 12;
/// Each length is longer by about this share.
const GROWTH: f64 = 0.25;

/// Parts of an hour and hours scatter differently: each has a tail of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Band {
    Minutes,
    Hours,
}

impl Band {
    pub(crate) const ALL: [Self; 2] = [Self::Minutes, Self::Hours];

    /// The lengths of the band, in windows, ascending.
    pub(crate) fn lengths(self, clock: &Clock) -> Vec<usize> {
        let hour = clock.an_hour();
        let (first, end) = match self {
            Self::Minutes => (1, hour),
            Self::Hours => (hour, LONGEST_HOURS * hour + 1),
        };
        let step = if self == Self::Hours { hour } else { 1 };
        let next = |length: &usize| {
            let grown = (*length as f64 * (1.0 + GROWTH)) as usize / step * step;
            Some(grown.max(length + step))
        };
        std::iter::successors(Some(first), next).take_while(|length| *length < end).collect()
    }
}

/// A stretch that stands out of its day.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Burst {
    pub(crate) windows: Range<usize>,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    pub(crate) dispersion: f64,
    pub(crate) score: f64,
    pub(crate) band: Band,
}

/// What a search is told.
pub(crate) struct Search<'a> {
    pub(crate) clock: &'a Clock,
    /// Fewest accesses of a burst.
    pub(crate) least: f64,
    /// Rise that is no finding however certain it is.
    pub(crate) tolerance: f64,
}

impl Search<'_> {
    /// The best burst of each band and day that has any; by day.
    pub(crate) fn best(&self, habit: &Habit<'_>, noise: &Noise, band: Band) -> Vec<Burst> {
        let mut best: BTreeMap<usize, Burst> = BTreeMap::new();
        for length in band.lengths(self.clock) {
            self.of_length(habit, noise, band, length, &mut best);
        }
        best.into_values().collect()
    }

    fn of_length(
        &self,
        habit: &Habit<'_>,
        noise: &Noise,
        band: Band,
        length: usize,
        best: &mut BTreeMap<usize, Burst>,
    ) {
        let (mut end, mut lower, mut upper) = (Cursor(0), Cursor(0), Cursor(0));
        let mut of_day = (usize::MAX, 0.0);
        for (at, start) in habit.series.windows.iter().enumerate() {
            let windows = *start..(start + length).min(self.clock.windows());
            let observed = end.before(habit, windows.end) - habit.series.sums[at];
            if observed < self.least {
                continue;
            }
            let around = habit.context(&windows);
            let rest = upper.before(habit, around.end) - lower.before(habit, around.start) - observed;
            let expected = habit.of_day(&windows, &around, rest);
            let day = self.clock.hour(*start) / HOURS;
            if of_day.0 != day {
                of_day = (day, best.get(&day).map_or(0.0, |burst| burst.score));
            }
            // No ratio scores more than half of chi squared.
            if observed <= expected || (observed - expected).powi(2) <= 2.0 * expected * of_day.1 {
                continue;
            }
            let expected = expected.max(habit.usual(&windows, observed));
            let dispersion = noise.over(length);
            let burst = Burst { windows, observed, expected, dispersion, score: 0.0, band };
            let score = self.score(habit, &burst, rest);
            if score > of_day.1 {
                of_day.1 = score;
                best.insert(day, Burst { score, ..burst });
            }
        }
    }

    fn score(&self, habit: &Habit<'_>, burst: &Burst, rest: f64) -> f64 {
        let expected = burst.expected * (1.0 + self.tolerance);
        let inside = Sample { count: burst.observed, expected, dispersion: burst.dispersion };
        // How the rest of the day differs from the stretch is in the stretch's dispersion, which was measured against it.
        let dispersion = 1.0 / (habit.learnt(&burst.windows) + 1.0);
        let outside = Sample { count: rest, expected: rest, dispersion };
        profile_score(inside.count, inside.expected, inside.dispersion).min(two_sample_bound(inside, outside))
    }

    /// The burst with its edges where the sum of scores of its windows is largest, within its own length of where it
    /// was found; figures of that interval. The score stays that of the search.
    pub(crate) fn edged(&self, habit: &Habit<'_>, burst: &Burst) -> Burst {
        let reach = burst.windows.len();
        let around =
            burst.windows.start.saturating_sub(reach)..(burst.windows.end + reach).min(self.clock.windows());
        let ratio = (burst.observed / burst.expected.max(1e-9)).max(1.01);
        let level = burst.expected / habit.shape.within(&burst.windows).max(1e-9);
        let (mut sum, mut from, mut best) = (0.0, around.start, (0.0, burst.windows.clone()));
        let mut cursor = Cursor(0);
        let mut before = cursor.before(habit, around.start);
        for window in around {
            let until = cursor.before(habit, window + 1);
            let expected = level * habit.shape.within(&(window..window + 1));
            sum += (until - before) * ratio.ln() - (ratio - 1.0) * expected;
            before = until;
            if sum > best.0 {
                best = (sum, from..window + 1);
            }
            if sum <= 0.0 {
                (sum, from) = (0.0, window + 1);
            }
        }
        let windows = best.1;
        let observed = habit.series.count(&windows);
        let expected = level * habit.shape.within(&windows);
        Burst { windows, observed, expected, ..burst.clone() }
    }
}
