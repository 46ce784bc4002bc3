//! What the allocator keeps of memory that was freed. It keeps it for the next allocation, and each thread has a store
//! of its own: where memory is short, other threads would take more from the system meanwhile.

/// Gives memory that was freed back to the system; takes some milliseconds where there is much of it. Does nothing
/// where the allocator has no such call.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "a call of the C library")]
    // SAFETY: it takes no pointer, and touches only what the allocator holds as free, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
