//! A rollup that is stored in segments, each of which answers for days of its own: what a nightly job keeps. In: stored
//! rollups and their days. Out: the rollup of all of it - its days for detection, the cells of some entities, or one new
//! store - without the history being written again, and equal to that of one scan.
//!
//! A day lies in one segment, so that a cell of a day or less occurs once, and even distinct sources stay exact. Windows of
//! several days cross segments: they are stored by day ([`Segments::stored`]) and added up when they are read, so that a day
//! can be taken out of a segment and counted anew. A metric that a segment lacks was in no file of its days, and is zero
//! there, as it is for those records in one scan.
//!
//! Segments are read side by side, a row group of each in memory.

mod cursor;

use std::path::{Path, PathBuf};

use slowleak_record::{InputError, InputResult, Window};

use crate::assemble::{ranked, table};
use crate::block::Shape;
use crate::cells::Cells;
use crate::groups::{GroupCut, Rounds};
use crate::read::file::Rows;
use crate::read::missing;
use crate::write::store;
use crate::{DayTable, Days, Gather, Lookup, Metric, Profile, RollupError, Stored, Table, View, Written};
use cursor::Cursor;

/// See the module.
#[derive(Debug)]
pub struct Segments {
    dir: PathBuf,
    segments: Vec<Segment>,
    views: Vec<View>,
}

/// A stored rollup, of which some days count.
#[derive(Debug)]
struct Segment {
    stored: Stored,
    days: Days,
}

impl Segments {
    /// Opens the segments in folders of `dir`, each with the days that it answers for. `views` are those of the whole, see
    /// [`crate::possible`].
    ///
    /// # Errors
    /// A folder is gone or holds no rollup.
    pub fn open<'p>(
        dir: &Path,
        parts: impl IntoIterator<Item = (&'p str, Days)>,
        views: Vec<View>,
    ) -> Result<Self, RollupError> {
        let open = |(name, days): (&str, Days)| Ok(Segment { stored: Stored::open(dir.join(name))?, days });
        let segments = parts.into_iter().map(open).collect::<Result<_, RollupError>>()?;
        Ok(Self { dir: dir.to_path_buf(), segments, views })
    }

    /// The views that segments hold so that `views` can be had of them: no window longer than a day, one view a dimension
    /// and window.
    ///
    /// # Errors
    /// Names a view that can not be had: distinct sources of several days can not be told from those of each.
    pub fn stored(views: &[View]) -> Result<Vec<View>, &View> {
        let mut stored: Vec<View> = Vec::new();
        for view in views {
            if view.window > Window::DAY && view.metrics().contains(&Metric::Sources) {
                return Err(view);
            }
            let of_days = by_day(view);
            let same = |other: &&mut View| other.folder() == of_days.folder();
            match stored.iter_mut().find(same) {
                Some(other) => {
                    let metrics =
                        other.metrics().iter().chain(of_days.metrics()).copied().collect::<Vec<_>>();
                    *other = View::new(of_days.dimension, of_days.window, metrics);
                }
                None => stored.push(of_days),
            }
        }
        Ok(stored)
    }

    /// Hands the cells of every view to `gather`, and tells what there was of each.
    ///
    /// # Errors
    /// A segment can not be read.
    pub fn gather(&self, gather: &mut Gather<'_>) -> Result<Vec<Written>, RollupError> {
        let mut written = Vec::with_capacity(self.views.len());
        for view in &self.views {
            let gathered = DayTable::gathered(&view.dimension);
            let wanted = view.metrics().iter().copied().filter(|metric| gathered.contains(metric));
            let read = View::new(view.dimension.clone(), view.window, wanted);
            let mut of_view = Written { view: view.clone(), entities: 0, cells: 0 };
            self.each_table(&read, None, &mut |cells| {
                of_view.entities += cells.entities.len() as u64;
                of_view.cells += cells.len() as u64;
                gather.add(&cells);
            })?;
            written.push(of_view);
        }
        Ok(written)
    }

    /// Writes the rollup of all segments as `dir`, which is what one scan would have written. About `room` bytes are taken
    /// for row groups that are being written.
    ///
    /// # Errors
    /// A segment can not be read, or the folder not be written.
    pub fn write(&self, dir: &Path, room: usize) -> Result<Vec<Written>, RollupError> {
        store(dir, room, |store| {
            let mut profile = Profile::default();
            let of_view = |view: &View| {
                let mut union = Union::new(self, view, None)?;
                store.view(view, &mut union, &mut |_| (), &mut profile)
            };
            self.views.iter().map(of_view).collect()
        })
    }

    /// Calls `each` with the cells of a view, tables one after the other in the order of their entities.
    fn each_table(
        &self,
        view: &View,
        names: Option<&[&str]>,
        each: &mut dyn FnMut(Table),
    ) -> Result<(), RollupError> {
        let mut union = Union::new(self, view, names)?;
        while let Some(table) = union.next()? {
            each(table);
        }
        Ok(())
    }
}

impl Lookup for Segments {
    type Error = RollupError;

    fn entity(&self, view: &View, name: &str) -> Result<Table, RollupError> {
        let stored = by_day(view);
        let mut parts = Vec::new();
        for segment in &self.segments {
            let Some(folder) = segment.stored.view(&stored.dimension, stored.window) else { continue };
            parts.push(segment.days_of(folder.read(view.metrics(), Rows::Entity(name))?));
        }
        let table = united(view, parts, &self.dir)?;
        if table.is_empty() {
            return Err(missing(&self.dir, &format!("cell of {name:?} in {}", stored.folder())).into());
        }
        Ok(table)
    }

    fn each(&self, view: &View, names: &[&str], take: &mut dyn FnMut(&Table)) -> Result<(), RollupError> {
        let mut rest = names;
        self.each_table(view, Some(names), &mut |cells| {
            let known =
                |name: &&str| cells.entities.binary_search_by(|entity| entity.as_str().cmp(name)).is_ok();
            while rest.first().is_some_and(known) {
                rest = &rest[1..];
            }
            take(&cells);
        })?;
        let lost = |name: &&str| missing(&self.dir, &format!("cell of {name:?} in {}", view.folder())).into();
        rest.first().map_or(Ok(()), |name| Err(lost(name)))
    }
}

impl Segment {
    /// The cells of a table on the days that count.
    fn days_of(&self, cells: Table) -> Table {
        let counts = |cell: &usize| self.days.contains(Days::of(cells.windows[*cell]));
        if (0..cells.len()).all(|cell| counts(&cell)) {
            return cells;
        }
        let mut kept = Table::empty(cells.view.clone());
        for (entity, name) in cells.entities.iter().enumerate() {
            let before = kept.len();
            for cell in cells.cells(entity).filter(counts) {
                kept.windows.push(cells.windows[cell]);
                for (kept, counts) in kept.counts.iter_mut().zip(&cells.counts) {
                    kept.extend(counts.get(cell));
                }
                cells.sketches.copy(cell..cell + 1, &mut kept.sketches);
            }
            if kept.len() > before {
                kept.entities.push(name.clone());
                kept.offsets.push(kept.len());
            }
        }
        kept
    }
}

/// The view as segments hold it.
fn by_day(view: &View) -> View {
    View::new(view.dimension.clone(), view.window.min(Window::DAY), view.metrics().iter().copied())
}

/// The cells of several tables as those of `view`: windows as long as its own, absent metrics zero.
fn united(view: &View, parts: Vec<Table>, dir: &Path) -> InputResult<Table> {
    let parts: Vec<Table> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if let [one] = parts.as_slice()
        && one.view == *view
    {
        return Ok(parts.into_iter().next().unwrap_or_else(|| Table::empty(view.clone())));
    }
    let all: Vec<&str> = parts.iter().flat_map(|part| part.entities.iter().map(String::as_str)).collect();
    let (entities, ranks) = ranked(all.iter().enumerate().map(|(id, name)| (id as u32, *name)), all.len());
    let mut shape = Shape::of(view);
    let sources = shape.sources;
    shape.sums.extend(sources.then_some(Metric::Sources));
    let mut merged = Cells::new(shape.sums.len());
    let mut base = 0;
    for part in parts {
        let (own, coarser) = (part.entities.len(), part.view.window != view.window);
        let mut cells = Cells::of(part, &shape);
        if coarser {
            cells
                .windows
                .iter_mut()
                .for_each(|start| *start = view.window.floor(slowleak_record::Micros(*start)).0);
        }
        let count = cells.len();
        cells.sketches.grow(&shape, count);
        merged.append(cells, |entity| ranks[base + entity as usize]);
        base += own;
    }
    let before = merged.len();
    merged.consolidate();
    if sources && merged.len() < before {
        return Err(InputError::new(dir, format!("two segments hold one cell of {view}"))
            .remedy("the folder is damaged: begin a new one"));
    }
    Ok(table(view.clone(), entities, merged, sources))
}

/// The cells of one view over all segments.
struct Union<'s> {
    view: &'s View,
    dir: &'s Path,
    cursors: Vec<Cursor<'s>>,
    cut: GroupCut,
    /// Cells in their final order that are in no row group yet, and how many of their entities were looked at.
    pending: Table,
    looked_at: usize,
}

impl<'s> Union<'s> {
    /// The cells of `view`, or of a part of them: of the row groups that can hold one of some ascending `names`.
    fn new(of: &'s Segments, view: &'s View, names: Option<&'s [&'s str]>) -> Result<Self, RollupError> {
        let stored = by_day(view);
        let mut cursors = Vec::new();
        for segment in &of.segments {
            let Some(folder) = segment.stored.view(&stored.dimension, stored.window) else { continue };
            cursors.push(Cursor::new(segment, folder, view.metrics(), names)?);
        }
        let pending = Table::empty(view.clone());
        Ok(Self { view, dir: &of.dir, cursors, cut: GroupCut::new(view), pending, looked_at: 0 })
    }

    /// The next entities, each with all of its cells; nothing at the end.
    fn next(&mut self) -> InputResult<Option<Table>> {
        for cursor in &mut self.cursors {
            cursor.fill()?;
        }
        // Whatever comes later is behind the last name of the row group that ends first.
        let Some(until) = self.cursors.iter().filter_map(Cursor::last).min().map(str::to_owned) else {
            return Ok(None);
        };
        let parts = self.cursors.iter_mut().filter_map(|cursor| cursor.take(&until)).collect();
        united(self.view, parts, self.dir).map(Some)
    }
}

impl Rounds for Union<'_> {
    fn next_round(&mut self, most: usize) -> Result<Vec<Table>, RollupError> {
        let mut groups = Vec::new();
        while groups.len() < most {
            let mut ends = None;
            while self.looked_at < self.pending.entities.len() && ends.is_none() {
                let at = self.looked_at;
                let cells = self.pending.cells(at).len();
                self.looked_at += 1;
                ends = self.cut.ends_with(cells, self.pending.entities[at].len()).then_some(at + 1);
            }
            match ends {
                Some(end) => {
                    groups.push(self.pending.slice(0..end));
                    self.pending = self.pending.slice(end..self.pending.entities.len());
                    self.looked_at = 0;
                }
                None => match self.next()? {
                    Some(more) => self.pending.append(more),
                    None if self.pending.is_empty() => break,
                    None => {
                        let rest = std::mem::replace(&mut self.pending, Table::empty(self.view.clone()));
                        self.looked_at = 0;
                        groups.push(rest);
                    }
                },
            }
        }
        Ok(groups)
    }
}
