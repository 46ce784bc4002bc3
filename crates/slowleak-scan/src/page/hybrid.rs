//! The hybrid of run-length and bit-packed runs, in which Parquet keeps dictionary indices and levels. In: the
//! body of a page. Out: values, as many at a time as are asked for.

use bytes::Bytes;

use super::unpack::{GROUP, unpack};
use super::{Damage, varint};

/// See the module.
#[derive(Debug)]
pub(crate) struct Hybrid {
    bytes: Bytes,
    at: usize,
    width: u32,
    run: Run,
    /// Values of a group that was unpacked for fewer than eight, and how many of them were handed out.
    spare: [u32; GROUP],
    taken: usize,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    /// One value, so many times.
    Repeated { value: u32, left: usize },
    /// So many values, packed from the current place on.
    Packed { left: usize },
}

impl Hybrid {
    /// Values of `width` bits.
    pub(crate) fn new(bytes: Bytes, width: u32) -> Result<Self, Damage> {
        if width > 32 {
            return Err(Damage("an index is wider than 32 bits"));
        }
        Ok(Self { bytes, at: 0, width, run: Run::Packed { left: 0 }, spare: [0; GROUP], taken: GROUP })
    }

    /// Fills `out`.
    pub(crate) fn read(&mut self, mut out: &mut [u32]) -> Result<(), Damage> {
        while !out.is_empty() {
            let done = match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0 } => {
                    self.next_run()?;
                    continue;
                }
                Run::Repeated { value, left } => {
                    let count = out.len().min(*left);
                    out[..count].fill(*value);
                    *left -= count;
                    count
                }
                Run::Packed { left } => {
                    let left = *left;
                    self.read_packed(&mut out[..], left)?
                }
            };
            out = &mut out[done..];
        }
        Ok(())
    }

    /// Reads up to `out.len()` of the `left` values of a packed run; returns how many.
    fn read_packed(&mut self, out: &mut [u32], left: usize) -> Result<usize, Damage> {
        let count = out.len().min(left);
        let mut done = count.min(GROUP - self.taken);
        out[..done].copy_from_slice(&self.spare[self.taken..self.taken + done]);
        self.taken += done;
        let whole = (count - done) / GROUP * GROUP;
        let size = |values: usize| values / GROUP * self.width as usize;
        let short = Damage("a packed run ends early");
        if whole > 0 {
            let packed = self.bytes.get(self.at..).ok_or(short)?;
            if !unpack(packed, self.width, &mut out[done..done + whole]) {
                return Err(short);
            }
            self.at += size(whole);
            done += whole;
        }
        if done < count {
            let packed = self.bytes.get(self.at..).ok_or(short)?;
            if !unpack(packed, self.width, &mut self.spare) {
                return Err(short);
            }
            self.at += size(GROUP);
            self.taken = count - done;
            out[done..count].copy_from_slice(&self.spare[..self.taken]);
        }
        self.run = Run::Packed { left: left - count };
        Ok(count)
    }

    fn next_run(&mut self) -> Result<(), Damage> {
        let header = varint(&self.bytes, &mut self.at)?;
        let length = usize::try_from(header >> 1).map_err(|_| Damage("a run is too long"))?;
        if length == 0 {
            return Err(Damage("a run is empty"));
        }
        self.taken = GROUP;
        self.run = if header & 1 == 1 {
            let bytes = length.checked_mul(self.width as usize).ok_or(Damage("a run is too long"))?;
            // Some writers cut off the last group of the page: zeros follow.
            let have = self.bytes.len().saturating_sub(self.at);
            if bytes > have {
                let mut whole = vec![0; self.padded(bytes, have)?];
                whole[..have].copy_from_slice(&self.bytes[self.at..]);
                self.bytes = whole.into();
                self.at = 0;
            }
            Run::Packed { left: length.checked_mul(GROUP).ok_or(Damage("a run is too long"))? }
        } else {
            let size = self.width.div_ceil(8) as usize;
            let end = self.at.checked_add(size).ok_or(Damage("a run is too long"))?;
            let bytes = self.bytes.get(self.at..end).ok_or(Damage("a repeated value ends early"))?;
            let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            self.at = end;
            let value = value as u32;
            if self.width < 32 && value >> self.width != 0 {
                return Err(Damage("a repeated value is wider than its column"));
            }
            Run::Repeated { value, left: length }
        };
        Ok(())
    }

    /// The size of a run of which `have` bytes are there: it may lack less than one group.
    fn padded(&self, bytes: usize, have: usize) -> Result<usize, Damage> {
        if bytes - have >= (self.width as usize).max(1) {
            Err(Damage("a packed run ends early"))
        } else {
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A run, as a writer would choose it.
    #[derive(Debug, Clone)]
    enum Choice {
        Repeat(u32, usize),
        Pack(Vec<u32>),
    }

    fn encode(runs: &[Choice], width: u32) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        let header = |bytes: &mut Vec<u8>, mut n: u64| {
            while n >= 128 {
                bytes.push(n as u8 | 128);
                n >>= 7;
            }
            bytes.push(n as u8);
        };
        for run in runs {
            match run {
                Choice::Repeat(value, count) => {
                    header(&mut bytes, (*count as u64) << 1);
                    bytes.extend(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
                    values.extend(std::iter::repeat_n(*value, *count));
                }
                Choice::Pack(packed) => {
                    header(&mut bytes, (packed.len() as u64 / 8) << 1 | 1);
                    let start = bytes.len();
                    bytes.resize(start + packed.len() / 8 * width as usize, 0);
                    for (i, value) in packed.iter().enumerate() {
                        for b in (0..width as usize).filter(|b| value >> b & 1 == 1) {
                            let bit = i * width as usize + b;
                            bytes[start + bit / 8] |= 1 << (bit % 8);
                        }
                    }
                    values.extend(packed);
                }
            }
        }
        (bytes, values)
    }

    fn runs() -> impl Strategy<Value = (u32, Vec<Choice>)> {
        (0_u32..=32).prop_flat_map(|width| {
            let value = if width == 0 { 0..=0 } else { 0..=u32::MAX >> (32 - width) };
            let repeat = (value.clone(), 1_usize..40).prop_map(|(value, count)| Choice::Repeat(value, count));
            let pack = proptest::collection::vec(value, 8..90).prop_map(|mut values| {
                values.truncate(values.len() / 8 * 8);
                Choice::Pack(values)
            });
            (Just(width), proptest::collection::vec(prop_oneof![repeat, pack], 0..12))
        })
    }

    proptest! {
        #[test]
        fn values_come_back_in_pieces_of_any_size(
            (width, runs) in runs(),
            sizes in proptest::collection::vec(1_usize..50, 1..20),
            cut in 0_usize..4,
        ) {
            let (mut bytes, values) = encode(&runs, width);
            if let Some(Choice::Pack(_)) = runs.last() {
                bytes.truncate(bytes.len() - cut.min((width as usize).saturating_sub(1)));
            }
            let mut hybrid = Hybrid::new(bytes.into(), width).unwrap();
            let mut got = Vec::new();
            for size in sizes.iter().cycle() {
                let mut out = vec![9; (*size).min(values.len() - got.len())];
                hybrid.read(&mut out).unwrap();
                got.extend(out);
                if got.len() == values.len() {
                    break;
                }
            }
            // What was cut off the last group reads as zeros.
            let whole = if cut > 0 { values.len().saturating_sub(GROUP) } else { values.len() };
            prop_assert_eq!(&got[..whole], &values[..whole]);
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), width in 0_u32..=33) {
            if let Ok(mut hybrid) = Hybrid::new(bytes.into(), width) {
                let mut out = [0; 100];
                // A run may be longer than anyone can wait for.
                let _ = (0..20).try_for_each(|_| hybrid.read(&mut out));
                prop_assert!(width == 32 || out.iter().all(|value| value >> width == 0));
            }
        }
    }
}
