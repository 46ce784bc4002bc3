//! Bursts: stretches of minutes to half a day in which an entity did far more than the rest of its day, and the weeks
//! around, lead to expect. The day grid of `rate` can not see them: they are lost in the day's noise.
//!
//! In: the stored cells of the finest view of keys and of users, if its windows divide the hour; read in passes, a
//! row group in memory at a time. Out: candidates with exact edges. The expectation of a stretch is that of its hours of
//! the week (`clock`, `peers`) at the level of the rest of its day, or of the weeks around if that is more (`series`); it
//! scatters as the entity does (`noise`); every stretch is scored (`scan`), and the best scores of all entities of the view
//! say what a score is worth (`family`, `rate/calibrate.rs`).

pub(crate) mod clock;
mod family;
mod noise;
mod peers;
mod scan;
mod series;

use slowleak_record::Field;
use slowleak_rollup::{Lookup, Metric};

use crate::burst::family::{Family, Found};
use crate::candidate::Candidate;
use crate::days::{Log, parts};
use crate::finding::Detector;

/// Dimensions whose series are tested. Objects are not: a table that few people read bursts with each of their sessions
/// (one leak-free log in eight had such a finding), and who drains it bursts, too.
const TESTED: [&[Field]; 2] = [&[Field::Key], &[Field::User]];

/// The bursts of a run.
pub(crate) struct Bursts<'a> {
    log: Log<'a>,
    families: Vec<Family<'a>>,
}

impl<'a> Bursts<'a> {
    /// Searches every view that is tested.
    ///
    /// # Errors
    /// The cells of a view can not be read.
    pub(crate) fn run<L: Lookup>(log: Log<'a>, rollup: &L) -> Result<Self, L::Error> {
        let tested = log.dailies.iter().filter(|daily| TESTED.contains(&daily.table.view.dimension.parts()));
        let families: Result<Vec<_>, _> = tested.map(|daily| Family::run(daily, &log, rollup)).collect();
        Ok(Self { log, families: families?.into_iter().flatten().collect() })
    }

    /// How many tails of scores there are, over which error control is shared.
    pub(crate) fn tails(&self) -> usize {
        self.families.iter().map(|family| family.bands().count()).sum()
    }

    /// Every burst that error control lets through, among `tails` of all detectors.
    pub(crate) fn candidates(&self, tails: usize) -> Vec<Candidate> {
        let of_family = |family: &Family<'a>| {
            let reported = |found: &Found| {
                let odds = family.expected_false(found, tails as f64)?;
                (odds <= self.log.config.max_expected_false).then(|| self.candidate(family, found, odds))?
            };
            family.found.iter().filter_map(reported).collect::<Vec<_>>()
        };
        self.families.iter().flat_map(of_family).collect()
    }

    fn candidate(&self, family: &Family<'_>, found: &Found, odds: f64) -> Option<Candidate> {
        let grid = self.log.grid;
        let dimension = family.daily.table.view.dimension.clone();
        let entity = family.daily.table.entities[found.entity].clone();
        let who = parts(&dimension, &entity);
        let burst = &found.burst;
        let (start, end) = (family.clock.time(burst.windows.start), family.clock.time(burst.windows.end));
        let hour = family.clock.hour(burst.windows.start);
        let days = hour / 24..family.clock.hour(burst.windows.end - 1) / 24 + 1;
        let mut events = vec![0.0; grid.days()];
        family.daily.fill_events(found.entity, &mut events);
        let tail = &family.tails[burst.band as usize];
        Some(Candidate {
            detector: Detector::Burst,
            dimension,
            entity,
            who,
            metric: Metric::Events,
            anchor: days.start,
            days,
            observed: burst.observed,
            expected: burst.expected,
            excess_events: burst.observed - burst.expected,
            level_per_day: found.level_per_day,
            dispersion: burst.dispersion,
            raw_score: burst.score,
            score: tail.calibrated(found.score)?,
            expected_false: Some(odds),
            cause: found.cause.clone(),
            fact: None,
            seen: None,
            partner: None,
            edges: Some((start, end.min(grid.end()))),
            timeline: events.into_iter().zip(found.expected_by_day.iter().copied()).collect(),
        })
    }
}
