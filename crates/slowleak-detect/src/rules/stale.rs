//! A key in use whose secret is older than the policy allows. Bad housekeeping and no leak.

use slowleak_record::{Field, KeyEntry, Micros};

use super::{FOR_GOOD, Rules, Suspect, date};
use crate::candidate::{Fact, Grade};
use crate::finding::Detector;

pub(super) fn suspects<'a>(rules: &'a Rules<'_>) -> Vec<Suspect<'a>> {
    let (Some(table), Some(days)) = (rules.table(&[Field::Key]), rules.config.rotation_days) else {
        return Vec::new();
    };
    let of_key = |(key, entry): (&String, &KeyEntry)| {
        let entity = table.find(key)?;
        // Of a key whose age nobody knows nothing is said.
        let made = entry.issued_at.max(entry.rotated_at)?;
        let did = if entry.rotated_at == Some(made) { "rotated" } else { "issued" };
        let overdue = Micros(made.0.saturating_add(i64::from(days) * Micros::DAY));
        let why = format!("with a secret older than {days} days ({did} {})", date(made));
        Some(Suspect {
            detector: Detector::StaleKey,
            table,
            entity,
            during: overdue..FOR_GOOD,
            fact: Fact { why, grade: Grade::Minor },
        })
    };
    rules.registry.keys.iter().filter_map(of_key).collect()
}
