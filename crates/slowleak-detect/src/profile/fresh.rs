//! Subjects that an entity touched for the first time. In: a view's days with how many of their subjects were new to the
//! entity. Out: that, and how many are expected of so many subjects from somebody who has touched so many before.
//!
//! The share of new ones falls with what is known already: everything is new to who begins. How it falls is learnt from
//! all entities of the view, by the logarithm of the subjects touched before (summed over days, repeats included): the
//! median over entities, each weighing as the root of its subjects there. Calendar age would make everybody who works
//! little look like a newcomer for long.

use slowleak_rollup::Metric;

use crate::days::daily::Daily;
use crate::rate::part::Part;
use crate::rate::peers::weighted_quantile;

/// Steps of history: powers of two.
const STEPS: usize = 40;
/// No step is taken to be without anything new.
const LEAST: f64 = 1e-3;

/// New subjects of the entities of a view; `None` where it does not know them.
pub(crate) fn fresh(daily: &Daily<'_>) -> Option<Part> {
    if daily.table.fresh.is_empty() {
        return None;
    }
    let mut points: Vec<Vec<(f64, f64)>> = vec![Vec::new(); STEPS];
    for entity in 0..daily.len() {
        let mut sums = [(0.0, 0.0); STEPS];
        for Day { step, subjects, fresh, .. } in days(daily, entity) {
            sums[step].0 += fresh;
            sums[step].1 += subjects;
        }
        for (points, (fresh, subjects)) in points.iter_mut().zip(sums).filter(|(_, sum)| sum.1 > 0.0) {
            points.push((f64::min(fresh / subjects, 1.0), subjects.sqrt()));
        }
    }
    let share = |points: &mut Vec<(f64, f64)>| match points.as_slice() {
        [] => LEAST,
        _ => weighted_quantile(points, 0.5).max(LEAST),
    };
    let shares: Vec<f64> = points.iter_mut().map(share).collect();
    let of_entity = |entity: usize| {
        let expected = |day: Day| (day.day, day.fresh, day.subjects * shares[day.step]);
        days(daily, entity).map(expected).collect()
    };
    Some(Part::of(Metric::Subjects, &(0..daily.len()).map(of_entity).collect::<Vec<_>>()))
}

/// A day of an entity.
struct Day {
    day: usize,
    /// How much it had touched before.
    step: usize,
    subjects: f64,
    fresh: f64,
}

fn days<'a>(daily: &'a Daily<'_>, entity: usize) -> impl Iterator<Item = Day> + 'a {
    let mut before = 0.0;
    daily.novelty(entity).map(move |(day, subjects, fresh)| {
        let step = f64::log2(1.0 + before) as usize;
        before += subjects;
        Day { day, step: step.min(STEPS - 1), subjects, fresh: fresh.min(subjects) }
    })
}
