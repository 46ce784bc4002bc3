//! What the entities of a view share by hour: the profile of the week, and how much busier than usual each hour was for
//! everybody (the backlog of an outage, an early end of work). Learnt like `rate/peers.rs` learns days.

use rayon::prelude::*;

use crate::burst::clock::{Clock, HOURS, Profile, Shape};
use crate::burst::noise::Cursor;
use crate::burst::series::Series;
use crate::rate::peers::weighted_quantile;

/// Fewest peers that can tell a common hour from chance.
const MIN_PEERS: usize = 8;
/// The common factor explains at most this much of an hour, either way.
const FACTOR_RANGE: (f64, f64) = (0.3, 3.0);
/// Largest peers asked for the common factor.
pub(crate) const MAX_PEERS: usize = 512;
/// Accesses an hour of those that are asked.
pub(crate) const MIN_RATE: f64 = 1.0;

/// What one entity says.
pub(crate) struct Voice {
    weight: f64,
    profile: Profile,
    /// Of a large entity, for each hour: its accesses over what its day led to expect, and that expectation; nothing
    /// where that is less than one.
    ratios: Vec<Option<(f32, f32)>>,
}

impl Voice {
    pub(crate) fn of(series: &Series, clock: &Clock, large: bool) -> Self {
        let (events, weekdays) = series.weeks(clock);
        let profile = Profile::learn(&events, weekdays, &Profile::FLAT);
        let mut ratios = Vec::new();
        if large {
            let shape = Shape::of(&profile, &vec![1.0; clock.hours()], clock);
            let habit = series.habit(&shape, clock);
            let (mut own, mut lower, mut upper) = (Cursor(0), Cursor(0), Cursor(0));
            let hour = clock.an_hour();
            ratios = (0..clock.hours())
                .map(|at| {
                    let windows = at * hour..(at + 1) * hour;
                    let around = habit.context(&windows);
                    let count = -own.before(&habit, windows.start) + own.before(&habit, windows.end);
                    let rest = upper.before(&habit, around.end) - lower.before(&habit, around.start) - count;
                    let expected = habit.of_day(&windows, &around, rest);
                    (expected >= 1.0).then_some(((count / expected) as f32, expected.min(100.0) as f32))
                })
                .collect();
        }
        Self { weight: series.total().sqrt(), profile, ratios }
    }
}

/// What is shared.
pub(crate) struct Peers {
    pub(crate) profile: Profile,
    pub(crate) factor: Vec<f64>,
}

impl Peers {
    pub(crate) fn of(voices: &[Voice], clock: &Clock) -> Self {
        let (mut hours, mut weekdays) = ([0.0; HOURS], [0.0; 7]);
        for Voice { weight, profile, .. } in voices {
            hours.iter_mut().zip(profile.hours).for_each(|(sum, share)| *sum += weight * share);
            weekdays.iter_mut().zip(profile.weekdays).for_each(|(sum, share)| *sum += weight * share);
        }
        let large: Vec<&Voice> = voices.iter().filter(|voice| !voice.ratios.is_empty()).collect();
        let factor = |hour: usize| {
            let ratios = large.iter().filter_map(|voice| voice.ratios[hour]);
            let mut ratios: Vec<(f64, f64)> =
                ratios.map(|(ratio, weight)| (f64::from(ratio), f64::from(weight))).collect();
            if ratios.len() < MIN_PEERS {
                return 1.0;
            }
            weighted_quantile(&mut ratios, 0.5).clamp(FACTOR_RANGE.0, FACTOR_RANGE.1)
        };
        let factor = (0..clock.hours()).into_par_iter().map(factor).collect();
        Self { profile: Profile::shared(hours, weekdays), factor }
    }

    /// How an entity's traffic usually spreads.
    pub(crate) fn shape(&self, series: &Series, clock: &Clock) -> Shape {
        let (events, weekdays) = series.weeks(clock);
        Shape::of(&Profile::learn(&events, weekdays, &self.profile), &self.factor, clock)
    }
}
