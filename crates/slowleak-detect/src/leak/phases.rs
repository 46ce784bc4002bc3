//! Phases of one leak: findings of one actor that follow each other, or that come back to the same place.
//!
//! In: folds, each a finding by itself. Out: leaks, each of one fold or of several in the order of time. Nothing is joined
//! that error control did not let through alone, and the surest phase lends the leak its odds: so joining claims nothing
//! beyond what its parts do.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use slowleak_record::Field;

use crate::candidate::Candidate;
use crate::cause::attribution::Excess;
use crate::days::slices::Slices;
use crate::leak::CARRIED;
use crate::leak::fold::Fold;
use crate::rate::episode::RISE_SHARE;

/// Days between the end of one phase and the start of the next, at most, that make it a handover: edges of weak leaks are
/// that uncertain.
const HANDOVER_DAYS: usize = 2;
/// Share of an excess that tells hands apart: what finer views bound is less sure than what they count.
const MOST: f64 = 0.5;

/// Groups folds into leaks, in the order in which their first phases come in `folds`.
pub(crate) fn phases(folds: Vec<Fold>, slices: &Slices<'_>) -> Vec<Vec<Fold>> {
    let mut phases: Vec<Phase> = folds.into_iter().map(|fold| Phase::of(fold, slices)).collect();
    phases.sort_by(Phase::in_time);
    let mut leaks: Vec<Vec<Phase>> = Vec::new();
    for phase in phases {
        let continued = |leak: &&mut Vec<Phase>| {
            leak.iter().all(|one| one.agrees(&phase)) && leak.iter().any(|one| one.leads_to(&phase))
        };
        match leaks.iter_mut().find(continued) {
            Some(leak) => leak.push(phase),
            None => leaks.push(vec![phase]),
        }
    }
    leaks.into_iter().map(|leak| leak.into_iter().map(|phase| phase.fold).collect()).collect()
}

/// A fold, and who is behind it as far as the finer views can tell.
struct Phase {
    fold: Fold,
    key: Option<String>,
    user: Option<String>,
    /// Who seems to have done most of it, where nobody surely did nearly all; and from where nearly all of it came.
    hand: Option<String>,
    source: Option<String>,
    /// What nearly all of it went to.
    object: Option<String>,
}

impl Phase {
    fn of(fold: Fold, slices: &Slices<'_>) -> Self {
        let lead = &fold[0];
        let most = |field: Field, least: f64| {
            let carried =
                || carriers(lead, field, slices).into_iter().next().filter(|(_, share)| *share >= least);
            lead.part(field).map(str::to_owned).or_else(|| carried().map(|(name, _)| name))
        };
        Self {
            key: most(Field::Key, CARRIED),
            user: most(Field::User, CARRIED),
            hand: most(Field::User, MOST),
            source: most(Field::Source, CARRIED),
            object: most(Field::Object, CARRIED),
            fold,
        }
    }

    fn lead(&self) -> &Candidate {
        &self.fold[0]
    }

    fn in_time(&self, other: &Self) -> Ordering {
        let name = |phase: &Self| {
            let lead = phase.lead();
            (lead.days.start, lead.days.end, lead.dimension.clone(), lead.entity.clone(), lead.metric)
        };
        name(self).cmp(&name(other))
    }

    /// Whether both are likelihoods without an honest cause, of one key or user, and nobody else seems to have done the
    /// one than the other.
    fn agrees(&self, other: &Self) -> bool {
        let likely = |phase: &Self| {
            let one = phase.lead();
            one.cause.is_none() && one.fact.is_none() && one.partner.is_none()
        };
        likely(self)
            && likely(other)
            && !differ(&self.hand, &other.hand)
            && (same(&self.user, &other.user) || same(&self.key, &other.key))
    }

    /// Whether a later phase continues this one.
    fn leads_to(&self, later: &Self) -> bool {
        self.hands_over(later) || self.comes_back(later)
    }

    /// Whether the later one begins as this one ends: who changes the place or the manner does not pause.
    fn hands_over(&self, later: &Self) -> bool {
        let (end, start) = (self.lead().days.end, later.lead().days.start);
        end.abs_diff(start) <= HANDOVER_DAYS
    }

    /// Whether the later one is the same rise of the same place again, and neither on one other object nor from one other
    /// source alone. Who rotates sources is not told apart by them.
    fn comes_back(&self, later: &Self) -> bool {
        let (a, b) = (self.lead(), later.lead());
        let rise = |one: &Candidate| (one.observed / one.expected.max(0.5)).ln();
        let (one, other) = (rise(a), rise(b));
        (&a.dimension, &a.entity, a.metric) == (&b.dimension, &b.entity, b.metric)
            && !differ(&self.source, &later.source)
            && !differ(&self.object, &later.object)
            && one.min(other) >= RISE_SHARE * one.max(other)
    }
}

fn same(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_some() && a == b
}

fn differ(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_some() && b.is_some() && a != b
}

/// Who carries a candidate's excess: values of a field with their shares of it, the largest first. Where no view has all
/// parts of the candidate and the field, a value's share is bounded by what it has of each part.
fn carriers(lead: &Candidate, by: Field, slices: &Slices<'_>) -> Vec<(String, f64)> {
    if lead.part(by).is_some() {
        return Vec::new();
    }
    // In accesses, whatever was counted: slices know nothing else.
    let all = Excess { who: &lead.who, days: lead.days.clone(), observed: lead.excess_events, expected: 0.0 };
    let exact = all.carried(slices, by);
    let mut shares: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    if exact.is_empty() && lead.who.len() > 1 {
        for part in &lead.who {
            let part = std::slice::from_ref(part);
            let excess = Excess { who: part, days: lead.days.clone(), ..all };
            for (name, share) in excess.carried(slices, by) {
                let (parts, least) = shares.entry(name).or_insert((0, f64::INFINITY));
                *parts += 1;
                *least = least.min(share);
            }
        }
    }
    let bounded = shares.into_iter().filter(|(_, (parts, _))| *parts == lead.who.len());
    let mut shares: Vec<(String, f64)> =
        exact.into_iter().chain(bounded.map(|(name, (_, least))| (name, least))).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    shares
}
