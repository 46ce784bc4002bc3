//! Distinct tokens of a sketch. In: tokens in any order. Out: each once, ascending.
//!
//! Tokens begin with bits of a hash and so are uniform: dealt into as many buckets as there are first bits, nearly all
//! come to lie within a few places of their own.

/// Tokens below which buckets do not pay.
const FEW: usize = 16;

/// Tokens from which more buckets pay, and yet more.
const SOME: usize = 64;
const MANY: usize = 128;

/// A bucket as large as this holds repeats, or tokens that somebody has chosen: insertion would take too long. A power of
/// two, so that the bits of all sizes together tell.
const LARGE: u16 = 32;

/// Sorts `tokens` and drops repeats; `scratch` is overwritten.
pub fn distinct_tokens(tokens: &mut Vec<u32>, scratch: &mut Vec<u32>) {
    let dealt = match tokens.len() {
        0..FEW => false,
        FEW..SOME => deal::<64>(tokens, scratch),
        SOME..MANY => deal::<256>(tokens, scratch),
        MANY..0x1_0000 => deal::<512>(tokens, scratch),
        // Sizes have 16 bits.
        _ => false,
    };
    if dealt {
        insertion_sort(tokens);
    } else {
        tokens.sort_unstable();
    }
    // Repeats are rare, or all there is: a branch for each is foreseen.
    tokens.dedup();
}

/// The twin of [`distinct_tokens`].
pub fn distinct_tokens_simply(tokens: &mut Vec<u32>) {
    tokens.sort_unstable();
    tokens.dedup();
}

/// Orders tokens by their first bits, as long as no bucket is too large.
fn deal<const BUCKETS: usize>(tokens: &mut [u32], scratch: &mut Vec<u32>) -> bool {
    let bucket = |token: u32| (token >> (u32::BITS - BUCKETS.trailing_zeros())) as usize;
    // First how many tokens a bucket has, then where its next one goes.
    let mut ends = [0_u16; BUCKETS];
    tokens.iter().for_each(|token| ends[bucket(*token)] += 1);
    if ends.iter().fold(0, |bits, size| bits | size) >= LARGE {
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

/// Fast for tokens that are nearly in order.
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
