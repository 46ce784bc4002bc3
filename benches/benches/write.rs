//! The rollup store: three tables on disk, by our writer and by parquet's `ArrowWriter`, with the same columns.
//!
//! The tables are those of 180 days of 50 million records of 4,000 keys and 60,000 users (Zipf): key and user an hour with
//! events, rows and bytes, key a day with distinct subjects. A tenth of the days, unless `DAYS=180` asks for all.
//! One thread shows the work, two what spreading it brings; sizes are printed last.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use slowleak_benches::Mixer;
use slowleak_record::Micros;
use slowleak_rollup::{Metric, Rollup, Sketch, Table, View};

/// 50 million records in 180 days.
const RECORDS_AN_HOUR: u64 = 11_574;

/// Writes of which the mean CPU time is told.
const WRITES: u32 = 10;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The weights of the first `names` names, added up.
fn zipf(names: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let weights = (1..=names).map(|rank| {
        sum += 1.0 / rank as f64;
        sum
    });
    weights.collect()
}

fn table(view: &str, names: usize, name: impl Fn(usize) -> String, days: u64) -> Option<Table> {
    let view: View = view.parse().ok()?;
    let shares = zipf(names);
    let total = *shares.last()?;
    let mut mixer = Mixer(names as u64);
    let subjects = view.metrics().contains(&Metric::Subjects);
    let hours_a_window = view.window.micros() / Micros::HOUR;
    let records = (0..days * 24 * RECORDS_AN_HOUR).map(|record| {
        let drawn = mixer.unit() * total;
        let rank = shares.partition_point(|share| *share < drawn).min(names - 1);
        // Neighbours in the ranking are not neighbours in the alphabet.
        let entity = rank * 7919 % names;
        let window = (record / RECORDS_AN_HOUR) as i64 / hours_a_window;
        let numbers =
            if subjects { (mixer.next() as i64, 0) } else { (mixer.geometric(0.2), mixer.log_normal()) };
        (entity as u32, window as i32, numbers)
    });
    let mut records: Vec<(u32, i32, (i64, i64))> = records.collect();
    records.par_sort_by_key(|(entity, window, _)| (*entity, *window));

    let mut table = Table {
        view: view.clone(),
        entities: Vec::new(),
        offsets: vec![0],
        windows: Vec::new(),
        counts: Default::default(),
        sketches: Default::default(),
    };
    for of_entity in records.chunk_by(|a, b| a.0 == b.0) {
        for cell in of_entity.chunk_by(|a, b| a.1 == b.1) {
            let start = 1_735_689_600_000_000 + i64::from(cell.first()?.1) * view.window.micros();
            table.windows.push(Micros(start));
            let mut add = |metric: Metric, sum: i64| table.counts[metric as usize].push(sum);
            add(Metric::Events, cell.len() as i64);
            if subjects {
                let mut sketch = Sketch::default();
                cell.iter().for_each(|(_, _, (hash, _))| sketch.insert_hash(*hash as u64));
                table.sketches.subjects.push(sketch);
            } else {
                add(Metric::Rows, cell.iter().map(|(_, _, (rows, _))| rows).sum());
                add(Metric::Bytes, cell.iter().map(|(_, _, (_, bytes))| bytes).sum());
            }
        }
        table.entities.push(name(of_entity.first()?.0 as usize));
        table.offsets.push(table.windows.len());
    }
    Some(table)
}

/// The rival: a dictionary array of entities and delta-packed integers through `ArrowWriter`, under zstd; one
/// thread a table.
fn arrow_writer(dir: &Path, tables: &[Table]) -> Result<(), Failure> {
    tables.par_iter().try_for_each(|table| {
        let folder = dir.join(table.view.folder());
        fs::create_dir_all(&folder)?;
        let file = File::create(folder.join("part-0.parquet"))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(1 << 20))
            .set_dictionary_page_size_limit(64 << 20);
        for column in ["subjects", "subjects_sketch"] {
            properties = properties.set_column_dictionary_enabled(column.into(), false);
        }
        for column in ["window", "events", "rows", "bytes"] {
            properties = properties
                .set_column_dictionary_enabled(column.into(), false)
                .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
        }
        let options =
            ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties.build());
        let first = batch(table, 0..0)?;
        let mut writer = ArrowWriter::try_new_with_options(&file, first.schema(), options)?;
        for start in (0..table.len()).step_by(1 << 16) {
            writer.write(&batch(table, start..table.len().min(start + (1 << 16)))?)?;
        }
        writer.close()?;
        file.sync_all()?;
        Ok(())
    })
}

fn batch(table: &Table, cells: std::ops::Range<usize>) -> Result<RecordBatch, Failure> {
    let first = table.offsets.partition_point(|offset| *offset <= cells.start).saturating_sub(1);
    let (mut keys, mut names) = (Vec::with_capacity(cells.len()), Vec::new());
    for (entity, name) in table.entities.iter().enumerate().skip(first) {
        let of_entity = table.cells(entity);
        if of_entity.start >= cells.end {
            break;
        }
        let count = of_entity.end.min(cells.end) - of_entity.start.max(cells.start);
        keys.extend(std::iter::repeat_n(names.len() as i32, count));
        names.push(name.as_str());
    }
    let names = Arc::new(StringArray::from(names));
    let windows = table.windows[cells.clone()].iter().map(|window| window.0);
    let windows = TimestampMicrosecondArray::from_iter_values(windows).with_timezone("UTC");
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("entity", Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), names)?)),
        ("window", Arc::new(windows)),
    ];
    for metric in table.view.metrics() {
        if *metric == Metric::Subjects {
            let sketches = &table.sketches.subjects[cells.clone()];
            let estimates = sketches.iter().map(Sketch::estimate);
            columns.push(("subjects", Arc::new(Float64Array::from_iter_values(estimates))));
            let bytes = sketches.iter().map(Sketch::to_bytes);
            columns.push(("subjects_sketch", Arc::new(BinaryArray::from_iter_values(bytes))));
        } else {
            let values = table.count(*metric)[cells.clone()].to_vec();
            columns.push((metric.name(), Arc::new(Int64Array::from(values))));
        }
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Bytes of each file under `dir`.
fn sizes(dir: &Path) -> Result<Vec<(String, u64)>, Failure> {
    let mut sizes = Vec::new();
    for folder in fs::read_dir(dir)? {
        let folder = folder?;
        let size = fs::metadata(folder.path().join("part-0.parquet"))?.len();
        sizes.push((folder.file_name().to_string_lossy().into_owned(), size));
    }
    sizes.sort();
    Ok(sizes)
}

/// CPU time of this process so far, of all its threads, where the system tells (Linux).
fn cpu_seconds() -> Option<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit(')').next()?;
    let ticks = behind_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Some(ticks.sum::<Result<f64, _>>().ok()? / TICKS_A_SECOND)
}

fn bench(criterion: &mut Criterion) {
    let days = std::env::var("DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(18);
    let key = |n| format!("AKIA{n:012}KEY");
    let user = |n| format!("user-{n:08}@retailer.kr");
    let tables = [
        table("key@1h:rows,bytes", 4_000, key, days),
        table("user@1h:rows,bytes", 60_000, user, days),
        table("key@1d:subjects", 4_000, key, days),
    ];
    let rollup = Rollup { tables: tables.into_iter().flatten().collect() };
    let Ok(dir) = tempfile::tempdir() else { return };
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));

    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(rollup.tables.iter().map(|table| table.len() as u64).sum()));
    group.sample_size(10);
    for threads in [1, 2] {
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
        group.bench_function(BenchmarkId::new("slowleak", threads), |bencher| {
            bencher.iter(|| pool.install(|| rollup.write(&ours)));
        });
        group.bench_function(BenchmarkId::new("arrow_writer", threads), |bencher| {
            bencher.iter(|| pool.install(|| arrow_writer(&theirs, &rollup.tables)));
        });
    }
    group.finish();
    // What both cost without the disk, which the times above wait for.
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(2).build() else { return };
    let writers: [(&str, &dyn Fn()); 2] = [
        ("slowleak", &|| pool.install(|| _ = rollup.write(&ours))),
        ("arrow_writer", &|| pool.install(|| _ = arrow_writer(&theirs, &rollup.tables))),
    ];
    for (writer, write) in writers {
        let before = cpu_seconds();
        (0..WRITES).for_each(|_| write());
        if let (Some(before), Some(after)) = (before, cpu_seconds()) {
            println!("{writer}: {:.3} CPU seconds a write", (after - before) / f64::from(WRITES));
        }
    }
    for (writer, dir) in [("slowleak", &ours), ("arrow_writer", &theirs)] {
        for (view, bytes) in sizes(dir).unwrap_or_default() {
            println!("{writer}: {view} {bytes} bytes");
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
