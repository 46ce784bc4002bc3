//! The log by day, as every detector reads it: the grid of days, each view's days on it, and the finer views of an
//! entity.

pub(crate) mod daily;
pub(crate) mod grid;
pub(crate) mod presence;
pub(crate) mod slices;

use slowleak_record::{Field, Registry};
use slowleak_rollup::Dimension;

use crate::config::DetectConfig;
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::slices::Slices;

/// What detectors are given.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a> {
    pub(crate) grid: &'a Grid,
    /// For each dimension its days, from the finest of its views; weeks are spread over days.
    pub(crate) dailies: &'a [Daily<'a>],
    /// The same of views with distinct subjects.
    pub(crate) sketched: &'a [Daily<'a>],
    pub(crate) slices: &'a Slices<'a>,
    pub(crate) registry: &'a Registry,
    pub(crate) config: &'a DetectConfig,
}

/// The fields of an entity with their values.
pub(crate) fn parts(dimension: &Dimension, entity: &str) -> Vec<(Field, String)> {
    dimension.parts().iter().copied().zip(dimension.split(entity)).collect()
}
