//! Interval edges to the window of the finest table, within a day of where the day grid put them.

use slowleak_record::Micros;
use slowleak_rollup::{Metric, Table};

/// How far from the day grid's edge the finer edge may lie.
const REACH: i64 = Micros::DAY;

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

/// Moves both edges to where the sum of window scores between them is largest, and closest together where several are.
/// Windows are scored as Poisson counts of a rate that is flat over the day: enough to place an edge, not to judge an
/// interval. All cells are of the entity whose interval it is.
pub(crate) fn refine(cells: &Table, coarse: Coarse) -> (Micros, Micros) {
    let window = cells.view.window.micros();
    if window >= Micros::DAY || coarse.ratio <= 1.0 {
        return (coarse.start, coarse.end);
    }
    let events = cells.count(Metric::Events);
    let mean = coarse.expected_per_day * window as f64 / Micros::DAY as f64;
    let base = (coarse.start.0 - REACH).div_euclid(window) * window;
    let first = cells.windows.partition_point(|time| time.0 < base);
    let mut rest = first..cells.windows.len();
    let (mut sum, mut at) = (0.0, base);
    // The least sum before an edge that may be the start; the best interval so far.
    let (mut least, mut start) = (f64::INFINITY, base);
    let mut best = (f64::NEG_INFINITY, coarse.start.0, coarse.end.0);
    while at <= coarse.end.0 + REACH {
        if (at - coarse.end.0).abs() <= REACH && sum - least > best.0 {
            best = (sum - least, start, at);
        }
        if (at - coarse.start.0).abs() <= REACH && sum <= least {
            (least, start) = (sum, at);
        }
        let cell = rest.clone().next().filter(|cell| cells.windows[*cell].0 == at);
        if let Some(cell) = cell {
            sum += events[cell] as f64 * coarse.ratio.ln();
            rest.start += 1;
        }
        sum -= (coarse.ratio - 1.0) * mean;
        at += window;
    }
    (Micros(best.1), Micros(best.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(hours: &[(i64, i64)]) -> Table {
        let mut table = Table {
            view: "key@1h:events".parse().unwrap(),
            entities: vec!["k".to_owned()],
            offsets: vec![0],
            windows: Vec::new(),
            counts: Default::default(),
            sketches: Default::default(),
        };
        for (hour, events) in hours {
            table.windows.push(Micros(hour * Micros::HOUR));
            table.counts[Metric::Events as usize].push(*events);
        }
        table.offsets.push(table.windows.len());
        table
    }

    fn edges(hours: &[(i64, i64)], days: std::ops::Range<i64>) -> (i64, i64) {
        let day = |day: i64| Micros(day * Micros::DAY);
        let coarse =
            Coarse { start: day(days.start), end: day(days.end), expected_per_day: 24.0, ratio: 3.0 };
        let (start, end) = refine(&cells(hours), coarse);
        (start.0 / Micros::HOUR, end.0 / Micros::HOUR)
    }

    #[test]
    fn edges_are_those_of_the_hours_that_rose_wherever_they_lie_in_the_day() {
        for risen in [1..3, 11..13, 12..20, 22..23, 5..23] {
            let hours: Vec<(i64, i64)> =
                (0..24 * 9).map(|h| (h, if risen.contains(&(h - 96)) { 20 } else { 1 })).collect();
            assert_eq!(edges(&hours, 4..5), (96 + risen.start, 96 + risen.end));
        }
    }

    #[test]
    fn long_intervals_end_within_a_day_of_where_they_were() {
        let risen = 24 * 10 + 7..24 * 30 - 5;
        let hours: Vec<(i64, i64)> =
            (0..24 * 40).map(|h| (h, if risen.contains(&h) { 4 } else { 1 })).collect();
        assert_eq!(edges(&hours, 10..30), (risen.start, risen.end));
        assert_eq!(edges(&hours, 14..20), (13 * 24, 21 * 24));
    }
}
