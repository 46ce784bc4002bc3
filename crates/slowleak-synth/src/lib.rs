//! Labelled synthetic access logs and their ground truth.

mod batch;
mod calendar;
mod chance;
mod check;
mod draw;
mod error;
mod generate;
mod leak;
mod leak_spec;
mod life;
mod objects;
mod plan;
mod registry;
mod scenario;
mod sources;
mod subjects;
mod world;

pub use error::SynthError;
pub use generate::{GenerateOptions, Generated};
pub use scenario::Scenario;
