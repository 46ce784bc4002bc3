//! A view's days on the grid: the form in which series are read.

use std::ops::Range;

use slowleak_record::{Field, Window};
use slowleak_rollup::{DayTable, Metric};

use crate::days::grid::Grid;

/// Events (and, where sketched, distinct subjects) of every entity of a view by day of the grid.
#[derive(Debug, Clone)]
pub(crate) struct Daily<'a> {
    /// Where the entities and their days are.
    pub(crate) table: &'a DayTable,
    grid: &'a Grid,
    /// The days of a view whose windows are longer.
    spread: Option<Spread>,
}

/// Events of longer windows, in days of the grid: columns as those of a [`DayTable`].
#[derive(Debug, Clone)]
struct Spread {
    offsets: Vec<usize>,
    days: Vec<u32>,
    events: Vec<f64>,
}

impl<'a> Daily<'a> {
    /// Lays a view on the grid; `None` where its windows are longer than a day: see [`Self::spread`].
    pub(crate) fn of(table: &'a DayTable, grid: &'a Grid) -> Option<Self> {
        (table.view.window <= Window::DAY).then_some(Self { table, grid, spread: None })
    }

    /// Spreads events of windows longer than a day over their days as the person (or whatever part of the
    /// entity `guides` know) was active on them, evenly where nobody knows: enough to say who carries an
    /// excess. Distinct subjects can not be spread; there the answer is `None`.
    pub(crate) fn spread(table: &'a DayTable, grid: &'a Grid, guides: &[Self]) -> Option<Self> {
        if table.view.window <= Window::DAY || !table.subjects.is_empty() {
            return None;
        }
        let dimension = &table.view.dimension;
        let parts = || dimension.parts().iter().enumerate();
        let people = parts().filter(|(_, field)| **field == Field::User);
        let guide = people.chain(parts()).find_map(|(place, field)| {
            let guide = guides.iter().find(|guide| guide.table.view.dimension.parts() == [*field])?;
            Some((place, guide))
        });
        let length = table.view.window.micros() / Window::DAY.micros();
        let mut spread = Spread { offsets: vec![0], days: Vec::new(), events: Vec::new() };
        let mut active = vec![0.0; grid.days()];
        for (entity, name) in table.entities.iter().enumerate() {
            let known = guide
                .and_then(|(place, guide)| Some((guide, guide.find(dimension.split(name).get(place)?)?)));
            active.fill(0.0);
            if let Some((guide, entity)) = known {
                guide.fill_events(entity, &mut active);
            }
            for cell in table.cells(entity) {
                // Days outside the log can not have had any of the events.
                let first = i64::from(table.days[cell]);
                let days = grid.clip(first..first + length);
                let known: f64 = active[days.clone()].iter().sum();
                let share = |day: usize| {
                    if known > 0.0 { active[day] / known } else { 1.0 / days.len() as f64 }
                };
                for day in days.clone().filter(|day| share(*day) > 0.0) {
                    spread.days.push(day as u32);
                    spread.events.push(table.events[cell] as f64 * share(day));
                }
            }
            spread.offsets.push(spread.days.len());
        }
        Some(Self { table, grid, spread: Some(spread) })
    }

    /// Number of entities.
    pub(crate) fn len(&self) -> usize {
        self.table.entities.len()
    }

    /// The days on which the entity was active, ascending, with its events.
    pub(crate) fn active(&self, entity: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let cells = match &self.spread {
            None => self.table.cells(entity),
            Some(spread) => spread.offsets[entity]..spread.offsets[entity + 1],
        };
        cells.filter_map(|cell| match &self.spread {
            None => Some((self.day(cell)?, self.table.events[cell] as f64)),
            Some(spread) => Some((spread.days[cell] as usize, spread.events[cell])),
        })
    }

    /// Day of the grid of a cell of the table.
    fn day(&self, cell: usize) -> Option<usize> {
        let day = i64::from(self.table.days[cell]);
        self.grid.clip(day..day + 1).next()
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
            if let Some(day) = self.day(cell) {
                out[day] = self.table.subjects[cell];
            }
        }
    }

    /// The days on which the entity was active, ascending, with its distinct subjects and their distinct blocks.
    pub(crate) fn visits(&self, entity: usize) -> impl Iterator<Item = (usize, f64, f64)> + '_ {
        let DayTable { subjects, blocks, .. } = self.table;
        let of = move |cell| Some((self.day(cell)?, *subjects.get(cell)?, *blocks.get(cell)?));
        self.table.cells(entity).filter_map(of)
    }

    /// Writes the entity's rows, bytes or misses by day.
    pub(crate) fn fill_sum(&self, entity: usize, metric: Metric, out: &mut [f64]) {
        out.fill(0.0);
        let sums = self.table.sum(metric);
        for cell in self.table.cells(entity) {
            if let (Some(day), Some(sum)) = (self.day(cell), sums.get(cell)) {
                out[day] = f64::from(*sum);
            }
        }
    }

    /// The entity of that name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.table.find(name)
    }
}
