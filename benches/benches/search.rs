//! The kernels of detection beside scalar twins: windows a second of one thread, scored under ten ratios and searched in
//! two bands (up to 48 windows, and any length). A window here is a window of one series; times twenty are lane-windows.

#![allow(clippy::unwrap_used, reason = "benches")]

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use slowleak_detect::kernels::{Band, LANES, Row, best_intervals, best_singles, ratio_rows};

/// 180 days of hours.
const WINDOWS: usize = 4320;
const REACHES: [usize; 2] = [48, usize::MAX];
const RATIOS: [f64; 10] = [1.1, 1.2, 1.4, 1.8, 2.6, 4.2, 7.4, 13.8, 50.0, 200.0];
const COST: f64 = 10.0;

/// Counts that wander around their means, with a rise that pays in the middle; by a fixed recurrence.
fn series() -> (Vec<f64>, Vec<f64>) {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    (0..WINDOWS)
        .map(|window| {
            let mean = 20.0 + 10.0 * (window as f64 / 24.0 * std::f64::consts::TAU).sin();
            let rise = if (2000..2300).contains(&window) { 1.5 } else { 1.0 };
            ((mean * rise * (0.7 + 0.6 * next())).round(), mean)
        })
        .unzip()
}

/// A ratio at a time, with the library's logarithm.
fn scalar_rows(counts: &[f64], means: &[f64], dispersion: f64) -> Vec<Vec<f64>> {
    let size = 1.0 / dispersion;
    let lane = |ratio: f64| {
        let score = |(count, mean): (&f64, &f64)| {
            let growth = ((size + ratio * mean) / (size + mean)).ln();
            count * (ratio.ln() - growth) - size * growth
        };
        counts.iter().zip(means).map(score).collect()
    };
    RATIOS.map(lane).into()
}

/// Starts by window, with their values.
type Queue = VecDeque<(usize, f64)>;

/// A lane at a time, its starts in a queue: the total of the best disjoint intervals.
fn scalar_search(lanes: &[(&[f64], usize)]) -> f64 {
    let mut searched: Vec<(&[f64], usize, f64, Queue)> =
        lanes.iter().map(|(scores, reach)| (*scores, *reach, 0.0, VecDeque::from([(0, 0.0)]))).collect();
    let mut best = vec![0.0; WINDOWS + 1];
    for end in 1..=WINDOWS {
        best[end] = best[end - 1];
        for (scores, reach, sum, starts) in &mut searched {
            *sum += scores[end - 1];
            while starts.front().is_some_and(|(start, _)| end - start > *reach) {
                starts.pop_front();
            }
            if let Some((_, value)) = starts.front() {
                best[end] = f64::max(best[end], *sum + value - COST);
            }
        }
        for (_, _, sum, starts) in &mut searched {
            let value = best[end] - *sum;
            while starts.back().is_some_and(|(_, last)| *last < value) {
                starts.pop_back();
            }
            starts.push_back((end, value));
        }
    }
    best[WINDOWS]
}

fn kernels(criterion: &mut Criterion) {
    let (counts, means) = series();
    let rows: Vec<Row> = ratio_rows(&counts, &means, 0.03);
    let lanes = scalar_rows(&counts, &means, 0.03);
    let bands = REACHES.map(|reach| Band { rows: &rows, reach });
    let scalar: Vec<(&[f64], usize)> =
        REACHES.iter().flat_map(|reach| lanes.iter().map(|lane| (lane.as_slice(), *reach))).collect();
    let total: f64 = best_intervals(&bands, COST).iter().map(|found| found.score - COST).sum();
    assert!((total - scalar_search(&scalar)).abs() < 1e-6 && total > 100.0 && LANES >= RATIOS.len());

    let mut group = criterion.benchmark_group("scores");
    group.throughput(Throughput::Elements(WINDOWS as u64));
    group.bench_function("lanes", |bench| bench.iter(|| ratio_rows(black_box(&counts), &means, 0.03)));
    group.bench_function("scalar", |bench| bench.iter(|| scalar_rows(black_box(&counts), &means, 0.03)));
    group.finish();

    let mut group = criterion.benchmark_group("search");
    group.throughput(Throughput::Elements(WINDOWS as u64));
    group.bench_function("lanes", |bench| bench.iter(|| best_intervals(black_box(&bands), COST)));
    group.bench_function("scalar", |bench| bench.iter(|| scalar_search(black_box(&scalar))));
    group.bench_function("singles", |bench| bench.iter(|| best_singles(black_box(bands[0]), 1)));
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
