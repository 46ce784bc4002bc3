//! Reconnaissance: within days, many objects that the key or user has never used before.
//!
//! Who has a credential and not the map looks around before taking anything: lists, opens, goes on. In: views of whom and
//! object, by whatever window. Out: for each entity the days in which it used most objects for the first time, against
//! what its accesses so far lead to expect ([`hazard`]), as far as these are not the beginning of work or common to many
//! ([`firsts`]); they go into the finding of the leak that follows ([`crate::leak::evidence`]).
//!
//! One question an entity, step and length is asked, and its scores are calibrated on the best score of every entity, as
//! those of rates are.

mod firsts;
pub(crate) mod hazard;

use std::ops::Range;

use rayon::prelude::*;
use slowleak_record::{Field, Micros};
use slowleak_rollup::{Dimension, Lookup, Metric, View};

use crate::candidate::Candidate;
use crate::days::{Log, parts};
use crate::finding::{Detector, Family as Examined};
use crate::leak::wording::listed;
use crate::rate::calibrate::Tail;
use crate::reconnaissance::firsts::{First, Firsts, Visitor};
use crate::reconnaissance::hazard::{Expected, Hazard};

/// Who looks around.
const WHO: [Field; 2] = [Field::Key, Field::User];
/// Days that looking around takes, at most; of longer windows it is one.
const LENGTHS: [usize; 3] = [1, 3, 7];
/// Fewest objects that are many.
const MIN_OBJECTS: f64 = 5.0;
/// A leak follows within so many days.
const FOLLOWS_DAYS: usize = 28;

/// The first uses of a log.
pub(crate) struct Reconnaissance<'a> {
    log: Log<'a>,
    cohorts: Vec<Cohort<'a>>,
}

/// All entities of one view.
struct Cohort<'a> {
    field: Field,
    firsts: Firsts<'a>,
    hazard: Hazard,
    /// Of each entity the days that stand out most; `None` where it did too little.
    best: Vec<Option<Visit>>,
    tail: Tail,
}

/// Some steps of an entity.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Visit {
    /// First step and the one after the last.
    from: usize,
    to: usize,
    objects: f64,
    expected: Expected,
    score: f64,
}

impl<'a> Reconnaissance<'a> {
    /// Looks at every entity of the views that tell objects.
    pub(crate) fn run(log: Log<'a>) -> Self {
        let cohorts = WHO.into_iter().filter_map(|field| Cohort::of(field, &log)).collect();
        Self { log, cohorts }
    }

    /// How many tails of scores there are.
    pub(crate) fn tails(&self) -> usize {
        self.cohorts.len()
    }

    /// What was examined.
    pub(crate) fn examined(&self) -> Vec<Examined> {
        let of = |cohort: &Cohort<'_>| Examined {
            dimension: cohort.firsts.pairs.table.view.dimension.clone(),
            metric: Metric::NewObjects,
            entities: cohort.best.len() as u64,
            tested: cohort.best.iter().flatten().count() as u64,
            tail_scale: cohort.tail.scale,
        };
        self.cohorts.iter().map(of).collect()
    }

    /// Every entity that error control lets through, among `tails` of all detectors.
    ///
    /// # Errors
    /// The cells of such an entity can not be had.
    pub(crate) fn candidates<L: Lookup>(&self, rollup: &L, tails: usize) -> Result<Vec<Candidate>, L::Error> {
        let mut candidates = Vec::new();
        for cohort in &self.cohorts {
            for (visitor, visit) in cohort.firsts.visitors.iter().zip(&cohort.best) {
                let Some(visit) = visit.filter(|visit| visit.objects >= MIN_OBJECTS) else { continue };
                let odds = |score: f64| cohort.expected_false(score, tails as f64);
                let let_through =
                    |score: f64| odds(score).is_some_and(|odds| odds <= self.log.config.max_expected_false);
                if !let_through(visit.score) {
                    continue;
                }
                let new: Vec<&First> = cohort
                    .counted(visitor, &visit)
                    .filter(|first| !self.is_known(cohort, visitor, first))
                    .collect();
                let objects = new.len() as f64;
                let visit = Visit { objects, score: visit.score.min(visit.expected.nats(objects)), ..visit };
                if objects >= MIN_OBJECTS && let_through(visit.score) {
                    let odds = odds(visit.score).unwrap_or(1.0);
                    candidates.push(self.candidate(cohort, visitor, visit, &new, odds, rollup)?);
                }
            }
        }
        Ok(candidates)
    }

    /// Whether somebody who then used the key and the object had used that before: whoever came over from another key brought it.
    fn is_known(&self, cohort: &Cohort<'a>, key: &Visitor, first: &First) -> bool {
        if cohort.field != Field::Key {
            return false;
        }
        let by_user = self.log.slices.view(&[Field::Key, Field::User]);
        let of_users = self.log.slices.view(&[Field::User, Field::Object]);
        let (Some(by_user), Some(of_users)) = (by_user, of_users) else { return false };
        let dimension = &by_user.table.view.dimension;
        let days = cohort.firsts.days(first.at);
        let object = cohort.object(first);
        self.log.slices.with(&[Field::Key, Field::User], 0, &key.name).iter().any(|pair| {
            let pair = *pair as usize;
            let user = dimension.split(&by_user.table.entities[pair]).pop().unwrap_or_default();
            let used = || {
                let name = of_users.table.view.dimension.join([user.as_str(), object.as_str()]);
                let first = of_users.active(of_users.find(&name)?).next()?;
                Some(first.0 + cohort.firsts.length().max(LENGTHS[2]) <= days.start)
            };
            let then = || {
                let name = of_users.table.view.dimension.join([user.as_str(), object.as_str()]);
                of_users.find(&name).is_some_and(|known| of_users.events_in(known, &days) > 0.0)
            };
            by_user.events_in(pair, &days) > 0.0 && used() == Some(true) && then()
        })
    }

    fn candidate<L: Lookup>(
        &self,
        cohort: &Cohort<'a>,
        visitor: &Visitor,
        visit: Visit,
        new: &[&First],
        odds: f64,
        rollup: &L,
    ) -> Result<Candidate, L::Error> {
        let whole = cohort.firsts.days(visit.from).start..cohort.firsts.days(visit.to - 1).end;
        let days = self.worked(cohort.field, &visitor.name, whole);
        let pairs = cohort.firsts.pairs;
        let mut edges =
            (self.log.grid.start(days.start), self.log.grid.start(days.end).min(self.log.grid.end()));
        let view = &pairs.table.view;
        if view.window.micros() <= Micros::DAY {
            edges = self.to_the_window(
                view,
                new.iter().map(|first| &pairs.table.entities[first.pair]),
                edges,
                rollup,
            )?;
        }
        let mut timeline = vec![(0.0, 0.0); self.log.grid.days()];
        cohort.hazard.walk(visitor, |step, expected| {
            let of_step = cohort.firsts.days(step.at);
            timeline[of_step.start] = (step.counted, expected.mean);
        });
        let mut names: Vec<String> = new.iter().map(|first| cohort.object(first)).collect();
        names.sort_unstable();
        let excess_events = new.iter().map(|first| pairs.events_in(first.pair, &days)).sum();
        let dimension = Dimension::new([cohort.field]);
        let dimension = dimension.unwrap_or_else(|_| view.dimension.clone());
        Ok(Candidate {
            detector: Detector::Reconnaissance,
            entity: dimension.join([visitor.name.as_str()]),
            who: parts(&dimension, &dimension.join([visitor.name.as_str()])),
            dimension,
            metric: Metric::NewObjects,
            anchor: days.start,
            observed: visit.objects,
            expected: visit.expected.mean,
            excess_events,
            level_per_day: visit.expected.mean / days.len().max(1) as f64,
            dispersion: visit.expected.dispersion,
            raw_score: visit.score,
            score: cohort.tail.calibrated(visit.score).unwrap_or(0.0),
            expected_false: Some(odds),
            cause: None,
            fact: None,
            seen: Some(listed(&names)),
            partner: None,
            edges: Some(edges),
            timeline,
            days,
        })
    }

    /// From the first to the last of these days on which the entity did anything: a week says no more than that.
    fn worked(&self, field: Field, name: &str, days: Range<usize>) -> Range<usize> {
        let Some(daily) = self.log.slices.view(&[field]) else { return days };
        let Some(entity) = daily.find(&daily.table.view.dimension.join([name])) else { return days };
        let mut active = daily.active(entity).map(|(day, _)| day).filter(|day| days.contains(day));
        let Some(first) = active.next() else { return days };
        first..active.last().unwrap_or(first) + 1
    }

    /// The edges moved to the first and the last use of any of these pairs between them.
    fn to_the_window<'n, L: Lookup>(
        &self,
        view: &View,
        names: impl Iterator<Item = &'n String>,
        (start, end): (Micros, Micros),
        rollup: &L,
    ) -> Result<(Micros, Micros), L::Error> {
        let view = View::new(view.dimension.clone(), view.window, [Metric::Events]);
        let mut used: Option<(Micros, Micros)> = None;
        for name in names {
            let cells = rollup.entity(&view, name)?;
            for window in cells.windows.iter().filter(|window| (start..end).contains(window)) {
                let (first, last) = used.unwrap_or((*window, *window));
                used = Some((first.min(*window), last.max(*window)));
            }
        }
        Ok(used.map_or((start, end), |(first, last)| (first, Micros(last.0 + view.window.micros()).min(end))))
    }
}

impl<'a> Cohort<'a> {
    fn of(field: Field, log: &Log<'a>) -> Option<Self> {
        let firsts = Firsts::read(log, field)?;
        let hazard = Hazard::learn(&firsts.visitors, firsts.known());
        let of_visitor = |visitor: &Visitor| best(visitor, &firsts, &hazard, log.config.min_events as f64);
        let best: Vec<Option<Visit>> = firsts.visitors.par_iter().map(of_visitor).collect();
        let tail = Tail::fit(best.iter().flatten().map(|visit| visit.score).collect());
        Some(Self { field, firsts, hazard, best, tail })
    }

    fn expected_false(&self, score: f64, tails: f64) -> Option<f64> {
        let entities = self.best.iter().flatten().count() as f64;
        let (windows, lanes) = (self.firsts.len() as f64, lengths(&self.firsts).count() as f64);
        self.tail.expected_false(score, entities, tails, windows, lanes)
    }

    /// What the entity used for the first time in the visit, as far as it counts.
    fn counted<'v>(&self, visitor: &'v Visitor, visit: &Visit) -> impl Iterator<Item = &'v First> {
        let steps = visit.from..visit.to;
        visitor.firsts.iter().filter(move |first| first.counts && steps.contains(&first.at))
    }

    fn object(&self, first: &First) -> String {
        let table = self.firsts.pairs.table;
        table.view.dimension.split(&table.entities[first.pair]).pop().unwrap_or_default()
    }
}

/// Lengths that are tried, in steps.
fn lengths(firsts: &Firsts<'_>) -> impl Iterator<Item = usize> {
    let step = firsts.length();
    LENGTHS.into_iter().filter(move |days| *days >= step).map(move |days| days / step)
}

/// The days of an entity that stand out most, among those that begin after `min_events` accesses, in the known log.
fn best(visitor: &Visitor, firsts: &Firsts<'_>, hazard: &Hazard, min_events: f64) -> Option<Visit> {
    let known = firsts.known();
    let (mut so_far, mut seen, mut expected) = (0.0, 0.0, 0.0);
    let mut best: Option<Visit> = None;
    for (index, first) in visitor.steps.iter().enumerate() {
        if first.at >= known && so_far >= min_events {
            for length in lengths(firsts) {
                let inside = visitor.steps[index..].iter().take_while(|step| step.at < first.at + length);
                let (mut events, mut objects, mut to) = (0.0, 0.0, first.at);
                for step in inside {
                    events += step.events;
                    objects += step.counted;
                    to = step.at + 1;
                }
                let expected = hazard.given(seen, expected, hazard.among(so_far, events));
                let score = expected.nats(objects);
                if best.is_none_or(|best| score > best.score) {
                    best = Some(Visit { from: first.at, to, objects, expected, score });
                }
            }
        }
        expected += hazard.among(so_far, first.events);
        seen += first.firsts;
        so_far += first.events;
    }
    best
}

/// Whether the leak follows what was looked at, or goes on with it.
pub(crate) fn prepared(one: &Candidate, leak: &Candidate) -> bool {
    leak.days.start < one.days.end + FOLLOWS_DAYS && leak.days.end > one.days.start
}
