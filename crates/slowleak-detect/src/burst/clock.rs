//! The windows of a log, and how an entity's accesses usually spread over them. In: profiles of the week. Out: the part
//! of the traffic that any stretch of windows has, from a sum by hour.

use slowleak_record::Micros;

use crate::days::grid::Grid;

pub(crate) const HOURS: usize = 24;
const WEEK: usize = 7 * HOURS;

/// Windows that divide the hour, from the first to the last day of the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    start: Micros,
    window: i64,
    days: usize,
    /// Hour of the week, 0 to 167, at which the log starts.
    first: usize,
}

impl Clock {
    /// `None` where the window is longer than an hour or does not divide it.
    pub(crate) fn of(grid: &Grid, window: i64) -> Option<Self> {
        let divides = window > 0 && Micros::HOUR % window == 0;
        divides.then(|| Self {
            start: grid.start(0),
            window,
            days: grid.days(),
            first: grid.weekday(0) * HOURS,
        })
    }

    /// Windows in an hour.
    pub(crate) fn an_hour(&self) -> usize {
        (Micros::HOUR / self.window) as usize
    }

    pub(crate) fn hours(&self) -> usize {
        self.days * HOURS
    }

    pub(crate) fn windows(&self) -> usize {
        self.hours() * self.an_hour()
    }

    /// The window that starts at `time`, where it is one of the log's.
    pub(crate) fn position(&self, time: Micros) -> Option<usize> {
        let at = usize::try_from((time.0 - self.start.0).div_euclid(self.window)).ok()?;
        (at < self.windows()).then_some(at)
    }

    pub(crate) fn time(&self, window: usize) -> Micros {
        Micros(self.start.0 + window as i64 * self.window)
    }

    pub(crate) fn hour(&self, window: usize) -> usize {
        window / self.an_hour()
    }

    /// Hour of the week of an hour of the log; 0 to 167, of which each 24 are a UTC day.
    pub(crate) fn hour_of_week(&self, hour: usize) -> usize {
        (self.first + hour) % WEEK
    }
}

/// Shares of hours and days, mean one each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    pub(crate) hours: [f64; HOURS],
    pub(crate) weekdays: [f64; 7],
    /// Of each weekday, shares of its hours.
    by_weekday: [[f64; HOURS]; 7],
}

/// An entity's own profile weighs against its prior as its events against this many (as weekdays do for days).
pub(crate) const PRIOR_EVENTS: f64 = 30.0;

impl Profile {
    pub(crate) const FLAT: Self =
        Self { hours: [1.0; HOURS], weekdays: [1.0; 7], by_weekday: [[1.0; HOURS]; 7] };

    /// Shares that peers have in common.
    pub(crate) fn shared(hours: [f64; HOURS], weekdays: [f64; 7]) -> Self {
        let hours = normalised(hours);
        Self { by_weekday: [hours; 7], hours, weekdays: normalised(weekdays) }
    }

    /// Learns from the events of each hour of the week, and how often each weekday was there; the hours of the day are
    /// shrunk to the prior's, those of each weekday to those of all.
    pub(crate) fn learn(events: &[f64], weekdays: [f64; 7], prior: &Self) -> Self {
        let of_day = |day: usize| events[day * HOURS..(day + 1) * HOURS].iter().sum::<f64>();
        let sums: [f64; 7] = std::array::from_fn(of_day);
        let (total, days) = (sums.iter().sum::<f64>(), weekdays.iter().sum::<f64>());
        if total <= 0.0 || days <= 0.0 {
            return prior.clone();
        }
        let shrunk = |own: &dyn Fn(usize) -> f64, sum: f64, prior: &[f64; HOURS]| -> [f64; HOURS] {
            let share = |hour: usize| {
                let added = PRIOR_EVENTS * prior[hour] / HOURS as f64;
                (own(hour) + added) / (sum + PRIOR_EVENTS) * HOURS as f64
            };
            normalised(std::array::from_fn(share))
        };
        let all = |hour: usize| (0..7).map(|day| events[day * HOURS + hour]).sum::<f64>();
        let hours = shrunk(&all, total, &prior.hours);
        let by_weekday =
            std::array::from_fn(|day| shrunk(&|hour| events[day * HOURS + hour], sums[day], &hours));
        let mean = total / days;
        let prior_days = PRIOR_EVENTS / mean / 7.0;
        let level =
            |day: usize| (sums[day] / mean + prior_days * prior.weekdays[day]) / (weekdays[day] + prior_days);
        Self { hours, weekdays: normalised(std::array::from_fn(level)), by_weekday }
    }

    fn at(&self, hour_of_week: usize) -> f64 {
        let (day, hour) = (hour_of_week / HOURS, hour_of_week % HOURS);
        self.weekdays[day] * self.by_weekday[day][hour]
    }
}

fn normalised<const N: usize>(shares: [f64; N]) -> [f64; N] {
    let mean = shares.iter().sum::<f64>() / N as f64;
    // What never happened may still happen.
    if mean > 0.0 { shares.map(|share| (share / mean).max(1e-3)) } else { [1.0; N] }
}

/// How usual traffic spreads over the log: profile times common factor, summed up by hour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    sums: Vec<f64>,
    an_hour: usize,
}

impl Shape {
    /// `factor` tells how much busier than usual each hour was for everybody.
    pub(crate) fn of(profile: &Profile, factor: &[f64], clock: &Clock) -> Self {
        let mut sums = Vec::with_capacity(factor.len() + 1);
        let mut sum = 0.0;
        sums.push(sum);
        for (hour, factor) in factor.iter().enumerate() {
            sum += factor * profile.at(clock.hour_of_week(hour));
            sums.push(sum);
        }
        Self { sums, an_hour: clock.an_hour() }
    }

    /// The sum before a window. One hour of the flat profile is one.
    pub(crate) fn before(&self, window: usize) -> f64 {
        let (hour, part) = (window / self.an_hour, window % self.an_hour);
        let sum = self.sums[hour.min(self.sums.len() - 1)];
        if part == 0 { sum } else { sum + (self.sums[hour + 1] - sum) * part as f64 / self.an_hour as f64 }
    }

    pub(crate) fn within(&self, windows: &std::ops::Range<usize>) -> f64 {
        self.before(windows.end) - self.before(windows.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_follows_many_events_and_not_few() {
        let mut events = vec![0.0; WEEK];
        (0..7).for_each(|day| events[day * HOURS + 9] = 1000.0);
        let busy = Profile::learn(&events, [25.0; 7], &Profile::FLAT);
        assert!(busy.at(9) > 20.0 && busy.at(10) < 0.2, "{} {}", busy.at(9), busy.at(10));
        let rare =
            Profile::learn(&events.iter().map(|e| e / 1000.0).collect::<Vec<_>>(), [25.0; 7], &Profile::FLAT);
        assert!(rare.at(9) < 8.0 && rare.at(10) > 0.4, "{} {}", rare.at(9), rare.at(10));
    }
}
