//! Cells of finished tables while they are merged, read or coarsened: one window a cell, any order. In: cells,
//! the same (entity, window) more than once. Out, after [`Cells::consolidate`]: each once, sorted.

use rayon::prelude::*;

use crate::Table;
use crate::block::{Shape, add_rows};
use crate::sketches::Sketches;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) entities: Vec<u32>,
    pub(crate) windows: Vec<i64>,
    /// `width` numbers a cell.
    pub(crate) sums: Vec<i64>,
    pub(crate) width: usize,
    pub(crate) sketches: Sketches,
}

impl Cells {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// The cells of a table, with the metrics of `shape` (all of which the table has); entity ids are the
    /// table's positions.
    pub(crate) fn of(table: Table, shape: &Shape) -> Self {
        let mut cells = Self::new(shape.width());
        for entity in 0..table.entities.len() {
            cells.entities.extend(table.cells(entity).map(|_| entity as u32));
        }
        let columns: Vec<&[i64]> = shape.sums.iter().map(|metric| table.count(*metric)).collect();
        cells.sums.reserve(table.len() * columns.len());
        for cell in 0..table.len() {
            cells.sums.extend(columns.iter().map(|column| column.get(cell).copied().unwrap_or(0)));
        }
        cells.windows = table.windows.iter().map(|window| window.0).collect();
        cells.sketches = table.sketches;
        cells.sketches.keep(shape);
        cells
    }

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Moves the cells of `other` in, entities renamed by `map`.
    pub(crate) fn append(&mut self, other: Self, map: impl Fn(u32) -> u32) {
        self.entities.extend(other.entities.iter().map(|entity| map(*entity)));
        self.windows.extend(other.windows);
        self.sums.extend(other.sums);
        self.sketches.append(other.sketches);
    }

    /// Sorts by (entity, window) and adds up the cells of the same one: sums saturate, sketches unite, so that
    /// the order before does not matter.
    pub(crate) fn consolidate(&mut self) {
        let keys = || self.entities.iter().zip(&self.windows);
        if keys().is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut order: Vec<(u32, i64, usize)> =
            keys().enumerate().map(|(cell, (entity, window))| (*entity, *window, cell)).collect();
        order.par_sort_unstable();
        let mut out = Self::new(self.width);
        out.sums.reserve(self.sums.len());
        for (entity, window, cell) in order {
            let row = &self.sums[cell * self.width..(cell + 1) * self.width];
            if out.entities.last() == Some(&entity) && out.windows.last() == Some(&window) {
                let start = out.sums.len() - self.width;
                add_rows(&mut out.sums[start..], row);
                out.sketches.merge(out.entities.len() - 1, &self.sketches, cell);
            } else {
                out.entities.push(entity);
                out.windows.push(window);
                out.sums.extend_from_slice(row);
                self.sketches.hand_on(cell, &mut out.sketches);
            }
        }
        *self = out;
    }
}
