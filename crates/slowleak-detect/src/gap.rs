//! Gaps of the log itself: hours and days in which records are missing. Whoever has taken data may take the log of it, too.
//!
//! In: totals by hour; the hours of the largest keys, users, objects and sources. Out: findings about the log. Three kinds
//! are told. *Silence* and *thinning* of the whole log (`whole`): next to nothing is left of many expected records, or a part
//! is missing of all alike (`mix`). *Stops* (`stops`): what never rests stood still, and came back. Outages look the same,
//! and findings say so; one after which the work was made up for is information. How unlikely a gap is is read off the
//! other days of the log, and off the others that never rest (`rate/calibrate.rs`).

mod hours;
mod mix;
mod search;
mod stops;
mod whole;

use std::ops::Range;

use slowleak_record::{Field, Micros};
use slowleak_rollup::{Dimension, Lookup, Metric};

use crate::days::Log;
use crate::finding::{Detector, Evidence, Finding, Point, Severity};
use crate::gap::hours::Hours;
use crate::leak::identity::finding_id;
use crate::leak::wording::minute;

/// How close a leak must come to a gap for the two to name each other.
const NEAR: i64 = Micros::DAY;

/// Missing records, with their figures.
struct Gap {
    /// Of whom: a field and its value; `None` for the log as a whole.
    of: Option<(Field, String)>,
    /// Positions from the start of the grid.
    hours: Range<usize>,
    observed: f64,
    expected: f64,
    dispersion: f64,
    /// Nats, before and after calibration.
    raw_score: f64,
    score: f64,
    odds: f64,
    severity: Severity,
    cause: Option<String>,
    summary: String,
    /// Records and what is usual, by day of the grid.
    days: Vec<(f64, f64)>,
}

/// The gaps of a log as findings, in the order of time.
///
/// # Errors
/// The cells of a view can not be read.
pub(crate) fn gaps<L: Lookup>(log: &Log<'_>, rollup: &L) -> Result<Vec<Finding>, L::Error> {
    let views = [Field::Key, Field::User].into_iter().filter_map(|field| log.slices.view(&[field]));
    let Some(hours) = Hours::of(views.map(|daily| daily.table), log.grid) else { return Ok(Vec::new()) };
    let mut found = whole::gaps(log, &hours, rollup)?;
    found.extend(stops::gaps(log, &hours, rollup)?);
    let mut findings: Vec<Finding> = found.into_iter().map(|gap| gap.finding(&hours)).collect();
    findings.sort_by_key(|finding| finding.start);
    Ok(findings)
}

impl Gap {
    fn finding(self, hours: &Hours) -> Finding {
        let (start, end) = (hours.time(self.hours.start), hours.time(self.hours.end));
        let (dimension, entity) = match &self.of {
            Some((field, value)) => (Dimension::from(*field), value.clone()),
            None => (Dimension::LOG, String::new()),
        };
        let part = |wanted: Field| {
            self.of.as_ref().filter(|(field, _)| *field == wanted).map(|(_, value)| value.clone())
        };
        let records: f64 = self.days.iter().map(|(observed, _)| observed).sum();
        let evidence = Evidence {
            phase: 1,
            detector: Detector::LogGap,
            dimension: dimension.clone(),
            entity: entity.clone(),
            metric: Metric::Events,
            start,
            end,
            observed: self.observed,
            expected: self.expected,
            level_per_day: records / self.days.len().max(1) as f64,
            dispersion: self.dispersion,
            raw_score: self.raw_score,
            score: self.score,
            expected_false: Some(self.odds),
        };
        let point = |(day, (observed, expected)): (usize, (f64, f64))| Point {
            start: hours.time(day * 24),
            observed,
            expected,
        };
        let (name, view) = (Detector::LogGap.name(), dimension.to_string());
        Finding {
            id: finding_id(name, &view, &entity, Metric::Events.name(), start),
            rank: 0,
            severity: self.severity,
            detector: Detector::LogGap,
            dimension,
            entity,
            key: part(Field::Key),
            user: part(Field::User),
            metric: Metric::Events,
            start,
            end,
            observed: self.observed,
            expected: self.expected,
            subjects: None,
            taken: 0.0,
            sensitivity: 1.0,
            score: self.score,
            expected_false: Some(self.odds),
            open: false,
            summary: self.summary,
            suppressed: None,
            cause: self.cause,
            evidence: vec![evidence],
            shares: Vec::new(),
            timeline: self.days.into_iter().enumerate().map(point).collect(),
        }
    }
}

/// The length of a stretch in words.
fn length(hours: &Range<usize>) -> String {
    match hours.len() {
        1 => "an hour".to_owned(),
        hours if hours % 24 == 0 && hours > 24 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
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
