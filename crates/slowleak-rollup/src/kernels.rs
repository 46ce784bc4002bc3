//! The inner loops of counting and encoding, each beside a simple twin with the same result, for tests and benchmarks:
//! nothing outside of this crate should need them.

mod slots;
mod sums;
mod tokens;

pub use crate::compound::PairIds;
pub use crate::write::pack::{BATCH as PACKED, pack, pack_simply};
pub use slots::Slots;
pub use sums::{add_rows, add_rows_simply};
pub use tokens::{distinct_tokens, distinct_tokens_simply};
