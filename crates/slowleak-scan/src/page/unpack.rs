//! Bit unpacking: little-endian runs of `width`-bit integers to 32-bit ones. In: packed bytes. Out: values.
//!
//! One algorithm at three vector widths: a value starts in 32-bit word `i * width / 32` and may reach into the
//! next, so two permutes fetch both words of each lane, two variable shifts align them and a mask cuts them off.
//! The widest form that the processor has is chosen at run time; all give what the scalar one gives.

use std::sync::LazyLock;

/// Values that are unpacked together: the bit-packed runs of Parquet come in multiples of eight.
pub(crate) const GROUP: usize = 8;

/// Unpacks whole groups: fills `out`, whose length is a multiple of [`GROUP`], from the first
/// `out.len() * width / 8` bytes.
///
/// Nothing is written beyond what `bytes` holds: `false` where they are too few, or `width` is above 32.
pub(crate) fn unpack(bytes: &[u8], width: u32, out: &mut [u32]) -> bool {
    debug_assert_eq!(out.len() % GROUP, 0);
    if width > 32 || bytes.len() < out.len() / GROUP * width as usize {
        return false;
    }
    if width == 0 {
        out.fill(0);
        return true;
    }
    KERNEL(bytes, width, out);
    true
}

/// Fills `out` from enough `bytes`; `width` is 1 to 32.
pub type Kernel = fn(&[u8], u32, &mut [u32]);

static KERNEL: LazyLock<Kernel> = LazyLock::new(|| kernels().pop().map_or(scalar, |(_, kernel)| kernel));

/// The kernels that this processor can run with their names, the fastest last. Each fills its last argument, whole
/// groups of eight, from enough bytes of values that are so many bits wide (1 to 32).
pub fn kernels() -> Vec<(&'static str, Kernel)> {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "others are for x86-64"))]
    let mut kernels: Vec<(&'static str, Kernel)> = vec![("scalar", scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            kernels.push(("avx2", x86::avx2));
        }
        if is_x86_feature_detected!("avx512f") {
            kernels.push(("avx512", x86::avx512));
        }
    }
    kernels
}

/// The plain form, which the others are tested against.
pub(crate) fn scalar(bytes: &[u8], width: u32, out: &mut [u32]) {
    let mask = u32::MAX >> (32 - width);
    let (mut buffer, mut held, mut bytes) = (0_u64, 0, bytes.iter());
    for value in out {
        while held < width {
            buffer |= u64::from(bytes.next().copied().unwrap_or_default()) << held;
            held += 8;
        }
        *value = buffer as u32 & mask;
        buffer >>= width;
        held -= width;
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// For each lane of a group: the word in which its value starts, the next word, and the shift.
    fn lanes<const N: usize>(width: u32) -> ([i32; N], [i32; N], [i32; N]) {
        let first: [u32; N] = std::array::from_fn(|lane| lane as u32 * width / 32);
        let next = std::array::from_fn(|lane| ((first[lane] + 1) % N as u32) as i32);
        let shift = std::array::from_fn(|lane| (lane as u32 * width % 32) as i32);
        (first.map(|word| word as i32), next, shift)
    }

    /// Runs `vector` over all full groups of `N` values for which `4 * N` bytes can be loaded, and over the rest
    /// from a copy with room behind it.
    #[inline(always)]
    fn each_group<const N: usize>(
        mut bytes: &[u8],
        width: u32,
        out: &mut [u32],
        vector: impl Fn(&[u8], &mut [u32; N]),
    ) {
        let step = N * width as usize / 8;
        let (groups, rest) = out.as_chunks_mut::<N>();
        for group in groups {
            if bytes.len() >= 4 * N {
                vector(bytes, group);
            } else {
                vector(&padded(bytes), group);
            }
            bytes = bytes.get(step..).unwrap_or_default();
        }
        if !rest.is_empty() {
            let mut group = [0; N];
            vector(&padded(bytes), &mut group);
            rest.copy_from_slice(&group[..rest.len()]);
        }
    }

    fn padded(bytes: &[u8]) -> [u8; 64] {
        let mut room = [0; 64];
        let length = bytes.len().min(64);
        room[..length].copy_from_slice(&bytes[..length]);
        room
    }

    pub(super) fn avx2(bytes: &[u8], width: u32, out: &mut [u32]) {
        // SAFETY: `kernels` hands this function out only where the processor has AVX2.
        #[expect(unsafe_code, reason = "the caller checked the processor")]
        unsafe {
            avx2_groups(bytes, width, out);
        }
    }

    #[target_feature(enable = "avx2")]
    fn avx2_groups(bytes: &[u8], width: u32, out: &mut [u32]) {
        let (first, next, shift) = lanes::<8>(width);
        // SAFETY: each load reads the 32 bytes of one array.
        #[expect(unsafe_code, reason = "unaligned vector loads take pointers")]
        let [first, next, shift] =
            unsafe { [first, next, shift].map(|lanes| _mm256_loadu_si256(lanes.as_ptr().cast())) };
        let back = _mm256_sub_epi32(_mm256_set1_epi32(32), shift);
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - width)) as i32);
        each_group::<8>(bytes, width, out, |bytes, group| {
            debug_assert!(bytes.len() >= 32);
            // SAFETY: `each_group` passes at least 32 bytes, and `group` is 32 bytes long.
            #[expect(unsafe_code, reason = "unaligned vector loads and stores take pointers")]
            unsafe {
                let words = _mm256_loadu_si256(bytes.as_ptr().cast());
                let low = _mm256_srlv_epi32(_mm256_permutevar8x32_epi32(words, first), shift);
                let high = _mm256_sllv_epi32(_mm256_permutevar8x32_epi32(words, next), back);
                let values = _mm256_and_si256(_mm256_or_si256(low, high), mask);
                _mm256_storeu_si256(group.as_mut_ptr().cast(), values);
            }
        });
    }

    pub(super) fn avx512(bytes: &[u8], width: u32, out: &mut [u32]) {
        // SAFETY: `kernels` hands this function out only where the processor has AVX-512F.
        #[expect(unsafe_code, reason = "the caller checked the processor")]
        unsafe {
            avx512_groups(bytes, width, out);
        }
    }

    #[target_feature(enable = "avx512f")]
    fn avx512_groups(bytes: &[u8], width: u32, out: &mut [u32]) {
        let (first, next, shift) = lanes::<16>(width);
        // SAFETY: each load reads the 64 bytes of one array.
        #[expect(unsafe_code, reason = "unaligned vector loads take pointers")]
        let [first, next, shift] =
            unsafe { [first, next, shift].map(|lanes| _mm512_loadu_si512(lanes.as_ptr().cast())) };
        let back = _mm512_sub_epi32(_mm512_set1_epi32(32), shift);
        let mask = _mm512_set1_epi32((u32::MAX >> (32 - width)) as i32);
        each_group::<16>(bytes, width, out, |bytes, group| {
            debug_assert!(bytes.len() >= 64);
            // SAFETY: `each_group` passes at least 64 bytes, and `group` is 64 bytes long.
            #[expect(unsafe_code, reason = "unaligned vector loads and stores take pointers")]
            unsafe {
                let words = _mm512_loadu_si512(bytes.as_ptr().cast());
                let low = _mm512_srlv_epi32(_mm512_permutexvar_epi32(first, words), shift);
                let high = _mm512_sllv_epi32(_mm512_permutexvar_epi32(next, words), back);
                let values = _mm512_and_si512(_mm512_or_si512(low, high), mask);
                _mm512_storeu_si512(group.as_mut_ptr().cast(), values);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: bit `b` of value `i` is bit `i * width + b` of the bytes.
    fn by_definition(bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
        let value = |i: usize| (0..width as usize).map(|b| bit(i * width as usize + b) << b).sum();
        (0..count).map(value).collect()
    }

    proptest! {
        #[test]
        fn every_kernel_follows_the_definition(
            width in 1_u32..=32,
            groups in 0_usize..30,
            spare in 0_usize..70,
            seed in proptest::collection::vec(any::<u8>(), 1..1100),
        ) {
            let length = groups * width as usize + spare;
            let bytes: Vec<u8> = seed.iter().copied().cycle().take(length).collect();
            let want = by_definition(&bytes, width, groups * GROUP);
            for (name, kernel) in kernels() {
                let mut out = vec![7; groups * GROUP];
                kernel(&bytes, width, &mut out);
                prop_assert_eq!(&out, &want, "{}", name);
            }
            let mut out = vec![7; groups * GROUP];
            prop_assert!(unpack(&bytes, width, &mut out));
            prop_assert_eq!(out, want);
        }
    }

    /// Ends are where a vector goes wrong: every width with every short length, bytes at every alignment with nothing
    /// to a whole vector behind them, and values behind `out` that must stay.
    #[test]
    fn every_kernel_does_as_its_scalar_twin() {
        let kernels = kernels();
        let names: Vec<_> = kernels.iter().map(|(name, _)| *name).collect();
        println!("kernels of unpack: {}", names.join(" "));
        let noise: Vec<u8> = (0..600_u32).map(|at| (at.wrapping_mul(2_654_435_769) >> 24) as u8).collect();
        for width in 1..=32 {
            for (groups, spare) in (0..=9).flat_map(|groups| (0..=64).map(move |spare| (groups, spare))) {
                let start = (groups + spare * 13) % 64;
                let bytes = &noise[start..start + groups * width as usize + spare];
                let mut want = [7; 10 * GROUP];
                scalar(bytes, width, &mut want[..groups * GROUP]);
                for (name, kernel) in &kernels {
                    let mut out = [7; 10 * GROUP];
                    kernel(bytes, width, &mut out[..groups * GROUP]);
                    assert_eq!(out, want, "{name}, {groups} groups of width {width}, {spare} bytes behind");
                }
            }
        }
    }

    #[test]
    fn too_few_bytes_and_too_wide_values_are_refused() {
        let mut out = [7; 8];
        assert!(!unpack(&[0; 4], 5, &mut out));
        assert!(!unpack(&[0; 64], 33, &mut out));
        assert_eq!(out, [7; 8]);
        assert!(unpack(&[], 0, &mut out));
        assert_eq!(out, [0; 8]);
    }
}
