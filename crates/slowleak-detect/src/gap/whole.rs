//! Gaps of the log as a whole. In: its records by hour. Out: hours in which it is silent, and hours of which a part of the
//! records is missing, of all keys and objects alike.

use slowleak_rollup::Lookup;

use crate::days::Log;
use crate::finding::Severity;
use crate::gap::hours::{Hours, MadeUp};
use crate::gap::mix::Mix;
use crate::gap::search::{LENGTHS, Search, Stretch};
use crate::gap::{Gap, length};
use crate::leak::wording::{count, minute};
use crate::rate::calibrate::Tail;

/// Score, nats, from which a stretch is looked at.
const LOOKED_AT: f64 = 8.0;
/// Hours of silence that are of medium severity...
const LONG: usize = 24;
/// ...and in a log that has empty hours anyway.
const LONG_ASLEEP: usize = 7 * 24;

/// See the module.
///
/// # Errors
/// The cells of a view can not be read.
pub(super) fn gaps<L: Lookup>(log: &Log<'_>, hours: &Hours, rollup: &L) -> Result<Vec<Gap>, L::Error> {
    let search = Search::new(hours);
    let mut best = search.best_by_day();
    best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.hours.start.cmp(&b.hours.start)));

    let mut mix = None;
    let (mut silent, mut thinned, mut people, mut ordinary) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in best {
        if one.score < LOOKED_AT {
            ordinary.push(one.score);
            continue;
        }
        let edged = search.edged(&one);
        // A part or a margin of what is already known says nothing more.
        let known = || silent.iter().chain(&thinned).chain(&people);
        if known().any(|other: &Stretch| other.meets(&one) || other.meets(&edged)) {
            continue;
        }
        if edged.is_silent() {
            silent.push(edged);
            continue;
        }
        let mix = match &mut mix {
            Some(mix) => mix,
            none => none.insert(Mix::read(log, rollup)?),
        };
        if mix.is_even(&edged.hours) == Some(true) {
            ordinary.push(one.score);
            thinned.push(edged);
        } else {
            // What has an honest cause is no measure of chance.
            people.push(edged);
        }
    }
    let days = ordinary.len() as f64;
    let tail = Tail::fit(ordinary);
    let gap = |stretch: &Stretch| {
        let odds = tail.expected_false(stretch.score, days, 1.0, 24.0, LENGTHS.len() as f64)?;
        let score = tail.calibrated(stretch.score)?;
        (odds <= log.config.max_expected_false).then(|| gap(hours, stretch, score, odds, log))
    };
    let enough = |stretch: &&Stretch| stretch.expected >= log.config.min_events as f64;
    Ok(silent.iter().chain(&thinned).filter(enough).filter_map(gap).collect())
}

fn gap(hours: &Hours, stretch: &Stretch, score: f64, odds: f64, log: &Log<'_>) -> Gap {
    let long = if hours.sleeps { LONG_ASLEEP } else { LONG };
    // Only what is left shows that the log was written at that time; a busy time after it comes by chance, too.
    let heard = stretch.hours.clone().filter(|hour| hours.heard(*hour)).count();
    let written = stretch.is_silent() && 2 * heard >= stretch.hours.len();
    let made_up = if written { hours.made_up(&stretch.hours) } else { None };
    let severity = match stretch.is_silent() {
        true if made_up.is_some() => Severity::Info,
        true if stretch.hours.len() >= long => Severity::Medium,
        false if odds <= log.config.high_expected_false => Severity::Medium,
        _ => Severity::Low,
    };
    let cause = made_up.as_ref().map(cause);
    let mut summary = summary(stretch, hours);
    if let Some(cause) = &cause {
        summary.push_str(&format!("; {cause}"));
    }
    Gap {
        of: None,
        hours: stretch.hours.clone(),
        observed: stretch.observed,
        expected: stretch.expected,
        dispersion: stretch.dispersion,
        raw_score: stretch.score,
        score,
        odds,
        severity,
        cause,
        summary,
        days: hours.days().collect(),
    }
}

fn cause(MadeUp { hours, observed, expected }: &MadeUp) -> String {
    let after = if *hours == 1 { "hour".to_owned() } else { format!("{hours} hours") };
    let (observed, expected) = (count(*observed), count(*expected));
    format!(
        "explained by an outage: the log was written, and the work made up for in the {after} after it ({observed} records, \
         {expected} expected)"
    )
}

fn summary(stretch: &Stretch, hours: &Hours) -> String {
    let length = length(&stretch.hours);
    let (start, end) = (hours.time(stretch.hours.start), hours.time(stretch.hours.end));
    let (observed, expected) = (count(stretch.observed), count(stretch.expected));
    let when = format!("from {} to {} UTC", minute(start), minute(end));
    if stretch.is_silent() {
        let left = if stretch.observed < 1.0 {
            "no record at all".to_owned()
        } else {
            format!("{observed} records")
        };
        return format!(
            "the log has {left} for {length}, {when}, where {expected} were expected: it was deleted or not written, or \
             nobody could work"
        );
    }
    let lost = 100.0 * (1.0 - stretch.observed / stretch.expected);
    format!(
        "the log has {observed} records for {length}, {when}, where {expected} were expected: {lost:.0}% are missing, \
         of all keys and objects alike, as where records are lost or deleted"
    )
}
