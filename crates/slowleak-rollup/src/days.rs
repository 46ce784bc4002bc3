//! Sets of UTC days. In: days. Out: what is in the set, as ranges.

use std::ops::Range;

use slowleak_record::Micros;

/// A set of UTC days, counted from 1970-01-01.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Days(Vec<Range<i64>>);

impl Days {
    /// The day that holds a time.
    pub fn of(time: Micros) -> i64 {
        time.0.div_euclid(Micros::DAY)
    }

    /// Whether the set holds a day.
    pub fn contains(&self, day: i64) -> bool {
        let after = self.0.partition_point(|range| range.start <= day);
        after.checked_sub(1).is_some_and(|at| self.0[at].contains(&day))
    }

    /// The days, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Consecutive days as ranges, ascending and apart from each other.
    pub fn ranges(&self) -> &[Range<i64>] {
        &self.0
    }

    /// Number of days.
    pub fn len(&self) -> usize {
        self.0.iter().map(|range| range.clone().count()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The days of either set.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// The days that are not in the other set.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.iter().filter(|day| !other.contains(*day)).collect()
    }

    /// The days of both sets.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        self.iter().filter(|day| other.contains(*day)).collect()
    }
}

impl FromIterator<i64> for Days {
    fn from_iter<I: IntoIterator<Item = i64>>(days: I) -> Self {
        let mut days: Vec<i64> = days.into_iter().collect();
        days.sort_unstable();
        let mut ranges: Vec<Range<i64>> = Vec::new();
        for day in days {
            match ranges.last_mut() {
                Some(last) if day <= last.end => last.end = last.end.max(day + 1),
                _ => ranges.push(day..day + 1),
            }
        }
        Self(ranges)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_are_a_set(a in proptest::collection::btree_set(-20..20_i64, 0..30), b in proptest::collection::btree_set(-20..20_i64, 0..30)) {
            let set = |days: &BTreeSet<i64>| days.iter().rev().copied().collect::<Days>();
            let (left, right) = (set(&a), set(&b));
            prop_assert_eq!(left.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(left.len(), a.len());
            prop_assert!((-25..25).all(|day| left.contains(day) == a.contains(&day)));
            prop_assert_eq!(left.with(&right), set(&a.union(&b).copied().collect()));
            prop_assert_eq!(left.without(&right), set(&a.difference(&b).copied().collect()));
            prop_assert_eq!(left.within(&right), set(&a.intersection(&b).copied().collect()));
            prop_assert!(left.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
