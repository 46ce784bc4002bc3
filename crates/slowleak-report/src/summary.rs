//! stub
use crate::Run;
/// A run for the terminal.
pub fn summary(_run: &Run<'_>, _width: usize, _color: bool) -> String {
    String::new()
}
