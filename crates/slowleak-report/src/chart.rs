//! A finding's timeline as shapes for an inline SVG. All strings are made of our own numbers and dates.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use slowleak_detect::Finding;
use slowleak_record::Micros;

use crate::series::Series;
use crate::words;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 170.0;
/// Room for the figures left of the plot, and for the dates below.
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;
const MOST_BARS: usize = 190;

/// What the template draws, in the units of a `viewBox` of [`Chart::width`] by [`Chart::height`].
#[derive(Serialize)]
pub(crate) struct Chart {
    width: f64,
    height: f64,
    /// Plot area: left, top, right, bottom.
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    /// Path of the bars outside the interval, and of those inside.
    outside: String,
    inside: String,
    /// Path of the line that was expected.
    expected: String,
    /// The interval: left edge and width.
    shade: Option<(f64, f64)>,
    /// Horizontal lines: height, label.
    levels: Vec<(f64, String)>,
    /// Dates: position, label.
    dates: Vec<(f64, String)>,
    /// What one bar is, in words.
    caption: String,
}

impl Chart {
    /// `None` where the finding has no timeline.
    pub(crate) fn new(finding: &Finding) -> Option<Self> {
        let series = Series::new(finding, MOST_BARS)?;
        let (first, last) = (series.bars.first()?.start, series.bars.last()?.end);
        let span = (last.0.saturating_sub(first.0)).max(1) as f64;
        let (right, bottom) = (WIDTH - 4.0, HEIGHT - BOTTOM);
        let ceiling = round_up(series.top());
        let x = |time: Micros| {
            LEFT + (right - LEFT) * ((time.0.saturating_sub(first.0)) as f64 / span).clamp(0.0, 1.0)
        };
        let y = |value: f64| bottom - (bottom - TOP) * (value / ceiling).clamp(0.0, 1.0);
        let (mut outside, mut inside, mut expected) = (String::new(), String::new(), String::new());
        for bar in &series.bars {
            let (from, to) = (x(bar.start), x(bar.end));
            let gap = if to - from > 3.0 { 0.8 } else { 0.0 };
            if bar.observed > 0.0 {
                let path = if bar.inside { &mut inside } else { &mut outside };
                path.push_str(&format!(
                    "M{} {}H{}V{}H{}Z",
                    n(from + gap),
                    n(bottom),
                    n(to),
                    n(y(bar.observed)),
                    n(from + gap)
                ));
            }
            let move_or_line = if expected.is_empty() { 'M' } else { 'L' };
            expected.push_str(&format!("{move_or_line}{} {}H{}", n(from), n(y(bar.expected)), n(to)));
        }
        let touches = finding.end > first && finding.start < last;
        let shade = touches.then(|| {
            let (from, to) = (x(finding.start), x(finding.end));
            (round(from), round((to - from).max(1.5)))
        });
        let level = |part: f64| {
            let label =
                if part > 0.0 { words::figure(finding.metric, ceiling * part) } else { "0".to_owned() };
            (round(y(ceiling * part)), label)
        };
        Some(Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            top: TOP,
            right,
            bottom,
            outside,
            inside,
            expected,
            shade,
            levels: vec![level(0.0), level(0.5), level(1.0)],
            dates: dates(first, last).into_iter().map(|(time, label)| (round(x(time)), label)).collect(),
            caption: caption(finding, &series),
        })
    }
}

fn caption(finding: &Finding, series: &Series) -> String {
    let unit = words::unit(finding.metric, 2.0);
    let average = if series.step > 1 { ", averaged" } else { "" };
    format!("{unit} a {}{average}; one bar per {}", series.window_word(), series.bar_word())
}

/// About six instants at round places of the calendar between `first` and `last`.
pub(crate) fn dates(first: Micros, last: Micros) -> Vec<(Micros, String)> {
    let span = last.0.saturating_sub(first.0).max(1);
    if span > 75 * Micros::DAY {
        let months = months(first, last);
        if !months.is_empty() {
            return months;
        }
    }
    let steps = [1, 3, 6, 12, 24, 48, 7 * 24, 14 * 24];
    let step = steps.iter().map(|hours| hours * Micros::HOUR).find(|step| span / step <= 6);
    let step = step.unwrap_or(span / 6 + 1);
    let begin = first.0.saturating_add(step - 1).div_euclid(step).saturating_mul(step);
    let ticks = (0..8).map(|index| begin.saturating_add(step.saturating_mul(index)));
    ticks
        .take_while(|time| *time <= last.0)
        .map(|time| {
            let time = Micros(time);
            let label = if step < Micros::DAY { words::instant(time) } else { words::day(time) };
            (time, label)
        })
        .collect()
}

/// First days of months, of every second, third, sixth one or of years, so that at most eight fit. Empty
/// for times outside the calendar and for a span of many centuries.
fn months(first: Micros, last: Micros) -> Vec<(Micros, String)> {
    let month = |time: Micros| {
        let date = TimeZone::UTC.to_datetime(time.timestamp()).date();
        i64::from(date.year()) * 12 + i64::from(date.month()) - 1
    };
    let begin = |month: i64| {
        let year = i16::try_from(month.div_euclid(12)).ok()?;
        let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
        let date = Date::new(year, month, 1).ok()?.to_zoned(TimeZone::UTC).ok()?;
        Some(Micros::from(date.timestamp()))
    };
    let (from, to) = (month(first), month(last));
    let step = [1, 2, 3, 6, 12, 24, 60, 120].into_iter().find(|step| (to - from) / step <= 6);
    let Some(step) = step else { return Vec::new() };
    let next = (from + step - 1).div_euclid(step) * step;
    (0..8)
        .filter_map(|index| begin(next + index * step))
        .filter(|time| *time >= first && *time <= last)
        .map(|time| (time, words::day(time)))
        .collect()
}

/// The next of 1, 2, 5, 10, 20, ... at or above `value`.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
        .iter()
        .map(|step| step * unit)
        .find(|level| *level >= value)
        .unwrap_or(10.0 * unit)
}

/// To a tenth of a pixel.
pub(crate) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn n(value: f64) -> String {
    round(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_round() {
        for (value, ceiling) in [(0.0, 1.0), (1.0, 1.0), (1234.0, 1500.0), (9.5, 10.0), (f64::NAN, 1.0)] {
            assert_eq!(round_up(value), ceiling);
        }
    }

    #[test]
    fn ticks_stay_inside_and_are_few() {
        for days in [1, 2, 30, 80, 200, 400, 4000, 100_000] {
            let (first, last) = (Micros(12_345), Micros(days * Micros::DAY));
            let ticks = dates(first, last);
            assert!((2..=8).contains(&ticks.len()), "{days}: {}", ticks.len());
            assert!(ticks.is_sorted());
            assert!(ticks.iter().all(|(time, _)| *time >= first && *time <= last));
        }
    }
}
