//! Whether records or people are missing. In: the hours of the largest keys and objects. Out: how unevenly these have lost
//! in a stretch, against how unevenly an ordinary stretch of the same hours is spread.
//!
//! Files that are lost and records that are thinned take from all alike. People who stay away do not: offices close and
//! services run on, one table is left alone and another is not.

use std::ops::Range;

use slowleak_record::{Field, Window};
use slowleak_rollup::{DayTable, Lookup, Metric, View};

use crate::days::Log;
use crate::gap::hours::{WEEK, WEEKS, median, position};

/// Views that are asked, each by its hours.
const ASKED: [Field; 2] = [Field::Key, Field::Object];
/// Entities that are asked of a view, the largest.
const MOST: usize = 128;
/// Entities that must be left with...
const LEAST: usize = 8;
/// ...so many records each that are expected in a stretch.
const LEAST_EVENTS: f64 = 5.0;
/// Standard deviations above what is expected that are still even.
const ALLOWED: f64 = 2.0;
/// Standard deviation over the median deviation from the median, of a normal distribution.
const DEVIATION_OF_MEDIAN: f64 = 1.4826;
/// Ordinary weeks that there must be.
const LEAST_WEEKS: usize = 3;

/// See the module.
pub(crate) struct Mix {
    /// Of each view, for each of its entities, the records before each hour.
    views: Vec<Vec<Vec<f64>>>,
    hours: usize,
}

impl Mix {
    /// Reads the largest entities, in one pass over each view.
    ///
    /// # Errors
    /// The cells of a view can not be read.
    pub(crate) fn read<L: Lookup>(log: &Log<'_>, rollup: &L) -> Result<Self, L::Error> {
        let hours = log.grid.days() * 24;
        let mut views = Vec::new();
        for field in ASKED {
            let Some(daily) =
                log.slices.view(&[field]).filter(|daily| daily.table.view.window <= Window::HOUR)
            else {
                continue;
            };
            let table: &DayTable = daily.table;
            let mut largest: Vec<usize> = (0..daily.len()).collect();
            let totals: Vec<f64> = largest.iter().map(|entity| daily.total(*entity)).collect();
            largest.sort_by(|a, b| totals[*b].total_cmp(&totals[*a]).then(a.cmp(b)));
            largest.truncate(MOST);
            largest.sort_unstable();
            let names: Vec<&str> = largest.iter().map(|entity| &*table.entities[*entity]).collect();
            let view = View::new(table.view.dimension.clone(), table.view.window, [Metric::Events]);
            let mut sums = Vec::new();
            rollup.each(&view, &names, &mut |cells| {
                for (entity, name) in cells.entities.iter().enumerate() {
                    if names.binary_search(&name.as_str()).is_err() {
                        continue;
                    }
                    let mut counts = vec![0.0; hours + 1];
                    for cell in cells.cells(entity) {
                        if let Some(hour) = position(log.grid, cells.windows[cell]) {
                            counts[hour + 1] += cells.count(Metric::Events)[cell] as f64;
                        }
                    }
                    let mut sum = 0.0;
                    counts.iter_mut().for_each(|count| {
                        sum += *count;
                        *count = sum;
                    });
                    sums.push(counts);
                }
            })?;
            views.push(sums);
        }
        Ok(Self { views, hours })
    }

    /// Whether a stretch has lost as evenly as only records do, over all views (by the mean logarithm of the ratio). `None`
    /// where nothing can be told.
    pub(crate) fn is_even(&self, stretch: &Range<usize>) -> Option<bool> {
        let told: Vec<f64> = self.views.iter().filter_map(|view| self.unevenness(view, stretch)).collect();
        (!told.is_empty()).then(|| told.iter().sum::<f64>() <= 0.0)
    }

    /// Logarithm of the stretch's index of dispersion over the largest that records taken out at random leave.
    ///
    /// Of counts with index `d` chance leaves a share `r` with index `r d + 1 - r` (binomial thinning: the variance is
    /// `r^2 d m + r (1 - r) m` of a mean of `r m`). `d` is the median of the ordinary weeks, and two deviations are
    /// allowed: as ordinary weeks scatter, and no less than an index of so many entities does by chance.
    fn unevenness(&self, view: &[Vec<f64>], stretch: &Range<usize>) -> Option<f64> {
        let shifted = |weeks: usize, later: bool| {
            let start =
                if later { stretch.start + weeks * WEEK } else { stretch.start.checked_sub(weeks * WEEK)? };
            (start + stretch.len() <= self.hours).then(|| start..start + stretch.len())
        };
        let weeks = (1..=WEEKS).flat_map(|weeks| [shifted(weeks, false), shifted(weeks, true)]).flatten();
        let counts = |hours: &Range<usize>| -> Vec<f64> {
            view.iter().map(|sums| sums[hours.end] - sums[hours.start]).collect()
        };
        let weeks: Vec<Vec<f64>> = weeks.map(|hours| counts(&hours)).collect();
        if weeks.len() < LEAST_WEEKS {
            return None;
        }
        let all: Vec<&Vec<f64>> = weeks.iter().collect();
        let own = dispersion(&counts(stretch), &all)?;
        let ordinary = (0..weeks.len()).filter_map(|week| {
            let others: Vec<&Vec<f64>> = weeks[..week].iter().chain(&weeks[week + 1..]).collect();
            Some(dispersion(&weeks[week], &others)?.index)
        });
        let mut ordinary: Vec<f64> = ordinary.collect();
        let usual = median(&mut ordinary);
        let apart = &mut ordinary.iter().map(|index| (index - usual).abs()).collect::<Vec<f64>>();
        let scatter = DEVIATION_OF_MEDIAN * median(apart);
        let left = own.share.min(1.0);
        let thinned = left * usual + 1.0 - left;
        let by_chance = thinned * (2.0 / (own.entities as f64 - 1.0)).sqrt();
        let largest = thinned + ALLOWED * by_chance.max(left * scatter);
        (own.index > 0.0 && largest > 0.0).then(|| (own.index / largest).ln())
    }
}

/// How counts are spread about a common share of what they usually are.
struct Dispersion {
    /// One where only chance divides them.
    index: f64,
    /// What is left in all of what is usual.
    share: f64,
    entities: usize,
}

/// The index of dispersion of counts about a common share of the means of other weeks.
fn dispersion(counts: &[f64], others: &[&Vec<f64>]) -> Option<Dispersion> {
    let mean = |entity: usize| others.iter().map(|week| week[entity]).sum::<f64>() / others.len() as f64;
    let pairs = counts.iter().enumerate().map(|(entity, count)| (*count, mean(entity)));
    let pairs: Vec<(f64, f64)> = pairs.filter(|(_, mean)| *mean >= LEAST_EVENTS).collect();
    let share = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.iter().map(|pair| pair.1).sum::<f64>();
    if pairs.len() < LEAST || share <= 0.0 {
        return None;
    }
    let squares = pairs.iter().map(|(count, mean)| (count - share * mean).powi(2) / (share * mean));
    let index = squares.sum::<f64>() / (pairs.len() - 1) as f64;
    Some(Dispersion { index, share, entities: pairs.len() })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn what_all_lose_alike_is_even_and_what_some_lose_is_not() {
        // Twenty entities over nine weeks, whose hours differ by some per cent from week to week.
        let view: Vec<Vec<f64>> = (0..20)
            .map(|entity| {
                let count = |hour: usize| {
                    let wobble = ((entity * 7 + hour / WEEK * 5) % 11) as f64 - 5.0;
                    let lost = match hour {
                        700..706 => 0.6,
                        800..806 if entity % 2 == 0 => 0.2,
                        _ => 1.0,
                    };
                    100.0 * (1.0 + 0.03 * wobble) * lost
                };
                let mut sums = vec![0.0];
                (0..9 * WEEK).for_each(|hour| sums.push(sums[hour] + count(hour)));
                sums
            })
            .collect();
        let mix = Mix { views: vec![view], hours: 9 * WEEK };
        assert_eq!((mix.is_even(&(700..706)), mix.is_even(&(800..806))), (Some(true), Some(false)));
        assert_eq!(Mix { views: Vec::new(), hours: 9 * WEEK }.is_even(&(700..706)), None);
    }

    /// Keys that are steadier than chance, noisier, and as chance would have them: a part taken out at random is even.
    #[test]
    fn a_part_taken_out_at_random_is_even_however_calm_the_log() {
        for noise in [0.0_f64, 0.1, 0.5] {
            let mut even = 0;
            for seed in 0..40 {
                let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
                let view: Vec<Vec<f64>> = (0..40)
                    .map(|_| {
                        let mut sums = vec![0.0];
                        for hour in 0..9 * WEEK {
                            let level = 30.0 * (1.0 + noise * rng.random_range(-1.0..1.0));
                            let left = if (700..706).contains(&hour) { 0.6 } else { 1.0 };
                            let kept = (0..level as usize).filter(|_| rng.random_bool(left)).count();
                            sums.push(sums[hour] + kept as f64);
                        }
                        sums
                    })
                    .collect();
                let mix = Mix { views: vec![view], hours: 9 * WEEK };
                even += usize::from(mix.is_even(&(700..706)) == Some(true));
            }
            // Two deviations are one in forty, of an index whose usual value is itself read off eight weeks.
            assert!(even >= 34, "noise {noise}: {even} of 40");
        }
    }
}
