//! A window that is open: a block that grows. In: records, or finished cells. Out: the block, closed. A dense table from
//! entity to cell makes a record cost an array access.

use crate::block::{Block, Shape};
use crate::closed::Closed;
use crate::kernels::Slots;
use crate::subject_log::SubjectLog;

/// A block, the cell of each entity in it, and subjects that its sketches have not taken yet.
#[derive(Debug, Default)]
pub(crate) struct OpenWindow {
    pub(crate) block: Block,
    slots: Slots,
    pub(crate) log: SubjectLog,
    /// The cell of each record, or of each finished cell, that was added last.
    pub(crate) cells: Vec<u32>,
    /// Scratch.
    entities: Vec<u32>,
}

impl OpenWindow {
    /// Opens another window with the room of one that was closed.
    pub(crate) fn start(&mut self, window: i64) {
        self.block.window = window;
    }

    /// Finds the cells of `entities`, all of them below `known`, and makes those that are new.
    pub(crate) fn find(&mut self, known: usize, entities: &[u32], shape: &Shape) {
        self.slots.find(known, entities, &mut self.block.entities, &mut self.cells);
        self.block.grow(shape);
    }

    /// Adds the cells of a finer view, whose `columns` are those of this shape. `rename` gives the id here of each id
    /// there.
    pub(crate) fn add_closed(
        &mut self,
        from: &Closed,
        columns: &[usize],
        rename: Option<&[u32]>,
        shape: &Shape,
    ) {
        let mut entities = std::mem::take(&mut self.entities);
        entities.clear();
        match rename {
            Some(rename) => entities.extend(from.entities.iter().map(|id| rename[*id as usize])),
            None => entities.extend_from_slice(&from.entities),
        }
        let known = entities.iter().max().map_or(0, |most| *most as usize + 1);
        self.find(known, &entities, shape);
        self.entities = entities;
        for (at, column) in columns.iter().enumerate() {
            from.columns[*column].add_to(&self.cells, &mut self.block.sums, shape.width(), at);
        }
        if shape.subjects {
            self.log.add_sketches(&self.cells, &from.sketches, &mut self.block.sketches);
        }
        if shape.sources {
            let cells = &self.cells;
            let sources = from.sources.iter().map(|(cell, source)| (cells[*cell as usize], *source));
            self.block.sources.extend(sources);
        }
    }

    /// Closes the window and leaves its room to be used again.
    pub(crate) fn close(&mut self, shape: &Shape) -> Closed {
        self.log.deal(&mut self.block.sketches);
        self.slots.forget(&self.block.entities);
        Closed::of(&mut self.block, shape)
    }

    /// Bytes on the heap, about.
    pub(crate) fn bytes(&self) -> usize {
        self.block.bytes()
            + self.slots.bytes()
            + self.log.bytes()
            + (self.cells.capacity() + self.entities.capacity()) * size_of::<u32>()
    }
}
