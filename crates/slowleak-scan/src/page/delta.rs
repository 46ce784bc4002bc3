//! DELTA_BINARY_PACKED: blocks of differences, each block with its least difference, each miniblock with its own
//! width. In: the body of a page. Out: integers, as many at a time as are asked for.

use bytes::Bytes;

use super::unpack::{GROUP, unpack};
use super::{Damage, varint};

/// Differences that are unpacked together.
const BATCH: usize = 64;

/// See the module. Arithmetic wraps, as the format demands; of 32-bit columns the low half counts.
#[derive(Debug)]
pub(crate) struct Delta {
    bytes: Bytes,
    at: usize,
    block: usize,
    miniblock: usize,
    /// Values not yet handed out, the first included.
    left: usize,
    /// The first value has no difference.
    first: bool,
    last: i64,
    least: i64,
    /// Places of the widths of this block's miniblocks not begun yet.
    widths: std::ops::Range<usize>,
    width: u32,
    /// Differences left in this miniblock's bytes.
    packed: usize,
    /// Differences unpacked, and how many of them were used.
    differences: [u64; BATCH],
    have: usize,
    used: usize,
}

impl Delta {
    pub(crate) fn new(bytes: Bytes) -> Result<Self, Damage> {
        let mut at = 0;
        let mut size = |bytes: &Bytes| {
            usize::try_from(varint(bytes, &mut at)?).map_err(|_| Damage("a block of deltas is too large"))
        };
        let (block, miniblocks, left) = (size(&bytes)?, size(&bytes)?, size(&bytes)?);
        let miniblock = block.checked_div(miniblocks).unwrap_or(0);
        if block == 0 || miniblock == 0 || miniblock % 32 != 0 || miniblock * miniblocks != block {
            return Err(Damage("blocks of deltas have no valid size"));
        }
        let last = zigzag(varint(&bytes, &mut at)?);
        Ok(Self {
            bytes,
            at,
            block,
            miniblock,
            left,
            first: true,
            last,
            least: 0,
            widths: 0..0,
            width: 0,
            packed: 0,
            differences: [0; BATCH],
            have: 0,
            used: 0,
        })
    }

    /// Values left.
    pub(crate) fn len(&self) -> usize {
        self.left
    }

    /// Where the last block ends; only right after every value was read.
    pub(crate) fn end(&self) -> usize {
        // What is left of the last miniblock is padding, which its writer stored nonetheless.
        // (A width of none may come with any number of them.)
        let padding = (self.packed / 8).saturating_mul(self.width as usize);
        self.at.saturating_add(padding)
    }

    /// Appends the next `count` values.
    pub(crate) fn read(&mut self, count: usize, out: &mut Vec<i64>) -> Result<(), Damage> {
        if count > self.left {
            return Err(Damage("a page of deltas has fewer values than it should"));
        }
        self.left -= count;
        let mut count = count;
        if self.first && count > 0 {
            self.first = false;
            out.push(self.last);
            count -= 1;
        }
        while count > 0 {
            if self.used == self.have {
                self.refill()?;
            }
            let some = count.min(self.have - self.used);
            let (least, mut last) = (self.least, self.last);
            let differences = &self.differences[self.used..self.used + some];
            out.extend(differences.iter().map(|difference| {
                last = last.wrapping_add(least).wrapping_add(*difference as i64);
                last
            }));
            self.last = last;
            self.used += some;
            count -= some;
        }
        Ok(())
    }

    /// Unpacks more differences.
    fn refill(&mut self) -> Result<(), Damage> {
        let short = Damage("a block of deltas ends early");
        if self.packed == 0 {
            if self.widths.is_empty() {
                self.least = zigzag(varint(&self.bytes, &mut self.at)?);
                let end = self.at + self.block / self.miniblock;
                if end > self.bytes.len() {
                    return Err(short);
                }
                self.widths = self.at..end;
                self.at = end;
            }
            let width = self.widths.next().and_then(|at| self.bytes.get(at)).ok_or(short)?;
            self.width = u32::from(*width);
            self.packed = self.miniblock;
        }
        let count = self.packed.min(BATCH);
        let size = count / GROUP * self.width as usize;
        let packed = self.bytes.get(self.at..).ok_or(short)?;
        match self.width {
            0 => self.differences[..count].fill(0),
            1..=32 => {
                let mut narrow = [0; BATCH];
                if !unpack(packed, self.width, &mut narrow[..count]) {
                    return Err(short);
                }
                for (wide, narrow) in self.differences[..count].iter_mut().zip(narrow) {
                    *wide = narrow.into();
                }
            }
            33..=64 => {
                unpack_wide(packed.get(..size).ok_or(short)?, self.width, &mut self.differences[..count]);
            }
            _ => return Err(Damage("a delta is wider than 64 bits")),
        }
        self.at += size;
        self.packed -= count;
        self.have = count;
        self.used = 0;
        Ok(())
    }
}

/// Values of 33 to 64 bits.
fn unpack_wide(bytes: &[u8], width: u32, out: &mut [u64]) {
    let mask = u64::MAX >> (64 - width);
    let (mut buffer, mut held, mut bytes) = (0_u128, 0, bytes.iter());
    for value in out {
        while held < width {
            buffer |= u128::from(bytes.next().copied().unwrap_or_default()) << held;
            held += 8;
        }
        *value = buffer as u64 & mask;
        buffer >>= width;
        held -= width;
    }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // That values come back as the parquet crate wrote them is tested with whole columns.
    proptest! {
        #[test]
        fn damage_is_an_error(
            count in 0_u8..=127,
            least in any::<u8>(),
            widths in proptest::collection::vec(0_u8..70, 4),
            body in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            // Blocks of 128 in four miniblocks, of which the first is at hand: the rest is as it may be.
            let header = [128, 1, 4, count, 0, least & 127];
            let bytes: Vec<u8> = header.into_iter().chain(widths.iter().copied()).chain(body.iter().copied()).collect();
            let mut delta = Delta::new(bytes.into()).unwrap();
            let mut out = Vec::new();
            let read = delta.read(count.into(), &mut out);
            let differences = usize::from(count).saturating_sub(1);
            // Bytes of the miniblocks that are begun; the last is read in halves.
            let needed: Vec<usize> = widths
                .iter()
                .take(differences.div_ceil(32))
                .map(|width| usize::from(*width) * 4)
                .collect();
            let valid = widths.iter().take(needed.len()).all(|width| *width <= 64);
            prop_assert_eq!(read.is_ok(), valid && needed.iter().sum::<usize>() <= body.len());
            prop_assert!(read.is_err() || out.len() == usize::from(count));
        }

        #[test]
        fn garbage_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut delta) = Delta::new(bytes.into()) {
                let _ = delta.read(delta.len().min(500), &mut Vec::new());
            }
        }

        #[test]
        fn wide_values_follow_the_definition(
            width in 33_u32..=64,
            bytes in proptest::collection::vec(any::<u8>(), 64),
        ) {
            let mut out = [0; GROUP];
            unpack_wide(&bytes, width, &mut out);
            for (i, value) in out.iter().enumerate() {
                let bit = |b: usize| u64::from(bytes[(i * width as usize + b) / 8] >> ((i * width as usize + b) % 8) & 1);
                prop_assert_eq!(*value, (0..width as usize).map(|b| bit(b) << b).sum::<u64>());
            }
        }
    }
}
