//! Dictionary indices, Parquet's hybrid of runs and packed groups. In: indices, as runs or one by one. Out: the
//! bytes of a page, which begin with the bits an index takes.

use super::pack::{BATCH, pack, width};
use crate::varint;

/// Indices a packed group, by the format.
const GROUP: usize = 8;

/// Bits that an index into a dictionary of `entries` takes.
pub(super) fn index_width(entries: usize) -> u32 {
    width(entries.saturating_sub(1) as u64)
}

/// Appends a page of runs, each an index and how often it repeats: long runs as such, in whatever time they
/// take, short ones packed.
pub(super) fn encode_runs(runs: impl IntoIterator<Item = (u64, usize)>, width: u32, out: &mut Vec<u8>) {
    out.push(width as u8);
    let mut short: Vec<u64> = Vec::new();
    for (index, mut count) in runs {
        // Packed groups can not end half-way, but at the end of the page.
        let missing = short.len().next_multiple_of(GROUP) - short.len();
        let filled = missing.min(count);
        short.extend(std::iter::repeat_n(index, filled));
        count -= filled;
        if count < GROUP {
            short.extend(std::iter::repeat_n(index, count));
            continue;
        }
        flush(&mut short, width, out);
        varint::put((count as u64) << 1, out);
        out.extend(index.to_le_bytes().iter().take(width.div_ceil(8) as usize));
    }
    flush(&mut short, width, out);
}

/// Appends a page of the indices of `values`, all packed.
pub(super) fn encode_packed<T>(values: &[T], index: impl Fn(&T) -> u64, width: u32, out: &mut Vec<u8>) {
    out.push(width as u8);
    pack_all(values, index, width, out);
}

fn flush(short: &mut Vec<u64>, width: u32, out: &mut Vec<u8>) {
    if !short.is_empty() {
        pack_all(short, |index| *index, width, out);
        short.clear();
    }
}

fn pack_all<T>(values: &[T], index: impl Fn(&T) -> u64, width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(GROUP);
    varint::put((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    let (batches, rest) = values.as_chunks::<BATCH>();
    let mut batch = [0; BATCH];
    for values in batches {
        for (packed, value) in batch.iter_mut().zip(values) {
            *packed = index(value);
        }
        pack(&batch, width, out);
    }
    if !rest.is_empty() {
        batch = [0; BATCH];
        for (packed, value) in batch.iter_mut().zip(rest) {
            *packed = index(value);
        }
        pack(&batch, width, out);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The indices of a page, read bit by bit.
    fn decoded(page: &[u8], count: usize) -> Vec<u64> {
        let width = usize::from(page[0]);
        let mut at = 1;
        let mut indices = Vec::new();
        while at < page.len() {
            let (mut header, mut shift) = (0, 0);
            loop {
                header |= usize::from(page[at] & 0x7f) << shift;
                (at, shift) = (at + 1, shift + 7);
                if page[at - 1] < 0x80 {
                    break;
                }
            }
            let bytes = if header & 1 == 1 { (header >> 1) * width } else { width.div_ceil(8) };
            let run = &page[at..at + bytes];
            at += bytes;
            let bits = |from: usize| {
                (0..width).fold(0, |index, bit| {
                    let place = from + bit;
                    index | u64::from(run[place / 8] >> (place % 8) & 1) << bit
                })
            };
            if header & 1 == 1 {
                indices.extend((0..(header >> 1) * GROUP).map(|index| bits(index * width)));
            } else {
                indices.extend(std::iter::repeat_n(bits(0), header >> 1));
            }
        }
        // The last packed group is filled up.
        assert!(indices.len() >= count && indices.len() < count + GROUP, "{} for {count}", indices.len());
        assert!(indices.drain(count..).all(|index| index == 0));
        indices
    }

    proptest! {
        #[test]
        fn runs_of_any_length(runs in proptest::collection::vec((0_u64..300, 1_usize..40), 0..60), dense: bool) {
            let runs: Vec<(u64, usize)> =
                runs.into_iter().map(|(index, count)| (index, if dense { count / 8 + 1 } else { count })).collect();
            let mut page = Vec::new();
            encode_runs(runs.iter().copied(), index_width(300), &mut page);
            let want: Vec<u64> = runs.iter().flat_map(|(index, count)| std::iter::repeat_n(*index, *count)).collect();
            prop_assert_eq!(decoded(&page, want.len()), want);
        }

        #[test]
        fn packed_indices(indices in proptest::collection::vec(0_u64..5000, 1..200)) {
            let mut page = Vec::new();
            encode_packed(&indices, |index| *index, index_width(5000), &mut page);
            prop_assert_eq!(decoded(&page, indices.len()), indices);
        }
    }

    #[test]
    fn long_runs_take_a_few_bytes_and_short_ones_a_few_bits() {
        let mut page = Vec::new();
        encode_runs([(0, 1_000_000), (1, 100)], index_width(2), &mut page);
        assert!(page.len() < 10, "{}", page.len());
        page.clear();
        encode_runs((0..1000).map(|index| (index, 1)), index_width(1000), &mut page);
        assert!(page.len() < 1000 * 10 / 8 + 8, "{}", page.len());
    }

    #[test]
    fn widths_of_an_index() {
        assert_eq!([0, 1, 2, 3, 256, 257].map(index_width), [0, 0, 1, 2, 8, 9]);
    }
}
