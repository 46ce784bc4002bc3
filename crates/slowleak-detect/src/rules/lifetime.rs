//! A key outside its life: before it was issued; after its owner left, or it was revoked or had expired.

use slowleak_record::{Field, KeyEntry, Micros, Registry};

use super::{EVER, FOR_GOOD, Rules, Suspect, date};
use crate::candidate::Fact;
use crate::finding::Detector;

/// When the key itself was withdrawn or expired, whichever came first, where the registry knows.
fn withdrawn(entry: &KeyEntry) -> Option<Micros> {
    [entry.revoked_at, entry.expires_at].into_iter().flatten().min()
}

/// The key's owner and when they left, where the registries know.
fn departed<'a>(entry: &'a KeyEntry, registry: &Registry) -> Option<(&'a str, Micros)> {
    let owner = entry.owner.as_ref()?;
    Some((owner, registry.people.get(owner)?.left_at?))
}

/// When a user or key had no more business to be seen, where the registries know.
pub(crate) fn end_of(registry: &Registry, field: Field, name: &str) -> Option<Micros> {
    match field {
        Field::User => registry.people.get(name)?.left_at,
        Field::Key => {
            let entry = registry.keys.get(name)?;
            departed(entry, registry).map(|(_, left)| left).into_iter().chain(withdrawn(entry)).min()
        }
        _ => None,
    }
}

pub(super) fn suspects<'a>(rules: &'a Rules<'_>) -> Vec<Suspect<'a>> {
    let Some(table) = rules.table(&[Field::Key]) else { return Vec::new() };
    let of_key = |(key, entry): (&String, &KeyEntry)| {
        let Some(entity) = table.find(key) else { return Vec::new() };
        let suspect =
            |detector, during, why| Suspect { detector, table, entity, during, fact: Fact::misuse(why) };
        let departed = departed(entry, rules.registry).map(|(owner, left)| {
            let why = format!("after its owner ({owner}, who left {}) had gone", date(left));
            suspect(Detector::KeyAfterDeparture, left..FOR_GOOD, why)
        });
        let withdrawn = withdrawn(entry).map(|ended| {
            let why = "after it was revoked or had expired".to_owned();
            suspect(Detector::KeyAfterRevocation, ended..FOR_GOOD, why)
        });
        let unborn = entry.issued_at.map(|issued| {
            let why = format!("before it was issued ({})", date(issued));
            suspect(Detector::KeyBeforeIssue, EVER..issued, why)
        });
        [departed, withdrawn, unborn].into_iter().flatten().collect()
    };
    rules.registry.keys.iter().flat_map(of_key).collect()
}
