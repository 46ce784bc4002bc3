//! Row groups: which cells of a view are stored together. In: entities in their final order, and how many cells each
//! has. Out: where a row group ends. The cut depends on the cells alone, so that whoever lays them down, in one piece
//! or from many, writes the same bytes. An entity is never split: its cells are found in one row group.

use crate::{Metric, RollupError, Table, View};

/// Cells after which a row group ends: few enough that the columns of one, while they are filled by window and not in
/// order, lie within reach of the second-level cache and its address translation.
pub(crate) const GROUP_CELLS: usize = if cfg!(test) { 64 } else { 1 << 18 };

/// The same with sketches, each of up to a kilobyte.
const GROUP_SKETCHES: usize = if cfg!(test) { 16 } else { 1 << 15 };

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
        let sketches = view.metrics().contains(&Metric::Subjects);
        Self { most_cells: if sketches { GROUP_SKETCHES } else { GROUP_CELLS }, cells: 0, name_bytes: 0 }
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

/// Cells of one view in their final order, some row groups at a time.
pub(crate) trait Rounds {
    /// The next row groups, each a table of its own; none at the end.
    ///
    /// # Errors
    /// What was spilled can not be read again.
    fn next_round(&mut self) -> Result<Vec<Table>, RollupError>;
}

/// Row groups of a round: with a few more than there are threads, none waits long for the round's last. One thread never
/// waits.
pub(crate) fn round() -> usize {
    match rayon::current_num_threads() {
        1 => 1,
        threads => threads + 2,
    }
}

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
    fn next_round(&mut self) -> Result<Vec<Table>, RollupError> {
        let mut groups = Vec::new();
        while self.next < self.table.entities.len() && groups.len() < round() {
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
