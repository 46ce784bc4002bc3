//! The JSON that commands print: findings under the contract's column names, and the answer of a run.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use slowleak_detect::{Evidence, Finding, Share};

/// What `scan`, `rollup`, `detect` and `demo` print with `--format json`.
#[derive(Debug, Serialize)]
pub(crate) struct RunAnswer<'a> {
    pub(crate) command: &'static str,
    /// Folder of the results.
    pub(crate) out: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) findings: Option<Vec<FindingAnswer>>,
    /// As in `coverage.json`.
    pub(crate) coverage: Value,
    /// The comparison with the truth; the demo's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<slowleak_detect::Quality>,
    /// What the comparison is worth, where it is worth little; the demo's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Wall time a stage, seconds. Printed only: result files hold no clock.
    pub(crate) seconds: Vec<(&'static str, f64)>,
}

/// What `nightly` prints.
#[derive(Debug, Serialize)]
pub(crate) struct NightAnswer<'a> {
    #[serde(flatten)]
    pub(crate) run: RunAnswer<'a>,
    /// What was new.
    pub(crate) night: Value,
}

/// What `replay` prints.
#[derive(Debug, Serialize)]
pub(crate) struct ReplayAnswer<'a> {
    pub(crate) command: &'static str,
    /// Folder of the results.
    pub(crate) out: &'a Path,
    /// When nights were.
    pub(crate) nights: Vec<String>,
    /// What they told, one entry a name of settings.
    pub(crate) settings: Vec<Value>,
    /// As in `coverage.json`.
    pub(crate) coverage: Value,
    /// Wall time a stage, seconds.
    pub(crate) seconds: Vec<(&'static str, f64)>,
}

/// A finding.
#[derive(Debug, Serialize)]
pub(crate) struct FindingAnswer {
    finding_id: String,
    rank: u32,
    severity: &'static str,
    detector: &'static str,
    dimension: String,
    entity: String,
    key: Option<String>,
    user: Option<String>,
    metric: &'static str,
    start: String,
    end: String,
    observed: f64,
    expected: f64,
    subjects: Option<f64>,
    taken: f64,
    sensitivity: f64,
    score: f64,
    expected_false: Option<f64>,
    open: bool,
    summary: String,
    cause: Option<String>,
    suppressed: Option<String>,
    evidence: Vec<EvidenceAnswer>,
    shares: Vec<ShareAnswer>,
}

#[derive(Debug, Serialize)]
struct EvidenceAnswer {
    detector: &'static str,
    dimension: String,
    entity: String,
    metric: &'static str,
    start: String,
    end: String,
    observed: f64,
    expected: f64,
    level_per_day: f64,
    dispersion: f64,
    raw_score: f64,
    score: f64,
    expected_false: Option<f64>,
}

#[derive(Debug, Serialize)]
struct ShareAnswer {
    dimension: String,
    value: String,
    observed: f64,
    expected: f64,
    share: f64,
}

impl From<&Finding> for FindingAnswer {
    fn from(finding: &Finding) -> Self {
        Self {
            finding_id: finding.id.clone(),
            rank: finding.rank,
            severity: finding.severity.name(),
            detector: finding.detector.name(),
            dimension: finding.dimension.to_string(),
            entity: finding.entity.clone(),
            key: finding.key.clone(),
            user: finding.user.clone(),
            metric: finding.metric.name(),
            start: finding.start.to_string(),
            end: finding.end.to_string(),
            observed: finding.observed,
            expected: finding.expected,
            subjects: finding.subjects,
            taken: finding.taken,
            sensitivity: finding.sensitivity,
            score: finding.score,
            expected_false: finding.expected_false,
            open: finding.open,
            summary: finding.summary.clone(),
            cause: finding.cause.clone(),
            suppressed: finding.suppressed.clone(),
            evidence: finding.evidence.iter().map(EvidenceAnswer::from).collect(),
            shares: finding.shares.iter().map(ShareAnswer::from).collect(),
        }
    }
}

impl From<&Evidence> for EvidenceAnswer {
    fn from(evidence: &Evidence) -> Self {
        Self {
            detector: evidence.detector.name(),
            dimension: evidence.dimension.to_string(),
            entity: evidence.entity.clone(),
            metric: evidence.metric.name(),
            start: evidence.start.to_string(),
            end: evidence.end.to_string(),
            observed: evidence.observed,
            expected: evidence.expected,
            level_per_day: evidence.level_per_day,
            dispersion: evidence.dispersion,
            raw_score: evidence.raw_score,
            score: evidence.score,
            expected_false: evidence.expected_false,
        }
    }
}

impl From<&Share> for ShareAnswer {
    fn from(share: &Share) -> Self {
        Self {
            dimension: share.dimension.clone(),
            value: share.value.clone(),
            observed: share.observed,
            expected: share.expected,
            share: share.share,
        }
    }
}
