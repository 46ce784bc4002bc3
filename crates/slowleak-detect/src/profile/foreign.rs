//! Accesses that are not an entity's own kind. In: a view by the entity and one more field (the action, the object), by
//! day. Out: for each entity and day how many of its accesses were foreign, and how many its own habit lets expect.
//!
//! Each access is weighed by the odds that it came from the entity's peers rather than from itself, both equally likely
//! before, as far as they are for the peers: w = max(0, (q - p) / (q + p)), with p the share of its value in the entity's
//! own accesses and q in its peers'. What an entity never does and others do weighs 1, what it does as much as others or
//! more weighs nothing. p is learnt from days at
//! least [`AWAY_DAYS`] off, so that a leak of weeks does not vouch for itself, and shrunk to q (the mean of a Dirichlet
//! posterior), so that who is hardly known is like everybody. Expected is the mean of w under p: no more is foreign to
//! somebody of whom all that is known is known from a few accesses.

use std::collections::BTreeMap;

use rayon::prelude::*;
use slowleak_record::Field;
use slowleak_rollup::Metric;

use crate::days::daily::Daily;
use crate::rate::part::Part;

/// An access vouches for those of other days only, this far away or further: four weeks, as the longest stretch at
/// which noise is measured.
const AWAY_DAYS: usize = 28;
/// The peers' profile counts as much as this many of an entity's own accesses: as few as an entity needs to be tested.
const PRIOR_EVENTS: f64 = 20.0;

/// Foreign accesses of the entities of `who`, by the values of the other field of `pairs`; `None` where there are no
/// two of them, or a single value.
pub(crate) fn foreign(who: &Daily<'_>, pairs: &Daily<'_>) -> Option<Part> {
    let [field] = who.table.view.dimension.parts() else { return None };
    let habits = Habits::read(who, pairs, *field)?;
    let of_entity = |entity: usize| habits.foreign(entity);
    Some(Part::of(Metric::Events, &(0..who.len()).into_par_iter().map(of_entity).collect::<Vec<_>>()))
}

/// Accesses by entity, day and value.
struct Habits {
    /// Of each entity (day, value, accesses), by day.
    cells: Vec<Vec<(usize, usize, f64)>>,
    /// Of each value the sum over entities of its share times the root of the entity's accesses: who does much says
    /// more, but not in proportion, or one robot would be everybody.
    shared: Vec<f64>,
    all: f64,
}

impl Habits {
    fn read(who: &Daily<'_>, pairs: &Daily<'_>, field: Field) -> Option<Self> {
        let dimension = &pairs.table.view.dimension;
        let place = dimension.parts().iter().position(|part| *part == field)?;
        let mut values = BTreeMap::<String, usize>::new();
        let mut cells = vec![Vec::new(); who.len()];
        for (pair, name) in pairs.table.entities.iter().enumerate() {
            let mut parts = dimension.split(name);
            if parts.len() != 2 {
                continue;
            }
            let value = parts.remove(1 - place);
            let Some(entity) = parts.first().and_then(|name| who.find(name)) else { continue };
            let next = values.len();
            let value = *values.entry(value).or_insert(next);
            cells[entity].extend(pairs.active(pair).map(|(day, events)| (day, value, events)));
        }
        let mut habits = Self { cells, shared: vec![0.0; values.len()], all: 0.0 };
        for entity in 0..habits.cells.len() {
            habits.cells[entity].sort_by_key(|(day, value, _)| (*day, *value));
            let weight = habits.weight(entity);
            for index in 0..habits.cells[entity].len() {
                let (_, value, events) = habits.cells[entity][index];
                habits.shared[value] += events * weight;
                habits.all += events * weight;
            }
        }
        let entities = habits.cells.iter().filter(|cells| !cells.is_empty()).count();
        (entities > 1 && values.len() > 1).then_some(habits)
    }

    /// What one of the entity's accesses adds to what is shared.
    fn weight(&self, entity: usize) -> f64 {
        let total: f64 = self.cells[entity].iter().map(|(_, _, events)| events).sum();
        if total > 0.0 { total.sqrt().recip() } else { 0.0 }
    }

    /// (day, foreign accesses, how many are expected) of an entity.
    fn foreign(&self, entity: usize) -> Vec<(usize, f64, f64)> {
        let cells = &self.cells[entity];
        let weight = self.weight(entity);
        // Everything that the entity ever does, with its accesses far from the day, and its share among peers.
        let mut own = BTreeMap::<usize, f64>::new();
        cells.iter().for_each(|(_, value, events)| *own.entry(*value).or_default() += events);
        let mut total: f64 = own.values().sum();
        let others = (self.all - total * weight).max(f64::MIN_POSITIVE);
        let peers: BTreeMap<usize, f64> = own
            .iter()
            .map(|(value, events)| (*value, ((self.shared[*value] - events * weight) / others).max(0.0)))
            .collect();
        let elsewhere = (1.0 - peers.values().sum::<f64>()).max(0.0);
        let (mut near, mut past) = (0, 0);
        let mut days = Vec::new();
        for of_day in cells.chunk_by(|a, b| a.0 == b.0) {
            let day = of_day[0].0;
            // Leaves out what comes near, takes back what is past.
            while near < cells.len() && cells[near].0 < day + AWAY_DAYS {
                let (_, value, events) = cells[near];
                own.entry(value).and_modify(|sum| *sum -= events);
                total -= events;
                near += 1;
            }
            while cells[past].0 + AWAY_DAYS <= day {
                let (_, value, events) = cells[past];
                own.entry(value).and_modify(|sum| *sum += events);
                total += events;
                past += 1;
            }
            let known = total + PRIOR_EVENTS;
            let share = |value: &usize, q: f64| {
                (own.get(value).copied().unwrap_or(0.0).max(0.0) + PRIOR_EVENTS * q) / known
            };
            // Of a value that nobody else has, q is 0, and it is the entity's own.
            let foreign = |p: f64, q: f64| if q > 0.0 { q / (p + q) } else { 0.0 };
            let unseen = PRIOR_EVENTS / known;
            let mut expected = unseen * elsewhere * foreign(unseen, 1.0);
            for (value, q) in &peers {
                let p = share(value, *q);
                expected += p * foreign(p, *q);
            }
            let (mut sum, mut events) = (0.0, 0.0);
            for (_, value, count) in of_day {
                let q = peers[value];
                sum += count * foreign(share(value, q), q);
                events += count;
            }
            days.push((day, sum, events * expected));
        }
        days
    }
}
