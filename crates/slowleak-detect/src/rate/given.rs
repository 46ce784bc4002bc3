//! Metrics that are tested given another: misses and rows given accesses, bytes given rows.
//!
//! The expected count is a level times the other metric, so that volume and season cancel: what is left is how often an
//! access misses, and how much it returns. Rows and bytes come in lumps: the sum of n independent answers of mean r and
//! squared coefficient of variation c has variance n r^2 (1 + c), which is that of a Poisson count of units of r (1 + c)
//! each. So they are counted in that unit, measured as variance over mean of the entity's own days, the largest left out;
//! one negative-binomial kernel then serves all.

use slowleak_rollup::Metric;

use crate::days::daily::Daily;

/// Part of the days, the most surprising, that the unit is not measured on: an entity's own outliers.
const LEFT_OUT: f64 = 0.1;
/// Fewest days to measure a unit on.
const MIN_DAYS: usize = 14;

/// The metric that another is tested given; `None` where it is not of this kind.
pub(crate) fn base(metric: Metric) -> Option<Metric> {
    match metric {
        Metric::Missing | Metric::Rows => Some(Metric::Events),
        Metric::Bytes => Some(Metric::Rows),
        _ => None,
    }
}

/// Counts in units, the other metric, and the unit.
pub(crate) fn read(
    daily: &Daily<'_>,
    entity: usize,
    metric: Metric,
    base: Metric,
    events: &[f64],
    counted: &[bool],
) -> (Vec<f64>, Vec<f64>, f64) {
    let mut counts = vec![0.0; events.len()];
    daily.fill_sum(entity, metric, &mut counts);
    let mut given = events.to_vec();
    if base != Metric::Events {
        daily.fill_sum(entity, base, &mut given);
    }
    let unit = if metric == Metric::Missing { 1.0 } else { unit(&counts, &given, counted) };
    counts.iter_mut().for_each(|count| *count /= unit);
    (counts, given, unit)
}

/// Variance over mean of the counts around their share of the other metric; no less than what one of the latter brings.
fn unit(counts: &[f64], given: &[f64], counted: &[bool]) -> f64 {
    let days = || (0..counts.len()).filter(|day| counted[*day] && given[*day] > 0.0);
    let sum = |of: &[f64]| days().map(|day| of[day]).sum::<f64>();
    let ratio = sum(counts) / sum(given).max(1.0);
    let surprise = |day: usize| {
        let expected = ratio * given[day];
        (counts[day] - expected).powi(2) / expected
    };
    let mut surprises: Vec<f64> = days().map(surprise).filter(|value| value.is_finite()).collect();
    if surprises.len() < MIN_DAYS {
        return ratio.max(1.0);
    }
    surprises.sort_by(f64::total_cmp);
    surprises.truncate(surprises.len() - (LEFT_OUT * surprises.len() as f64) as usize);
    (surprises.iter().sum::<f64>() / surprises.len() as f64).max(ratio).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_what_lumps_are_made_of() {
        // Accesses that return 10 or 30 rows by turns, on days with 8 of the one and 12 of the other, or the reverse.
        let given = vec![20.0; 60];
        let counts: Vec<f64> = (0..60).map(|day| if day % 2 == 0 { 440.0 } else { 360.0 }).collect();
        let of = unit(&counts, &given, &[true; 60]);
        assert!((of - 20.0).abs() < 1e-9, "less than chance would scatter: one access's rows, {of}");
        let lively: Vec<f64> = (0..60).map(|day| if day % 2 == 0 { 800.0 } else { 0.0 }).collect();
        assert!((unit(&lively, &given, &[true; 60]) - 400.0).abs() < 1e-9);
    }
}
