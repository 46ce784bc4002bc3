//! Reading columns, in values a second: bit unpacking by each kernel, and whole columns by our page decoder and by
//! the arrow reader, under the encodings that logs have.
//!
//! `cargo bench -p slowleak-benches --bench decode`

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use slowleak_record::{Field, FieldSet, Mapping, discover};
use slowleak_scan::kernels::unpack_kernels;
use slowleak_scan::{Decoder, NamesByField, Plan, Request, ScanOptions, UnitReader};

const VALUES: usize = 1 << 20;

fn unpack(c: &mut Criterion) {
    let bytes: Vec<u8> = (0..VALUES * 4).map(|i| ((i * 31) >> 3) as u8).collect();
    let mut out = vec![0; 8192];
    for width in [1, 4, 12, 17, 24] {
        let mut group = c.benchmark_group(format!("unpack/{width}-bit"));
        group.throughput(Throughput::Elements(out.len() as u64));
        for (name, kernel) in unpack_kernels() {
            group.bench_function(name, |b| b.iter(|| kernel(black_box(&bytes), width, black_box(&mut out))));
        }
    }
}

/// A log whose columns are encoded in the ways that are told apart below.
fn write(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mixed = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let text = |template: &str, distinct: u64| -> ArrayRef {
        let names = (0..VALUES).map(|i| format!("{template}{:08}", mixed(i) % distinct));
        Arc::new(StringArray::from_iter_values(names))
    };
    let number = |distinct: u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..VALUES).map(|i| (mixed(i) % distinct) as i64)))
    };
    let time = (0..VALUES).map(|i| 1_750_000_000_000_000 + i as i64 * 300_000 + mixed(i) as i64 % 2_000_000);
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(time)) as ArrayRef),
        ("key", text("AKIA-key-", 4_000)),
        ("user", text("user-of-a-retailer-", 60_000)),
        ("source", text("10.0.", 60_000)),
        ("subject", number(1 << 26)),
        ("rows", number(200)),
        ("bytes", number(1 << 20)),
    ])?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_page_size_limit(16 << 20)
        .set_max_row_group_row_count(Some(VALUES));
    for (column, encoding) in [
        ("time", Encoding::DELTA_BINARY_PACKED),
        ("user", Encoding::PLAIN),
        ("source", Encoding::DELTA_BYTE_ARRAY),
        ("subject", Encoding::PLAIN),
        ("bytes", Encoding::DELTA_BINARY_PACKED),
    ] {
        properties = properties
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), encoding);
    }
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties.build()))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

fn columns(c: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("log.parquet");
    if let Err(error) = write(&path) {
        eprintln!("decode: {error}");
        return;
    }
    let Ok(files) = discover(&[&path]) else { return };
    let all: FieldSet = Field::ALL.into_iter().collect();
    let ids = |field: Field| Request { ids: [field].into_iter().collect(), ..Request::default() };
    let cases = [
        ("key and time, dictionary of 4,000", ids(Field::Key)),
        ("user and time, plain strings of 60,000", ids(Field::User)),
        ("source and time, prefixes of 60,000", ids(Field::Source)),
        ("subject hash and time, plain integers", Request { subjects: true, ..Request::default() }),
        ("rows and time, dictionary of integers", Request { rows: true, ..Request::default() }),
        ("bytes and time, deltas", Request { bytes: true, ..Request::default() }),
    ];
    for (name, request) in cases {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(VALUES as u64)).sample_size(10);
        for (decoder, label) in [(Decoder::Pages, "pages"), (Decoder::Arrow, "arrow")] {
            let options = ScanOptions { decoder, ..ScanOptions::default() };
            let plan = Plan::new(&files, &Mapping::native(), all, &options);
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| {
                    let mut names = NamesByField::default();
                    for unit in plan.units() {
                        let Ok(mut reader) = UnitReader::open(&plan, unit, request) else { return };
                        while let Ok(Some(chunk)) = reader.next_chunk(&mut names) {
                            black_box(&chunk);
                        }
                    }
                });
            });
        }
    }
}

criterion_group!(benches, unpack, columns);
criterion_main!(benches);
