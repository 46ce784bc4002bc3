//! A key used from a region that its registry entry does not allow.

use slowleak_record::Field;

use super::{EVER, FOR_GOOD, Rules, Suspect};
use crate::candidate::Fact;
use crate::finding::Detector;

pub(super) fn suspects<'a>(rules: &'a Rules<'_>) -> Vec<Suspect<'a>> {
    let Some(table) = rules.table(&[Field::Key, Field::Region]) else { return Vec::new() };
    let suspect = |(entity, name): (usize, &String)| {
        let parts = table.view.dimension.split(name);
        let [key, region] = parts.as_slice() else { return None };
        let allowed = &rules.registry.keys.get(key)?.regions;
        // People write KR and kr; no two regions differ in nothing else.
        let forbidden = !allowed.is_empty() && !allowed.iter().any(|one| one.eq_ignore_ascii_case(region));
        forbidden.then(|| Suspect {
            detector: Detector::KeyOutsideRegion,
            table,
            entity,
            during: EVER..FOR_GOOD,
            fact: Fact::misuse(format!(
                "from a region that it is not allowed (allowed: {})",
                allowed.join(", ")
            )),
        })
    };
    table.entities.iter().enumerate().filter_map(suspect).collect()
}
