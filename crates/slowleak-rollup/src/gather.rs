//! What detection needs of a rollup, gathered while the rollup is written. In: the cells of each view, in order. Out:
//! tables with some of the metrics only.

use crate::{Metric, Rollup, Table, View, Written};

/// See the module.
#[derive(Debug)]
pub struct Gather<'m> {
    metrics: &'m [Metric],
    tables: Vec<Table>,
}

impl<'m> Gather<'m> {
    /// Nothing so far; of the metrics of a view, those among `metrics` will be kept.
    pub fn new(metrics: &'m [Metric]) -> Self {
        Self { metrics, tables: Vec::new() }
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
        let (dimension, window) = (&cells.view.dimension, cells.view.window);
        match self
            .tables
            .last_mut()
            .filter(|last| last.view.dimension == *dimension && last.view.window == window)
        {
            Some(last) => last.append(cells),
            None => {
                cells.view = self.view(&cells.view);
                self.tables.push(cells);
            }
        }
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
