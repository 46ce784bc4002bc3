//! What can go wrong with a night; the state is then as it was before.

use slowleak_record::InputError;
use slowleak_rollup::RollupError;
use thiserror::Error;

/// A night that could not be completed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NightlyError {
    /// A file or folder that can not be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The rollup can not be made, written or read.
    #[error(transparent)]
    Rollup(#[from] RollupError),
}
