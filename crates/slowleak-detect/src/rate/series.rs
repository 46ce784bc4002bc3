//! One entity's daily counts, the pattern that they should follow, and the days that count.

use std::ops::Range;

use slowleak_rollup::Metric;

use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::presence::presence;
use crate::rate::given;
use crate::rate::peers::{Peers, Week, weekday_profile};

/// How far an entity's response to common days is believed to lie from one, as a standard deviation.
const LOADING_SPREAD: f64 = 0.5;
/// Prior of the power by which distinct subjects grow with events.
const GROWTH_POWER: (f64, f64) = (0.9, 0.15);
/// Relative variance of a day's count that regressions assume besides counting noise.
const DAY_VARIANCE: f64 = 0.05;

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
    /// Reads the series of `entity`. Days in `masked` do not shape the pattern.
    ///
    /// For events the pattern is weekday profile x common factor ^ loading; for subjects it is
    /// events ^ power, so that volume and season cancel.
    pub(crate) fn read(
        daily: &Daily<'_>,
        entity: usize,
        metric: Metric,
        peers: &Peers,
        grid: &Grid,
        masked: &[Range<usize>],
        birth_days: usize,
    ) -> Self {
        let mut events = vec![0.0; grid.days()];
        daily.fill_events(entity, &mut events);
        let present = presence(&events, grid);
        let mut counted = present.clone();
        for range in masked {
            counted[range.clone()].fill(false);
        }
        let searched = searched(&present, birth_days);
        if metric == Metric::Subjects {
            let mut counts = vec![0.0; grid.days()];
            daily.fill_subjects(entity, &mut counts);
            let power = growth_power(&counts, &events, &counted);
            let pattern: Vec<f64> =
                events.iter().map(|n| if *n > 0.0 { n.powf(power) } else { 0.0 }).collect();
            return Self { counts, full_day: pattern.clone(), pattern, unit: 1.0, present, searched };
        }
        if let Some(base) = given::base(metric) {
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
