//! The hash of a subject, fixed for good: sketches made from it are stored and merged across years.
//!
//! Subjects are short, mostly integers, and there is one a record. Texts of 16 bytes and less are therefore hashed
//! here, in line, by the short forms of XXH3-64; longer ones by the library, which the short forms are tested against.

use xxhash_rust::xxh3::xxh3_64;

/// Version of the subject hash; it is stored with every sketch and changes with the function below.
pub const SUBJECT_HASH_VERSION: u8 = 1;

/// The 64-bit hash of a subject: XXH3-64 with seed 0 over the subject's canonical bytes.
///
/// Canonical bytes are the UTF-8 text of a string, and the decimal digits of an integer (with `-` where it
/// is negative): the integer 42 and the string `42` are one subject.
#[inline]
pub fn subject_hash(canonical: &[u8]) -> u64 {
    let length = canonical.len() as u64;
    match length {
        4..=8 => match (canonical.first_chunk(), canonical.last_chunk()) {
            (Some(first), Some(last)) => {
                of_4_to_8(u32::from_le_bytes(*first), u32::from_le_bytes(*last), length)
            }
            _ => xxh3_64(canonical),
        },
        9..=16 => match (canonical.first_chunk(), canonical.last_chunk()) {
            (Some(first), Some(last)) => {
                of_9_to_16(u64::from_le_bytes(*first), u64::from_le_bytes(*last), length)
            }
            _ => xxh3_64(canonical),
        },
        _ => xxh3_64(canonical),
    }
}

/// XXH3-64 of 4 to 8 bytes, told by the first and the last four.
#[inline(always)]
pub(crate) fn of_4_to_8(first: u32, last: u32, length: u64) -> u64 {
    let mut hash = (u64::from(first) << 32 | u64::from(last)) ^ (SECRET[1] ^ SECRET[2]);
    hash ^= hash.rotate_left(49) ^ hash.rotate_left(24);
    hash = hash.wrapping_mul(0x9fb2_1c65_1e98_df25);
    hash ^= (hash >> 35).wrapping_add(length);
    hash = hash.wrapping_mul(0x9fb2_1c65_1e98_df25);
    hash ^ hash >> 28
}

/// XXH3-64 of 9 to 16 bytes, told by the first and the last eight.
#[inline(always)]
pub(crate) fn of_9_to_16(first: u64, last: u64, length: u64) -> u64 {
    let first = first ^ (SECRET[3] ^ SECRET[4]);
    let last = last ^ (SECRET[5] ^ SECRET[6]);
    let product = u128::from(first) * u128::from(last);
    let folded = product as u64 ^ (product >> 64) as u64;
    let mut hash = length.wrapping_add(first.swap_bytes()).wrapping_add(last).wrapping_add(folded);
    hash ^= hash >> 37;
    hash = hash.wrapping_mul(0x1656_6791_9e37_79f9);
    hash ^ hash >> 32
}

/// The first words of XXH3's secret.
const SECRET: [u64; 7] = [
    0xbe4b_a423_396c_feb8,
    0x1cad_21f7_2c81_017c,
    0xdb97_9083_e96d_d4de,
    0x1f67_b3b7_a4a4_4072,
    0x78e5_c0cc_4ee6_79cb,
    0x2172_ffcc_7dd0_5a82,
    0x8e24_43f7_7446_08b8,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_function_never_changes() {
        assert_eq!(subject_hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(subject_hash(b"42"), xxh3_64(b"42"));
    }

    proptest! {
        #[test]
        fn short_texts_are_hashed_as_by_the_library(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(subject_hash(&text), xxh3_64(&text));
        }
    }
}
