//! From rollups to findings: which entity did more than its own habit and its peers explain, from when to
//! when, and how sure that is.
//!
//! The path of a series: [`detect`] reads every view by day, learns what peers share (weekdays, common
//! days), takes an entity's level from its lowest plateau, masks what stands out and fits again, searches
//! all intervals of all lengths, caps each score by what the interval supports as a whole, and calibrates
//! scores on the peers' own. What passes is checked for honest causes, folded into one finding a leak,
//! named and ranked. Rules about a key's life come first.
//!
//! This crate knows rollups and registries; it knows neither files nor raw records.

mod birth;
mod burst;
mod candidate;
mod cause;
mod config;
mod days;
mod detect;
mod enumeration;
mod finding;
mod gap;
mod leak;
mod novelty;
mod pattern;
mod profile;
mod quality;
mod rate;
mod reconnaissance;
mod rules;
mod sensitivity;
mod severity;
mod suppress;

pub use config::DetectConfig;
pub use days::grid::last_day;
pub use detect::{Known, detect};
pub use finding::{Detection, Detector, Evidence, Family, Finding, Point, Scope, Severity, Share};
pub use pattern::Pattern;
pub use quality::{EVENT_IOU, FalseFinding, LeakOutcome, Match, Quality, SeverityCount, quality};
pub use rules::issues::Issues;
pub use sensitivity::Sensitivity;
pub use suppress::{Patterns, Suppressing, Suppression};

/// Kernels of detection by themselves, for benches: scores of windows, and the search of intervals.
pub mod kernels {
    pub use crate::rate::score::ratio_rows;
    pub use crate::rate::search::{Band, Interval, LANES, Row, best_intervals, best_singles};
}
