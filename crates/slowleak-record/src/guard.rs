//! Decoding bytes that nobody vouches for. In: a closure over another crate's decoder. Out: its value, or
//! its error in words; a panic inside is such an error too.
//!
//! The readers of Parquet check most of what they are given, not all of it: a damaged page can make them
//! index past an end. The file is then unusable, the run is not.

use std::cell::Cell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many [`guarded`] calls this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs a decoder on untrusted bytes: a panic inside it becomes an error.
///
/// What `decode` was working on must not be used after an error: it may be left half-changed.
///
/// ```
/// let damaged: &[u8] = &[];
/// let cause = slowleak_record::guarded(|| Ok::<u8, String>(damaged[0])).unwrap_err();
/// assert_eq!(cause, "the decoder gave up on damaged bytes");
/// ```
///
/// # Errors
/// The cause in words: what the decoder said, or that it gave up.
pub fn guarded<T, E: Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let _inside = Inside::enter();
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the decoder gave up on damaged bytes".to_owned()),
    }
}

/// Whether this thread is inside [`guarded`]: a panic now will be told as an error about the input, so a
/// panic hook need not tell it as well.
pub fn is_guarded() -> bool {
    DEPTH.get() > 0
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_errors_and_panics_come_out_apart() {
        assert_eq!(guarded(|| Ok::<_, String>(7)), Ok(7));
        assert_eq!(guarded(|| Err::<(), _>("bad page")), Err("bad page".to_owned()));
        let gave_up = guarded(|| -> Result<(), String> { panic!("index out of bounds") });
        assert!(gave_up.unwrap_err().contains("damaged bytes"));
    }

    #[test]
    fn a_thread_knows_that_it_is_inside_and_when_it_is_out_again() {
        assert!(!is_guarded());
        let inside = guarded(|| guarded(|| Ok::<_, String>(())).map(|()| is_guarded()));
        assert_eq!(inside, Ok(true));
        let _ = guarded(|| -> Result<(), String> { panic!("out through the middle") });
        assert!(!is_guarded());
    }
}
