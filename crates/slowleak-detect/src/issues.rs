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
