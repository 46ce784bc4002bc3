//! Accesses that are not an entity's own kind. In: a view by the entity and one more field (the action, the object), by
//! day. Out: for each entity and day how many of its accesses were foreign, and how many its own habit lets expect.
//!
//! Each access weighs as the chance that it came from the entity's peers rather than from itself, were both equally
//! likely before: w = q / (p + q), with p the share of its value in the entity's own accesses and q in its peers'. What an
//! entity never does and others do weighs 1, what it does as much as others 1/2, what nobody else does nothing. p is
//! learnt from days at least [`AWAY_DAYS`] off, so that a leak of weeks does not vouch for itself, and shrunk to q (the
//! mean of a Dirichlet posterior), so that who is hardly known is like everybody. Expected is the mean of w under p: much
//! is foreign to somebody who is hardly known, and that much is expected.

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
/// Days are judged of which an entity's own accesses say at least three times as much as the prior does. Where the prior speaks,
/// everything is foreign by half, to a robot of two tables as to anybody; its habit, learnt from better known days, is not.
const LEAST_KNOWN: f64 = 3.0 * PRIOR_EVENTS;

/// Foreign accesses of the entities of `who`, by the values of the other field of `pairs`; `None` where there are no
/// two of them, or a single value.
pub(crate) fn foreign(who: &Daily<'_>, pairs: &Daily<'_>) -> Option<Part> {
    let [field] = who.table.view.dimension.parts() else { return None };
    let habits = Habits::read(who, pairs, *field)?;
    let of_entity = |entity: usize| habits.foreign(entity);
    Some(Part::of(Metric::Events, &(0..who.len()).into_par_iter().map(of_entity).collect::<Vec<_>>()))
}

/// What every entity does, and its peers.
struct Habits<'a> {
    pairs: &'a Daily<'a>,
    /// Of each entity its pairs and their values.
    of_entity: Vec<Vec<(usize, usize)>>,
    /// Of each value the sum over entities of its share times the root of the entity's accesses: who does much says
    /// more, but not in proportion, or one robot would be everybody.
    shared: Vec<f64>,
    all: f64,
}

impl<'a> Habits<'a> {
    fn read(who: &Daily<'_>, pairs: &'a Daily<'a>, field: Field) -> Option<Self> {
        let dimension = &pairs.table.view.dimension;
        let place = dimension.parts().iter().position(|part| *part == field)?;
        let mut values = BTreeMap::<String, usize>::new();
        let mut of_entity = vec![Vec::new(); who.len()];
        for (pair, name) in pairs.table.entities.iter().enumerate() {
            let mut parts = dimension.split(name);
            if parts.len() != 2 {
                continue;
            }
            let value = parts.remove(1 - place);
            let Some(entity) = parts.first().and_then(|name| who.find(name)) else { continue };
            let next = values.len();
            of_entity[entity].push((pair, *values.entry(value).or_insert(next)));
        }
        let mut habits = Self { pairs, of_entity, shared: vec![0.0; values.len()], all: 0.0 };
        for entity in 0..habits.of_entity.len() {
            let weight = weight(habits.totals(entity).iter().sum());
            for (at, events) in habits.totals(entity).into_iter().enumerate() {
                let (_, value) = habits.of_entity[entity][at];
                habits.shared[value] += events * weight;
                habits.all += events * weight;
            }
        }
        let entities = habits.of_entity.iter().filter(|pairs| !pairs.is_empty()).count();
        (entities > 1 && values.len() > 1).then_some(habits)
    }

    /// All accesses of each of the entity's pairs.
    fn totals(&self, entity: usize) -> Vec<f64> {
        self.of_entity[entity].iter().map(|(pair, _)| self.pairs.total(*pair)).collect()
    }

    /// (day, foreign accesses, how many are expected) of an entity.
    fn foreign(&self, entity: usize) -> Vec<(usize, f64, f64)> {
        // By pair: its accesses far from the day, and the share of its value among peers.
        let mut own = self.totals(entity);
        let mut total: f64 = own.iter().sum();
        let weight = weight(total);
        let others = (self.all - total * weight).max(f64::MIN_POSITIVE);
        let peer = |((_, value), events): (&(usize, usize), &f64)| {
            ((self.shared[*value] - events * weight) / others).max(0.0)
        };
        let peers: Vec<f64> = self.of_entity[entity].iter().zip(&own).map(peer).collect();
        let elsewhere = (1.0 - peers.iter().sum::<f64>()).max(0.0);
        let mut cells: Vec<(usize, usize, f64)> = Vec::new();
        for (at, (pair, _)) in self.of_entity[entity].iter().enumerate() {
            cells.extend(self.pairs.active(*pair).map(|(day, events)| (day, at, events)));
        }
        cells.sort_by_key(|(day, at, _)| (*day, *at));
        let (mut near, mut past) = (0, 0);
        let mut days = Vec::new();
        for of_day in cells.chunk_by(|a, b| a.0 == b.0) {
            let day = of_day[0].0;
            // Leaves out what comes near, takes back what is past.
            while near < cells.len() && cells[near].0 < day + AWAY_DAYS {
                let (_, at, events) = cells[near];
                own[at] -= events;
                total -= events;
                near += 1;
            }
            while cells[past].0 + AWAY_DAYS <= day {
                let (_, at, events) = cells[past];
                own[at] += events;
                total += events;
                past += 1;
            }
            if total < LEAST_KNOWN {
                continue;
            }
            let known = total + PRIOR_EVENTS;
            let share = |at: usize| (own[at].max(0.0) + PRIOR_EVENTS * peers[at]) / known;
            // Of a value that nobody else has, q is 0, and it is the entity's own.
            let foreign = |p: f64, q: f64| if q > 0.0 { q / (p + q) } else { 0.0 };
            let unseen = PRIOR_EVENTS / known;
            let mut expected = unseen * elsewhere * foreign(unseen, 1.0);
            expected += (0..own.len()).map(|at| share(at) * foreign(share(at), peers[at])).sum::<f64>();
            let (mut sum, mut events) = (0.0, 0.0);
            for (_, at, count) in of_day {
                sum += count * foreign(share(*at), peers[*at]);
                events += count;
            }
            days.push((day, sum, events * expected));
        }
        days
    }
}

/// What one access of an entity with so many adds to what is shared.
fn weight(total: f64) -> f64 {
    if total > 0.0 { total.sqrt().recip() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use slowleak_record::Micros;
    use slowleak_rollup::{DayTable, Table};

    use super::*;
    use crate::days::grid::Grid;

    /// Daily counts, the same on every day of a range.
    fn table(view: &str, rows: &[(&str, std::ops::Range<i64>, i64)]) -> DayTable {
        let mut table = Table {
            view: view.parse().unwrap(),
            entities: Vec::new(),
            offsets: vec![0],
            windows: Vec::new(),
            counts: Default::default(),
            sketches: Default::default(),
        };
        for (entity, days, count) in rows {
            table.entities.push((*entity).to_owned());
            table.windows.extend(days.clone().map(|day| Micros(day * Micros::DAY)));
            table.counts[Metric::Events as usize].extend(days.clone().map(|_| count));
            table.offsets.push(table.windows.len());
        }
        DayTable::of(&table)
    }

    #[test]
    fn a_job_of_weeks_does_nothing_foreign() {
        // In the middle of its seven weeks nothing far enough away is known of it.
        let tables = [
            table("user@1d:events", &[("job", 0..50, 130), ("other", 0..180, 100)]),
            table(
                "user+action@1d:events",
                &[
                    ("job + a", 0..50, 40),
                    ("job + b", 0..50, 90),
                    ("other + a", 0..180, 1),
                    ("other + b", 0..180, 1),
                    ("other + c", 0..180, 98),
                ],
            ),
        ];
        let grid = Grid::of(&tables).unwrap();
        let [users, pairs] = tables.each_ref().map(|table| Daily::of(table, &grid).unwrap());
        let habits = Habits::read(&users, &pairs, Field::User).unwrap();
        let job = habits.foreign(users.find("job").unwrap());
        assert!(job.len() > 40 && job.iter().all(|(_, foreign, _)| *foreign < 0.2 * 130.0), "{job:?}");
    }
}
