//! From entities to their cells. In: the entity of each record of a run. Out: the cell of each, new ones at the end.
//!
//! In a log with many entities every third record or so opens a cell, which no branch predictor can foresee: the
//! loop has no branch for it.

use crate::block::NONE;

/// The cell of each entity in an open window.
#[derive(Debug, Default)]
pub struct Slots {
    /// First [`SPILL`] and that of no entity, then one an entity.
    places: Vec<u32>,
}

/// Where cells that are already known are written to. Each in its own place would do as well, but the processor could
/// then load no place before it knows where all stores before go.
const SPILL: usize = 0;

/// Places before that of the first entity. [`NONE`] wraps around to the last of these.
const FIRST: u32 = 2;

/// An entity without a cell.
const UNSEEN: u32 = NONE - 1;

impl Slots {
    /// Makes room for entities below `known`.
    fn grow(&mut self, known: usize) {
        if self.places.is_empty() {
            self.places.resize(FIRST as usize, NONE);
        }
        let places = known + FIRST as usize;
        if self.places.len() < places {
            self.places.resize(places, UNSEEN);
        }
    }

    /// Finds the cell of each of `entities`, all of them below `known`; [`u32::MAX`] is no entity and has no cell.
    /// Entities that are new in the window join `members`, whose places are the cells.
    pub fn find(&mut self, known: usize, entities: &[u32], members: &mut Vec<u32>, cells: &mut Vec<u32>) {
        self.grow(known);
        let mut len = members.len();
        // Room for all to be new. An entity is written behind the members in any case, and stays if it is new.
        members.resize(len + entities.len(), 0);
        let (places, new) = (self.places.as_mut_slice(), members.as_mut_slice());
        cells.clear();
        cells.extend(entities.iter().map(|entity| {
            let at = entity.wrapping_add(FIRST) as usize;
            let cell = places.get(at).copied().unwrap_or(NONE);
            let unseen = cell == UNSEEN;
            let cell = if unseen { len as u32 } else { cell };
            if let Some(place) = new.get_mut(len) {
                *place = *entity;
            }
            len += usize::from(unseen);
            if let Some(place) = places.get_mut(if unseen { at } else { SPILL }) {
                *place = cell;
            }
            cell
        }));
        members.truncate(len);
    }

    /// The twin of [`find`](Self::find).
    pub fn find_simply(
        &mut self,
        known: usize,
        entities: &[u32],
        members: &mut Vec<u32>,
        cells: &mut Vec<u32>,
    ) {
        self.grow(known);
        cells.clear();
        for entity in entities {
            let Some(place) = self.places.get_mut(entity.wrapping_add(FIRST) as usize) else {
                cells.push(NONE);
                continue;
            };
            if *place == UNSEEN {
                *place = members.len() as u32;
                members.push(*entity);
            }
            cells.push(*place);
        }
    }

    /// Forgets the cells of all `members`: the window closes.
    pub fn forget(&mut self, members: &[u32]) {
        for entity in members {
            if let Some(place) = self.places.get_mut(entity.wrapping_add(FIRST) as usize) {
                *place = UNSEEN;
            }
        }
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Entities become known run by run; windows close between runs.
        #[test]
        fn both_find_the_same(
            runs in proptest::collection::vec(
                (proptest::collection::vec(0..12_u32, 0..40), 0..12_usize, any::<bool>()),
                0..6,
            ),
        ) {
            let mut fast = (Slots::default(), Vec::new(), Vec::new());
            let mut simple = (Slots::default(), Vec::new(), Vec::new());
            let mut known = 0;
            for (run, more, closes) in runs {
                known = more.max(known);
                let known_or_none = |n: &u32| if (*n as usize) < known { *n } else { NONE };
                let entities: Vec<u32> = run.iter().map(known_or_none).collect();
                fast.0.find(known, &entities, &mut fast.1, &mut fast.2);
                simple.0.find_simply(known, &entities, &mut simple.1, &mut simple.2);
                prop_assert_eq!((&fast.1, &fast.2), (&simple.1, &simple.2));
                for (entity, cell) in entities.iter().zip(&fast.2) {
                    prop_assert_eq!(fast.1.get(*cell as usize).copied().unwrap_or(NONE), *entity);
                }
                if closes {
                    for (slots, members, _) in [&mut fast, &mut simple] {
                        slots.forget(members);
                        members.clear();
                    }
                }
            }
        }
    }
}
