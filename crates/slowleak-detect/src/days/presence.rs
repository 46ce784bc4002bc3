//! On which days an entity was there at all.
//!
//! A person on leave, a service not yet born and a retired key say nothing about their own rate: stretches
//! of a week or more without an event are left out of every estimate.

use crate::days::grid::Grid;

/// A silence of this many days or more is absence.
const ABSENCE_DAYS: usize = 7;

/// Marks the days that count for an entity with these daily events: logged days outside silences of
/// [`ABSENCE_DAYS`] and more, before the first event and after the last included.
pub(crate) fn presence(events: &[f64], grid: &Grid) -> Vec<bool> {
    let mut present: Vec<bool> = (0..events.len()).map(|day| grid.logged(day)).collect();
    let mut start = 0;
    for day in 0..=events.len() {
        if day == events.len() || events[day] > 0.0 {
            let touches_edge = start == 0 || day == events.len();
            if day - start >= ABSENCE_DAYS || (touches_edge && day > start) {
                present[start..day].fill(false);
            }
            start = day + 1;
        }
    }
    present
}
