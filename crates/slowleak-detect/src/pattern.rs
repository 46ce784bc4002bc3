//! A glob over names of the log: `*`, `?`, `[ab]` and `{one,other}`, over the whole name and with no letter special but
//! these. For settings that mean many entities at once.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, de};

/// See the module.
#[derive(Debug, Clone)]
pub struct Pattern(GlobMatcher);

impl Pattern {
    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        self.0.glob().glob()
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names are no paths: a star means any text, slashes included.
        let glob = GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build();
        let glob = glob.map_err(|error| format!("{text:?} is not a pattern: {}", error.kind()))?;
        Ok(Self(glob.compile_matcher()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_the_whole_name_must_match() {
        let matches = |pattern: &str, name: &str| pattern.parse::<Pattern>().unwrap().matches(name);
        assert!(matches("batch-*", "batch-a/b + c"));
        assert!(matches("{pay,card}*", "cards.v2") && matches("key+object", "key+object"));
        assert!(!matches("batch", "batch-1") && !matches("Batch*", "batch-1"));
        assert!("a[".parse::<Pattern>().unwrap_err().contains("\"a[\" is not a pattern"));
    }
}
