//! A slice of a key against its siblings: how many of the key's accesses go to one object.
//!
//! In: the days of a view by key and object, and of the view by key. Out, for every slice and day: what the key did on
//! all its other objects, times how much more or less than usual of such traffic went to this object at other keys.
//! A level times that is what the slice should be: the odds of the object given the key are constant. Whatever moves all
//! of a key's work, be it a season, a busy week, growth or a customer more, cancels: the shares of a key scatter a hundred
//! times less than its volume. (Differences in differences, in logarithms: key by object by day less both margins.)

use std::collections::BTreeMap;

use rayon::prelude::*;
use slowleak_record::Field;

use crate::days::Log;
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::rate::is_by;
use crate::rate::peers::weighted_quantile;

/// A slice that is more than half of its key on all but this share of the days is the key: what is left says little about
/// what to expect. A leak may make it so on three quarters of them.
const SMALLER_DAYS: f64 = 0.2;
/// A slice with fewer events a day scatters by counting alone, nearly, whatever it is compared with: its volume says as
/// much.
const MIN_RATE: f64 = 5.0;
/// Fewest keys that can tell what befell an object from what befell one of them.
const MIN_PEERS: usize = 8;
/// Days on either side of a day that its object factor is taken from: what befalls an object, such as a release,
/// lasts.
const REACH: usize = 3;
/// An expected count weighs up to this much in the median over keys.
const MAX_WEIGHT: f64 = 100.0;
/// The object factor explains at most this much, either way.
const FACTOR_RANGE: (f64, f64) = (0.3, 3.0);
/// Variance of a median of normal values, relative to that of their mean.
const MEDIAN_VARIANCE: f64 = std::f64::consts::FRAC_PI_2;

/// The siblings of every slice of a view.
pub(crate) struct Shares<'a> {
    whole: &'a Daily<'a>,
    /// The view by key and object.
    pub(crate) slices: &'a Daily<'a>,
    /// Per slice: its key in `whole` and its object in `factors`; `None` where the key is unknown.
    of: Vec<Option<(usize, usize)>>,
    /// Per object and day.
    factors: Vec<Vec<f64>>,
}

impl<'a> Shares<'a> {
    /// Learns, from all slices of keys by object, what befell each object; `None` where no view has them, or none has keys.
    pub(crate) fn of(log: &Log<'a>) -> Option<Self> {
        let by = |parts: &[Field]| log.dailies.iter().find(|daily| is_by(daily, parts));
        Self::learn(by(&[Field::Key, Field::Object])?, by(&[Field::Key])?, log.grid)
    }

    fn learn(daily: &'a Daily<'a>, whole: &'a Daily<'a>, grid: &Grid) -> Option<Self> {
        let dimension = &daily.table.view.dimension;
        let place = |field: Field| dimension.parts().iter().position(|part| *part == field);
        let (key, object) = (place(Field::Key)?, place(Field::Object)?);
        let mut objects: BTreeMap<String, usize> = BTreeMap::new();
        let mut slices: Vec<Vec<usize>> = Vec::new();
        let mut of = Vec::with_capacity(daily.len());
        for (slice, name) in daily.table.entities.iter().enumerate() {
            let values = dimension.split(name);
            let known = values.get(key).and_then(|key| whole.find(key)).zip(values.get(object));
            of.push(known.map(|(key, object)| {
                let object = *objects.entry(object.clone()).or_insert_with(|| {
                    slices.push(Vec::new());
                    slices.len() - 1
                });
                slices[object].push(slice);
                (key, object)
            }));
        }
        let mut shares = Self { whole, slices: daily, of, factors: Vec::new() };
        shares.factors = slices.par_iter().map(|slices| shares.factor(daily, slices, grid)).collect();
        Some(shares)
    }

    /// Whether the slice is a part of its key, not most of it, and not too small.
    pub(crate) fn is_part(&self, daily: &Daily<'_>, slice: usize, grid: &Grid) -> bool {
        if daily.total(slice) < MIN_RATE * grid.days() as f64 {
            return false;
        }
        let mut events = vec![0.0; grid.days()];
        daily.fill_events(slice, &mut events);
        let siblings = self.siblings(slice, &events);
        let active = || events.iter().zip(&siblings).filter(|(own, _)| **own > 0.0);
        let smaller = active().filter(|(own, siblings)| own <= siblings).count() as f64;
        smaller >= SMALLER_DAYS * active().count().max(1) as f64
    }

    /// By day, what the slice's key did elsewhere, times the object's factor. `events` are the slice's own.
    pub(crate) fn pattern(&self, slice: usize, events: &[f64]) -> Vec<f64> {
        let Some((_, object)) = self.of[slice] else { return vec![0.0; events.len()] };
        let factor = &self.factors[object];
        let mut pattern = self.siblings(slice, events);
        pattern.iter_mut().zip(factor).for_each(|(siblings, factor)| *siblings *= factor);
        pattern
    }

    /// By day, what the slice's key did on other objects.
    fn siblings(&self, slice: usize, events: &[f64]) -> Vec<f64> {
        let mut siblings = vec![0.0; events.len()];
        if let Some((key, _)) = self.of[slice] {
            self.whole.fill_events(key, &mut siblings);
        }
        siblings.iter_mut().zip(events).for_each(|(all, own)| *all = (*all - own).max(0.0));
        siblings
    }

    /// How much more than usual of the keys' traffic went to the object that these are the slices of, around each day:
    /// the weighted median over keys, which no single key moves, shrunk to one by as much of its scatter as counting
    /// explains.
    fn factor(&self, daily: &Daily<'_>, slices: &[usize], grid: &Grid) -> Vec<f64> {
        let days = grid.days();
        if slices.len() < MIN_PEERS {
            return vec![1.0; days];
        }
        let mut of_day: Vec<Vec<(f64, f64)>> = vec![Vec::new(); days];
        let mut events = vec![0.0; days];
        for &slice in slices {
            daily.fill_events(slice, &mut events);
            let siblings = self.siblings(slice, &events);
            let total: f64 = siblings.iter().sum();
            if total <= 0.0 {
                continue;
            }
            let share = events.iter().sum::<f64>() / total;
            for (day, of_day) in of_day.iter_mut().enumerate() {
                let around = day.saturating_sub(REACH)..(day + REACH + 1).min(days);
                let expected = share * siblings[around.clone()].iter().sum::<f64>();
                if expected >= 1.0 {
                    of_day.push((events[around].iter().sum::<f64>() / expected, expected.min(MAX_WEIGHT)));
                }
            }
        }
        // Logarithm of the median, and the variance that counting gives it.
        let medians: Vec<Option<(f64, f64)>> = of_day
            .iter_mut()
            .map(|ratios| {
                let weight: f64 = ratios.iter().map(|(_, weight)| weight).sum();
                (ratios.len() >= MIN_PEERS).then(|| {
                    let median = weighted_quantile(ratios, 0.5).clamp(FACTOR_RANGE.0, FACTOR_RANGE.1);
                    (median.ln(), MEDIAN_VARIANCE / weight)
                })
            })
            .collect();
        let known = || medians.iter().flatten();
        let count = known().count() as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| known().map(of).sum::<f64>() / count.max(1.0);
        let centre = mean(&|(log, _)| *log);
        let (scatter, counting) =
            (mean(&|(log, _)| (log - centre).powi(2)), mean(&|(_, variance)| *variance));
        let kept = if scatter > 0.0 { (1.0 - counting / scatter).max(0.0) } else { 0.0 };
        let factor =
            |median: &Option<(f64, f64)>| median.map_or(1.0, |(log, _)| (kept * (log - centre)).exp());
        medians.iter().map(factor).collect()
    }
}
