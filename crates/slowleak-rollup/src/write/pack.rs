//! Bit packing, in the order that both of Parquet's packed encodings share: the lowest bit of the first number
//! first. In: 32 numbers and how many bits each needs. Out: four bytes a bit. It knows no header.

/// Numbers packed at once: a miniblock of deltas, or four groups of eight indices.
pub const BATCH: usize = 32;

/// Most bytes of a batch.
const MOST_BYTES: usize = BATCH * 8;

/// Bits that the largest of some numbers needs, told by the numbers or-ed together.
pub(super) fn width(ored: u64) -> u32 {
    u64::BITS - ored.leading_zeros()
}

/// Appends `numbers`, of which none needs more than `width` bits.
pub fn pack(numbers: &[u64; BATCH], width: u32, out: &mut Vec<u8>) {
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => append::<$width>(numbers, out),)*
                _ => {}
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

/// [`pack`], bit by bit.
pub fn pack_simply(numbers: &[u64; BATCH], width: u32, out: &mut Vec<u8>) {
    let (width, start) = (width as usize, out.len());
    out.resize(start + BATCH * width / 8, 0);
    for (at, number) in numbers.iter().enumerate() {
        for bit in 0..width {
            let place = at * width + bit;
            out[start + place / 8] |= ((number >> bit & 1) as u8) << (place % 8);
        }
    }
}

/// The width is a constant, so that all shifts, places and lengths below are too.
fn append<const WIDTH: usize>(numbers: &[u64; BATCH], out: &mut Vec<u8>) {
    let mut bytes = [0; MOST_BYTES];
    let mut word = 0;
    macro_rules! put {
        ($($at:literal)*) => {
            $(
                let (at, shift) = ($at * WIDTH / 64 * 8, $at * WIDTH % 64);
                word |= numbers[$at] << shift;
                if shift + WIDTH >= 64 {
                    bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
                    word = if shift + WIDTH > 64 { numbers[$at].wrapping_shr(64 - shift as u32) } else { 0 };
                }
            )*
        };
    }
    put!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    if WIDTH % 2 == 1 {
        let at = WIDTH / 2 * 8;
        bytes[at..at + 4].copy_from_slice(&(word as u32).to_le_bytes());
    }
    out.extend_from_slice(&bytes[..WIDTH * BATCH / 8]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_bit_has_its_place(raw in proptest::array::uniform32(any::<u64>()), width in 0_u32..=64) {
            let numbers = raw.map(|number| if width == 0 { 0 } else { number >> (64 - width) });
            let mut out = vec![0xa5];
            pack(&numbers, width, &mut out);
            let mut want = vec![0xa5];
            pack_simply(&numbers, width, &mut want);
            prop_assert_eq!(want.len(), 1 + 4 * width as usize);
            prop_assert_eq!(out, want);
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 255, 256, u64::MAX].map(width), [0, 1, 2, 8, 9, 64]);
    }
}
