//! The access record and everything about input that comes before any counting: which fields a record
//! has, how a file's columns map onto them, what a time is, which files a path means, who owns a key,
//! and how an error about input is worded.
//!
//! This crate sits at the bottom: it knows neither windows' cells nor findings.

mod discover;
mod durable;
mod error;
mod field;
mod guard;
mod issued;
mod mapping;
mod registry;
mod registry_match;
mod status;
mod text_table;
mod time;
mod truth;

pub use discover::{InputFile, discover};
pub use durable::sync_folder;
pub use error::{InputError, InputResult};
pub use field::{Field, FieldSet};
pub use guard::{guarded, is_guarded};
pub use issued::{Issue, IssuedList};
pub use mapping::Mapping;
pub use registry::{KeyEntry, PersonEntry, Registry};
pub use registry_match::{Matched, RegistryMatch};
pub use status::Status;
pub use time::{Micros, TimeError, TimeRange, Window, WindowError};
pub use truth::{Leak, Truth, TruthError};
