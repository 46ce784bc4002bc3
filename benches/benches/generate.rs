//! The generator against a plain Arrow write of the same records: how much of the time is Parquet's, and how
//! much the drawing adds. One thread, so that the figures are per core.
//!
//! `cargo bench -p slowleak-benches --bench generate`

#![expect(clippy::unwrap_used, reason = "a bench that can not set itself up must stop")]

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use slowleak_record::discover;
use slowleak_synth::{GenerateOptions, Scenario};

const ROWS: u64 = 2_000_000;

fn options() -> GenerateOptions {
    GenerateOptions { rows: Some(ROWS), seed: None }
}

fn records(out: &Path) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for file in discover(&[out.join("logs")]).unwrap() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        batches.extend(reader.with_batch_size(65_536).build().unwrap().map(Result::unwrap));
    }
    batches
}

fn generate(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets");
    let scenario = Scenario::read(&folder.join("five-month.toml")).unwrap();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let sample = tempfile::tempdir().unwrap();
    scenario.generate(sample.path(), &options(), &|_| {}).unwrap();
    let batches = records(sample.path());

    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    group.bench_function("five-month, one thread", |bench| {
        bench.iter_batched_ref(
            || tempfile::tempdir().unwrap(),
            |out| one.install(|| scenario.generate(out.path(), &options(), &|_| {})).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("plain arrow write of the same records", |bench| {
        bench.iter_batched_ref(
            || tempfile::tempdir().unwrap(),
            |out| {
                let properties = WriterProperties::builder().set_compression(Compression::LZ4_RAW).build();
                let file = File::create(out.path().join("plain.parquet")).unwrap();
                let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
                for batch in &batches {
                    writer.write(batch).unwrap();
                }
                writer.close().unwrap()
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
