//! The inner loops by themselves, for benchmarks: nothing else should need them.

pub use crate::number_hash::{Kernel as HashKernel, kernels as hash_kernels};
pub use crate::page::{Kernel as UnpackKernel, kernels as unpack_kernels};
