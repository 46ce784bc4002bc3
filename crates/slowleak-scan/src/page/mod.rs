//! Pages of one column chunk to values. In: a column chunk of one row group, flat, of 32-bit or 64-bit integers or
//! byte strings. Out: values in batches of any size, whatever pages they lie in, handed to a [`Sink`]. It knows
//! Parquet's encodings and nothing of what a column means.
//!
//! What is not covered (other physical types, nested columns, rare encodings) is told before a value is lost, so
//! that the caller can go on with the arrow reader from the same row.

mod column_chunk;
mod delta;
mod hybrid;
mod texts;
mod unpack;

pub(crate) use column_chunk::{ColumnChunk, Sink, Trouble};
pub(crate) use texts::Texts;
pub use unpack::{Kernel, kernels};

/// Bytes that no writer wrote: what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);

/// An unsigned number in groups of seven bits, the lowest first.
fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, Damage> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.get(*at).ok_or(Damage("a number ends early"))?;
        *at += 1;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
    Err(Damage("a number is longer than 64 bits"))
}
