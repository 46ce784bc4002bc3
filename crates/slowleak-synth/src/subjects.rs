//! Accounts: the id space with its gaps, the heavy-tailed popularity, and users' working sets.

use crate::chance::{Seed, below, mix, unit};
use crate::scenario::Population;

/// The id space: account `i` has id `first + i + gaps below it`; the gaps are evenly spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subjects {
    pub(crate) count: u64,
    first: i64,
    /// Unassigned ids.
    gaps: u64,
    seed: Seed,
}

impl Subjects {
    pub(crate) fn new(population: &Population, seed: Seed) -> Self {
        let count = population.subjects;
        let gaps = (count as f64 * population.unassigned / (1.0 - population.unassigned)) as u64;
        Self { count, first: population.first_subject, gaps, seed }
    }

    /// The id of account `index`.
    #[inline]
    pub(crate) fn id(self, index: u64) -> i64 {
        // Exact for 2^32 accounts times gaps in 128 bits; 64 suffice below 2^31 each.
        let before = ((u128::from(index) * u128::from(self.gaps)) / u128::from(self.count)) as u64;
        self.first + (index + before) as i64
    }

    /// An id that belongs to no account, close to where account `index` is.
    #[inline]
    pub(crate) fn missing_id(self, index: u64) -> i64 {
        if self.gaps == 0 {
            return self.first + (self.count + index) as i64;
        }
        // Gap g lies right before the first account that has g + 1 gaps below it.
        let gap = ((u128::from(index) * u128::from(self.gaps)) / u128::from(self.count)) as u64;
        let next = (u128::from(gap + 1) * u128::from(self.count)).div_ceil(u128::from(self.gaps)) as u64;
        self.first + (next + gap) as i64
    }

    /// An account by popularity: the most popular hundredth draws a fifth of the accesses.
    #[inline]
    pub(crate) fn popular(self, random: u64) -> u64 {
        let u = unit(random);
        let rank = (u * u * u * self.count as f64) as u64;
        below(mix(rank ^ self.seed.bits(0)), self.count)
    }

    /// An account of a user's working set of `size` on `day`; each of its members is replaced every one to
    /// three months.
    #[inline]
    pub(crate) fn returning(self, user_seed: u64, size: u32, day: usize, random: u64) -> u64 {
        let u = unit(random);
        let slot = (u * u * f64::from(size)) as u64;
        let of_slot = mix(user_seed ^ slot);
        let epoch = (day as u64 + (of_slot & 63)) / (30 + (of_slot >> 58));
        below(mix(of_slot.wrapping_add(epoch)), self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn accounts_and_gaps_never_share_an_id(subjects in 10_u64..5000, unassigned in 0.0_f64..0.9) {
            let population = Population { subjects, unassigned, ..Population::default() };
            let space = Subjects::new(&population, Seed::new(1));
            let ids: Vec<i64> = (0..subjects).map(|index| space.id(index)).collect();
            prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
            for index in 0..subjects {
                prop_assert!(ids.binary_search(&space.missing_id(index)).is_err());
            }
        }

        #[test]
        fn draws_stay_inside(subjects in 10_u64..1_000_000, random: u64, user: u64, size in 1_u32..1000) {
            let population = Population { subjects, ..Population::default() };
            let space = Subjects::new(&population, Seed::new(1));
            prop_assert!(space.popular(random) < subjects);
            prop_assert!(space.returning(user, size, 40, random) < subjects);
        }
    }
}
