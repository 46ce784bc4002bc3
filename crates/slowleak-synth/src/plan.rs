//! The whole log as numbers: how many honest and leaked records each hour has, and which hours go into
//! which file. Sums to the wanted number of records exactly.

use std::ops::Range;

use rayon::prelude::*;
use slowleak_record::Micros;

use crate::calendar::Calendar;
use crate::chance::Seed;
use crate::leak::{Leak, resolve};
use crate::phase::Volume;
use crate::scenario::{Files, Scenario};
use crate::world::{Stream, World};

/// Everything that is settled before the first record is drawn.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) calendar: Calendar,
    pub(crate) world: World,
    pub(crate) leaks: Vec<Leak>,
    /// Honest records by hour.
    pub(crate) honest: Vec<u64>,
    pub(crate) files: Vec<FilePlan>,
    pub(crate) region_names: Vec<String>,
    pub(crate) seed: Seed,
}

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePlan {
    /// Path below the log folder.
    pub(crate) path: String,
    pub(crate) hours: Range<usize>,
}

impl Plan {
    pub(crate) fn new(scenario: &Scenario, rows: u64, seed: u64) -> Self {
        let seed = Seed::new(seed);
        let calendar = Calendar::new(scenario, seed.child(1));
        let mut world = World::new(scenario, &calendar, seed.child(2));
        let mut leaks = resolve(scenario, &calendar, &mut world, seed.child(3));
        let weights = hour_weights(&calendar, &world, |_| true);
        let carried: Vec<Vec<f64>> =
            leaks.iter().map(|leak| carrier_weights(leak, &calendar, &world)).collect();
        let leaked = size_leaks(&mut leaks, &weights, &carried, &calendar, rows);
        let honest = apportion(&weights, rows - leaked);
        let files = cut(scenario.file.files, &calendar, rows);
        let population = &scenario.file.population;
        let region_names = std::iter::once(&population.home).chain(&population.abroad).cloned().collect();
        Self { region_names, calendar, world, leaks, honest, files, seed: seed.child(4) }
    }

    /// Records of an hour, honest and leaked.
    pub(crate) fn rows_in(&self, hour: usize) -> u64 {
        let leaked = self.leaks.iter().flat_map(|leak| &leak.phases).map(|phase| phase.count_in(hour));
        self.honest[hour] + leaked.sum::<u64>()
    }
}

/// Expected honest traffic of each hour by some of the streams, in any unit.
fn hour_weights(calendar: &Calendar, world: &World, some: impl Fn(&Stream) -> bool + Sync) -> Vec<f64> {
    let by_day: Vec<Vec<f64>> = (0..calendar.days())
        .into_par_iter()
        .map_init(Vec::new, |levels, day| {
            world.levels(day, calendar.weekday(day), levels);
            let mut sums = vec![0.0; world.seasons.len()];
            for (stream, &level) in world.streams.iter().zip(levels.iter()).filter(|(s, _)| some(s)) {
                sums[usize::from(stream.season)] += f64::from(level);
            }
            sums
        })
        .collect();
    let weight = |hour: usize| {
        let of_week = calendar.hour_of_week(hour);
        let seasons = world.seasons.iter().zip(&by_day[calendar.day(hour)]);
        let level = |(season, sum): (&crate::calendar::Season, &f64)| {
            sum * f64::from(season.hours[of_week]) * f64::from(calendar.factor(season.rhythm, hour))
        };
        seasons.map(level).sum::<f64>()
    };
    (0..calendar.hours).map(weight).collect()
}

/// Expected honest traffic of each hour by a leak's key or insider; empty where no phase needs to know.
fn carrier_weights(leak: &Leak, calendar: &Calendar, world: &World) -> Vec<f64> {
    if leak.phases.iter().any(|phase| matches!(phase.volume, Volume::Lift(_))) {
        hour_weights(calendar, world, |stream| leak.is_carried_by(stream))
    } else {
        Vec::new()
    }
}

/// Gives every phase its number of accesses; returns their sum, which is below `rows`.
///
/// With honest records `B`, phases by share `s` of the log in their interval, where a part `b` of the honest
/// traffic falls, have `B b s / (1 - s)` accesses, phases by lift that multiple of their carrier's part, and all
/// together must make `rows`.
fn size_leaks(
    leaks: &mut [Leak],
    weights: &[f64],
    carried: &[Vec<f64>],
    calendar: &Calendar,
    rows: u64,
) -> u64 {
    let total: f64 = weights.iter().sum();
    let part = |weights: &[f64], start: Micros, end: Micros| {
        let within = |hour: usize| {
            let first = calendar.hour_start(hour).0;
            let covered = (first + Micros::HOUR).min(end.0) - first.max(start.0);
            (covered.max(0) as f64 / Micros::HOUR as f64) * weights[hour]
        };
        (0..weights.len()).map(within).sum::<f64>() / total
    };
    let (mut factors, mut fixed) = (Vec::new(), 0);
    for (leak, carried) in leaks.iter().zip(carried) {
        for phase in &leak.phases {
            factors.push(match phase.volume {
                Volume::Share(share) => share / (1.0 - share) * part(weights, phase.start, phase.end),
                Volume::Lift(lift) => lift * part(carried, phase.start, phase.end),
                Volume::Accesses(accesses) => {
                    fixed += accesses;
                    0.0
                }
            });
        }
    }
    let honest = rows.saturating_sub(fixed) as f64 / (1.0 + factors.iter().sum::<f64>());
    let mut left = rows;
    for (phase, factor) in leaks.iter_mut().flat_map(|leak| &mut leak.phases).zip(factors) {
        let wanted = match phase.volume {
            Volume::Share(_) | Volume::Lift(_) => (honest * factor).round() as u64,
            Volume::Accesses(accesses) => accesses,
        };
        let count = wanted.min(left);
        phase.spread(count);
        left -= count;
    }
    rows - left
}

/// Splits `rows` in proportion to `weights` by rounding the running sum, so that nothing is lost.
fn apportion(weights: &[f64], rows: u64) -> Vec<u64> {
    let total: f64 = weights.iter().sum();
    let (mut sum, mut before) = (0.0, 0);
    let mut counts = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        sum += weight;
        let last = index + 1 == weights.len();
        let until = if last { rows } else { ((sum / total * rows as f64).round() as u64).min(rows) };
        counts.push(until.saturating_sub(before));
        before = before.max(until);
    }
    counts
}

/// Records a day from which a file a day is worth its footer.
const DAILY_FROM: u64 = 10_000;
/// Records that one file may hold, about.
const FILE_ROWS: u64 = 8_000_000;

fn cut(files: Files, calendar: &Calendar, rows: u64) -> Vec<FilePlan> {
    let days = (calendar.hours / 24) as u64;
    let a_day = rows / days.max(1);
    let weekly = match files {
        Files::Auto => a_day < DAILY_FROM,
        Files::Daily => false,
        Files::Weekly => true,
    };
    let step = if weekly { 7 * 24 } else { 24 };
    let parts = (a_day / FILE_ROWS + 1).min(24) as usize;
    let mut plans = Vec::new();
    for first in (0..calendar.hours).step_by(step) {
        let end = (first + step).min(calendar.hours);
        let date = calendar.hour_start(first).timestamp().strftime("%Y-%m-%d").to_string();
        let parts = if weekly { 1 } else { parts };
        for part in 0..parts {
            let length = end - first;
            let hours = first + length * part / parts..first + length * (part + 1) / parts;
            plans.push(FilePlan { path: format!("date={date}/part-{part}.parquet"), hours });
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn apportioning_loses_nothing(weights in prop::collection::vec(0.001_f64..10.0, 1..200), rows in 0_u64..100_000) {
            let counts = apportion(&weights, rows);
            prop_assert_eq!(counts.iter().sum::<u64>(), rows);
            let total: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!((*count as f64 - weight / total * rows as f64).abs() <= 1.0 + 1e-6);
            }
        }
    }
}
