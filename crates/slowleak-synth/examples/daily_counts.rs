//! Generates a scenario and prints its daily counts by key and region, to be looked at.
//!
//! `cargo run --release -p slowleak-synth --example daily_counts -- SCENARIO.toml OUT [ROWS]`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use slowleak_record::{Micros, discover};
use slowleak_synth::{GenerateOptions, Scenario};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().ok_or("name a scenario file")?;
    let out = PathBuf::from(arguments.next().ok_or("name a folder for the log")?);
    let rows = arguments.next().map(|rows| rows.parse()).transpose()?;
    let scenario = Scenario::read(Path::new(&scenario))?;
    let begun = std::time::Instant::now();
    let options = GenerateOptions { rows, seed: None };
    let generated = scenario.generate(&out, &options, &|_| {})?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} records, {} files, {:.1} bytes a record, {:.2} M records/s",
        generated.rows,
        generated.files,
        generated.bytes as f64 / generated.rows as f64,
        generated.rows as f64 / seconds / 1e6
    );
    println!("{}", serde_json::to_string_pretty(&generated.truth)?);
    let mut days: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    for file in discover(&[out.join("logs")])? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path)?)?.build()?;
        for batch in reader {
            count(&batch?, &mut days)?;
        }
    }
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (series, count) in days.values().flatten() {
        *totals.entry(series).or_default() += count;
    }
    let mut series: Vec<(&str, u64)> = totals.into_iter().collect();
    series.sort_by_key(|&(name, total)| (std::cmp::Reverse(total), name));
    series.truncate(36);
    for (name, total) in series {
        print!("{name:>26} {total:>9}:");
        for counts in days.values() {
            print!(" {}", counts.get(name).copied().unwrap_or(0));
        }
        println!();
    }
    Ok(())
}

/// Adds a batch to the daily counts of every key, region and object.
fn count(batch: &RecordBatch, days: &mut BTreeMap<i64, BTreeMap<String, u64>>) -> Result<(), Box<dyn Error>> {
    let column = |name: &str| batch.column_by_name(name).ok_or(format!("no column {name}"));
    let times = cast(column("time")?, &DataType::Int64)?;
    let times = times.as_primitive::<Int64Type>();
    for name in ["key", "region", "object", "status"] {
        let texts = cast(column(name)?, &DataType::Utf8)?;
        for (time, text) in times.values().iter().zip(texts.as_string::<i32>()) {
            let day = days.entry(time.div_euclid(Micros::DAY)).or_default();
            let series = format!("{name}={}", text.unwrap_or("null"));
            *day.entry(series).or_default() += 1;
        }
    }
    Ok(())
}
