//! What an entity would have done without a leak: a level times a known pattern.
//!
//! A leak may fill three quarters of the log, so a mean, a median or a trailing window would take it for
//! the habit. The level comes from the lowest plateau first; once the intervals that stand out are masked,
//! it is the mean over the rest.

/// Shortest plateau, days.
const PLATEAU_DAYS: usize = 14;
/// A plateau must be expected to hold this many counts, or chance alone makes low ones.
const PLATEAU_COUNTS: f64 = 30.0;
/// Which of the plateaus, from the lowest, is taken for the level.
const PLATEAU_QUANTILE: f64 = 0.05;
/// How far below the level the noise puts that plateau, in its standard deviations; less than the normal
/// quantile (1.64), since overlapping plateaus are few in truth and a leak must not be halved away.
const PLATEAU_DEVIATIONS: f64 = 1.2;

/// A level, in counts per unit of pattern, and its relative standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Level {
    pub(crate) value: f64,
    pub(crate) error: f64,
}

/// Level of the lowest plateau. `dispersion` gives the relative variance of the rate over so many days.
pub(crate) fn lowest_plateau(
    counts: &[f64],
    pattern: &[f64],
    counted: &[bool],
    dispersion: impl Fn(f64) -> f64,
) -> Level {
    let days: Vec<usize> = (0..counts.len()).filter(|day| counted[*day] && pattern[*day] > 0.0).collect();
    let total: f64 = days.iter().map(|day| counts[*day]).sum();
    if days.is_empty() || total <= 0.0 {
        return Level::default();
    }
    let needed = (PLATEAU_COUNTS / (total / days.len() as f64)).ceil() as usize;
    let length = PLATEAU_DAYS.max(needed).min((days.len() / 3).max(1));
    let mut rates: Vec<f64> = days
        .windows(length)
        .map(|plateau| {
            let sum = |of: &[f64]| plateau.iter().map(|day| of[*day]).sum::<f64>();
            sum(counts) / sum(pattern)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let low = rates[(PLATEAU_QUANTILE * rates.len() as f64) as usize];
    let mean = total / days.iter().map(|day| pattern[*day]).sum::<f64>();
    let expected = (low * total / mean / days.len() as f64 * length as f64).max(1.0);
    let deviation = (1.0 / expected + dispersion(length as f64)).sqrt();
    let raised = low / (1.0 - (PLATEAU_DEVIATIONS * deviation).min(0.5));
    // A silent plateau says that the rate is below what one count there would mean.
    let floor = 0.5 / (length as f64 * days.iter().map(|day| pattern[*day]).sum::<f64>() / days.len() as f64);
    Level { value: raised.min(mean).max(floor), error: deviation }
}

/// Mean level over the counted days, with half a count added so that no level is zero.
pub(crate) fn mean_level(
    counts: &[f64],
    pattern: &[f64],
    counted: &[bool],
    dispersion: impl Fn(f64) -> f64,
) -> Level {
    let mut total = 0.5;
    let (mut weight, mut days) = (0.0, 0.0);
    for day in (0..counts.len()).filter(|day| counted[*day]) {
        total += counts[day];
        weight += pattern[day];
        days += 1.0;
    }
    if weight <= 0.0 {
        return Level::default();
    }
    Level { value: total / weight, error: (1.0 / total + dispersion(days)).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_of_three_quarters_does_not_become_the_habit() {
        let counts: Vec<f64> =
            (0..180).map(|day| if (20..157).contains(&day) { 154.0 } else { 100.0 }).collect();
        let level = lowest_plateau(&counts, &[1.0; 180], &[true; 180], |_| 0.001);
        assert!((95.0..115.0).contains(&level.value), "{level:?}");
    }

    #[test]
    fn rare_events_get_longer_plateaus() {
        let counts: Vec<f64> = (0..280).map(|day| f64::from(u8::from(day % 4 == 0))).collect();
        let level = lowest_plateau(&counts, &[1.0; 280], &[true; 280], |_| 0.01);
        assert!((0.2..0.3).contains(&level.value), "{level:?}");
    }

    #[test]
    fn no_counted_day_gives_no_level() {
        assert_eq!(lowest_plateau(&[1.0], &[1.0], &[false], |_| 0.0), Level::default());
        assert_eq!(mean_level(&[1.0], &[1.0], &[false], |_| 0.0), Level::default());
    }
}
