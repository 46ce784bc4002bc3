//! Gaps of the log itself: hours and days in which records are missing. Whoever has taken data may take the log of it, too.
//!
//! In: totals by hour; where these are too low, the hours of the largest keys and objects. Out: findings about the log, the
//! view [`Dimension::LOG`]. Two kinds are told. *Silence*: next to nothing is left of many expected records; a long outage
//! looks the same, and the finding says so. *Thinning*: a part is missing of all alike (`mix`), which people who stay away
//! do not bring about. How unlikely a stretch is on a day of this log is read off its other days (`rate/calibrate.rs`).

mod hours;
mod mix;
mod search;

use slowleak_record::{Field, Micros};
use slowleak_rollup::{Dimension, Lookup, Metric};

use crate::config::DetectConfig;
use crate::days::Log;
use crate::finding::{Detector, Evidence, Finding, Point, Severity};
use crate::gap::hours::Hours;
use crate::gap::mix::Mix;
use crate::gap::search::{LENGTHS, Search, Stretch};
use crate::leak::identity::finding_id;
use crate::leak::wording::{count, minute};
use crate::rate::calibrate::Tail;

/// Score, nats, from which a stretch is looked at.
const LOOKED_AT: f64 = 8.0;
/// Hours of silence that are of medium severity...
const LONG: usize = 24;
/// ...and in a log that has empty hours anyway.
const LONG_ASLEEP: usize = 7 * 24;
/// How close a leak must come to a gap for the two to name each other.
const NEAR: i64 = Micros::DAY;

/// The gaps of a log as findings, in the order of time.
///
/// # Errors
/// The cells of a view can not be read.
pub(crate) fn gaps<L: Lookup>(log: &Log<'_>, rollup: &L) -> Result<Vec<Finding>, L::Error> {
    let views = [Field::Key, Field::User].into_iter().filter_map(|field| log.slices.view(&[field]));
    let Some(hours) = Hours::of(views.map(|daily| daily.table), log.grid) else { return Ok(Vec::new()) };
    let search = Search::new(&hours);
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
    let mut found: Vec<Finding> = silent
        .iter()
        .chain(&thinned)
        .filter(|stretch| stretch.expected >= log.config.min_events as f64)
        .filter_map(|stretch| {
            let odds = tail.expected_false(stretch.score, days, 1.0, 24.0, LENGTHS.len() as f64)?;
            let score = tail.calibrated(stretch.score)?;
            (odds <= log.config.max_expected_false).then(|| finding(&hours, stretch, score, odds, log.config))
        })
        .collect();
    found.sort_by_key(|finding| finding.start);
    Ok(found)
}

fn finding(hours: &Hours, stretch: &Stretch, score: f64, odds: f64, config: &DetectConfig) -> Finding {
    let (start, end) = (hours.time(stretch.hours.start), hours.time(stretch.hours.end));
    let long = if hours.sleeps { LONG_ASLEEP } else { LONG };
    let severity = match stretch.is_silent() {
        true if stretch.hours.len() >= long => Severity::Medium,
        false if odds <= config.high_expected_false => Severity::Medium,
        _ => Severity::Low,
    };
    let days: Vec<(f64, f64)> = hours.days().collect();
    let evidence = Evidence {
        phase: 1,
        detector: Detector::LogGap,
        dimension: Dimension::LOG,
        entity: String::new(),
        metric: Metric::Events,
        start,
        end,
        observed: stretch.observed,
        expected: stretch.expected,
        level_per_day: days.iter().map(|(observed, _)| observed).sum::<f64>() / days.len().max(1) as f64,
        dispersion: stretch.dispersion,
        raw_score: stretch.score,
        score,
        expected_false: Some(odds),
    };
    let at = |day: usize| hours.time(day * 24);
    let point =
        |(day, (observed, expected)): (usize, (f64, f64))| Point { start: at(day), observed, expected };
    Finding {
        id: finding_id(Detector::LogGap.name(), "log", "", Metric::Events.name(), start),
        rank: 0,
        severity,
        detector: Detector::LogGap,
        dimension: Dimension::LOG,
        entity: String::new(),
        key: None,
        user: None,
        metric: Metric::Events,
        start,
        end,
        observed: stretch.observed,
        expected: stretch.expected,
        subjects: None,
        taken: 0.0,
        sensitivity: 1.0,
        score,
        expected_false: Some(odds),
        open: false,
        summary: summary(stretch, start, end),
        suppressed: None,
        cause: None,
        evidence: vec![evidence],
        shares: Vec::new(),
        timeline: days.into_iter().enumerate().map(point).collect(),
    }
}

fn summary(stretch: &Stretch, start: Micros, end: Micros) -> String {
    let length = match stretch.hours.len() {
        1 => "an hour".to_owned(),
        hours if hours % 24 == 0 && hours > 24 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    };
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

/// Lets leaks and the gaps that they touch name each other.
pub(crate) fn name(gaps: &mut [Finding], leaks: &mut [Finding]) {
    let leak = |finding: &&mut Finding| finding.severity >= Severity::Medium && finding.cause.is_none();
    for leak in leaks.iter_mut().filter(leak) {
        let touches = |gap: &&mut Finding| leak.start.0 < gap.end.0 + NEAR && gap.start.0 < leak.end.0 + NEAR;
        let touched: Vec<&mut Finding> = gaps.iter_mut().filter(touches).collect();
        let Some(first) = touched.first() else { continue };
        let more = match touched.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        let words = format!(
            "; the log has a gap there (from {} to {} UTC{more}), of which nothing is known",
            minute(first.start),
            minute(first.end)
        );
        leak.summary.push_str(&words);
        for gap in touched {
            gap.summary
                .push_str(&format!("; finding {} ({} {}) touches it", leak.id, leak.dimension, leak.entity));
        }
    }
}
