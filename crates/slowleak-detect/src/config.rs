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

impl DetectConfig {
    /// Checks that every setting is one that detection can work with.
    ///
    /// # Errors
    /// Names the setting and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let settings = [
            ("max_expected_false", self.max_expected_false),
            ("high_expected_false", self.high_expected_false),
            ("critical_expected_false", self.critical_expected_false),
            ("critical_subjects", self.critical_subjects),
            ("tolerance", self.tolerance),
        ];
        if let Some((name, value)) = settings.iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            return Err(format!("[detect] {name} = {value}: write a number of zero or more"));
        }
        if self.min_days < 7 {
            return Err(format!("[detect] min_days = {}: a baseline needs 7 days or more", self.min_days));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_blind_or_deafen_detection_are_refused() {
        assert_eq!(DetectConfig::default().check(), Ok(()));
        let bad = [
            DetectConfig { max_expected_false: f64::NAN, ..Default::default() },
            DetectConfig { tolerance: -1.0, ..Default::default() },
            DetectConfig { critical_subjects: f64::INFINITY, ..Default::default() },
            DetectConfig { min_days: 0, ..Default::default() },
        ];
        assert!(bad.iter().all(|config| config.check().is_err()));
    }
}
