//! A view's cells by day: the form in which series are read.

use slowleak_record::{Field, Micros, Window};
use slowleak_rollup::{Metric, Sketch, Table};

use crate::grid::Grid;

/// Events (and, where sketched, distinct subjects) of every entity of a view by day of the grid, sparse.
#[derive(Debug, Clone)]
pub(crate) struct Daily<'a> {
    /// Where the entity names are.
    pub(crate) table: &'a Table,
    offsets: Vec<usize>,
    days: Vec<u32>,
    events: Vec<f64>,
    /// Estimates; empty where the view has none.
    subjects: Vec<f64>,
}

impl<'a> Daily<'a> {
    /// Sums the table's cells by day; `None` where windows are longer than a day: see [`Self::spread`].
    pub(crate) fn of(table: &'a Table, grid: &Grid) -> Option<Self> {
        if table.view.window > Window::DAY {
            return None;
        }
        let sketched = !table.subjects.is_empty();
        let counts = table.count(Metric::Events);
        let mut daily = Self {
            table,
            offsets: Vec::with_capacity(table.offsets.len()),
            days: Vec::new(),
            events: Vec::new(),
            subjects: Vec::new(),
        };
        daily.offsets.push(0);
        for entity in 0..table.entities.len() {
            let first = daily.days.len();
            let mut sketch: Option<Sketch> = None;
            for cell in table.cells(entity) {
                let Some(day) = grid.day(table.windows[cell]) else { continue };
                if daily.days.len() > first && daily.days.last() == Some(&(day as u32)) {
                    if let Some(last) = daily.events.last_mut() {
                        *last += counts[cell] as f64;
                    }
                    if let Some(sketch) = &mut sketch {
                        sketch.merge(&table.subjects[cell]);
                    }
                } else {
                    daily.subjects.extend(sketch.take().map(|sketch| sketch.estimate()));
                    daily.days.push(day as u32);
                    daily.events.push(counts[cell] as f64);
                    sketch = sketched.then(|| table.subjects[cell].clone());
                }
            }
            daily.subjects.extend(sketch.map(|sketch| sketch.estimate()));
            daily.offsets.push(daily.days.len());
        }
        Some(daily)
    }

    /// Spreads events of windows longer than a day over their days as the person (or whatever part of the
    /// entity `guides` know) was active on them, evenly where nobody knows: enough to say who carries an
    /// excess. Distinct subjects can not be spread; there the answer is `None`.
    pub(crate) fn spread(table: &'a Table, grid: &Grid, guides: &[Self]) -> Option<Self> {
        if table.view.window <= Window::DAY || !table.subjects.is_empty() {
            return None;
        }
        let dimension = &table.view.dimension;
        let guided = |(place, field): (usize, &Field)| {
            let guide = guides.iter().find(|guide| guide.table.view.dimension.parts() == [*field])?;
            Some((place, guide))
        };
        let guide = dimension.parts().iter().enumerate().filter(|(_, field)| **field == Field::User);
        let guide = guide.chain(dimension.parts().iter().enumerate()).find_map(guided);
        let counts = table.count(Metric::Events);
        let length = table.view.window.micros() / Window::DAY.micros();
        let mut daily =
            Self { table, offsets: vec![0], days: Vec::new(), events: Vec::new(), subjects: Vec::new() };
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
                let start = table.windows[cell].0;
                let days = (0..length).filter_map(|day| grid.day(Micros(start + day * Window::DAY.micros())));
                let mut days: Vec<(usize, f64)> = days.map(|day| (day, active[day])).collect();
                if days.iter().all(|(_, weight)| *weight <= 0.0) {
                    days.iter_mut().for_each(|(_, weight)| *weight = 1.0);
                }
                days.retain(|(_, weight)| *weight > 0.0);
                let whole: f64 = days.iter().map(|(_, weight)| weight).sum();
                daily.events.extend(days.iter().map(|(_, weight)| counts[cell] as f64 * weight / whole));
                daily.days.extend(days.iter().map(|(day, _)| *day as u32));
            }
            daily.offsets.push(daily.days.len());
        }
        Some(daily)
    }

    /// Number of entities.
    pub(crate) fn len(&self) -> usize {
        self.table.entities.len()
    }

    /// The days on which the entity was active, ascending, with its events.
    pub(crate) fn active(&self, entity: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let cells = self.offsets[entity]..self.offsets[entity + 1];
        cells.map(|cell| (self.days[cell] as usize, self.events[cell]))
    }

    /// The entity's events over the whole grid.
    pub(crate) fn total(&self, entity: usize) -> f64 {
        self.events[self.offsets[entity]..self.offsets[entity + 1]].iter().sum()
    }

    /// Events in days `days`.
    pub(crate) fn events_in(&self, entity: usize, days: &std::ops::Range<usize>) -> f64 {
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
        for cell in self.offsets[entity]..self.offsets[entity + 1] {
            out[self.days[cell] as usize] = self.subjects[cell];
        }
    }

    /// The entity of that name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.table.entities.binary_search_by(|entity| entity.as_str().cmp(name)).ok()
    }
}
