//! A finding's timeline brought to a given number of bars: what sparklines and charts draw.

use slowleak_detect::{Finding, Point};
use slowleak_record::Micros;

/// A timeline in bars of equal length.
pub(crate) struct Series {
    /// Length of one window of the timeline, microseconds.
    pub(crate) window: i64,
    /// Windows in a bar.
    pub(crate) step: i64,
    /// The bars, in time order; stretches without a window are bars of zero.
    pub(crate) bars: Vec<Bar>,
}

/// Averages over one bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar {
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    /// Counted, a window.
    pub(crate) observed: f64,
    /// Expected, a window.
    pub(crate) expected: f64,
    /// Whether the finding's interval, or one of its phases where there are several, touches the bar.
    pub(crate) inside: bool,
}

impl Series {
    /// At most `most` bars, each of 1, 7, 14, 28, ... windows: days and weeks where the windows are days.
    /// `None` where there is no timeline.
    pub(crate) fn new(finding: &Finding, most: usize) -> Option<Self> {
        let points = around(finding);
        let (first, last) = (points.first()?.start, points.last()?.start);
        let window = window(&finding.timeline);
        let windows = last.0.checked_sub(first.0)?.checked_div(window)?.checked_add(1).filter(|n| *n > 0)?;
        let most = i64::try_from(most.max(1)).ok()?;
        let mut step = 1;
        let bars = |step: i64| windows / step + i64::from(windows % step > 0);
        while bars(step) > most {
            step = if step == 1 { 7 } else { step.checked_mul(2)? };
        }
        let count = usize::try_from(bars(step)).ok()?;
        let mut sums = vec![(0.0, 0.0); count];
        for point in points {
            let index = point.start.0.saturating_sub(first.0) / window / step;
            let sum = usize::try_from(index).ok().and_then(|index| sums.get_mut(index));
            if let Some((observed, expected)) = sum {
                *observed += clean(point.observed);
                *expected += clean(point.expected);
            }
        }
        let phases: Vec<(Micros, Micros)> = match finding.phases() {
            phases if phases.len() > 1 => phases.iter().map(|phase| (phase.start, phase.end)).collect(),
            _ => vec![(finding.start, finding.end)],
        };
        let bars = (0i64..).zip(sums).map(|(index, (observed, expected))| {
            let covered = step.min(windows - index * step) as f64;
            let at = |windows: i64| Micros(first.0.saturating_add(window.saturating_mul(windows)));
            let (start, end) = (at(index * step), at((index + 1).saturating_mul(step).min(windows)));
            Bar {
                start,
                end,
                observed: observed / covered,
                expected: expected / covered,
                inside: phases.iter().any(|(from, to)| start < *to && end > *from),
            }
        });
        Some(Self { window, step, bars: bars.collect() })
    }

    /// The highest average, observed or expected, a window; 0 where all is silent.
    pub(crate) fn top(&self) -> f64 {
        self.bars.iter().map(|bar| bar.observed.max(bar.expected)).fold(0.0, f64::max)
    }

    /// Length of a bar in words: `day`, `week`, `4 weeks`, `hour`.
    pub(crate) fn bar_word(&self) -> String {
        let length = self.window.saturating_mul(self.step);
        for (unit, name) in [
            (7 * Micros::DAY, "week"),
            (Micros::DAY, "day"),
            (Micros::HOUR, "hour"),
            (60 * Micros::SECOND, "minute"),
            (Micros::SECOND, "second"),
        ] {
            if length % unit == 0 {
                let number = length / unit;
                return if number == 1 { name.to_owned() } else { format!("{number} {name}s") };
            }
        }
        "window".to_owned()
    }

    /// Length of a window in words.
    pub(crate) fn window_word(&self) -> String {
        Self { window: self.window, step: 1, bars: Vec::new() }.bar_word()
    }

    /// One character a bar, the interval in brackets: `▁▁▂[▆▇▇▆]▁`.
    pub(crate) fn sparkline(&self) -> String {
        const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let top = self.bars.iter().map(|bar| bar.observed).fold(0.0, f64::max);
        let mut out = String::new();
        let mut inside = false;
        for bar in &self.bars {
            if bar.inside != inside {
                out.push(if bar.inside { '[' } else { ']' });
                inside = bar.inside;
            }
            let level = if top > 0.0 { (bar.observed / top * 7.0).round() } else { 0.0 };
            // A float to integer cast saturates.
            out.push(LEVELS.get(level as usize).copied().unwrap_or('█'));
        }
        if inside {
            out.push(']');
        }
        out
    }
}

/// The part of the timeline to draw: all of it, unless the interval is so short that it would vanish; then
/// eight times its length to both sides, and at least thirty windows.
fn around(finding: &Finding) -> &[Point] {
    let points = finding.timeline.as_slice();
    let length = finding.end.0.saturating_sub(finding.start.0);
    let margin = length.saturating_mul(8).max(window(points).saturating_mul(30));
    let (from, to) = (finding.start.0.saturating_sub(margin), finding.end.0.saturating_add(margin));
    let begin = points.partition_point(|point| point.start.0 < from);
    let end = points.partition_point(|point| point.start.0 < to);
    match points.get(begin..end) {
        Some(near) if !near.is_empty() => near,
        _ => points,
    }
}

/// The shortest distance between two windows; a day where there is but one.
fn window(points: &[Point]) -> i64 {
    let steps = points.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after.start.0.saturating_sub(before.start.0)),
        _ => None,
    });
    steps.filter(|step| *step > 0).min().unwrap_or(Micros::DAY)
}

fn clean(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slowleak_detect::{Detector, Severity};
    use slowleak_rollup::Metric;

    fn finding(days: i64, start: i64, end: i64) -> Finding {
        let at = |day: i64| Micros(day * Micros::DAY);
        let point = |day| Point {
            start: at(day),
            observed: if day >= start && day < end { 8.0 } else { 2.0 },
            expected: 2.0,
        };
        Finding {
            id: String::new(),
            rank: 1,
            severity: Severity::Medium,
            detector: Detector::Rate,
            dimension: "key".parse().unwrap(),
            entity: String::new(),
            key: None,
            user: None,
            metric: Metric::Events,
            start: at(start),
            end: at(end),
            observed: 0.0,
            expected: 0.0,
            subjects: None,
            taken: 0.0,
            sensitivity: 1.0,
            score: 0.0,
            expected_false: None,
            open: false,
            summary: String::new(),
            suppressed: None,
            cause: None,
            evidence: Vec::new(),
            shares: Vec::new(),
            timeline: (0..days).map(point).collect(),
        }
    }

    #[test]
    fn long_timelines_become_weeks() {
        let series = Series::new(&finding(70, 28, 63), 20).unwrap();
        assert_eq!((series.step, series.bar_word().as_str()), (7, "week"));
        assert_eq!(series.sparkline(), "▃▃▃▃[█████]▃");
        assert_eq!(series.bars[0].observed, 2.0);
    }

    #[test]
    fn a_short_interval_is_drawn_near() {
        let series = Series::new(&finding(400, 200, 201), 100).unwrap();
        assert_eq!(series.bars.len(), 61);
        assert_eq!(series.bars.iter().filter(|bar| bar.inside).count(), 1);
    }

    #[test]
    fn the_last_bar_is_averaged_over_what_it_covers() {
        let series = Series::new(&finding(23, 0, 7), 5).unwrap();
        assert_eq!(series.bars.iter().map(|bar| bar.observed).collect::<Vec<_>>(), [8.0, 2.0, 2.0, 2.0]);
        assert!(Series::new(&finding(0, 0, 7), 5).is_none());
    }
}
