//! Rules: facts about a key's life that need no statistics.

use std::ops::Range;

use slowleak_record::{Micros, Registry};
use slowleak_rollup::{Metric, Table};

/// A key that was used after its owner had left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Departure {
    pub(crate) key: String,
    pub(crate) owner: String,
    pub(crate) left_at: Micros,
    /// Cells of the key's table from the first window that starts at or after the departure.
    pub(crate) cells: Range<usize>,
    /// Events in them.
    pub(crate) events: f64,
}

/// Keys of the table (a view by key alone) used after their owner's departure, in key order.
///
/// A window that began before the departure is not counted: part of it may have been legitimate. So the
/// rule is certain, and late by at most one window.
pub(crate) fn departures(table: &Table, registry: &Registry) -> Vec<Departure> {
    let departure = |(key, entry): (&String, &slowleak_record::KeyEntry)| {
        let owner = entry.owner.as_ref()?;
        let left_at = registry.people.get(owner)?.left_at?;
        let entity = table.entities.binary_search(key).ok()?;
        let cells = table.cells(entity);
        let first = cells.start + table.windows[cells.clone()].partition_point(|window| *window < left_at);
        let used = first..cells.end;
        let events: i64 = table.count(Metric::Events)[used.clone()].iter().sum();
        let owner = owner.clone();
        (events > 0).then(|| Departure {
            key: key.clone(),
            owner,
            left_at,
            cells: used,
            events: events as f64,
        })
    };
    registry.keys.iter().filter_map(departure).collect()
}
