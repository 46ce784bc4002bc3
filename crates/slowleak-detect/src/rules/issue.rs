//! A key that was used and never issued, or before its first issue; the same of a key and the user that it was issued
//! to. What is on the list of issues is known already: see [`Issues`](crate::Issues).

use slowleak_record::Field;

use super::{EVER, FOR_GOOD, Rules, Suspect, date};
use crate::candidate::Fact;
use crate::finding::Detector;
use crate::rules::issues::Issue;

pub(super) fn suspects<'a>(rules: &'a Rules<'_>) -> Vec<Suspect<'a>> {
    let Some(issues) = rules.issues else { return Vec::new() };
    let of_view = |parts: &[Field]| {
        let whom = if parts.len() > 1 { " to this user" } else { "" };
        let table = rules.table(parts)?;
        let suspect = move |entity: usize| {
            let (until, why) = match issues.of(&table.view.dimension, &table.entities[entity])? {
                Issue::Never => (FOR_GOOD, format!("without having been issued{whom}")),
                Issue::First(at) => (at, format!("before it was first issued{whom} ({})", date(at))),
            };
            Some(Suspect {
                detector: Detector::UseWithoutIssue,
                table,
                entity,
                during: EVER..until,
                fact: Fact::misuse(why),
            })
        };
        Some((0..table.entities.len()).filter_map(suspect))
    };
    let views: [&[Field]; 2] = [&[Field::Key], &[Field::Key, Field::User]];
    views.into_iter().filter_map(of_view).flatten().collect()
}
