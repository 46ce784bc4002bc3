//! Two people who from a day on work as each other did: ids exchanged, or one account handed on. Volume shows nothing.
//!
//! In: on which days each entity touched what ([`Habit`]). Out: pairs, with the day. For entities a and b and a day t, the
//! evidence that a is b since t is the log-likelihood ratio of what a touched since then under what b touched before
//! against what a itself did before:
//!
//! ```text
//! e(a, b, t) = sum over v of m[a, v] ln(p[b, v] / p[a, v]),   p[x, v] = (n[x, v] + A q[v]) / (n[x] + A)
//! ```
//!
//! with n the days before t on which x touched v, m those since, and q the shares of v in everybody's days (the mean of a
//! Dirichlet posterior; nothing is fitted to the days since). A pair is as sure as the lesser of e(a, b, t) and
//! e(b, a, t): a new job makes one of them large, an exchange both. Days, not accesses, are counted, since accesses come
//! in bursts; what habits wander all the same is divided out, as in quasi-likelihood (McCullagh and Nelder, "Generalized
//! Linear Models", 1989, chapter 9): by the median over entities of how much their own two halves differ, against chance.
//!
//! Values must be habits at all: where cases go from desk to desk, everybody touches later what somebody else touched
//! before. So nothing is said by values of which the median entity keeps less than half ([`LASTING`]).

use std::sync::Arc;

use rayon::prelude::*;

use crate::profile::habit::{Habit, LEAST, middle, overlap, touches, wander};

/// The shares of everybody count as much as this many days of an entity.
const PRIOR_DAYS: f64 = 5.0;
/// What of its profile the median entity keeps from its first half to its second, at the least: most of it.
const LASTING: f64 = 0.5;
/// Share of the others who may keep as little of their profile as one who was exchanged.
const RARE: f64 = 0.05;
/// Days, at the most, that are tried at first; then those around the best.
const SPLITS: usize = 64;
/// The least distance of these, and from either end of the log, in days.
const WEEK: usize = 7;
/// Pairs of people, over all values, that are compared on a day that is tried: a tenth of a second.
const MOST_COMPARED: usize = 1 << 26;

/// A pair of entities, by position, with the day of the exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair {
    pub(crate) partner: usize,
    pub(crate) day: usize,
    /// Nats, tempered.
    pub(crate) score: f64,
}

/// Score and day of a pair, where it is more likely than not.
type Scored = Option<(f64, usize)>;

/// What the days from some day on say of every pair.
struct Evidence {
    entities: usize,
    /// What each entity touched on the days before, and since.
    known: Vec<f64>,
    touched: Vec<f64>,
    /// Of each pair the nats for another's habits, and of each entity those for its own.
    others: Vec<f64>,
    own: Vec<f64>,
}

impl Evidence {
    fn knows(&self, entity: usize) -> bool {
        self.known[entity] >= LEAST && self.touched[entity] >= LEAST
    }

    /// e(a, b).
    fn of(&self, a: usize, b: usize) -> f64 {
        let known = ((self.known[a] + PRIOR_DAYS) / (self.known[b] + PRIOR_DAYS)).ln();
        self.others[a * self.entities + b] - self.own[a] + self.touched[a] * known
    }
}

/// The habits of entities, ready to be compared.
pub(crate) struct Habits<'a> {
    habits: &'a [Habit],
    days: usize,
    /// Every (value, entity, day), ascending.
    touches: Vec<(usize, usize, usize)>,
    /// Shares of everybody's values.
    shares: Arc<[f64]>,
    /// How much more habits wander than chance; at least 1.
    wander: f64,
}

impl<'a> Habits<'a> {
    /// Habits over values 0 to `values` on a log of so many days.
    pub(crate) fn of(habits: &'a [Habit], values: usize, days: usize) -> Self {
        let mut shares = vec![0.0; values];
        for habit in habits {
            let weight = (habit.len().max(1) as f64).sqrt().recip();
            habit.iter().for_each(|(_, value)| shares[*value] += weight);
        }
        let all: f64 = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        shares.iter_mut().for_each(|share| *share /= all);
        let mut wander: Vec<f64> = habits.iter().filter_map(wander).collect();
        wander.sort_by(f64::total_cmp);
        let wander = wander.get(wander.len() / 2).copied().unwrap_or(1.0).max(1.0);
        Self { habits, days, touches: touches(habits), shares: shares.into(), wander }
    }

    /// Whether so many people touch so many of the same values that to compare them would take too long.
    pub(crate) fn too_many(&self) -> bool {
        let people = |of_value: &[(usize, usize, usize)]| of_value.chunk_by(|a, b| a.1 == b.1).count();
        let of_values = self.touches.chunk_by(|a, b| a.0 == b.0);
        of_values.map(|of_value| people(of_value).pow(2)).sum::<usize>() > MOST_COMPARED
    }

    /// Whether these are habits: whether most of them last.
    pub(crate) fn last(&self) -> bool {
        let enough = |habit: &&Habit| habit.len() as f64 >= 2.0 * LEAST;
        let kept = |habit: &Habit| middle(habit).map(|day| overlap(habit, day));
        let mut kept: Vec<f64> = self.habits.iter().filter(enough).filter_map(kept).collect();
        kept.sort_by(f64::total_cmp);
        kept.get(kept.len() / 2).is_some_and(|kept| *kept >= LASTING)
    }

    /// How many days can be tried at all.
    pub(crate) fn splits(&self) -> usize {
        (self.days / WEEK).saturating_sub(1).min(SPLITS)
    }

    /// Which entities have habits on both sides of some day.
    pub(crate) fn known(&self) -> Vec<bool> {
        self.habits.iter().map(|habit| habit.len() as f64 >= 2.0 * LEAST).collect()
    }

    /// Every entity in the best pair with one that is in no better pair: who was exchanged resembles third parties, too.
    pub(crate) fn best(&self) -> Vec<Option<Pair>> {
        let step = (self.days / (self.splits() + 1)).max(WEEK);
        let coarse = (1..=self.splits()).map(|split| split * step).filter(|day| day + WEEK <= self.days);
        let mut best = self.matched(&self.among(&coarse.collect::<Vec<_>>()));
        // The days around the best ones, for the edge.
        for (entity, best) in best.iter_mut().enumerate() {
            let Some(pair) = best else { continue };
            let days = pair.day.saturating_sub(step - 1).max(1)..(pair.day + step).min(self.days);
            let both = [self.habits[entity].clone(), self.habits[pair.partner].clone()];
            let (touches, shares) = (touches(&both), Arc::clone(&self.shares));
            let two = Habits { habits: &both, days: self.days, touches, shares, wander: self.wander };
            if let Some((score, day)) = two.among(&days.collect::<Vec<_>>())[1]
                && score > pair.score
            {
                *pair = Pair { day, score, ..*pair };
            }
        }
        best
    }

    fn matched(&self, scores: &[Scored]) -> Vec<Option<Pair>> {
        let entities = self.habits.len();
        let mut pairs: Vec<(f64, usize, usize, usize)> = (0..scores.len())
            .filter_map(|at| scores[at].map(|(score, day)| (score, at / entities, at % entities, day)))
            .collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut matched: Vec<Option<Pair>> = vec![None; entities];
        for (score, a, b, day) in pairs {
            if matched[a].is_none() && matched[b].is_none() {
                matched[a] = Some(Pair { partner: b, day, score });
                matched[b] = Some(Pair { partner: a, day, score });
            }
        }
        matched
    }

    fn among(&self, days: &[usize]) -> Vec<Scored> {
        let none = || vec![None; self.habits.len() * self.habits.len()];
        let of_days = |days: &[usize]| days.iter().fold(none(), |best, day| merged(best, self.at(*day)));
        // Fixed portions: the same result whatever the threads; of equals the earliest.
        days.par_chunks(8).map(of_days).collect::<Vec<_>>().into_iter().fold(none(), merged)
    }

    /// What is said for an exchange on this day, of every pair; the earlier entity's rows have it.
    fn at(&self, day: usize) -> Vec<Scored> {
        let entities = self.habits.len();
        let evidence = self.evidence(day);
        let known: Vec<usize> = (0..entities).filter(|entity| evidence.knows(*entity)).collect();
        let more = |a: usize, b: usize| evidence.of(a, b) / self.wander;
        let mut best = vec![None; entities * entities];
        for (index, &a) in known.iter().enumerate() {
            for &b in &known[index + 1..] {
                let score = more(a, b).min(more(b, a));
                if score > 0.0 {
                    best[a * entities + b] = Some((score, day));
                }
            }
        }
        best
    }

    /// What the days from `day` on say of every pair.
    fn evidence(&self, day: usize) -> Evidence {
        let entities = self.habits.len();
        let before = |habit: &Habit| habit.partition_point(|(at, _)| *at < day);
        let known = self.habits.iter().map(|habit| before(habit) as f64).collect();
        let touched = self.habits.iter().map(|habit| (habit.len() - before(habit)) as f64).collect();
        let (others, own) = (vec![0.0; entities * entities], vec![0.0; entities]);
        let mut evidence = Evidence { entities, known, touched, others, own };
        // Who touched a value: (entity, ln(1 + n / (A q)), days since). Who never did so before has a gain of nothing.
        let mut who: Vec<(usize, f64, f64)> = Vec::new();
        for of_value in self.touches.chunk_by(|a, b| a.0 == b.0) {
            who.clear();
            for of_entity in of_value.chunk_by(|a, b| a.1 == b.1) {
                let (value, entity, _) = of_entity[0];
                if evidence.knows(entity) {
                    let n = of_entity.partition_point(|(_, _, at)| *at < day);
                    let gain = (n as f64 / (PRIOR_DAYS * self.shares[value])).ln_1p();
                    who.push((entity, gain, (of_entity.len() - n) as f64));
                }
            }
            for &(a, gain, m) in who.iter().filter(|(_, _, m)| *m > 0.0) {
                evidence.own[a] += m * gain;
                let row = &mut evidence.others[a * entities..(a + 1) * entities];
                who.iter().for_each(|(b, gain, _)| row[*b] += m * gain);
            }
        }
        evidence
    }

    /// Whether the entity's profile is kept less, from before a day to since, than that of all but [`RARE`] of the others:
    /// small drifts that happen to cross are no exchange, however well they are counted.
    pub(crate) fn changed(&self, entity: usize, partner: usize, day: usize) -> bool {
        let kept = self.overlap(entity, day);
        let known = |habit: &Habit| {
            let before = habit.partition_point(|(at, _)| *at < day);
            before as f64 >= LEAST && (habit.len() - before) as f64 >= LEAST
        };
        let others = || (0..self.habits.len()).filter(|other| *other != entity && *other != partner);
        let others: Vec<f64> =
            others().filter(|o| known(&self.habits[*o])).map(|o| self.overlap(o, day)).collect();
        let as_little = others.iter().filter(|other| **other <= kept).count();
        as_little as f64 <= RARE * others.len() as f64
    }

    /// The share of what the entity touched since a day that is as before: the overlap of the two profiles, 0 to 1.
    pub(crate) fn overlap(&self, entity: usize, day: usize) -> f64 {
        overlap(&self.habits[entity], day)
    }
}

fn merged(mut a: Vec<Scored>, b: Vec<Scored>) -> Vec<Scored> {
    for (a, b) in a.iter_mut().zip(b) {
        if b.is_some_and(|(score, _)| a.is_none_or(|(best, _)| score > best)) {
            *a = b;
        }
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty entities, each with three values of its own among ten; on each day one of them, in turn. From day 120 on
    /// `who` says whose values an entity touches.
    fn habits(who: impl Fn(usize) -> usize) -> Vec<Habit> {
        let value = |entity: usize, day: usize| (entity * 7 + (day % 3) * (1 + entity % 4)) % 10;
        let of = |entity: usize| -> Habit {
            (0..180).map(|day| (day, value(if day < 120 { entity } else { who(entity) }, day))).collect()
        };
        (0..30).map(of).collect()
    }

    #[test]
    fn an_exchange_names_both_and_its_day() {
        let habits = habits(|entity| match entity {
            4 => 9,
            9 => 4,
            other => other,
        });
        let habits = Habits::of(&habits, 10, 180);
        assert!(habits.last());
        let best = habits.best();
        let (a, b) = (best[4].unwrap(), best[9].unwrap());
        assert_eq!((a.partner, b.partner), (9, 4));
        assert!(a.day.abs_diff(120) <= 2 && a.score > 30.0, "{a:?}");
        assert!(best.iter().enumerate().all(|(entity, pair)| [4, 9].contains(&entity) || pair.is_none()));
        assert!(habits.overlap(4, 120) < 0.7 && habits.overlap(5, 120) > 0.9);
    }

    #[test]
    fn a_new_job_is_no_exchange() {
        let habits = habits(|entity| if entity == 4 { 9 } else { entity });
        assert!(Habits::of(&habits, 10, 180).best().iter().all(Option::is_none));
    }

    #[test]
    fn what_goes_from_desk_to_desk_is_no_habit() {
        // A case a day, which the next desk has a month later.
        let of =
            |desk: usize| -> Habit { (0..180).map(|day| (day, 30 * 5 + day - 30 * (desk % 5))).collect() };
        let habits: Vec<Habit> = (0..30).map(of).collect();
        assert!(!Habits::of(&habits, 400, 180).last());
    }
}
