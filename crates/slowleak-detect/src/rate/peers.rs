//! What entities of one view share: the weekday profile and the common day factor.

use rayon::prelude::*;

use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::presence::presence;

/// Shares of a week, mean one.
pub(crate) type Week = [f64; 7];

/// An entity's own weekday profile counts as much as this many events of its peers' profile.
const WEEKDAY_PRIOR_EVENTS: f64 = 30.0;
/// Fewest peers that can tell a common day from chance.
const MIN_PEERS: usize = 8;
/// The common factor explains at most this much of a day, either way.
const FACTOR_RANGE: (f64, f64) = (0.3, 3.0);
/// Largest peers used for the common factor; more add nothing.
const MAX_PEERS: usize = 2048;
/// An entity with fewer events a day says too little alone about a day's factor; it is pooled.
const MIN_RATE: f64 = 5.0;
/// Pools into which small entities are summed.
const POOLS: usize = 16;

/// The shared profile of a view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Peers {
    /// Weekday profile over all entities, each weighing as the root of its events.
    pub(crate) week: Week,
    /// How much busier than usual each day was for everybody; 1 where there are too few peers to say.
    pub(crate) factor: Vec<f64>,
}

impl Peers {
    /// Learns the profile from every entity of the view.
    pub(crate) fn learn(daily: &Daily<'_>, grid: &Grid) -> Self {
        let totals: Vec<f64> = (0..daily.len()).into_par_iter().map(|entity| daily.total(entity)).collect();
        let mut order: Vec<usize> = (0..daily.len()).collect();
        order.par_sort_by(|a, b| totals[*b].total_cmp(&totals[*a]).then(a.cmp(b)));
        let mut series: Vec<Vec<f64>> = Vec::new();
        let mut pools: Vec<Vec<f64>> = vec![vec![0.0; grid.days()]; POOLS];
        for (rank, &entity) in order.iter().enumerate() {
            let large = totals[entity] >= MIN_RATE * grid.days() as f64;
            if large && series.len() < MAX_PEERS {
                let mut events = vec![0.0; grid.days()];
                daily.fill_events(entity, &mut events);
                series.push(events);
            } else if !large {
                for (day, events) in daily.active(entity) {
                    pools[rank % POOLS][day] += events;
                }
            }
        }
        let rate = |events: &[f64]| events.iter().sum::<f64>() / grid.days() as f64;
        series.extend(pools.into_iter().filter(|pool| rate(pool) >= MIN_RATE));

        let mut week = [0.0; 7];
        for events in &series {
            let own = weekday_profile(events, &presence(events, grid), grid, &[1.0; 7]);
            let weight = events.iter().sum::<f64>().sqrt();
            week.iter_mut().zip(own).for_each(|(sum, share)| *sum += weight * share);
        }
        let week = normalised(week);
        let factor = common_factor(&series, &week, grid);
        Self { week, factor }
    }
}

/// Weekday profile of a series over its present days, shrunk to `prior` by [`WEEKDAY_PRIOR_EVENTS`].
pub(crate) fn weekday_profile(events: &[f64], counted: &[bool], grid: &Grid, prior: &Week) -> Week {
    let (mut sums, mut days) = ([0.0; 7], [0.0; 7]);
    for day in (0..events.len()).filter(|day| counted[*day]) {
        sums[grid.weekday(day)] += events[day];
        days[grid.weekday(day)] += 1.0;
    }
    let total: f64 = sums.iter().sum();
    let all_days: f64 = days.iter().sum();
    if total <= 0.0 || all_days <= 0.0 {
        return *prior;
    }
    let mean = total / all_days;
    // Prior events are spread over the weekdays as the prior expects them.
    let prior_days = WEEKDAY_PRIOR_EVENTS / mean / 7.0;
    let share = |weekday: usize| {
        (sums[weekday] + prior_days * mean * prior[weekday]) / (days[weekday] + prior_days) / mean
    };
    normalised(std::array::from_fn(share))
}

/// Weekday profile of counts over what is expected of them, shrunk to one by [`WEEKDAY_PRIOR_EVENTS`].
pub(crate) fn conditional_profile(counts: &[f64], expected: &[f64], counted: &[bool], grid: &Grid) -> Week {
    let (mut sums, mut means) = ([0.0; 7], [0.0; 7]);
    for day in (0..counts.len()).filter(|day| counted[*day]) {
        sums[grid.weekday(day)] += counts[day];
        means[grid.weekday(day)] += expected[day];
    }
    let (total, mean): (f64, f64) = (sums.iter().sum(), means.iter().sum());
    if total <= 0.0 || mean <= 0.0 {
        return [1.0; 7];
    }
    // Not normalised: the level is fitted to whatever is expected in all.
    std::array::from_fn(|weekday| {
        let usual = means[weekday] * total / mean;
        (sums[weekday] + WEEKDAY_PRIOR_EVENTS / 7.0) / (usual + WEEKDAY_PRIOR_EVENTS / 7.0)
    })
}

fn normalised(week: Week) -> Week {
    let mean = week.iter().sum::<f64>() / 7.0;
    if mean > 0.0 { week.map(|share| (share / mean).max(1e-3)) } else { [1.0; 7] }
}

/// Weighted median over peers of (count / own expectation), day by day. The median keeps one peer's growth
/// or leak from passing for a common day; slow swings that most peers share are common, too.
fn common_factor(series: &[Vec<f64>], week: &Week, grid: &Grid) -> Vec<f64> {
    let days = grid.days();
    if series.len() < MIN_PEERS {
        return vec![1.0; days];
    }
    let ratios: Vec<Vec<Option<(f64, f64)>>> = series
        .par_iter()
        .map(|events| {
            let present = presence(events, grid);
            let own = weekday_profile(events, &present, grid, week);
            let level = median_level(events, &present, &own, grid);
            let ratio = |day: usize| {
                let expected = level * own[grid.weekday(day)];
                let usable = present[day] && expected >= 1.0;
                usable.then(|| (events[day] / expected, expected.min(100.0)))
            };
            (0..days).map(ratio).collect()
        })
        .collect();
    (0..days)
        .map(|day| {
            let mut of_day: Vec<(f64, f64)> = ratios.iter().filter_map(|own| own[day]).collect();
            if of_day.len() < MIN_PEERS {
                return 1.0;
            }
            weighted_quantile(&mut of_day, 0.5).clamp(FACTOR_RANGE.0, FACTOR_RANGE.1)
        })
        .collect()
}

/// Median of the weekday-free counts of the present days.
fn median_level(events: &[f64], present: &[bool], week: &Week, grid: &Grid) -> f64 {
    let days = (0..events.len()).filter(|day| present[*day]);
    let mut levels: Vec<f64> = days.map(|day| events[day] / week[grid.weekday(day)]).collect();
    levels.sort_by(f64::total_cmp);
    levels.get(levels.len() / 2).copied().unwrap_or(0.0)
}

/// Smallest value at which the weights below and at it reach `quantile` of all; `items` must not be empty.
pub(crate) fn weighted_quantile(items: &mut [(f64, f64)], quantile: f64) -> f64 {
    items.sort_by(|a, b| a.0.total_cmp(&b.0));
    let goal = quantile * items.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut sum = 0.0;
    for (value, weight) in items.iter() {
        sum += weight;
        if sum >= goal {
            return *value;
        }
    }
    items.last().map_or(0.0, |(value, _)| *value)
}
