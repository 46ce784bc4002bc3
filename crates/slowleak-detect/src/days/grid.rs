//! The grid of days that every series of a run lies on.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use slowleak_record::{Micros, Window};
use slowleak_rollup::DayTable;

/// Stretches of days further apart than this are judged apart when the grid is laid...
const STRAY_GAP_DAYS: i64 = 365;
/// ...and left out of it with less than this share of the events: clocks that were wrong, and times that stand for none.
const STRAY_SHARE: f64 = 0.05;
/// No log spans more: a stretch further from the one with the most events is left out, however large.
const LONGEST_DAYS: i64 = 50 * 366;

/// Consecutive UTC days from the first to the last with any record, and which of them have one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    first: i64,
    logged: Vec<bool>,
    end: Micros,
}

impl Grid {
    /// The grid that holds every day of the tables; `None` where they have none.
    pub(crate) fn of(tables: &[DayTable]) -> Option<Self> {
        // A week's window starts before its first record: the finer tables alone tell the days.
        let tables = || tables.iter().filter(|table| table.view.window <= Window::DAY);
        let mut events = BTreeMap::<i64, f64>::new();
        for table in tables() {
            for (day, count) in table.days.iter().zip(&table.events) {
                *events.entry(i64::from(*day)).or_default() += *count as f64;
            }
        }
        let (first, last) = span(&events)?;
        let days = usize::try_from(last - first + 1).ok()?;
        // The finest window tells best where the data ends; of several views, the one that reaches furthest.
        let ends = tables().filter_map(|table| {
            let last_window = table.latest.get(&i32::try_from(last).ok()?)?;
            Some((table.view.window, Reverse(last_window.0 + table.view.window.micros())))
        });
        let end = ends.min().map_or(Micros((last + 1) * Micros::DAY), |(_, Reverse(end))| Micros(end));
        let mut grid = Self { first, logged: vec![false; days], end };
        for day in events.keys() {
            let day = grid.clip(*day..day + 1);
            grid.logged[day].fill(true);
        }
        Some(grid)
    }

    /// Number of days.
    pub(crate) fn days(&self) -> usize {
        self.logged.len()
    }

    /// Position of the day that holds `time`, where it lies on the grid.
    pub(crate) fn day(&self, time: Micros) -> Option<usize> {
        usize::try_from(day_number(time) - self.first).ok().filter(|day| *day < self.logged.len())
    }

    /// Those of some days since 1970-01-01 that lie on the grid.
    pub(crate) fn clip(&self, days: Range<i64>) -> Range<usize> {
        let position = |day: i64| (day - self.first).clamp(0, self.logged.len() as i64) as usize;
        position(days.start)..position(days.end)
    }

    /// The days that some time has a part in, as far as they lie on the grid.
    pub(crate) fn clip_times(&self, times: &Range<Micros>) -> Range<usize> {
        self.clip(day_number(times.start)..day_number(Micros(times.end.0 - 1)) + 1)
    }

    /// First instant of day `day`.
    pub(crate) fn start(&self, day: usize) -> Micros {
        Micros((self.first + day as i64) * Micros::DAY)
    }

    /// End of the last window with a record.
    pub(crate) fn end(&self) -> Micros {
        self.end
    }

    /// Day of the week, 0 to 6; only equality means anything.
    pub(crate) fn weekday(&self, day: usize) -> usize {
        ((self.first + day as i64).rem_euclid(7)) as usize
    }

    /// Whether any record at all was logged that day.
    pub(crate) fn logged(&self, day: usize) -> bool {
        self.logged[day]
    }
}

/// First and last day of the log. Records a year and more away from the rest, if they are fewer than one in
/// twenty, are clocks that were wrong: they would stretch every series over decades. (The gap stands in
/// the coverage report.)
fn span(events: &BTreeMap<i64, f64>) -> Option<(i64, i64)> {
    let total: f64 = events.values().sum();
    let mut stretches: Vec<(i64, i64, f64)> = Vec::new();
    for (&day, &count) in events {
        match stretches.last_mut() {
            Some((_, last, sum)) if day - *last <= STRAY_GAP_DAYS => {
                *last = day;
                *sum += count;
            }
            _ => stretches.push((day, day, count)),
        }
    }
    let (from, to, _) = *stretches.iter().max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)))?;
    let near = |(first, last, _): &(i64, i64, f64)| from - last <= LONGEST_DAYS && first - to <= LONGEST_DAYS;
    let mut kept = stretches.iter().filter(|one| one.2 >= STRAY_SHARE * total && near(one));
    let (first, mut last, _) = *kept.next()?;
    if let Some((_, end, _)) = kept.next_back() {
        last = *end;
    }
    Some((first, last))
}

/// The last UTC day (since 1970-01-01) of a log, by the events of each day: clocks that were wrong do not move it.
pub fn last_day(events: &BTreeMap<i64, f64>) -> Option<i64> {
    span(events).map(|(_, last)| last)
}

fn day_number(time: Micros) -> i64 {
    Window::DAY.floor(time).0 / Micros::DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_does_not_stretch_the_log() {
        let mut events: BTreeMap<i64, f64> = (20_000..20_200).map(|day| (day, 100.0)).collect();
        assert_eq!(span(&events), Some((20_000, 20_199)));
        events.extend([(0, 1.0), (2_932_896, 1.0)]);
        assert_eq!(span(&events), Some((20_000, 20_199)));
        events.insert(19_000, 1000.0);
        assert_eq!(span(&events), Some((20_000, 20_199)), "one in twenty");
        events.insert(19_000, 3000.0);
        assert_eq!(span(&events), Some((19_000, 20_199)), "a real part of the log is kept");
        events.insert(-719_162, 5000.0);
        assert_eq!(span(&events), Some((19_000, 20_199)), "the year 1");
        assert_eq!(span(&BTreeMap::new()), None);
    }
}
