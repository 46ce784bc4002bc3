//! The scenario file: what it may say and what is assumed where it is silent. Knows TOML; knows nothing of
//! how a record is drawn. Checks across fields live in [`crate::check`].

use std::path::Path;

use serde::Deserialize;
use slowleak_record::Micros;

use crate::SynthError;
use crate::leak_spec::LeakSpec;
use crate::life::Life;

/// A labelled log to be: its span, population, habits and leaks.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    pub(crate) file: ScenarioFile,
}

/// The TOML text as it stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScenarioFile {
    /// Name used in `truth.json`; the file's name by default.
    pub(crate) name: Option<String>,
    /// Records to write unless the caller says otherwise.
    #[serde(default = "default_rows")]
    pub(crate) rows: u64,
    /// Seed unless the caller says otherwise.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Whether to write the `event_id` column.
    #[serde(default)]
    pub(crate) event_id: bool,
    /// How the log is cut into files.
    #[serde(default)]
    pub(crate) files: Files,
    pub(crate) span: Span,
    #[serde(default)]
    pub(crate) population: Population,
    #[serde(default = "default_groups")]
    pub(crate) group: Vec<Group>,
    #[serde(default)]
    pub(crate) object: Vec<Object>,
    #[serde(default)]
    pub(crate) life: Life,
    #[serde(default)]
    pub(crate) leak: Vec<LeakSpec>,
}

/// How the log is cut into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Files {
    /// By day from 10,000 records a day, several a day from 8 million; by week below.
    #[default]
    Auto,
    /// At least one file a day.
    Daily,
    /// One file a week.
    Weekly,
}

/// A moment: a TOML date or date-time, or the same as text; without an offset it is UTC.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum When {
    Native(toml::value::Datetime),
    Text(String),
}

impl When {
    pub(crate) fn micros(&self) -> Result<Micros, String> {
        let text = match self {
            Self::Native(time) => time.to_string(),
            Self::Text(text) => text.clone(),
        };
        text.parse::<Micros>().map_err(|error| error.to_string())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    /// First instant, at midnight UTC.
    pub(crate) start: When,
    /// First instant after, at midnight UTC.
    pub(crate) end: When,
    /// Local time minus UTC, in whole hours: seasons, weekends, holidays and duty hours are local.
    #[serde(default)]
    pub(crate) utc_offset_hours: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Population {
    /// Accounts.
    pub(crate) subjects: u64,
    /// Id of the first account.
    pub(crate) first_subject: i64,
    /// Share of the id space that belongs to no account, evenly spread.
    pub(crate) unassigned: f64,
    /// Objects (tables, pages), named ones included.
    pub(crate) objects: u32,
    /// Addresses of honest traffic over the whole span.
    pub(crate) sources: u32,
    /// Region of the company.
    pub(crate) home: String,
    /// Other regions, the most frequent first.
    pub(crate) abroad: Vec<String>,
    /// People who left, with their keys withdrawn, before the span: registry only.
    pub(crate) departed: u32,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            subjects: 200_000,
            first_subject: 10_000_000,
            unassigned: 0.2,
            objects: 40,
            sources: 8_000,
            home: "kr".to_owned(),
            abroad: ["us", "jp", "vn", "sg", "cn", "de", "gb", "th"].map(str::to_owned).to_vec(),
            departed: 20,
        }
    }
}

/// A peer group: principals that work alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Share of the honest traffic.
    pub(crate) share: f64,
    pub(crate) keys: u32,
    pub(crate) users: u32,
    /// Hour-of-week pattern and the habits that go with it.
    pub(crate) season: SeasonKind,
    /// Exponent of the keys' Zipf shares.
    #[serde(default = "one")]
    pub(crate) key_zipf: f64,
    /// Sigma of the users' log-normal rates.
    #[serde(default = "one")]
    pub(crate) user_sigma: f64,
    /// Coefficient of variation of an entity's own daily factor; by season where absent.
    pub(crate) cv: Option<f64>,
    /// Day-to-day correlation of that factor.
    #[serde(default = "default_ar")]
    pub(crate) ar: f64,
    /// Share of accesses to an object that the user favours; by season where absent.
    pub(crate) favourites: Option<f64>,
    /// Share of accesses to a subject of the user's working set; by season where absent.
    pub(crate) returning: Option<f64>,
    /// Typical size of a user's working set.
    #[serde(default = "default_working_set")]
    pub(crate) working_set: u64,
    /// Whether the account itself is the user (`member-ID`), as in a customer-facing log.
    #[serde(default)]
    pub(crate) members: bool,
    /// Whether the log shows the key.
    #[serde(default = "yes")]
    pub(crate) key_logged: bool,
}

/// Hour-of-week patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeasonKind {
    /// People, Monday to Friday in working hours.
    Office,
    /// People, every day from morning to night.
    Support,
    /// Customers through a gateway, evenings most.
    Customers,
    /// Services, nearly flat.
    Service,
    /// Nightly jobs of two to three hours.
    Batch,
}

impl SeasonKind {
    /// Whether the group's users are people, who take leave and travel.
    pub(crate) fn is_people(self) -> bool {
        matches!(self, Self::Office | Self::Support)
    }
}

/// An object with a name and a place of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    pub(crate) name: String,
    /// Share of the accesses of each group listed in `groups`.
    pub(crate) share: f64,
    /// Groups that use it; all where empty.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Its usual operation.
    pub(crate) action: Option<String>,
    /// Median of the records returned.
    pub(crate) rows: Option<f64>,
}

fn default_rows() -> u64 {
    1_000_000
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn default_ar() -> f64 {
    0.6
}

fn default_working_set() -> u64 {
    300
}

fn default_groups() -> Vec<Group> {
    let group = |name: &str, share, keys, users, season, user_sigma| Group {
        name: name.to_owned(),
        share,
        keys,
        users,
        season,
        key_zipf: 1.0,
        user_sigma,
        cv: None,
        ar: default_ar(),
        favourites: None,
        returning: None,
        working_set: default_working_set(),
        members: false,
        key_logged: true,
    };
    vec![
        group("customer", 0.45, 8, 40, SeasonKind::Customers, 0.5),
        group("support", 0.2, 40, 400, SeasonKind::Support, 0.7),
        group("office", 0.15, 60, 300, SeasonKind::Office, 1.0),
        group("service", 0.13, 20, 40, SeasonKind::Service, 1.0),
        group("batch", 0.07, 10, 12, SeasonKind::Batch, 0.8),
    ]
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// The file can not be read; or see [`Scenario::parse`].
    pub fn read(path: &Path) -> Result<Self, SynthError> {
        let text = std::fs::read_to_string(path).map_err(|cause| SynthError::Io {
            path: path.to_path_buf(),
            cause,
            remedy: "name a scenario file such as datasets/five-month.toml",
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses and checks the text of a scenario; `name` stands in messages.
    ///
    /// # Errors
    /// The text is not TOML, has an unknown or missing field, or values that contradict each other; the
    /// error names the line and the remedy.
    pub fn parse(text: &str, name: &str) -> Result<Self, SynthError> {
        let file: ScenarioFile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            SynthError::Scenario {
                name: name.to_owned(),
                line: text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1,
                cause: error.message().replace('\n', "; "),
                remedy: "the crate documentation of slowleak-synth lists every field".to_owned(),
            }
        })?;
        crate::check::checked(file, text, name)
    }

    /// The scenario's name, as `truth.json` carries it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Records that a run writes unless told otherwise.
    pub fn rows(&self) -> u64 {
        self.file.rows
    }
}
