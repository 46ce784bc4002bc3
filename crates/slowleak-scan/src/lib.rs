//! Parquet row groups to columns of dense ids.
//!
//! A [`Plan`] opens footers, rejects what can not be read, prunes by time and lists [`Unit`]s of work; a
//! [`UnitReader`] turns one unit into [`Chunk`]s: instants, dense ids with their [`Names`], counts, statuses
//! and subject hashes. [`Coverage`] accounts for all of it. The crate knows no windows, cells or statistics.

mod chunk;
pub mod columns;
mod count_column;
mod coverage;
mod hash;
mod layout;
mod names;
mod plan;
mod source;
mod text_column;
mod time_column;

pub use chunk::{Chunk, Request, UnitReader, UnitTally};
pub use count_column::Counts;
pub use coverage::{Coverage, RejectedFile, RowReason, Tally, ValueReason};
pub use hash::{SUBJECT_HASH_VERSION, subject_hash};
pub use names::{Names, TooManyNames};
pub use plan::{Plan, ScanOptions, Unit};
pub use source::Io;
