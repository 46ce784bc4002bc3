//! A log counted night by night: what a scan over everything would give, for the price of what is new.
//!
//! A [`Folder`] keeps the state. [`count_night`] compares the files that are there with its ledger, counts what is new, late or
//! changed into segments of the rollup, and gives a [`Night`]: the next state and the rollup of the whole log, of which
//! detection makes the findings that one scan would make. [`follow`] tells which of them are news. [`Folder::commit`] makes
//! the night the last one.
//!
//! [`History`] is the log of all nights at once: it gives the rollup of any night, and a [`Course`] what nights tell.
//!
//! # The folder
//! `state.json`, version [`FORMAT`]; `segments/FIRSTDAY_LASTDAY.NUMBER/DIMENSION@WINDOW/part-0.parquet`, rollups as
//! [`slowleak_rollup`] stores them, each day in one of them, windows longer than a day by the day; `out/`, the results.
//! Invariant: everything in it follows from the log files and the settings, but for the ids under which leaks were announced
//! and the messages that have not arrived.

mod announce;
mod error;
mod folder;
mod leaks;
mod ledger;
mod metrics;
mod night;
mod replay;
mod results;
mod stamp;
mod state;
mod webhook;

pub use announce::{Telling, json_lines, messages};
pub use error::NightlyError;
pub use folder::Folder;
pub use leaks::{Change, Leak, QUIET_DAYS, Status, follow};
pub use ledger::Entry;
pub use metrics::{Measured, last_success, prometheus, with_outbox};
pub use night::{Counting, Extent, News, Night, count_night, stored_views};
pub use replay::{Course, History, Past, Told};
pub use results::{CHANGES, LEAKS, checksums, holds, leak_lines, leak_of};
pub use stamp::Stamp;
pub use state::{Counted, FORMAT, Message, Segment, State};
pub use webhook::{Undelivered, Webhook};
