//! What the log's keys, and its pairs of key and user, have on a list of issues. In: the days of the log, then the rows
//! of the list in any order, one at a time. Out: for an entity whether its use is one without issue.
//!
//! Held is one time an entity of the log, whatever the length of the list.

use slowleak_record::{Field, Micros};
use slowleak_rollup::{DayTable, Dimension};

/// Why an entity's use is one without issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issue {
    /// It is not on the list.
    Never,
    /// Its first issue.
    First(Micros),
}

/// See the module.
#[derive(Debug)]
pub struct Issues<'a> {
    keys: Side<'a>,
    /// Where the list names users and the log was counted by both.
    pairs: Option<Side<'a>>,
    /// For each key, its first issue to nobody in particular.
    to_anyone: Vec<Option<Micros>>,
    /// The first issue on the list.
    begins: Micros,
    /// Rows of keys that the log holds.
    listed: u64,
}

/// A view with the first issue of each of its entities.
#[derive(Debug)]
struct Side<'a> {
    table: &'a DayTable,
    first: Vec<Option<Micros>>,
}

impl<'a> Side<'a> {
    fn of(days: &'a [DayTable], parts: &[Field]) -> Option<Self> {
        let table = days.iter().find(|table| table.view.dimension.parts() == parts)?;
        Some(Self { table, first: vec![None; table.entities.len()] })
    }

    /// Whether the entity was used before `time`, to the day.
    fn used_before(&self, entity: usize, time: Micros) -> bool {
        let first = self.table.days.get(self.table.offsets[entity]);
        first.is_none_or(|day| i64::from(*day) * Micros::DAY < time.0)
    }

    /// Takes an issue; the entity, where the log holds it.
    fn issued(&mut self, name: &str, at: Micros) -> Option<usize> {
        let entity = self.table.find(name)?;
        earlier(&mut self.first[entity], at);
        Some(entity)
    }
}

fn earlier(first: &mut Option<Micros>, at: Micros) {
    *first = Some(first.map_or(at, |first| first.min(at)));
}

impl<'a> Issues<'a> {
    /// Nothing issued so far. `begins` is the first issue on the list; pairs are judged where the list `names_users`.
    /// `None` where the log was not counted by key alone.
    pub fn new(days: &'a [DayTable], begins: Micros, names_users: bool) -> Option<Self> {
        let keys = Side::of(days, &[Field::Key])?;
        let pairs = names_users.then(|| Side::of(days, &[Field::Key, Field::User])).flatten();
        let to_anyone = vec![None; if pairs.is_some() { keys.first.len() } else { 0 }];
        Some(Self { keys, pairs, to_anyone, begins, listed: 0 })
    }

    /// Takes a row of the list.
    pub fn issue(&mut self, key: &str, user: Option<&str>, at: Micros) {
        // A key that the log does not hold has no pairs in it either.
        let Some(entity) = self.keys.issued(key, at) else { return };
        self.listed += 1;
        let Some(pairs) = &mut self.pairs else { return };
        match user {
            Some(user) => {
                pairs.issued(&pairs.table.view.dimension.join([key, user]), at);
            }
            None => earlier(&mut self.to_anyone[entity], at),
        }
    }

    /// Whether pairs of key and user are judged, too.
    pub fn judges_pairs(&self) -> bool {
        self.pairs.is_some()
    }

    /// Whether any key of the log is on the list. If not, it is a list of something else, or writes keys otherwise: then
    /// nothing is judged by it.
    pub fn knows_the_log(&self) -> bool {
        self.listed > 0
    }

    /// Keys of the log.
    pub fn keys(&self) -> usize {
        self.keys.first.len()
    }

    /// Keys that were in use before the list begins: their issue may be older than it, so they are not judged.
    pub fn older_keys(&self) -> usize {
        (0..self.keys()).filter(|key| self.keys.used_before(*key, self.begins)).count()
    }

    /// What is wrong with the use of an entity of the views by key, and by key and user; `None` where nothing is, or
    /// where its key's use is wrong as a whole.
    pub(crate) fn of(&self, dimension: &Dimension, name: &str) -> Option<Issue> {
        if !self.knows_the_log() {
            return None;
        }
        match dimension.parts() {
            [Field::Key] => {
                let key = self.judged(&self.keys, name)?;
                Some(self.keys.first[key].map_or(Issue::Never, Issue::First))
            }
            [Field::Key, Field::User] => {
                let pairs = self.pairs.as_ref()?;
                let pair = self.judged(pairs, name)?;
                let key = self.judged(&self.keys, dimension.split(name).first()?)?;
                let of_key = self.keys.first[key]?;
                let to_both = [pairs.first[pair], self.to_anyone[key]];
                match to_both.into_iter().flatten().min() {
                    None => Some(Issue::Never),
                    Some(first) => (first > of_key).then_some(Issue::First(first)),
                }
            }
            _ => None,
        }
    }

    fn judged(&self, side: &Side<'_>, name: &str) -> Option<usize> {
        side.table.find(name).filter(|entity| !side.used_before(*entity, self.begins))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use slowleak_rollup::{Metric, Table};

    use super::*;

    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    const USERS: [&str; 3] = ["u", "v", "w"];

    /// One event of each entity on its days.
    fn table(view: &str, used: &BTreeMap<String, Vec<i64>>) -> DayTable {
        let mut table = Table {
            view: view.parse().unwrap(),
            entities: Vec::new(),
            offsets: vec![0],
            windows: Vec::new(),
            counts: Default::default(),
            sketches: Default::default(),
        };
        for (entity, days) in used {
            table.entities.push(entity.clone());
            table.windows.extend(days.iter().map(|day| Micros(day * Micros::DAY)));
            table.offsets.push(table.windows.len());
        }
        table.counts[Metric::Events as usize] = vec![1; table.windows.len()];
        DayTable::of(&table)
    }

    type Use = (usize, usize, i64);
    type Listed = (usize, Option<usize>, i64);

    fn used() -> impl Strategy<Value = std::collections::BTreeSet<Use>> {
        prop::collection::btree_set((0..4_usize, 0..3_usize, 0..20_i64), 1..20)
    }

    fn list() -> impl Strategy<Value = Vec<Listed>> {
        prop::collection::vec((0..4_usize, prop::option::of(0..3_usize), 0..20_i64), 1..12)
    }

    proptest! {
        /// Whatever is on the list and in whatever order: an entity is told of exactly where a person with both papers
        /// in hand would find no issue that covers its first use.
        #[test]
        fn every_use_without_issue_is_told_and_no_other(used in used(), list in list(), turn in 0..12_usize) {
            let mut days: [BTreeMap<String, Vec<i64>>; 2] = Default::default();
            for (key, user, day) in &used {
                let pair = format!("{} + {}", KEYS[*key], USERS[*user]);
                for (map, name) in days.iter_mut().zip([KEYS[*key].to_owned(), pair]) {
                    let of_entity = map.entry(name).or_default();
                    of_entity.push(*day);
                    of_entity.sort_unstable();
                    of_entity.dedup();
                }
            }
            let tables = [table("key@1d:events", &days[0]), table("key+user@1d:events", &days[1])];
            let begins = list.iter().map(|(.., day)| *day).min().unwrap();
            let told = |list: &mut dyn Iterator<Item = &Listed>| {
                let mut issues = Issues::new(&tables, Micros(begins * Micros::DAY), true).unwrap();
                list.for_each(|(key, user, day)| {
                    issues.issue(KEYS[*key], user.map(|user| USERS[user]), Micros(day * Micros::DAY));
                });
                tables.iter().flat_map(|table| {
                    table.entities.iter().map(|name| issues.of(&table.view.dimension, name)).collect::<Vec<_>>()
                }).collect::<Vec<_>>()
            };
            let turned = told(&mut list.iter().cycle().skip(turn % list.len()).take(list.len()));
            let found = told(&mut list.iter());
            prop_assert_eq!(&turned, &found);

            let first = |issues: &dyn Fn(&&Listed) -> bool| {
                list.iter().filter(issues).map(|(.., day)| *day).min()
            };
            let known = list.iter().any(|(key, ..)| days[0].contains_key(KEYS[*key]));
            let told_of = |issue: Option<i64>| {
                Some(issue.map_or(Issue::Never, |day| Issue::First(Micros(day * Micros::DAY))))
            };
            let mut wanted = Vec::new();
            for (key, uses) in &days[0] {
                let of_key = first(&|(listed, ..)| KEYS[*listed] == key);
                wanted.push(if known && uses[0] >= begins { told_of(of_key) } else { None });
            }
            for (pair, uses) in &days[1] {
                let (key, user) = pair.split_once(" + ").unwrap();
                let of_key = first(&|(listed, ..)| KEYS[*listed] == key);
                let of_pair = first(&|(listed, to, _)| {
                    KEYS[*listed] == key && to.is_none_or(|to| USERS[to] == user)
                });
                let judged = days[0][key][0] >= begins && uses[0] >= begins;
                // What the key has wrong as a whole is told of the key alone.
                let own = of_key.is_some() && (of_pair.is_none() || of_pair > of_key);
                wanted.push(if judged && own { told_of(of_pair) } else { None });
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
