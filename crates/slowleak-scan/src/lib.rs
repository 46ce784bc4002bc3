//! Parquet row groups to columns of dense ids.
//!
//! A [`Plan`] opens footers, rejects what can not be read, prunes by time and lists [`Unit`]s of work; a
//! [`UnitReader`] turns one unit into [`Chunk`]s: instants, dense ids with their [`Names`], counts, statuses
//! and hashes of subjects and their blocks. [`Coverage`] accounts for all of it. The crate knows no windows, cells or statistics.

mod ahead;
mod block_hash;
mod chunk;
mod column;
pub mod columns;
mod count_column;
mod coverage;
mod digits;
mod duplicates;
mod hash;
mod heap;
pub mod kernels;
mod layout;
mod map;
mod meaning;
mod names;
mod number_hash;
mod page;
mod plan;
mod prefetch;
mod source;
mod subject_column;
mod text_column;
mod time_column;
mod unit;

pub use block_hash::{BLOCK_HASH_VERSION, BLOCK_NUMBERS, block_hash};
pub use chunk::{Chunk, NamesByField, Request, Subjects, UnitTally};
pub use count_column::Counts;
pub use coverage::{Coverage, FileAccount, RejectedFile, RowReason, Tally, ValueReason};
pub use duplicates::Duplicates;
pub use hash::{SUBJECT_HASH_VERSION, subject_hash};
pub use heap::give_back;
pub use names::{Names, TooManyNames};
pub use plan::{Decoder, Plan, ScanOptions, Unit};
pub use source::Io;
pub use unit::{Spent, UnitReader};
