//! Parquet row groups to columns of dense ids.
mod coverage;

pub use coverage::{Coverage, RejectedFile, RowReason, Tally, ValueReason};
