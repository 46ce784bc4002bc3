//! What an excess is made of, and whether that has an honest cause.
//!
//! A new service or colleague lifts the tables and keys that it uses; a migration moves one key's people to
//! another. Both look like a rise of some entity, and both show in the finer views: the excess is carried
//! by a key or user that was born with it, or is mirrored by the same people's loss elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;

use slowleak_record::{Field, Micros, Registry};

use crate::cause::Cause;
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::slices::{Slice, Slices};
use crate::finding::Share;

/// Share of the excess that a cause must carry to explain it: most of it.
const EXPLAINED: f64 = 0.5;
/// A key or user born up to this many days before the rise can be its cause: newcomers take weeks to settle.
const BIRTH_DAYS: usize = 28;
/// By so many days into the log everybody has been seen who works every week; who is first seen later is new.
const KNOWN_DAYS: usize = 7;
/// Days before and after the rise that are compared for a migration.
const MIGRATION_DAYS: usize = 28;
/// A key issued this many days before its first use or less counts as newly issued.
const ISSUED_DAYS: i64 = 30;
/// Slices named a view; the rest is summed.
const NAMED: usize = 5;

/// An excess to be explained: who, when, and how much.
pub(crate) struct Excess<'a> {
    pub(crate) who: &'a [(Field, String)],
    pub(crate) days: Range<usize>,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
}

impl Excess<'_> {
    fn total(&self) -> f64 {
        self.observed - self.expected
    }

    /// Events of a slice in the interval, and what its part of the other days leads to expect there.
    fn slice(&self, daily: &Daily<'_>, slice: usize, outside: f64) -> (f64, f64) {
        let inside = daily.events_in(slice, &self.days);
        let elsewhere = daily.total(slice) - inside;
        (inside, if outside > 0.0 { self.expected * elsewhere / outside } else { 0.0 })
    }

    /// How the excess splits over slices by `by`, largest share first; slices that first appeared in the
    /// interval are summed in one line besides being named.
    pub(crate) fn shares(&self, slices: &Slices<'_>, by: Field) -> Vec<Share> {
        let Some((daily, parts)) = slices.of(self.who, by) else { return Vec::new() };
        let outside: f64 =
            parts.iter().map(|s| daily.total(s.entity) - daily.events_in(s.entity, &self.days)).sum();
        let mut shares: Vec<(Share, bool)> = parts
            .iter()
            .map(|part| {
                let (observed, expected) = self.slice(daily, part.entity, outside);
                let newcomer =
                    daily.active(part.entity).next().is_some_and(|(day, _)| self.days.contains(&day));
                let share = Share {
                    dimension: by.name().to_owned(),
                    value: part.value.clone(),
                    observed,
                    expected,
                    share: (observed - expected) / self.total(),
                };
                (share, newcomer)
            })
            .filter(|(share, _)| share.observed > 0.0)
            .collect();
        shares.sort_by(|(a, _), (b, _)| b.share.total_cmp(&a.share).then_with(|| a.value.cmp(&b.value)));
        let newcomers: Vec<&Share> = shares.iter().filter(|(_, new)| *new).map(|(share, _)| share).collect();
        let sum = |of: &dyn Fn(&Share) -> f64| newcomers.iter().map(|share| of(share)).sum::<f64>();
        let total = Share {
            dimension: by.name().to_owned(),
            value: format!("({} never seen here before)", newcomers.len()),
            observed: sum(&|share| share.observed),
            expected: sum(&|share| share.expected),
            share: sum(&|share| share.share),
        };
        let several = newcomers.len() > 1;
        let named = shares.into_iter().map(|(share, _)| share).take(NAMED);
        several.then_some(total).into_iter().chain(named).collect()
    }

    /// Values of `by` with their share of the excess; those that have a share of it only.
    pub(crate) fn carried(&self, slices: &Slices<'_>, by: Field) -> Vec<(String, f64)> {
        let Some((daily, parts)) = slices.of(self.who, by) else { return Vec::new() };
        let ratio = |part: &Slice| {
            let inside = daily.events_in(part.entity, &self.days);
            (inside, daily.total(part.entity) - inside)
        };
        let each: Vec<(f64, f64)> = parts.iter().map(ratio).collect();
        let (inside, outside) = each.iter().fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        // Of all events of these parts, not of the excess's own: they may be more.
        let expected = (inside - self.total()).max(0.0);
        let share = |(inside, elsewhere): (f64, f64)| {
            let usual = if outside > 0.0 { expected * elsewhere / outside } else { 0.0 };
            (inside - usual) / self.total()
        };
        let shares = parts.into_iter().zip(each).map(|(part, of)| (part.value, share(of)));
        shares.filter(|(_, share)| *share > 0.0).collect()
    }

    /// The honest cause, where one carries the excess.
    pub(crate) fn cause(&self, slices: &Slices<'_>, registry: &Registry, grid: &Grid) -> Option<Cause> {
        self.newcomers(slices, registry, grid).or_else(|| self.migration(slices))
    }

    /// Keys or users that first appeared with the rise, and carry it beyond what newcomers always do here. How much of it
    /// a newcomer carries is bounded by what it did with every part of the entity.
    fn newcomers(&self, slices: &Slices<'_>, registry: &Registry, grid: &Grid) -> Option<Cause> {
        [Field::Key, Field::User].into_iter().find_map(|by| {
            if self.who.iter().any(|(field, _)| *field == by) {
                return None;
            }
            let born = self.born(slices, by)?;
            let births = self.days.start.saturating_sub(BIRTH_DAYS).max(KNOWN_DAYS)..self.days.end;
            let carried = |(birth, name): &(usize, String)| {
                if !births.contains(birth) || !nothing_against(registry, by, name, grid.start(*birth)) {
                    return None;
                }
                let events = self.with(slices, by, name, &self.days)?;
                (events > 0.0).then(|| (events, name.clone()))
            };
            let mut carriers: Vec<(f64, String)> = born.iter().filter_map(carried).collect();
            carriers.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            let sum: f64 = carriers.iter().map(|(events, _)| events).sum();
            let beyond = sum - self.usual_turnover(slices, by, &born, &births);
            (beyond >= EXPLAINED * self.total())
                .then(|| Cause::Newcomers { by, names: carriers.into_iter().map(|(_, name)| name).collect() })
        })
    }

    /// Everybody of `by` who had a part in the entity and was not there from the start, with their first day.
    fn born(&self, slices: &Slices<'_>, by: Field) -> Option<Vec<(usize, String)>> {
        let everybody = slices.view(&[by])?;
        // The part with the fewest knows everybody who had a part in all.
        let parts = self.who.iter().filter_map(|part| slices.of(std::slice::from_ref(part), by));
        let (_, parts) = parts.min_by_key(|(_, slices)| slices.len())?;
        let born = parts.into_iter().filter_map(|slice| {
            let (birth, _) = everybody.active(everybody.find(&slice.value)?).next()?;
            (birth >= KNOWN_DAYS).then_some((birth, slice.value))
        });
        Some(born.collect())
    }

    /// Events of somebody with the entity; at most, where nobody counted all parts at once.
    fn with(&self, slices: &Slices<'_>, by: Field, name: &str, days: &Range<usize>) -> Option<f64> {
        let with = |part: &(Field, String)| slices.events(&[part.clone(), (by, name.to_owned())], days);
        self.who.iter().filter_map(with).min_by(f64::total_cmp)
    }

    /// What those who come in `births` would do in the interval if as many came as before, and did as much a day as
    /// those did: people come and go, and what is expected of the interval has that in it.
    fn usual_turnover(
        &self,
        slices: &Slices<'_>,
        by: Field,
        born: &[(usize, String)],
        births: &Range<usize>,
    ) -> f64 {
        let before = KNOWN_DAYS..births.start;
        if before.len() < 2 * KNOWN_DAYS {
            return 0.0;
        }
        let (mut count, mut events, mut days) = (0.0, 0.0, 0.0);
        for (birth, name) in born.iter().filter(|(birth, _)| before.contains(birth)) {
            let life = *birth..self.days.start;
            let here = self.with(slices, by, name, &life).unwrap_or(0.0);
            if here > 0.0 {
                (count, events, days) = (count + 1.0, events + here, days + life.len() as f64);
            }
        }
        // How many come is no surer than so many can tell: of one alone, nothing is usual.
        let count = f64::max(count - f64::sqrt(count), 0.0);
        let inside: usize = births.clone().map(|birth| self.days.end - birth.max(self.days.start)).sum();
        if days > 0.0 { count / before.len() as f64 * events / days * inside as f64 } else { 0.0 }
    }

    /// Compares who used the key in the weeks around the rise with what the same people (or sources) did
    /// on other keys: gains here that are losses there are a move, not a theft.
    fn migration(&self, slices: &Slices<'_>) -> Option<Cause> {
        let (_, key) = self.who.iter().find(|(field, _)| *field == Field::Key)?;
        let turn = self.days.start;
        let reach = MIGRATION_DAYS.min(turn);
        let (before, after) = (turn - reach..turn, turn..turn + reach);
        [Field::User, Field::Source].into_iter().find_map(|by| {
            let (daily, parts) = slices.of(&[(Field::Key, key.clone())], by)?;
            let change = |entity: usize| daily.events_in(entity, &after) - daily.events_in(entity, &before);
            let gains: BTreeMap<&str, f64> =
                parts.iter().map(|part| (part.value.as_str(), change(part.entity).max(0.0))).collect();
            let gained: f64 = gains.values().sum();
            let wanted = self.total() / self.days.len() as f64 * reach as f64;
            if gained <= 0.0 {
                return None;
            }
            // Losses of the same people on every other key.
            let mut lost: BTreeMap<&str, f64> = BTreeMap::new();
            let mut from: BTreeMap<String, f64> = BTreeMap::new();
            let dimension = &daily.table.view.dimension;
            let place = |field: Field| dimension.parts().iter().position(|part| *part == field);
            let (key_at, by_at) = (place(Field::Key)?, place(by)?);
            let gainers = gains.iter().filter(|(_, gain)| **gain > 0.0);
            let mut theirs: Vec<u32> = gainers
                .flat_map(|(person, _)| slices.with(dimension.parts(), by_at, person).iter().copied())
                .collect();
            theirs.sort_unstable();
            for entity in theirs.into_iter().map(|entity| entity as usize) {
                let values = dimension.split(&daily.table.entities[entity]);
                let (Some(other), Some(person)) = (values.get(key_at), values.get(by_at)) else { continue };
                let Some((person, gain)) = gains.get_key_value(person.as_str()) else { continue };
                if other == key || *gain <= 0.0 {
                    continue;
                }
                let loss = (-change(entity)).max(0.0);
                *lost.entry(person).or_default() += loss;
                *from.entry(other.clone()).or_default() += loss.min(*gain);
            }
            let moved: f64 =
                gains.iter().map(|(who, gain)| gain.min(lost.get(who).copied().unwrap_or(0.0))).sum();
            let (from, _) =
                from.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(&a.0)))?;
            // Of a slice of the key only what the other key's people did in that slice can have moved.
            let origin = (Field::Key, from.clone());
            let all = slices.events(std::slice::from_ref(&origin), &before)?;
            let in_slice = |part: &(Field, String)| {
                let events = slices.events(&[origin.clone(), part.clone()], &before).unwrap_or(0.0);
                if all > 0.0 { events / all } else { 0.0 }
            };
            let share: f64 =
                self.who.iter().filter(|(field, _)| *field != Field::Key).map(in_slice).product();
            let mirrored = moved >= EXPLAINED * gained && moved * share >= EXPLAINED * wanted;
            mirrored.then_some(Cause::Migration { from })
        })
    }
}

/// Whether the registry has nothing against a key or user that first appeared at `birth`: it knows no keys
/// at all, or the key is listed, was issued shortly before, and its owner (or the user) has not left.
fn nothing_against(registry: &Registry, by: Field, name: &str, birth: Micros) -> bool {
    let here = |user: &String| {
        registry.people.get(user).is_none_or(|person| person.left_at.is_none_or(|left| left >= birth))
    };
    if by == Field::User {
        return here(&name.to_owned());
    }
    if registry.keys.is_empty() {
        return true;
    }
    let Some(entry) = registry.keys.get(name) else { return false };
    let recent = entry.issued_at.is_none_or(|issued| {
        issued.0 < birth.0 + Micros::DAY && birth.0 - issued.0 <= ISSUED_DAYS * Micros::DAY
    });
    recent && entry.owner.as_ref().is_none_or(here)
}
