//! Interval edges to the window of the finest table, within a day of where the day grid put them.

use slowleak_record::Micros;
use slowleak_rollup::{Metric, Table};

/// How far from the day grid's edge the finer edge may lie.
const REACH: i64 = Micros::DAY;
/// Evidence on the far side of the edge that the sums look at.
const DEPTH: i64 = 2 * Micros::DAY;

/// What the day grid knows about an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Coarse {
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    /// Events a day that the baseline expects.
    pub(crate) expected_per_day: f64,
    /// Observed over expected.
    pub(crate) ratio: f64,
}

/// Moves both edges to where the sum of window scores inside is largest. Windows are scored as Poisson
/// counts of a rate that is flat over the day: enough to place an edge, not to judge an interval. All cells are
/// of the entity whose interval it is.
pub(crate) fn refine(cells: &Table, coarse: Coarse) -> (Micros, Micros) {
    let window = cells.view.window.micros();
    if window >= Micros::DAY || coarse.ratio <= 1.0 {
        return (coarse.start, coarse.end);
    }
    let events = cells.count(Metric::Events);
    let mean = coarse.expected_per_day * window as f64 / Micros::DAY as f64;
    let score = |start: i64| {
        let found = cells.windows.binary_search(&Micros(start));
        let count = found.map_or(0.0, |cell| events[cell] as f64);
        count * coarse.ratio.ln() - (coarse.ratio - 1.0) * mean
    };
    let best = |from: i64, to: i64, step: i64, edge: i64| {
        // Walks from well inside the interval outwards; the edge is where the running sum peaks.
        let (mut sum, mut peak, mut at) = (0.0, f64::NEG_INFINITY, edge);
        let mut window_start = from;
        while (step > 0 && window_start < to) || (step < 0 && window_start >= to) {
            sum += score(window_start);
            let candidate = if step > 0 { window_start + step } else { window_start };
            if (candidate - edge).abs() <= REACH && sum > peak {
                (peak, at) = (sum, candidate);
            }
            window_start += step;
        }
        at
    };
    let middle = coarse.start.0 + (coarse.end.0 - coarse.start.0) / 2;
    let inner = (coarse.start.0 + DEPTH).min(middle).div_euclid(window) * window;
    let start = best(inner - window, coarse.start.0 - REACH, -window, coarse.start.0);
    let inner = (coarse.end.0 - DEPTH).max(middle).div_euclid(window) * window;
    let end = best(inner, coarse.end.0 + REACH, window, coarse.end.0);
    if start < end { (Micros(start), Micros(end)) } else { (coarse.start, coarse.end) }
}
