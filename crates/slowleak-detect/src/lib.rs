//! From rollups to findings.
mod finding;

pub use finding::{Detection, Detector, Evidence, Family, Finding, Point, Scope, Severity, Share};
