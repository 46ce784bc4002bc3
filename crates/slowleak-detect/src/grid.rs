//! The grid of days that every series of a run lies on.

use slowleak_record::{Micros, Window};
use slowleak_rollup::Rollup;

/// Consecutive UTC days from the first to the last with any record, and which of them have one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    first: i64,
    logged: Vec<bool>,
    end: Micros,
}

impl Grid {
    /// The grid that holds every cell of `rollup`; `None` where it has no cell.
    pub(crate) fn of(rollup: &Rollup) -> Option<Self> {
        // A week's window starts before its first record: the finer tables alone tell the days.
        let tables =
            || rollup.tables.iter().filter(|table| !table.is_empty() && table.view.window <= Window::DAY);
        let first = tables().flat_map(|table| &table.windows).min()?;
        let last = tables().flat_map(|table| &table.windows).max()?;
        // The finest window tells best where the data ends.
        let end = tables()
            .filter_map(|table| Some((table.view.window, *table.windows.iter().max()?)))
            .min()
            .map_or(*last, |(window, start)| Micros(start.0 + window.micros()));
        let first = day_number(*first);
        let days = usize::try_from(day_number(*last) - first + 1).ok()?;
        let mut grid = Self { first, logged: vec![false; days], end };
        for window in tables().flat_map(|table| &table.windows) {
            if let Some(day) = grid.day(*window) {
                grid.logged[day] = true;
            }
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

fn day_number(time: Micros) -> i64 {
    Window::DAY.floor(time).0 / Micros::DAY
}
