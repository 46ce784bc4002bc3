//! One leak, one finding: candidates that count the same raw events at the same time belong together.

use std::collections::BTreeMap;
use std::ops::Range;

use slowleak_record::Field;
use slowleak_rollup::Dimension;

use crate::candidate::{Candidate, Grade};
use crate::days::slices::Slices;
use crate::finding::Detector;
use crate::rate::given;

/// Share of the shorter interval, and of the smaller excess, that two candidates must have in common.
const SHARED: f64 = 0.5;
/// A simpler name is preferred while its purity is at least this share of the best.
const PURITY: f64 = 0.8;
/// What has less than this share of the largest excess of its view in the leak does not name it.
const PIECE: f64 = 0.5;

/// Candidates of one leak, the leading one first.
pub(crate) type Fold = Vec<Candidate>;

/// Groups candidates, the largest excess first, and puts the leading one of each group first: misuse, or
/// else the simplest name whose traffic is nearly as purely excess as the purest. `outlives` says whether a candidate
/// would be one still without so many of its events.
pub(crate) fn fold(
    mut candidates: Vec<Candidate>,
    slices: &Slices<'_>,
    outlives: impl Fn(&Candidate, f64) -> bool,
) -> Vec<Fold> {
    let minor = |candidate: &Candidate| candidate.grade() == Some(Grade::Minor);
    candidates.sort_by(|a, b| {
        minor(a).cmp(&minor(b)).then_with(|| b.excess_events.total_cmp(&a.excess_events)).then_with(|| {
            (&a.dimension, &a.entity, a.metric, a.days.start).cmp(&(
                &b.dimension,
                &b.entity,
                b.metric,
                b.days.start,
            ))
        })
    });
    let mut folds: Vec<Fold> = Vec::new();
    for candidate in candidates {
        // Compared with the largest member alone: chains of neighbours would join half the log. Those of one key, at one
        // time, are short.
        let joins = |fold: &&mut Fold| {
            same_leak(&fold[0], &candidate, slices) || fold.iter().any(|one| alike(one, &candidate))
        };
        match folds.iter_mut().find(joins) {
            Some(fold) => fold.push(candidate),
            None => folds.push(vec![candidate]),
        }
    }
    let mut folds = absorb(folds, slices, outlives);
    for fold in &mut folds {
        let best = fold.iter().map(Candidate::purity).fold(0.0, f64::max);
        // What is new or not one's own may be the purest and yet a small part of the leak: then it is evidence of it.
        let largest = fold.iter().map(|candidate| candidate.excess_events).fold(0.0, f64::max);
        // A burst is a part of a rise that lasts; it names a rise of a day better than the day does.
        let lasts = |c: &Candidate| {
            matches!(c.detector, Detector::Rate | Detector::Breadth | Detector::Share) && c.days.len() > 2
        };
        let lasting = fold.iter().any(lasts);
        let part = |c: &Candidate| match c.detector {
            Detector::Burst => lasting,
            Detector::Novelty | Detector::Profile => c.excess_events < SHARED * largest,
            _ => false,
        };
        let mut most: BTreeMap<Dimension, f64> = BTreeMap::new();
        for one in fold.iter() {
            let most = most.entry(one.dimension.clone()).or_default();
            *most = most.max(one.excess_events);
        }
        // A piece of a campaign can be surer than the whole.
        let piece = |c: &Candidate| most.get(&c.dimension).is_some_and(|most| c.excess_events < PIECE * most);
        fold.sort_by(|a, b| {
            let grade = |c: &Candidate| {
                // Misuse, likelihoods, what is odd, what is minor.
                let weight =
                    c.grade().map_or(1, |grade| if grade == Grade::Misuse { 0 } else { 1 + grade as u8 });
                (weight, part(c), c.purity() < PURITY * best, name_rank(c), line(c.detector), piece(c))
            };
            grade(a).cmp(&grade(b)).then_with(|| b.score.total_cmp(&a.score))
        });
    }
    folds
}

/// Joins to a fold every later one that the fold's events explain: taken off it, they leave no finding. So a table that
/// happens to be busy while a key drains it is no leak of its own, unless what the key did not do there is one.
fn absorb(folds: Vec<Fold>, slices: &Slices<'_>, outlives: impl Fn(&Candidate, f64) -> bool) -> Vec<Fold> {
    let mut kept: Vec<Fold> = Vec::new();
    for fold in folds {
        let of = |by: &Candidate| {
            let one = &fold[0];
            let common = meeting(by, one)?;
            let comparable =
                by.cause.is_some() == one.cause.is_some() && by.fact.is_none() && one.fact.is_none();
            Some(shared_events(by, one, &common, slices)).filter(|events| comparable && *events > 0.0)
        };
        let largest = kept
            .iter()
            .enumerate()
            .filter_map(|(index, by)| Some((index, of(&by[0])?)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        match largest {
            Some((index, events)) if !fold.iter().any(|one| outlives(one, events)) => {
                kept[index].extend(fold);
            }
            _ => kept.push(fold),
        }
    }
    kept
}

/// The days that two candidates have in common, where that is enough to be one leak.
fn meeting(a: &Candidate, b: &Candidate) -> Option<Range<usize>> {
    // Bursts of a day need not be of one time.
    if let (Detector::Burst, Detector::Burst, Some(a), Some(b)) = (a.detector, b.detector, a.edges, b.edges)
        && (a.1 <= b.0 || b.1 <= a.0)
    {
        return None;
    }
    let common = a.days.start.max(b.days.start)..a.days.end.min(b.days.end);
    let shorter = a.days.len().min(b.days.len());
    (!common.is_empty() && common.len() as f64 >= SHARED * shorter as f64).then_some(common)
}

/// Simpler and more telling names first: key, user, object, source; then pairs that hold a key.
fn name_rank(candidate: &Candidate) -> (usize, usize) {
    const ORDER: [Field; 7] =
        [Field::Key, Field::User, Field::Object, Field::Source, Field::Region, Field::Action, Field::Subject];
    let rank = |field: &Field| ORDER.iter().position(|other| other == field).unwrap_or(ORDER.len());
    let parts = candidate.dimension.parts();
    (parts.len(), parts.iter().map(rank).sum())
}

/// Shares count events as rates do, and the surer of them names the leak.
fn line(detector: Detector) -> Detector {
    if detector == Detector::Share { Detector::Rate } else { detector }
}

fn same_leak(a: &Candidate, b: &Candidate, slices: &Slices<'_>) -> bool {
    // What is explained must not take the unexplained along.
    if a.cause.is_some() != b.cause.is_some() {
        return false;
    }
    let Some(common) = meeting(a, b) else { return false };
    if [a, b].iter().any(|one| one.grade() == Some(Grade::Minor)) {
        return a.part(Field::Key) == b.part(Field::Key);
    }
    // A rule covers whatever its key does; what has no key must share the key's events, as ever.
    if let (Some(a_key), Some(b_key)) = (a.part(Field::Key), b.part(Field::Key))
        && (a.detector.is_rule() || b.detector.is_rule())
    {
        return a_key == b_key;
    }
    // A rule's other days are no guide to what is usual in its interval.
    let (a, b) = if a.detector.is_rule() { (b, a) } else { (a, b) };
    let smaller = a.excess_events.min(b.excess_events);
    shared_events(a, b, &common, slices) >= SHARED * smaller
}

/// Whether one key (or user) rose in two of its parts, such as two objects, at the same time, or one rise is a piece of the
/// other: they share no event, yet whoever took the one took the other.
fn alike(a: &Candidate, b: &Candidate) -> bool {
    let same = |field: Field| a.part(field).is_some() && a.part(field) == b.part(field);
    a.dimension == b.dimension
        && a.fact.is_none()
        && b.fact.is_none()
        && a.cause.is_some() == b.cause.is_some()
        && (same(Field::Key) || same(Field::User))
        && meeting(a, b).is_some()
}

/// An upper bound on the excess events that both candidates count: the smallest excess of any pair of their
/// parts that the rollup has a view of; 0 where nothing links them.
fn shared_events(a: &Candidate, b: &Candidate, days: &Range<usize>, slices: &Slices<'_>) -> f64 {
    let mut bound = a.excess_events.min(b.excess_events);
    let mut linked = false;
    let answers = [a, b].iter().all(|one| given::base(one.metric).is_some());
    // What is usual is learnt where neither of them is in excess.
    let either = a.days.start.min(b.days.start)..a.days.end.max(b.days.end);
    let others = a.timeline.iter().enumerate().filter(|(day, _)| !either.contains(day));
    let outside: f64 = others.map(|(_, (observed, _))| observed).sum();
    let expected: f64 =
        days.clone().filter_map(|day| a.timeline.get(day)).map(|(_, expected)| expected).sum();
    for (field, value) in &a.who {
        for (other_field, other_value) in &b.who {
            if field == other_field {
                if value != other_value {
                    return 0.0;
                }
                linked = true;
                continue;
            }
            let pair = [(*field, value.clone()), (*other_field, other_value.clone())];
            let events = |days: &Range<usize>| slices.events(&pair, days);
            if let (Some(inside), Some(of_either), Some(all)) =
                (events(days), events(&either), events(&(0..usize::MAX)))
            {
                linked = true;
                let elsewhere = all - of_either;
                // The pair's usual part of those days, by a's own ratio of expected to the others. Where both are a rise
                // of what accesses return, these need not be more than usual: they count themselves.
                let usual = if outside > 0.0 && !answers { elsewhere * expected / outside } else { 0.0 };
                bound = bound.min((inside - usual).max(0.0));
            }
        }
    }
    if linked { bound } else { 0.0 }
}
