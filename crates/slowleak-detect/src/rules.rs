//! Rules: facts about a key's life that need no statistics.

use slowleak_record::{Field, KeyEntry, Micros, Registry};
use slowleak_rollup::{DayTable, Metric, Table};

use crate::finding::Detector;

/// A key that was used when it should not have been.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Misuse {
    pub(crate) detector: Detector,
    pub(crate) key: String,
    /// Start of the first window in which it was.
    pub(crate) start: Micros,
    /// End of the last.
    pub(crate) end: Micros,
    /// Events from one to the other.
    pub(crate) events: f64,
}

/// A key that was active on the day of its end or later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Suspect {
    detector: Detector,
    pub(crate) key: String,
    ended: Micros,
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

/// Keys of the table (a view by key alone) that may have been used after their owner left, or after they were revoked
/// or had expired; in key order, one a rule. Their days alone do not tell: see [`Suspect::misuse`].
pub(crate) fn suspects(table: &DayTable, registry: &Registry) -> Vec<Suspect> {
    let suspect = |detector: Detector, key: &String, ended: Micros| {
        let days = table.cells(table.find(key)?);
        let last = i64::from(*table.days[days].last()?);
        ((last + 1) * Micros::DAY > ended.0).then(|| Suspect { detector, key: key.clone(), ended })
    };
    let of_key = |(key, entry): (&String, &KeyEntry)| {
        let (left, withdrawn) = ends(entry, registry);
        [(Detector::KeyAfterDeparture, left), (Detector::KeyAfterRevocation, withdrawn)]
            .into_iter()
            .filter_map(|(detector, ended)| suspect(detector, key, ended?))
            .collect::<Vec<_>>()
    };
    registry.keys.iter().flat_map(of_key).collect()
}

impl Suspect {
    /// What the key's cells say; all of them are of this key.
    ///
    /// A window that began before its end is not counted: part of it may have been legitimate. So the rule is certain,
    /// and late by at most one window.
    pub(crate) fn misuse(&self, cells: &Table) -> Option<Misuse> {
        let used = cells.windows.partition_point(|window| *window < self.ended)..cells.len();
        let counts = &cells.count(Metric::Events)[used.clone()];
        let events = counts.iter().fold(0_i64, |sum, more| sum.saturating_add(*more));
        let first = *cells.windows[used].first()?;
        let last = *cells.windows.last()?;
        (events > 0).then(|| Misuse {
            detector: self.detector,
            key: self.key.clone(),
            start: first,
            end: Micros(last.0 + cells.view.window.micros()),
            events: events as f64,
        })
    }
}
