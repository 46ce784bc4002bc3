//! A set of names with dense ids in order of first sight.
//!
//! A table of many names does not fit into the fast caches, and a lookup waits for memory twice: for its slot and
//! for the name there. A batch of strings is therefore looked up in steps - all hashes, all slots, all places of
//! names - so that the waits of different strings overlap.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;
use thiserror::Error;

/// Strings looked up together.
const LANES: usize = 32;

/// Names and their dense ids: the first new name gets 0, the next 1, and so on.
///
/// Ids depend on the order in which names arrive; sort by name before anything is written.
#[derive(Debug, Clone)]
pub struct Names {
    text: String,
    spans: Vec<Span>,
    /// Open addressing; the number of slots is a power of two, at most half of them taken.
    slots: Vec<Slot>,
    state: RandomState,
}

/// Where a name lies in the text.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: usize,
    length: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The low half of the name's hash; the high half picks the slot.
    print: u32,
    id: u32,
}

const EMPTY: Slot = Slot { print: 0, id: Names::NONE };

/// More than 2^32 - 2 different names in one set, or a name of 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than 4 billion different names in one column, or one of 4 GiB")]
pub struct TooManyNames;

impl Default for Names {
    fn default() -> Self {
        Self { text: String::new(), spans: Vec::new(), slots: vec![EMPTY; 64], state: RandomState::new() }
    }
}

impl Names {
    /// The id that stands for "no name".
    pub const NONE: u32 = u32::MAX;

    /// The id of `name`, a new one where it is seen for the first time.
    ///
    /// # Errors
    /// Every id is taken.
    pub fn intern(&mut self, name: &str) -> Result<u32, TooManyNames> {
        self.intern_bytes(name.as_bytes())
    }

    /// Like [`Names::intern`], for bytes that should be UTF-8: what is not is replaced by U+FFFD. Bytes are
    /// checked only where they are new.
    ///
    /// # Errors
    /// Every id is taken.
    pub fn intern_bytes(&mut self, name: &[u8]) -> Result<u32, TooManyNames> {
        let hash = self.hash(name);
        self.find_or_insert(hash, name)
    }

    /// Appends the ids of `names` to `ids`.
    ///
    /// # Errors
    /// Every id is taken.
    pub(crate) fn intern_all<'a>(
        &mut self,
        mut names: impl ExactSizeIterator<Item = &'a [u8]>,
        ids: &mut Vec<u32>,
    ) -> Result<(), TooManyNames> {
        ids.reserve(names.len());
        let mut batch: [&[u8]; LANES] = [&[]; LANES];
        let mut hashes = [0; LANES];
        let mut found = [EMPTY; LANES];
        let mut spans = [Span::default(); LANES];
        while names.len() > 0 {
            let count = names.len().min(LANES);
            for ((name, hash), next) in batch.iter_mut().zip(&mut hashes).zip(names.by_ref().take(count)) {
                *name = next;
                *hash = self.hash(next);
            }
            for (found, hash) in found[..count].iter_mut().zip(&hashes) {
                *found = self.slots[self.home(*hash)];
            }
            for (span, found) in spans[..count].iter_mut().zip(&found) {
                *span = self.spans.get(found.id as usize).copied().unwrap_or_default();
            }
            for (((name, hash), found), span) in batch[..count].iter().zip(&hashes).zip(&found).zip(&spans) {
                let same = found.print == *hash as u32
                    && found.id != Self::NONE
                    && span.length as usize == name.len()
                    && &self.text.as_bytes()[span.start..span.start + name.len()] == *name;
                ids.push(if same { found.id } else { self.find_or_insert(*hash, name)? });
            }
        }
        Ok(())
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(name);
        hasher.finish()
    }

    /// The first slot in which a name of this hash may be.
    fn home(&self, hash: u64) -> usize {
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    fn find_or_insert(&mut self, hash: u64, name: &[u8]) -> Result<u32, TooManyNames> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot.id == Self::NONE {
                break;
            }
            if slot.print == hash as u32 && self.name(slot.id).as_bytes() == name {
                return Ok(slot.id);
            }
            at = (at + 1) & mask;
        }
        match std::str::from_utf8(name) {
            Ok(name) => self.insert(hash, name),
            Err(_) => self.intern(&String::from_utf8_lossy(name)),
        }
    }

    /// Adds a name that is not there yet.
    fn insert(&mut self, hash: u64, name: &str) -> Result<u32, TooManyNames> {
        let id = u32::try_from(self.spans.len()).ok().filter(|id| *id != Self::NONE).ok_or(TooManyNames)?;
        let length = u32::try_from(name.len()).map_err(|_| TooManyNames)?;
        self.spans.push(Span { start: self.text.len(), length });
        self.text.push_str(name);
        if self.spans.len() * 2 > self.slots.len() {
            self.grow();
        } else {
            self.place(hash, id);
        }
        Ok(id)
    }

    fn place(&mut self, hash: u64, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        while self.slots[at].id != Self::NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { print: hash as u32, id };
    }

    /// Four times as many slots, and all names in them.
    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 4];
        for id in 0..self.spans.len() as u32 {
            let hash = self.hash(self.name(id).as_bytes());
            self.place(hash, id);
        }
    }

    /// The name of `id`; empty for an id that was never given.
    pub fn name(&self, id: u32) -> &str {
        let Some(span) = self.spans.get(id as usize) else { return "" };
        &self.text[span.start..span.start + span.length as usize]
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.slots.capacity() * size_of::<Slot>()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_and_single_names_have_the_ids_of_a_plain_map(
            batches in proptest::collection::vec(
                proptest::collection::vec("[a-c\u{e9}]{0,4}", 0..90),
                0..12,
            ),
        ) {
            let mut names = Names::default();
            let mut plain: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
            for (number, batch) in batches.iter().enumerate() {
                let mut ids = Vec::new();
                if number % 2 == 0 {
                    names.intern_all(batch.iter().map(String::as_bytes), &mut ids).unwrap();
                } else {
                    ids = batch.iter().map(|name| names.intern(name).unwrap()).collect();
                }
                for (name, id) in batch.iter().zip(ids) {
                    let next = plain.len() as u32;
                    prop_assert_eq!(*plain.entry(name.clone()).or_insert(next), id);
                    prop_assert_eq!(names.name(id), name);
                }
            }
            prop_assert_eq!(names.len(), plain.len());
        }
    }

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
