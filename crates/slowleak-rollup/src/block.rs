//! Blocks: the cells of one window in one worker. In: records of the window, then other blocks of it. Out:
//! rows of numbers by entity id. A block does not know what an entity is called.

use ahash::AHashSet;

use crate::closed::SOURCE_BYTES;
use crate::{Metric, Sketch, View};

/// "No slot", "no entity".
pub(crate) const NONE: u32 = u32::MAX;

/// The metrics of a view, as positions in a cell's row of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Integer metrics in column order, events first, without sources.
    pub(crate) sums: Vec<Metric>,
    pub(crate) sources: bool,
    pub(crate) subjects: bool,
}

impl Shape {
    pub(crate) fn of(view: &View) -> Self {
        let summed = |metric: &&Metric| !matches!(metric, Metric::Sources | Metric::Subjects);
        Self {
            sums: view.metrics().iter().filter(summed).copied().collect(),
            sources: view.metrics().contains(&Metric::Sources),
            subjects: view.metrics().contains(&Metric::Subjects),
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
    /// One a cell, for views that count distinct subjects.
    pub(crate) sketches: Vec<Sketch>,
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
            sketches: Vec::with_capacity(if shape.subjects { cells } else { 0 }),
            sources: AHashSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entities.len()
    }

    /// Makes empty cells of entities that have none yet.
    pub(crate) fn grow(&mut self, shape: &Shape) {
        self.sums.resize(self.entities.len() * shape.width(), 0);
        if shape.subjects {
            self.sketches.resize_with(self.entities.len(), Sketch::default);
        }
    }

    /// Bytes on the heap, about, without what its sketches hold there.
    pub(crate) fn bytes(&self) -> usize {
        self.entities.capacity() * size_of::<u32>()
            + self.sums.capacity() * size_of::<i64>()
            + self.sketches.capacity() * size_of::<Sketch>()
            + self.sources.capacity() * SOURCE_BYTES
    }

    /// Adds an empty cell.
    pub(crate) fn push(&mut self, entity: u32, shape: &Shape) -> u32 {
        let cell = self.entities.len() as u32;
        self.entities.push(entity);
        self.sums.resize(self.sums.len() + shape.width(), 0);
        if shape.subjects {
            self.sketches.push(Sketch::default());
        }
        cell
    }

    /// Adds the cells of another block of the same window. `slots` is scratch, all [`NONE`] before and after.
    pub(crate) fn merge(&mut self, other: Self, shape: &Shape, slots: &mut Vec<u32>) {
        let most = self.entities.iter().chain(&other.entities).max().map_or(0, |most| *most as usize + 1);
        if slots.len() < most {
            slots.resize(most, NONE);
        }
        for (cell, entity) in self.entities.iter().enumerate() {
            slots[*entity as usize] = cell as u32;
        }
        let width = shape.width();
        let mut sketches = other.sketches.into_iter();
        let mut renamed = Vec::with_capacity(other.entities.len());
        for (entity, row) in other.entities.iter().zip(other.sums.chunks_exact(width)) {
            let slot = &mut slots[*entity as usize];
            if *slot == NONE {
                *slot = self.push(*entity, shape);
            }
            let at = *slot as usize;
            add_rows(&mut self.sums[at * width..(at + 1) * width], row);
            if let (Some(mine), Some(theirs)) = (self.sketches.get_mut(at), sketches.next()) {
                mine.merge(&theirs);
            }
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
