//! A view by day, as detection reads it. In: cells of any window. Out: what an entity did on each day, in a tenth of
//! the memory: hours are added up, and a sketch of up to a kilobyte leaves its estimate of eight bytes.
//!
//! Estimates can not be added up, so that of a day is taken from the union of its windows. It keeps all its bits:
//! whoever unites the same sketches gets the same number. Rows, bytes and misses are whole numbers that are added up
//! first and then kept as 32-bit floats (seven digits): statistics need no more, and a day of an entity costs 4 bytes
//! each. Views by source do without: what is judged are keys, users and objects.

use std::ops::Range;

use ahash::HashMap;
use rayon::prelude::*;
use slowleak_record::{Field, Micros, Window};

use crate::{Dimension, Metric, Sketch, Table, View};

/// The days of a view's entities, in columns, as the cells of a [`Table`] are. A window of several days is one entry, at
/// its first day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayTable {
    /// The view of the cells, with those of its metrics that are kept.
    pub view: View,
    /// Whether entities that did little were left out, as of very large views.
    pub partial: bool,
    /// Entity names, ascending, no name twice.
    pub entities: Vec<String>,
    /// Where each entity's days start; one more entry than entities.
    pub offsets: Vec<usize>,
    /// UTC days since 1970-01-01, ascending within an entity.
    pub days: Vec<i32>,
    /// Events of each day.
    pub events: Vec<i64>,
    /// Rows, bytes and misses of each day, in the order of [`DayTable::SUMS`]; empty where the view has them not, or has
    /// none at all.
    pub sums: [Vec<f32>; 3],
    /// Distinct subjects of each day, estimated; empty where the view has no sketches of them.
    pub subjects: Vec<f64>,
    /// Distinct blocks of these, in the same way.
    pub blocks: Vec<f64>,
    /// Of each day the start of the last window in which anything happened.
    pub latest: HashMap<i32, Micros>,
    /// Of each day the events of its hours, of all entities together, those left out included: what the log as a whole
    /// holds. Of keys and of users alone, and empty where windows are longer than an hour.
    pub hours: HashMap<i32, [i64; 24]>,
}

impl DayTable {
    /// What is added up by day besides events.
    pub const SUMS: [Metric; 3] = [Metric::Rows, Metric::Bytes, Metric::Missing];

    /// What is read of the cells of a dimension, as far as they have it.
    pub(crate) fn gathered(dimension: &Dimension) -> Vec<Metric> {
        let summed = !dimension.parts().contains(&Field::Source);
        let sums = Self::SUMS.into_iter().filter(|_| summed);
        [Metric::Events, Metric::Subjects, Metric::Blocks].into_iter().chain(sums).collect()
    }

    /// Adds up the cells of a table by day.
    pub fn of(table: &Table) -> Self {
        let mut days = Self::part(table);
        days.drop_zeros();
        days
    }

    /// The same of some of a view's entities: what is zero for them may not be so for others.
    pub(crate) fn part(table: &Table) -> Self {
        let mut days = Self::empty(&table.view);
        days.entities.clone_from(&table.entities);
        let mut cells: Vec<Range<usize>> = Vec::new();
        for entity in 0..table.entities.len() {
            let windows = &table.windows[table.cells(entity)];
            for of_day in windows.chunk_by(|a, b| day(*a) == day(*b)) {
                let start = cells.last().map_or(0, |last| last.end);
                cells.push(start..start + of_day.len());
            }
            days.offsets.push(cells.len());
        }
        let events = table.count(Metric::Events);
        for (metric, sums) in Self::SUMS.into_iter().zip(&mut days.sums) {
            if days.view.metrics().contains(&metric) {
                let counts = table.count(metric);
                let sum = |cells: &Range<usize>| {
                    let counts = counts.get(cells.clone()).unwrap_or_default();
                    counts.iter().fold(0, |sum: i64, more| sum.saturating_add(*more)) as f32
                };
                *sums = cells.iter().map(sum).collect();
            }
        }
        let by_hour = table.view.window <= Window::HOUR
            && matches!(table.view.dimension.parts(), [Field::Key] | [Field::User]);
        for cells in &cells {
            if by_hour {
                days.see_hours(&table.windows[cells.clone()], &events[cells.clone()]);
            }
            let last = table.windows[cells.end - 1];
            days.days.push(day(last));
            days.events
                .push(events[cells.clone()].iter().fold(0, |sum: i64, more| sum.saturating_add(*more)));
            days.see(day(last), last);
        }
        let of_days = |sketches: &[Sketch]| -> Vec<f64> {
            let estimate = |cells: &Range<usize>| match sketches.get(cells.clone()) {
                Some([one]) => one.estimate(),
                many => Sketch::union(many.unwrap_or_default()).estimate(),
            };
            let cells = if sketches.is_empty() { &[][..] } else { &cells };
            cells.par_iter().map(estimate).collect()
        };
        days.subjects = of_days(&table.sketches.subjects);
        days.blocks = of_days(&table.sketches.blocks);
        days
    }

    /// A table without days.
    pub(crate) fn empty(view: &View) -> Self {
        let gathered = Self::gathered(&view.dimension);
        let kept = view.metrics().iter().copied().filter(|metric| gathered.contains(metric));
        Self {
            view: View::new(view.dimension.clone(), view.window, kept),
            partial: false,
            entities: Vec::new(),
            offsets: vec![0],
            days: Vec::new(),
            events: Vec::new(),
            sums: Default::default(),
            subjects: Vec::new(),
            blocks: Vec::new(),
            latest: HashMap::default(),
            hours: HashMap::default(),
        }
    }

    /// The days of an entity, as positions in the columns.
    pub fn cells(&self, entity: usize) -> Range<usize> {
        self.offsets[entity]..self.offsets[entity + 1]
    }

    /// The entity of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.entities.binary_search_by(|entity| entity.as_str().cmp(name)).ok()
    }

    /// A metric that is added up by day besides events, by cell; empty where it is not there.
    pub fn sum(&self, metric: Metric) -> &[f32] {
        let place = Self::SUMS.iter().position(|sum| *sum == metric);
        place.map_or(&[], |place| &self.sums[place])
    }

    /// Drops the sums that are zero throughout.
    pub(crate) fn drop_zeros(&mut self) {
        for (metric, sums) in Self::SUMS.into_iter().zip(&mut self.sums) {
            if sums.iter().all(|sum| *sum == 0.0) {
                *sums = Vec::new();
                let rest = self.view.metrics().iter().copied().filter(|other| *other != metric);
                self.view = View::new(self.view.dimension.clone(), self.view.window, rest);
            }
        }
    }

    /// Adds the days of a table of the same view, whose entities all come behind these.
    pub(crate) fn append(&mut self, more: Self) {
        let base = self.days.len();
        self.offsets.extend(more.offsets.iter().skip(1).map(|offset| base + offset));
        self.entities.extend(more.entities);
        self.days.extend(more.days);
        self.events.extend(more.events);
        for (sums, more) in self.sums.iter_mut().zip(more.sums) {
            sums.extend(more);
        }
        self.subjects.extend(more.subjects);
        self.blocks.extend(more.blocks);
        more.latest.into_iter().for_each(|(day, window)| self.see(day, window));
        for (day, more) in more.hours {
            let hours = self.hours.entry(day).or_default();
            hours.iter_mut().zip(more).for_each(|(hour, more)| *hour = hour.saturating_add(more));
        }
    }

    /// Drops the entities that `kept` does not hold for; what was the latest of each day stays, and so do its hours.
    pub(crate) fn retain(&mut self, kept: impl Fn(&Self, usize) -> bool) {
        let mut rest = Self::empty(&self.view);
        for entity in (0..self.entities.len()).filter(|entity| kept(self, *entity)) {
            let cells = self.cells(entity);
            rest.entities.push(self.entities[entity].clone());
            rest.days.extend_from_slice(&self.days[cells.clone()]);
            rest.events.extend_from_slice(&self.events[cells.clone()]);
            for (rest, sums) in rest.sums.iter_mut().zip(&self.sums) {
                rest.extend_from_slice(sums.get(cells.clone()).unwrap_or_default());
            }
            rest.subjects.extend_from_slice(self.subjects.get(cells.clone()).unwrap_or_default());
            rest.blocks.extend_from_slice(self.blocks.get(cells).unwrap_or_default());
            rest.offsets.push(rest.days.len());
        }
        rest.latest = std::mem::take(&mut self.latest);
        rest.hours = std::mem::take(&mut self.hours);
        *self = rest;
    }

    /// Adds an entity's cells of one day to its hours.
    fn see_hours(&mut self, windows: &[Micros], events: &[i64]) {
        let Some(first) = windows.first() else { return };
        let hours = self.hours.entry(day(*first)).or_default();
        for (window, events) in windows.iter().zip(events) {
            let hour = window.0.rem_euclid(Micros::DAY) / Micros::HOUR;
            hours[hour as usize] = hours[hour as usize].saturating_add(*events);
        }
    }

    fn see(&mut self, day: i32, window: Micros) {
        let latest = self.latest.entry(day).or_insert(window);
        *latest = window.max(*latest);
    }
}

/// The UTC day that holds a time: a 64-bit number of microseconds has fewer days than fit into 32 bits.
fn day(time: Micros) -> i32 {
    time.0.div_euclid(Micros::DAY) as i32
}
