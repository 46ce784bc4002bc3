//! The hash of a subject, fixed for good: sketches made from it are stored and merged across years.

use xxhash_rust::xxh3::xxh3_64;

/// Version of the subject hash; it is stored with every sketch and changes with the function below.
pub const SUBJECT_HASH_VERSION: u8 = 1;

/// The 64-bit hash of a subject: XXH3-64 with seed 0 over the subject's canonical bytes.
///
/// Canonical bytes are the UTF-8 text of a string, and the decimal digits of an integer (with `-` where it
/// is negative): the integer 42 and the string `42` are one subject.
pub fn subject_hash(canonical: &[u8]) -> u64 {
    xxh3_64(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_never_changes() {
        assert_eq!(subject_hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(subject_hash(b"42"), xxh3_64(b"42"));
    }
}
