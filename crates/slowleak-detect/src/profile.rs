//! Profiles: what an entity does, against its own habit, whatever the volume. A person who works irregularly, a thief
//! who takes little and one who has somebody else's id all show by *what* is accessed.
//!
//! In: views of whom and what. Out: campaigns of [foreign] accesses, each judged as a rate is, against the entity's own
//! past and its peers, given how much was done at all: absence, part-time work and busy seasons cancel. And pairs of users
//! who from a day on work as each other did ([exchange]).

mod exchange;
mod foreign;
mod habit;
mod swap;

pub(crate) use exchange::Exchanges;

use slowleak_record::{Field, Window};

use crate::candidate::Candidate;
use crate::cause::Cause;
use crate::days::Log;
use crate::days::daily::Daily;
use crate::finding::Detector;
use crate::rate::episode::Band;
use crate::rate::family::{Family, Found, Shape};
use crate::rate::part::{Measure, Part};
use crate::rate::{borrow_tails, candidate};

/// Who has a profile, and of what. What a key does is its users' work, who come and go and move to other keys.
const PROFILES: [(Field, Field); 2] = [(Field::User, Field::Action), (Field::User, Field::Object)];

/// What entities did by kind: the series that [`Profiles`] judges.
pub(crate) struct Parts<'a>(Vec<(&'a Daily<'a>, Part, String)>);

impl<'a> Parts<'a> {
    /// Every part that the views of the log allow.
    pub(crate) fn of(log: &Log<'a>) -> Self {
        let by_kind = PROFILES.iter().filter_map(|(who, what)| {
            let daily = log.slices.view(&[*who]).filter(|daily| daily.table.view.window <= Window::DAY)?;
            let pairs = log.slices.view(&[*who, *what]).or_else(|| log.slices.view(&[*what, *who]))?;
            let note = format!("accesses by {what}s that are hardly its own", what = what.name());
            Some((daily, foreign::foreign(daily, pairs)?, note))
        });
        Self(by_kind.collect())
    }
}

/// Every family of a run.
pub(crate) struct Profiles<'a> {
    log: Log<'a>,
    families: Vec<Family<'a>>,
    /// What each counts, in words.
    notes: Vec<&'a str>,
}

impl<'a> Profiles<'a> {
    /// Fits, searches and calibrates every part.
    pub(crate) fn run(log: Log<'a>, parts: &'a Parts<'a>) -> Self {
        let family = |(daily, part, _): &'a (&'a Daily<'a>, Part, String)| {
            Family::run(daily, Measure::Part(part), log.grid, log.config)
        };
        let mut families: Vec<Family<'a>> = parts.0.iter().map(family).collect();
        families.iter_mut().for_each(Family::calibrate);
        borrow_tails(&mut families);
        let notes = parts.0.iter().map(|(_, _, note)| note.as_str()).collect();
        Self { log, families, notes }
    }

    /// How many tails of scores there are.
    pub(crate) fn tails(&self) -> usize {
        self.families.len() * Band::ALL.len()
    }

    /// Every campaign that error control lets through, among `tails` of all detectors.
    pub(crate) fn candidates(&self, tails: usize) -> Vec<Candidate> {
        let of_family = |(family, note): (&Family<'a>, &&str)| {
            let of = |found: &Found| self.candidate(family, found, note, tails as f64);
            family.campaigns.iter().filter_map(of).collect::<Vec<_>>()
        };
        self.families.iter().zip(&self.notes).flat_map(of_family).collect()
    }

    fn candidate(&self, family: &Family<'a>, found: &Found, note: &str, tails: f64) -> Option<Candidate> {
        let (band, score) = (found.campaign.band, found.campaign.score);
        let odds = family.expected_false(band, score, family.tested.len(), tails)?;
        let tail = &family.tails[band as usize];
        let reported = found.shape == Shape::Step && odds <= self.log.config.max_expected_false;
        let calibrated = tail.calibrated(score).filter(|_| reported)?;
        let mut candidate = candidate(family, found, calibrated, odds);
        candidate.detector = Detector::Profile;
        candidate.seen = Some(note.to_owned());
        let Measure::Part(part) = family.measure() else { return None };
        candidate.in_counts(part.burst(found.entity));
        // What is counted is a part of the accesses: nobody can count it again between other edges.
        let end = self.log.grid.start(candidate.days.end).min(self.log.grid.end());
        candidate.edges = Some((self.log.grid.start(candidate.days.start), end));
        candidate.cause = tail.common(score).map(|count| Cause::Common { count });
        Some(candidate)
    }
}
