//! Rules: facts about a key's life that need no statistics.

use std::ops::Range;

use slowleak_record::{Field, KeyEntry, Micros, Registry};
use slowleak_rollup::{Metric, Table};

use crate::finding::Detector;

/// A key that was used when it should not have been.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Misuse {
    pub(crate) detector: Detector,
    pub(crate) key: String,
    /// Cells of the key's table from the first window that starts at or after the key's end.
    pub(crate) cells: Range<usize>,
    /// Events in them.
    pub(crate) events: f64,
}

/// When the key's owner left, and when the key itself was withdrawn or expired, where the registries know.
fn ends(entry: &KeyEntry, registry: &Registry) -> (Option<Micros>, Option<Micros>) {
    let left = entry.owner.as_ref().and_then(|owner| registry.people.get(owner)?.left_at);
    (left, [entry.revoked_at, entry.expires_at].into_iter().flatten().min())
}

/// When a user or key had no more business to be seen, where the registries know.
pub(crate) fn end_of(registry: &Registry, field: Field, name: &str) -> Option<Micros> {
    match field {
        Field::User => registry.people.get(name)?.left_at,
        Field::Key => {
            let (left, withdrawn) = ends(registry.keys.get(name)?, registry);
            left.into_iter().chain(withdrawn).min()
        }
        _ => None,
    }
}

/// Keys of the table (a view by key alone) used after their owner left, or after they were revoked or had
/// expired; in key order, a finding a rule.
///
/// A window that began before that moment is not counted: part of it may have been legitimate. So the rule
/// is certain, and late by at most one window.
pub(crate) fn misuses(table: &Table, registry: &Registry) -> Vec<Misuse> {
    let misuse = |detector: Detector, key: &String, ended: Micros| {
        let entity = table.entities.binary_search(key).ok()?;
        let cells = table.cells(entity);
        let first = cells.start + table.windows[cells.clone()].partition_point(|window| *window < ended);
        let used = first..cells.end;
        let events: i64 = table.count(Metric::Events)[used.clone()].iter().sum();
        (events > 0).then(|| Misuse { detector, key: key.clone(), cells: used, events: events as f64 })
    };
    let of_key = |(key, entry): (&String, &KeyEntry)| {
        let (left, withdrawn) = ends(entry, registry);
        [(Detector::KeyAfterDeparture, left), (Detector::KeyAfterRevocation, withdrawn)]
            .into_iter()
            .filter_map(|(detector, ended)| misuse(detector, key, ended?))
            .collect::<Vec<_>>()
    };
    registry.keys.iter().flat_map(of_key).collect()
}
