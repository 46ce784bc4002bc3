//! A habit: on which days somebody touched what, and how much of it is kept.

use std::collections::BTreeMap;

/// Days and values that an entity must have touched on either side.
pub(crate) const LEAST: f64 = 20.0;

/// The (day, value) pairs of an entity, each once, ascending.
pub(crate) type Habit = Vec<(usize, usize)>;

/// Where the habit has as much before as since.
pub(crate) fn middle(habit: &Habit) -> Option<usize> {
    Some(habit.get(habit.len() / 2)?.0)
}

/// Every (value, entity, day), ascending.
pub(crate) fn touches(habits: &[Habit]) -> Vec<(usize, usize, usize)> {
    let mut touches = Vec::new();
    for (entity, habit) in habits.iter().enumerate() {
        touches.extend(habit.iter().map(|(day, value)| (*value, entity, *day)));
    }
    touches.sort_unstable();
    touches
}

/// The share of what was touched since a day that is as before: the overlap of the two profiles, 0 to 1.
pub(crate) fn overlap(habit: &Habit, day: usize) -> f64 {
    let (counts, before, since) = halves(habit, day);
    counts.values().map(|(n, m)| f64::min(n / before.max(1.0), m / since.max(1.0))).sum()
}

/// The deviance between an entity's two halves over its degrees of freedom: 1 where a habit is kept. `None` where there is
/// too little of it.
pub(crate) fn wander(habit: &Habit) -> Option<f64> {
    let (counts, before, since) = halves(habit, middle(habit)?);
    if before < LEAST || since < LEAST || counts.len() < 2 {
        return None;
    }
    let term = |x: f64, expected: f64| if x > 0.0 { x * (x / expected).ln() } else { 0.0 };
    let deviance: f64 = counts
        .values()
        .map(|(n, m)| {
            let share = (n + m) / (before + since);
            2.0 * (term(*n, share * before) + term(*m, share * since))
        })
        .sum();
    Some(deviance / (counts.len() - 1) as f64)
}

/// Days of each value before and since a day, and their sums.
fn halves(habit: &Habit, day: usize) -> (BTreeMap<usize, (f64, f64)>, f64, f64) {
    let mut counts = BTreeMap::<usize, (f64, f64)>::new();
    let mut sums = (0.0, 0.0);
    for (at, value) in habit {
        let (n, m) = counts.entry(*value).or_default();
        let (place, sum) = if *at < day { (n, &mut sums.0) } else { (m, &mut sums.1) };
        *place += 1.0;
        *sum += 1.0;
    }
    (counts, sums.0, sums.1)
}
