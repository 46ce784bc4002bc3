//! The inner loops by themselves, for benchmarks: nothing else should need them.

use crate::page::Texts;
use crate::{Names, TooManyNames};

pub use crate::number_hash::{Kernel as HashKernel, kernels as hash_kernels};
pub use crate::page::{Kernel as UnpackKernel, kernels as unpack_kernels};

/// Appends the ids of the strings that start and end in `bytes` where `spans` tell, looked up many at a time;
/// [`Names::intern_bytes`] does the same one by one.
///
/// # Errors
/// Every id is taken.
pub fn intern_all(
    names: &mut Names,
    bytes: &[u8],
    spans: &[(u32, u32)],
    ids: &mut Vec<u32>,
) -> Result<(), TooManyNames> {
    names.intern_all(Texts::new(bytes, spans), ids)
}
