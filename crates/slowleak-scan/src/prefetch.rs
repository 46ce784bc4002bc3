//! Asking for a place in a table before it is needed, so that the waits of many places overlap.

/// Asks the processor to fetch `table[at]`; a hint, which does nothing where there is no such place.
#[inline(always)]
pub(crate) fn prefetch<T>(table: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(place) = table.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees and never faults; SSE is part of x86-64.
        #[expect(unsafe_code, reason = "the hint takes a pointer")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, at);
}
