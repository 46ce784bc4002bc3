//! Subjects of a window before they are sketched. In: cells and hashes, record by record. Out: sketches, filled many
//! hashes at a time.
//!
//! A sketch that takes its hashes one by one waits for memory at each, and keeps its few tokens in order at each. The
//! log is written in sequence, dealt out by cell once it is long, and each sketch takes its share as a whole.

use crate::Sketch;
use crate::block::NONE;

/// Hashes after which the log is dealt out: 3 MiB.
const LONG: usize = 1 << 18;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SubjectLog {
    cells: Vec<u32>,
    hashes: Vec<u64>,
    /// Scratch: where each cell's hashes end, and the hashes by cell.
    ends: Vec<u32>,
    dealt: Vec<u64>,
}

impl SubjectLog {
    /// Adds hashes to cells ([`NONE`] for none); `valid` tells which hashes count, all where it is empty. No hashes
    /// at all, of a file without subjects, add nothing.
    pub(crate) fn add(&mut self, cells: &[u32], hashes: &[u64], valid: &[bool], sketches: &mut [Sketch]) {
        if hashes.is_empty() {
            return;
        }
        let pairs = cells.iter().zip(hashes);
        if valid.is_empty() && !cells.contains(&NONE) {
            self.cells.extend_from_slice(cells);
            self.hashes.extend_from_slice(hashes);
        } else {
            let valid = valid.iter().copied().chain(std::iter::repeat(true));
            for ((cell, hash), _) in pairs.zip(valid).filter(|((cell, _), valid)| *valid && **cell != NONE) {
                self.cells.push(*cell);
                self.hashes.push(*hash);
            }
        }
        if self.cells.len() >= LONG.max(sketches.len()) {
            self.deal(sketches);
        }
    }

    /// Hands all hashes to the sketches of their cells and leaves the log empty.
    pub(crate) fn deal(&mut self, sketches: &mut [Sketch]) {
        // Counting sort by cell: ends[c] first counts cell c, then is where its hashes begin, then where they end.
        self.ends.clear();
        self.ends.resize(sketches.len(), 0);
        for cell in &self.cells {
            self.ends[*cell as usize] += 1;
        }
        let mut start = 0;
        for end in &mut self.ends {
            start += std::mem::replace(end, start);
        }
        self.dealt.resize(self.hashes.len(), 0);
        for (cell, hash) in self.cells.iter().zip(&self.hashes) {
            let end = &mut self.ends[*cell as usize];
            self.dealt[*end as usize] = *hash;
            *end += 1;
        }
        let mut start = 0;
        for (sketch, end) in sketches.iter_mut().zip(&self.ends) {
            let end = *end as usize;
            sketch.insert_hashes(&self.dealt[start..end]);
            start = end;
        }
        self.cells.clear();
        self.hashes.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sketches_are_those_of_hashes_one_by_one(
            batches in proptest::collection::vec(
                (
                    proptest::collection::vec((0..5_u32, 0..700_u32, any::<bool>()), 0..800),
                    any::<bool>(),
                    any::<bool>(),
                ),
                0..6,
            ),
        ) {
            let mut log = SubjectLog::default();
            let mut sketches = vec![Sketch::default(); 4];
            let mut want = sketches.clone();
            for (batch, all_valid, has_subjects) in &batches {
                let cells: Vec<u32> = batch.iter().map(|r| if r.0 == 4 { NONE } else { r.0 }).collect();
                let hash = |n: u32| slowleak_scan::subject_hash(&n.to_le_bytes());
                let mut hashes: Vec<u64> = batch.iter().map(|record| hash(record.1)).collect();
                if !has_subjects {
                    hashes.clear();
                }
                let valid: Vec<bool> = batch.iter().map(|record| record.2).collect();
                let valid = if *all_valid { &[][..] } else { &valid };
                log.add(&cells, &hashes, valid, &mut sketches);
                for (row, (cell, hash)) in cells.iter().zip(&hashes).enumerate() {
                    if *cell != NONE && valid.get(row).is_none_or(|valid| *valid) {
                        want[*cell as usize].insert_hash(*hash);
                    }
                }
                if batch.len() % 3 == 0 {
                    log.deal(&mut sketches);
                }
            }
            log.deal(&mut sketches);
            prop_assert_eq!(sketches, want);
        }
    }
}
