//! A part of what entities did, day by day, with what their habit and history let expect of it: what a family counts
//! besides events and subjects. Whoever makes such a part says what it is; here it is a series like any other.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use slowleak_rollup::Metric;

use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::rate::noise::STRETCHES;
use crate::rate::peers::weighted_quantile;
use crate::rate::share::Shares;

/// An entity's own burstiness weighs against its peers' as its stretches against this many.
const PRIOR_STRETCHES: f64 = 20.0;
/// An entity's own burstiness counts up to this quantile of its peers', or a leak would teach the noise that hides it.
const CAP_QUANTILE: f64 = 0.75;
/// Mean counts weigh a peer's share up to this many: one that counts much must not be everybody's measure.
const MAX_WEIGHT: f64 = 1.0;
/// Largest share of stretches, the highest, that is set aside as outliers.
const TRIM: f64 = 0.05;
/// Fewest peers whose burstiness can be pooled.
const MIN_PEERS: usize = 8;

/// Counts and expectations of a view's entities by day of the grid, in columns; only days on which anything is expected.
///
/// What is counted comes in bursts: a new task brings ten new accounts at once. So both are kept in units of a burst, as in
/// quasi-likelihood (variance = size x mean; McCullagh and Nelder, "Generalized Linear Models", 1989, chapter 9): a Poisson
/// score of these is that of the counts, tempered. The size is the entity's own over the stretch at which it is largest,
/// shrunk to its peers', and at least 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// The unit of the counts.
    pub(crate) metric: Metric,
    offsets: Vec<usize>,
    days: Vec<u32>,
    counts: Vec<f64>,
    expected: Vec<f64>,
    /// Of each entity, counts in a burst.
    bursts: Vec<f64>,
}

/// A day, what was counted on it, and what was expected.
pub(crate) type Day = (usize, f64, f64);

impl Part {
    /// A part of a view, in the order of its entities; of each its days, ascending.
    pub(crate) fn of(metric: Metric, entities: &[Vec<Day>]) -> Self {
        let bursts = bursts(entities);
        let mut part =
            Self { metric, offsets: vec![0], days: vec![], counts: vec![], expected: vec![], bursts };
        for (entity, burst) in entities.iter().zip(&part.bursts) {
            for (day, count, expected) in entity {
                part.days.push(*day as u32);
                part.counts.push(count / burst);
                part.expected.push(expected / burst);
            }
            part.offsets.push(part.days.len());
        }
        part
    }

    fn cells(&self, entity: usize) -> Range<usize> {
        self.offsets[entity]..self.offsets[entity + 1]
    }

    /// Counts in a burst of the entity.
    pub(crate) fn burst(&self, entity: usize) -> f64 {
        self.bursts[entity]
    }

    /// Writes the entity's counts and expectations by day, in bursts.
    pub(crate) fn fill(&self, entity: usize, counts: &mut [f64], expected: &mut [f64]) {
        counts.fill(0.0);
        expected.fill(0.0);
        for cell in self.cells(entity) {
            let day = self.days[cell] as usize;
            counts[day] = self.counts[cell];
            expected[day] = self.expected[cell];
        }
    }
}

/// Of each entity the size of its bursts.
fn bursts(entities: &[Vec<Day>]) -> Vec<f64> {
    let mut largest = vec![1.0; entities.len()];
    for stretch in STRETCHES {
        let own: Vec<Option<Burst>> = entities.par_iter().map(|days| burst(days, stretch)).collect();
        let measured = || own.iter().flatten();
        let pooled = measured().count() >= MIN_PEERS;
        let quantile = |items: &mut dyn Iterator<Item = (f64, f64)>, quantile: f64, otherwise: f64| {
            let mut items: Vec<(f64, f64)> = items.collect();
            if pooled { weighted_quantile(&mut items, quantile) } else { otherwise }
        };
        let sizes = || measured().map(|own| (own.size, 1.0));
        // What wanders by a share of itself makes large bursts of large counts.
        let share = |own: &Burst| ((own.size - 1.0) / own.mean, own.mean.min(MAX_WEIGHT));
        let typical = quantile(&mut sizes(), 0.5, 1.0);
        let cap = quantile(&mut sizes(), CAP_QUANTILE, f64::INFINITY);
        let shares = quantile(&mut measured().map(share), CAP_QUANTILE, f64::INFINITY);
        for (largest, own) in largest.iter_mut().zip(&own) {
            let own = own.unwrap_or(Burst { size: typical, mean: 0.0, stretches: 0.0 });
            let prior = if pooled { PRIOR_STRETCHES } else { 0.0 };
            let shrunk = (own.size * own.stretches + typical * prior) / (own.stretches + prior).max(1.0);
            *largest = f64::max(*largest, shrunk.min(cap.max(1.0 + shares * own.mean)));
        }
    }
    largest
}

/// How bursty an entity is over stretches of some length.
#[derive(Debug, Clone, Copy)]
struct Burst {
    /// Variance over mean.
    size: f64,
    mean: f64,
    stretches: f64,
}

/// Measures the counts of stretches of so many days; `None` of too few.
fn burst(days: &[Day], stretch: usize) -> Option<Burst> {
    let mut stretches = BTreeMap::<usize, (f64, f64)>::new();
    for (day, count, expected) in days {
        let sums = stretches.entry(day / stretch).or_default();
        *sums = (sums.0 + count, sums.1 + expected);
    }
    let (count, expected) = stretches.values().fold((0.0, 0.0), |all, sums| (all.0 + sums.0, all.1 + sums.1));
    if stretches.len() < 3 || count <= 0.0 || expected <= 0.0 {
        return None;
    }
    let level = count / expected;
    let mut stretches: Vec<(f64, f64)> = stretches.into_values().map(|(x, e)| (x, level * e)).collect();
    let residual = |(x, mean): &(f64, f64)| (x - mean) / mean.max(0.1).sqrt();
    stretches.sort_by(|a, b| residual(a).total_cmp(&residual(b)));
    stretches.truncate(stretches.len() - (TRIM * stretches.len() as f64) as usize);
    let squares: f64 = stretches.iter().map(|(x, mean)| (x - mean).powi(2)).sum();
    let mean: f64 = stretches.iter().map(|(_, mean)| mean).sum();
    let number = stretches.len() as f64;
    // One degree of freedom went into the level.
    let size = squares / mean * number / (number - 1.0);
    (mean > 0.0).then_some(Burst { size, mean: mean / number, stretches: number })
}

/// What is counted of each entity.
#[derive(Clone, Copy)]
pub(crate) enum Measure<'a> {
    /// Accesses.
    Events,
    /// Distinct subjects, given accesses.
    Subjects,
    /// Accesses of a key to one object, given those to its others.
    Share(&'a Shares<'a>),
    /// Misses or rows, given accesses; bytes, given rows.
    Given(Metric),
    /// A part of them, given what is expected of it.
    Part(&'a Part),
}

impl Measure<'_> {
    /// The unit.
    pub(crate) fn metric(self) -> Metric {
        match self {
            Self::Events | Self::Share(_) => Metric::Events,
            Self::Subjects => Metric::Subjects,
            Self::Given(metric) => metric,
            Self::Part(part) => part.metric,
        }
    }

    /// Whether the entity has what is counted.
    pub(crate) fn is_of(self, daily: &Daily<'_>, entity: usize, grid: &Grid) -> bool {
        match self {
            Self::Share(shares) => shares.is_part(daily, entity, grid),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_bursts_counts_as_so_many() {
        let of = |burst: usize| -> Vec<Day> {
            let count = |day: usize| if (day * 7919 / 13).is_multiple_of(burst) { burst as f64 } else { 0.0 };
            (0..280).map(|day| (day, count(day), 1.0)).collect()
        };
        let bursty = burst(&of(8), 1).map_or(0.0, |own| own.size);
        assert!((4.0..9.0).contains(&bursty), "{bursty}");
        let entities: Vec<Vec<Day>> = (0..20).map(|_| of(8)).collect();
        let part = Part::of(Metric::Events, &entities);
        let (mut counts, mut expected) = (vec![0.0; 280], vec![0.0; 280]);
        part.fill(3, &mut counts, &mut expected);
        let sum = |of: &[f64]| of.iter().sum::<f64>() * part.burst(3);
        let all: f64 = entities[3].iter().map(|day| day.1).sum();
        assert!((sum(&counts) - all).abs() < 1e-6 && (sum(&expected) - 280.0).abs() < 1e-6);
    }

    #[test]
    fn one_wild_entity_does_not_set_its_own_noise() {
        let calm = |day: usize| (day, if day.is_multiple_of(2) { 1.0 } else { 0.0 }, 0.5);
        let mut entities: Vec<Vec<Day>> = (0..20).map(|_| (0..280).map(calm).collect()).collect();
        entities[7][100..160].iter_mut().for_each(|day| day.1 += 30.0);
        let part = Part::of(Metric::Events, &entities);
        assert!(part.burst(7) < 1.5, "{}", part.burst(7));
    }
}
