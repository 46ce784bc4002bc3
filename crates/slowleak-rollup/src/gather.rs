//! What detection needs of a rollup, gathered while the rollup is written or read. In: the cells of each view, in
//! order. Out: their days; of very large views, without the entities that did little.

use crate::{DayTable, Dimension, Table, View, Written};

/// Entities that are left out of a view that has very many. The rule looks at the view alone, so that the same log
/// gives the same tables whatever the memory and the machine.
pub struct Shortlist<'a> {
    /// Views of no more entities than this keep all of them.
    pub above: usize,
    /// In a larger view, entities with fewer events than this over the whole log are left out...
    pub least_events: i64,
    /// ...unless they are named here.
    pub always: Named<'a>,
}

/// Whether an entity of a dimension is named.
pub type Named<'a> = Box<dyn Fn(&Dimension, &str) -> bool + Send + 'a>;

/// See the module.
#[derive(Default)]
pub struct Gather<'a> {
    shortlist: Option<Shortlist<'a>>,
    tables: Vec<DayTable>,
    /// Entities of each table, those left out included.
    entities: Vec<usize>,
}

impl<'a> Gather<'a> {
    /// Nothing so far; every entity will be kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out some entities of very large views.
    #[must_use]
    pub fn shortlisting(self, shortlist: Shortlist<'a>) -> Self {
        Self { shortlist: Some(shortlist), ..self }
    }

    /// Adds cells behind those of the same view, as [`Counts::write`](crate::Counts::write) hands them out.
    pub fn add(&mut self, cells: &Table) {
        let mut days = DayTable::part(cells);
        if self.tables.last().is_none_or(|last| last.view != days.view) {
            self.tables.push(DayTable::empty(&days.view));
            self.entities.push(0);
        }
        let (Some(table), Some(entities)) = (self.tables.last_mut(), self.entities.last_mut()) else {
            return;
        };
        let before = *entities;
        *entities += days.entities.len();
        if let Some(shortlist) = self.shortlist.as_ref().filter(|shortlist| *entities > shortlist.above) {
            if before <= shortlist.above {
                table.retain(|table, entity| shortlist.keeps(table, entity));
            }
            days.retain(|table, entity| shortlist.keeps(table, entity));
        }
        table.append(days);
    }

    /// How many entities were left out of each view; of views that keep all, nothing.
    pub fn left_out(&self) -> Vec<(View, u64)> {
        let sizes = self.tables.iter().zip(&self.entities);
        let left_out = sizes.map(|(table, all)| (table.view.clone(), (all - table.entities.len()) as u64));
        left_out.filter(|(_, entities)| *entities > 0).collect()
    }

    /// The tables of all views that were `written`, those without cells included; in the order of the views.
    pub fn finish(mut self, written: &[Written]) -> Vec<DayTable> {
        let without_cells = written.iter().filter(|written| written.cells == 0);
        for (table, all) in self.tables.iter_mut().zip(&self.entities) {
            table.partial = table.entities.len() < *all;
        }
        self.tables.extend(without_cells.map(|written| DayTable::empty(&written.view)));
        self.tables.iter_mut().for_each(DayTable::drop_zeros);
        self.tables.sort_by(|a, b| a.view.cmp(&b.view));
        self.tables
    }
}

impl Shortlist<'_> {
    fn keeps(&self, table: &DayTable, entity: usize) -> bool {
        let events =
            table.events[table.cells(entity)].iter().fold(0_i64, |sum, more| sum.saturating_add(*more));
        events >= self.least_events || (self.always)(&table.view.dimension, &table.entities[entity])
    }
}

#[cfg(test)]
mod tests {
    use slowleak_record::Micros;

    use super::*;
    use crate::{Metric, Sketch};

    /// Entities `00`, `01`, ..., each with so many events in the first hour and one in two others, the last of which
    /// is a day later. Entity `e` touches the subjects 0 to `e` on both days, and as many others in the second hour.
    fn table(view: &str, events: &[i64]) -> Table {
        let mut table = Table::empty(view.parse().unwrap());
        for (entity, events) in events.iter().enumerate() {
            table.entities.push(format!("{entity:02}"));
            for (hour, events, subjects) in [(5, *events, 0), (6, 1, 100), (24, 1, 0)] {
                table.windows.push(Micros(hour * Micros::HOUR));
                table.counts[Metric::Events as usize].push(events);
                table.counts[Metric::Rows as usize].push(7);
                let mut sketch = Sketch::default();
                for subject in subjects..=subjects + entity {
                    sketch.insert_hash(slowleak_scan::subject_hash(subject.to_string().as_bytes()));
                }
                table.sketches.subjects.push(sketch);
            }
            table.offsets.push(table.windows.len());
        }
        table
    }

    #[test]
    fn only_large_views_are_shortened_however_they_come() {
        let whole = table("user@1h:rows,subjects", &[5, 1, 9, 1, 1, 30]);
        for cut in 1..6 {
            for (above, kept) in [(6, vec![0, 1, 2, 3, 4, 5]), (5, vec![2, 3, 5])] {
                let always: Named<'_> = Box::new(|_, name| name == "03");
                let shortlist = Shortlist { above, least_events: 11, always };
                let mut gather = Gather::new().shortlisting(shortlist);
                gather.add(&whole.slice(0..cut));
                gather.add(&whole.slice(cut..6));
                let left_out: Vec<u64> =
                    gather.left_out().into_iter().map(|(_, entities)| entities).collect();
                assert_eq!(left_out, if above == 6 { vec![] } else { vec![3] });
                let tables = gather.finish(&[]);
                assert_eq!(tables.len(), 1);
                assert_eq!(tables[0].partial, above == 5);
                let all = DayTable::of(&whole);
                let of_kept = |column: &dyn Fn(usize) -> f64| -> Vec<f64> {
                    kept.iter().flat_map(|entity| all.cells(*entity)).map(column).collect()
                };
                assert_eq!(tables[0].entities, kept.iter().map(|e| format!("{e:02}")).collect::<Vec<_>>());
                assert_eq!(tables[0].offsets, (0..=kept.len()).map(|entity| 2 * entity).collect::<Vec<_>>());
                assert_eq!(tables[0].days, [0, 1].repeat(kept.len()));
                assert_eq!(tables[0].subjects, of_kept(&|cell| all.subjects[cell]));
                assert_eq!(tables[0].hours, all.hours, "those left out are part of the log");
                let events: Vec<f64> = tables[0].events.iter().map(|events| *events as f64).collect();
                assert_eq!(events, of_kept(&|cell| all.events[cell] as f64));
            }
        }
    }

    #[test]
    fn windows_of_a_day_are_one() {
        let days = DayTable::of(&table("user@1h:rows,subjects", &[5, 1]));
        assert_eq!(days.view.to_string(), "user@1h:events,rows,subjects");
        assert_eq!(days.sum(Metric::Rows), [14.0, 7.0, 14.0, 7.0]);
        assert!(days.sum(Metric::Bytes).is_empty());
        assert_eq!(days.events, [6, 1, 2, 1]);
        assert_eq!((days.hours[&0][5], days.hours[&0][6], days.hours[&1][0]), (6, 2, 2));
        assert_eq!(days.hours.values().flatten().sum::<i64>(), 10);
        assert_eq!(days.subjects, [2.0, 1.0, 4.0, 2.0]);
        let latest = [(0, 6), (1, 24)].map(|(day, hour)| (day, Micros(hour * Micros::HOUR)));
        assert_eq!(days.latest, latest.into_iter().collect());
    }

    #[test]
    fn windows_of_several_days_stay_apart() {
        let mut weeks = table("user@7d:subjects", &[5]);
        weeks.windows = [-1, 0, 1].map(|week| Micros(week * 7 * Micros::DAY)).to_vec();
        let days = DayTable::of(&weeks);
        assert_eq!((days.days, days.events, days.subjects), (vec![-7, 0, 7], vec![5, 1, 1], vec![1.0; 3]));
    }
}
