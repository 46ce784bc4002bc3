//! Mergeable window cells, distinct-count sketches and the rollup store.
mod assemble;
mod build;
mod cells;
mod coarsen;
mod entity;
mod error;
mod likelihood;
mod merge;
mod read;
mod sketch;
mod table;
mod view;
mod write;

pub use build::{build, fields};
pub use error::RollupError;
pub use sketch::{Sketch, SketchError};
pub use table::{Rollup, Table};
pub use view::{Dimension, Metric, View, ViewError};
