//! Stage 1, whole: Parquet on disk to a rollup in memory, in records a second.
//!
//! Two layouts of the same log: `friendly` (every id in dictionaries, LZ4) and `hard` (plain strings, zstd).
//! `ROWS=8000000 cargo bench -p slowleak-benches --bench rollup` for another size than two million.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use slowleak_benches::Mixer;
use slowleak_record::{InputFile, Mapping};
use slowleak_rollup::{View, build, fields};
use slowleak_scan::{Plan, ScanOptions};

const KEYS: u64 = 4_000;
const USERS: u64 = 60_000;
const DAYS: u64 = 30;

fn write(path: &Path, rows: u64, hard: bool) -> Result<(), Box<dyn std::error::Error>> {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(!hard)
        .set_compression(if hard { Compression::ZSTD(ZstdLevel::default()) } else { Compression::LZ4_RAW })
        .set_dictionary_page_size_limit(64 << 20)
        .set_column_dictionary_enabled("time".into(), false)
        .set_column_encoding("time".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    let mut mixer = Mixer(7);
    let mut writer = None;
    let mut row = 0;
    while row < rows {
        let count = (rows - row).min(100_000);
        let step = DAYS * 86_400_000_000 / rows;
        let time =
            (row..row + count).map(|i| (1_750_000_000_000_000 + i * step + mixer.next() % 2_000_000) as i64);
        let time: ArrayRef = Arc::new(
            TimestampMicrosecondArray::from_iter_values(time.collect::<Vec<_>>()).with_timezone("UTC"),
        );
        let mut names = |prefix: &str, names: u64| -> ArrayRef {
            let values = (0..count).map(|_| format!("{prefix}-{:018x}", mixer.skewed(names) * 0x9e37_79b9));
            Arc::new(StringArray::from_iter_values(values))
        };
        let mut columns = vec![
            ("time", time),
            ("key", names("key", KEYS)),
            ("user", names("user", USERS)),
            ("source", names("ip", 500)),
            ("object", names("table", 20)),
            ("status", {
                let words = ["ok", "ok", "ok", "ok", "ok", "ok", "missing", "denied"];
                let words = (0..count).map(|i| words[(i % 8) as usize]);
                Arc::new(StringArray::from_iter_values(words)) as ArrayRef
            }),
        ];
        for (name, limit) in [("subject", 3_000_000), ("rows", 100), ("bytes", 100_000)] {
            let values = (0..count).map(|_| (mixer.next() % limit) as i64);
            columns.push((name, Arc::new(Int64Array::from_iter_values(values))));
        }
        let batch = RecordBatch::try_from_iter(columns)?;
        if writer.is_none() {
            writer =
                Some(ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties.clone()))?);
        }
        if let Some(writer) = &mut writer {
            writer.write(&batch)?;
        }
        row += count;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}

fn bench(criterion: &mut Criterion) {
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(2_000_000);
    let Ok(dir) = tempfile::tempdir() else { return };
    let views: [(&str, Vec<View>); 3] = [
        ("key_hour", ["key@1h:rows,bytes"].iter().filter_map(|view| view.parse().ok()).collect()),
        (
            "key_user_hour_subjects_day",
            ["key@1h:rows,bytes", "user@1h:rows,bytes", "key@1d:subjects"]
                .iter()
                .filter_map(|view| view.parse().ok())
                .collect(),
        ),
        ("defaults", View::defaults()),
    ];
    let mut group = criterion.benchmark_group("rollup");
    group.throughput(Throughput::Elements(rows)).sample_size(10);
    for layout in ["friendly", "hard"] {
        let path = dir.path().join(format!("{layout}.parquet"));
        if write(&path, rows, layout == "hard").is_err() {
            return;
        }
        let file = InputFile { path, partitions: Vec::new() };
        for (name, views) in &views {
            group.bench_function(BenchmarkId::new(*name, layout), |bencher| {
                bencher.iter(|| {
                    let options = ScanOptions::default();
                    let plan =
                        Plan::new(std::slice::from_ref(&file), &Mapping::native(), fields(views), &options);
                    black_box(build(&plan, views, &|_| ()))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
