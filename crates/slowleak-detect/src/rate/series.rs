//! One entity's daily counts, the pattern that they should follow, and the days that count.

use std::ops::Range;

use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::presence::presence;
use crate::rate::given;
use crate::rate::part::Measure;
use crate::rate::peers::{Peers, Week, conditional_profile, weekday_profile};
use crate::rate::share::Shares;

/// How far an entity's response to common days is believed to lie from one, as a standard deviation.
const LOADING_SPREAD: f64 = 0.5;
/// Prior of the power by which distinct subjects grow with events.
const GROWTH_POWER: (f64, f64) = (0.9, 0.15);
/// Relative variance of a day's count that regressions assume besides counting noise.
const DAY_VARIANCE: f64 = 0.05;

/// Fewest whole weeks of which the quieter half can tell of weekdays.
const MIN_WEEKS: usize = 8;

/// A series on the grid. `expected = level * pattern` for a level yet to be found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) counts: Vec<f64>,
    pub(crate) pattern: Vec<f64>,
    /// The pattern if every day were a full working day: what a day off that is worked after all may reach.
    pub(crate) full_day: Vec<f64>,
    /// What one count stands for: 1, but of rows and bytes what they come in; see [`crate::rate::given`].
    pub(crate) unit: f64,
    /// Days that carry information about the entity.
    pub(crate) present: Vec<bool>,
    /// Days in which an interval may lie: presence less the first weeks of an entity born in the log.
    pub(crate) searched: Vec<bool>,
}

impl Series {
    /// Reads the series of a slice as its share of what its key does; `masked` as in [`Self::read`].
    fn share(
        daily: &Daily<'_>,
        slice: usize,
        shares: &Shares<'_>,
        grid: &Grid,
        masked: Option<&[Range<usize>]>,
        birth_days: usize,
    ) -> Self {
        let mut counts = vec![0.0; grid.days()];
        daily.fill_events(slice, &mut counts);
        let mut pattern = shares.pattern(slice, &counts);
        let mut present = presence(&counts, grid);
        // A day on which the key did nothing else says nothing of shares.
        present.iter_mut().zip(&pattern).for_each(|(present, siblings)| *present &= *siblings > 0.0);
        let usual = usual(&counts, &pattern, &present, masked);
        let week = conditional_profile(&counts, &pattern, &usual, grid);
        pattern.iter_mut().enumerate().for_each(|(day, siblings)| *siblings *= week[grid.weekday(day)]);
        let searched = searched(&present, birth_days);
        Self { counts, full_day: pattern.clone(), pattern, unit: 1.0, present, searched }
    }

    /// Reads the series of `entity`. Days in `masked` do not shape the pattern; where nobody has looked for what stands
    /// out yet, it is `None`: then a share has its weekdays from the quieter weeks. (Of rare work these are chance.)
    ///
    /// For events the pattern is weekday profile x common factor ^ loading; for subjects it is
    /// events ^ power, so that volume and season cancel; a part of them brings its own.
    pub(crate) fn read(
        daily: &Daily<'_>,
        entity: usize,
        measure: Measure<'_>,
        peers: &Peers,
        grid: &Grid,
        masked: Option<&[Range<usize>]>,
        birth_days: usize,
    ) -> Self {
        if let Measure::Share(shares) = measure {
            return Self::share(daily, entity, shares, grid, masked, birth_days);
        }
        let mut events = vec![0.0; grid.days()];
        daily.fill_events(entity, &mut events);
        let present = presence(&events, grid);
        let counted = without(&present, masked.unwrap_or_default());
        let searched = searched(&present, birth_days);
        if let Measure::Part(part) = measure {
            let (mut counts, mut pattern) = (vec![0.0; grid.days()], vec![0.0; grid.days()]);
            part.fill(entity, &mut counts, &mut pattern);
            return Self { counts, full_day: pattern.clone(), pattern, unit: 1.0, present, searched };
        }
        if let Measure::Subjects = measure {
            let mut counts = vec![0.0; grid.days()];
            daily.fill_subjects(entity, &mut counts);
            let power = growth_power(&counts, &events, &counted);
            let pattern: Vec<f64> =
                events.iter().map(|n| if *n > 0.0 { n.powf(power) } else { 0.0 }).collect();
            return Self { counts, full_day: pattern.clone(), pattern, unit: 1.0, present, searched };
        }
        if let Measure::Given(metric) = measure
            && let Some(base) = given::base(metric)
        {
            let (counts, pattern, unit) = given::read(daily, entity, metric, base, &events, &counted);
            return Self { counts, full_day: pattern.clone(), pattern, unit, present, searched };
        }
        let week = weekday_profile(&events, &counted, grid, &peers.week);
        let loading = loading(&events, &counted, &week, peers, grid);
        let common: Vec<f64> = peers.factor.iter().map(|factor| factor.powf(loading)).collect();
        let pattern = (0..grid.days()).map(|day| week[grid.weekday(day)] * common[day]).collect();
        let full_day = (0..grid.days()).map(|day| week[grid.weekday(day)].max(1.0) * common[day]).collect();
        Self { counts: events, pattern, full_day, unit: 1.0, present, searched }
    }

    /// Present days.
    pub(crate) fn days(&self) -> usize {
        self.present.iter().filter(|present| **present).count()
    }
}

/// The days that shape a weekday profile: those not masked. Before anything is masked, those of the quieter half of the
/// weeks, by their counts over what is `expected` of them in proportion: a leak of weekends would else be a habit.
fn usual(counts: &[f64], expected: &[f64], present: &[bool], masked: Option<&[Range<usize>]>) -> Vec<bool> {
    if let Some(masked) = masked {
        return without(present, masked);
    }
    let mut weeks: Vec<(f64, usize)> = Vec::new();
    for start in (0..counts.len()).step_by(7) {
        let days = || (start..(start + 7).min(counts.len())).filter(|day| present[*day]);
        let sum = |of: &[f64]| days().map(|day| of[day]).sum::<f64>();
        // Part of a week would pass for a quiet one, or a busy one.
        if days().count() == 7 && sum(expected) > 0.0 {
            weeks.push((sum(counts) / sum(expected), start));
        }
    }
    if weeks.len() < MIN_WEEKS {
        return present.to_vec();
    }
    weeks.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut usual = vec![false; present.len()];
    for (_, start) in &weeks[..weeks.len().div_ceil(2)] {
        usual[*start..start + 7].fill(true);
    }
    usual
}

/// The days of `present` that are not masked.
pub(crate) fn without(present: &[bool], masked: &[Range<usize>]) -> Vec<bool> {
    let mut counted = present.to_vec();
    for range in masked {
        counted[range.clone()].fill(false);
    }
    counted
}

/// Presence less the first `birth_days` of an entity that was not there in the log's first week.
fn searched(present: &[bool], birth_days: usize) -> Vec<bool> {
    let mut searched = present.to_vec();
    if let Some(birth) = present.iter().position(|present| *present)
        && birth >= 7
    {
        let settled = (birth + birth_days).min(present.len());
        searched[birth..settled].fill(false);
    }
    searched
}

/// How strongly the entity follows common days: a regression of its log ratio on the log factor, shrunk to
/// one. A nightly batch does not care about holidays; a shop's front page cares more than most.
fn loading(events: &[f64], counted: &[bool], week: &Week, peers: &Peers, grid: &Grid) -> f64 {
    let days = || (0..events.len()).filter(|day| counted[*day]);
    let total: f64 = days().map(|day| events[day]).sum();
    let weight: f64 = days().map(|day| week[grid.weekday(day)] * peers.factor[day]).sum();
    if weight <= 0.0 {
        return 1.0;
    }
    let level = total / weight;
    let prior = 1.0 / (LOADING_SPREAD * LOADING_SPREAD);
    // Regressed on the deviation of the log factor from its mean, so that the level drops out.
    let point = |day: usize| {
        let expected = level * week[grid.weekday(day)];
        let precision = 1.0 / (1.0 / (expected + 0.5) + DAY_VARIANCE);
        (peers.factor[day].ln(), ((events[day] + 0.5) / (expected + 0.5)).ln(), precision)
    };
    let (slope, information) = slope(days().map(point));
    ((slope * information + prior) / (information + prior)).clamp(0.0, 1.5)
}

/// Power by which an entity's distinct subjects grow with its events (below one: they repeat).
fn growth_power(subjects: &[f64], events: &[f64], counted: &[bool]) -> f64 {
    let (mean, spread) = GROWTH_POWER;
    let prior = 1.0 / (spread * spread);
    let days = (0..events.len()).filter(|day| counted[*day] && events[*day] > 0.0 && subjects[*day] > 0.0);
    let point =
        |day: usize| (events[day].ln(), subjects[day].ln(), 1.0 / (1.0 / subjects[day] + DAY_VARIANCE));
    let (slope, information) = slope(days.map(point));
    ((slope * information + prior * mean) / (information + prior)).clamp(0.3, 1.0)
}

/// Weighted least-squares slope of y on x for points (x, y, weight), and its information (inverse
/// variance); (0, 0) where x does not vary.
fn slope(points: impl Iterator<Item = (f64, f64, f64)>) -> (f64, f64) {
    let (mut w, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y, weight) in points {
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    if w <= 0.0 {
        return (0.0, 0.0);
    }
    let information = wxx - wx * wx / w;
    if information <= 1e-9 { (0.0, 0.0) } else { ((wxy - wx * wy / w) / information, information) }
}
