//! The kernels of counting, in records or tokens a second, each beside its simple twin; and whole sketches.
//!
//! Entities are those of an hour of a log of 50 million records in 180 days: 11,574 records of 4,000 keys or of 60,000
//! users (Zipf), where every fifth or every second record opens a cell. Subjects are distinct.
//!
//! `cargo bench -p slowleak-benches --bench count`

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slowleak_benches::{Mixer, entities};
use slowleak_rollup::Sketch;
use slowleak_rollup::kernels::{Slots, add_rows, add_rows_simply, distinct_tokens, distinct_tokens_simply};

/// Records of an hour.
const RECORDS: usize = 11_574;

/// Records of a batch of the scan.
const BATCH: usize = 8192;

fn slots(c: &mut Criterion) {
    type Find = fn(&mut Slots, usize, &[u32], &mut Vec<u32>, &mut Vec<u32>);
    for names in [4_000, 60_000] {
        let hours: Vec<Vec<u32>> =
            entities(names, 20 * RECORDS).chunks(RECORDS).map(<[u32]>::to_vec).collect();
        let mut group = c.benchmark_group(format!("slots/{names} entities"));
        group.throughput(Throughput::Elements((20 * RECORDS) as u64));
        for (name, find) in [("fast", Slots::find as Find), ("simple", Slots::find_simply)] {
            let mut slots = Slots::default();
            let (mut members, mut cells) = (Vec::new(), Vec::new());
            group.bench_function(name, |b| {
                b.iter(|| {
                    for hour in &hours {
                        for run in black_box(hour).chunks(BATCH) {
                            find(&mut slots, names, run, &mut members, &mut cells);
                            black_box(&cells);
                        }
                        slots.forget(&members);
                        members.clear();
                    }
                });
            });
        }
    }
}

fn sums(c: &mut Criterion) {
    type Add = fn(&mut [i64], usize, &[u32], &[&[i64]]);
    let mut mixer = Mixer(1);
    let rows: Vec<i64> = (0..BATCH).map(|_| mixer.geometric(0.2)).collect();
    let bytes: Vec<i64> = (0..BATCH).map(|_| mixer.log_normal()).collect();
    let cells = entities(4_000, BATCH);
    let all = [rows.as_slice(), &bytes];
    for (metrics, values) in
        [("events", &all[..0]), ("events, rows", &all[..1]), ("events, rows, bytes", &all)]
    {
        let width = 1 + values.len();
        let mut group = c.benchmark_group(format!("sums/{metrics}"));
        group.throughput(Throughput::Elements(BATCH as u64));
        for (name, add) in [("fast", add_rows as Add), ("simple", add_rows_simply)] {
            let mut sums = vec![0; 4_000 * width];
            group.bench_function(name, |b| {
                b.iter(|| add(black_box(&mut sums), width, black_box(&cells), black_box(values)));
            });
        }
    }
}

fn tokens(c: &mut Criterion) {
    let mut mixer = Mixer(2);
    for count in [5, 20, 70, 256, 512] {
        // So many tokens that the branch predictor can not learn them by heart.
        let count_sets = (1 << 18) / count;
        let sets: Vec<Vec<u32>> =
            (0..count_sets).map(|_| (0..count).map(|_| mixer.next() as u32).collect()).collect();
        let mut group = c.benchmark_group(format!("tokens/{count}"));
        group.throughput(Throughput::Elements(count_sets * count));
        let mut scratch = Vec::new();
        group.bench_function("fast", |b| {
            b.iter_batched_ref(
                || sets.clone(),
                |sets| sets.iter_mut().for_each(|tokens| distinct_tokens(tokens, &mut scratch)),
                BatchSize::LargeInput,
            );
        });
        group.bench_function("simple", |b| {
            b.iter_batched_ref(
                || sets.clone(),
                |sets| sets.iter_mut().for_each(distinct_tokens_simply),
                BatchSize::LargeInput,
            );
        });
    }
}

fn sketches(c: &mut Criterion) {
    let mut mixer = Mixer(3);
    for count in [5, 70, 256, 2_000, 30_000] {
        let hashes: Vec<u64> = (0..count).map(|_| mixer.next()).collect();
        let mut group = c.benchmark_group("sketch");
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("many at a time", count), |b| {
            b.iter(|| {
                let mut sketch = Sketch::default();
                sketch.insert_hashes(black_box(&hashes));
                sketch
            });
        });
        group.bench_function(BenchmarkId::new("one by one", count), |b| {
            b.iter(|| {
                let mut sketch = Sketch::default();
                black_box(&hashes).iter().for_each(|hash| sketch.insert_hash(*hash));
                sketch
            });
        });
        group.throughput(Throughput::Elements(1));
        let mut sketch = Sketch::default();
        sketch.insert_hashes(&hashes);
        group.bench_function(BenchmarkId::new("estimate", count), |b| {
            b.iter(|| black_box(&sketch).estimate());
        });
    }
}

criterion_group!(benches, slots, sums, tokens, sketches);
criterion_main!(benches);
