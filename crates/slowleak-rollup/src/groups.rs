//! Row groups: which cells of a view are stored together. In: entities in their final order, and how many cells each
//! has. Out: where a row group ends. The cut depends on the cells alone, so that whoever lays them down, in one piece
//! or from many, writes the same bytes. An entity is never split: its cells are found in one row group.

use crate::memory::OF_GROUP;
use crate::sketches::SKETCHED;
use crate::{Metric, RollupError, Table, View};

/// Cells after which a row group ends: few enough that the columns of one, while they are filled by window and not in
/// order, lie within reach of the second-level cache and its address translation.
pub(crate) const GROUP_CELLS: usize = if cfg!(test) { 64 } else { 1 << 18 };

/// Sketches after which it ends, each of up to a kilobyte.
const GROUP_SKETCHES: usize = if cfg!(test) { 16 } else { 1 << 15 };

/// Cells of a view after which a row group ends.
fn most_cells(view: &View) -> usize {
    match sketched(view) {
        0 => GROUP_CELLS,
        sketched => GROUP_SKETCHES / sketched,
    }
}

/// How many sketches a cell of a view has.
fn sketched(view: &View) -> usize {
    view.metrics().iter().filter(|metric| metric.sketch_column().is_some()).count()
}

/// Bytes of names after which a row group ends: its dictionary is one page.
const GROUP_NAME_BYTES: usize = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct GroupCut {
    most_cells: usize,
    cells: usize,
    name_bytes: usize,
}

impl GroupCut {
    pub(crate) fn new(view: &View) -> Self {
        Self { most_cells: most_cells(view), cells: 0, name_bytes: 0 }
    }

    /// Adds the next entity; tells whether the row group ends with it.
    pub(crate) fn ends_with(&mut self, cells: usize, name_bytes: usize) -> bool {
        self.cells += cells;
        self.name_bytes += name_bytes;
        let full = self.cells >= self.most_cells || self.name_bytes >= GROUP_NAME_BYTES;
        if full {
            (self.cells, self.name_bytes) = (0, 0);
        }
        full
    }
}

/// Bytes of a name, in the table and in a dictionary.
const NAME: usize = 96;

/// Bytes of a sketch that has seen many subjects, in the table and encoded.
const SKETCH: usize = 2048;

/// Cells of one view in their final order, some row groups at a time.
pub(crate) trait Rounds {
    /// The next row groups, so many at most, each a table of its own; none at the end.
    ///
    /// # Errors
    /// What was spilled can not be read again.
    fn next_round(&mut self, most: usize) -> Result<Vec<Table>, RollupError>;
}

/// Row groups of a round: with a few more than there are threads, none waits long for the round's last. One thread never
/// waits.
pub(crate) fn round() -> usize {
    match rayon::current_num_threads() {
        1 => 1,
        threads => threads + 2,
    }
}

/// How many row groups of a view are made at a time, and whether the next are while those before are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) groups: usize,
    pub(crate) overlap: bool,
}

impl Pace {
    /// What `room` bytes allow, which is no more than [`round`] and no less than one at a time.
    pub(crate) fn new(view: &View, room: usize) -> Self {
        let fit = room / group_bytes(view);
        // Two rounds are in memory where they overlap.
        Self { groups: (fit / 2).clamp(1, round()), overlap: fit >= 2 }
    }
}

/// What a full row group takes at most while it is made and encoded, where names are of ordinary length.
fn group_bytes(view: &View) -> usize {
    let metrics = view.metrics();
    // A name, its place, a window; numbers as they are and encoded.
    let cell = NAME + size_of::<usize>() + 2 * size_of::<i64>() * (1 + metrics.len());
    most_cells(view) * (cell + sketched(view) * SKETCH)
}

/// A row group's cells hold no more numbers than there are metrics; those with one sketch lack the metric of the other.
const _: () = {
    let number = 2 * size_of::<i64>();
    let most = size_of::<usize>() + number * (1 + Metric::ALL.len()) + NAME;
    let one_sketched = most + SKETCH - number * (SKETCHED - 1);
    assert!(GROUP_CELLS * most <= OF_GROUP && GROUP_SKETCHES * one_sketched <= OF_GROUP);
    assert!(GROUP_SKETCHES / SKETCHED * (most + SKETCHED * SKETCH) <= OF_GROUP);
};

/// The row groups of a finished table.
pub(crate) struct Sliced<'a> {
    table: &'a Table,
    cut: GroupCut,
    next: usize,
}

impl<'a> Sliced<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        Self { table, cut: GroupCut::new(&table.view), next: 0 }
    }
}

impl Rounds for Sliced<'_> {
    fn next_round(&mut self, most: usize) -> Result<Vec<Table>, RollupError> {
        let mut groups = Vec::new();
        while self.next < self.table.entities.len() && groups.len() < most {
            let first = self.next;
            loop {
                let ends = self
                    .cut
                    .ends_with(self.table.cells(self.next).len(), self.table.entities[self.next].len());
                self.next += 1;
                if ends || self.next == self.table.entities.len() {
                    break;
                }
            }
            groups.push(self.table.slice(first..self.next));
        }
        Ok(groups)
    }
}
