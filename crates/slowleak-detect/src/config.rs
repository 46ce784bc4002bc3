//! What a user may change about detection; the defaults are meant to be left alone.

use serde::Deserialize;

use crate::sensitivity::Sensitivity;

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
    /// Distinct subjects beyond the expected, at the least and times their sensitivity, that make a finding critical.
    pub critical_subjects: f64,
    /// An entity with fewer events in the whole log is not tested by statistics; rules apply to it.
    pub min_events: u64,
    /// An entity is tested from this many days of presence; one that was born inside the log has its
    /// first days of this number left out of the search.
    pub min_days: usize,
    /// A rise of the level by this share is no finding, however certain it is.
    pub tolerance: f64,
    /// A key that was silent on this many days of the log, and is used again, is a finding by rule.
    pub dormant_days: usize,
    /// Age in days from which a secret that is still in use is a finding by rule; `None`: there is no such policy.
    pub rotation_days: Option<u32>,
    /// Weights of objects, by pattern: how bad it is to lose one account's data of them.
    pub sensitivity: Sensitivity,
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
            dormant_days: 180,
            rotation_days: None,
            sensitivity: Sensitivity::default(),
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
        if self.dormant_days == 0 {
            return Err("[detect] dormant_days = 0: a silence has a day or more".to_owned());
        }
        if self.rotation_days == Some(0) {
            return Err("[detect] rotation_days = 0: write a day or more, or leave it out".to_owned());
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
            DetectConfig { dormant_days: 0, ..Default::default() },
            DetectConfig { rotation_days: Some(0), ..Default::default() },
        ];
        assert!(bad.iter().all(|config| config.check().is_err()));
    }
}
