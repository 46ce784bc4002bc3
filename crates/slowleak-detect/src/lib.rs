//! From rollups to findings.
mod finding;
mod quality;

pub use finding::{Detection, Detector, Evidence, Family, Finding, Point, Scope, Severity, Share};
pub use quality::{EVENT_IOU, FalseFinding, LeakOutcome, Match, Quality, SeverityCount, quality};
