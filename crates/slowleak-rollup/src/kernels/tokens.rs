//! Distinct tokens of a sketch. In: tokens in any order. Out: each once, ascending.
//!
//! Tokens begin with bits of a hash and so are uniform: dealt into as many buckets as there are first bits, nearly all
//! come to lie within a few places of their own.

/// Tokens below which they are sorted by insertion alone.
const FEW: usize = 20;

/// log2 of the number of buckets.
const BUCKET_BITS: u32 = 8;

/// A bucket as large as this holds repeats, or tokens that somebody has chosen: insertion would take too long.
const LARGE: u16 = 32;

/// Sorts `tokens` and drops repeats; `scratch` is overwritten.
pub fn distinct_tokens(tokens: &mut Vec<u32>, scratch: &mut Vec<u32>) {
    if tokens.len() <= FEW {
        insertion_sort(tokens);
    } else if tokens.len() > usize::from(u16::MAX) || !deal(tokens, scratch) {
        tokens.sort_unstable();
    } else {
        insertion_sort(tokens);
    }
    drop_repeats(tokens);
}

/// The twin of [`distinct_tokens`].
pub fn distinct_tokens_simply(tokens: &mut Vec<u32>) {
    tokens.sort_unstable();
    tokens.dedup();
}

/// Orders tokens by their first bits, as long as no bucket is too large.
fn deal(tokens: &mut [u32], scratch: &mut Vec<u32>) -> bool {
    let bucket = |token: u32| (token >> (u32::BITS - BUCKET_BITS)) as usize;
    // First how many tokens a bucket has, then where its next one goes.
    let mut ends = [0_u16; 1 << BUCKET_BITS];
    tokens.iter().for_each(|token| ends[bucket(*token)] += 1);
    if ends.iter().any(|count| *count >= LARGE) {
        return false;
    }
    let mut start = 0;
    for end in &mut ends {
        start += std::mem::replace(end, start);
    }
    scratch.clear();
    scratch.extend_from_slice(tokens);
    for token in scratch.iter() {
        let end = &mut ends[bucket(*token)];
        if let Some(place) = tokens.get_mut(usize::from(*end)) {
            *place = *token;
        }
        *end += 1;
    }
    true
}

/// Fast for tokens that are few, or nearly in order.
fn insertion_sort(tokens: &mut [u32]) {
    for at in 1..tokens.len() {
        let token = tokens[at];
        let mut place = at;
        while place > 0 && tokens[place - 1] > token {
            tokens[place] = tokens[place - 1];
            place -= 1;
        }
        tokens[place] = token;
    }
}

/// `dedup` without a branch that depends on the tokens.
fn drop_repeats(tokens: &mut Vec<u32>) {
    let mut distinct = 0;
    for at in 0..tokens.len() {
        tokens[distinct] = tokens[at];
        distinct += usize::from(tokens.get(at + 1) != Some(&tokens[at]));
    }
    tokens.truncate(distinct);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Uniform tokens, repeated ones, and such as share a bucket.
        #[test]
        fn both_sort_the_same(tokens in proptest::collection::vec(any::<u32>(), 0..700), mask in 0..4_usize) {
            let mask = [u32::MAX, 0xff00_0003, 0x0000_ffff, 0x8000_0001][mask];
            let mut fast: Vec<u32> = tokens.iter().map(|token| token & mask).collect();
            let mut simple = fast.clone();
            distinct_tokens(&mut fast, &mut Vec::new());
            distinct_tokens_simply(&mut simple);
            prop_assert_eq!(fast, simple);
        }
    }
}
