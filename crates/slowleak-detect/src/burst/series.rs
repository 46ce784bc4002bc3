//! An entity's accesses by window, and what its own day and its weeks lead to expect of a stretch of them.
//!
//! The expectation of a stretch is conditional on the day around it: so many accesses fell into the other hours, and the
//! profile says what part of the whole the stretch usually is. So neither a lively day nor a lively month is a burst.

use std::ops::Range;

use slowleak_rollup::{Metric, Table};

use crate::burst::clock::{Clock, HOURS, Shape};

/// Hours of the day around the middle of a stretch, half of them on either side.
pub(crate) const CONTEXT_HOURS: usize = 24;
/// Days around a stretch, on either side, that say what is usual.
pub(crate) const USUAL_DAYS: usize = 14;
/// The whole log's level weighs against the day's as so many accesses: one day of a person differs from another by about
/// as much as the mean.
const PRIOR: f64 = 1.0;

/// The windows with accesses, ascending.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) windows: Vec<usize>,
    /// Accesses before each of the windows, and before the end.
    pub(crate) sums: Vec<f64>,
}

impl Series {
    /// The cells of an entity of a table that lie in the log.
    pub(crate) fn read(table: &Table, entity: usize, clock: &Clock) -> Self {
        let cells = table.cells(entity);
        let events = table.count(Metric::Events);
        let (mut windows, mut sums) = (Vec::with_capacity(cells.len()), Vec::with_capacity(cells.len() + 1));
        let mut sum = 0.0;
        for cell in cells {
            if let Some(window) = clock.position(table.windows[cell]) {
                windows.push(window);
                sums.push(sum);
                sum += events[cell] as f64;
            }
        }
        sums.push(sum);
        Self { windows, sums }
    }

    pub(crate) fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    /// Accesses in some windows.
    pub(crate) fn count(&self, windows: &Range<usize>) -> f64 {
        let at = |window: usize| self.sums[self.windows.partition_point(|w| *w < window)];
        at(windows.end) - at(windows.start)
    }

    /// Accesses of each hour of the week; how often each weekday lies between the first and last access.
    pub(crate) fn weeks(&self, clock: &Clock) -> (Vec<f64>, [f64; 7]) {
        let mut events = vec![0.0; 7 * HOURS];
        for (at, window) in self.windows.iter().enumerate() {
            events[clock.hour_of_week(clock.hour(*window))] += self.sums[at + 1] - self.sums[at];
        }
        let mut weekdays = [0.0; 7];
        if let (Some(first), Some(last)) = (self.windows.first(), self.windows.last()) {
            for day in clock.hour(*first) / HOURS..=clock.hour(*last) / HOURS {
                weekdays[clock.hour_of_week(day * HOURS) / HOURS] += 1.0;
            }
        }
        (events, weekdays)
    }

    /// What is known of the entity.
    pub(crate) fn habit<'a>(&'a self, shape: &'a Shape, clock: &Clock) -> Habit<'a> {
        let span = match (self.windows.first(), self.windows.last()) {
            (Some(first), Some(last)) => *first..*last + 1,
            _ => 0..0,
        };
        let (half, windows) = (CONTEXT_HOURS / 2 * clock.an_hour(), clock.windows());
        // A level at all: the least that the log can tell.
        let level = (self.total() / shape.within(&span).max(1e-9)).max(1e-9);
        Habit { series: self, shape, half, windows, level, span }
    }
}

/// An entity's series and what is usual of it.
pub(crate) struct Habit<'a> {
    pub(crate) series: &'a Series,
    pub(crate) shape: &'a Shape,
    /// Windows of half a context.
    pub(crate) half: usize,
    windows: usize,
    /// Accesses an hour, season taken out, over the whole log.
    pub(crate) level: f64,
    /// From the first to the last access.
    pub(crate) span: Range<usize>,
}

impl Habit<'_> {
    /// The day around some windows.
    pub(crate) fn context(&self, windows: &Range<usize>) -> Range<usize> {
        let middle = (windows.start + windows.end) / 2;
        middle.saturating_sub(self.half)..(middle + self.half).min(self.windows)
    }

    /// What the rest of the day leads to expect of `windows`: `around` is the day, with so many accesses in the rest.
    pub(crate) fn of_day(&self, windows: &Range<usize>, around: &Range<usize>, rest: f64) -> f64 {
        let own = self.shape.within(windows);
        let others = (self.shape.within(around) - own).max(0.0);
        own * (rest + PRIOR) / (others + PRIOR / self.level)
    }

    /// What the weeks around lead to expect of `windows`, `within` accesses in them left out.
    pub(crate) fn usual(&self, windows: &Range<usize>, within: f64) -> f64 {
        let reach = 2 * self.half * USUAL_DAYS;
        let around = windows.start.saturating_sub(reach).max(self.span.start)
            ..(windows.end + reach).min(self.span.end.max(windows.end));
        let own = self.shape.within(windows);
        let others = (self.shape.within(&around) - own).max(0.0);
        let rest = (self.series.count(&around) - within).max(0.0);
        own * (rest + PRIOR) / (others + PRIOR / self.level)
    }

    /// How many accesses the profile's part of `windows` was learnt from, about.
    pub(crate) fn learnt(&self, windows: &Range<usize>) -> f64 {
        let hours = (windows.len() * CONTEXT_HOURS) as f64 / (2 * self.half) as f64;
        let weeks = self.span.len() as f64 / (7 * 2 * self.half) as f64;
        // A part of an hour is known as well as the hour.
        self.level * self.shape.within(windows) / hours.clamp(1e-9, 1.0) * weeks
    }
}
