//! Mergeable window cells, distinct-count sketches and the rollup store.
mod sketch;
mod table;
mod view;

pub use sketch::Sketch;
pub use table::{Rollup, Table};
pub use view::{Dimension, Metric, View, ViewError};
