//! What detection says: findings, their evidence, and what a person needs to check them.

use std::fmt;
use std::str::FromStr;

use slowleak_record::Micros;
use slowleak_rollup::{Dimension, Metric};

use crate::suppress::Suppressing;

/// How bad a finding is; the order is from the least to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nobody is woken.
    Info,
    /// Weak.
    Low,
    /// Reported: fewer than one in twenty leak-free logs of this size shows one as strong.
    Medium,
    /// Fewer than one in a thousand.
    High,
    /// Fewer than one in ten thousand, and many accounts.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word of the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == text)
            .ok_or_else(|| format!("{text:?} is not a severity: write info, low, medium, high or critical"))
    }
}

/// What raised a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// A rule: the key was used after its owner left.
    KeyAfterDeparture,
    /// A rule: the key was used after it was revoked or had expired.
    KeyAfterRevocation,
    /// A rule: the key was used without ever having been issued (to that user), or before it first was.
    UseWithoutIssue,
    /// A rule: the key was used before the registry says that it was issued.
    KeyBeforeIssue,
    /// A rule: the key was used from a region that the registry does not allow it.
    KeyOutsideRegion,
    /// A rule: the key was silent for long and is used again.
    DormantKey,
    /// A rule: the key is used with a secret older than the policy allows.
    StaleKey,
    /// More accesses than the baseline explains.
    Rate,
    /// More distinct subjects than the number of accesses explains.
    Breadth,
    /// More of a key's accesses to one object than its other accesses, and other keys, explain.
    Share,
    /// Far more accesses in minutes or hours than the rest of the day explains.
    Burst,
    /// A new key or user began as no other did.
    Birth,
    /// Accesses of a kind that is not the user's own.
    Profile,
    /// From a day on two users work as each other did before.
    Swap,
    /// Sources never seen before that, once there, do little else than one thing.
    Novelty,
    /// In a few days many objects that the key or user had never used before.
    Reconnaissance,
    /// Accounts one number after the other, more than ever before.
    Enumeration,
    /// Records of the log itself are missing: it is silent, or thinned throughout.
    LogGap,
}

impl Detector {
    /// Every detector, rules first.
    pub const ALL: [Self; 18] = [
        Self::KeyAfterDeparture,
        Self::KeyAfterRevocation,
        Self::UseWithoutIssue,
        Self::KeyBeforeIssue,
        Self::KeyOutsideRegion,
        Self::DormantKey,
        Self::StaleKey,
        Self::Rate,
        Self::Breadth,
        Self::Share,
        Self::Burst,
        Self::Birth,
        Self::Profile,
        Self::Swap,
        Self::Novelty,
        Self::Reconnaissance,
        Self::Enumeration,
        Self::LogGap,
    ];

    /// The word of the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyAfterDeparture => "key_after_departure",
            Self::KeyAfterRevocation => "key_after_revocation",
            Self::UseWithoutIssue => "use_without_issue",
            Self::KeyBeforeIssue => "key_before_issue",
            Self::KeyOutsideRegion => "key_outside_region",
            Self::DormantKey => "dormant_key",
            Self::StaleKey => "stale_key",
            Self::Rate => "rate",
            Self::Breadth => "breadth",
            Self::Share => "share",
            Self::Burst => "burst",
            Self::Birth => "birth",
            Self::Profile => "profile",
            Self::Swap => "swap",
            Self::Novelty => "novelty",
            Self::Reconnaissance => "reconnaissance",
            Self::Enumeration => "enumeration",
            Self::LogGap => "log_gap",
        }
    }

    /// Whether it states a fact rather than a likelihood.
    pub const fn is_rule(self) -> bool {
        !matches!(
            self,
            Self::Rate
                | Self::Breadth
                | Self::Share
                | Self::Burst
                | Self::Birth
                | Self::Profile
                | Self::Swap
                | Self::Novelty
                | Self::Reconnaissance
                | Self::Enumeration
                | Self::LogGap
        )
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Detector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|detector| detector.name() == text)
            .ok_or_else(|| format!("{text:?} is not a detector that this version knows"))
    }
}

/// One leak, as far as detection can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Stable across nights and reruns.
    pub id: String,
    /// 1 is the worst.
    pub rank: u32,
    /// How bad.
    pub severity: Severity,
    /// What raised it.
    pub detector: Detector,
    /// View that names the leak best.
    pub dimension: Dimension,
    /// Its value; parts of a compound joined by ` + `.
    pub entity: String,
    /// The key, where the finding is about one.
    pub key: Option<String>,
    /// The user, where the finding is about one.
    pub user: Option<String>,
    /// What was too high.
    pub metric: Metric,
    /// Start of the interval.
    pub start: Micros,
    /// End of the interval, exclusive.
    pub end: Micros,
    /// Sum over the interval, in the metric's unit.
    pub observed: f64,
    /// What the baseline expects over the interval, in the metric's unit.
    pub expected: f64,
    /// Estimated distinct subjects touched in the interval, where subjects are logged.
    pub subjects: Option<f64>,
    /// Lower bound of the distinct subjects taken beyond the expected; of accesses where subjects are not logged.
    pub taken: f64,
    /// Weight of the objects that they were taken from; 1 unless configured. Findings of one severity are ranked by it
    /// times [`Self::taken`].
    pub sensitivity: f64,
    /// Calibrated log-likelihood ratio, nats.
    pub score: f64,
    /// Findings at least this strong that a leak-free log of this size is expected to give; `None` for rules.
    pub expected_false: Option<f64>,
    /// Still going on at the end of the data.
    pub open: bool,
    /// One sentence for a person.
    pub summary: String,
    /// Why the settings suppress it, by whom and until when; `None` where they do not.
    pub suppressed: Option<String>,
    /// The honest cause that makes it information only, to end a sentence; `None` where none was found.
    pub cause: Option<String>,
    /// Every interval folded into the finding, the leading one first; of each phase its own leading one first.
    pub evidence: Vec<Evidence>,
    /// How the excess splits over the parts of the leading entity and related views, largest first.
    pub shares: Vec<Share>,
    /// The leading series by day, over the whole log.
    pub timeline: Vec<Point>,
}

impl Finding {
    /// The leading interval of each phase, in the order of time. A leak that keeps to one place has one phase.
    pub fn phases(&self) -> Vec<&Evidence> {
        let mut leads: Vec<&Evidence> = Vec::new();
        for evidence in &self.evidence {
            if leads.iter().all(|lead| lead.phase != evidence.phase) {
                leads.push(evidence);
            }
        }
        leads.sort_by_key(|lead| lead.phase);
        leads
    }
}

/// One interval of one entity in one view and metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The phase of the leak that it shows, counted from 1 in the order of time.
    pub phase: u32,
    /// What raised it.
    pub detector: Detector,
    /// View.
    pub dimension: Dimension,
    /// Value of the view.
    pub entity: String,
    /// What was too high.
    pub metric: Metric,
    /// Start of the interval.
    pub start: Micros,
    /// End of the interval, exclusive.
    pub end: Micros,
    /// Sum over the interval.
    pub observed: f64,
    /// What the baseline expects over the interval.
    pub expected: f64,
    /// Baseline level a day, in the metric's unit, season and common factor taken out.
    pub level_per_day: f64,
    /// Relative variance of the baseline over an interval of this length (squared coefficient of variation).
    pub dispersion: f64,
    /// Log-likelihood ratio before calibration, nats.
    pub raw_score: f64,
    /// Calibrated score, nats.
    pub score: f64,
    /// See [`Finding::expected_false`].
    pub expected_false: Option<f64>,
}

/// A slice of a finding's excess.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// View of the slice, for instance `object`, `source` or `weekday`.
    pub dimension: String,
    /// Value of the slice.
    pub value: String,
    /// Events of the slice in the interval.
    pub observed: f64,
    /// Events that its own baseline expects there.
    pub expected: f64,
    /// Its part of the finding's excess; 1 is all of it.
    pub share: f64,
}

/// One window of a finding's leading series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Start of the window.
    pub start: Micros,
    /// Counted.
    pub observed: f64,
    /// Expected by the baseline.
    pub expected: f64,
}

/// The result of a detection run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detection {
    /// Findings by rank.
    pub findings: Vec<Finding>,
    /// What was examined, and what could not be.
    pub scope: Scope,
    /// What each suppression of the settings did, in their order.
    pub suppressions: Vec<Suppressing>,
}

/// What detection looked at: the base for trusting its silence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// One entry a view and metric, in view order.
    pub families: Vec<Family>,
    /// End of the last window with a record, records far away from all others left out; `None` where there are none.
    pub end: Option<Micros>,
}

/// The series of one view and metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// View.
    pub dimension: Dimension,
    /// Metric tested.
    pub metric: Metric,
    /// Entities in the view.
    pub entities: u64,
    /// Entities with enough events to be tested.
    pub tested: u64,
    /// Tail scale that calibration found, 1 where the model's own is right; `None` where too few peers
    /// allowed no calibration, and therefore no finding.
    pub tail_scale: Option<f64>,
}
