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
    /// Whether the finding's interval touches the bar.
    pub(crate) inside: bool,
}

impl Series {
    /// At most `most` bars, each of 1, 7, 14, 28, ... windows: days and weeks where the windows are days.
    /// `None` where there is no timeline.
    pub(crate) fn new(finding: &Finding, most: usize) -> Option<Self> {
        let points = &finding.timeline;
        let (first, last) = (points.first()?.start, points.last()?.start);
        let window = window(points);
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
        let bars = (0i64..).zip(sums).map(|(index, (observed, expected))| {
            let covered = step.min(windows - index * step) as f64;
            let at = |windows: i64| Micros(first.0.saturating_add(window.saturating_mul(windows)));
            let (start, end) = (at(index * step), at((index + 1).saturating_mul(step).min(windows)));
            Bar {
                start,
                end,
                observed: observed / covered,
                expected: expected / covered,
                inside: start < finding.end && end > finding.start,
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
