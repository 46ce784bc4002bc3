//! Longer windows from shorter ones.

use slowleak_record::{Micros, Window};

use crate::assemble::table;
use crate::block::Shape;
use crate::cells::Cells;
use crate::{Metric, Table, View};

impl Table {
    /// The table with its cells added up over longer windows: counts add up (saturating), sketches unite.
    ///
    /// Distinct sources are dropped: a cell holds their number, not their names, and numbers of distinct
    /// things can not be added. A `window` that is no multiple of the table's own leaves it as it is.
    #[must_use]
    pub fn coarsen(&self, window: Window) -> Self {
        if window.micros() % self.view.window.micros() != 0 || window == self.view.window {
            return self.clone();
        }
        let metrics = self.view.metrics().iter().copied().filter(|metric| *metric != Metric::Sources);
        let view = View::new(self.view.dimension.clone(), window, metrics);
        let mut cells = Cells::of(self.clone(), &Shape::of(&view));
        cells.windows.iter_mut().for_each(|start| *start = window.floor(Micros(*start)).0);
        cells.consolidate();
        table(view, self.entities.clone(), cells, false)
    }
}
