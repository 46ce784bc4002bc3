//! The block of a subject: numbers next to each other share one. In: subjects, as texts or as numbers. Out: the hash of
//! the block, fixed for good, since sketches made from it are stored and merged across years.
//!
//! Who goes through accounts by number touches all of a block before the next; who draws accounts at random hardly ever
//! two of one block. So the number of distinct blocks among distinct subjects tells the order of a visit, whatever the
//! order of the records.

use crate::hash::subject_hash;

/// Version of the block hash; it is stored with every sketch and changes with the functions below.
pub const BLOCK_HASH_VERSION: u8 = 1;

/// Consecutive numbers in a block.
pub const BLOCK_NUMBERS: u64 = 64;

/// Digits that are read as a number, at most; those before them are part of the text. Numbers of so many fit into 64
/// bits, whatever their digits.
const MOST_DIGITS: usize = 18;

/// The least number of more digits.
const MORE_DIGITS: u64 = 1_000_000_000_000_000_000;

/// [`subject_hash`] of no text.
const NO_TEXT: u64 = 0x2d06_8005_38d3_94c2;

/// The 64-bit hash of the block that a subject belongs to, given its canonical bytes as [`subject_hash`] takes them.
///
/// A subject is a text and a number behind it: its last digits, at most 18 and without leading zeros, which are part of
/// the text, so that `007` and `7` are of different blocks. The block is the text with the number divided by
/// [`BLOCK_NUMBERS`]; a subject without a number is a block by itself.
pub fn block_hash(canonical: &[u8]) -> u64 {
    let last = canonical.iter().rev().take(MOST_DIGITS);
    let digits = last.take_while(|byte| byte.is_ascii_digit()).count();
    let (text, digits) = canonical.split_at(canonical.len() - digits);
    let Some(most_zeros) = digits.len().checked_sub(1) else { return subject_hash(canonical) };
    let zeros = digits.iter().take(most_zeros).take_while(|digit| **digit == b'0').count();
    let number = digits[zeros..].iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'));
    of(subject_hash(&canonical[..text.len() + zeros]), number)
}

/// The same of a number; where it has more digits than are read, what `printed` says.
#[inline]
pub(crate) fn number_block_hash(number: u64, printed: impl FnOnce() -> u64) -> u64 {
    if number < MORE_DIGITS { of(NO_TEXT, number) } else { printed() }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014) over the text's hash and the block's place behind it.
#[inline(always)]
fn of(text: u64, number: u64) -> u64 {
    let place = (number / BLOCK_NUMBERS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut hash = text.wrapping_add(place);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A subject's block in other words: all but the number, and the number's place.
    fn block(text: &str) -> (String, Option<u64>) {
        let mut start = text.len();
        while start > 0 && text.len() - start < MOST_DIGITS && text.as_bytes()[start - 1].is_ascii_digit() {
            start -= 1;
        }
        while start + 1 < text.len() && text.as_bytes()[start] == b'0' {
            start += 1;
        }
        (text[..start].to_owned(), text[start..].parse().ok().map(|number: u64| number / 64))
    }

    #[test]
    fn the_function_never_changes() {
        assert_eq!(NO_TEXT, subject_hash(b""));
        assert_eq!(block_hash(b"7"), block_hash(b"63"));
        assert_eq!(block_hash(b"member-129"), block_hash(b"member-190"));
        assert_eq!(block_hash(b"ann"), subject_hash(b"ann"));
        assert_eq!(block_hash(b"64"), 0x59b0_ed71_0b28_abee);
        for (a, b) in
            [("007", "7"), ("7", "64"), ("a7", "b7"), ("a7", "7"), ("-7", "7"), ("0", "00"), ("a", "b")]
        {
            assert_ne!(block_hash(a.as_bytes()), block_hash(b.as_bytes()), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn subjects_share_a_hash_if_and_only_if_they_share_a_block(
            texts in proptest::collection::vec("[ab-]{0,2}[0-9]{0,22}", 0..60),
            near in proptest::collection::vec(0..300_u64, 0..60),
        ) {
            let mut seen: BTreeMap<(String, Option<u64>), u64> = BTreeMap::new();
            for text in texts.into_iter().chain(near.into_iter().map(|number| number.to_string())) {
                let hash = block_hash(text.as_bytes());
                prop_assert_eq!(*seen.entry(block(&text)).or_insert(hash), hash, "{}", text);
            }
            let hashes: std::collections::BTreeSet<u64> = seen.values().copied().collect();
            prop_assert_eq!(hashes.len(), seen.len());
        }

        #[test]
        fn numbers_are_hashed_as_their_texts(any: u64, length in 0_u32..19) {
            let edge = 10_u64.pow(length);
            for number in [any, any % edge.saturating_mul(10), edge, edge - 1] {
                let text = number.to_string();
                let printed = || block_hash(text.as_bytes());
                prop_assert_eq!(number_block_hash(number, printed), block_hash(text.as_bytes()), "{}", number);
            }
        }
    }
}
