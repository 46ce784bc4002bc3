//! Delta packing, Parquet's `DELTA_BINARY_PACKED`. In: 64-bit integers. Out: the bytes of a page.
//!
//! A block of 128 differences has one minimum; what they exceed it by is packed in four miniblocks, each as wide
//! as its largest. Differences wrap around, so that no pair of numbers is too far apart.

use super::pack::{BATCH, pack, width};
use crate::varint;

/// Differences a block.
pub(super) const BLOCK: usize = 128;
const MINIBLOCKS: usize = BLOCK / BATCH;

/// Appends the page of `values`, each as `number` reads it.
pub(super) fn encode<T>(values: &[T], number: impl Fn(&T) -> i64, out: &mut Vec<u8>) {
    varint::put(BLOCK as u64, out);
    varint::put(MINIBLOCKS as u64, out);
    varint::put(values.len() as u64, out);
    let mut before = values.first().map_or(0, &number);
    varint::put_signed(before, out);
    for chunk in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        // The length of a full one known to the compiler.
        let (block, least) = match <&[T; BLOCK]>::try_from(chunk) {
            Ok(full) => block(full, before, &number),
            Err(_) => block(chunk, before, &number),
        };
        before = chunk.last().map_or(before, &number);
        varint::put_signed(least, out);
        let (miniblocks, _) = block.as_chunks::<BATCH>();
        let widths = widths(&block);
        out.extend_from_slice(&widths.map(|width| width as u8));
        for (miniblock, width) in miniblocks.iter().zip(widths) {
            pack(miniblock, width, out);
        }
    }
}

/// Bytes that a page of `values` takes, told by one block in `every`.
pub(super) fn estimate<T>(values: &[T], number: impl Fn(&T) -> i64, every: usize) -> usize {
    let (mut bytes, mut seen) = (0, 0);
    for chunk in values.windows(BLOCK + 1).step_by(BLOCK * every) {
        let (block, _) = block(&chunk[1..], number(&chunk[0]), &number);
        bytes += 6 + widths(&block).iter().map(|width| *width as usize * BATCH / 8).sum::<usize>();
        seen += BLOCK;
    }
    match seen {
        0 => values.len() * 8,
        seen => (bytes as f64 / seen as f64 * values.len() as f64) as usize,
    }
}

/// What the differences of up to [`BLOCK`] values, the first from `before`, exceed the least of them by; and
/// that.
#[inline(always)]
fn block<T>(chunk: &[T], before: i64, number: impl Fn(&T) -> i64) -> ([u64; BLOCK], i64) {
    let mut values = [0; BLOCK + 1];
    values[0] = before;
    for (value, from) in values[1..].iter_mut().zip(chunk) {
        *value = number(from);
    }
    let mut block = [0; BLOCK];
    let mut beyond = 0;
    for ((difference, pair), _) in block.iter_mut().zip(values.windows(2)).zip(chunk) {
        *difference = pair[1].wrapping_sub(pair[0]) as u64;
        beyond |= difference.wrapping_add(1 << 31) >> 32;
    }
    let exact = block.iter().take(chunk.len());
    let least = if beyond == 0 {
        // Few machines compare 64 bits at a time, all compare 32.
        i64::from(exact.fold(i32::MAX, |least, difference| least.min(*difference as i32)))
    } else {
        exact.fold(i64::MAX, |least, difference| least.min(*difference as i64))
    };
    for (difference, _) in block.iter_mut().zip(chunk) {
        *difference = difference.wrapping_sub(least as u64);
    }
    (block, least)
}

fn widths(block: &[u64; BLOCK]) -> [u32; MINIBLOCKS] {
    let mut widths = [0; MINIBLOCKS];
    let (miniblocks, _) = block.as_chunks::<BATCH>();
    for (mine, miniblock) in widths.iter_mut().zip(miniblocks) {
        *mine = width(miniblock.iter().fold(0, |ored, difference| ored | difference));
    }
    widths
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use parquet::basic::{Encoding, Type};
    use parquet::column::page::{Page, PageMetadata, PageReader};
    use parquet::column::reader::ColumnReaderImpl;
    use parquet::data_type::Int64Type;
    use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type as SchemaType};
    use proptest::prelude::*;

    use super::*;

    /// One page of required 64-bit integers.
    struct OnePage(Option<Page>);

    impl Iterator for OnePage {
        type Item = parquet::errors::Result<Page>;

        fn next(&mut self) -> Option<Self::Item> {
            self.get_next_page().transpose()
        }
    }

    impl PageReader for OnePage {
        fn get_next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
            Ok(self.0.take())
        }

        fn peek_next_page(&mut self) -> parquet::errors::Result<Option<PageMetadata>> {
            let metadata = |page: &Page| PageMetadata {
                num_rows: None,
                num_levels: Some(page.num_values() as usize),
                is_dict: false,
            };
            Ok(self.0.as_ref().map(metadata))
        }

        fn skip_next_page(&mut self) -> parquet::errors::Result<()> {
            self.0 = None;
            Ok(())
        }
    }

    /// What parquet's own reader makes of the page.
    fn decoded(page: Vec<u8>, count: usize) -> Vec<i64> {
        let field = SchemaType::primitive_type_builder("x", Type::INT64)
            .with_repetition(parquet::basic::Repetition::REQUIRED)
            .build()
            .unwrap();
        let column = ColumnDescriptor::new(Arc::new(field), 0, 0, ColumnPath::from("x"));
        let page = Page::DataPage {
            buf: Bytes::from(page),
            num_values: count as u32,
            encoding: Encoding::DELTA_BINARY_PACKED,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let mut reader = ColumnReaderImpl::<Int64Type>::new(Arc::new(column), Box::new(OnePage(Some(page))));
        let mut values = Vec::new();
        while values.len() < count && reader.read_records(count, None, None, &mut values).unwrap().0 > 0 {}
        values
    }

    fn round_trips(values: &[i64]) {
        let mut page = Vec::new();
        encode(values, |value| *value, &mut page);
        assert_eq!(decoded(page, values.len()), values);
    }

    #[test]
    fn lengths_around_a_block() {
        for count in [1, 2, 31, 32, 33, 64, 127, 128, 129, 130, 160, 161, 256, 257, 1000] {
            round_trips(&(0..count).map(|i| i * i % 97 - 40).collect::<Vec<i64>>());
            round_trips(&vec![-7; count as usize]);
        }
    }

    #[test]
    fn extremes() {
        round_trips(&[i64::MIN, i64::MAX, i64::MIN, 0, -1, i64::MAX]);
        round_trips(&[i64::MAX, i64::MIN].repeat(100));
        round_trips(&[i64::MIN; 129]);
    }

    #[test]
    fn an_empty_page_is_its_header() {
        let mut page = Vec::new();
        encode(&[], |value: &i64| *value, &mut page);
        assert_eq!(page, [0x80, 1, 4, 0, 0]);
    }

    #[test]
    fn an_estimate_of_alike_blocks_is_near() {
        let values: Vec<i64> = (0..20_000).map(|i| i * 7919 % 1000).collect();
        let mut page = Vec::new();
        encode(&values, |value| *value, &mut page);
        let estimate = estimate(&values, |value| *value, 8) as f64 / page.len() as f64;
        assert!((0.95..1.05).contains(&estimate), "{estimate}");
    }

    proptest! {
        #[test]
        fn any_numbers_round_trip(
            values in proptest::collection::vec(
                prop_oneof![any::<i64>(), -5_i64..5, Just(i64::MIN), Just(i64::MAX), 0_i64..1 << 40],
                1..400,
            ),
        ) {
            round_trips(&values);
        }
    }
}
