//! A window that is open: a block that grows. In: records, or finished cells. Out: the block, closed.
//!
//! The entity of a field has a place in a dense table, so that a record costs an array access. The pairs of a window are
//! far fewer than those of the log. Where they recur, they are looked up among themselves, within reach of the cache, and
//! get the worker's ids once each, when the window closes; else each record's pair gets its id at once, and with it a place
//! in the dense table.

use slowleak_scan::Subjects;

use crate::block::{Block, NONE, Shape};
use crate::closed::Closed;
use crate::compound::PairIds;
use crate::kernels::Slots;
use crate::sketches::SKETCHED;
use crate::subject_log::SubjectLog;

/// Records of a cell, on average, from which pairs are looked up in their window.
const RECUR: usize = 3;

/// The entities of some records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EntityIds<'a> {
    /// Ids of a field, all below `known`.
    Field { ids: &'a [u32], known: usize },
    /// Keys of a compound's last pair.
    Compound(&'a [u64]),
}

impl EntityIds<'_> {
    /// Those of some of the records.
    pub(crate) fn rows_of(&self, range: std::ops::Range<usize>) -> Self {
        match *self {
            Self::Field { ids, known } => Self::Field { ids: &ids[range], known },
            Self::Compound(keys) => Self::Compound(&keys[range]),
        }
    }
}

/// A block, the cell of each entity in it, and subjects that its sketches have not taken yet.
#[derive(Debug, Default)]
pub(crate) struct OpenWindow {
    pub(crate) block: Block,
    /// Cells by id.
    slots: Slots,
    /// Cells by pair, where pairs recur.
    pairs: PairIds,
    recur: bool,
    /// Records added.
    records: usize,
    /// One a column of sketches.
    logs: [SubjectLog; SKETCHED],
    /// The cell of each record, or of each finished cell, that was added last.
    pub(crate) cells: Vec<u32>,
    /// Scratch.
    entities: Vec<u32>,
}

impl OpenWindow {
    /// Opens another window with the room of one that was closed; pairs are likely to recur in it or not.
    pub(crate) fn start(&mut self, window: i64, recur: bool) {
        self.block.window = window;
        self.recur = recur;
        self.records = 0;
    }

    /// Whether the pairs of this window recur, on average.
    pub(crate) fn recurs(&self) -> bool {
        RECUR * self.block.len() <= self.records
    }

    /// Finds the cells of `entities`, and makes those that are new. `known` are the worker's pairs.
    pub(crate) fn find(&mut self, entities: EntityIds<'_>, known: &mut [PairIds], shape: &Shape) {
        match entities {
            EntityIds::Field { ids, known } => {
                self.slots.find(known, ids, &mut self.block.entities, &mut self.cells);
            }
            EntityIds::Compound(keys) if self.recur => {
                self.pairs.resolve(keys, &mut self.cells);
                self.block.entities.resize(self.pairs.len(), NONE);
            }
            EntityIds::Compound(keys) => {
                if let Some(known) = known.last_mut() {
                    known.resolve(keys, &mut self.entities);
                    self.slots.find(known.len(), &self.entities, &mut self.block.entities, &mut self.cells);
                }
            }
        }
        self.records += self.cells.len();
        self.block.grow(shape);
    }

    /// Adds the subjects of the records whose cells were found last.
    pub(crate) fn add_subjects(&mut self, subjects: Subjects<'_>) {
        let columns = self.block.sketches.columns_mut().into_iter().zip([subjects.hashes, subjects.blocks]);
        for (log, (sketches, hashes)) in self.logs.iter_mut().zip(columns) {
            if !sketches.is_empty() {
                log.add(&self.cells, hashes, subjects.valid, sketches);
            }
        }
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
        self.find(EntityIds::Field { ids: &entities, known }, &mut [], shape);
        self.entities = entities;
        for (at, column) in columns.iter().enumerate() {
            from.columns[*column].add_to(&self.cells, &mut self.block.sums, shape.width(), at);
        }
        for ((log, sketches), from) in
            self.logs.iter_mut().zip(self.block.sketches.columns_mut()).zip(from.sketches.columns())
        {
            // Where the finer view counts more than this one.
            if !sketches.is_empty() {
                log.add_sketches(&self.cells, from, sketches);
            }
        }
        if shape.sources {
            let cells = &self.cells;
            let sources = from.sources.iter().map(|(cell, source)| (cells[*cell as usize], *source));
            self.block.sources.extend(sources);
        }
    }

    /// Closes the window and leaves its room to be used again. `known` are the worker's pairs; there are none where ids of
    /// a field were counted.
    pub(crate) fn close(&mut self, known: &mut [PairIds], shape: &Shape) -> Closed {
        for (log, sketches) in self.logs.iter_mut().zip(self.block.sketches.columns_mut()) {
            log.deal(sketches);
        }
        match known.last_mut() {
            Some(known) if self.recur => {
                known.resolve(self.pairs.keys(), &mut self.block.entities);
                self.pairs.clear();
            }
            _ => self.slots.forget(&self.block.entities),
        }
        Closed::of(&mut self.block, shape)
    }

    /// Bytes on the heap, about.
    pub(crate) fn bytes(&self) -> usize {
        self.block.bytes()
            + self.slots.bytes()
            + self.pairs.bytes()
            + self.logs.iter().map(SubjectLog::bytes).sum::<usize>()
            + (self.cells.capacity() + self.entities.capacity()) * size_of::<u32>()
    }
}
