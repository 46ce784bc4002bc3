//! Births: how a new key (or user, where a view by user and source is counted) begins, beside how the others began.
//!
//! In: the days of a view by one field, and of that field with objects and with sources. Out: candidates for what was
//! born inside the log and begins as nothing else does. A newcomer has no habit to be held against, and for its first
//! weeks no other detector judges it.
//!
//! Suspect is who was born [`DetectConfig::min_days`](crate::config::DetectConfig::min_days) into the log or later and
//! got most of its accesses from sources that no older entity uses: honest newcomers mostly come from where their
//! colleagues are, and whoever has a credential made for draining does not. All others, those that were there from the
//! start with their first days included, are the peers, so that leaks among the newcomers do not teach what is usual. At
//! each of the ages [`AGES`], from the n accesses of the first days of life:
//!
//! ```text
//! volume        v = ln(n a day of activity)
//! concentration c = ln((t + 1/2) / (n - t + 1/2)),  t of them on the object it reads most
//! apartness     a = ln((s + 1/2) / (n - s + 1/2)),  s of them from sources that no older entity uses
//! surprise      S = -ln P(v) - ln P(c) - ln P(a),   tails of the peers, exponential beyond their 60% quantile;
//!                                                   P(a) no less than the part of all who are suspects, and
//!                                                   P(c) P(a) than that of those who stand out in both, from six of them
//! expected_false  = newcomers x tails x P(S),       P by the tail of the peers' own S
//! ```
//!
//! The tails are those of [`calibrate`](crate::rate::calibrate): their scale is never below 1, which on these logarithms
//! is Zipf's law for volumes, and for shares a density that does not vanish towards one. None of the three says much
//! alone: a new service starts large, a batch job reads one table, a new colleague has a machine of their own. Where the
//! first of its kind appears, a tail makes far too much of it; so a suspect must stand out in all three, each by itself:
//! both shares beyond nine in ten of the peers, the volume beyond six in ten. If any one of them were worth nothing, the
//! others would still leave one in twenty-five.

mod start;

use slowleak_record::Field;
use slowleak_rollup::Metric;

use crate::birth::start::{Start, starts};
use crate::candidate::Candidate;
use crate::cause::Cause;
use crate::days::{Log, parts};
use crate::finding::Detector;
use crate::leak::fold::Fold;
use crate::leak::wording::count;
use crate::rate::calibrate::{MIN_FITTED, Tail};
use crate::severity::CAREFUL;

/// Days of life, the first included, at which a newcomer is judged; one that is younger is judged by what it has done so
/// far. The shorter is for who drains at once, the longer for who begins with a test.
const AGES: [usize; 2] = [3, 28];
/// Share of accesses that must come from sources apart: most of them, as of an excess that has a cause.
const APART: f64 = 0.5;
/// Share of the peers that a suspect must exceed in volume, and in either of the shares.
const BEYOND: [f64; 2] = [0.6, 0.9];
/// More than so many newcomers that begin apart and on one object are a custom of the place, and no campaign.
const CUSTOM: usize = 5;
/// Credentials that are born; sources come and go, and objects are made by the hundred or never.
const BORN: [Field; 2] = [Field::Key, Field::User];

/// The newcomers of a run.
pub(crate) struct Births<'a> {
    log: Log<'a>,
    cohorts: Vec<Cohort>,
}

/// Everybody of a view at one age.
struct Cohort {
    field: Field,
    /// How many were born late enough to be judged.
    newcomers: usize,
    suspects: Vec<Suspect>,
    /// Tail of the peers' surprise, and of the suspects' own where they are many enough.
    tails: Vec<Tail>,
    /// Accesses a day of the peer in the middle, and of one in twenty.
    usual: f64,
    most: f64,
}

struct Suspect {
    start: Start,
    surprise: f64,
    /// In each trait by itself.
    stands_out: bool,
}

/// One of the figures of a start, as the peers have it.
struct Trait {
    of: fn(&Start) -> f64,
    tail: Tail,
    /// What a suspect must exceed.
    least: f64,
}

impl Trait {
    fn learn(of: fn(&Start) -> f64, beyond: f64, peers: &[Start]) -> Self {
        let mut values: Vec<f64> = peers.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let least = values.get((beyond * values.len() as f64) as usize).copied().unwrap_or(f64::INFINITY);
        Self { of, tail: Tail::fit(values), least }
    }
}

impl<'a> Births<'a> {
    /// Looks at the first days of every entity, in the views that have what it takes.
    pub(crate) fn run(log: Log<'a>) -> Self {
        let of_field =
            |field: Field| AGES.map(|age| Some(Cohort::of(field, starts(&log, field, age)?, &log)));
        let cohorts = BORN.into_iter().flat_map(of_field).flatten().collect();
        Self { log, cohorts }
    }

    /// How many tails of scores there are.
    pub(crate) fn tails(&self) -> usize {
        self.cohorts.len()
    }

    /// Every newcomer that error control lets through among `tails` of all detectors, at the age at which it is most
    /// extreme.
    pub(crate) fn candidates(&self, tails: usize) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for cohort in &self.cohorts {
            for suspect in cohort.suspects.iter().filter(|suspect| suspect.stands_out) {
                let Some((score, odds)) = cohort.judge(suspect, tails as f64) else { continue };
                if odds > self.log.config.max_expected_false {
                    continue;
                }
                let Some(found) = self.candidate(cohort, suspect, score, odds) else { continue };
                let same = |known: &&mut Candidate| {
                    (&known.dimension, &known.entity) == (&found.dimension, &found.entity)
                };
                match candidates.iter_mut().find(same) {
                    Some(known) if known.expected_false <= found.expected_false => {}
                    Some(known) => *known = found,
                    None => candidates.push(found),
                }
            }
        }
        candidates
    }

    fn candidate(&self, cohort: &Cohort, suspect: &Suspect, score: f64, odds: f64) -> Option<Candidate> {
        let daily = self.log.slices.view(&[cohort.field])?;
        let Start { entity, born, .. } = suspect.start;
        let dimension = daily.table.view.dimension.clone();
        let name = daily.table.entities.get(entity)?.clone();
        let mut timeline = vec![(0.0, 0.0); self.log.grid.days()];
        // Whatever it did since: the credential itself is in doubt, and not its first weeks alone.
        let (mut end, mut active) = (born + 1, 0.0);
        for (day, events) in daily.active(entity) {
            timeline[day] = (events, cohort.usual);
            end = day + 1;
            active += 1.0;
        }
        let (observed, expected) = (daily.total(entity), active * cohort.usual);
        Some(Candidate {
            detector: Detector::Birth,
            who: parts(&dimension, &name),
            dimension,
            entity: name,
            metric: Metric::Events,
            days: born..end,
            anchor: born,
            observed,
            expected,
            excess_events: observed,
            level_per_day: cohort.usual,
            dispersion: cohort.dispersion(expected),
            raw_score: suspect.surprise,
            score,
            expected_false: Some(odds),
            cause: None,
            fact: None,
            seen: Some(cohort.words(&suspect.start)),
            partner: None,
            edges: None,
            timeline,
        })
    }
}

impl Cohort {
    fn of(field: Field, starts: Vec<Start>, log: &Log<'_>) -> Self {
        let newcomer = |start: &Start| start.born >= log.config.min_days;
        let newcomers = starts.iter().filter(|start| newcomer(start)).count();
        let suspect = |start: &Start| newcomer(start) && start.from_apart >= APART * start.events;
        let (suspects, peers): (Vec<Start>, Vec<Start>) = starts.into_iter().partition(suspect);
        let [volume, share] = BEYOND;
        let traits: [Trait; 3] = [
            (Start::volume as fn(&Start) -> f64, volume),
            (Start::concentration, share),
            (Start::apartness, share),
        ]
        .map(|(of, beyond)| Trait::learn(of, beyond, &peers));
        // Suspects are not among the peers: to begin apart is no rarer than they are, nor, where several do so on one
        // object, is that.
        let on_one = |start: &&Start| traits[1..].iter().all(|one| (one.of)(start) > one.least);
        let on_one = suspects.iter().filter(on_one).count();
        let among_all =
            |count: usize| (count as f64 - 0.5).max(0.5) / (suspects.len() + peers.len()).max(1) as f64;
        let apart = -among_all(suspects.len()).ln();
        let both = if on_one > CUSTOM { -among_all(on_one).ln() } else { f64::INFINITY };
        // Without peers enough there is no tail, and nothing is said.
        let surprise = |start: &Start| {
            let nats = traits.each_ref().map(|one| one.tail.calibrated((one.of)(start)));
            let [volume, concentration, apartness] = nats;
            Some(volume? + (concentration? + apartness?.min(apart)).min(both))
        };
        let mut tails = vec![Tail::fit(peers.iter().filter_map(surprise).collect())];
        let suspects: Vec<Suspect> = suspects
            .into_iter()
            .filter_map(|start| {
                let stands_out = traits.iter().all(|one| (one.of)(&start) > one.least);
                Some(Suspect { surprise: surprise(&start)?, stands_out, start })
            })
            .collect();
        if suspects.len() >= MIN_FITTED {
            tails.push(Tail::fit(suspects.iter().map(|suspect| suspect.surprise).collect()));
        }
        let mut volumes: Vec<f64> = peers.iter().map(Start::volume).collect();
        volumes.sort_by(f64::total_cmp);
        let volume = |quantile: f64| {
            let place = (quantile * volumes.len() as f64) as usize;
            volumes.get(place).map_or(0.0, |volume| volume.exp())
        };
        Self { field, newcomers, suspects, tails, usual: volume(0.5), most: volume(0.95) }
    }

    /// Calibrated score, and how many honest newcomers score as much; by the tail that makes the least of it.
    fn judge(&self, suspect: &Suspect, tails: f64) -> Option<(f64, f64)> {
        let newcomers = self.newcomers as f64;
        let by = |tail: &Tail| {
            let score = tail.calibrated(suspect.surprise)?;
            // One question a newcomer: no intervals are searched.
            Some((score, tail.expected_false(suspect.surprise, newcomers, tails, 1.0, 0.0)?))
        };
        self.tails.iter().map(by).collect::<Option<Vec<_>>>()?.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// That with which one in twenty honest totals exceeds what one in twenty peers would have done.
    fn dispersion(&self, expected: f64) -> f64 {
        let spread = (self.most / self.usual.max(1e-9) - 1.0) / CAREFUL;
        (spread * spread - 1.0 / expected.max(1.0)).max(0.0)
    }

    /// What was seen, and against what; to end a sentence.
    fn words(&self, start: &Start) -> String {
        let percent = |part: f64| format!("{:.0}%", 100.0 * part / start.events);
        format!(
            "it is new, and of its first {} accesses {} came from sources that no older {} uses and {} went to \
             object {}: {} on a day of activity, where half of the other {}s began with {} or fewer",
            count(start.events),
            percent(start.from_apart),
            self.field,
            percent(start.on_top),
            start.top,
            count(start.volume().exp().round()),
            self.field,
            count(self.usual.round()),
        )
    }
}

/// Takes out of `candidates` the rises that a newcomer explains who is itself in `born`: no honest cause, but what it did.
pub(crate) fn unexcused(candidates: &mut Vec<Candidate>, born: &[Candidate]) -> Vec<Candidate> {
    candidates.extract_if(.., |candidate| carrier(candidate, born).is_some()).collect()
}

/// Puts each of these rises into the finding of the newcomer that carries it, as evidence.
pub(crate) fn join(folds: &mut [Fold], rises: Vec<Candidate>) {
    for rise in rises {
        let of_carrier = |fold: &&mut Fold| carrier(&rise, fold).is_some();
        if let Some(fold) = folds.iter_mut().find(of_carrier) {
            fold.push(rise);
        }
    }
}

/// Which of `born` is the newcomer that carries most of what the rise is explained by.
fn carrier<'a>(rise: &Candidate, born: &'a [Candidate]) -> Option<&'a Candidate> {
    let Some(Cause::Newcomers { by, names }) = &rise.cause else { return None };
    let largest = names.first()?;
    born.iter().find(|birth| birth.detector == Detector::Birth && birth.part(*by) == Some(largest))
}
