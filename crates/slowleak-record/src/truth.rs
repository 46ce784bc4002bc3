//! `truth.json`: which leaks a labelled log really has. Written by the generator, read by `evaluate`.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::InputError;

/// Everything that a labelled log leaks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Truth {
    /// One entry a leak; empty for a leak-free log.
    pub leaks: Vec<Leak>,
}

/// One leak: who, when and how many accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// Name of the scenario or of the leak within it.
    pub scenario: String,
    /// The credential used, where the log shows it.
    #[serde(default)]
    pub key: Option<String>,
    /// The principal used, where the log shows it.
    #[serde(default)]
    pub user: Option<String>,
    /// View that names the leak best, as in findings: `key`, `user`, `key+object`, ...
    pub dimension: String,
    /// Value of that view.
    pub entity: String,
    /// First leaked access.
    pub start: Timestamp,
    /// End of the leak, exclusive.
    pub end: Timestamp,
    /// Distinct accounts touched.
    pub subjects: u64,
}

/// A `truth.json` that can not be read.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct TruthError(#[from] InputError);

impl Truth {
    /// Reads a `truth.json`.
    ///
    /// # Errors
    /// The file can not be read, or is not of the contract's form.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TruthError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| InputError::new(path, error).remedy("name the truth.json of a generated log"))?;
        let truth = serde_json::from_str(&text).map_err(|error| {
            InputError::new(path, error)
                .remedy("expected {\"leaks\": [...]} as `slowleak generate` writes it")
        })?;
        Ok(truth)
    }
}
