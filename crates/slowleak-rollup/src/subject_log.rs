//! Subjects of a window before they are sketched. In: cells and hashes, record by record. Out: sketches, filled many
//! tokens at a time.
//!
//! A sketch that takes its hashes one by one waits for memory at each, and keeps its few tokens in order at each. Here
//! every cell has a log of tokens as they come: one cache line that is written to, and behind it those that are full. A
//! sketch takes its log as a whole, when that is long or the window closes; most never get a second one.

use crate::Sketch;
use crate::block::NONE;
use crate::sketch::token;

/// Tokens of a line.
const LINE: usize = 16;

/// Lines after which a sketch takes the log: twice what it keeps exactly, so that a sketch with many subjects turns
/// dense at once, and the sorting of one with few is paid for by as many new tokens.
const LONG: u32 = 32;

/// Lines after which logs are taken as soon as their last line is full: 16 MiB. (Unit tests shall get there.)
const MOST_LINES: usize = if cfg!(test) { 40 } else { 1 << 18 };

/// Cells that have a log; subjects of those beyond go to their sketches directly.
const MOST_CELLS: usize = if cfg!(test) { 3 } else { 1 << 20 };

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SubjectLog {
    /// [`LINE`] places a line.
    tokens: Vec<u32>,
    lines: Vec<Line>,
    /// Lines without a log.
    free: Vec<u32>,
    /// Where each cell's next token goes: never the end of a line.
    next: Vec<u32>,
    /// Scratch: the log that a sketch takes, and its sorting.
    taken: Vec<u32>,
    sorting: Vec<u32>,
    /// Bytes on the heap of the sketches that have taken a log.
    sketch_bytes: usize,
}

/// A line's place in its log.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// The line before it, or [`NONE`].
    before: u32,
    /// Lines of the log up to this one.
    length: u32,
}

impl SubjectLog {
    /// Adds hashes to cells ([`NONE`] for none); `valid` tells which hashes count, all where it is empty. No hashes
    /// at all, of a file without subjects, add nothing.
    pub(crate) fn add(&mut self, cells: &[u32], hashes: &[u64], valid: &[bool], sketches: &mut [Sketch]) {
        if hashes.is_empty() {
            return;
        }
        self.grow(sketches.len());
        if valid.is_empty() {
            cells.iter().zip(hashes).for_each(|(cell, hash)| self.push(*cell, token(*hash), sketches));
        } else {
            for ((cell, hash), _) in cells.iter().zip(hashes).zip(valid).filter(|(_, valid)| **valid) {
                self.push(*cell, token(*hash), sketches);
            }
        }
    }

    /// Adds what finished sketches have seen to `cells`.
    pub(crate) fn add_sketches(&mut self, cells: &[u32], from: &[Sketch], sketches: &mut [Sketch]) {
        self.grow(sketches.len());
        for (cell, from) in cells.iter().zip(from) {
            match from.tokens() {
                Some(tokens) => tokens.iter().for_each(|token| self.push(*cell, *token, sketches)),
                None => {
                    let sketch = &mut sketches[*cell as usize];
                    let before = sketch.heap_bytes();
                    sketch.merge(from);
                    self.sketch_bytes = (self.sketch_bytes + sketch.heap_bytes()).saturating_sub(before);
                }
            }
        }
    }

    /// Makes logs for as many cells as may have one.
    fn grow(&mut self, cells: usize) {
        while self.next.len() < cells.min(MOST_CELLS) {
            let line = self.line(NONE, 1);
            self.next.push(line);
        }
    }

    fn push(&mut self, cell: u32, token: u32, sketches: &mut [Sketch]) {
        let Some(next) = self.next.get_mut(cell as usize) else {
            self.push_beyond(cell, token, sketches);
            return;
        };
        let place = *next as usize;
        if let Some(place) = self.tokens.get_mut(place) {
            *place = token;
        }
        *next += 1;
        if (place + 1).is_multiple_of(LINE) {
            self.turn(cell as usize, place / LINE, sketches);
        }
    }

    /// A cell without a log, or no cell.
    #[cold]
    fn push_beyond(&mut self, cell: u32, token: u32, sketches: &mut [Sketch]) {
        if let Some(sketch) = sketches.get_mut(cell as usize) {
            let before = sketch.heap_bytes();
            sketch.insert_token(token);
            self.sketch_bytes = (self.sketch_bytes + sketch.heap_bytes()).saturating_sub(before);
        }
    }

    /// A cell's line is full: it gets another.
    #[inline(never)]
    fn turn(&mut self, cell: usize, line: usize, sketches: &mut [Sketch]) {
        let length = self.lines[line].length;
        let full = length >= LONG || self.free.is_empty() && self.lines.len() >= MOST_LINES;
        self.next[cell] = if full {
            self.take(line, LINE, &mut sketches[cell]);
            self.line(NONE, 1)
        } else {
            self.line(line as u32, length + 1)
        };
    }

    /// A new line; where its first token goes.
    fn line(&mut self, before: u32, length: u32) -> u32 {
        let line = self.free.pop().unwrap_or_else(|| {
            self.tokens.resize(self.tokens.len() + LINE, 0);
            self.lines.push(Line { before, length });
            self.lines.len() as u32 - 1
        });
        self.lines[line as usize] = Line { before, length };
        line * LINE as u32
    }

    /// Hands a log to its sketch, given its last line and the tokens on that. Its lines are free then.
    fn take(&mut self, mut line: usize, mut tokens: usize, sketch: &mut Sketch) {
        self.taken.clear();
        loop {
            self.taken.extend_from_slice(&self.tokens[line * LINE..][..tokens]);
            self.free.push(line as u32);
            match self.lines[line].before {
                NONE => break,
                before => (line, tokens) = (before as usize, LINE),
            }
        }
        let before = sketch.heap_bytes();
        sketch.insert_tokens(&mut self.taken, &mut self.sorting);
        self.sketch_bytes = (self.sketch_bytes + sketch.heap_bytes()).saturating_sub(before);
    }

    /// Hands all logs to the sketches of their cells and leaves none.
    pub(crate) fn deal(&mut self, sketches: &mut [Sketch]) {
        for (cell, sketch) in sketches.iter_mut().enumerate().take(self.next.len()) {
            let next = self.next[cell] as usize;
            self.take(next / LINE, next % LINE, sketch);
        }
        self.next.clear();
        self.lines.clear();
        self.free.clear();
        self.tokens.clear();
        self.sketch_bytes = 0;
    }

    /// Bytes on the heap, about, with those of the sketches that it has filled.
    pub(crate) fn bytes(&self) -> usize {
        let numbers = self.tokens.capacity()
            + self.free.capacity()
            + self.next.capacity()
            + self.taken.capacity()
            + self.sorting.capacity();
        numbers * size_of::<u32>() + self.lines.capacity() * size_of::<Line>() + self.sketch_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Cells with many subjects and with few; files without, and nulls.
        #[test]
        fn sketches_are_those_of_hashes_one_by_one(
            batches in proptest::collection::vec(
                (
                    proptest::collection::vec((0..5_u32, prop_oneof![0..3_u32, 0..2_000_u32], any::<bool>()), 0..800),
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

    proptest! {
        /// Exact and dense ones, some of them of the same cell, some beyond those that have a log.
        #[test]
        fn finished_sketches_add_up(
            sizes in proptest::collection::vec((0..4_u32, prop_oneof![0..9_u32, 0..900_u32]), 0..12),
        ) {
            let mut log = SubjectLog::default();
            let mut sketches = vec![Sketch::default(); 4];
            let mut want = sketches.clone();
            let cells: Vec<u32> = sizes.iter().map(|size| size.0).collect();
            let hash = |n: u32| slowleak_scan::subject_hash(&n.to_le_bytes());
            let mut from = Vec::new();
            for (number, (cell, size)) in (0..).zip(&sizes) {
                let mut sketch = Sketch::default();
                (0..*size).for_each(|n| sketch.insert_hash(hash(n * (number % 3 + 1))));
                want[*cell as usize].merge(&sketch);
                from.push(sketch);
            }
            log.add_sketches(&cells, &from, &mut sketches);
            log.deal(&mut sketches);
            prop_assert_eq!(sketches, want);
        }
    }
}
