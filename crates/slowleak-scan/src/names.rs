//! A set of names with dense ids in order of first sight.
//!
//! A table of many names does not fit into the fast caches, and a lookup waits for memory twice: for its slot and
//! for the name there. Strings are therefore looked up many at a time, in steps - all hashes, all slots, all names - so
//! that the waits of different strings overlap. A short name lies in the one cache line that tells its length, and
//! whether it is the same is told by four words: no branch depends on what its bytes are.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;
use thiserror::Error;

use crate::page::Texts;
use crate::prefetch::prefetch;

/// Strings looked up together.
const LANES: usize = 64;

/// The longest name that is kept in its [`Entry`].
const SHORT: usize = 28;

/// Names and their dense ids: the first new name gets 0, the next 1, and so on.
///
/// Ids depend on the order in which names arrive; sort by name before anything is written.
#[derive(Debug, Clone)]
pub struct Names {
    entries: Vec<Entry>,
    /// The names that are not short.
    text: String,
    /// Open addressing; the number of slots is a power of two, at most half of them taken.
    slots: Vec<Slot>,
    state: RandomState,
    seeds: [u64; 4],
}

/// A name: its first [`SHORT`] bytes, zeros where it is shorter, then its length. Of a longer name the third
/// eight bytes tell where it lies in the text instead. Never across two cache lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(32))]
struct Entry([u8; 32]);

/// What remains of the first 32 bytes of a name of so many bytes.
const MASKS: [[u64; 4]; SHORT + 1] = {
    let mut masks = [[0; 4]; SHORT + 1];
    let mut length = 0;
    while length <= SHORT {
        let mut byte = 0;
        while byte < length {
            masks[length][byte / 8] |= 0xff << (8 * (byte % 8));
            byte += 1;
        }
        length += 1;
    }
    masks
};

impl Entry {
    /// The entry of a name in `bytes`, except for where a long one lies in the text. `None` for one of 4 GiB.
    #[inline]
    fn new(bytes: &[u8], start: usize, end: usize) -> Option<Self> {
        let length = u32::try_from(end.checked_sub(start)?).ok()?;
        let short = (length as usize).min(SHORT);
        let rest = bytes.get(start..)?;
        let mut room = [0; 32];
        let near = match rest.first_chunk::<32>() {
            Some(near) => near,
            None => {
                room[..short].copy_from_slice(rest.get(..short)?);
                &room
            }
        };
        let mask = &MASKS[short];
        let mut words = words(near);
        words.iter_mut().zip(mask).for_each(|(word, mask)| *word &= mask);
        words[3] |= u64::from(length) << 32;
        let mut entry = Self::default();
        for (eight, word) in entry.0.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *eight = word.to_le_bytes();
        }
        Some(entry)
    }

    fn len(&self) -> usize {
        (words(&self.0)[3] >> 32) as usize
    }

    /// Where a long name lies in the text.
    fn place(&self) -> std::ops::Range<usize> {
        let [.., start, _] = words(&self.0);
        start as usize..(start as usize).saturating_add(self.len())
    }
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|word| u64::from_le_bytes(words[word]))
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
        let state = RandomState::new();
        let seeds = [0, 1, 2, 3].map(|word: u64| state.hash_one(word));
        Self { entries: Vec::new(), text: String::new(), slots: vec![EMPTY; 64], state, seeds }
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
        let entry = Entry::new(name, 0, name.len()).ok_or(TooManyNames)?;
        let hash = self.hash(&entry, name);
        self.find_or_insert(hash, &entry, name)
    }

    /// Appends the ids of `texts` to `ids`.
    ///
    /// # Errors
    /// Every id is taken.
    pub(crate) fn intern_all(&mut self, texts: Texts<'_>, ids: &mut Vec<u32>) -> Result<(), TooManyNames> {
        ids.reserve(texts.len());
        let bytes = texts.bytes();
        let mut wanted = [(Entry::default(), 0_u64); LANES];
        let mut found = [EMPTY; LANES];
        for spans in texts.spans().chunks(LANES) {
            let (mask, shift) = (self.slots.len() - 1, self.shift());
            for ((entry, hash), (start, end)) in wanted.iter_mut().zip(spans) {
                let (start, end) = (*start as usize, *end as usize);
                *entry = Entry::new(bytes, start, end).ok_or(TooManyNames)?;
                *hash = self.hash(entry, bytes.get(start..end).unwrap_or_default());
                prefetch(&self.slots, (*hash >> shift) as usize);
            }
            for (found, (_, hash)) in found.iter_mut().zip(&wanted[..spans.len()]) {
                *found = self.slots[(hash >> shift) as usize & mask];
                prefetch(&self.entries, found.id as usize);
            }
            for (((entry, hash), found), (start, end)) in wanted.iter().zip(&found).zip(spans) {
                let name = bytes.get(*start as usize..*end as usize).unwrap_or_default();
                let same = found.print == *hash as u32 && self.is(found.id, entry, name);
                ids.push(if same { found.id } else { self.find_or_insert(*hash, entry, name)? });
            }
        }
        Ok(())
    }

    /// The hash of a name of which `entry` is the entry. A short one is hashed as four words, whatever its length.
    #[inline(always)]
    fn hash(&self, entry: &Entry, name: &[u8]) -> u64 {
        let words = words(&entry.0);
        let [a, b, c, d] = std::array::from_fn(|at| words[at] ^ self.seeds[at]);
        let hash = folded(a, b) ^ folded(c, d);
        match name.get(SHORT..) {
            None | Some([]) => hash,
            Some(rest) => {
                let mut hasher = self.state.build_hasher();
                hasher.write(rest);
                hash ^ hasher.finish()
            }
        }
    }

    /// Whether `id` is the name `name`, of which `entry` is the entry; it is not where there is no such id.
    #[inline]
    fn is(&self, id: u32, entry: &Entry, name: &[u8]) -> bool {
        let Some(known) = self.entries.get(id as usize) else { return false };
        if name.len() <= SHORT {
            return known == entry;
        }
        known.len() == name.len()
            && known.0[..16] == entry.0[..16]
            && self.text.as_bytes().get(known.place()).is_some_and(|known| known == name)
    }

    /// How far a hash is shifted to give the first slot in which its name may be.
    fn shift(&self) -> u32 {
        64 - self.slots.len().trailing_zeros()
    }

    fn find_or_insert(&mut self, hash: u64, entry: &Entry, name: &[u8]) -> Result<u32, TooManyNames> {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift()) as usize;
        loop {
            let slot = self.slots[at];
            if slot.id == Self::NONE {
                break;
            }
            if slot.print == hash as u32 && self.is(slot.id, entry, name) {
                return Ok(slot.id);
            }
            at = (at + 1) & mask;
        }
        match std::str::from_utf8(name) {
            Ok(name) => self.insert(hash, *entry, name),
            Err(_) => self.intern(&String::from_utf8_lossy(name)),
        }
    }

    /// Adds a name that is not there yet.
    fn insert(&mut self, hash: u64, mut entry: Entry, name: &str) -> Result<u32, TooManyNames> {
        let id = u32::try_from(self.entries.len()).ok().filter(|id| *id != Self::NONE).ok_or(TooManyNames)?;
        if name.len() > SHORT {
            entry.0[16..24].copy_from_slice(&(self.text.len() as u64).to_le_bytes());
            self.text.push_str(name);
        }
        self.entries.push(entry);
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        } else {
            self.place(hash, id);
        }
        Ok(id)
    }

    fn place(&mut self, hash: u64, id: u32) {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift()) as usize;
        while self.slots[at].id != Self::NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { print: hash as u32, id };
    }

    /// Four times as many slots, and all names in them.
    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 4];
        for id in 0..self.entries.len() as u32 {
            let name = self.name(id).as_bytes();
            let Some(entry) = Entry::new(name, 0, name.len()) else { continue };
            let hash = self.hash(&entry, name);
            self.place(hash, id);
        }
    }

    /// The name of `id`; empty for an id that was never given.
    pub fn name(&self, id: u32) -> &str {
        let Some(entry) = self.entries.get(id as usize) else { return "" };
        match entry.0[..SHORT].get(..entry.len()) {
            Some(name) => std::str::from_utf8(name).unwrap_or_default(),
            None => self.text.get(entry.place()).unwrap_or_default(),
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.slots.capacity() * size_of::<Slot>()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The two halves of a product over each other: every bit of either factor counts.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_and_single_names_have_the_ids_of_a_plain_map(
            batches in proptest::collection::vec(
                proptest::collection::vec("[a-c\u{e9}]{0,4}(a{22}[b-d]{0,12})?", 0..200),
                0..12,
            ),
        ) {
            let mut names = Names::default();
            let mut plain: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
            for (number, batch) in batches.iter().enumerate() {
                let mut ids = Vec::new();
                if number % 2 == 0 {
                    let bytes = batch.concat().into_bytes();
                    let mut end = 0;
                    let spans = batch.iter().map(|name| {
                        let start = end;
                        end += name.len() as u32;
                        (start, end)
                    });
                    let spans: Vec<(u32, u32)> = spans.collect();
                    names.intern_all(Texts::new(&bytes, &spans), &mut ids).unwrap();
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
