//! The records of a log by hour, and how many an hour usually has. In: totals by hour. Out: what a stretch of hours has,
//! and what it is expected to have.
//!
//! Usual is the median of the same hour of the week in the weeks around; of a stretch, at the level of the day before it or
//! of the day after it, whichever is lower, and never above the usual: a holiday, a slow week and a level that falls for
//! good expect no more than they have.

use std::ops::Range;

use slowleak_record::Micros;
use slowleak_rollup::DayTable;

use crate::days::grid::Grid;

const DAY: usize = 24;
pub(crate) const WEEK: usize = 7 * DAY;
/// Weeks before an hour, and as many after it, that say what is usual...
pub(crate) const WEEKS: usize = 4;
/// ...of which there must be so many.
const LEAST_WEEKS: usize = 2;
/// Hours before a stretch, and as many after it, that say how lively the time is.
const SIDE: usize = DAY;
/// Share of the usual below which an hour is as good as silent, and says nothing about how lively the time is.
pub(crate) const SILENT: f64 = 0.1;
/// Share of the days of a log that have an empty hour from which it is one that sleeps.
const SLEEPS: f64 = 0.1;

/// Deviations above the usual scatter from which the hours after a stretch have made up for it: one in a hundred stretches.
const MADE_UP: f64 = 2.3263;
/// Share of ordinary stretches above the quantile from which that scatter is read...
const HIGH: f64 = 0.1;
/// ...and that quantile of a normal distribution.
const HIGH_DEVIATIONS: f64 = 1.2816;
/// Logarithms of totals never scatter by less.
const LEAST_SCATTER: f64 = 0.01;

/// Hour of the grid that holds `time`, where it lies on the grid.
pub(crate) fn position(grid: &Grid, time: Micros) -> Option<usize> {
    let day = grid.day(time)?;
    Some(day * DAY + ((time.0 - grid.start(day).0) / Micros::HOUR) as usize)
}

/// Hours after a stretch in which more was done than these hours expect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MadeUp {
    pub(crate) hours: usize,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
}

/// See the module. Positions are hours from the start of the grid.
pub(crate) struct Hours {
    start: Micros,
    counts: Vec<f64>,
    usual: Vec<f64>,
    /// Hours that can be judged: after the first record, and a day before the last, since the records of the last day may
    /// still be on their way.
    pub(crate) judged: Range<usize>,
    /// Whether empty hours are nothing special.
    pub(crate) sleeps: bool,
    /// Sums before each hour: records and the usual, of all hours and of those that are not silent.
    sums: [Vec<f64>; 4],
}

impl Hours {
    /// The hours of a log by its views of keys and users: of each the larger total, since not every record has both.
    /// `None` where no view has hours.
    pub(crate) fn of<'t>(tables: impl Iterator<Item = &'t DayTable>, grid: &Grid) -> Option<Self> {
        let mut counts = vec![0.0_f64; grid.days() * DAY];
        for table in tables {
            for (day, hours) in &table.hours {
                for position in grid.clip(i64::from(*day)..i64::from(*day) + 1) {
                    for (count, events) in counts[position * DAY..].iter_mut().zip(hours) {
                        *count = count.max(*events as f64);
                    }
                }
            }
        }
        let logged: Vec<bool> = (0..grid.days()).map(|day| grid.logged(day)).collect();
        Self::new(grid.start(0), counts, &logged)
    }

    /// The same of any counts by hour; `logged` says which days have records at all.
    pub(crate) fn new(start: Micros, counts: Vec<f64>, logged: &[bool]) -> Option<Self> {
        let first = counts.iter().position(|count| *count > 0.0)?;
        let last = counts.iter().rposition(|count| *count > 0.0)?;
        let judged = first + 1..(last + 1).saturating_sub(DAY).max(first + 1);
        let usual = usual(&counts, logged);
        let whole = (judged.start.div_ceil(DAY)..judged.end / DAY).filter(|day| logged[*day]);
        let empty = whole.clone().filter(|day| counts[day * DAY..(day + 1) * DAY].contains(&0.0)).count();
        let sleeps = empty as f64 > SLEEPS * whole.count() as f64;
        let heard = |hour: usize| counts[hour] > SILENT * usual[hour];
        let sum = |of: &dyn Fn(usize) -> f64| {
            let mut sums = vec![0.0];
            let mut sum = 0.0;
            for hour in 0..counts.len() {
                sum += of(hour);
                sums.push(sum);
            }
            sums
        };
        let sums = [
            sum(&|hour| counts[hour]),
            sum(&|hour| usual[hour]),
            sum(&|hour| if heard(hour) { counts[hour] } else { 0.0 }),
            sum(&|hour| if heard(hour) { usual[hour] } else { 0.0 }),
        ];
        Some(Self { start, counts, usual, judged, sleeps, sums })
    }

    /// Start of an hour.
    pub(crate) fn time(&self, hour: usize) -> Micros {
        Micros(self.start.0 + hour as i64 * Micros::HOUR)
    }

    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Records of a stretch.
    pub(crate) fn observed(&self, hours: &Range<usize>) -> f64 {
        self.sums[0][hours.end] - self.sums[0][hours.start]
    }

    /// Records that a stretch is expected to have.
    pub(crate) fn expected(&self, hours: &Range<usize>) -> f64 {
        let before = self.level(hours.start.saturating_sub(SIDE)..hours.start);
        let after = self.level(hours.end..(hours.end + SIDE).min(self.len()));
        self.usual(hours) * before.min(after).min(1.0)
    }

    /// What was left undone in a stretch is done after it, and what was done and is not in the log is not. The hours after
    /// a stretch, as many as it has and no more than a day, if they have more records than 99 of 100 such hours: by what is
    /// usual, at the level of the day before the stretch and of the day after these hours.
    pub(crate) fn made_up(&self, stretch: &Range<usize>) -> Option<MadeUp> {
        let rise = self.rise_after(stretch)?;
        let alike = self.judged.start..self.judged.end.saturating_sub(stretch.len());
        let mut ordinary: Vec<f64> = alike
            .map(|start| start..start + stretch.len())
            .filter(|hours| self.observed(hours) > SILENT * self.usual(hours))
            .filter_map(|hours| self.rise_after(&hours))
            .collect();
        let middle = median(&mut ordinary);
        let high = *ordinary.get(((1.0 - HIGH) * ordinary.len() as f64) as usize)?;
        let scatter = ((high - middle) / HIGH_DEVIATIONS).max(LEAST_SCATTER);
        let after = self.after(stretch);
        let observed = self.observed(&after);
        (rise - middle >= MADE_UP * scatter).then(|| MadeUp {
            hours: after.len(),
            observed,
            expected: observed / rise.exp(),
        })
    }

    fn after(&self, stretch: &Range<usize>) -> Range<usize> {
        stretch.end..stretch.end + stretch.len().min(SIDE)
    }

    /// Logarithm of the records after a stretch over those expected; `None` where the log does not reach as far.
    fn rise_after(&self, stretch: &Range<usize>) -> Option<f64> {
        let after = self.after(stretch);
        if after.end + SIDE > self.len() || stretch.start < SIDE {
            return None;
        }
        let before = self.level(stretch.start - SIDE..stretch.start);
        let later = self.level(after.end..after.end + SIDE);
        let (observed, expected) = (self.observed(&after), self.usual(&after) * (before * later).sqrt());
        (observed > 0.0 && expected > 0.0).then(|| (observed / expected).ln())
    }

    fn usual(&self, hours: &Range<usize>) -> f64 {
        self.sums[1][hours.end] - self.sums[1][hours.start]
    }

    /// Records over the usual, of hours that are not silent.
    fn level(&self, side: Range<usize>) -> f64 {
        let sum = |of: usize| self.sums[of][side.end] - self.sums[of][side.start];
        (sum(2) + 1.0) / (sum(3) + 1.0)
    }

    /// The segment around a stretch with the largest sum of what each hour says for having lost all but `left` of its
    /// expected records: the logarithm of the ratio of Poisson likelihoods, at the level that the stretch is judged by.
    pub(crate) fn edges(&self, stretch: &Range<usize>, left: f64) -> Range<usize> {
        let level = self.expected(stretch) / self.usual(stretch);
        let says = |hour: usize| level * self.usual[hour] * (1.0 - left) + self.counts[hour] * left.ln();
        // The nearest of those that say as much: what has no records anyway is no part of it.
        let farthest = |hours: &mut dyn Iterator<Item = usize>| {
            let (mut sum, mut best) = (0.0, None);
            for hour in hours {
                sum += says(hour);
                if best.is_none_or(|(most, _)| sum > most) {
                    best = Some((sum, hour));
                }
            }
            best.map(|(_, hour)| hour)
        };
        let start = farthest(&mut (self.judged.start..stretch.end).rev()).unwrap_or(stretch.start);
        let last = farthest(&mut (start..self.judged.end)).unwrap_or(start);
        start..last + 1
    }

    /// The part of the usual records that an hour has, at most one.
    pub(crate) fn left(&self, hour: usize) -> f64 {
        if self.usual[hour] > 0.0 { (self.counts[hour] / self.usual[hour]).min(1.0) } else { 0.0 }
    }

    /// Records that a stretch is expected to have where `left` of each hour remains.
    pub(crate) fn expected_of(&self, hours: &Range<usize>, left: impl Fn(usize) -> f64) -> f64 {
        let usual = self.usual(hours);
        if usual <= 0.0 {
            return 0.0;
        }
        let remains: f64 = hours.clone().map(|hour| self.usual[hour] * left(hour)).sum();
        self.expected(hours) * remains / usual
    }

    /// Whether the hour has any record.
    pub(crate) fn heard(&self, hour: usize) -> bool {
        self.counts[hour] > 0.0
    }

    /// Records and what is usual, by day.
    pub(crate) fn days(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let days = self.counts.chunks(DAY).zip(self.usual.chunks(DAY));
        days.map(|(counts, usual)| (counts.iter().sum(), usual.iter().sum()))
    }
}

/// What is usual of each hour. Days without any record say nothing; a weekday that most often has none has no usual.
fn usual(counts: &[f64], logged: &[bool]) -> Vec<f64> {
    let of_weekday = |weekday: usize| logged.iter().skip(weekday).step_by(7);
    let works: Vec<bool> = (0..7)
        .map(|weekday| 2 * of_weekday(weekday).filter(|on| **on).count() >= of_weekday(weekday).len())
        .collect();
    let of_hour = |hour: usize| {
        if !works[hour / DAY % 7] {
            return 0.0;
        }
        let told = |hour: &usize| logged[hour / DAY];
        let before = (1..).map_while(|weeks| hour.checked_sub(weeks * WEEK)).filter(told).take(WEEKS);
        let after = (hour + WEEK..counts.len()).step_by(WEEK).filter(told).take(WEEKS);
        let mut same: Vec<f64> = before.chain(after).map(|hour| counts[hour]).collect();
        if same.len() < LEAST_WEEKS { 0.0 } else { median(&mut same) }
    };
    (0..counts.len()).map(of_hour).collect()
}

/// The median; of two that are nearest to the middle their mean. Zero of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        even if even % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten weeks of working days, a tenth at night, with no record at weekends if `free`.
    fn log(free: bool) -> (Vec<f64>, Vec<bool>) {
        let works = |hour: usize| !free || hour / DAY % 7 < 5;
        let counts =
            (0..10 * WEEK).map(|h| if !works(h) { 0.0 } else { [10.0, 100.0][h / 12 % 2] }).collect();
        (counts, (0..70).map(|day| works(day * DAY)).collect())
    }

    #[test]
    fn usual_is_the_hour_of_the_week_and_a_lost_day_is_missed() {
        let (mut counts, mut logged) = log(true);
        counts[30 * DAY..31 * DAY].fill(0.0);
        logged[30] = false;
        let hours = Hours::new(Micros(0), counts, &logged).unwrap();
        let lost = 30 * DAY..31 * DAY;
        assert_eq!((hours.observed(&lost), hours.expected(&lost)), (0.0, 1320.0));
        assert_eq!(hours.expected(&(33 * DAY..35 * DAY)), 0.0, "a weekend");
        assert!(!hours.sleeps);
        assert_eq!(hours.judged, 1..10 * WEEK - 3 * DAY, "the last record is that of a Friday");
    }

    #[test]
    fn weeks_that_are_lost_are_expected_by_the_weeks_around() {
        let (mut counts, mut logged) = log(false);
        counts[20 * DAY..40 * DAY].fill(0.0);
        logged[20..40].fill(false);
        let hours = Hours::new(Micros(0), counts, &logged).unwrap();
        assert_eq!(hours.expected(&(20 * DAY..40 * DAY)), 20.0 * 1320.0);
    }

    #[test]
    fn a_slow_time_expects_less() {
        let (mut counts, logged) = log(false);
        counts[30 * DAY..33 * DAY].iter_mut().for_each(|count| *count *= 0.5);
        counts[31 * DAY..31 * DAY + 12].fill(0.0);
        let hours = Hours::new(Micros(0), counts, &logged).unwrap();
        let expected = hours.expected(&(31 * DAY..31 * DAY + 12));
        assert!((expected / 60.0 - 1.0).abs() < 0.02, "{expected}");
    }

    #[test]
    fn a_short_log_has_nothing_to_judge() {
        for last in [0, 5, 30, 47] {
            let mut counts = vec![0.0; 48];
            counts[last] = 3.0;
            let hours = Hours::new(Micros(0), counts, &[true, true]).unwrap();
            assert!(hours.judged.len() <= 1 && hours.expected(&(0..48)) == 0.0);
        }
        assert!(Hours::new(Micros(0), vec![0.0; 24], &[true]).is_none());
    }

    #[test]
    fn a_log_that_is_empty_every_night_sleeps() {
        let (mut counts, logged) = log(false);
        counts.iter_mut().filter(|count| **count == 10.0).for_each(|count| *count = 0.0);
        assert!(Hours::new(Micros(0), counts, &logged).unwrap().sleeps);
    }
}
