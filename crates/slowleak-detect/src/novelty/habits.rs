//! How alike the sources of a key are in what they touch, and how far each departs from that.
//!
//! In: sources and the mixes of their keys. Out: for each source the object that it is devoted to, if it is to one, with
//! the odds of so many of its accesses going there by chance, in nats.
//!
//! Sources have habits: two accesses of one source go to the same object more often than two of different ones. The
//! correlation is measured for each key on its own sources, by moments: with mix m, n accesses and x of an object,
//! E sum (x - nm)^2 = n (1 - sum m^2) (1 + (n - 1) correlation). The source itself takes no part in its own, and no
//! source weighs more than three quarters of the others do, or a leak would be the habit that excuses it.

use crate::novelty::sources::{Source, Sources};
use crate::novelty::unlikely::nats;

/// Sources of all keys count as much as this many of the key's own.
const PRIOR_SOURCES: f64 = 8.0;
/// A source weighs no more than this quantile of those of its key.
const WEIGHT_QUANTILE: f64 = 0.75;
/// A devoted source has at least this part of its accesses on one object.
const DEVOTED: f64 = 0.5;

/// What a source is devoted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Devotion {
    pub(crate) object: usize,
    /// Accesses there, and how many the mix of its keys leads to expect.
    pub(crate) hits: f64,
    pub(crate) expected: f64,
    /// Of the key that it uses most.
    pub(crate) correlation: f64,
    pub(crate) score: f64,
}

/// What the moments of one source say of the correlation.
#[derive(Debug, Clone, Copy)]
struct Moment {
    correlation: f64,
    weight: f64,
}

/// The devotion of every source, in the order of the sources; `None` for those that are devoted to nothing.
pub(crate) fn devotions(sources: &Sources<'_>) -> Vec<Option<Devotion>> {
    let mut mix = vec![0.0; sources.objects.len()];
    let mut moments = Vec::with_capacity(sources.all.len());
    let mut favourites = Vec::with_capacity(sources.all.len());
    for source in &sources.all {
        let touched = sources.expect(source, &mut mix);
        moments.push(moment(source, &mix, &touched));
        favourites.push(source.favourite().map(|(object, hits)| (object, hits, mix[object])));
        touched.into_iter().for_each(|object| mix[object] = 0.0);
    }
    let homes: Vec<Option<usize>> = sources.all.iter().map(Source::home).collect();
    cap(&mut moments, &homes, sources.keys.len());
    let mut of_key = vec![(0.0, 0.0, 0.0); sources.keys.len()];
    let (mut sum, mut weights) = (0.0, 0.0);
    for (moment, home) in moments.iter().zip(&homes) {
        let (Some(moment), Some(home)) = (moment, home) else { continue };
        let of_key = &mut of_key[*home];
        *of_key = (of_key.0 + moment.correlation * moment.weight, of_key.1 + moment.weight, of_key.2 + 1.0);
        sum += moment.correlation * moment.weight;
        weights += moment.weight;
    }
    let overall = if weights > 0.0 { sum / weights } else { 1.0 };
    let devotion = |at: usize| {
        let (source, own, home) = (&sources.all[at], moments[at], homes[at]?);
        let (object, hits, share) = favourites[at]?;
        let (sum, weights, count) = of_key[home];
        let own = own.map_or((0.0, 0.0, 0.0), |own| (own.correlation * own.weight, own.weight, 1.0));
        let (sum, weights, count) = (sum - own.0, weights - own.1, count - own.2);
        let of_others = if weights > 1e-9 { sum / weights } else { overall };
        let correlation = (count * of_others + PRIOR_SOURCES * overall) / (count + PRIOR_SOURCES);
        let devoted = hits >= DEVOTED * source.events;
        devoted.then(|| Devotion {
            object,
            hits,
            expected: share * source.events,
            correlation: correlation.clamp(0.0, 1.0),
            score: nats(source.events, hits, share, correlation),
        })
    };
    (0..sources.all.len()).map(devotion).collect()
}

fn moment(source: &Source, mix: &[f64], touched: &[usize]) -> Option<Moment> {
    let n = source.events;
    let squares: f64 = touched.iter().map(|object| mix[*object] * mix[*object]).sum();
    let (mut hits, mut met) = (0.0, 0.0);
    for (object, x) in &source.objects {
        hits += x * x;
        met += x * mix[*object];
    }
    let scale = n * (1.0 - squares);
    let weight = scale * (n - 1.0);
    (weight > 1e-9)
        .then(|| Moment { correlation: (hits - 2.0 * n * met + n * n * squares - scale) / weight, weight })
}

/// Lowers the weights of each key's heaviest sources.
fn cap(moments: &mut [Option<Moment>], homes: &[Option<usize>], keys: usize) {
    let mut weights: Vec<Vec<f64>> = vec![Vec::new(); keys];
    for (moment, home) in moments.iter().zip(homes) {
        if let (Some(moment), Some(home)) = (moment, home) {
            weights[*home].push(moment.weight);
        }
    }
    let most = |mut weights: Vec<f64>| {
        weights.sort_by(f64::total_cmp);
        weights.get((WEIGHT_QUANTILE * weights.len() as f64) as usize).copied().unwrap_or(0.0)
    };
    let most: Vec<f64> = weights.into_iter().map(most).collect();
    for (moment, home) in moments.iter_mut().zip(homes) {
        if let (Some(moment), Some(home)) = (moment, home) {
            moment.weight = moment.weight.min(most[*home]);
        }
    }
}
