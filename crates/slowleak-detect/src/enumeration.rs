//! Enumeration: accounts visited by number.
//!
//! Who takes accounts one number after the other touches next to each one its neighbours, on the same day; honest work
//! draws accounts as they come. In: views with distinct accounts and distinct blocks of 64 numbers, by day. Out: for each
//! entity the days on which more of its accounts had neighbours than its other days and its peers lead to expect
//! ([`chance`]), unless it did so before, is new and of a kind that does, or is part of a key that does. A leak that is
//! found otherwise takes it as evidence; else it is a finding.
//!
//! All intervals are asked, of any length, and the scores are calibrated on the best one of every entity, as those of
//! rates are.

mod chance;

use std::ops::Range;

use rayon::prelude::*;
use slowleak_record::Field;
use slowleak_rollup::{DayTable, Metric};

use crate::candidate::Candidate;
use crate::cause::Cause;
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::{Log, parts};
use crate::enumeration::chance::{Days, Judged, Peers, Visit};
use crate::finding::{Detector, Family as Examined};
use crate::leak::wording;
use crate::rate::calibrate::Tail;

/// What begins before so many days of the log may have been so for ever.
const KNOWN_DAYS: usize = 14;
/// A visit that comes again is told from a habit when nothing like it was seen for so many of its own pauses before.
const PAUSES: usize = 2;
/// Part of the usual day of an interval with which another day is like it.
const ALIKE: f64 = 0.5;
/// Accounts by which an entity is known: its habit, or that it was there before.
const MIN_ACCOUNTS: f64 = 20.0;
/// Fewest others of a kind whose habit may be a newcomer's, too, and how near their share of neighbours must come to its.
const MIN_KIND: usize = 2;
const NEAR: f64 = 0.75;
/// Share of neighbours beyond chance of a key that goes by number anyway, though a few accounts a day.
const HABIT: f64 = 0.2;
/// Nats from which it is asked whether there is an honest cause. Lower scores stay in the tail, whatever made them: it must
/// not be measured on the calmest alone.
const ASKED: f64 = 5.0;
/// Fewest neighbours beyond the expected by whose share a day is like others.
const MIN_ALIKE: f64 = 3.0;
/// Fewest neighbours beyond the expected that are worth a word.
const MIN_EXCESS: f64 = 20.0;

/// The accounts of a log by number.
pub(crate) struct Enumeration<'a> {
    log: Log<'a>,
    cohorts: Vec<Cohort<'a>>,
}

/// All entities of one view.
struct Cohort<'a> {
    daily: Daily<'a>,
    /// `None` where no two accounts were ever neighbours.
    peers: Option<Peers>,
    /// Of each entity the days that stand out most; `None` where it did too little, or has the habit.
    best: Vec<Option<Found>>,
    /// Of each entity the share of neighbours beyond chance among its accounts, other days than those that stand out.
    habits: Vec<Option<f64>>,
    tail: Tail,
}

/// Some visits of an entity.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    visits: Range<usize>,
    judged: Judged,
    score: f64,
    /// The chance about which pairs were counted.
    chance: f64,
}

impl Found {
    /// Share of the neighbours beyond the expected among the accounts.
    fn share(&self) -> f64 {
        self.judged.excess() / self.judged.accounts.max(1.0)
    }
}

impl<'a> Enumeration<'a> {
    /// Looks at every entity of the views that know blocks: for each dimension one of `tables`.
    pub(crate) fn run(log: Log<'a>, tables: &[&'a DayTable]) -> Self {
        let long_enough = log.grid.days() >= log.config.min_days;
        let tables = tables.iter().filter(|_| long_enough);
        let mut cohorts: Vec<Cohort<'a>> = Vec::new();
        // Tables are in the order of their dimensions, that of keys before those of their parts.
        for daily in tables.filter_map(|table| Daily::of(table, log.grid)) {
            let cohort = Cohort::of(daily, &log, &cohorts);
            cohorts.push(cohort);
        }
        let heaviest = cohorts.iter().filter_map(|cohort| cohort.tail.scale).reduce(f64::max);
        cohorts.iter_mut().for_each(|cohort| cohort.tail.borrow(heaviest));
        Self { log, cohorts }
    }

    /// How many tails of scores there are.
    pub(crate) fn tails(&self) -> usize {
        self.cohorts.len()
    }

    /// What was examined.
    pub(crate) fn examined(&self) -> Vec<Examined> {
        let of = |cohort: &Cohort<'_>| Examined {
            dimension: cohort.daily.table.view.dimension.clone(),
            metric: Metric::Neighbours,
            entities: cohort.best.len() as u64,
            tested: cohort.best.iter().flatten().count() as u64,
            tail_scale: cohort.tail.scale,
        };
        self.cohorts.iter().map(of).collect()
    }

    /// Every entity that error control lets through, among `tails` of all detectors.
    pub(crate) fn candidates(&self, tails: usize) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for cohort in &self.cohorts {
            for (entity, found) in cohort.best.iter().enumerate() {
                let Some(found) = found.as_ref().filter(|found| found.judged.excess() >= MIN_EXCESS) else {
                    continue;
                };
                let odds = cohort.expected_false(found.score, tails as f64, self.log.grid.days() as f64);
                let odds = odds.filter(|odds| *odds <= self.log.config.max_expected_false);
                candidates.extend(odds.and_then(|odds| self.candidate(cohort, entity, found, odds)));
            }
        }
        candidates
    }

    fn candidate(&self, cohort: &Cohort<'a>, entity: usize, found: &Found, odds: f64) -> Option<Candidate> {
        let Found { visits: range, judged, score, chance } = found;
        let table = cohort.daily.table;
        let visits = visits(&cohort.daily, entity);
        let series = Days::new(&visits, cohort.peers?, *chance);
        let mut timeline = vec![(0.0, 0.0); self.log.grid.days()];
        for (at, visit) in visits.iter().enumerate() {
            timeline[visit.day] = (visit.neighbours.max(0.0), series.expected(at, judged));
        }
        let days = visits[range.start].day..visits[range.end - 1].day + 1;
        let dimension = table.view.dimension.clone();
        let name = table.entities[entity].clone();
        Some(Candidate {
            detector: Detector::Enumeration,
            who: parts(&dimension, &name),
            dimension,
            entity: name,
            metric: Metric::Neighbours,
            anchor: days.start,
            observed: judged.neighbours,
            expected: judged.expected,
            excess_events: judged.excess(),
            level_per_day: judged.expected / days.len() as f64,
            dispersion: judged.dispersion,
            raw_score: *score,
            score: cohort.tail.calibrated(*score).unwrap_or(0.0),
            expected_false: Some(odds),
            cause: cohort.tail.common(*score).map(|count| Cause::Common { count }),
            fact: None,
            seen: Some(wording::count(judged.accounts)),
            partner: None,
            edges: None,
            timeline,
            days,
        })
    }
}

impl<'a> Cohort<'a> {
    /// The entities of a view, after those of `earlier` ones, among which are keys and their parts, where there are any.
    fn of(daily: Daily<'a>, log: &Log<'a>, earlier: &[Self]) -> Self {
        let all: Vec<Vec<Visit>> =
            (0..daily.len()).into_par_iter().map(|entity| visits(&daily, entity)).collect();
        let peers = Peers::learn(&all);
        let least = log.config.min_events as f64;
        let of_entity = |visits: &Vec<Visit>| {
            let accounts: f64 = visits.iter().map(|visit| visit.accounts).sum();
            let found = peers.filter(|_| accounts >= least).and_then(|peers| best(visits, peers, log.grid));
            (peers.and_then(|peers| habit(visits, peers, found.as_ref())), found)
        };
        let (habits, best): (Vec<_>, Vec<_>) = all.par_iter().map(of_entity).unzip();
        let mut cohort = Self { daily, peers, best, habits, tail: Tail::fit(Vec::new()) };
        let honest = |(entity, visits): (usize, &Vec<Visit>)| {
            let found = cohort.best[entity].as_ref().filter(|found| found.score >= ASKED)?;
            let honest = cohort.is_of_its_kind(found, visits)
                || cohort.is_of_its_key(entity, found, earlier)
                || cohort.is_by_keys(entity, found, visits, log, earlier);
            honest.then(|| found.share())
        };
        let honest: Vec<Option<f64>> = all.par_iter().enumerate().map(honest).collect();
        for (entity, share) in honest.into_iter().enumerate().filter(|(_, share)| share.is_some()) {
            // It is its habit from now on, and that of its parts.
            let habit = &mut cohort.habits[entity];
            *habit = share.into_iter().chain(*habit).reduce(f64::max);
            cohort.best[entity] = None;
        }
        cohort.tail = Tail::fit(cohort.best.iter().flatten().map(|found| found.score).collect());
        cohort
    }

    /// Whether an entity is new, and goes by number as several of its kind always do: another nightly job.
    fn is_of_its_kind(&self, found: &Found, visits: &[Visit]) -> bool {
        let before: f64 = visits[..found.visits.start].iter().map(|visit| visit.accounts).sum();
        let alike = |habit: &&f64| **habit >= NEAR * found.share();
        before < MIN_ACCOUNTS && self.habits.iter().flatten().filter(alike).count() >= MIN_KIND
    }

    /// Whether an entity is a part of a key that goes by number anyway.
    fn is_of_its_key(&self, entity: usize, found: &Found, earlier: &[Self]) -> bool {
        let (Some(keys), dimension) = (of(earlier, &[Field::Key]), &self.daily.table.view.dimension) else {
            return false;
        };
        let Some(place) = dimension.parts().iter().position(|part| *part == Field::Key) else { return false };
        let key = dimension.split(&self.daily.table.entities[entity]).into_iter().nth(place);
        key.and_then(|key| keys.habit(&key)).is_some_and(|habit| habit >= ALIKE * found.share())
    }

    /// Whether most of what an object (or whatever else is used with keys) has beyond the expected is by keys that go by
    /// number anyway: a nightly job turns to another table.
    fn is_by_keys(
        &self,
        entity: usize,
        found: &Found,
        visits: &[Visit],
        log: &Log<'a>,
        earlier: &[Self],
    ) -> bool {
        let dimension = &self.daily.table.view.dimension;
        let &[own] = dimension.parts() else { return false };
        let parts = [Field::Key, own];
        let (Some(keys), Some(pairs)) = (of(earlier, &parts[..1]), log.slices.view(&parts)) else {
            return false;
        };
        let name = dimension.split(&self.daily.table.entities[entity]).concat();
        let days = visits[found.visits.start].day..visits[found.visits.end - 1].day + 1;
        // Of a part of a key's accesses as many are next to each other as of all, at most.
        let by_key = |pair: &u32| {
            let key =
                pairs.table.view.dimension.split(&pairs.table.entities[*pair as usize]).into_iter().next()?;
            let habit = keys.habit(&key).filter(|habit| *habit >= HABIT)?;
            Some(habit * pairs.events_in(*pair as usize, &days))
        };
        let by_keys: f64 = log.slices.with(&parts, 1, &name).iter().filter_map(by_key).sum();
        by_keys >= ALIKE * found.judged.excess()
    }

    /// The habit of the entity of that name, of a view of one field.
    fn habit(&self, name: &str) -> Option<f64> {
        let dimension = &self.daily.table.view.dimension;
        self.habits[self.daily.find(&dimension.join([name]))?]
    }

    fn expected_false(&self, score: f64, tails: f64, days: f64) -> Option<f64> {
        let entities = self.best.iter().flatten().count() as f64;
        // Intervals that share most of their days are no two questions: as many lengths as there are doublings.
        self.tail.expected_false(score, entities, tails, days, days.log2().ceil())
    }
}

/// The cohort of a view by these fields.
fn of<'c, 'a>(cohorts: &'c [Cohort<'a>], parts: &[Field]) -> Option<&'c Cohort<'a>> {
    cohorts.iter().find(|cohort| cohort.daily.table.view.dimension.parts() == parts)
}

/// The visits of an entity in order of time.
fn visits(daily: &Daily<'_>, entity: usize) -> Vec<Visit> {
    daily.visits(entity).map(|(day, accounts, blocks)| Visit::new(day, accounts, blocks)).collect()
}

/// The share of neighbours beyond chance among the accounts of other visits than those found; `None` where these are few.
/// (Beyond chance: where nearly all accounts are visited anyway, most have neighbours.)
fn habit(visits: &[Visit], peers: Peers, found: Option<&Found>) -> Option<f64> {
    let inside = found.filter(|found| found.score >= ASKED).map_or(0..0, |found| found.visits.clone());
    let (mut accounts, mut neighbours) = (0.0, 0.0);
    for (_, visit) in visits.iter().enumerate().filter(|(at, _)| !inside.contains(at)) {
        accounts += visit.accounts;
        neighbours += visit.neighbours - chance::neighbours(visit.accounts, peers.chance);
    }
    (accounts >= MIN_ACCOUNTS).then(|| f64::max(neighbours, 0.0) / accounts)
}

/// The days of an entity that stand out most; none of a score above zero where nothing does, and nothing at all where it is
/// a habit.
///
/// Pairs are counted about the chance that the other days tell, which are known when the days are: so twice, at first
/// about the lower of what all days tell and the peers' own.
fn best(visits: &[Visit], peers: Peers, grid: &Grid) -> Option<Found> {
    let all = Days::new(visits, peers, peers.chance).judge(&(0..0));
    let first = search(&Days::new(visits, peers, peers.chance.min(all.chance)));
    let chance = first.judged.chance;
    let series = Days::new(visits, peers, chance);
    let second = trimmed(&series, search(&series));
    let habit = second.score >= ASKED && is_habit(&series, &second, grid);
    (!habit).then_some(Found { chance, ..second })
}

/// The interval of the highest score, of all that begin in the known log.
fn search(series: &Days<'_>) -> Found {
    let visits = series.visits;
    let nothing = series.judge(&(0..0));
    let mut best = Found { visits: 0..0, judged: nothing, score: 0.0, chance: 0.0 };
    // An interval neither begins nor ends with a day that has no neighbours.
    let has = |visit: &Visit| visit.neighbours >= 1.0;
    let starts = (0..visits.len()).filter(|at| visits[*at].day >= KNOWN_DAYS && has(&visits[*at]));
    for start in starts {
        for end in (start + 1..=visits.len()).filter(|end| has(&visits[end - 1])) {
            let judged = series.judge(&(start..end));
            if judged.is_at_most(best.score) {
                continue;
            }
            let score = judged.nats(best.score);
            if score > best.score {
                best = Found { visits: start..end, judged, score, chance: 0.0 };
            }
        }
    }
    best
}

/// The visits of a series that are like those found: with half as much beyond the expected, at least, as the usual one of
/// these has.
fn alike(series: &Days<'_>, found: &Found) -> Vec<usize> {
    let excess = |at: usize| series.visits[at].neighbours - series.expected(at, &found.judged);
    let mut inside: Vec<f64> = found.visits.clone().map(excess).filter(|excess| *excess > 0.0).collect();
    inside.sort_by(f64::total_cmp);
    // On days like that or above lies half of all; those of a neighbour by chance are many, and say nothing.
    let mut rest = inside.iter().sum::<f64>() / 2.0;
    let mut usual = f64::INFINITY;
    while let Some(excess) = inside.pop().filter(|_| rest > 0.0) {
        (usual, rest) = (excess, rest - excess);
    }
    // Or with half of their share of the day's accounts, be these fewer.
    let share = |at: usize| excess(at) / series.visits[at].accounts.max(1.0);
    let is_alike = |at: &usize| {
        let few = excess(*at) >= MIN_ALIKE && share(*at) >= ALIKE * found.share();
        few || excess(*at) >= ALIKE * usual
    };
    (0..series.visits.len()).filter(is_alike).collect()
}

/// The found without the days before the first and behind the last like it: a neighbour by chance draws an interval out.
fn trimmed(series: &Days<'_>, found: Found) -> Found {
    let inside: Vec<usize> =
        alike(series, &found).into_iter().filter(|at| found.visits.contains(at)).collect();
    let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return found };
    let visits = *first..last + 1;
    let judged = series.judge(&visits);
    Found { score: judged.nats(0.0), visits, judged, ..found }
}

/// Whether something like it may have been before: it comes again after pauses, and the time before it is not much longer
/// than these.
fn is_habit(series: &Days<'_>, found: &Found, grid: &Grid) -> bool {
    let alike = alike(series, found);
    let inside: Vec<usize> = alike.iter().copied().filter(|at| found.visits.contains(at)).collect();
    let day = |at: &usize| series.visits[*at].day;
    let Some(first) = inside.first().map(day) else { return false };
    let pause = inside.windows(2).map(|pair| day(&pair[1]) - day(&pair[0])).max().unwrap_or(1);
    let last = alike.iter().filter(|at| **at < found.visits.start).map(day).next_back();
    // Of the time before the log nobody knows, and days without a log are as good as none.
    let before = (last.map_or(0, |last| last + 1)..first).filter(|day| grid.logged(*day)).count();
    before < (PAUSES * pause).max(KNOWN_DAYS)
}

/// Whether what was visited by number is of the leak: most of the shorter's days are the other's.
pub(crate) fn belongs(one: &Candidate, leak: &Candidate) -> bool {
    let common = one.days.end.min(leak.days.end).saturating_sub(one.days.start.max(leak.days.start));
    2 * common >= one.days.len().min(leak.days.len())
}
