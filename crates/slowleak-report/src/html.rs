//! stub
use crate::Run;
pub(crate) fn page(_run: &Run<'_>) -> Result<String, minijinja::Error> {
    Ok(String::new())
}
