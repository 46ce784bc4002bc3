//! What a user may change about detection; the defaults are meant to be left alone.

use serde::Deserialize;

/// The `[detect]` section of `slowleak.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// Findings with a higher `expected_false` than this are not reported.
    pub max_expected_false: f64,
    /// At or below this `expected_false` a finding is of severity high.
    pub high_expected_false: f64,
    /// At or below this `expected_false`, and with [`Self::critical_subjects`], it is critical.
    pub critical_expected_false: f64,
    /// Distinct subjects beyond the expected that make a finding critical.
    pub critical_subjects: f64,
    /// An entity with fewer events in the whole log is not tested by statistics; rules apply to it.
    pub min_events: u64,
    /// An entity is tested from this many days of presence; one that was born inside the log has its
    /// first days of this number left out of the search.
    pub min_days: usize,
    /// A rise of the level by this share is no finding, however certain it is.
    pub tolerance: f64,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            max_expected_false: 0.05,
            high_expected_false: 1e-3,
            critical_expected_false: 1e-4,
            critical_subjects: 1000.0,
            min_events: 20,
            min_days: 28,
            tolerance: 0.05,
        }
    }
}
