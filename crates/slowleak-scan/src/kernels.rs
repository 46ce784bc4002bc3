//! The inner loops by themselves, for benchmarks: nothing else should need them.

pub use crate::page::{Kernel as UnpackKernel, kernels as unpack_kernels};
