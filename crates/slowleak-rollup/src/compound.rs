//! Ids of compound entities. In: ids of the parts, a batch at a time. Out: one id a record.
//!
//! The table of a large compound does not fit into the cache, and a lookup waits for memory. A batch is
//! therefore probed in two steps: first the home slots of many keys are loaded, whose waits overlap, and only
//! then are they compared.

use crate::block::NONE;

/// Keys probed together.
const LANES: usize = 64;

/// Stands for a key with an absent part.
const ABSENT: u64 = u64::MAX;

/// Dense ids of pairs of ids: the first new pair gets 0, the next 1, and so on.
#[derive(Debug)]
pub(crate) struct PairIds {
    slots: Vec<Slot>,
    /// The pairs, by id.
    keys: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    id: u32,
}

const EMPTY: Slot = Slot { key: 0, id: NONE };

impl Default for PairIds {
    fn default() -> Self {
        Self { slots: vec![EMPTY; 64], keys: Vec::new() }
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

    /// Number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.keys.capacity() * size_of::<u64>()
    }

    /// Replaces `ids` by the ids of `keys`, [`NONE`] where a part is absent.
    pub(crate) fn resolve(&mut self, keys: &[u64], ids: &mut Vec<u32>) {
        ids.clear();
        ids.reserve(keys.len());
        let mut found = [EMPTY; LANES];
        for lanes in keys.chunks(LANES) {
            let shift = self.shift();
            for (found, key) in found.iter_mut().zip(lanes) {
                *found = self.slots[(hash(*key) >> shift) as usize];
            }
            for (found, key) in found.iter().zip(lanes) {
                let hit = found.key == *key && found.id != NONE;
                ids.push(if hit { found.id } else { self.probe(*key) });
            }
        }
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
            let slot = self.slots[at];
            if slot.id == NONE {
                let id = self.keys.len() as u32;
                self.slots[at] = Slot { key, id };
                self.keys.push(key);
                return id;
            }
            if slot.key == key {
                return slot.id;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 4];
        let (mask, shift) = (self.slots.len() - 1, self.shift());
        for (id, key) in self.keys.iter().enumerate() {
            let mut at = (hash(*key) >> shift) as usize;
            while self.slots[at].id != NONE {
                at = (at + 1) & mask;
            }
            self.slots[at] = Slot { key: *key, id: id as u32 };
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
        ) {
            let mut ids = PairIds::default();
            let mut plain: AHashMap<(u32, u32), u32> = AHashMap::new();
            let mut got = Vec::new();
            for batch in batches {
                let keys: Vec<u64> = batch.iter().map(|(a, b)| pair(*a, *b)).collect();
                ids.resolve(&keys, &mut got);
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
