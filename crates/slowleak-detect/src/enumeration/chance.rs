//! The null of neighbours: how many of so many accounts share a block with another one, had nobody gone by number.
//!
//! With h the chance that two accounts of an entity share a block, n accounts of a day lie in as many blocks as n draws
//! from 1 / h do ([`neighbours`]); while n h is small that is h n (n - 1) / 2 neighbours. The chance is the entity's own,
//! as its other days tell, and where these are few that of its peers, among which it varies: it is taken for gamma, with
//! shape a by the spread of the logarithm. Who goes by number as a habit has as many neighbours as accounts, whatever their
//! number, so that the share of neighbours among the accounts of the other days is the other bound. Of an interval with
//! C neighbours, P pairs ([`Days`]) and N accounts, where the other days have C', P' and N':
//!
//! ```text
//! mean        m = max(P (a + C') / (a / h + P'), N C' / N'),  never more than N
//! dispersion  1 / (a + C') of the chance, and what the other days scatter about theirs, taken to last for the interval
//! score       the log-likelihood ratio of C in units of a burst, at its best ratio, less what sketches may be off by
//! ```
//!
//! Neighbours come in bursts, too: a family's accounts have one number after the other. Their size is the variance over
//! the mean of days on which hardly any are expected; where many are, the dispersion has it all.

use std::ops::Range;

use crate::rate::score::profile_score;
use crate::reconnaissance::hazard::trimmed;

/// Distinct things that a sketch counts exactly, and its relative standard error beyond.
const EXACT: f64 = 256.0;
const ERROR: f64 = 0.024;
/// Drift of what is expected that is still taken for honest, as of rates.
const DRIFT: f64 = 1.05;
/// Fewest neighbours that are ever expected of an interval: rarer is more than anybody knows.
const LEAST: f64 = 0.1;
/// Neighbours by chance in a log with which an entity tells its own chance.
const TELLING: f64 = 5.0;
/// Fewest entities whose own chances tell how far chances differ.
const MIN_TELLING: usize = 8;
/// Between how many and how few entities' worth the shape of the chance may lie.
const SHAPES: (f64, f64) = (0.2, 20.0);
/// Squared neighbours by chance for which an entity's own scatter counts as much as its peers'.
const OWN_SCATTER: f64 = 20.0;
/// Rounds in which the middle chance and those whom it makes tell theirs settle.
const ROUNDS: usize = 6;
/// Steps of bisection: a chance to one part in a million.
const STEPS: usize = 40;

/// Accounts of an entity on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Visit {
    pub(crate) day: usize,
    /// Distinct accounts.
    pub(crate) accounts: f64,
    /// Those beyond one in each block; of sketches that may be less than none.
    pub(crate) neighbours: f64,
    /// Standard error of the neighbours, where one of the two is estimated.
    pub(crate) error: f64,
}

impl Visit {
    pub(crate) fn new(day: usize, accounts: f64, blocks: f64) -> Self {
        let error = |count: f64| if count > EXACT { ERROR * count } else { 0.0 };
        Self { day, accounts, neighbours: accounts - blocks, error: error(accounts).hypot(error(blocks)) }
    }
}

/// Neighbours among `accounts` by a chance of `chance` that two share a block: accounts less the blocks that so many
/// draws from 1 / `chance` hit.
pub(crate) fn neighbours(accounts: f64, chance: f64) -> f64 {
    let all = accounts * chance;
    if accounts <= 1.0 || chance <= 0.0 {
        0.0
    } else if all < 1e-4 {
        chance * accounts * (accounts - 1.0) / 2.0
    } else if chance >= 1.0 {
        accounts - 1.0
    } else {
        accounts + (accounts * (-chance).ln_1p()).exp_m1() / chance
    }
}

/// The chance by which visits have as many neighbours as they do; 0 where they have none.
fn chance_of(visits: &[Visit]) -> f64 {
    let found: f64 = visits.iter().map(|visit| visit.neighbours).sum();
    if found <= 0.0 {
        return 0.0;
    }
    let (mut low, mut high) = (-30.0_f64, 0.0_f64);
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        if expected(visits, middle.exp()) < found { low = middle } else { high = middle }
    }
    high.exp()
}

/// What the entities of a view have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Peers {
    /// The chance of the middle one.
    pub(crate) chance: f64,
    /// Shape of the chance among them.
    shape: f64,
    /// Squared coefficient of variation of a day, chance and counting taken out.
    scatter: f64,
    /// Neighbours in a burst.
    burst: f64,
}

impl Peers {
    /// Learns from the visits of all entities; `None` where no two accounts were ever neighbours.
    pub(crate) fn learn(entities: &[Vec<Visit>]) -> Option<Self> {
        let visits = || entities.iter().flatten();
        let found: f64 = visits().map(|visit| visit.neighbours.max(0.0)).sum();
        let pairs: f64 = visits().map(|visit| visit.accounts * (visit.accounts - 1.0) / 2.0).sum();
        if found <= 0.0 || pairs <= 0.0 {
            return None;
        }
        let telling = |chance: f64| -> Vec<(&Vec<Visit>, f64)> {
            let tells = |visits: &&Vec<Visit>| expected(visits, chance) >= TELLING;
            entities.iter().filter(tells).map(|visits| (visits, chance_of(visits))).collect()
        };
        // One who goes by number can have most neighbours of all: the sum of all is no guide, but to the middle one.
        let rough = (found / pairs).min(1.0);
        let mut middle = rough;
        let mut own = Vec::new();
        for _ in 0..ROUNDS {
            own = telling(middle);
            let mut chances: Vec<f64> = own.iter().map(|(_, own)| *own).collect();
            middle = match median(&mut chances) {
                // Most have none of the neighbours that should tell: it is far less.
                Some(0.0) => middle / 10.0,
                Some(chance) => chance,
                None => break,
            };
        }
        let log_apart = |(visits, own): &(&Vec<Visit>, f64)| {
            // Half a neighbour more for either: the logarithm of none says too much.
            let expected = expected(visits, middle) + 0.5;
            ((expected * own / middle + 0.5) / expected).ln().abs()
        };
        let mut apart: Vec<f64> = own.iter().map(log_apart).collect();
        let mut counting: Vec<f64> =
            own.iter().map(|(visits, _)| 1.0 / expected(visits, middle).max(TELLING)).collect();
        // Of a normal variable the median deviation is 0.6745 standard deviations. Of few entities nobody knows.
        let few = if own.len() < MIN_TELLING { 1.0 } else { 0.0 };
        let all = median(&mut apart).map_or(1.0, |apart| (apart / 0.6745).powi(2));
        let spread = (all - median(&mut counting).unwrap_or(0.0)).max(few);
        let shape = (1.0 / spread.exp_m1()).clamp(SHAPES.0, SHAPES.1);
        // Squared deviations beyond counting, and squared means, of days that tell; the same of others, for bursts.
        let moments = |(visits, own): &(&Vec<Visit>, f64)| {
            let (mut many, mut few) = ((0.0, 0.0), (0.0, 0.0));
            for visit in *visits {
                let mean = neighbours(visit.accounts, *own);
                let square = (visit.neighbours - mean).powi(2) - visit.error * visit.error;
                if mean >= 1.0 {
                    many = (many.0 + square - mean, many.1 + mean * mean);
                } else {
                    few = (few.0 + square, few.1 + mean);
                }
            }
            (many, few)
        };
        let (many, few): (Vec<_>, Vec<_>) = own.iter().map(moments).unzip();
        let (many, few) = (trimmed(many), trimmed(few));
        let ratio = |(above, below): (f64, f64)| if below > 0.0 { above / below } else { 0.0 };
        Some(Self { chance: middle, shape, scatter: ratio(many).max(0.0), burst: ratio(few).max(1.0) })
    }
}

/// Neighbours by a chance among the accounts of all visits.
fn expected(visits: &[Visit], chance: f64) -> f64 {
    visits.iter().map(|visit| neighbours(visit.accounts, chance)).sum()
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Sums over days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    accounts: f64,
    neighbours: f64,
    pairs: f64,
    /// Squares and products of neighbours and pairs, by day.
    squares: f64,
    products: f64,
    pair_squares: f64,
    /// Standard errors, their squares, and the squares of these.
    errors: f64,
    variances: f64,
    variance_squares: f64,
}

impl Sums {
    /// The sums with `sign` times those of others.
    fn plus(&self, other: &Self, sign: f64) -> Self {
        let sum = |of: fn(&Self) -> f64| of(self) + sign * of(other);
        Self {
            accounts: sum(|sums| sums.accounts),
            neighbours: sum(|sums| sums.neighbours),
            pairs: sum(|sums| sums.pairs),
            squares: sum(|sums| sums.squares),
            products: sum(|sums| sums.products),
            pair_squares: sum(|sums| sums.pair_squares),
            errors: sum(|sums| sums.errors),
            variances: sum(|sums| sums.variances),
            variance_squares: sum(|sums| sums.variance_squares),
        }
    }
}

/// What is expected of an interval, and what was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judged {
    pub(crate) accounts: f64,
    pub(crate) neighbours: f64,
    pub(crate) expected: f64,
    /// Relative variance of what is expected, counting left out.
    pub(crate) dispersion: f64,
    /// Neighbours by chance a pair, and as a habit an account.
    pub(crate) chance: f64,
    pub(crate) habit: f64,
    error: f64,
    burst: f64,
}

/// The days of an entity, with their sums from the first on. A day's pairs are those whose neighbours are in proportion to
/// the chance, about a given one: fewer than there are where blocks fill up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Days<'a> {
    pub(crate) visits: &'a [Visit],
    peers: Peers,
    pairs: Vec<f64>,
    sums: Vec<Sums>,
}

impl<'a> Days<'a> {
    /// Adds up visits, with pairs about `chance`.
    pub(crate) fn new(visits: &'a [Visit], peers: Peers, chance: f64) -> Self {
        let chance = chance.max(f64::MIN_POSITIVE.sqrt());
        let pairs: Vec<f64> =
            visits.iter().map(|visit| neighbours(visit.accounts, chance) / chance).collect();
        let mut sums = vec![Sums::default()];
        for (visit, pairs) in visits.iter().zip(&pairs) {
            let Visit { accounts, neighbours, error, .. } = *visit;
            let of_day = Sums {
                accounts,
                neighbours,
                pairs: *pairs,
                squares: neighbours * neighbours,
                products: neighbours * pairs,
                pair_squares: pairs * pairs,
                errors: error,
                variances: error * error,
                variance_squares: error.powi(4),
            };
            sums.push(sums.last().copied().unwrap_or_default().plus(&of_day, 1.0));
        }
        Self { visits, peers, pairs, sums }
    }

    /// What the other visits lead to expect of some.
    pub(crate) fn judge(&self, visits: &Range<usize>) -> Judged {
        let inside = self.sums[visits.end].plus(&self.sums[visits.start], -1.0);
        let outside = self.sums[self.visits.len()].plus(&inside, -1.0);
        let Peers { chance, shape, scatter, burst } = self.peers;
        let before = outside.neighbours.max(0.0);
        let chance = (shape + before) / (shape / chance + outside.pairs);
        let habit = if outside.accounts > 0.0 { before / outside.accounts } else { 0.0 };
        let by_chance = chance * inside.pairs;
        let expected = (DRIFT * by_chance.max(habit * inside.accounts)).min(inside.accounts).max(LEAST);
        let squares = outside.squares - 2.0 * chance * outside.products
            + chance * chance * outside.pair_squares
            - chance * outside.pairs
            - outside.variances
            // What normal errors scatter is known to its own standard deviation, twice which is none of the entity's.
            - 2.0 * (2.0 * outside.variance_squares).sqrt();
        let own = (squares.max(0.0) + OWN_SCATTER * scatter)
            / (chance * chance * outside.pair_squares + OWN_SCATTER);
        Judged {
            accounts: inside.accounts,
            neighbours: inside.neighbours,
            expected,
            dispersion: own + 1.0 / (shape + before),
            chance,
            habit,
            error: inside.errors,
            burst,
        }
    }

    /// Neighbours that are expected of a visit by what was found of an interval's others.
    pub(crate) fn expected(&self, visit: usize, judged: &Judged) -> f64 {
        let accounts = self.visits[visit].accounts;
        (judged.chance * self.pairs[visit]).max(judged.habit * accounts).min(accounts)
    }
}

impl Judged {
    /// Neighbours beyond the expected.
    pub(crate) fn excess(&self) -> f64 {
        self.neighbours - self.expected
    }

    /// Whether the score is `enough` at most, without a logarithm: it is the integral of (x - t) / V(t) from what is
    /// expected, where the variance V grows, and so no more than half the squared excess over the variance there.
    pub(crate) fn is_at_most(&self, enough: f64) -> bool {
        let variance = self.expected * self.burst + self.dispersion * self.expected * self.expected;
        self.excess() <= 0.0 || self.excess() * self.excess() <= 2.0 * enough * variance
    }

    /// Nats for the neighbours, as far as they are more than `enough`; sketches may be off by as much as explains most.
    /// Errors are added up as if each day were off to the same side: the same accounts are, day by day.
    pub(crate) fn nats(&self, enough: f64) -> f64 {
        let alone = |neighbours: f64| {
            profile_score(neighbours / self.burst, self.expected / self.burst, self.dispersion)
        };
        let whole = alone(self.neighbours);
        if self.error <= 0.0 || whole <= enough {
            return whole;
        }
        let most = self.excess() / self.error;
        let shared = |errors: f64| alone(self.neighbours - errors * self.error) + errors * errors / 2.0;
        if shared(most) <= enough {
            return shared(most).min(whole);
        }
        // Both parts are convex: a ternary search.
        let (mut low, mut high) = (0.0, most);
        for _ in 0..24 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if shared(left) < shared(right) { high = right } else { low = left }
        }
        shared((low + high) / 2.0).min(whole)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, Gamma};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    #[test]
    fn neighbours_are_accounts_less_the_blocks_that_they_hit() {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        for (accounts, blocks) in [(2, 50), (40, 50), (400, 50), (3, 100_000), (2_000, 100_000), (9, 1)] {
            let mut sum = 0.0;
            for _ in 0..2_000 {
                let hit: std::collections::HashSet<u32> =
                    (0..accounts).map(|_| rng.random_range(0..blocks)).collect();
                sum += f64::from(accounts) - hit.len() as f64;
            }
            let (mean, want) = (sum / 2_000.0, neighbours(f64::from(accounts), 1.0 / f64::from(blocks)));
            assert!((mean - want).abs() < 0.02 + 0.02 * want, "{accounts} of {blocks}: {mean}, {want}");
        }
        // Where the formula changes, it does not jump.
        let (below, above) = (neighbours(1_000.0, 0.999e-7), neighbours(1_000.0, 1.001e-7));
        assert!((below / above - 1.0).abs() < 0.01, "{below} {above}");
    }

    /// Entities with a chance of their own each, that visit some number of accounts a day.
    fn simulated(entities: usize, blocks: f64, seed: u64) -> Vec<Vec<Visit>> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let entity = |_| {
            let own = blocks / Gamma::new(5.0, 0.2).unwrap().sample(&mut rng);
            let level = rng.random_range(2.0..150.0_f64);
            let visit = |day| {
                let accounts = (level * rng.random_range(0.3..1.7_f64)).ceil();
                let hit: std::collections::HashSet<u64> =
                    (0..accounts as u64).map(|_| rng.random_range(0..own as u64 + 1)).collect();
                Visit::new(day, accounts, hit.len() as f64)
            };
            (0..90).map(visit).collect()
        };
        (0..entities).map(entity).collect()
    }

    #[test]
    fn the_chance_is_learnt_and_a_few_who_go_by_number_teach_nothing() {
        let mut entities = simulated(200, 2_000.0, 2);
        let clean = Peers::learn(&entities).unwrap();
        assert!((0.7..1.4).contains(&(clean.chance * 2_000.0)), "{clean:?}");
        assert!((2.5..10.0).contains(&clean.shape), "{clean:?}");
        assert!(clean.scatter < 0.2 && clean.burst < 1.3, "{clean:?}");
        for visits in entities.iter_mut().take(3) {
            visits[60..].iter_mut().for_each(|visit| visit.neighbours = visit.accounts - 1.0);
        }
        let touched = Peers::learn(&entities).unwrap();
        assert!((touched.chance / clean.chance - 1.0).abs() < 0.1 && touched.scatter < 0.3, "{touched:?}");
    }

    #[test]
    fn scores_are_no_likelier_than_they_say() {
        let entities = simulated(400, 2_000.0, 3);
        let peers = Peers::learn(&entities).unwrap();
        let mut scores = Vec::new();
        for visits in &entities {
            let days = Days::new(visits, peers, peers.chance);
            let intervals =
                [1, 7, 30].map(|length| (0..90 / length).map(move |at| at * length..(at + 1) * length));
            scores.extend(intervals.into_iter().flatten().map(|days_in| days.judge(&days_in).nats(0.0)));
        }
        for nats in [2.0, 3.0, 5.0, 7.0] {
            let share = scores.iter().filter(|score| **score >= nats).count() as f64 / scores.len() as f64;
            assert!(share <= (-nats).exp(), "{share} of the intervals score {nats}");
        }
        let share = scores.iter().filter(|score| **score >= 1.0).count() as f64 / scores.len() as f64;
        assert!(share > 0.01, "nor far rarer: {share}");
    }

    #[test]
    fn a_score_is_never_above_its_bound() {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        for _ in 0..2_000 {
            let judged = Judged {
                accounts: 1e4,
                neighbours: rng.random_range(0.0..2_000.0),
                expected: rng.random_range(0.1..1_000.0),
                dispersion: rng.random_range(0.0..3.0),
                chance: 0.0,
                habit: 0.0,
                error: 0.0,
                burst: rng.random_range(1.0..4.0),
            };
            let nats = judged.nats(0.0);
            assert!(nats == 0.0 || !judged.is_at_most(nats * 0.99), "{judged:?}");
            assert!(judged.excess() > 0.0 || judged.is_at_most(0.0), "{judged:?}");
        }
    }

    #[test]
    fn estimates_that_are_off_are_no_neighbours() {
        let mut rng = Pcg64Mcg::seed_from_u64(4);
        let error = rand_distr::Normal::new(1.0, ERROR).unwrap();
        // Accounts with a block each, so that all neighbours are the sketches' own.
        let mut day = |at| Visit::new(at, 3_000.0 * error.sample(&mut rng), 3_000.0 * error.sample(&mut rng));
        let visits: Vec<Visit> = (0..120).map(&mut day).collect();
        let peers = Peers { chance: 1e-7, shape: 5.0, scatter: 0.0, burst: 1.0 };
        let days = Days::new(&visits, peers, peers.chance);
        let best = |length: usize| {
            let scores = (0..=120 - length).map(|at| days.judge(&(at..at + length)).nats(0.0));
            scores.fold(0.0, f64::max)
        };
        assert!([1, 2, 5, 20].into_iter().all(|length| best(length) < 8.0), "{} {}", best(1), best(5));
        // As many neighbours as on the worst of these days are beyond doubt where counts are exact, as is a walk where not.
        let exact: Vec<Visit> =
            (0..120).map(|at| Visit::new(at, 200.0, if at == 60 { 100.0 } else { 200.0 })).collect();
        assert!(Days::new(&exact, peers, peers.chance).judge(&(60..61)).nats(0.0) > 50.0);
        let walked: Vec<Visit> = visits
            .iter()
            .map(|visit| Visit {
                neighbours: visit.neighbours + if visit.day == 60 { 2_000.0 } else { 0.0 },
                ..*visit
            })
            .collect();
        assert!(Days::new(&walked, peers, peers.chance).judge(&(60..61)).nats(0.0) > 50.0);
    }
}
