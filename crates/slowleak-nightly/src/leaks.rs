//! Findings live: from night to night a leak is the same leak, and only what changed is told. In: the leaks that were told
//! of so far, and tonight's findings. Out: the leaks from now on, and what to announce.
//!
//! # Ids
//! The findings of a night are those of one scan over everything, ids included: an id is made of who, what and the day at
//! which the evidence first sufficed. More data rarely moves that day, and when it does, the finding has another id than it
//! was announced under. A leak therefore keeps the id of its first announcement for good, and knows the id that its
//! finding has tonight. Who asks for either gets the same finding.
//!
//! # Which finding is which leak
//! That of the same id; else one of the same entity, or else of the same key or user, or of a leak that goes on one at the same
//! place more or less closely (an object, then the key that drains it), whose interval overlaps, and rather one that is no
//! other leak's by its id. Several leaks that
//! end up in one finding were one: the one that was announced first goes on, the others are merged into it.
//!
//! # What is told
//! `new`: never seen. `grown`: a worse severity than announced, or twice as much taken. `ended`: it has been over for
//! [`QUIET_DAYS`], or lies before the days that are kept. `merged`: into another. `withdrawn`: no longer among the findings
//! though it had not ended (of one that had, nothing more is told when its records are forgotten). `ongoing`: it is there again after it
//! had ended or was withdrawn. A leak that merely goes on is not told of again. One that was closed is remembered as long as
//! days of it, or of the leak that it became, are kept.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use slowleak_detect::{Detector, Finding};
use slowleak_record::{Field, Micros};
use slowleak_rollup::Dimension;

/// Days without it after which a leak has ended: a weekend ends none.
pub const QUIET_DAYS: i64 = 7;

/// What was taken has grown where it is so many times what was announced.
const GROWN: f64 = 2.0;

/// A leak as it was announced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// The id under which it was announced first.
    pub id: String,
    /// The id that its finding has, or had when it was last seen.
    pub finding: String,
    /// End of the data on the night of the first announcement, microseconds since 1970-01-01.
    pub first_reported: i64,
    /// Where it stands.
    pub status: Status,
    /// The leak that it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The severity that was announced.
    pub severity: String,
    /// What was announced as taken.
    pub taken: f64,
    dimension: String,
    entity: String,
    /// Whether it is about missing records, and no leak.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gap: bool,
    key: Option<String>,
    user: Option<String>,
    /// Its interval when it was last seen.
    pub start: i64,
    /// Exclusive.
    pub end: i64,
    /// The sentence about it when it was last seen.
    pub summary: String,
}

/// What became of a leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Seen for the first time.
    New,
    /// Goes on, or is there again.
    Ongoing,
    /// Worse than it was announced.
    Grown,
    /// Over.
    Ended,
    /// Part of another.
    Merged,
    /// No longer among the findings.
    Withdrawn,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ongoing => "ongoing",
            Self::Grown => "grown",
            Self::Ended => "ended",
            Self::Merged => "merged",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Something to announce.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'f> {
    /// What it is about.
    pub leak: Leak,
    /// What became of it.
    pub status: Status,
    /// Tonight's finding; `None` where there is none any more.
    pub finding: Option<&'f Finding>,
    /// Ids of the leaks that were merged into it.
    pub merged: Vec<String>,
}

/// Follows the leaks into another night, whose data is kept from `kept_from` on and ends at `end`: all leaks from now on in
/// the order of their announcement, and what to tell, the worst first.
pub fn follow<'f>(
    leaks: &[Leak],
    findings: &'f [Finding],
    kept_from: Micros,
    end: Micros,
) -> (Vec<Leak>, Vec<Change<'f>>) {
    let findings: Vec<&Finding> = findings.iter().filter(|finding| finding.suppressed.is_none()).collect();
    let remembered = leaks.iter().filter(|leak| !became(leaks, leak).is_forgotten(kept_from)).cloned();
    let (mut rest, mut living): (Vec<Leak>, Vec<Leak>) =
        remembered.partition(|leak| leak.status == Status::Merged);
    living.sort_by(|a, b| (a.first_reported, &a.id).cmp(&(b.first_reported, &b.id)));
    let held: BTreeSet<&str> = living.iter().map(|leak| leak.finding.as_str()).collect();
    let places: Vec<Option<usize>> = living.iter().map(|leak| place(leak, &findings, &held)).collect();
    drop(held);

    let mut changes = Vec::new();
    for (at, finding) in findings.iter().enumerate() {
        let mut of_finding = (0..living.len()).filter(|leak| places[*leak] == Some(at));
        let Some(first) = of_finding.next() else {
            let leak = born(finding, &living, &rest, end);
            changes.push(Change {
                leak: leak.clone(),
                status: Status::New,
                finding: Some(finding),
                merged: Vec::new(),
            });
            rest.push(leak);
            continue;
        };
        let mut merged = Vec::new();
        for other in of_finding {
            let into = living[first].id.clone();
            living[other].status = Status::Merged;
            living[other].merged_into = Some(into);
            let leak = living[other].clone();
            merged.push(leak.id.clone());
            changes.push(Change { leak, status: Status::Merged, finding: None, merged: Vec::new() });
        }
        let leak = &mut living[first];
        if let Some(status) = leak.meet(finding, end, !merged.is_empty()) {
            changes.push(Change { leak: leak.clone(), status, finding: Some(finding), merged });
        }
    }
    for (leak, place) in living.iter_mut().zip(&places) {
        if place.is_none() && !matches!(leak.status, Status::Ended | Status::Withdrawn) {
            leak.status = if leak.end <= kept_from.0 { Status::Ended } else { Status::Withdrawn };
            let status = leak.status;
            changes.push(Change { leak: leak.clone(), status, finding: None, merged: Vec::new() });
        }
    }
    rest.extend(living);
    rest.sort_by(|a, b| (a.first_reported, &a.id).cmp(&(b.first_reported, &b.id)));
    // What there is to do first, the worst first.
    let rank = |change: &Change<'_>| change.finding.map_or(u32::MAX, |finding| finding.rank);
    changes.sort_by(|a, b| (rank(a), &a.leak.id).cmp(&(rank(b), &b.leak.id)));
    (rest, changes)
}

/// The leak that one is a part of by now: itself, where it was not merged into another.
fn became<'l>(leaks: &'l [Leak], leak: &'l Leak) -> &'l Leak {
    let into = |leak: &&Leak| {
        let id = leak.merged_into.as_ref()?;
        leaks.iter().find(|other| other.id == *id)
    };
    // Each is merged into one that was told earlier, so that there is an end.
    std::iter::successors(Some(leak), into).take(leaks.len() + 1).last().unwrap_or(leak)
}

/// The finding that a leak is tonight. `held` are the ids of findings that some leak had when it was last seen.
fn place(leak: &Leak, findings: &[&Finding], held: &BTreeSet<&str>) -> Option<usize> {
    if let Some(same) = findings.iter().position(|finding| finding.id == leak.finding) {
        return Some(same);
    }
    let overlap =
        |finding: &Finding| finding.end.0.min(leak.end).saturating_sub(finding.start.0.max(leak.start));
    let related =
        findings.iter().enumerate().filter(|(_, finding)| leak.is_kin_of(finding) && overlap(finding) > 0);
    // Of several, that of the same entity; one that is no other leak's by its id; the longest in common; the first by rank.
    let best = related.max_by_key(|(at, finding)| {
        let free = !held.contains(finding.id.as_str());
        (leak.has_entity_of(finding), free, overlap(finding), Reverse(*at))
    });
    best.map(|(at, _)| at)
}

fn born(finding: &Finding, living: &[Leak], others: &[Leak], end: Micros) -> Leak {
    // A leak that was announced under this id may have moved to another since.
    let taken = |id: &str| living.iter().chain(others).any(|leak| leak.id == id);
    let ids = std::iter::once(finding.id.clone()).chain((2..).map(|n| format!("{}.{n}", finding.id)));
    let id = ids.into_iter().find(|id| !taken(id)).unwrap_or_else(|| finding.id.clone());
    let mut leak = Leak {
        id,
        finding: String::new(),
        first_reported: end.0,
        status: Status::New,
        merged_into: None,
        severity: finding.severity.name().to_owned(),
        taken: finding.taken,
        dimension: String::new(),
        entity: String::new(),
        gap: false,
        key: None,
        user: None,
        start: 0,
        end: 0,
        summary: String::new(),
    };
    leak.see(finding);
    leak
}

/// Whether a finding's interval has been over for long enough.
fn is_over(finding: &Finding, end: Micros) -> bool {
    !finding.open && finding.end.0.saturating_add(QUIET_DAYS * Micros::DAY) <= end.0
}

impl Leak {
    /// Whether it is about missing records, and no leak.
    pub fn is_gap(&self) -> bool {
        self.gap
    }

    /// Its dimension and entity when it was last seen.
    pub fn place(&self) -> (&str, &str) {
        (&self.dimension, &self.entity)
    }

    /// Whether nothing more was to be told of it when it was last seen.
    fn is_closed(&self) -> bool {
        matches!(self.status, Status::Ended | Status::Merged | Status::Withdrawn)
    }

    /// Whether none of its days are kept: no finding can be it again.
    fn is_forgotten(&self, kept_from: Micros) -> bool {
        self.is_closed() && self.end <= kept_from.0
    }

    /// Whether a finding is about the same.
    fn is_kin_of(&self, finding: &Finding) -> bool {
        let both = |of_one: &Option<String>, of_other: &Option<String>, alike: bool| {
            of_one.is_some() && of_other.is_some() && (of_one == of_other) == alike
        };
        let any = |alike| both(&self.key, &finding.key, alike) || both(&self.user, &finding.user, alike);
        // A place alone says little of what is over, and nothing where keys or users are known to be others.
        let placed = || !self.is_closed() && !any(false) && self.is_within(finding);
        (self.has_entity_of(finding) || any(true) || placed())
            && self.gap == (finding.detector == Detector::LogGap)
    }

    /// Whether the one is at a place of the other: an object, and a key on that object.
    fn is_within(&self, finding: &Finding) -> bool {
        let parts = |dimension: &Dimension, entity: &str| -> Vec<(Field, String)> {
            dimension.parts().iter().copied().zip(dimension.split(entity)).collect()
        };
        let Ok(dimension) = self.dimension.parse::<Dimension>() else { return false };
        let (mine, theirs) = (parts(&dimension, &self.entity), parts(&finding.dimension, &finding.entity));
        let (fewer, more) = if mine.len() < theirs.len() { (mine, theirs) } else { (theirs, mine) };
        !fewer.is_empty() && fewer.iter().all(|part| more.contains(part))
    }

    fn has_entity_of(&self, finding: &Finding) -> bool {
        self.dimension == finding.dimension.to_string() && self.entity == finding.entity
    }

    /// What there is to tell of it tonight.
    fn meet(&mut self, finding: &Finding, end: Micros, joined: bool) -> Option<Status> {
        self.see(finding);
        let announced = self.severity.parse().unwrap_or(finding.severity);
        let worse = finding.severity > announced || finding.taken >= GROWN * self.taken.max(1.0);
        let over = is_over(finding, end);
        let was_over = matches!(self.status, Status::Ended | Status::Withdrawn);
        let status = match (over, was_over) {
            _ if worse => Some(Status::Grown),
            (true, false) => Some(Status::Ended),
            (false, true) => Some(Status::Ongoing),
            _ if joined => Some(Status::Ongoing),
            (true, true) if self.status == Status::Withdrawn => Some(Status::Ongoing),
            _ => None,
        };
        if worse {
            self.severity = finding.severity.name().to_owned();
            self.taken = finding.taken;
        }
        // One that is over already when it is told is told as ended on the next night.
        self.status = status.unwrap_or(if over { Status::Ended } else { Status::Ongoing });
        status
    }

    fn see(&mut self, finding: &Finding) {
        self.finding.clone_from(&finding.id);
        self.dimension = finding.dimension.to_string();
        self.entity.clone_from(&finding.entity);
        self.gap = finding.detector == Detector::LogGap;
        self.key.clone_from(&finding.key);
        self.user.clone_from(&finding.user);
        (self.start, self.end) = (finding.start.0, finding.end.0);
        self.summary.clone_from(&finding.summary);
    }
}
