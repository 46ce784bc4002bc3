//! Small numbers in Parquet's hybrid of runs and packed groups: dictionary indices and definition levels. In:
//! numbers. Out: their bytes, without the width or the length that a page has before them.

/// Numbers a group, by the format.
const GROUP: usize = 8;

/// Bits that an index into a dictionary of `entries` takes.
pub(crate) fn width(entries: usize) -> u32 {
    usize::BITS - entries.saturating_sub(1).leading_zeros()
}

/// Appends `numbers`, none of which needs more than `width` bits, 32 at most: groups of one number as runs,
/// all others packed.
pub(crate) fn encode(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    let (groups, rest) = numbers.as_chunks::<GROUP>();
    let mut last = [0; GROUP];
    last[..rest.len()].copy_from_slice(rest);
    let mut at = 0;
    while at < groups.len() {
        let number = groups[at][0];
        let repeated = groups[at..].iter().take_while(|group| **group == [number; GROUP]).count();
        if repeated > 0 {
            varint((repeated * GROUP) << 1, out);
            out.extend(number.to_le_bytes().iter().take(width.div_ceil(8) as usize));
            at += repeated;
            continue;
        }
        let packed = groups[at..].iter().take_while(|group| **group != [group[0]; GROUP]).count();
        varint(packed << 1 | 1, out);
        pack(&groups[at..at + packed], width, out);
        at += packed;
    }
    if !rest.is_empty() {
        // What a page's last group has too many is not read.
        varint(1 << 1 | 1, out);
        pack(&[last], width, out);
    }
}

/// The lowest bit of the first number first.
fn pack(groups: &[[u32; GROUP]], width: u32, out: &mut Vec<u8>) {
    for group in groups {
        let (mut word, mut bits) = (0_u64, 0);
        for &number in group {
            word |= u64::from(number) << bits;
            bits += width;
            if bits >= u32::BITS {
                out.extend((word as u32).to_le_bytes());
                word >>= u32::BITS;
                bits -= u32::BITS;
            }
        }
        out.extend(word.to_le_bytes().iter().take(bits as usize / 8));
    }
}

fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The numbers of a page, read bit by bit.
    fn decoded(bytes: &[u8], width: usize, count: usize) -> Vec<u32> {
        let (mut at, mut numbers) = (0, Vec::new());
        while at < bytes.len() {
            let (mut header, mut shift) = (0, 0);
            loop {
                header |= usize::from(bytes[at] & 0x7f) << shift;
                (at, shift) = (at + 1, shift + 7);
                if bytes[at - 1] < 0x80 {
                    break;
                }
            }
            let length = if header & 1 == 1 { (header >> 1) * width } else { width.div_ceil(8) };
            let run = &bytes[at..at + length];
            at += length;
            let number = |from: usize| {
                (from..from + width).rev().fold(0, |n, bit| n << 1 | u32::from(run[bit / 8] >> (bit % 8) & 1))
            };
            if header & 1 == 1 {
                numbers.extend((0..(header >> 1) * GROUP).map(|n| number(n * width)));
            } else {
                numbers.extend(std::iter::repeat_n(number(0), header >> 1));
            }
        }
        assert_eq!(numbers.len(), count.next_multiple_of(GROUP));
        numbers.truncate(count);
        numbers
    }

    proptest! {
        #[test]
        fn numbers_of_any_width_in_any_mix_of_runs(
            runs in prop::collection::vec((any::<u32>(), 1_usize..40), 0..40),
            bits in 0_u32..=32,
        ) {
            let mask = if bits == 0 { 0 } else { u32::MAX >> (32 - bits) };
            let numbers: Vec<u32> =
                runs.into_iter().flat_map(|(number, count)| std::iter::repeat_n(number & mask, count)).collect();
            let mut bytes = Vec::new();
            encode(&numbers, bits, &mut bytes);
            prop_assert_eq!(decoded(&bytes, bits as usize, numbers.len()), numbers);
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 3, 4, 5, 256, 257].map(width), [0, 0, 1, 2, 2, 3, 8, 9]);
    }

    #[test]
    fn long_runs_are_short() {
        let mut bytes = Vec::new();
        encode(&[5; 20_000], 12, &mut bytes);
        assert!(bytes.len() < 8, "{bytes:?}");
    }
}
