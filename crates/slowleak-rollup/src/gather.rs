//! What detection needs of a rollup, gathered while the rollup is written or read. In: the cells of each view, in
//! order. Out: tables with some of the metrics only and, of very large views, without the entities that did little.

use crate::{Dimension, Metric, Rollup, Table, View, Written};

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
pub struct Gather<'a> {
    metrics: &'a [Metric],
    shortlist: Option<Shortlist<'a>>,
    tables: Vec<Table>,
    /// Entities of each table, those left out included.
    entities: Vec<usize>,
}

impl<'a> Gather<'a> {
    /// Nothing so far; of the metrics of a view, those among `metrics` will be kept.
    pub fn new(metrics: &'a [Metric]) -> Self {
        Self { metrics, shortlist: None, tables: Vec::new(), entities: Vec::new() }
    }

    /// Leaves out some entities of very large views.
    #[must_use]
    pub fn shortlisting(self, shortlist: Shortlist<'a>) -> Self {
        Self { shortlist: Some(shortlist), ..self }
    }

    /// Adds cells behind those of the same view, as [`Counts::write`](crate::Counts::write) hands them out.
    pub fn add(&mut self, mut cells: Table) {
        for (metric, counts) in Metric::ALL.into_iter().zip(&mut cells.counts) {
            if !self.metrics.contains(&metric) {
                *counts = Vec::new();
            }
        }
        if !self.metrics.contains(&Metric::Subjects) {
            cells.subjects = Vec::new();
        }
        cells.view = self.view(&cells.view);
        let same = self.tables.last().is_some_and(|last| last.view == cells.view);
        if !same {
            self.tables.push(Table::empty(cells.view.clone()));
            self.entities.push(0);
        }
        let (Some(table), Some(entities)) = (self.tables.last_mut(), self.entities.last_mut()) else {
            return;
        };
        let before = *entities;
        *entities += cells.entities.len();
        if let Some(shortlist) = self.shortlist.as_ref().filter(|shortlist| *entities > shortlist.above) {
            if before <= shortlist.above {
                *table = shortlist.apply(table);
            }
            cells = shortlist.apply(&cells);
        }
        table.append(cells);
    }

    /// Adds the tables of a rollup.
    pub fn add_rollup(&mut self, rollup: Rollup) {
        rollup.tables.into_iter().for_each(|table| self.add(table));
    }

    /// How many entities were left out of each view; of views that keep all, nothing.
    pub fn left_out(&self) -> Vec<(View, u64)> {
        let sizes = self.tables.iter().zip(&self.entities);
        let left_out = sizes.map(|(table, all)| (table.view.clone(), (all - table.entities.len()) as u64));
        left_out.filter(|(_, entities)| *entities > 0).collect()
    }

    /// The tables of all views that were `written`, those without cells included.
    pub fn into_rollup(mut self, written: &[Written]) -> Rollup {
        for Written { view, .. } in written.iter().filter(|written| written.cells == 0) {
            self.tables.push(Table::empty(self.view(view)));
        }
        self.tables.sort_by(|a, b| a.view.cmp(&b.view));
        Rollup { tables: self.tables }
    }

    fn view(&self, view: &View) -> View {
        let kept = view.metrics().iter().copied().filter(|metric| self.metrics.contains(metric));
        View::new(view.dimension.clone(), view.window, kept.collect::<Vec<_>>())
    }
}

impl Shortlist<'_> {
    fn apply(&self, table: &Table) -> Table {
        let mut kept = Table::empty(table.view.clone());
        for (entity, name) in table.entities.iter().enumerate() {
            let events: i64 =
                table.count(Metric::Events).get(table.cells(entity)).unwrap_or_default().iter().sum();
            if events >= self.least_events || (self.always)(&table.view.dimension, name) {
                kept.append(table.slice(entity..entity + 1));
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use slowleak_record::Micros;

    use super::*;

    /// Entities `00`, `01`, ..., each with so many events.
    fn table(events: &[i64]) -> Table {
        let mut table = Table::empty("user@1h:rows".parse().unwrap());
        for (entity, events) in events.iter().enumerate() {
            table.entities.push(format!("{entity:02}"));
            table.windows.push(Micros(entity as i64));
            table.offsets.push(entity + 1);
            table.counts[Metric::Events as usize].push(*events);
            table.counts[Metric::Rows as usize].push(7);
        }
        table
    }

    #[test]
    fn only_large_views_are_shortened_however_they_come() {
        let whole = table(&[5, 1, 9, 1, 1, 30]);
        for cut in 1..6 {
            for (above, kept) in [(6, vec!["00", "01", "02", "03", "04", "05"]), (5, vec!["02", "03", "05"])]
            {
                let always: Named<'_> = Box::new(|_, name| name == "03");
                let shortlist = Shortlist { above, least_events: 9, always };
                let mut gather = Gather::new(&[Metric::Events]).shortlisting(shortlist);
                gather.add(whole.slice(0..cut));
                gather.add(whole.slice(cut..6));
                let left_out: Vec<u64> =
                    gather.left_out().into_iter().map(|(_, entities)| entities).collect();
                assert_eq!(left_out, if above == 6 { vec![] } else { vec![3] });
                let rollup = gather.into_rollup(&[]);
                assert_eq!(rollup.tables[0].entities, kept);
                assert_eq!(rollup.tables[0].count(Metric::Rows), &[] as &[i64]);
                assert_eq!(rollup.tables[0].len(), kept.len());
            }
        }
    }
}
