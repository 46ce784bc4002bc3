//! `replay.svg`: each leak along time, and from when on it was told. All strings but the names are made of our own numbers and
//! dates; names are escaped by the template.

use std::cmp::Reverse;

use serde::Serialize;
use slowleak_detect::Severity;
use slowleak_record::Micros;

use super::{Replayed, ReplayedPhase};
use crate::chart::{dates, round};
use crate::escape::brief;
use crate::{templates, words};

const TEMPLATE: &str = include_str!("../templates/replay.svg");

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 16.0;
/// Above the first leak, of a leak, and below the last one.
const TOP: f64 = 54.0;
const ROW: f64 = 70.0;
const BOTTOM: f64 = 34.0;
/// More leaks are only counted.
const LEAKS: usize = 20;
/// Bars as thin as this can still be seen.
const THINNEST: f64 = 2.0;

/// What the template draws.
#[derive(Serialize)]
struct Picture {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    title: String,
    version: &'static str,
    rows: Vec<Row>,
    /// Dates: position, label.
    dates: Vec<(f64, String)>,
    more: usize,
}

#[derive(Serialize)]
struct Row {
    y: f64,
    severity: &'static str,
    who: String,
    said: String,
    /// Bars of what went on untold, and of what went on after the first report: left edge and width.
    untold: Vec<(f64, f64)>,
    told: Vec<(f64, f64)>,
    /// Nights of first reports.
    reports: Vec<f64>,
}

/// The picture of `rows` up to the night `until`.
pub(super) fn svg(rows: &[Replayed], until: Micros) -> Result<String, minijinja::Error> {
    templates::render("replay.svg", TEMPLATE, picture(rows, until))
}

fn picture(rows: &[Replayed], until: Micros) -> Picture {
    let mut told: Vec<&Replayed> =
        rows.iter().filter(|row| row.stands && row.finding.severity >= Severity::Medium).collect();
    // The worst first, as in every list of findings. (All stand, so that all ranks are of the last night.)
    told.sort_by_key(|row| (Reverse(row.finding.severity), row.finding.rank));
    let title = match told.len() {
        0 => "No leak of severity medium or worse stood to the last night".to_owned(),
        number => format!(
            "{} of severity medium or worse, and when {} told first",
            words::plural(number as f64, "The leak", "The leaks"),
            words::plural(number as f64, "it was", "they were"),
        ),
    };
    let shown = &told[..told.len().min(LEAKS)];
    let times = shown.iter().flat_map(|row| &row.phases);
    let first =
        times.clone().map(|phase| phase.start).min().unwrap_or(Micros(until.0.saturating_sub(Micros::DAY)));
    let last =
        times.map(|phase| phase.end.max(phase.first_reported)).max().map_or(until, |end| end.max(until));
    let (left, right) = (MARGIN, WIDTH - MARGIN);
    let span = last.0.saturating_sub(first.0).max(1) as f64;
    let x =
        |time: Micros| left + (right - left) * (time.0.saturating_sub(first.0) as f64 / span).clamp(0.0, 1.0);
    let bar = |from: Micros, to: Micros| (round(x(from)), round((x(to) - x(from)).max(THINNEST)));
    let many_settings = rows.iter().any(|row| row.settings != rows[0].settings);
    let row = |(at, row): (usize, &&Replayed)| {
        let split = |phase: &ReplayedPhase| phase.first_reported.min(phase.end).max(phase.start);
        let untold = row.phases.iter().filter(|phase| split(phase) > phase.start);
        let told = row.phases.iter().filter(|phase| split(phase) < phase.end);
        Row {
            y: TOP + ROW * at as f64,
            severity: row.finding.severity.name(),
            who: who(row, many_settings),
            said: said(row),
            untold: untold.map(|phase| bar(phase.start, split(phase))).collect(),
            told: told.map(|phase| bar(split(phase), phase.end)).collect(),
            reports: row.phases.iter().map(|phase| round(x(phase.first_reported))).collect(),
        }
    };
    let rows: Vec<Row> = shown.iter().enumerate().map(row).collect();
    let bottom = TOP + ROW * rows.len().max(1) as f64;
    Picture {
        width: WIDTH,
        height: bottom + BOTTOM,
        left,
        right,
        top: TOP - 8.0,
        bottom,
        title,
        version: env!("CARGO_PKG_VERSION"),
        rows,
        dates: dates(first, last).into_iter().map(|(time, label)| (round(x(time)), label)).collect(),
        more: told.len() - shown.len(),
    }
}

fn who(row: &Replayed, many_settings: bool) -> String {
    let finding = &row.finding;
    let who = words::who(&finding.dimension, &finding.entity, |part| brief(part, 36));
    if many_settings { format!("{}: {who}", brief(&row.settings, 24)) } else { who }
}

/// `told 22 Jul 2025, after 27 days, ~65 of ~315 accounts touched by then`.
fn said(row: &Replayed) -> String {
    let first = row.first_reported;
    let delay = words::duration(row.finding.start, first.max(row.finding.start));
    let accounts = match (row.subjects_by_then, row.finding.subjects) {
        (Some(by_then), Some(all)) => {
            format!(", ~{} of ~{} accounts touched by then", words::about(by_then), words::about(all))
        }
        _ => String::new(),
    };
    let first_night = if row.at_first_night { " (the first night: perhaps earlier before it)" } else { "" };
    format!("told {}{first_night}, after {delay}{accounts}", words::day(first))
}
