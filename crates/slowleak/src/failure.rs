//! Why a command did not complete, how a completed one ended, and the exit code of each.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use slowleak_nightly::NightlyError;
use slowleak_record::InputError;
use slowleak_rollup::RollupError;
use thiserror::Error;

/// Why a command did not complete. Displayed after `error: `.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A flag or a line of the config or map file is wrong; nothing was read yet.
    #[error("{0}")]
    Usage(String),
    /// The input can not be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The rollup can not be read.
    #[error(transparent)]
    Rollup(#[from] RollupError),
    /// A night can not be completed; the state is as it was.
    #[error(transparent)]
    Nightly(#[from] NightlyError),
    /// Something else failed; the text says where and what to do.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// A failed operation on `path`, worded as errors about input are.
    pub(crate) fn at(path: &Path, cause: impl Display, remedy: &str) -> Self {
        Self::Input(InputError::new(path, cause).remedy(remedy))
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Input(_) | Self::Rollup(_) | Self::Nightly(_) | Self::Failed(_) => 1,
        }
    }
}

/// How a command that completed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Completion {
    /// Some file, row or value was rejected.
    pub(crate) rejected: bool,
    /// A finding reached `--fail-on`.
    pub(crate) alarmed: bool,
}

impl Completion {
    fn code(self) -> u8 {
        // An alarm wins: a scheduler that pages on 10 must not miss it because one file was broken too.
        match self {
            Self { alarmed: true, .. } => 10,
            Self { rejected: true, .. } => 3,
            Self { .. } => 0,
        }
    }
}

/// The exit code of a command's result.
pub(crate) fn exit_code(result: &Result<Completion, Failure>) -> ExitCode {
    ExitCode::from(match result {
        Ok(completion) => completion.code(),
        Err(failure) => failure.code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_wins_over_rejected_input() {
        let codes = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(rejected, alarmed)| Completion { rejected, alarmed }.code());
        assert_eq!(codes, [0, 3, 10, 10]);
    }

    #[test]
    fn usage_and_failure_differ() {
        assert_eq!(Failure::Usage(String::new()).code(), 2);
        assert_eq!(Failure::at(Path::new("x"), "broken", "mend it").code(), 1);
        assert_eq!(Failure::at(Path::new("x"), "broken", "mend it").to_string(), "x: broken (mend it)");
    }
}
