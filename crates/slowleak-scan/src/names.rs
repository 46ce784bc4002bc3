//! A set of names with dense ids in order of first sight.

use ahash::RandomState;
use hashbrown::HashTable;
use thiserror::Error;

/// Names and their dense ids: the first new name gets 0, the next 1, and so on.
///
/// Ids depend on the order in which names arrive; sort by name before anything is written.
#[derive(Debug, Clone, Default)]
pub struct Names {
    text: String,
    ends: Vec<usize>,
    table: HashTable<u32>,
    state: RandomState,
}

/// More than 2^32 - 2 different names in one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than 4 billion different names in one column")]
pub struct TooManyNames;

impl Names {
    /// The id that stands for "no name".
    pub const NONE: u32 = u32::MAX;

    /// The id of `name`, a new one where it is seen for the first time.
    ///
    /// # Errors
    /// Every id is taken.
    pub fn intern(&mut self, name: &str) -> Result<u32, TooManyNames> {
        let hash = self.state.hash_one(name.as_bytes());
        match self.find(hash, name.as_bytes()) {
            Some(id) => Ok(id),
            None => self.insert(hash, name),
        }
    }

    /// Like [`Names::intern`], for bytes that should be UTF-8: what is not is replaced by U+FFFD. Bytes are
    /// checked only where they are new.
    ///
    /// # Errors
    /// Every id is taken.
    pub fn intern_bytes(&mut self, name: &[u8]) -> Result<u32, TooManyNames> {
        let hash = self.state.hash_one(name);
        if let Some(id) = self.find(hash, name) {
            return Ok(id);
        }
        match std::str::from_utf8(name) {
            Ok(name) => self.insert(hash, name),
            Err(_) => self.intern(&String::from_utf8_lossy(name)),
        }
    }

    fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        let equal = |id: &u32| slice(&self.text, &self.ends, *id).as_bytes() == name;
        self.table.find(hash, equal).copied()
    }

    /// Adds a name that is not there yet.
    fn insert(&mut self, hash: u64, name: &str) -> Result<u32, TooManyNames> {
        let id = u32::try_from(self.ends.len()).ok().filter(|id| *id != Self::NONE).ok_or(TooManyNames)?;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        let (text, ends, state) = (&self.text, &self.ends, &self.state);
        self.table.insert_unique(hash, id, |id| state.hash_one(slice(text, ends, *id).as_bytes()));
        Ok(id)
    }

    /// The name of `id`; empty for an id that was never given.
    pub fn name(&self, id: u32) -> &str {
        slice(&self.text, &self.ends, id)
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

fn slice<'a>(text: &'a str, ends: &[usize], id: u32) -> &'a str {
    let id = id as usize;
    let Some(&end) = ends.get(id) else { return "" };
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_and_stable() {
        let mut names = Names::default();
        assert_eq!(["a", "", "b", "a", ""].map(|name| names.intern(name).unwrap()), [0, 1, 2, 0, 1]);
        assert_eq!([0, 1, 2, 3].map(|id| names.name(id)), ["a", "", "b", ""]);
        for i in 0..10_000 {
            names.intern(&format!("n{i}")).unwrap();
        }
        assert_eq!(names.intern("b"), Ok(2));
        assert_eq!(names.len(), 10_003);
    }

    #[test]
    fn bytes_and_text_share_ids() {
        let mut names = Names::default();
        assert_eq!(names.intern("\u{fffd}a"), Ok(0));
        for (bytes, id) in [(&b"\xffa"[..], 0), (b"b", 1), (b"\xfea", 0), ("\u{fffd}a".as_bytes(), 0)] {
            assert_eq!(names.intern_bytes(bytes), Ok(id));
        }
    }
}
