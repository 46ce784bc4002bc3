//! What is no leak by itself, or says too little to name one: it goes into the finding of the leak that it belongs to.

use slowleak_record::Field;

use crate::candidate::{Candidate, Grade};
use crate::days::slices::Slices;
use crate::leak::fold::Fold;

/// Part of a leak's excess that must be by the entity of the evidence.
const CARRIED: f64 = 0.5;

/// Puts each of these into the finding of the leak that it `belongs` to by its days, and that its entity carries. What
/// belongs to none is a finding of its own.
pub(crate) fn join(
    folds: &mut Vec<Fold>,
    mut found: Vec<Candidate>,
    slices: &Slices<'_>,
    belongs: impl Fn(&Candidate, &Candidate) -> bool,
) {
    found.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| (&a.dimension, &a.entity).cmp(&(&b.dimension, &b.entity)))
    });
    let leaks = folds.len();
    for one in found {
        let of_leak = |fold: &Fold| {
            let leak = &fold[0];
            // A housekeeping rule says nothing of a leak, and would lend its low severity.
            let alarming = leak.cause.is_none() && leak.grade().is_none_or(|grade| grade == Grade::Misuse);
            alarming && belongs(&one, leak) && fold.iter().any(|member| carries(&one, member, slices))
        };
        // The next to come, and no other of its kind while there is a leak.
        let next = (0..folds.len())
            .filter(|fold| of_leak(&folds[*fold]))
            .min_by_key(|fold| (*fold >= leaks, folds[*fold][0].days.start.abs_diff(one.days.start), *fold));
        match next {
            Some(fold) => folds[fold].push(one),
            None => folds.push(vec![one]),
        }
    }
}

/// Whether the entity of the evidence is the other's, or did most of what is the other's excess.
fn carries(one: &Candidate, other: &Candidate, slices: &Slices<'_>) -> bool {
    // What the two have in common on other days goes on.
    let outside = other.timeline.len().saturating_sub(other.days.len()).max(1);
    let usual = other.days.len() as f64 / outside as f64;
    let excess = |pair: &[(Field, String)]| {
        let inside = slices.events(pair, &other.days)?;
        Some(inside - usual * (slices.events(pair, &(0..usize::MAX))? - inside))
    };
    one.who.iter().all(|(field, value)| match other.part(*field) {
        Some(same) => same == value,
        None => other.who.iter().any(|part| {
            let shared = excess(&[(*field, value.clone()), part.clone()]);
            shared.is_some_and(|shared| shared >= CARRIED * other.excess_events.max(1.0))
        }),
    })
}
