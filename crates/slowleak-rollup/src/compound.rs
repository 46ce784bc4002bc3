//! Ids of compound entities. In: ids of the parts, a batch at a time. Out: one id a record.
//!
//! The table of a large compound does not fit into the cache, and a lookup waits for memory. A batch is
//! therefore probed in steps: the home slots of many keys are loaded, whose waits overlap, then the keys of the ids
//! that are found there, and only then are they compared.

use crate::block::NONE;

/// Keys probed together.
const LANES: usize = 64;

/// Slots to begin with.
const FIRST_SLOTS: usize = 64;

/// Stands for a key with an absent part.
pub(crate) const ABSENT: u64 = u64::MAX;

/// Dense ids of pairs of ids: the first new pair gets 0, the next 1, and so on. The key of a pair is its first id in the
/// high half and its second in the low half, or all ones where either is absent.
#[derive(Debug)]
pub struct PairIds {
    /// An id or [`NONE`]. Without their keys, slots are small enough for a window's to stay in the cache.
    slots: Vec<u32>,
    /// The pairs, by id.
    keys: Vec<u64>,
}

impl Default for PairIds {
    fn default() -> Self {
        Self { slots: vec![NONE; FIRST_SLOTS], keys: Vec::new() }
    }
}

/// The key of a pair.
pub(crate) fn pair(left: u32, right: u32) -> u64 {
    if left == NONE || right == NONE { ABSENT } else { u64::from(left) << 32 | u64::from(right) }
}

impl PairIds {
    /// The pairs, by id.
    pub(crate) fn pairs(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        self.keys.iter().map(|key| ((key >> 32) as u32, *key as u32))
    }

    /// The keys of the pairs, by id.
    pub(crate) fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Forgets all pairs. Some of the room is given up where they have hardly used it: all of it has to be cleared.
    pub fn clear(&mut self) {
        let few = self.keys.len() * 16 < self.slots.len();
        if few && self.slots.len() > FIRST_SLOTS {
            self.slots = vec![NONE; self.slots.len() / 4];
        } else {
            self.slots.fill(NONE);
        }
        self.keys.clear();
    }

    /// Number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>() + self.keys.capacity() * size_of::<u64>()
    }

    /// Replaces `ids` by the ids of `keys`, all ones where a part is absent.
    pub fn resolve(&mut self, keys: &[u64], ids: &mut Vec<u32>) {
        ids.clear();
        ids.reserve(keys.len());
        let (mut found, mut seen) = ([NONE; LANES], [ABSENT; LANES]);
        for lanes in keys.chunks(LANES) {
            let shift = self.shift();
            for (found, key) in found.iter_mut().zip(lanes) {
                *found = self.slots[(hash(*key) >> shift) as usize];
            }
            for (seen, found) in seen.iter_mut().zip(&found) {
                *seen = self.keys.get(*found as usize).copied().unwrap_or(ABSENT);
            }
            for ((found, seen), key) in found.iter().zip(&seen).zip(lanes) {
                ids.push(if seen == key { *found } else { self.probe(*key) });
            }
        }
    }

    /// [`PairIds::resolve`], one key after the other.
    pub fn resolve_simply(&mut self, keys: &[u64], ids: &mut Vec<u32>) {
        ids.clear();
        ids.extend(keys.iter().map(|key| self.probe(*key)));
    }

    /// How far a hash is shifted to give its home slot; the number of slots is a power of two.
    fn shift(&self) -> u32 {
        64 - self.slots.len().trailing_zeros()
    }

    fn probe(&mut self, key: u64) -> u32 {
        if key == ABSENT {
            return NONE;
        }
        if self.keys.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = (hash(key) >> self.shift()) as usize;
        loop {
            let id = self.slots[at];
            if id == NONE {
                let id = self.keys.len() as u32;
                self.slots[at] = id;
                self.keys.push(key);
                return id;
            }
            if self.keys[id as usize] == key {
                return id;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![NONE; self.slots.len() * 2];
        let (mask, shift) = (self.slots.len() - 1, self.shift());
        for (id, key) in (0..).zip(&self.keys) {
            let mut at = (hash(*key) >> shift) as usize;
            while self.slots[at] != NONE {
                at = (at + 1) & mask;
            }
            self.slots[at] = id;
        }
    }
}

/// Mixes a key; the high bits are the best.
fn hash(key: u64) -> u64 {
    let key = key ^ key >> 29;
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key.wrapping_mul(0xd6e8_feb8_6659_fd93) << 32
}

#[cfg(test)]
mod tests {
    use ahash::AHashMap;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_those_of_a_plain_map(
            batches in proptest::collection::vec(proptest::collection::vec((0..40_u32, 0..60_u32), 0..300), 0..20),
            before in prop_oneof![0..50_u32, 0..2000_u32],
        ) {
            let mut ids = PairIds::default();
            // Whatever was in the table before is forgotten.
            ids.resolve(&(0..before).map(|n| pair(n, n + 1)).collect::<Vec<_>>(), &mut Vec::new());
            ids.clear();
            let mut plain: AHashMap<(u32, u32), u32> = AHashMap::new();
            let (mut got, mut simple) = (Vec::new(), Vec::new());
            let mut one_by_one = PairIds::default();
            for batch in batches {
                let keys: Vec<u64> = batch.iter().map(|(a, b)| pair(*a, *b)).collect();
                ids.resolve(&keys, &mut got);
                one_by_one.resolve_simply(&keys, &mut simple);
                prop_assert_eq!(&got, &simple);
                for (key, id) in batch.iter().zip(&got) {
                    let next = plain.len() as u32;
                    prop_assert_eq!(*plain.entry(*key).or_insert(next), *id);
                }
            }
            prop_assert_eq!(ids.len(), plain.len());
            for (id, key) in ids.pairs().enumerate() {
                prop_assert_eq!(plain[&key], id as u32);
            }
        }
    }

    #[test]
    fn absent_parts_have_no_id() {
        let mut got = Vec::new();
        PairIds::default().resolve(&[pair(NONE, 1), pair(1, NONE), pair(0, 0), pair(NONE, NONE)], &mut got);
        assert_eq!(got, [NONE, NONE, 0, NONE]);
    }
}
