//! A view's days on the grid: the form in which series are read.

use std::ops::Range;

use slowleak_record::Window;
use slowleak_rollup::DayTable;

use crate::grid::Grid;

/// Events (and, where sketched, distinct subjects) of every entity of a view by day of the grid.
#[derive(Debug, Clone)]
pub(crate) struct Daily<'a> {
    /// Where the entities and their days are.
    pub(crate) table: &'a DayTable,
    grid: &'a Grid,
    /// Days a window has, one at least.
    length: i64,
}

impl<'a> Daily<'a> {
    /// Lays a view on the grid. Events of a window of several days are spread evenly over them, which is
    /// enough to say who carries an excess. Distinct subjects can not be spread: there the answer is `None`.
    pub(crate) fn of(table: &'a DayTable, grid: &'a Grid) -> Option<Self> {
        let length = (table.view.window.micros() / Window::DAY.micros()).max(1);
        (length == 1 || table.subjects.is_empty()).then_some(Self { table, grid, length })
    }

    /// Number of entities.
    pub(crate) fn len(&self) -> usize {
        self.table.entities.len()
    }

    /// The days on which the entity was active, ascending, with its events.
    pub(crate) fn active(&self, entity: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.table.cells(entity).flat_map(|cell| {
            // Days outside the log can not have had any of the events.
            let days = self.days(cell);
            let events = self.table.events[cell] as f64 / days.len() as f64;
            days.map(move |day| (day, events))
        })
    }

    /// The days of a cell's window, as far as they lie on the grid.
    fn days(&self, cell: usize) -> Range<usize> {
        let first = i64::from(self.table.days[cell]);
        self.grid.clip(first..first + self.length)
    }

    /// The entity's events over the whole grid.
    pub(crate) fn total(&self, entity: usize) -> f64 {
        self.active(entity).map(|(_, events)| events).sum()
    }

    /// Events in days `days`.
    pub(crate) fn events_in(&self, entity: usize, days: &Range<usize>) -> f64 {
        self.active(entity).filter(|(day, _)| days.contains(day)).map(|(_, events)| events).sum()
    }

    /// Writes the entity's events by day.
    pub(crate) fn fill_events(&self, entity: usize, out: &mut [f64]) {
        out.fill(0.0);
        for (day, events) in self.active(entity) {
            out[day] = events;
        }
    }

    /// Writes the entity's distinct subjects by day.
    pub(crate) fn fill_subjects(&self, entity: usize, out: &mut [f64]) {
        out.fill(0.0);
        for cell in self.table.cells(entity) {
            out[self.days(cell)].fill(self.table.subjects[cell]);
        }
    }

    /// The entity of that name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.table.find(name)
    }
}
