//! The rollup in memory: one table a view, cells sorted by (entity, window).

use std::ops::Range;

use slowleak_record::Micros;

use crate::{Metric, Sketch, Sketches, View};

/// A finished rollup: its tables, in the order of their views.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rollup {
    /// One table a view; sorted by view, no view twice.
    pub tables: Vec<Table>,
}

/// The cells of one view, in columns. Cell `i` of entity `e` lies at `offsets[e] <= i < offsets[e + 1]`;
/// entities ascend by bytes, windows ascend within an entity, and every cell has at least one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the table counts. Metrics whose column the input lacked are not among its metrics.
    pub view: View,
    /// Entity names, ascending, no name twice.
    pub entities: Vec<String>,
    /// Where each entity's cells start; one more entry than entities.
    pub offsets: Vec<usize>,
    /// Start of each cell's window.
    pub windows: Vec<Micros>,
    /// Integer metrics, indexed by [`Metric`] position; empty where the view lacks the metric.
    pub counts: [Vec<i64>; 7],
    /// Sketches of each cell, of the metrics that have them.
    pub sketches: Sketches,
}

impl Table {
    /// The cells of entity `entity`, as a range of cell positions.
    pub fn cells(&self, entity: usize) -> Range<usize> {
        self.offsets[entity]..self.offsets[entity + 1]
    }

    /// The values of an integer metric, one a cell; empty where the view lacks it (and for what is sketched).
    pub fn count(&self, metric: Metric) -> &[i64] {
        self.counts.get(metric as usize).map_or(&[], Vec::as_slice)
    }

    /// The union of the subject sketches of those windows that touch an interval, whichever entity they are of.
    pub fn union(&self, interval: &Range<Micros>) -> Sketch {
        let window = self.view.window.micros();
        let touches = |start: &Micros| start.0 < interval.end.0 && start.0 + window > interval.start.0;
        let windows = self.windows.iter().zip(&self.sketches.subjects).filter(|(start, _)| touches(start));
        Sketch::union(windows.map(|(_, sketch)| sketch))
    }

    /// A table without cells.
    pub(crate) fn empty(view: View) -> Self {
        Self {
            view,
            entities: Vec::new(),
            offsets: vec![0],
            windows: Vec::new(),
            counts: Default::default(),
            sketches: Sketches::default(),
        }
    }

    /// The cells of some consecutive entities.
    pub(crate) fn slice(&self, entities: Range<usize>) -> Self {
        let first = self.offsets[entities.start];
        let cells = first..self.offsets[entities.end];
        let mut sketches = Sketches::default();
        self.sketches.copy(cells.clone(), &mut sketches);
        let counts = |counts: &Vec<i64>| counts.get(cells.clone()).unwrap_or_default().to_vec();
        Self {
            view: self.view.clone(),
            offsets: self.offsets[entities.start..=entities.end]
                .iter()
                .map(|offset| offset - first)
                .collect(),
            entities: self.entities[entities].to_vec(),
            windows: self.windows[cells.clone()].to_vec(),
            counts: self.counts.each_ref().map(counts),
            sketches,
        }
    }

    /// Adds the cells of a table of the same view, whose entities all come behind these.
    pub(crate) fn append(&mut self, more: Self) {
        let base = self.windows.len();
        self.offsets.extend(more.offsets.iter().skip(1).map(|offset| base + offset));
        self.entities.extend(more.entities);
        self.windows.extend(more.windows);
        for (counts, more) in self.counts.iter_mut().zip(more.counts) {
            counts.extend(more);
        }
        self.sketches.append(more.sketches);
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }
}
