//! What a scenario says about a leak: the `[[leak]]` tables.

use serde::Deserialize;

use crate::scenario::When;

/// One leak: a credential and one or more phases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeakSpec {
    pub(crate) name: String,
    /// The view that names the leak, as in findings; its parts joined by `+`.
    pub(crate) dimension: String,
    /// How often the leak is there, each time by another key or person.
    #[serde(default = "once")]
    pub(crate) copies: u32,
    pub(crate) credential: Credential,
    #[serde(default)]
    pub(crate) user: LeakUser,
    pub(crate) phase: Vec<Phase>,
}

/// How the credential shows in the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Credential {
    /// Logged, and used by nothing else.
    Dedicated {
        /// Key id.
        key: String,
        /// Its owner; where absent, someone who stays.
        owner: Option<String>,
        /// When the owner left; the owner is then listed in `people.csv` with that date.
        owner_left: Option<When>,
        /// When the key was issued; a year before the span where absent.
        issued: Option<When>,
    },
    /// A legitimate key: the one whose share of the honest traffic is nearest.
    Shared {
        /// Share wanted.
        share: f64,
        /// Only keys of this group.
        group: Option<String>,
    },
    /// The insider's own key.
    Own,
    /// Not logged.
    None,
}

/// Who the log says acted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LeakUser {
    /// The key's own users, in their proportions; nobody for a key without users.
    #[default]
    OfKey,
    /// The account itself, as `member-ID`.
    Victim,
    /// Nobody.
    Null,
    /// An existing user of the named group, one at least as busy as half of them.
    Insider(String),
    /// A user of this name whom the log has not seen before.
    New(String),
}

impl LeakSpec {
    /// The group of the key or insider, where the scenario names it.
    pub(crate) fn group(&self) -> Option<&str> {
        match (&self.user, &self.credential) {
            (LeakUser::Insider(group), _) => Some(group),
            (_, Credential::Shared { group, .. }) => group.as_deref(),
            _ => None,
        }
    }
}

/// One phase of a leak.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    pub(crate) start: When,
    pub(crate) end: When,
    /// Share of the whole log's traffic between `start` and `end`.
    pub(crate) share: Option<f64>,
    /// Accesses a day, whatever the size of the log.
    pub(crate) per_day: Option<f64>,
    /// Accesses in all, whatever the size of the log.
    pub(crate) accesses: Option<u64>,
    /// Accesses as a multiple of what the honest key, or the insider, does between `start` and `end`.
    pub(crate) lift: Option<f64>,
    /// Objects read, by weight.
    #[serde(default)]
    pub(crate) objects: Vec<LeakObject>,
    /// So many other objects, alike in weight, that the group of the key or insider leaves alone.
    #[serde(default)]
    pub(crate) unused: u32,
    #[serde(default)]
    pub(crate) pattern: Pattern,
    /// Only this many accounts are ever touched; all by default.
    pub(crate) accounts: Option<u64>,
    /// Share of accesses to accounts that do not exist.
    #[serde(default)]
    pub(crate) misses: f64,
    /// Size of the pool of addresses; the insider's own of the day where absent.
    pub(crate) addresses: Option<u32>,
    /// Addresses in use at one time; the whole pool by default.
    pub(crate) active: Option<u32>,
    /// Region of the pool.
    pub(crate) region: Option<String>,
    /// Operation; the object's usual one by default.
    pub(crate) action: Option<String>,
    /// Records and bytes of an access, as a multiple of the object's usual ones.
    #[serde(default = "one")]
    pub(crate) bulk: f32,
    #[serde(default)]
    pub(crate) duty: Duty,
    /// Whether the phase counts in `truth.json`.
    #[serde(default = "yes")]
    pub(crate) in_truth: bool,
}

fn once() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// An object and its weight among the phase's accesses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeakObject {
    pub(crate) name: String,
    #[serde(default = "one")]
    pub(crate) weight: f32,
}

fn one() -> f32 {
    1.0
}

/// Which accounts follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pattern {
    /// By ascending id, over and over.
    Ordered,
    /// Each account once, in random order.
    #[default]
    Once,
    /// At random with repeats.
    Random,
}

/// When the phase is at work, in local time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Duty {
    /// From and to hour of the day; `[22, 6]` wraps over midnight.
    pub(crate) hours: (u8, u8),
    /// Days of the week, `mon` to `sun`; all where empty.
    pub(crate) weekdays: Vec<Weekday>,
    /// Days at work, then `off_days` at rest, over and over; no rest where zero.
    pub(crate) on_days: u32,
    pub(crate) off_days: u32,
    /// Coefficient of variation of the daily pace.
    pub(crate) cv: f64,
}

impl Default for Duty {
    fn default() -> Self {
        Self { hours: (0, 24), weekdays: Vec::new(), on_days: 0, off_days: 0, cv: 0.2 }
    }
}

/// Day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}
