//! All entities of one view, searched for bursts and calibrated against each other. In: the view's stored cells, in three
//! passes of which each holds a row group: what is shared, how each scatters, what stands out. Out: bursts that are
//! neither a habit of the entity nor common, and the tails of scores.

use rayon::prelude::*;
use slowleak_rollup::{Lookup, Metric, View};

use crate::burst::clock::Clock;
use crate::burst::noise::{Pool, Scatter, measure, stretches};
use crate::burst::peers::{MAX_PEERS, MIN_RATE, Peers, Voice};
use crate::burst::scan::{Band, Burst, Search};
use crate::burst::series::{Habit, Series};
use crate::cause::Cause;
use crate::days::Log;
use crate::days::daily::Daily;
use crate::rate::calibrate::Tail;
use crate::rate::peers::weighted_quantile;

/// Bursts kept of an entity: more are a habit.
const MOST: usize = 16;
/// Score from which a burst is one that others are compared with, nats.
const LIVELY_NATS: f64 = 8.0;
/// Other bursts of at least half the excess and half the score that make a habit...
const HABIT: usize = 5;
/// ...or so many, if they were at the same hour of the day, give or take one.
const HABIT_AT_HOUR: usize = 2;
/// Highest days of an entity that say nothing about its tail...
const LEFT_OUT: usize = 3;
/// ...and days at the usual height that the others weigh against.
const PRIOR_DAYS: f64 = 8.0;
/// Entities that burst within the same hour are a common cause if they are more than this share of all...
const COMMON_SHARE: f64 = 0.05;
/// ...and more than these: one leak reads a few tables.
const COMMON_COUNT: usize = 5;

/// A burst of an entity that passed its own history.
pub(crate) struct Found {
    pub(crate) entity: usize,
    pub(crate) burst: Burst,
    /// Its score on the scale of entities whose days are of the usual liveliness.
    pub(crate) score: f64,
    pub(crate) cause: Option<Cause>,
    /// What is usual a day, with the season of the week and all that is common, on each day of the log.
    pub(crate) expected_by_day: Vec<f64>,
    pub(crate) level_per_day: f64,
}

/// One view of a run.
pub(crate) struct Family<'a> {
    pub(crate) daily: &'a Daily<'a>,
    pub(crate) clock: Clock,
    /// Entities with enough accesses, ascending.
    pub(crate) tested: Vec<usize>,
    /// One a band, in the order of [`Band::ALL`].
    pub(crate) tails: [Tail; 2],
    /// Days of entities from which each tail was learnt.
    days: [usize; 2],
    pub(crate) found: Vec<Found>,
}

impl<'a> Family<'a> {
    /// Searches every entity that did enough; `None` where the view's windows are too long for that.
    pub(crate) fn run<L: Lookup>(
        daily: &'a Daily<'a>,
        log: &Log<'_>,
        rollup: &L,
    ) -> Result<Option<Self>, L::Error> {
        let view = View::new(daily.table.view.dimension.clone(), daily.table.view.window, [Metric::Events]);
        let Some(clock) = Clock::of(log.grid, view.window.micros()) else { return Ok(None) };
        let tested = tested(daily, log);
        let cells =
            Cells { rollup, view, clock, names: tested.iter().map(|e| &*daily.table.entities[*e]).collect() };

        let large = large(daily, &tested, &clock);
        let voices = cells.each(|index, series| Voice::of(series, &clock, large[index]))?;
        let peers = Peers::of(&voices, &clock);
        drop(voices);
        let stretches = stretches(&clock);
        let habit = |series: &Series, of: &dyn Fn(&Habit<'_>) -> Scatter| {
            of(&series.habit(&peers.shape(series, &clock), &clock))
        };
        let scatters = cells.each(|_, series| habit(series, &|habit| measure(habit, &stretches)))?;
        let pool = Pool::of(&stretches, &scatters);

        let search =
            Search { clock: &clock, least: log.config.min_events as f64, tolerance: log.config.tolerance };
        let newborn = log.config.min_days * crate::burst::clock::HOURS * clock.an_hour();
        let searched = cells.each(|index, series| {
            let shape = peers.shape(series, &clock);
            let habit = series.habit(&shape, &clock);
            let noise = pool.noise(&scatters[index]);
            let mut bursts: Vec<Burst> = Vec::new();
            for band in Band::ALL {
                bursts.extend(search.best(&habit, &noise, band));
            }
            // Of newcomers there is no habit yet.
            bursts.retain(|burst| burst.windows.start >= habit.span.start + newborn);
            let scores = |band| bursts.iter().filter(move |burst: &&Burst| burst.band == band);
            let scores = Band::ALL.map(|band| scores(band).map(|burst| burst.score).collect());
            bursts.retain(|burst| burst.score >= LIVELY_NATS);
            bursts.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.windows.start.cmp(&b.windows.start)));
            let mut kept: Vec<Burst> = Vec::new();
            for burst in bursts {
                let near = |other: &Burst| {
                    burst.windows.start < other.windows.end + habit.half
                        && other.windows.start < burst.windows.end + habit.half
                };
                if kept.len() < MOST && !kept.iter().any(near) {
                    kept.push(burst);
                }
            }
            let days = 0..if kept.is_empty() { 0 } else { log.grid.days() };
            let day = |day: usize| {
                let windows = day * 2 * habit.half..(day + 1) * 2 * habit.half;
                let inside = windows.start < habit.span.end && habit.span.start < windows.end;
                if inside { habit.usual(&windows, series.count(&windows)) } else { 0.0 }
            };
            let kept: Vec<Burst> = kept.iter().map(|burst| search.edged(&habit, burst)).collect();
            Lively {
                scores,
                habits: kept
                    .iter()
                    .map(|burst| habits(&kept, burst, &clock).or_else(|| recurs(series, burst, &clock)))
                    .collect(),
                bursts: kept,
                expected_by_day: days.map(day).collect(),
                level_per_day: habit.level * 24.0,
            }
        })?;
        Ok(Some(Self::calibrated(daily, clock, tested, searched)))
    }

    fn calibrated(daily: &'a Daily<'a>, clock: Clock, tested: Vec<usize>, searched: Vec<Lively>) -> Self {
        let hours = |burst: &Burst| clock.hour(burst.windows.start)..clock.hour(burst.windows.end - 1) + 1;
        let mut all: Vec<(std::ops::Range<usize>, usize)> = searched
            .iter()
            .enumerate()
            .flat_map(|(index, lively)| lively.bursts.iter().map(move |burst| (hours(burst), index)))
            .collect();
        all.sort_by_key(|(hours, index)| (hours.start, *index));
        let most = COMMON_COUNT.max((COMMON_SHARE * tested.len() as f64) as usize);
        let heavier =
            Band::ALL.map(|band| heavier(searched.iter().map(|lively| &*lively.scores[band as usize])));
        let mut scores: [Vec<f64>; 2] = Default::default();
        let mut found = Vec::new();
        for (index, mut lively) in searched.into_iter().enumerate() {
            for (burst, habit) in lively.bursts.into_iter().zip(lively.habits) {
                let own = hours(&burst);
                // Bursts are no longer than half a day.
                let reach = own.start.saturating_sub(13);
                let from = all.partition_point(|(hours, _)| hours.start < reach);
                let near = all[from..].iter().take_while(|(hours, _)| hours.start < own.end);
                let mut others: Vec<usize> =
                    near.filter(|(hours, _)| hours.end > own.start).map(|(_, index)| *index).collect();
                others.sort_unstable();
                others.dedup();
                let common = (others.len() > most).then_some(Cause::Common { count: others.len() });
                let cause = habit.or(common);
                let score = burst.score / heavier[burst.band as usize][index];
                // What has an honest cause is no measure of chance.
                if cause.is_some() {
                    lively.scores[burst.band as usize].retain(|score| *score != burst.score);
                }
                let (expected_by_day, level_per_day) = (lively.expected_by_day.clone(), lively.level_per_day);
                found.push(Found {
                    entity: tested[index],
                    burst,
                    score,
                    cause,
                    expected_by_day,
                    level_per_day,
                });
            }
            for band in Band::ALL.map(|band| band as usize) {
                scores[band].extend(lively.scores[band].iter().map(|score| score / heavier[band][index]));
            }
        }
        let days = scores.each_ref().map(Vec::len);
        Self { daily, clock, tested, tails: scores.map(Tail::fit), days, found }
    }

    /// The bands that the view's windows can tell apart.
    pub(crate) fn bands(&self) -> impl Iterator<Item = Band> + '_ {
        Band::ALL.into_iter().filter(|band| !band.lengths(&self.clock).is_empty())
    }

    /// Expected number of leak-free bursts that score as much, among `tails` tails of scores. The unit of a tail is a day
    /// of an entity with any stretch above what is expected, so that a few leaks in a view of few entities do not make
    /// its tail; the union bound is over every day.
    pub(crate) fn expected_false(&self, found: &Found, tails: f64) -> Option<f64> {
        let burst = &found.burst;
        let lengths = burst.band.lengths(&self.clock).len();
        self.tails[burst.band as usize].expected_false(
            found.score,
            self.days[burst.band as usize] as f64,
            tails,
            self.tested.len() as f64 * self.clock.windows() as f64
                / self.days[burst.band as usize].max(1) as f64,
            lengths as f64,
        )
    }
}

/// What the search says of an entity.
struct Lively {
    /// Of each band the best score of each day.
    scores: [Vec<f64>; 2],
    /// Edges set, the strongest first.
    bursts: Vec<Burst>,
    /// Of each whether the entity does so now and then.
    habits: Vec<Option<Cause>>,
    expected_by_day: Vec<f64>,
    level_per_day: f64,
}

/// How much heavier the higher scores of each entity are than those of most: the mean of its top tenth of days, of which
/// the very highest are left out since they may be what is sought. Sessions and jobs give some entities a heavy tail at
/// the same dispersion. One at the least: nobody is believed for being dull.
fn heavier<'s>(scores: impl Iterator<Item = &'s [f64]>) -> Vec<f64> {
    let upper = |scores: &[f64]| {
        let mut scores = scores.to_vec();
        scores.sort_by(|a, b| b.total_cmp(a));
        let upper = scores.get(LEFT_OUT..(scores.len() / 10).max(LEFT_OUT)).unwrap_or_default();
        (upper.iter().sum::<f64>(), upper.len() as f64)
    };
    let upper: Vec<(f64, f64)> = scores.map(upper).collect();
    let mut means: Vec<(f64, f64)> =
        upper.iter().filter(|(_, days)| *days > 0.0).map(|(sum, days)| (sum / days, *days)).collect();
    if means.is_empty() {
        return vec![1.0; upper.len()];
    }
    let usual = weighted_quantile(&mut means, 0.5).max(1e-3);
    let of = |(sum, days): (f64, f64)| ((sum + PRIOR_DAYS * usual) / (days + PRIOR_DAYS) / usual).max(1.0);
    upper.into_iter().map(of).collect()
}

/// Whether the other bursts of an entity make this one a habit.
fn habits(all: &[Burst], burst: &Burst, clock: &Clock) -> Option<Cause> {
    let excess = |burst: &Burst| burst.observed - burst.expected;
    let like = |other: &&Burst| excess(other) >= 0.5 * excess(burst) && other.score >= 0.5 * burst.score;
    let others = || all.iter().filter(|other| *other != burst).filter(like);
    let hour = |burst: &Burst| clock.hour(burst.windows.start) % 24;
    let near = |other: &&Burst| (hour(other) + 24 - hour(burst) + 1) % 24 <= 2;
    let (any, at_hour) = (others().count(), others().filter(near).count());
    (any >= HABIT || at_hour >= HABIT_AT_HOUR).then_some(Cause::Habit { times: any + 1 })
}

/// Whether the entity did about as much more at that time of some other days: a job that moved to another hour has no such
/// profile yet, and may be too small to be a burst on each of them.
fn recurs(series: &Series, burst: &Burst, clock: &Clock) -> Option<Cause> {
    let day = crate::burst::clock::HOURS * clock.an_hour();
    let least = burst.expected + 0.5 * (burst.observed - burst.expected);
    let (length, own) = (burst.windows.len(), burst.windows.start);
    let starts = (own % day..clock.windows()).step_by(day).filter(|start| *start != own);
    let times = starts.filter(|start| series.count(&(*start..start + length)) >= least).count();
    (times >= HABIT_AT_HOUR).then_some(Cause::Habit { times: times + 1 })
}

/// Entities with enough accesses for a habit, and with enough within two days for a burst.
fn tested(daily: &Daily<'_>, log: &Log<'_>) -> Vec<usize> {
    let least = log.config.min_events as f64;
    let enough = |entity: &usize| {
        let (mut first, mut last, mut total, mut most) = (None, (0, 0.0), 0.0, 0.0_f64);
        for (day, events) in daily.active(*entity) {
            first.get_or_insert(day);
            let before = if last.0 + 1 == day { last.1 } else { 0.0 };
            most = most.max(before + events);
            total += events;
            last = (day, events);
        }
        let days = first.map_or(0, |first| last.0 + 1 - first);
        total >= 2.0 * least && most >= least && days > log.config.min_days
    };
    (0..daily.len()).into_par_iter().filter(enough).collect()
}

/// Which of the tested are asked about common hours.
fn large(daily: &Daily<'_>, tested: &[usize], clock: &Clock) -> Vec<bool> {
    let totals: Vec<f64> = tested.par_iter().map(|entity| daily.total(*entity)).collect();
    let mut order: Vec<usize> = (0..tested.len()).collect();
    order.sort_by(|a, b| totals[*b].total_cmp(&totals[*a]).then(a.cmp(b)));
    let mut large = vec![false; tested.len()];
    let enough = |index: &&usize| totals[**index] >= MIN_RATE * clock.hours() as f64;
    order.iter().filter(enough).take(MAX_PEERS).for_each(|index| large[*index] = true);
    large
}

/// The cells of the tested entities of a view.
struct Cells<'a, L> {
    rollup: &'a L,
    view: View,
    clock: Clock,
    names: Vec<&'a str>,
}

impl<L: Lookup> Cells<'_, L> {
    /// What `of` makes of the index and series of each, in their order.
    fn each<T: Send>(&self, of: impl Fn(usize, &Series) -> T + Sync) -> Result<Vec<T>, L::Error> {
        let mut all: Vec<T> = Vec::with_capacity(self.names.len());
        self.rollup.each(&self.view, &self.names, &mut |table| {
            let (first, mut wanted) = (all.len(), Vec::new());
            let mut entity = 0;
            for (index, name) in self.names.iter().enumerate().skip(first) {
                entity += table.entities[entity..].partition_point(|other| other.as_str() < *name);
                match table.entities.get(entity) {
                    Some(found) if found == name => wanted.push((index, entity)),
                    _ => break,
                }
            }
            let clock = &self.clock;
            let one = |&(index, entity): &(usize, usize)| of(index, &Series::read(table, entity, clock));
            all.par_extend(wanted.par_iter().map(one));
        })?;
        Ok(all)
    }
}
