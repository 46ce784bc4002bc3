//! Mergeable window cells, distinct-count sketches and the rollup store.
//!
//! [`build`] counts the records of a scan plan into the cells of some [`View`]s; the cells of a view are a
//! [`Table`], the tables of a run a [`Rollup`]. Rollups of parts of a log merge into that of the whole
//! ([`Rollup::merge`]), exactly and in any order. [`Rollup::write`] and [`Rollup::read`] keep them on disk.
//! The crate knows neither page layouts nor statistics.
//!
//! # Merging
//! Counts add up and saturate at the largest 64-bit integer; sketches unite. Distinct `sources` are exact within
//! one [`build`]. A finished cell holds their number, not their names: [`Rollup::merge`] keeps the metric
//! only where no cell occurs twice, and [`Table::coarsen`] drops it.
//!
//! # The store
//! `DIMENSION@WINDOW/part-0.parquet`, one folder a view, rows sorted by `entity` (bytes) and `window`:
//!
//! | column | type |
//! | --- | --- |
//! | `entity` | string; parts of a compound joined by ` + `, see [`Dimension::join`] |
//! | `window` | timestamp(us, UTC): the window's start, aligned to 1970-01-01T00:00:00Z |
//! | `events`, `rows`, `bytes`, `denied`, `missing`, `error`, `sources` | int64, those that the view has |
//! | `subjects`, `subjects_sketch` | float64 and binary, where the view counts distinct subjects |
//! | `blocks`, `blocks_sketch` | the same of their blocks: numbers next to each other share one |
//!
//! A sketch is a version byte (1), a kind byte, and then either (kind 0) up to 256 tokens, ascending,
//! little-endian, 4 bytes each, or (kind 1) 1,024 UltraLogLog registers (precision 10). Both come from a
//! 64-bit hash of the subject, which is fixed: XXH3-64, seed 0, over the text of the subject, for an integer
//! its decimal digits ([`slowleak_scan::subject_hash`], version 1, which the files' metadata repeat as
//! `slowleak.subject_hash`). A token is the hash's first 26 bits, then 6 bits with the number of leading zeros
//! of the rest. A register is four times the largest update value (leading zeros of the hash behind its first
//! 10 bits, plus 1), plus 2 and 1 where the values one and two below it were seen as well. `subjects` is the
//! number of tokens, or the maximum-likelihood estimate with a relative standard error of 2.4%.
//!
//! The sketch of blocks is the same of other hashes: [`slowleak_scan::block_hash`], version 1, `slowleak.block_hash` in the
//! metadata. Estimates can not be added up, so a file with `subjects` and without `subjects_sketch` is refused, as is one with
//! `blocks` and without `blocks_sketch`.
//!
//! # Example
//! ```
//! use slowleak_record::{Mapping, discover};
//! use slowleak_rollup::{Rollup, View, build, fields};
//! use slowleak_scan::{Plan, ScanOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::sync::Arc;
//! # use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
//! # let dir = tempfile::tempdir()?;
//! # let logs = dir.path().join("logs");
//! # std::fs::create_dir(&logs)?;
//! # let time = Arc::new(Int64Array::from(vec![1_750_766_400, 1_750_766_460])) as ArrayRef;
//! # let key = Arc::new(StringArray::from(vec!["kid-7", "kid-7"])) as ArrayRef;
//! # let batch = RecordBatch::try_from_iter([("time", time), ("key", key)])?;
//! # let file = std::fs::File::create(logs.join("a.parquet"))?;
//! # let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None)?;
//! # writer.write(&batch)?;
//! # writer.close()?;
//! let views: Vec<View> = vec!["key@1h:events".parse()?];
//! let plan = Plan::new(&discover(&[&logs])?, &Mapping::native(), fields(&views), &ScanOptions::default());
//! let (rollup, coverage) = build(&plan, &views, &|_rows| ())?;
//! assert_eq!(coverage.rows.read, 2);
//! assert_eq!(rollup.tables[0].entities, ["kid-7"]);
//!
//! let out = dir.path().join("rollup");
//! rollup.write(&out)?;
//! assert_eq!(Rollup::read(&out)?, rollup);
//! # Ok(())
//! # }
//! ```

mod assemble;
mod block;
mod build;
mod cells;
mod closed;
mod coarsen;
mod compound;
mod counter;
mod counts;
mod day_table;
mod days;
mod derive;
mod entities;
mod entity;
mod error;
mod gather;
mod groups;
pub mod kernels;
mod likelihood;
mod lookup;
mod memory;
mod merge;
mod open;
mod profile;
mod read;
mod segments;
mod sketch;
mod sketches;
mod spill;
mod subject_log;
mod table;
mod varint;
mod view;
mod worker;
mod write;

pub use build::{build, count, count_files, fields, possible};
pub use counts::Counts;
pub use day_table::DayTable;
pub use days::Days;
pub use error::RollupError;
pub use gather::{Gather, Named, Shortlist};
pub use lookup::Lookup;
pub use memory::Memory;
pub use profile::{Profile, Step};
pub use read::Stored;
pub use segments::Segments;
pub use sketch::{Sketch, SketchError};
pub use sketches::Sketches;
pub use table::{Rollup, Table};
pub use view::{Dimension, Metric, View, ViewError};
pub use write::Written;
