//! How many rows of the registries the log knows of. In: a [`Registry`] and what is in the log. Out: counts,
//! so that a registry whose ids are written otherwise than the log's does not pass for one that found nothing.

use std::collections::BTreeSet;

use crate::Registry;

/// The registries against the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryMatch {
    /// Keys listed, and those that the log holds; `None` without a key registry.
    pub keys: Option<Matched>,
    /// People listed, and those who act in the log or own a listed key that is in it; `None` without a
    /// people file.
    pub people: Option<Matched>,
}

/// Rows of one registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matched {
    /// Rows.
    pub listed: u64,
    /// Rows whose id the log knows.
    pub in_log: u64,
    /// The first id, in order, that it does not know.
    pub first_absent: Option<String>,
}

impl Matched {
    fn of<'a>(ids: impl Iterator<Item = &'a String>, known: impl Fn(&str) -> bool) -> Self {
        let mut matched = Self::default();
        for id in ids {
            matched.listed += 1;
            if known(id) {
                matched.in_log += 1;
            } else {
                matched.first_absent.get_or_insert_with(|| id.clone());
            }
        }
        matched
    }

    /// Rows whose id the log does not know.
    pub fn absent(&self) -> u64 {
        self.listed - self.in_log
    }
}

impl Registry {
    /// Counts the rows that the log knows of. An empty registry was not given.
    pub fn matched(
        &self,
        key_in_log: impl Fn(&str) -> bool,
        user_in_log: impl Fn(&str) -> bool,
    ) -> RegistryMatch {
        let owners: BTreeSet<&str> = self
            .keys
            .iter()
            .filter(|(key, _)| key_in_log(key))
            .filter_map(|(_, entry)| entry.owner.as_deref())
            .collect();
        let known = |user: &str| owners.contains(user) || user_in_log(user);
        RegistryMatch {
            keys: (!self.keys.is_empty()).then(|| Matched::of(self.keys.keys(), &key_in_log)),
            people: (!self.people.is_empty()).then(|| Matched::of(self.people.keys(), known)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyEntry, PersonEntry};

    #[test]
    fn people_count_by_what_they_do_or_own() {
        let owned = |owner: &str| KeyEntry { owner: Some(owner.to_owned()), ..KeyEntry::default() };
        let registry = Registry {
            keys: [("k1".to_owned(), owned("kim")), ("k2".to_owned(), owned("lee"))].into(),
            people: ["kim", "lee", "max", "ann"].map(|user| (user.to_owned(), PersonEntry::default())).into(),
        };
        let matched = registry.matched(|key| key == "k1", |user| user == "max");
        let keys = Matched { listed: 2, in_log: 1, first_absent: Some("k2".to_owned()) };
        let people = Matched { listed: 4, in_log: 2, first_absent: Some("ann".to_owned()) };
        assert_eq!(matched, RegistryMatch { keys: Some(keys), people: Some(people) });
        assert_eq!(Registry::default().matched(|_| true, |_| true), RegistryMatch::default());
    }
}
