//! Detection over a view of daily series: days per second, whole path (baselines twice, search,
//! calibration, folding).

#![allow(clippy::unwrap_used, reason = "benches")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slowleak_detect::{DetectConfig, detect};
use slowleak_record::{Micros, Registry};
use slowleak_rollup::{DayTable, Metric, Rollup, Table};

const DAYS: usize = 180;

/// Counts that wander a little, by a fixed recurrence: the bench needs work, not statistics.
fn keys(entities: usize) -> Rollup {
    let start: Micros = "2025-03-01".parse().unwrap();
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64
    };
    let mut table = Table {
        view: "key@1d:events".parse().unwrap(),
        entities: (0..entities).map(|entity| format!("key-{entity:07}")).collect(),
        offsets: (0..=entities).map(|entity| entity * DAYS).collect(),
        windows: Vec::with_capacity(entities * DAYS),
        counts: Default::default(),
        sketches: Default::default(),
    };
    for entity in 0..entities {
        let level = 20 + (entity % 500) as i64;
        for day in 0..DAYS {
            table.windows.push(Micros(start.0 + day as i64 * Micros::DAY));
            table.counts[Metric::Events as usize].push(level + next() % (level / 4));
        }
    }
    Rollup { tables: vec![table] }
}

fn detection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detect");
    group.sample_size(10);
    for entities in [1_000, 10_000] {
        let rollup = keys(entities);
        group.throughput(Throughput::Elements((entities * DAYS) as u64));
        group.bench_with_input(BenchmarkId::new("days", entities), &rollup, |bench, rollup| {
            let days: Vec<DayTable> = rollup.tables.iter().map(DayTable::of).collect();
            bench.iter(|| detect(&days, rollup, &Registry::default(), &DetectConfig::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, detection);
criterion_main!(benches);
