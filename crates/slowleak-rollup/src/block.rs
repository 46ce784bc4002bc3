//! Blocks: the cells of one window in one worker. In: records of the window, then other blocks of it. Out:
//! rows of numbers by entity id. A block does not know what an entity is called.

use ahash::AHashSet;

use crate::closed::SOURCE_BYTES;
use crate::sketches::{SKETCHED, Sketches};
use crate::{Metric, View};

/// "No slot", "no entity".
pub(crate) const NONE: u32 = u32::MAX;

/// The metrics of a view, as positions in a cell's row of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Integer metrics in column order, events first, without sources.
    pub(crate) sums: Vec<Metric>,
    pub(crate) sources: bool,
    /// Which metrics are sketched: subjects, blocks.
    pub(crate) sketched: [bool; SKETCHED],
}

impl Shape {
    pub(crate) fn of(view: &View) -> Self {
        let summed = |metric: &&Metric| **metric != Metric::Sources && metric.sketch_column().is_none();
        Self {
            sums: view.metrics().iter().filter(summed).copied().collect(),
            sources: view.metrics().contains(&Metric::Sources),
            sketched: [Metric::Subjects, Metric::Blocks].map(|metric| view.metrics().contains(&metric)),
        }
    }

    /// Numbers in a cell's row.
    pub(crate) fn width(&self) -> usize {
        self.sums.len()
    }
}

/// See the module. An entity occurs once.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Start of the window.
    pub(crate) window: i64,
    pub(crate) entities: Vec<u32>,
    /// [`Shape::width`] numbers a cell.
    pub(crate) sums: Vec<i64>,
    pub(crate) sketches: Sketches,
    /// (cell, source), for views that count distinct sources.
    pub(crate) sources: AHashSet<(u32, u32)>,
}

impl Block {
    /// An empty block with room for `cells`.
    pub(crate) fn new(window: i64, shape: &Shape, cells: usize) -> Self {
        Self {
            window,
            entities: Vec::with_capacity(cells),
            sums: Vec::with_capacity(cells * shape.width()),
            sketches: Sketches::with_room(shape, cells),
            sources: AHashSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Makes empty cells of entities that have none yet.
    pub(crate) fn grow(&mut self, shape: &Shape) {
        self.sums.resize(self.entities.len() * shape.width(), 0);
        self.sketches.grow(shape, self.entities.len());
    }

    /// Bytes on the heap, about, without what its sketches hold there.
    pub(crate) fn bytes(&self) -> usize {
        self.entities.capacity() * size_of::<u32>()
            + self.sums.capacity() * size_of::<i64>()
            + self.sketches.room_bytes()
            + self.sources.capacity() * SOURCE_BYTES
    }

    /// Adds an empty cell.
    pub(crate) fn push(&mut self, entity: u32, shape: &Shape) -> u32 {
        let cell = self.entities.len() as u32;
        self.entities.push(entity);
        self.sums.resize(self.sums.len() + shape.width(), 0);
        self.sketches.grow(shape, self.entities.len());
        cell
    }

    /// Adds the cells of another block of the same window. `slots` is scratch, all [`NONE`] before and after.
    pub(crate) fn merge(&mut self, other: &Self, shape: &Shape, slots: &mut Vec<u32>) {
        let most = self.entities.iter().chain(&other.entities).max().map_or(0, |most| *most as usize + 1);
        if slots.len() < most {
            slots.resize(most, NONE);
        }
        for (cell, entity) in self.entities.iter().enumerate() {
            slots[*entity as usize] = cell as u32;
        }
        let width = shape.width();
        let mut renamed = Vec::with_capacity(other.entities.len());
        for (cell, (entity, row)) in other.entities.iter().zip(other.sums.chunks_exact(width)).enumerate() {
            let slot = &mut slots[*entity as usize];
            if *slot == NONE {
                *slot = self.push(*entity, shape);
            }
            let at = *slot as usize;
            add_rows(&mut self.sums[at * width..(at + 1) * width], row);
            self.sketches.merge(at, &other.sketches, cell);
            renamed.push(*slot);
        }
        self.sources.extend(other.sources.iter().map(|(cell, source)| (renamed[*cell as usize], *source)));
        for entity in &self.entities {
            slots[*entity as usize] = NONE;
        }
    }
}

/// Adds a cell's row of numbers to another's; sums saturate.
pub(crate) fn add_rows(sums: &mut [i64], more: &[i64]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}
