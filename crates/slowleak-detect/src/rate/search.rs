//! The best set of disjoint intervals of a series, over all positions and lengths, exactly.
//!
//! Maximises the sum over intervals of (sum of window scores - cost), where every interval may choose the
//! lane that scores it. One pass: with `V[t]` the best total before day t and `C` a lane's running sum of
//! scores, the best interval of that lane ending at t starts where `V - C` was largest within reach, which
//! a monotone deque keeps (a single maximum where the reach is unbounded).

use std::collections::VecDeque;
use std::ops::Range;

/// Scores of every window under one hypothesis, and the longest interval that it may explain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane<'a> {
    pub(crate) scores: &'a [f64],
    /// Windows; `usize::MAX` for no bound.
    pub(crate) reach: usize,
}

/// An interval that the search chose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    pub(crate) windows: Range<usize>,
    pub(crate) lane: usize,
    /// Sum of the lane's scores, the cost not taken off.
    pub(crate) score: f64,
}

impl Lane<'_> {
    /// What no interval of the lane scores more than.
    pub(crate) fn most(&self) -> f64 {
        // Eight sums at a time: one alone would wait for itself.
        let mut sums = [0.0; 8];
        let chunks = self.scores.chunks_exact(sums.len());
        let rest: f64 = chunks.remainder().iter().map(|score| score.max(0.0)).sum();
        for chunk in chunks {
            sums.iter_mut().zip(chunk).for_each(|(sum, score)| *sum += score.max(0.0));
        }
        rest + sums.iter().sum::<f64>()
    }
}

/// A lane that is being searched: its running sum, and the starts of its intervals that can still win.
struct Search<'a> {
    /// Position among all lanes.
    index: usize,
    lane: Lane<'a>,
    sum: f64,
    starts: Starts,
}

/// Starts with their (window, V - C).
enum Starts {
    /// Any may be reached from any end: the best so far.
    One(usize, f64),
    /// By window, the values decreasing.
    Queue(VecDeque<(usize, f64)>),
}

impl Starts {
    fn new(reach: usize, windows: usize) -> Self {
        if reach >= windows { Self::One(0, 0.0) } else { Self::Queue(VecDeque::from([(0, 0.0)])) }
    }

    /// The best start within reach of `end`.
    fn front(&mut self, end: usize, reach: usize) -> Option<(usize, f64)> {
        match self {
            Self::One(start, value) => Some((*start, *value)),
            Self::Queue(queue) => {
                while queue.front().is_some_and(|(start, _)| end - start > reach) {
                    queue.pop_front();
                }
                queue.front().copied()
            }
        }
    }

    fn push(&mut self, start: usize, value: f64) {
        match self {
            Self::One(_, best) if *best >= value => (),
            Self::One(..) => *self = Self::One(start, value),
            Self::Queue(queue) => {
                while queue.back().is_some_and(|(_, last)| *last < value) {
                    queue.pop_back();
                }
                queue.push_back((start, value));
            }
        }
    }
}

/// The best disjoint intervals, in time order. All lanes have the same number of windows.
pub(crate) fn best_intervals(lanes: &[Lane<'_>], cost: f64) -> Vec<Interval> {
    let windows = lanes.first().map_or(0, |lane| lane.scores.len());
    // Most lanes of most series can not pay for a single interval.
    let mut searched: Vec<Search<'_>> = lanes
        .iter()
        .enumerate()
        .filter(|(_, lane)| lane.most() > cost)
        .map(|(index, lane)| Search {
            index,
            lane: *lane,
            sum: 0.0,
            starts: Starts::new(lane.reach, windows),
        })
        .collect();
    if searched.is_empty() {
        return Vec::new();
    }
    let mut best = vec![0.0; windows + 1];
    // For each end: the interval that ends there, if the best solution takes one.
    let mut chosen: Vec<Option<(usize, usize)>> = vec![None; windows + 1];
    for end in 1..=windows {
        best[end] = best[end - 1];
        for Search { index, lane, sum, starts } in &mut searched {
            *sum += lane.scores[end - 1];
            if let Some((start, value)) = starts.front(end, lane.reach)
                && *sum + value - cost > best[end]
            {
                best[end] = *sum + value - cost;
                chosen[end] = Some((start, *index));
            }
        }
        searched.iter_mut().for_each(|search| search.starts.push(end, best[end] - search.sum));
    }
    let mut found = Vec::new();
    let mut end = windows;
    while end > 0 {
        match chosen[end] {
            Some((start, lane)) => {
                let score = lanes[lane].scores[start..end].iter().sum();
                found.push(Interval { windows: start..end, lane, score });
                end = start;
            }
            None => end -= 1,
        }
    }
    found.reverse();
    found
}

/// The interval of the largest score under one lane, of at least `shortest` windows (one or more); `None`
/// where no score is positive.
pub(crate) fn best_single(lane: Lane<'_>, shortest: usize) -> Option<(Range<usize>, f64)> {
    let mut best: Option<(Range<usize>, f64)> = None;
    let mut sums = vec![0.0];
    // Starts far enough back, with the sum before them ascending towards the back: the smallest is in front.
    let mut queue: VecDeque<usize> = VecDeque::new();
    for end in 1..=lane.scores.len() {
        sums.push(sums[end - 1] + lane.scores[end - 1]);
        if let Some(start) = end.checked_sub(shortest) {
            while queue.back().is_some_and(|last| sums[*last] > sums[start]) {
                queue.pop_back();
            }
            queue.push_back(start);
        }
        while queue.front().is_some_and(|start| end - start > lane.reach) {
            queue.pop_front();
        }
        if let Some(&start) = queue.front()
            && sums[end] - sums[start] > best.as_ref().map_or(0.0, |(_, score)| *score)
        {
            best = Some((start..end, sums[end] - sums[start]));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by trying every interval before every end.
    fn brute_force(lanes: &[(Vec<f64>, usize)], cost: f64) -> f64 {
        let windows = lanes[0].0.len();
        let mut best = vec![0.0f64; windows + 1];
        for end in 1..=windows {
            best[end] = best[end - 1];
            for (scores, reach) in lanes {
                for start in end.saturating_sub(*reach)..end {
                    let sum: f64 = scores[start..end].iter().sum();
                    best[end] = best[end].max(best[start] + sum - cost);
                }
            }
        }
        best[windows]
    }

    fn lanes() -> impl Strategy<Value = Vec<(Vec<f64>, usize)>> {
        (1usize..40, 1usize..5).prop_flat_map(|(windows, lanes)| {
            let reach = prop_oneof![1usize..8, Just(usize::MAX)];
            proptest::collection::vec((proptest::collection::vec(-3.0..3.0f64, windows), reach), lanes)
        })
    }

    proptest! {
        #[test]
        fn matches_brute_force(lanes in lanes(), cost in 0.0..4.0f64) {
            let borrowed: Vec<Lane<'_>> =
                lanes.iter().map(|(scores, reach)| Lane { scores, reach: *reach }).collect();
            let found = best_intervals(&borrowed, cost);
            let total: f64 = found.iter().map(|interval| interval.score - cost).sum();
            prop_assert!((total - brute_force(&lanes, cost)).abs() < 1e-9);
            for pair in found.windows(2) {
                prop_assert!(pair[0].windows.end <= pair[1].windows.start);
            }
            for interval in &found {
                prop_assert!(interval.windows.len() <= borrowed[interval.lane].reach);
                prop_assert!(interval.score > cost);
            }
        }

        #[test]
        fn single_matches_brute_force(lanes in lanes(), shortest in 1usize..9) {
            let (scores, reach) = &lanes[0];
            let mut best = 0.0f64;
            for start in 0..scores.len() {
                for end in start + shortest..=scores.len().min(start.saturating_add(*reach)) {
                    best = best.max(scores[start..end].iter().sum());
                }
            }
            let found = best_single(Lane { scores, reach: *reach }, shortest);
            prop_assert!((found.map_or(0.0, |(_, score)| score) - best).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_positive_gives_nothing() {
        let scores = [-1.0, 0.5, -1.0];
        assert!(best_intervals(&[Lane { scores: &scores, reach: 3 }], 1.0).is_empty());
        assert!(best_single(Lane { scores: &[-1.0], reach: 1 }, 1).is_none());
        assert!(best_intervals(&[], 1.0).is_empty());
    }
}
