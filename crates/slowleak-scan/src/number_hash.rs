//! Subject hashes of integers, without writing their digits down. In: numbers. Out: for each the hash of its decimal
//! text.
//!
//! Numbers of 4 to 8 digits take no branch, so that the compiler makes vectors of the loop: it is compiled once for any
//! processor and once for each wider kind, of which the widest that there is is chosen at run time.

use std::sync::LazyLock;

use crate::digits::{EIGHT, digits};
use crate::hash::{of_4_to_8, of_9_to_16, subject_hash};

/// Numbers that are hashed together.
const BATCH: usize = 256;

/// Appends the hashes of `numbers`.
pub(crate) fn hash_numbers(numbers: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u64>) {
    let mut numbers = numbers;
    let mut batch = [0; BATCH];
    let mut hashes = [0; BATCH];
    out.reserve(numbers.len());
    while numbers.len() > 0 {
        let count = numbers.len().min(BATCH);
        for (place, number) in batch.iter_mut().zip(numbers.by_ref().take(count)) {
            *place = number;
        }
        let (batch, hashes) = (&batch[..count], &mut hashes[..count]);
        if batch.iter().all(|number| has_4_to_8(*number)) {
            KERNEL(batch, hashes);
            out.extend_from_slice(hashes);
        } else {
            out.extend(batch.iter().map(|number| number_hash(*number)));
        }
    }
}

/// The hash of one number.
#[inline]
fn number_hash(number: u64) -> u64 {
    match number {
        number if has_4_to_8(number) => hash_4_to_8(number),
        EIGHT..10_000_000_000_000_000 => {
            let high = digits(number / EIGHT);
            let zeros = high.trailing_zeros() / 8;
            let (high, low) = (high | ZEROS, digits(number % EIGHT) | ZEROS);
            // Two shifts: one by 64 would be none.
            let first = high >> (8 * zeros) | (low << (8 * (7 - zeros))) << 8;
            of_9_to_16(first, low, u64::from(16 - zeros))
        }
        _ => subject_hash(itoa::Buffer::new().format(number).as_bytes()),
    }
}

fn has_4_to_8(number: u64) -> bool {
    number.wrapping_sub(1_000) < EIGHT - 1_000
}

/// The hash of a number of 4 to 8 digits.
#[inline(always)]
fn hash_4_to_8(number: u64) -> u64 {
    let text = digits(number) | ZEROS;
    let more = |least: u64| u64::from(number >= least);
    let length = 4 + more(10_000) + more(100_000) + more(1_000_000) + more(10_000_000);
    of_4_to_8((text >> (8 * (8 - length))) as u32, (text >> 32) as u32, length)
}

/// Eight zeros as text.
const ZEROS: u64 = u64::from_le_bytes(*b"00000000");

/// Hashes numbers of 4 to 8 digits.
pub type Kernel = fn(&[u64], &mut [u64]);

static KERNEL: LazyLock<Kernel> = LazyLock::new(|| kernels().pop().map_or(scalar, |(_, kernel)| kernel));

/// The kernels that this processor can run with their names, the fastest last. Numbers have 4 to 8 digits.
pub fn kernels() -> Vec<(&'static str, Kernel)> {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "others are for x86-64"))]
    let mut kernels: Vec<(&'static str, Kernel)> = vec![("scalar", scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            kernels.push(("avx2", x86::avx2));
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            kernels.push(("avx512", x86::avx512));
        }
    }
    kernels
}

/// The plain form, which the others are tested against.
fn scalar(numbers: &[u64], hashes: &mut [u64]) {
    each(numbers, hashes);
}

#[inline(always)]
fn each(numbers: &[u64], hashes: &mut [u64]) {
    for (number, hash) in numbers.iter().zip(hashes) {
        *hash = hash_4_to_8(*number);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    pub(super) fn avx2(numbers: &[u64], hashes: &mut [u64]) {
        #[target_feature(enable = "avx2")]
        fn compiled(numbers: &[u64], hashes: &mut [u64]) {
            super::each(numbers, hashes);
        }
        // SAFETY: `kernels` hands this function out only where the processor has AVX2.
        #[expect(unsafe_code, reason = "the caller checked the processor")]
        unsafe {
            compiled(numbers, hashes);
        }
    }

    pub(super) fn avx512(numbers: &[u64], hashes: &mut [u64]) {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
        fn compiled(numbers: &[u64], hashes: &mut [u64]) {
            super::each(numbers, hashes);
        }
        // SAFETY: `kernels` hands this function out only where the processor has AVX-512F, DQ and VL.
        #[expect(unsafe_code, reason = "the caller checked the processor")]
        unsafe {
            compiled(numbers, hashes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn of_text(number: u64) -> u64 {
        xxh3_64(number.to_string().as_bytes())
    }

    /// Every length up to a full batch, from every alignment, of numbers at the edges of their lengths and between;
    /// hashes behind the last must stay.
    #[test]
    fn every_kernel_does_as_its_scalar_twin() {
        let kernels = kernels();
        let names: Vec<_> = kernels.iter().map(|(name, _)| *name).collect();
        println!("kernels of number_hash: {}", names.join(" "));
        let edges =
            (4..8).flat_map(|length| [10_u64.pow(length - 1), 10_u64.pow(length) - 1, 10_u64.pow(length)]);
        let between = (0..).map(|at: u64| 1_000 + at * 7_654_321 % (EIGHT - 1_000));
        let numbers: Vec<u64> = edges.chain([EIGHT - 1]).chain(between).take(BATCH + 8).collect();
        for length in 0..=BATCH {
            let numbers = &numbers[length % 8..][..length];
            let mut want = [7; BATCH + 1];
            scalar(numbers, &mut want[..length]);
            for (name, kernel) in &kernels {
                let mut hashes = [7; BATCH + 1];
                kernel(numbers, &mut hashes[..length]);
                assert_eq!(hashes, want, "{name}, {length} numbers");
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_hashed_as_their_texts(any: u64, length in 0_u32..19) {
            let edge = 10_u64.pow(length);
            for number in [any, any % edge.saturating_mul(10), edge, edge - 1, edge + any % edge] {
                prop_assert_eq!(number_hash(number), of_text(number), "{}", number);
            }
        }

        #[test]
        fn every_kernel_hashes_numbers_as_their_texts(numbers in proptest::collection::vec(1_000..EIGHT, 0..70)) {
            let numbers: Vec<u64> =
                numbers.iter().enumerate().map(|(at, n)| (n / 10_u64.pow(at as u32 % 5)).max(1_000)).collect();
            let want: Vec<u64> = numbers.iter().copied().map(of_text).collect();
            for (name, kernel) in kernels() {
                let mut hashes = vec![7; numbers.len()];
                kernel(&numbers, &mut hashes);
                prop_assert_eq!(&hashes, &want, "{}", name);
            }
        }

        #[test]
        fn batches_may_hold_numbers_of_any_length(
            numbers in proptest::collection::vec(prop_oneof![9 => 0..EIGHT * 10, 1 => any::<u64>()], 0..900),
            short_only: bool,
        ) {
            let numbers: Vec<u64> = numbers.into_iter().map(|n| if short_only { 1_000 + n % 9_000 } else { n }).collect();
            let mut hashes = vec![3];
            hash_numbers(numbers.iter().copied(), &mut hashes);
            let want: Vec<u64> = numbers.iter().copied().map(of_text).collect();
            prop_assert_eq!(&hashes[1..], &want[..]);
        }
    }
}
