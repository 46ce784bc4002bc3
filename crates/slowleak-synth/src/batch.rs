//! The records of a row group under way, column by column: numbers, and ids that stand for strings, so that no
//! string is made per record.

use crate::layout::Layout;
use crate::text_chunk::Texts;

/// Columns under way.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) time: Vec<i64>,
    pub(crate) key: Vec<i32>,
    pub(crate) user: Vec<i32>,
    pub(crate) source: Vec<i32>,
    pub(crate) region: Vec<i32>,
    pub(crate) action: Vec<i32>,
    pub(crate) object: Vec<i32>,
    pub(crate) subject: Vec<i64>,
    pub(crate) rows: Vec<i64>,
    pub(crate) bytes: Vec<i64>,
    pub(crate) status: Vec<i32>,
    /// Accounts that stand in the user column; their id there is the number of users plus the place here.
    pub(crate) members: Vec<i64>,
    /// Empty where the log has no event ids.
    pub(crate) event_id: Vec<u64>,
}

/// One column.
#[derive(Debug)]
pub(crate) enum Values<'a> {
    Numbers(&'a [i64]),
    Texts(&'a [i32], Texts<'a>),
    EventIds(&'a [u64]),
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// Leaves the columns empty, with their memory.
    pub(crate) fn clear(&mut self) {
        let Self { time, key, user, source, region, action, object, subject, rows, bytes, .. } = self;
        [time, subject, rows, bytes, &mut self.members].into_iter().for_each(Vec::clear);
        [key, user, source, region, action, object, &mut self.status].into_iter().for_each(Vec::clear);
        self.event_id.clear();
    }

    /// The columns in the order of the layout; event ids last, which not all layouts have.
    pub(crate) fn values<'a>(&'a self, layout: &'a Layout<'_>) -> [Values<'a>; 12] {
        let named = |ids, names| Values::Texts(ids, Texts { names, members: &[] });
        [
            Values::Numbers(&self.time),
            named(&self.key, &layout.keys),
            Values::Texts(&self.user, Texts { names: &layout.users, members: &self.members }),
            named(&self.source, &layout.sources),
            named(&self.region, &layout.regions),
            named(&self.action, &layout.actions),
            named(&self.object, &layout.objects),
            Values::Numbers(&self.subject),
            Values::Numbers(&self.rows),
            Values::Numbers(&self.bytes),
            named(&self.status, &layout.statuses),
            Values::EventIds(&self.event_id),
        ]
    }
}
