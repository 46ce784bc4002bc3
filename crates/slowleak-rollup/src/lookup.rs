//! The cells of single entities, wherever a rollup is kept. In: a view and a name. Out: a table of that entity alone. Who
//! needs a few cells of a large rollup asks here instead of holding it.

use std::convert::Infallible;

use crate::{Rollup, Table, View};

/// See the module.
pub trait Lookup {
    /// Why cells can not be had.
    type Error;

    /// The cells of an entity: those of the view with this dimension and window, with the metrics that are named.
    ///
    /// # Errors
    /// The cells can not be read, or there are none any more.
    fn entity(&self, view: &View, name: &str) -> Result<Table, Self::Error>;

    /// The cells of many entities of a view, whose `names` ascend. Gives `take` tables one after the other, in the order
    /// of their entities, each entity whole; others may be among them. Where the rollup is stored, this is one pass over
    /// the view, a row group in memory at a time.
    ///
    /// # Errors
    /// Those of [`Lookup::entity`].
    fn each(&self, view: &View, names: &[&str], take: &mut dyn FnMut(&Table)) -> Result<(), Self::Error> {
        names.iter().try_for_each(|name| {
            take(&self.entity(view, name)?);
            Ok(())
        })
    }
}

/// In memory, all metrics of the view. What is not there has no cells.
impl Lookup for Rollup {
    type Error = Infallible;

    fn entity(&self, view: &View, name: &str) -> Result<Table, Infallible> {
        let same =
            |table: &&Table| table.view.dimension == view.dimension && table.view.window == view.window;
        let found = self.tables.iter().find(same).and_then(|table| {
            let entity = table.entities.binary_search_by(|entity| entity.as_str().cmp(name)).ok()?;
            Some(table.slice(entity..entity + 1))
        });
        Ok(found.unwrap_or_else(|| Table::empty(view.clone())))
    }
}
