//! Whether an excess is what a person or key, doing nothing unusual as a whole, does here.
//!
//! A key rises when its busiest user comes back from leave, a table when somebody who reads it has a lively day. Whoever
//! carries such an excess has a series of its own, with noise of its own. Where nothing stands out there, nothing is
//! claimed here: the carrier is judged as a whole, and its parts with it.

use std::ops::Range;

use slowleak_record::{Field, Registry};

use crate::cause::{Carrier, Cause};
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::slices::{Slice, Slices};
use crate::rate::family::{Family, Found, Standing};
use crate::rate::score::Sample;
use crate::rules::end_of;

/// Carriers looked at: an excess of many, each with a little of it, is nobody's habit.
const MOST_CARRIERS: usize = 3;

/// Who does this many times as much as usual besides what it does here, and more than here, has a lively day.
const LIVELY: f64 = 3.0;
/// As usual counts at least so much: of who is hardly ever there, a few accesses would be many times as much.
const LIVELY_COUNTS: f64 = 5.0;

/// The persons and keys of a run, who vouch for what they carry.
pub(crate) struct Carriers<'a> {
    pub(crate) families: &'a [Family<'a>],
    pub(crate) slices: &'a Slices<'a>,
    pub(crate) registry: &'a Registry,
    pub(crate) grid: &'a Grid,
    /// Families and bands, over which error control is shared.
    pub(crate) tails: f64,
}

/// A rise of an entity, made of the parts `who`, that is a finding of its family.
pub(crate) struct Rise<'a> {
    pub(crate) family: &'a Family<'a>,
    pub(crate) found: &'a Found,
    pub(crate) who: &'a [(Field, String)],
}

/// At most how much of an excess is a carrier's own.
struct Part {
    name: String,
    /// If it did more of all that it does.
    kept: f64,
    /// If it came to the key from elsewhere: then it may have read the object before, too.
    moved: f64,
}

impl Carriers<'_> {
    /// The cause of the rise, where a few persons or keys carry it who did nothing unusual as a whole, and what
    /// they leave of it would be no finding. The largest must all be in order: smaller ones explain nothing alone.
    pub(crate) fn cause(&self, rise: &Rise<'_>) -> Option<Cause> {
        // Persons carry what keys and objects do, keys what objects do.
        let has = |field: Field| rise.who.iter().any(|(part, _)| *part == field);
        let user = (!has(Field::User)).then_some(Field::User);
        let key = has(Field::Object).then_some(Field::Key);
        user.into_iter().chain(key).find_map(|by| {
            let family = self.families.iter().find(|family| family.counts_events_of(by))?;
            let mut parts = self.parts(rise, by);
            let most = |part: &Part| part.kept.max(part.moved);
            parts.sort_by(|a, b| most(b).total_cmp(&most(a)).then_with(|| a.name.cmp(&b.name)));
            let campaign = &rise.found.campaign;
            // Who can not be judged can not vouch.
            family.tails[campaign.band as usize].scale?;
            let mut carriers = Vec::new();
            let (mut explained, mut nats) = (0.0, 0.0);
            for part in parts.into_iter().take(MOST_CARRIERS) {
                let entity = self.known(rise, family, by, &part.name)?;
                let standing = family.standing(entity, &campaign.episodes)?;
                let Sample { count, expected, .. } = standing.within;
                explained += self.explained(rise, family, by, entity, &part, &standing)?;
                // Several may each keep below what stands out.
                nats +=
                    family.nats_in(entity, &campaign.episodes, &standing).unwrap_or_else(|| standing.nats());
                if family.is_finding(campaign.band, nats, family.tested.len(), self.tails) {
                    return None;
                }
                carriers.push(Carrier {
                    name: part.name,
                    did: count.round() as u64,
                    usual: expected.round() as u64,
                });
                if !rise.family.outlives(campaign, explained, self.tails) {
                    return Some(Cause::Carried { by, carriers });
                }
            }
            None
        })
    }

    /// The carrier, where it has a habit, had not left by then, and did nothing that stands out.
    fn known(&self, rise: &Rise<'_>, family: &Family<'_>, by: Field, name: &str) -> Option<usize> {
        let campaign = &rise.found.campaign;
        let entity = family.daily.find(name)?;
        let left =
            end_of(self.registry, by, name).is_some_and(|end| end < self.grid.start(campaign.span().end));
        let in_order = !left
            && family.has_habit(entity, campaign.span().start)
            && family.is_usual(entity, &campaign.episodes, self.tails);
        in_order.then_some(entity)
    }

    /// How much of the carrier's part is its way of working.
    ///
    /// Either whatever else it did rose many times, too, and by no less: who leaks adds to one place and leaves the rest as
    /// it is. Or its share of work that falls here is what it was: then the excess is of its whole activity, which has been
    /// judged. Or it came here from elsewhere and did no more in all, where as much more would have shown.
    fn explained(
        &self,
        rise: &Rise<'_>,
        family: &Family<'_>,
        by: Field,
        entity: usize,
        part: &Part,
        standing: &Standing,
    ) -> Option<f64> {
        let campaign = &rise.found.campaign;
        let episodes = &campaign.episodes;
        let whole = sum(family.daily, entity, episodes);
        let most = part.kept.max(part.moved);
        let rest = whole - most;
        if rest >= LIVELY * standing.within.expected.max(LIVELY_COUNTS) && rest >= most {
            return Some(most);
        }
        let elsewhere = family.daily.total(entity) - whole;
        // What it did beyond its usual share: with each part of the entity, since whatever is added here is added to
        // both, and with the object alone.
        let (mut beyond, mut beyond_object, mut object_share) = (f64::INFINITY, 0.0, 1.0);
        for of in rise.who.iter().filter(|(field, _)| *field != by) {
            let link = [(by, part.name.clone()), of.clone()];
            let here = self.events(&link, episodes)?;
            let outside = self.slices.events(&link, &(0..usize::MAX))? - here;
            // A share is no surer than what it was counted on.
            let usual = whole * (outside - outside.max(0.0).sqrt()).max(0.0) / elsewhere.max(1.0);
            let more = (here - usual).max(0.0);
            beyond = f64::min(beyond, more);
            if of.0 == Field::Object {
                (beyond_object, object_share) = (more, here / whole.max(1.0));
            }
        }
        let (kept, moved) = (part.kept - beyond, part.moved - beyond_object);
        // Who adds to one object unseen must add to all that the carrier reads, in proportion.
        let shows = || {
            let added = moved / object_share;
            let nats = || standing.nats_of(added);
            added.is_finite() && family.is_finding(campaign.band, nats(), family.tested.len(), self.tails)
        };
        Some(if moved > kept.max(0.0) && shows() { moved } else { kept }).filter(|events| *events > 0.0)
    }

    /// Everybody of `by` who had a part in the entity, with at most how much of the excess is theirs: what they did
    /// inside, less what they did on other days times the ratio that was expected of the entity.
    fn parts(&self, rise: &Rise<'_>, by: Field) -> Vec<Part> {
        let Rise { family, found: Found { entity, campaign, .. }, who } = *rise;
        let (observed, expected) = (campaign.observed, campaign.expected);
        if let Some((_, name)) = who.iter().find(|(field, _)| *field == by) {
            let all = observed - expected;
            return vec![Part { name: name.clone(), kept: all, moved: 0.0 }];
        }
        let others = family.other_days(*entity, &campaign.episodes);
        let ratio = expected / sum(family.daily, *entity, &others).max(1.0);
        let Some(carriers) = self.slices.view(&[by]) else { return Vec::new() };
        let parts = who.iter().map(|part| Some((part, self.slices.of(std::slice::from_ref(part), by)?)));
        let Some(mut parts) = parts.collect::<Option<Vec<_>>>() else { return Vec::new() };
        // The part with the fewest knows everybody who had a part in all.
        parts.sort_by_key(|(_, (_, slices))| slices.len());
        let mut parts = parts.into_iter();
        let Some((first, (daily, slices))) = parts.next() else { return Vec::new() };
        let of_carrier = |slice: Slice| {
            let whole = sum(carriers, carriers.find(&slice.value)?, &campaign.episodes);
            // What it did with all parts at once nobody counted: by chance it is the product of the shares.
            let mut at_once = whole;
            let (mut kept, mut moved) = (f64::INFINITY, 0.0);
            for part in who {
                let (here, there) = if part == first {
                    let sum = |days| sum(daily, slice.entity, days);
                    (sum(&campaign.episodes), sum(&others))
                } else {
                    let link = [part.clone(), (by, slice.value.clone())];
                    (self.events(&link, &campaign.episodes)?, self.events(&link, &others)?)
                };
                let more = here - ratio * there;
                kept = kept.min(more);
                if part.0 == Field::Key {
                    moved = more;
                }
                at_once *= here / whole.max(1.0);
            }
            let most = at_once.min(observed - expected);
            Some(Part { name: slice.value, kept: kept.min(most), moved: moved.min(most) })
        };
        slices.into_iter().filter_map(of_carrier).filter(|part| part.kept.max(part.moved) > 0.0).collect()
    }

    /// Events of the entity with these parts on some days; `None` where no view has them.
    fn events(&self, who: &[(Field, String)], days: &[Range<usize>]) -> Option<f64> {
        days.iter().map(|days| self.slices.events(who, days)).sum()
    }
}

/// Events of an entity on some days.
fn sum(daily: &Daily<'_>, entity: usize, days: &[Range<usize>]) -> f64 {
    days.iter().map(|days| daily.events_in(entity, days)).sum()
}
