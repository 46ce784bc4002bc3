//! Sketches: canonical however they are made, and as accurate as theory says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers outside of test functions may fail loudly too"
)]

use proptest::prelude::*;
use slowleak_rollup::{Sketch, SketchError};
use slowleak_scan::subject_hash;
use ultraloglog::{Estimator, MaximumLikelihoodEstimator, UltraLogLog};

fn of(hashes: impl IntoIterator<Item = u64>) -> Sketch {
    let mut sketch = Sketch::default();
    hashes.into_iter().for_each(|hash| sketch.insert_hash(hash));
    sketch
}

fn subject(seed: u64, index: u64) -> u64 {
    subject_hash(format!("{seed}/{index}").as_bytes())
}

/// Sets on both sides of the bound, with hashes that share registers and have many zeros.
fn hashes() -> impl Strategy<Value = Vec<u64>> {
    let hash = (any::<u64>(), 0..64_u32, any::<bool>()).prop_map(|(hash, shift, few)| {
        if few { hash >> shift & 0xffc0_0000_0000_00ff } else { hash >> shift }
    });
    proptest::collection::vec(hash, 0..700)
}

proptest! {
    #[test]
    fn merge_in_any_order_is_one_sketch(hashes in hashes(), cuts in [0..700_usize, 0..700_usize]) {
        let mut cuts = cuts.map(|cut| cut.min(hashes.len()));
        cuts.sort_unstable();
        let parts = [&hashes[..cuts[0]], &hashes[cuts[0]..cuts[1]], &hashes[cuts[1]..]];
        let parts = parts.map(|part| of(part.iter().copied()));
        let whole = of(hashes.iter().rev().copied()).to_bytes();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut merged = Sketch::default();
            order.iter().for_each(|part: &usize| merged.merge(&parts[*part]));
            prop_assert_eq!(&merged.to_bytes(), &whole);
        }
        let mut right = parts[1].clone();
        right.merge(&parts[2]);
        let mut left = parts[0].clone();
        left.merge(&right);
        left.merge(&right);
        prop_assert_eq!(left.to_bytes(), whole);
    }

    /// With repeats, and in parts, the first of them one by one.
    #[test]
    fn many_at_a_time_are_one_by_one(hashes in hashes(), cut in 0..700_usize, times in 1..5_usize) {
        let repeated: Vec<u64> = std::iter::repeat_n(&hashes, times).flatten().copied().collect();
        let (first, rest) = repeated.split_at(cut.min(repeated.len()));
        let mut sketch = of(first.iter().copied());
        sketch.insert_hashes(rest);
        prop_assert_eq!(sketch.to_bytes(), of(hashes).to_bytes());
    }

    #[test]
    fn bytes_round_trip(hashes in hashes()) {
        let sketch = of(hashes);
        prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
    }

    #[test]
    fn any_bytes_are_a_sketch_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40), kind in 0..3_u8) {
        let bytes: Vec<u8> = [1, kind].into_iter().chain(bytes).collect();
        if let Ok(sketch) = Sketch::from_bytes(&bytes) {
            prop_assert_eq!(sketch.to_bytes(), bytes);
            prop_assert!(sketch.estimate().is_finite());
        }
    }
}

#[test]
fn foreign_bytes_are_refused() {
    assert_eq!(Sketch::from_bytes(&[]), Err(SketchError::Damaged(0)));
    assert_eq!(Sketch::from_bytes(&[9, 0]), Err(SketchError::Version(9)));
    let mut unreachable = vec![5; 1026];
    unreachable[..2].copy_from_slice(&[1, 1]);
    assert_eq!(Sketch::from_bytes(&unreachable), Err(SketchError::Damaged(1026)));
    assert_eq!(Sketch::from_bytes(&[1, 1, 0]), Err(SketchError::Damaged(3)));
}

#[test]
fn small_sets_are_exact() {
    for count in [0, 1, 2, 100, 255, 256] {
        let sketch = of((0..count).map(|index| subject(1, index)));
        assert_eq!((sketch.estimate(), sketch.standard_error()), (count as f64, 0.0));
        assert_eq!(sketch.to_bytes().len() as u64, 2 + 4 * count);
    }
    let dense = of((0..257).map(|index| subject(1, index)));
    assert_eq!(dense.to_bytes().len(), 1026);
    assert!(dense.standard_error() > 0.0);
}

/// Relative bias and root-mean-square error over 400 sets of each size, drawn from fixed seeds.
#[test]
fn errors_are_those_of_theory() {
    let sizes = [300_u64, 1_000, 3_000, 10_000, 30_000];
    let mut squares = vec![0.0; sizes.len()];
    let mut biases = vec![0.0; sizes.len()];
    let sets = 400;
    for seed in 0..sets {
        let mut sketch = Sketch::default();
        let mut next = 0;
        for (at, size) in sizes.iter().enumerate() {
            (next..*size).for_each(|index| sketch.insert_hash(subject(seed, index)));
            next = *size;
            let error = sketch.estimate() / *size as f64 - 1.0;
            squares[at] += error * error / sets as f64;
            biases[at] += error / sets as f64;
        }
    }
    let theory = of((0..500).map(|index| subject(0, index))).standard_error();
    assert!((theory - 0.0238).abs() < 0.0001);
    for ((size, square), bias) in sizes.iter().zip(&squares).zip(&biases) {
        let error = square.sqrt();
        // The error of an error over n sets is 1/sqrt(2n), 3.5%; of a bias 1/sqrt(n) of the error.
        assert!(error < theory * 1.12, "{size}: {error}");
        assert!(bias.abs() < 4.0 * theory / 20.0, "{size}: {bias}");
        if *size >= 10_000 {
            assert!(error > theory * 0.88, "{size}: {error}");
        }
    }
}

/// The `ultraloglog` crate's own registers and maximum-likelihood estimate, from the same hashes.
#[test]
fn another_implementation_agrees() {
    for (seed, size) in [(1, 257), (2, 1_000), (3, 20_000), (4, 300_000)] {
        let mut ours = Sketch::default();
        let mut theirs = UltraLogLog::new(10).unwrap();
        for index in 0..size {
            let hash = subject(seed, index);
            ours.insert_hash(hash);
            theirs.add(hash);
        }
        let want = MaximumLikelihoodEstimator.estimate(&theirs);
        let got = ours.estimate();
        assert!((got / want - 1.0).abs() < 1e-3, "{size}: {got} {want}");
    }
}
