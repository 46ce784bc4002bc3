//! The exchanges of a log: whose habits are compared, what of, and what becomes of a pair. In: views of users and what
//! they touch; the sketches of those few users that are compared. Out: candidates, one for each of the two.

use std::collections::BTreeMap;

use slowleak_record::{Field, Window};
use slowleak_rollup::{Lookup, Metric, View};

use crate::candidate::Candidate;
use crate::cause::Cause;
use crate::days::daily::Daily;
use crate::days::{Log, parts};
use crate::finding::Detector;
use crate::profile::habit::Habit;
use crate::profile::swap::{Habits, Pair};
use crate::rate::calibrate::Tail;

/// Users that are compared at the most: each with each.
const MOST_USERS: usize = 256;
/// Days and subjects of all of them together, at the most: where people touch hundreds a day these are no habits.
const MOST_SUBJECTS: usize = 1 << 22;
/// Highest scores that the tail is not read from: three pairs, as elsewhere three entities.
const LEFT_OUT: usize = 6;

/// The users of a log, compared by each kind of habit.
pub(crate) struct Exchanges<'a> {
    log: Log<'a>,
    users: Option<&'a Daily<'a>>,
    /// Those compared, by position in the view.
    compared: Vec<usize>,
    kinds: Vec<Kind>,
}

/// One kind of habit.
struct Kind {
    what: Field,
    habits: Vec<Habit>,
    values: usize,
}

impl<'a> Exchanges<'a> {
    /// Reads the habits of the most active users.
    ///
    /// # Errors
    /// Their cells can not be had.
    pub(crate) fn read<L: Lookup>(log: Log<'a>, rollup: &L) -> Result<Self, L::Error> {
        let users = log.slices.view(&[Field::User]).filter(|daily| daily.table.view.window <= Window::DAY);
        let mut exchanges = Self { log, users, compared: Vec::new(), kinds: Vec::new() };
        let Some(users) = users else { return Ok(exchanges) };
        let mut compared: Vec<(usize, usize)> =
            (0..users.len()).map(|user| (users.active(user).count(), user)).collect();
        compared.retain(|(days, _)| *days >= log.config.min_days);
        compared.sort_unstable_by(|a, b| b.cmp(a));
        compared.truncate(MOST_USERS);
        exchanges.compared = compared.into_iter().map(|(_, user)| user).collect();
        exchanges.compared.sort_unstable();
        exchanges.kinds.extend(exchanges.actions());
        if let Some(subjects) = exchanges.subjects(rollup)? {
            exchanges.kinds.push(subjects);
        }
        Ok(exchanges)
    }

    fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        let name = |user: &usize| self.users.map(|users| users.table.entities[*user].as_str());
        self.compared.iter().filter_map(name)
    }

    /// On which days each user took which actions.
    fn actions(&self) -> Option<Kind> {
        let mut values = BTreeMap::<String, usize>::new();
        let mut habits = Vec::new();
        for name in self.names() {
            let mut habit = Habit::new();
            let (pairs, slices) = self.log.slices.of(&[(Field::User, name.to_owned())], Field::Action)?;
            if pairs.table.view.window > Window::DAY {
                return None;
            }
            for slice in slices {
                let next = values.len();
                let value = *values.entry(slice.value).or_insert(next);
                habit.extend(pairs.active(slice.entity).map(|(day, _)| (day, value)));
            }
            habit.sort_unstable();
            habit.dedup();
            habits.push(habit);
        }
        Some(Kind { what: Field::Action, habits, values: values.len() })
    }

    /// On which days each user touched which subjects, where sketches still have each by itself.
    fn subjects<L: Lookup>(&self, rollup: &L) -> Result<Option<Kind>, L::Error> {
        let sketched =
            self.log.sketched.iter().find(|daily| daily.table.view.dimension.parts() == [Field::User]);
        let Some(sketched) = sketched else { return Ok(None) };
        let view =
            View::new(sketched.table.view.dimension.clone(), sketched.table.view.window, [Metric::Subjects]);
        let mut values = BTreeMap::<u32, usize>::new();
        let (mut habits, mut all) = (Vec::new(), 0);
        for name in self.names() {
            let cells = rollup.entity(&view, name)?;
            let mut habit = Habit::new();
            for (window, sketch) in cells.windows.iter().zip(&cells.sketches.subjects) {
                let (Some(day), Some(tokens)) = (self.log.grid.day(*window), sketch.exact()) else {
                    continue;
                };
                for token in tokens {
                    let next = values.len();
                    habit.push((day, *values.entry(*token).or_insert(next)));
                }
            }
            habit.sort_unstable();
            habit.dedup();
            all += habit.len();
            if all > MOST_SUBJECTS {
                return Ok(None);
            }
            habits.push(habit);
        }
        Ok(Some(Kind { what: Field::Subject, habits, values: values.len() }))
    }

    /// How many tails of scores there are.
    pub(crate) fn tails(&self) -> usize {
        self.kinds.len()
    }

    /// Both users of every pair that error control lets through, among `tails` of all detectors.
    pub(crate) fn candidates(&self, tails: usize) -> Vec<Candidate> {
        let mut found: BTreeMap<usize, Candidate> = BTreeMap::new();
        for kind in &self.kinds {
            for (user, candidate) in self.of_kind(kind, tails as f64) {
                let better = |old: &Candidate| old.score < candidate.score;
                if found.get(&user).is_none_or(better) {
                    found.insert(user, candidate);
                }
            }
        }
        found.into_values().collect()
    }

    fn of_kind(&self, kind: &Kind, tails: f64) -> Vec<(usize, Candidate)> {
        let Some(users) = self.users else { return Vec::new() };
        let habits = Habits::of(&kind.habits, kind.values, self.log.grid.days());
        if habits.too_many() || !habits.last() {
            return Vec::new();
        }
        let best = habits.best();
        let known = habits.known();
        let score = |pair: &Option<Pair>| pair.map_or(0.0, |pair| pair.score);
        let tops: Vec<f64> =
            best.iter().zip(&known).filter(|(_, known)| **known).map(|(pair, _)| score(pair)).collect();
        // Everybody is compared with everybody, on any day.
        let (entities, windows) = (tops.len() as f64, self.log.grid.days() as f64);
        let tail = Tail::fit_without(tops, LEFT_OUT);
        let candidate = |(user, pair): (usize, &Option<Pair>)| {
            let pair = (*pair)?;
            let odds = tail.expected_false(pair.score, entities, tails, windows, entities)?;
            let calibrated =
                tail.calibrated(pair.score).filter(|_| odds <= self.log.config.max_expected_false)?;
            let changed = |one: usize, other: usize| habits.changed(one, other, pair.day);
            if !changed(user, pair.partner) || !changed(pair.partner, user) {
                return None;
            }
            let name = &users.table.entities[self.compared[pair.partner]];
            let mut candidate =
                self.candidate(users, self.compared[user], pair, habits.overlap(user, pair.day));
            let what = match kind.what {
                Field::Subject => "touches the accounts that",
                _ => "takes the actions that",
            };
            candidate.seen =
                Some(format!("{what} user {name} did before, and {name} those of {}", candidate.entity));
            candidate.partner = Some(name.clone());
            candidate.score = calibrated;
            candidate.expected_false = Some(odds);
            candidate.cause = tail.common(pair.score).map(|count| Cause::Common { count });
            Some((user, candidate))
        };
        best.iter().enumerate().filter_map(candidate).collect()
    }

    /// What the user did since, against what of it is as before.
    fn candidate(&self, users: &Daily<'_>, user: usize, pair: Pair, overlap: f64) -> Candidate {
        let dimension = users.table.view.dimension.clone();
        let entity = users.table.entities[user].clone();
        let mut timeline = vec![(0.0, 0.0); self.log.grid.days()];
        let (mut observed, mut last) = (0.0, pair.day);
        for (day, events) in users.active(user) {
            timeline[day] = (events, events);
            if day >= pair.day {
                timeline[day].1 = events * overlap;
                observed += events;
                last = day;
            }
        }
        let days = pair.day..last + 1;
        let expected = observed * overlap;
        let end = self.log.grid.start(days.end).min(self.log.grid.end());
        Candidate {
            detector: Detector::Swap,
            who: parts(&dimension, &entity),
            dimension,
            entity,
            metric: Metric::Events,
            anchor: pair.day,
            edges: Some((self.log.grid.start(days.start), end)),
            days,
            observed,
            expected,
            excess_events: observed - expected,
            level_per_day: 0.0,
            dispersion: 0.0,
            raw_score: pair.score,
            score: pair.score,
            expected_false: None,
            cause: None,
            fact: None,
            seen: None,
            partner: None,
            timeline,
        }
    }
}
