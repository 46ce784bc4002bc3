//! One segment's view, row group by row group. In: a stored view and the days that count. Out: its entities in order, as
//! many as are asked for.

use slowleak_record::{InputError, InputResult};

use super::Segment;
use crate::read::StoredView;
use crate::read::file::{Rows, ViewFile};
use crate::{Metric, Table};

/// See the module.
pub(super) struct Cursor<'s> {
    segment: &'s Segment,
    folder: &'s StoredView,
    file: ViewFile<'s>,
    metrics: &'s [Metric],
    names: Option<&'s [&'s str]>,
    /// The next row group.
    group: usize,
    /// Cells that were read and not taken yet, from the entity `next` on.
    cells: Option<Table>,
    next: usize,
    /// The last name of the row groups before.
    before: Option<String>,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(
        segment: &'s Segment,
        folder: &'s StoredView,
        metrics: &'s [Metric],
        names: Option<&'s [&'s str]>,
    ) -> InputResult<Self> {
        let foreign = |what: &str| {
            InputError::new(&folder.folder, what.to_owned())
                .remedy("let nothing else change the folder; begin a new one")
        };
        let [path] = folder.files.as_slice() else { return Err(foreign("it holds more than one file")) };
        let file = ViewFile::open(path, Rows::All)?;
        if !file.is_ours() {
            return Err(foreign("slowleak did not write its file"));
        }
        Ok(Self { segment, folder, file, metrics, names, group: 0, cells: None, next: 0, before: None })
    }

    /// Reads row groups until there is an entity to take, or none is left.
    pub(super) fn fill(&mut self) -> InputResult<()> {
        while self.cells.is_none() && self.group < self.file.groups().len() {
            let group = self.group;
            self.group += 1;
            if self.names.is_some_and(|names| !self.file.can_hold_any(group, names)) {
                continue;
            }
            let cells = self.folder.group(&self.file, group, self.metrics)?;
            let (first, last) = (cells.entities.first(), cells.entities.last());
            if self.before.as_ref().is_some_and(|before| first.is_some_and(|first| first <= before)) {
                return Err(InputError::new(self.file.path, "its entities are not in order")
                    .at(format!("row group {group}"))
                    .remedy("the file is damaged: begin a new state folder"));
            }
            self.before = last.cloned().or(self.before.take());
            let counting = self.segment.days_of(cells);
            self.next = 0;
            self.cells = (!counting.is_empty()).then_some(counting);
        }
        Ok(())
    }

    /// The last name of what was read; nothing where all is taken.
    pub(super) fn last(&self) -> Option<&str> {
        self.cells.as_ref()?.entities.last().map(String::as_str)
    }

    /// Takes the entities up to `until`, itself included.
    pub(super) fn take(&mut self, until: &str) -> Option<Table> {
        let cells = self.cells.as_ref()?;
        let end = self.next + cells.entities[self.next..].partition_point(|name| name.as_str() <= until);
        let taken = (end > self.next).then(|| cells.slice(self.next..end));
        self.next = end;
        if end == cells.entities.len() {
            self.cells = None;
        }
        taken
    }
}
