//! The best set of disjoint intervals of a series, over all positions and lengths, exactly.
//!
//! Maximises the sum over intervals of (sum of window scores - cost), where every interval may choose the lane that scores
//! it. One pass: with `V[t]` the best total before window t and `C` a lane's running sum of scores, the best interval of
//! that lane ending at t starts where `V - C` was largest within reach.
//!
//! All lanes of a band take the same step at the same time, as vectors: scores lie a row a window, and the maximum over
//! the starts within reach is kept by blocks (van Herk 1992, Gil and Werman 1993: three comparisons a window, whatever the
//! reach), since a queue would make each lane go its own way.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Lanes searched side by side: a whole number of vectors, which is checked when they are compiled.
pub const LANES: usize = 12;

/// One window's number in every lane.
pub type Row = [f64; LANES];

/// Scores of a series under so many hypotheses, and the longest interval that they may explain.
#[derive(Debug, Clone, Copy)]
pub struct Band<'a> {
    /// Finite nats, a row a window. Lanes that are not used are zero throughout.
    pub rows: &'a [Row],
    /// Windows; `usize::MAX` for no bound.
    pub reach: usize,
}

/// An interval that the search chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// From its first window to the one behind its last.
    pub windows: Range<usize>,
    /// Position of the band that scores it.
    pub band: usize,
    /// The lane of that band.
    pub lane: usize,
    /// Sum of the lane's scores, the cost not taken off.
    pub score: f64,
}

/// For every lane a start, and its value.
struct Starts {
    value: Row,
    /// A number of windows, as a float: so one mask picks both.
    window: Row,
}

impl Starts {
    const NONE: Self = Self { value: [f64::NEG_INFINITY; LANES], window: [0.0; LANES] };

    /// Takes a later start where it is better; of equals the earlier stays.
    #[inline(always)]
    fn improve<S: Simd>(&mut self, simd: S, value: &Row, window: usize) {
        let window = simd.splat_f64s(window as f64);
        let own = vectors_mut::<S>(&mut self.value).iter_mut().zip(vectors_mut::<S>(&mut self.window));
        for ((own, own_window), value) in own.zip(vectors::<S>(value)) {
            let better = simd.less_than_f64s(*own, *value);
            *own = simd.select_f64s(better, *value, *own);
            *own_window = simd.select_f64s(better, window, *own_window);
        }
    }

    /// Becomes `earlier`, or `later` where that is better.
    #[inline(always)]
    fn join<S: Simd>(&mut self, simd: S, earlier: &Self, later: &Self) {
        let own = vectors_mut::<S>(&mut self.value).iter_mut().zip(vectors_mut::<S>(&mut self.window));
        let earlier = vectors::<S>(&earlier.value).iter().zip(vectors::<S>(&earlier.window));
        let later = vectors::<S>(&later.value).iter().zip(vectors::<S>(&later.window));
        for ((own, own_window), (earlier, later)) in own.zip(earlier.zip(later)) {
            let better = simd.less_than_f64s(*earlier.0, *later.0);
            *own = simd.select_f64s(better, *later.0, *earlier.0);
            *own_window = simd.select_f64s(better, *later.1, *earlier.1);
        }
    }
}

/// A row as vectors.
#[inline(always)]
fn vectors<S: Simd>(row: &Row) -> &[S::f64s] {
    const { assert!(size_of::<Row>().is_multiple_of(size_of::<S::f64s>()), "lanes would be left out") };
    S::as_simd_f64s(row).0
}

#[inline(always)]
fn vectors_mut<S: Simd>(row: &mut Row) -> &mut [S::f64s] {
    const { assert!(size_of::<Row>().is_multiple_of(size_of::<S::f64s>()), "lanes would be left out") };
    S::as_mut_simd_f64s(row).0
}

/// The last `reach` starts, in blocks of as many.
struct Near {
    /// Values of this block's starts so far.
    block: Vec<Row>,
    filled: usize,
    /// The best of this block.
    head: Starts,
    /// The best of the last block from each place on, and nothing behind its end.
    tails: Vec<Starts>,
}

/// The best start for every lane among those within reach.
struct Front {
    best: Starts,
    /// `None` where any start is within reach.
    near: Option<Near>,
}

impl Front {
    fn new(reach: usize, windows: usize) -> Self {
        let near = || Near {
            block: vec![[0.0; LANES]; reach],
            filled: 0,
            head: Starts::NONE,
            tails: (0..=reach).map(|_| Starts::NONE).collect(),
        };
        Self { best: Starts::NONE, near: (reach < windows).then(near) }
    }

    /// Adds the start `window`, whose predecessor was the last that was added.
    #[inline(always)]
    fn push<S: Simd>(&mut self, simd: S, window: usize, value: &Row) {
        let Some(Near { block, filled, head, tails }) = &mut self.near else {
            return self.best.improve(simd, value, window);
        };
        let reach = block.len();
        if *filled == reach {
            let mut place = reach;
            while let Some(next) = place.checked_sub(1) {
                place = next;
                let (this, later) = tails.split_at_mut(place + 1);
                let this = &mut this[place];
                head.value = block[place];
                head.window = [(window - reach + place) as f64; LANES];
                this.join(simd, head, &later[0]);
            }
            *filled = 0;
            *head = Starts::NONE;
        }
        block[*filled] = *value;
        *filled += 1;
        head.improve(simd, value, window);
        self.best.join(simd, &tails[*filled], head);
    }
}

/// What no interval of each lane scores more than.
#[inline(always)]
fn most<S: Simd>(simd: S, rows: &[Row]) -> Row {
    let mut sums = [0.0; LANES];
    let none = simd.splat_f64s(0.0);
    for row in rows {
        for (sum, score) in vectors_mut::<S>(&mut sums).iter_mut().zip(vectors::<S>(row)) {
            *sum = simd.add_f64s(*sum, simd.max_f64s(*score, none));
        }
    }
    sums
}

/// The best disjoint intervals, in time order. All bands have the same number of windows.
pub fn best_intervals(bands: &[Band<'_>], cost: f64) -> Vec<Interval> {
    let ends = Arch::new().dispatch(Forward { bands, cost });
    let mut found = Vec::new();
    let mut end = ends.len();
    while end > 0 {
        match ends[end - 1] {
            Some(End { start, band, lane }) => {
                let (start, band, lane) = (start as usize, usize::from(band), usize::from(lane));
                let score = bands[band].rows[start..end].iter().map(|row| row[lane]).sum();
                found.push(Interval { windows: start..end, band, lane, score });
                end = start;
            }
            None => end -= 1,
        }
    }
    found.reverse();
    found
}

/// The interval that the best solution ends with a window.
#[derive(Clone, Copy)]
struct End {
    start: u32,
    band: u8,
    lane: u8,
}

/// For each window the interval that ends with it, where the best solution so far takes one; nothing at all where no
/// interval pays.
struct Forward<'a> {
    bands: &'a [Band<'a>],
    cost: f64,
}

/// A band that is being searched.
struct Search<'a> {
    band: u8,
    rows: &'a [Row],
    sum: Row,
    front: Front,
}

impl WithSimd for Forward<'_> {
    type Output = Vec<Option<End>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Self { bands, cost } = self;
        let windows = bands.first().map_or(0, |band| band.rows.len());
        // Most series have nothing that can pay for a single interval.
        let mut searches: Vec<Search<'_>> = Vec::with_capacity(bands.len());
        for (band, Band { rows, reach }) in (0..).zip(bands) {
            if most(simd, rows).iter().any(|most| *most > cost) {
                searches.push(Search { band, rows, sum: [0.0; LANES], front: Front::new(*reach, windows) });
            }
        }
        if searches.is_empty() {
            return Vec::new();
        }
        let mut ends = Vec::with_capacity(windows);
        let mut total = 0.0;
        let cost = simd.splat_f64s(cost);
        for window in 0..windows {
            let mut chosen = None;
            let mut highest = total;
            for Search { band, rows, sum, front } in &mut searches {
                let mut value = [0.0; LANES];
                let so_far = simd.splat_f64s(total);
                for (value, sum) in vectors_mut::<S>(&mut value).iter_mut().zip(vectors::<S>(sum)) {
                    *value = simd.sub_f64s(so_far, *sum);
                }
                front.push(simd, window, &value);
                let mut ending = [0.0; LANES];
                let mut top = simd.splat_f64s(f64::NEG_INFINITY);
                let sums = vectors_mut::<S>(sum).iter_mut().zip(vectors::<S>(&rows[window]));
                let endings = vectors_mut::<S>(&mut ending).iter_mut().zip(vectors::<S>(&front.best.value));
                for ((sum, row), (ending, value)) in sums.zip(endings) {
                    *sum = simd.add_f64s(*sum, *row);
                    *ending = simd.sub_f64s(simd.add_f64s(*sum, *value), cost);
                    top = simd.max_f64s(top, *ending);
                }
                if simd.reduce_max_f64s(top) > highest {
                    for (lane, ending) in ending.into_iter().enumerate() {
                        if ending > highest {
                            highest = ending;
                            let start = front.best.window[lane] as u32;
                            chosen = Some(End { start, band: *band, lane: lane as u8 });
                        }
                    }
                }
            }
            total = highest;
            ends.push(chosen);
        }
        ends
    }
}

/// For each lane the interval of the largest score, of at least `shortest` windows (one or more); `None` where no such
/// interval scores above zero.
pub fn best_singles(band: Band<'_>, shortest: usize) -> [Option<(Range<usize>, f64)>; LANES] {
    let found = Arch::new().dispatch(Singles { band, shortest });
    std::array::from_fn(|lane| {
        let Found { score, start, end } = &found;
        (score[lane] > 0.0).then(|| (start[lane] as usize..end[lane] as usize, score[lane]))
    })
}

struct Singles<'a> {
    band: Band<'a>,
    shortest: usize,
}

struct Found {
    score: Row,
    start: Row,
    end: Row,
}

impl WithSimd for Singles<'_> {
    type Output = Found;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Found {
        let Band { rows, reach } = self.band;
        let shortest = self.shortest.max(1);
        let mut found = Found { score: [0.0; LANES], start: [0.0; LANES], end: [0.0; LANES] };
        if reach < shortest || rows.len() < shortest {
            return found;
        }
        let mut front = Front::new((reach - shortest).saturating_add(1), rows.len());
        // Sums up to the end, and, negative, up to the latest start for it.
        let (mut sum, mut before) = ([0.0; LANES], [0.0; LANES]);
        for (window, row) in rows.iter().enumerate() {
            for (sum, row) in vectors_mut::<S>(&mut sum).iter_mut().zip(vectors::<S>(row)) {
                *sum = simd.add_f64s(*sum, *row);
            }
            let Some(start) = (window + 1).checked_sub(shortest) else { continue };
            front.push(simd, start, &before);
            let end = simd.splat_f64s((window + 1) as f64);
            let best = vectors::<S>(&front.best.value).iter().zip(vectors::<S>(&front.best.window));
            let scores = vectors_mut::<S>(&mut found.score).iter_mut().zip(vectors::<S>(&sum));
            let edges = vectors_mut::<S>(&mut found.start).iter_mut().zip(vectors_mut::<S>(&mut found.end));
            for (((score, sum), (found_start, found_end)), (value, start)) in scores.zip(edges).zip(best) {
                let this = simd.add_f64s(*sum, *value);
                let better = simd.less_than_f64s(*score, this);
                *score = simd.select_f64s(better, this, *score);
                *found_start = simd.select_f64s(better, *start, *found_start);
                *found_end = simd.select_f64s(better, end, *found_end);
            }
            let first = &rows[start];
            for (before, row) in vectors_mut::<S>(&mut before).iter_mut().zip(vectors::<S>(first)) {
                *before = simd.sub_f64s(*before, *row);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by trying every interval before every end.
    fn brute_force(bands: &[(Vec<Row>, usize)], cost: f64) -> f64 {
        let windows = bands[0].0.len();
        let mut best = vec![0.0f64; windows + 1];
        for end in 1..=windows {
            best[end] = best[end - 1];
            for (rows, reach) in bands {
                for start in end.saturating_sub(*reach)..end {
                    for lane in 0..LANES {
                        let sum: f64 = rows[start..end].iter().map(|row| row[lane]).sum();
                        best[end] = best[end].max(best[start] + sum - cost);
                    }
                }
            }
        }
        best[windows]
    }

    fn bands() -> impl Strategy<Value = Vec<(Vec<Row>, usize)>> {
        (1usize..40, 1usize..4).prop_flat_map(|(windows, bands)| {
            let reach = prop_oneof![1usize..8, Just(usize::MAX)];
            let row = proptest::array::uniform12(-3.0..2.0f64);
            proptest::collection::vec((proptest::collection::vec(row, windows), reach), bands)
        })
    }

    proptest! {
        #[test]
        fn matches_brute_force(bands in bands(), cost in 0.0..4.0f64) {
            let borrowed: Vec<Band<'_>> =
                bands.iter().map(|(rows, reach)| Band { rows, reach: *reach }).collect();
            let found = best_intervals(&borrowed, cost);
            let total: f64 = found.iter().map(|interval| interval.score - cost).sum();
            prop_assert!((total - brute_force(&bands, cost)).abs() < 1e-9);
            for pair in found.windows(2) {
                prop_assert!(pair[0].windows.end <= pair[1].windows.start);
            }
            for interval in &found {
                prop_assert!(interval.windows.len() <= borrowed[interval.band].reach);
                prop_assert!(interval.score > cost);
            }
        }

        #[test]
        fn singles_match_brute_force(bands in bands(), shortest in 1usize..9) {
            let (rows, reach) = &bands[0];
            let found = best_singles(Band { rows, reach: *reach }, shortest);
            for lane in 0..LANES {
                let mut best = 0.0f64;
                for start in 0..rows.len() {
                    for end in start + shortest..=rows.len().min(start.saturating_add(*reach)) {
                        best = best.max(rows[start..end].iter().map(|row| row[lane]).sum());
                    }
                }
                let found = found[lane].clone();
                prop_assert!((found.clone().map_or(0.0, |(_, score)| score) - best).abs() < 1e-9);
                prop_assert!(found.is_none_or(|(windows, _)| (shortest..=*reach).contains(&windows.len())));
            }
        }
    }

    #[test]
    fn nothing_positive_gives_nothing() {
        let rows = [-1.0, 0.5, -1.0].map(|score| [score; LANES]);
        assert!(best_intervals(&[Band { rows: &rows, reach: 3 }], 1.0).is_empty());
        assert_eq!(best_singles(Band { rows: &rows[..1], reach: 1 }, 1), [const { None }; LANES]);
        assert!(best_intervals(&[], 1.0).is_empty());
    }
}
