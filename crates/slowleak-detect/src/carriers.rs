//! Whether an excess is what a person or key, doing nothing unusual as a whole, does here.
//!
//! A key rises when its busiest user comes back from leave, a table when a batch reads it on a lively day. Whoever
//! carries such an excess has a series of its own, in which it would stand out were it added by somebody
//! else. If it does not, then nothing was added: the carrier is judged there, and its parts with it.

use std::collections::BTreeMap;

use slowleak_record::{Field, Registry};

use crate::attribution::{BIRTH_DAYS, Cause, EXPLAINED, Excess};
use crate::daily::Daily;
use crate::family::Family;
use crate::grid::Grid;
use crate::rules::end_of;
use crate::series::FIRST_DAYS;
use crate::slices::Slices;

/// Carriers looked at: an excess of many, each with a little of it, is nobody's habit.
const MOST_CARRIERS: usize = 3;

/// The families of persons and keys, already calibrated, that vouch for what they carry.
pub(crate) struct Carriers<'a> {
    pub(crate) judged: &'a [Family<'a>],
    pub(crate) slices: &'a Slices<'a>,
    pub(crate) registry: &'a Registry,
    pub(crate) grid: &'a Grid,
    /// Families and bands of the whole run, over which error control is shared.
    pub(crate) tails: f64,
}

/// What one carrier did with the entity, beyond what was expected of it there.
struct Part {
    name: String,
    excess: f64,
}

impl Carriers<'_> {
    /// The cause of the excess, where a few persons or keys carry it who did nothing unusual as a whole.
    pub(crate) fn cause(&self, excess: &Excess<'_>) -> Option<Cause> {
        [Field::User, Field::Key].into_iter().find_map(|by| {
            let family = self.judged.iter().find(|family| family.counts_events_of(by))?;
            let mut parts = self.parts(excess, by);
            parts.sort_by(|a, b| b.excess.total_cmp(&a.excess).then_with(|| a.name.cmp(&b.name)));
            parts.truncate(MOST_CARRIERS);
            let mut names = Vec::new();
            let mut explained = 0.0;
            for part in parts {
                if let Some(events) = self.explained(excess, family, by, &part) {
                    explained += events;
                    names.push(part.name);
                }
                if explained >= EXPLAINED * excess.total() {
                    return Some(Cause::Carried { by, names });
                }
            }
            None
        })
    }

    /// How much of the excess is the carrier's way of working; `None` where it was unusual itself.
    ///
    /// Either its share of work that falls here is what it was: then the excess is of its whole activity, and
    /// judged there. Or it came here from elsewhere: it did no more in all, and that much more would have shown.
    fn explained(&self, excess: &Excess<'_>, family: &Family<'_>, by: Field, part: &Part) -> Option<f64> {
        let daily = family.daily;
        let entity = daily.find(&part.name)?;
        if !self.known(excess, daily, by, part) || !family.is_usual(entity, excess.episodes, self.tails) {
            return None;
        }
        let whole = inside(excess, daily, entity);
        let elsewhere = daily.total(entity) - whole;
        let (mut beyond, mut beyond_object, mut object_share) = (0.0, 0.0, 1.0);
        for (field, value) in excess.who.iter().filter(|(field, _)| *field != by) {
            let link = [(by, part.name.clone()), (*field, value.clone())];
            let here: f64 =
                excess.episodes.iter().map(|days| self.slices.events(&link, days)).sum::<Option<f64>>()?;
            let outside = self.slices.events(&link, &(0..usize::MAX))? - here;
            // A share is no surer than what it was counted on.
            let usual = whole * (outside - outside.max(0.0).sqrt()).max(0.0) / elsewhere.max(1.0);
            let more = (here - usual).max(0.0);
            beyond = f64::max(beyond, more);
            if *field == Field::Object {
                beyond_object = more;
                object_share = here / whole.max(1.0);
            }
        }
        let kept = part.excess - beyond;
        let moved = part.excess - beyond_object;
        let shows = |events: f64| {
            events > 0.0 && family.would_find(entity, excess.episodes, events / object_share, self.tails)
        };
        Some(if moved > kept && shows(moved) { moved } else { kept }).filter(|explained| *explained > 0.0)
    }

    /// Whether the carrier was there long before the excess (a newcomer has no habit), and had not left by then.
    fn known(&self, excess: &Excess<'_>, daily: &Daily<'_>, by: Field, part: &Part) -> bool {
        let first = daily.find(&part.name).and_then(|entity| daily.active(entity).next());
        let established =
            first.is_some_and(|(day, _)| day < FIRST_DAYS || day + BIRTH_DAYS <= excess.days.start);
        let end = end_of(self.registry, by, &part.name);
        established && end.is_none_or(|end| self.grid.start(excess.days.end) <= end)
    }

    /// Everybody of `by` who had a part in the entity, with an upper bound of that part where no view counts it.
    fn parts(&self, excess: &Excess<'_>, by: Field) -> Vec<Part> {
        if let Some((_, name)) = excess.who.iter().find(|(field, _)| *field == by) {
            return vec![Part { name: name.clone(), excess: excess.total() }];
        }
        // By name: events inside, and the share outside of all that a part of the entity had there.
        let mut bounds: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (index, part) in excess.who.iter().enumerate() {
            let Some((daily, slices)) = self.slices.of(std::slice::from_ref(part), by) else {
                return Vec::new();
            };
            let events: Vec<(String, f64, f64)> = slices
                .into_iter()
                .map(|slice| {
                    let inside = inside(excess, daily, slice.entity);
                    (slice.value, inside, daily.total(slice.entity) - inside)
                })
                .collect();
            let outside = events.iter().map(|(_, _, outside)| outside).sum::<f64>().max(1.0);
            let of_part: BTreeMap<String, (f64, f64)> =
                events.into_iter().map(|(name, inside, out)| (name, (inside, out / outside))).collect();
            if index == 0 {
                bounds = of_part;
            } else {
                bounds.retain(|name, bound| {
                    let Some((inside, share)) = of_part.get(name) else { return false };
                    *bound = (bound.0.min(*inside), bound.1.max(*share));
                    true
                });
            }
        }
        bounds
            .into_iter()
            .map(|(name, (inside, share))| {
                let excess = inside.min(excess.observed) - excess.expected * share;
                Part { name, excess }
            })
            .collect()
    }
}

/// Events of an entity in the episodes.
fn inside(excess: &Excess<'_>, daily: &Daily<'_>, entity: usize) -> f64 {
    excess.episodes.iter().map(|days| daily.events_in(entity, days)).sum()
}
