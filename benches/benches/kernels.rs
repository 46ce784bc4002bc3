//! The kernels around counting, in elements a second, each beside plain twins: names to ids, pairs of ids to ids, hashes
//! of integers, bits packed.
//!
//! Names and pairs are those of a log of 4,000 keys, 60,000 users and 40,000 sources (Zipf), and they have been seen
//! before, as nearly all of a large log have; the twin by a map is what one would write at first.
//!
//! `cargo bench -p slowleak-benches --bench kernels`

use std::hint::black_box;

use ahash::AHashMap;
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use slowleak_benches::{Mixer, entities};
use slowleak_rollup::kernels::{PACKED, PairIds, pack, pack_simply};
use slowleak_scan::kernels::{hash_kernels, intern_all};
use slowleak_scan::{Names, subject_hash};

/// Records of a batch of the scan.
const BATCH: usize = 8192;

/// Records of an hour of 50 million in 180 days.
const HOUR: usize = 11_574;

/// Records of the longer sequences: too many for the branch predictor to learn them by heart.
const RECORDS: usize = 64 * BATCH;

/// Some strings as a page of plain strings has them: each behind its length.
struct Page {
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

impl Page {
    fn new(texts: impl Iterator<Item = String>) -> Self {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for text in texts {
            bytes.extend((text.len() as u32).to_le_bytes());
            let start = bytes.len();
            bytes.extend(text.as_bytes());
            spans.push((start as u32, bytes.len() as u32));
        }
        Self { bytes, spans }
    }

    fn text(&self, (start, end): (u32, u32)) -> &[u8] {
        &self.bytes[start as usize..end as usize]
    }
}

fn names(c: &mut Criterion) {
    let uniform: Vec<u32> = {
        let mut mixer = Mixer(1);
        (0..RECORDS).map(|_| (mixer.next() % 1_000_000) as u32).collect()
    };
    type Name = fn(u32) -> String;
    let cases: [(&str, Vec<u32>, Name); 4] = [
        ("4,000 of 18 bytes", entities(4_000, RECORDS), |id| format!("AKIA{id:011}KEY")),
        ("60,000 of 24 bytes", entities(60_000, RECORDS), |id| format!("user-{id:08}@retailer.kr")),
        ("60,000 of 36 bytes", entities(60_000, RECORDS), |id| {
            format!("{id:08x}-0000-4000-8000-00000000cafe")
        }),
        ("a million of 24 bytes, none more often", uniform, |id| format!("user-{id:08}@retailer.kr")),
    ];
    for (case, ids, name) in cases {
        let page = Page::new(ids.into_iter().map(name));
        let mut group = c.benchmark_group(format!("names/{case}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut out = Vec::new();

        let mut names = Names::default();
        group.bench_function("many at a time", |b| {
            b.iter(|| {
                for spans in page.spans.chunks(BATCH) {
                    out.clear();
                    black_box(intern_all(&mut names, black_box(&page.bytes), spans, &mut out).is_ok());
                    black_box(&out);
                }
            });
        });
        let mut names = Names::default();
        group.bench_function("one by one", |b| {
            b.iter(|| {
                for spans in page.spans.chunks(BATCH) {
                    out.clear();
                    let ids = spans.iter().map(|span| names.intern_bytes(page.text(*span)));
                    out.extend(ids.map(|id| id.unwrap_or(Names::NONE)));
                    black_box(&out);
                }
            });
        });
        let mut map: AHashMap<Box<[u8]>, u32> = AHashMap::new();
        group.bench_function("a map", |b| {
            b.iter(|| {
                for spans in page.spans.chunks(BATCH) {
                    out.clear();
                    out.extend(spans.iter().map(|span| {
                        let (text, next) = (page.text(*span), map.len() as u32);
                        match map.get(text) {
                            Some(id) => *id,
                            None => *map.entry(text.into()).or_insert(next),
                        }
                    }));
                    black_box(&out);
                }
            });
        });
    }
}

fn pairs(c: &mut Criterion) {
    let pairs = |records: usize| -> Vec<u64> {
        let (keys, sources) = (entities(4_000, records), entities(40_000, records));
        keys.iter().zip(sources).map(|(key, source)| u64::from(*key) << 32 | u64::from(source)).collect()
    };
    let hours = pairs(20 * HOUR);
    let mut group = c.benchmark_group("pairs/of an hour, forgotten after each");
    group.throughput(Throughput::Elements(hours.len() as u64));
    resolve(&mut group, &hours, HOUR, true);
    group.finish();
    let all = pairs(RECORDS);
    let mut group = c.benchmark_group("pairs/of all hours");
    group.throughput(Throughput::Elements(all.len() as u64));
    resolve(&mut group, &all, all.len(), false);
}

/// Ids of `keys`, window by window.
fn resolve(group: &mut BenchmarkGroup<'_, WallTime>, keys: &[u64], window: usize, forget: bool) {
    type Resolve = fn(&mut PairIds, &[u64], &mut Vec<u32>);
    let mut out = Vec::new();
    for (name, resolve) in
        [("many at a time", PairIds::resolve as Resolve), ("one by one", PairIds::resolve_simply)]
    {
        let mut ids = PairIds::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                for window in black_box(keys).chunks(window) {
                    for batch in window.chunks(BATCH) {
                        resolve(&mut ids, batch, &mut out);
                        black_box(&out);
                    }
                    if forget {
                        ids.clear();
                    }
                }
            });
        });
    }
    let mut map: AHashMap<u64, u32> = AHashMap::new();
    group.bench_function("a map", |b| {
        b.iter(|| {
            for window in black_box(keys).chunks(window) {
                for batch in window.chunks(BATCH) {
                    out.clear();
                    out.extend(batch.iter().map(|key| {
                        let next = map.len() as u32;
                        *map.entry(*key).or_insert(next)
                    }));
                    black_box(&out);
                }
                if forget {
                    map.clear();
                }
            }
        });
    });
}

/// Subjects that are integers: their digits hashed as they are made, by each kernel, or printed and then hashed.
fn hash(c: &mut Criterion) {
    for (case, least, most) in [
        ("4", 1_000, 9_999),
        ("5", 10_000, 99_999),
        ("6", 100_000, 999_999),
        ("7", 1_000_000, 9_999_999),
        ("4 to 7", 0, 0),
        ("8", 10_000_000, 99_999_999),
    ] {
        let mut mixer = Mixer(4);
        let numbers: Vec<u64> = (0..BATCH)
            .map(|_| match most {
                // As many of each length.
                0 => {
                    1_000 * 10_u64.pow((mixer.next() % 4) as u32) * (1 + mixer.next() % 9)
                        + mixer.next() % 1_000
                }
                most => least + mixer.next() % (most - least + 1),
            })
            .collect();
        let mut hashes = vec![0; numbers.len()];
        let mut group = c.benchmark_group(format!("hash/{case} digits"));
        group.throughput(Throughput::Elements(numbers.len() as u64));
        for (name, kernel) in hash_kernels() {
            group.bench_function(name, |b| b.iter(|| kernel(black_box(&numbers), black_box(&mut hashes))));
        }
        group.bench_function("printed", |b| {
            b.iter(|| {
                for (hash, number) in black_box(&mut hashes).iter_mut().zip(black_box(&numbers)) {
                    *hash = subject_hash(itoa::Buffer::new().format(*number).as_bytes());
                }
            });
        });
    }
}

fn packed(c: &mut Criterion) {
    type Pack = fn(&[u64; PACKED], u32, &mut Vec<u8>);
    let mut mixer = Mixer(5);
    for width in [1, 4, 7, 12, 17, 33] {
        let numbers: Vec<u64> = (0..BATCH).map(|_| mixer.next() >> (64 - width)).collect();
        let (batches, _) = numbers.as_chunks::<PACKED>();
        let mut group = c.benchmark_group(format!("pack/{width}-bit"));
        group.throughput(Throughput::Elements(numbers.len() as u64));
        let mut out = Vec::new();
        for (name, pack) in [("fast", pack as Pack), ("simple", pack_simply)] {
            group.bench_function(name, |b| {
                b.iter(|| {
                    out.clear();
                    black_box(batches).iter().for_each(|batch| pack(batch, width, &mut out));
                    black_box(&out);
                });
            });
        }
    }
}

criterion_group!(benches, names, pairs, hash, packed);
criterion_main!(benches);
