//! Simulated entities with known noise, alone and in companies of keys and users.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Gamma, Normal, Poisson};
use rand_pcg::Pcg64Mcg;
use slowleak_detect::{DetectConfig, Detection};
use slowleak_record::{Micros, Registry, Window};
use slowleak_rollup::{DayTable, Metric, Rollup, Table};

pub(crate) const DAYS: usize = 180;

/// Daily counts of an entity, by day of the log.
pub(crate) type Daily = Vec<f64>;

/// What a simulated view is like.
pub(crate) struct World {
    pub(crate) entities: usize,
    /// Coefficient of variation of an entity's own day.
    pub(crate) noise: f64,
    /// Correlation of one day's noise with the next's.
    pub(crate) memory: f64,
}

pub(crate) fn gauss(rng: &mut Pcg64Mcg) -> f64 {
    Normal::new(0.0, 1.0).unwrap().sample(rng)
}

pub(crate) fn poisson(rng: &mut Pcg64Mcg, mean: f64) -> f64 {
    if mean <= 0.0 { 0.0 } else { Poisson::new(mean).unwrap().sample(rng) }
}

/// Log-normal AR(1) factor, mean about one.
pub(crate) fn wander(rng: &mut Pcg64Mcg, spread: f64, memory: f64) -> Vec<f64> {
    let mut state = gauss(rng);
    (0..DAYS)
        .map(|_| {
            state = memory * state + (1.0 - memory * memory).sqrt() * gauss(rng);
            (spread * state - spread * spread / 2.0).exp()
        })
        .collect()
}

impl World {
    pub(crate) fn simulate(&self, seed: u64) -> Vec<Daily> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let common = wander(&mut rng, 0.1, 0.5);
        (0..self.entities)
            .map(|_| {
                let level = Gamma::new(0.7, 150.0).unwrap().sample(&mut rng) + 2.0;
                let weekend = rng.random_range(0.1..1.0);
                let own = wander(&mut rng, self.noise, self.memory);
                (0..DAYS)
                    .map(|day| {
                        let week = if day % 7 >= 5 { weekend } else { 1.0 };
                        poisson(&mut rng, level * week * own[day] * common[day])
                    })
                    .collect()
            })
            .collect()
    }
}

pub(crate) fn name(entity: usize) -> String {
    format!("k{entity:05}")
}

pub(crate) fn start() -> Micros {
    "2025-03-01".parse().unwrap()
}

pub(crate) fn day(day: usize) -> Micros {
    Micros(start().0 + day as i64 * Micros::DAY)
}

/// A view without a cell.
pub(crate) fn empty(view: &str) -> Table {
    Table {
        view: view.parse().unwrap(),
        entities: Vec::new(),
        offsets: vec![0],
        windows: Vec::new(),
        counts: Default::default(),
        sketches: Default::default(),
    }
}

pub(crate) fn rollup(view: &str, series: &[(String, Daily)]) -> Table {
    let mut table = empty(view);
    for (entity, counts) in series {
        table.entities.push(entity.clone());
        for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            table.windows.push(day(index));
            table.counts[Metric::Events as usize].push(*count as i64);
        }
        table.offsets.push(table.windows.len());
    }
    assert_eq!(table.view.window, Window::DAY);
    table
}

pub(crate) fn keys(series: Vec<Daily>) -> Rollup {
    let named: Vec<(String, Daily)> = series.into_iter().enumerate().map(|(i, s)| (name(i), s)).collect();
    Rollup { tables: vec![rollup("key@1d:events", &named)] }
}

pub(crate) fn detect(rollup: &Rollup, registry: &Registry) -> Detection {
    let days: Vec<DayTable> = rollup.tables.iter().map(DayTable::of).collect();
    let Ok(detection) = slowleak_detect::detect(&days, rollup, registry, &DetectConfig::default());
    detection
}

pub(crate) fn run(rollup: &Rollup) -> Vec<slowleak_detect::Finding> {
    detect(rollup, &Registry::default()).findings
}

/// Adds `share` of the mean to the days of the leak.
pub(crate) fn leak(series: &mut Daily, days: std::ops::Range<usize>, share: f64, rng: &mut Pcg64Mcg) {
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    for day in days {
        series[day] += poisson(rng, share * mean);
    }
}

/// A world of keys with two users each, as views by key, by user and by both. `change` edits the daily
/// counts of the pairs, given as (key, user, counts).
pub(crate) fn company(
    seed: u64,
    change: impl Fn(&mut Vec<(String, String, Daily)>, &mut Pcg64Mcg),
) -> Rollup {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let series = World { entities: 120, noise: 0.1, memory: 0.4 }.simulate(seed);
    let mut pairs: Vec<(String, String, Daily)> =
        series.into_iter().enumerate().map(|(i, counts)| (name(i / 2), format!("u{i:03}"), counts)).collect();
    change(&mut pairs, &mut rng);
    let by = |of: &dyn Fn(&(String, String, Daily)) -> String| {
        let mut sums = std::collections::BTreeMap::<String, Daily>::new();
        for pair in &pairs {
            let sum = sums.entry(of(pair)).or_insert_with(|| vec![0.0; DAYS]);
            sum.iter_mut().zip(&pair.2).for_each(|(sum, count)| *sum += count);
        }
        sums.into_iter().collect::<Vec<_>>()
    };
    Rollup {
        tables: vec![
            rollup("key@1d:events", &by(&|pair| pair.0.clone())),
            rollup("user@1d:events", &by(&|pair| pair.1.clone())),
            rollup("key+user@1d:events", &by(&|pair| format!("{} + {}", pair.0, pair.1))),
        ],
    }
}

pub(crate) fn busy(rng: &mut Pcg64Mcg, days: std::ops::Range<usize>, rate: f64) -> Daily {
    (0..DAYS).map(|day| if days.contains(&day) { poisson(rng, rate) } else { 0.0 }).collect()
}
