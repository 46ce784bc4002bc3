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

mod attribution;
mod baseline;
mod calibrate;
mod candidate;
mod carriers;
mod config;
mod daily;
mod detect;
mod edges;
mod episode;
mod family;
mod finding;
mod fold;
mod grid;
mod identity;
mod issues;
mod noise;
mod pattern;
mod peers;
mod presence;
mod quality;
mod rules;
mod score;
mod search;
mod sensitivity;
mod series;
mod severity;
mod slices;
mod suppress;
mod wording;

pub use config::DetectConfig;
pub use detect::{Known, detect};
pub use finding::{Detection, Detector, Evidence, Family, Finding, Point, Scope, Severity, Share};
pub use issues::Issues;
pub use pattern::Pattern;
pub use quality::{EVENT_IOU, FalseFinding, LeakOutcome, Match, Quality, SeverityCount, quality};
pub use sensitivity::Sensitivity;
pub use suppress::{Patterns, Suppressing, Suppression};
