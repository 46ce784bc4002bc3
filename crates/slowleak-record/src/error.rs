//! One error type for everything that can be wrong with input: it always says which file, which place in
//! it, what is wrong and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Shorthand for a result whose error is about input.
pub type InputResult<T> = Result<T, InputError>;

/// Something is wrong with a file or path that the user named.
///
/// Displayed as `PATH: PLACE: CAUSE (REMEDY)`, with absent parts left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    path: PathBuf,
    place: Option<String>,
    cause: String,
    remedy: Option<String>,
}

impl InputError {
    /// An error about `path` as a whole.
    pub fn new(path: impl AsRef<Path>, cause: impl fmt::Display) -> Self {
        Self { path: path.as_ref().to_path_buf(), place: None, cause: cause.to_string(), remedy: None }
    }

    /// Names the place inside the file, for instance `column "time"` or `line 12`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Says what the user can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// The file or path that the error is about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Place, cause and remedy without the path: the `reason` of a rejected file in `coverage.json`.
    pub fn reason(&self) -> String {
        let mut reason = String::new();
        if let Some(place) = &self.place {
            reason.push_str(place);
            reason.push_str(": ");
        }
        reason.push_str(&self.cause);
        if let Some(remedy) = &self.remedy {
            reason.push_str(" (");
            reason.push_str(remedy);
            reason.push(')');
        }
        reason
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason())
    }
}

impl std::error::Error for InputError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_path_place_cause_and_remedy() {
        let error = InputError::new("a.parquet", "no such column").at("column \"time\"").remedy("use --map");
        assert_eq!(error.to_string(), "a.parquet: column \"time\": no such column (use --map)");
        assert_eq!(InputError::new("b", "empty").to_string(), "b: empty");
    }
}
