//! The null of first uses: how many objects an entity uses for the first time among so many accesses, had it only gone on.
//!
//! The more somebody has seen, the rarer is what they have not: the hazard h(n) that the next access is to an object never
//! used before falls with the n accesses so far, and not with the calendar. It is learnt from all entities of the view, as
//! one rate between n = 2^k and 2^(k+1) each. Accesses are known by window, and a window may lie in several of these;
//! so the rates are those of greatest likelihood for Poisson counts of unions of intervals, by the EM algorithm (Dempster,
//! Laird and Rubin 1977): each count is dealt to the intervals as the rates have it, then the rates are counted again.
//!
//! Entities differ: one reads two tables for years, another looks at everything. With E expected and O seen of an entity
//! before a window, and m expected in it by h alone,
//!
//! ```text
//! frailty   z ~ Gamma(a, a), among entities;  a by moments
//! count     N | z ~ Poisson(z m), in units of a burst: variance over mean b, by moments
//! so that   N | E, O ~ negative binomial, mean m (a + O) / (a + E), size a + O
//! score     the log-likelihood ratio of N at its best ratio: P(score >= s) <= exp(-s) under the null (Chernoff)
//! ```

use rayon::prelude::*;

use crate::rate::score::profile_score;
use crate::reconnaissance::firsts::{Step, Visitor};

/// Intervals of the hazard: the last holds all that is beyond.
const INTERVALS: usize = 40;
/// Rounds of the EM algorithm: neighbours differ by a factor of about two, and converge soon.
const ROUNDS: usize = 12;
/// Entities whose sums are taken together; fixed, so that the order of additions is.
const CHUNK: usize = 1024;
/// Between how many and how few entities' worth the frailty's shape may lie.
const SHAPES: (f64, f64) = (0.2, 20.0);
/// Share of entities, the most extreme, that teach neither frailty nor bursts.
const TRIM: f64 = 0.02;
/// Largest number of entities that leaks may touch, however few there are.
const LEFT_OUT: usize = 3;
/// Fewest first uses that are ever expected: rarer is more than anybody knows.
const LEAST: f64 = 1e-3;

/// The hazard of the entities of a view, and how they differ.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hazard {
    /// First uses an access, by interval.
    rates: [f64; INTERVALS],
    /// Shape of the frailty.
    shape: f64,
    /// First uses in a burst.
    burst: f64,
}

/// What is expected of an entity in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub(crate) mean: f64,
    /// Relative variance of the rate behind it.
    pub(crate) dispersion: f64,
    burst: f64,
}

impl Expected {
    /// Nats for so many first uses; beyond the mean alone.
    pub(crate) fn nats(&self, count: f64) -> f64 {
        profile_score(count / self.burst, self.mean / self.burst, self.dispersion)
    }
}

impl Hazard {
    /// Learns from the steps of all entities; windows that begin before step `known` teach the hazard, but no bursts.
    pub(crate) fn learn(visitors: &[Visitor], known: usize) -> Self {
        let mut hazard = Self { rates: [1.0; INTERVALS], shape: SHAPES.1, burst: 1.0 };
        for _ in 0..ROUNDS {
            hazard.round(visitors);
        }
        hazard.shape = hazard.shape_of(visitors);
        hazard.burst = hazard.burst_of(visitors, known);
        hazard
    }

    fn round(&mut self, visitors: &[Visitor]) {
        let of_chunk = |chunk: &[Visitor]| {
            let mut sums = [(0.0, 0.0); INTERVALS];
            for visitor in chunk {
                each(&visitor.steps, |so_far, step| {
                    let expected = self.among(so_far, step.events);
                    spans(so_far, step.events, |interval, accesses| {
                        let dealt =
                            step.firsts * accesses * self.rates[interval] / expected.max(f64::MIN_POSITIVE);
                        sums[interval].0 += dealt;
                        sums[interval].1 += accesses;
                    });
                });
            }
            sums
        };
        let chunks: Vec<_> = visitors.par_chunks(CHUNK).map(of_chunk).collect();
        for (interval, rate) in self.rates.iter_mut().enumerate() {
            let sum =
                chunks.iter().fold((0.0, 0.0), |sum, of| (sum.0 + of[interval].0, sum.1 + of[interval].1));
            // Where nobody has been, there is nothing to deal.
            *rate = if sum.1 > 0.0 { sum.0 / sum.1 } else { 0.0 };
        }
    }

    /// First uses that the hazard alone has among `events` accesses after `so_far`.
    pub(crate) fn among(&self, so_far: f64, events: f64) -> f64 {
        let mut sum = 0.0;
        spans(so_far, events, |interval, accesses| sum += accesses * self.rates[interval]);
        sum
    }

    /// By moments: var(O) = E + E^2 / a.
    fn shape_of(&self, visitors: &[Visitor]) -> f64 {
        let of = |visitor: &Visitor| {
            let (mut seen, mut expected) = (0.0, 0.0);
            each(&visitor.steps, |so_far, step| {
                seen += step.firsts;
                expected += self.among(so_far, step.events);
            });
            ((seen - expected).powi(2) - expected, expected * expected)
        };
        let (excess, square) = trimmed(visitors.par_iter().map(of).collect());
        if excess > 0.0 { (square / excess).clamp(SHAPES.0, SHAPES.1) } else { SHAPES.1 }
    }

    /// By moments: variance over mean of a step, given what came before.
    fn burst_of(&self, visitors: &[Visitor], known: usize) -> f64 {
        let of = |visitor: &Visitor| {
            let (mut squares, mut means) = (0.0, 0.0);
            self.walk(visitor, |step, expected| {
                if step.at >= known {
                    let uncertain = expected.dispersion * expected.mean * expected.mean;
                    squares += (step.counted - expected.mean).powi(2) - uncertain;
                    means += expected.mean;
                }
            });
            (squares, means)
        };
        let (squares, means) = trimmed(visitors.par_iter().map(of).collect());
        if means > 0.0 { (squares / means).max(1.0) } else { 1.0 }
    }

    /// Calls `of` with each step and what is expected of it.
    pub(crate) fn walk(&self, visitor: &Visitor, mut of: impl FnMut(&Step, Expected)) {
        let (mut seen, mut expected) = (0.0, 0.0);
        each(&visitor.steps, |so_far, step| {
            let alone = self.among(so_far, step.events);
            of(step, self.given(seen, expected, alone));
            seen += step.firsts;
            expected += alone;
        });
    }

    /// What is expected in a window of which the hazard alone has `alone`, after `seen` where it had `expected`.
    pub(crate) fn given(&self, seen: f64, expected: f64, alone: f64) -> Expected {
        let (shape, rate) = (self.shape + seen, self.shape + expected);
        Expected { mean: (alone * shape / rate).max(LEAST), dispersion: 1.0 / shape, burst: self.burst }
    }
}

/// Calls `of` with each step and the accesses before it.
fn each(steps: &[Step], mut of: impl FnMut(f64, &Step)) {
    let mut so_far = 0.0;
    for step in steps {
        of(so_far, step);
        so_far += step.events;
    }
}

/// Splits the accesses from `so_far` on at the powers of two.
fn spans(so_far: f64, events: f64, mut of: impl FnMut(usize, f64)) {
    let (mut at, end) = (so_far, so_far + events);
    while at < end {
        let interval = if at < 1.0 { 0 } else { (at.log2() as usize + 1).min(INTERVALS - 1) };
        let until = if interval + 1 < INTERVALS { end.min((interval as f64).exp2()) } else { end };
        // Rounding of a logarithm must not stop the walk.
        let until = if until > at { until } else { end };
        of(interval, until - at);
        at = until;
    }
}

/// Sums of pairs without those of the largest first part.
pub(crate) fn trimmed(mut pairs: Vec<(f64, f64)>) -> (f64, f64) {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let left_out = ((TRIM * pairs.len() as f64) as usize).max(LEFT_OUT);
    pairs.truncate(pairs.len().saturating_sub(left_out));
    pairs.into_iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, Gamma, Poisson};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// Entities whose next access is new with a chance of 1 / (1 + n / 10), times their frailty.
    fn simulated(entities: usize, shape: f64, seed: u64) -> Vec<Visitor> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let of = |_| {
            let frailty = Gamma::new(shape, 1.0 / shape).unwrap().sample(&mut rng);
            let mut so_far = 0.0;
            let step = |at| {
                let events = f64::from(rng.random_range(1..30_u32));
                // The integral of the chance.
                let mean = frailty * 10.0 * ((10.0 + so_far + events) / (10.0 + so_far)).ln();
                so_far += events;
                let firsts = Poisson::new(mean).unwrap().sample(&mut rng);
                Step { at, events, firsts, counted: firsts }
            };
            Visitor { name: String::new(), steps: (0..60).map(step).collect(), firsts: Vec::new() }
        };
        (0..entities).map(of).collect()
    }

    #[test]
    fn accesses_are_split_where_the_rates_change() {
        let mut parts = Vec::new();
        spans(3.0, 10.0, |interval, accesses| parts.push((interval, accesses)));
        assert_eq!(parts, [(2, 1.0), (3, 4.0), (4, 5.0)]);
        let mut all = 0.0;
        spans(0.0, 1e15, |_, accesses| all += accesses);
        assert_eq!(all, 1e15);
    }

    #[test]
    fn the_hazard_of_windows_is_that_of_accesses() {
        let hazard = Hazard::learn(&simulated(2000, 5.0, 1), 0);
        for (so_far, events) in [(0.0, 4.0), (16.0, 16.0), (128.0, 128.0), (256.0, 256.0)] {
            let truth = 10.0 * ((10.0 + so_far + events) / (10.0_f64 + so_far)).ln();
            let learnt = hazard.among(so_far, events);
            assert!((learnt / truth - 1.0).abs() < 0.15, "{so_far} + {events}: {learnt}, {truth}");
        }
        assert!((3.5..7.5).contains(&hazard.shape), "{}", hazard.shape);
        assert!(hazard.burst < 1.15, "{}", hazard.burst);
    }

    #[test]
    fn scores_are_no_likelier_than_they_say() {
        let visitors = simulated(4000, 2.0, 2);
        let hazard = Hazard::learn(&visitors, 0);
        let mut scores = Vec::new();
        for visitor in &visitors {
            hazard.walk(visitor, |step, expected| scores.push(expected.nats(step.counted)));
        }
        for nats in [2.0, 3.0, 5.0, 7.0] {
            let share = scores.iter().filter(|score| **score >= nats).count() as f64 / scores.len() as f64;
            assert!(share <= (-nats).exp(), "{share} of the windows score {nats}");
        }
        let share = scores.iter().filter(|score| **score >= 2.0).count() as f64 / scores.len() as f64;
        assert!(share > 0.01, "nor far rarer: {share}");
    }

    #[test]
    fn who_has_looked_at_little_is_expected_to_go_on_so() {
        let hazard = Hazard::learn(&simulated(500, 1.0, 3), 0);
        let (narrow, wide) = (hazard.given(2.0, 20.0, 5.0), hazard.given(60.0, 20.0, 5.0));
        assert!(narrow.mean < 1.0 && wide.mean > 10.0, "{narrow:?} {wide:?}");
        assert!(narrow.nats(12.0) > wide.nats(12.0) + 10.0);
    }
}
