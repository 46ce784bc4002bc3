//! Novelty: sources never seen before that, once there, do little else than one thing.
//!
//! A huge key has new sources every day, so that a birth says nothing; nor does how busy a new source is. What tells is
//! what it does: honest sources of a key touch its objects as the others do, each with habits of its own, while whoever
//! took the key reads what it came for. In: who used which key from where, and which objects were touched from there,
//! by source and by key. Out: for each key and object the new sources that are devoted to it beyond chance ([`habits`]),
//! where the key's known sources are not. Those of one key and object at one time are one candidate.

mod groups;
mod habits;
mod sources;
mod unlikely;

use slowleak_record::Field;
use slowleak_rollup::{DayTable, Lookup};

use crate::candidate::Candidate;
use crate::days::Log;
use crate::finding::Family as Examined;
use crate::novelty::groups::{Group, groups};
use crate::novelty::habits::{Devotion, devotions};
use crate::novelty::sources::{Source, Sources};
use crate::rate::calibrate::Tail;

/// A source is new if it was first seen after so many days of the log: by then a key has shown who uses it.
const KNOWN_DAYS: usize = 14;
/// Fewest accesses, and days from the first to the last, of a source that is judged: whoever came once has no habit.
const MIN_EVENTS: f64 = 5.0;
const MIN_DAYS: usize = 2;
/// Fewest known sources of a key whose mix can be told.
const MIN_KNOWN: usize = 8;
/// Part of a key's accesses to an object from which a rise would show...
const MUCH: f64 = 0.05;
/// ...and part of the new source's accesses that it must come to.
const MADE_UP: f64 = 0.5;
/// Part of a key's known sources that may be as devoted to something, half as unlikely, before it is its custom.
const CUSTOM_SHARE: f64 = 1e-3;

/// The new sources of a log.
pub(crate) struct Novelty<'a> {
    log: Log<'a>,
    pairs: &'a DayTable,
    sources: Sources<'a>,
    devotions: Vec<Option<Devotion>>,
    /// Sources that are judged, and those of them that are new.
    judged: usize,
    new: usize,
    tail: Tail,
}

impl<'a> Novelty<'a> {
    /// Measures every source; `None` where the log has not counted who touched what from where, or where so many did that
    /// rare pairs were left out: what is left would make every source look devoted. `tables` has for each dimension the
    /// finest.
    pub(crate) fn run(log: Log<'a>, tables: &[&'a DayTable]) -> Option<Self> {
        let pairs = tables.iter().find(|t| t.view.dimension.parts() == [Field::Source, Field::Object])?;
        let sources = Sources::read(&log, pairs)?;
        let devotions = devotions(&sources);
        let judged: Vec<(&Source, &Option<Devotion>)> =
            sources.all.iter().zip(&devotions).filter(|(source, _)| is_judged(source)).collect();
        let new = judged.iter().filter(|(source, _)| is_new(source)).count();
        // Who is devoted to nothing scores nothing: the tail is that of all sources, known and new.
        let score = |(_, devotion): &(&Source, &Option<Devotion>)| devotion.map_or(0.0, |own| own.score);
        let (tail, judged) = (Tail::fit(judged.iter().map(score).collect()), judged.len());
        Some(Self { log, pairs, sources, devotions, judged, new, tail })
    }

    /// How many tails of scores there are.
    pub(crate) fn tails(&self) -> usize {
        1
    }

    /// What was examined.
    pub(crate) fn examined(&self) -> Examined {
        Examined {
            dimension: self.pairs.view.dimension.clone(),
            metric: slowleak_rollup::Metric::Events,
            entities: self.sources.all.len() as u64,
            tested: self.judged as u64,
            tail_scale: self.tail.scale,
        }
    }

    /// Every group of new sources that error control lets through, among `tails` of all detectors, and each of its
    /// sources beside it.
    ///
    /// # Errors
    /// The cells of such a source can not be had.
    pub(crate) fn candidates<L: Lookup>(&self, rollup: &L, tails: usize) -> Result<Vec<Candidate>, L::Error> {
        let mut candidates = Vec::new();
        for group in groups(self.found(tails as f64)) {
            candidates.extend(self.described(&group, rollup)?);
        }
        Ok(candidates)
    }

    /// The new sources whose devotion is a finding, by key and object.
    fn found(&self, tails: f64) -> Vec<Group> {
        let found = |(at, (source, devotion)): (usize, (&Source, &Option<Devotion>))| {
            let devotion = (*devotion).filter(|_| is_judged(source) && is_new(source))?;
            let odds = |score: f64| self.tail.expected_false(score, self.new as f64, tails, 1.0, 1.0);
            let let_through =
                |score: f64| odds(score).is_some_and(|odds| odds <= self.log.config.max_expected_false);
            let key = source.home()?;
            // Everybody may have turned to the object by then.
            let devotion =
                if let_through(devotion.score) { self.at_the_time(source, key, devotion) } else { devotion };
            let reported = let_through(devotion.score)
                && !self.is_custom(key, devotion)
                && !self.is_move(source, key, devotion);
            reported.then(|| Group::of(at, source, key, devotion, odds(devotion.score).unwrap_or(1.0)))
        };
        self.sources.all.iter().zip(&self.devotions).enumerate().filter_map(found).collect()
    }

    /// The devotion against what the key did while the source was there, where that excuses more.
    fn at_the_time(&self, source: &Source, key: usize, devotion: Devotion) -> Devotion {
        let days = source.first..source.end;
        let share = self.sources.share_in(key, devotion.object, &days).max(devotion.expected / source.events);
        let score = unlikely::nats(source.events, devotion.hits, share, devotion.correlation);
        Devotion { expected: share * source.events, score, ..devotion }
    }

    /// Whether the source does much of what the key does with the object, which in all is no more than usual: a job that
    /// moved to another host. A small part of it no total can tell from chance.
    fn is_move(&self, source: &Source, key: usize, devotion: Devotion) -> bool {
        let days = source.first..source.end;
        let known = self.sources.here_and_usually(key, devotion.object, &days, self.log.grid.days());
        known.is_some_and(|(here, usual)| {
            devotion.hits >= MUCH * here && here - usual < MADE_UP * devotion.hits
        })
    }

    /// Whether known sources of the key, or those of another object, are devoted to something as well; or too few are
    /// known to say.
    fn is_custom(&self, key: usize, devotion: Devotion) -> bool {
        let (mut known, mut devoted) = (0, 0);
        for (source, own) in self.sources.all.iter().zip(&self.devotions) {
            // Sources that all batch jobs share have another key that they use more.
            if source.keys.iter().all(|(used, _)| *used != key) {
                continue;
            }
            let same = |own: &Devotion| own.object == devotion.object;
            if is_new(source) && own.as_ref().is_some_and(same) {
                continue;
            }
            known += usize::from(!is_new(source));
            devoted += usize::from(own.is_some_and(|own| own.score >= devotion.score / 2.0));
        }
        known < MIN_KNOWN || devoted as f64 > CUSTOM_SHARE * known as f64
    }
}

fn is_judged(source: &Source) -> bool {
    source.events >= MIN_EVENTS && source.end - source.first >= MIN_DAYS
}

fn is_new(source: &Source) -> bool {
    source.first >= KNOWN_DAYS
}
