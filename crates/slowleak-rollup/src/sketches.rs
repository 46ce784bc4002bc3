//! The sketches of cells: a column for each metric that is sketched, one entry a cell, none where the metric is not
//! counted. In and out: cells, which are made, moved and united with all of their sketches at once.

use std::ops::Range;

use crate::block::Shape;
use crate::{Metric, Sketch};

/// How many metrics are sketched.
pub(crate) const SKETCHED: usize = 2;

/// See the module.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sketches {
    /// Distinct subjects.
    pub subjects: Vec<Sketch>,
    /// Distinct blocks of subjects.
    pub blocks: Vec<Sketch>,
}

impl Sketches {
    /// The sketches of a metric; none where it is not sketched.
    pub fn of(&self, metric: Metric) -> &[Sketch] {
        match metric {
            Metric::Subjects => &self.subjects,
            Metric::Blocks => &self.blocks,
            _ => &[],
        }
    }

    /// The columns in the order of their metrics.
    pub(crate) fn columns(&self) -> [&Vec<Sketch>; SKETCHED] {
        [&self.subjects, &self.blocks]
    }

    /// The same, to be changed.
    pub(crate) fn columns_mut(&mut self) -> [&mut Vec<Sketch>; SKETCHED] {
        [&mut self.subjects, &mut self.blocks]
    }

    /// The columns that a shape counts, with room for so many cells.
    pub(crate) fn with_room(shape: &Shape, cells: usize) -> Self {
        let [subjects, blocks] = shape.sketched.map(|sketched| if sketched { cells } else { 0 });
        Self { subjects: Vec::with_capacity(subjects), blocks: Vec::with_capacity(blocks) }
    }

    /// Makes empty sketches of the metrics that a shape counts until there are so many cells.
    pub(crate) fn grow(&mut self, shape: &Shape, cells: usize) {
        for (column, sketched) in self.columns_mut().into_iter().zip(shape.sketched) {
            if sketched {
                column.resize_with(cells, Sketch::default);
            }
        }
    }

    /// Drops the columns that a shape does not count.
    pub(crate) fn keep(&mut self, shape: &Shape) {
        for (column, sketched) in self.columns_mut().into_iter().zip(shape.sketched) {
            if !sketched {
                *column = Vec::new();
            }
        }
    }

    /// Unites what a cell has seen with what another has.
    pub(crate) fn merge(&mut self, cell: usize, other: &Self, of: usize) {
        for (column, others) in self.columns_mut().into_iter().zip(other.columns()) {
            if let (Some(mine), Some(theirs)) = (column.get_mut(cell), others.get(of)) {
                mine.merge(theirs);
            }
        }
    }

    /// Moves a cell's sketches behind those of `to`; empty ones are left.
    pub(crate) fn hand_on(&mut self, cell: usize, to: &mut Self) {
        for (column, to) in self.columns_mut().into_iter().zip(to.columns_mut()) {
            to.extend(column.get_mut(cell).map(std::mem::take));
        }
    }

    /// Appends copies of some cells' sketches to `to`.
    pub(crate) fn copy(&self, cells: Range<usize>, to: &mut Self) {
        for (column, to) in self.columns().into_iter().zip(to.columns_mut()) {
            to.extend_from_slice(column.get(cells.clone()).unwrap_or_default());
        }
    }

    /// Moves all sketches of `other` behind these.
    pub(crate) fn append(&mut self, other: Self) {
        self.subjects.extend(other.subjects);
        self.blocks.extend(other.blocks);
    }

    pub(crate) fn clear(&mut self) {
        self.columns_mut().into_iter().for_each(Vec::clear);
    }

    /// Bytes on the heap for as many cells as there is room for, without what the sketches hold there.
    pub(crate) fn room_bytes(&self) -> usize {
        self.columns().map(|column| column.capacity() * size_of::<Sketch>()).iter().sum()
    }

    /// Bytes that the sketches hold on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.columns().into_iter().flatten().map(Sketch::heap_bytes).sum()
    }
}
