//! Findings and coverage for people and machines: Parquet, OCSF JSON Lines, JSON, CSV, Prometheus text, a
//! self-contained HTML page and the terminal.
//!
//! What comes in is a [`Run`]; what goes out is the folder of [`write_outputs`], the text of [`summary`]
//! and, from that folder alone, [`explain`]. Nothing here reads records or judges a finding.

mod advice;
mod chart;
mod coverage;
mod error;
mod escape;
mod explain;
mod html;
mod layout;
mod metrics;
mod ocsf;
mod own;
mod read;
mod replay;
mod rules;
mod run;
mod series;
mod spreadsheet;
mod stored_coverage;
mod summary;
mod suppressed;
mod tables;
mod templates;
mod words;
mod write;

pub use coverage::{rejected_rows, rejected_values};
pub use error::ReportError;
pub use escape::{json_text, visible};
pub use explain::explain;
pub use ocsf::{event as detection_finding, metadata as ocsf_metadata, severity as ocsf_severity};
pub use own::is_ours;
pub use read::read_findings;
pub use replay::{Replayed, ReplayedPhase, replay_summary, write_replay};
pub use run::Run;
pub use stored_coverage::{read_coverage, write_coverage};
pub use summary::summary;
pub use write::write_outputs;
