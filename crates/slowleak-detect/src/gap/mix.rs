//! Whether records or people are missing. In: the hours of the largest keys and objects. Out: how unevenly these have lost
//! in a stretch, against how unevenly an ordinary stretch of the same hours is spread.
//!
//! Files that are lost and records that are thinned take from all alike. People who stay away do not: offices close and
//! services run on, one table is left alone and another is not.

use std::ops::Range;

use slowleak_record::{Field, Window};
use slowleak_rollup::{DayTable, Lookup, Metric, View};

use crate::days::Log;
use crate::gap::hours::{WEEK, WEEKS, median};

/// Views that are asked, each by its hours.
const ASKED: [Field; 2] = [Field::Key, Field::Object];
/// Entities that are asked of a view, the largest.
const MOST: usize = 128;
/// Entities that must be left with...
const LEAST: usize = 8;
/// ...so many records each that are expected in a stretch.
const LEAST_EVENTS: f64 = 5.0;
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
                        let time = cells.windows[cell];
                        if let Some(day) = log.grid.day(time) {
                            let hour = (time.0 - log.grid.start(day).0) / slowleak_record::Micros::HOUR;
                            counts[day * 24 + hour as usize + 1] += cells.count(Metric::Events)[cell] as f64;
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

    /// Whether a stretch has lost as evenly as only records do: no more unevenly than half of the ordinary weeks around are
    /// spread, over all views (by the mean logarithm of the ratio). `None` where nothing can be told.
    pub(crate) fn is_even(&self, stretch: &Range<usize>) -> Option<bool> {
        let told: Vec<f64> = self.views.iter().filter_map(|view| self.unevenness(view, stretch)).collect();
        (!told.is_empty()).then(|| told.iter().sum::<f64>() <= 0.0)
    }

    /// Logarithm of the stretch's index of dispersion over that of the usual week.
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
        let usual = (0..weeks.len()).filter_map(|week| {
            let others: Vec<&Vec<f64>> = weeks[..week].iter().chain(&weeks[week + 1..]).collect();
            dispersion(&weeks[week], &others)
        });
        let usual = median(&mut usual.collect::<Vec<_>>());
        (own > 0.0 && usual > 0.0).then(|| (own / usual).ln())
    }
}

/// Index of dispersion of counts about a common share of the means of other weeks; one where only chance divides them.
fn dispersion(counts: &[f64], others: &[&Vec<f64>]) -> Option<f64> {
    let mean = |entity: usize| others.iter().map(|week| week[entity]).sum::<f64>() / others.len() as f64;
    let pairs = counts.iter().enumerate().map(|(entity, count)| (*count, mean(entity)));
    let pairs: Vec<(f64, f64)> = pairs.filter(|(_, mean)| *mean >= LEAST_EVENTS).collect();
    let share = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.iter().map(|pair| pair.1).sum::<f64>();
    if pairs.len() < LEAST || share <= 0.0 {
        return None;
    }
    let squares = pairs.iter().map(|(count, mean)| (count - share * mean).powi(2) / (share * mean));
    Some(squares.sum::<f64>() / (pairs.len() - 1) as f64)
}

#[cfg(test)]
mod tests {
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
}
