//! Intervals of one series: found, judged as a whole, joined into campaigns.

use std::ops::Range;

use crate::rate::baseline::Level;
use crate::rate::noise::Noise;
use crate::rate::score::{Sample, profile_score, ratio_rows, two_sample_bound};
use crate::rate::search::{self, Row, best_intervals, best_singles};
use crate::rate::series::Series;

/// Longest interval, in days, that a day's own dispersion is enough to judge.
pub(crate) const SHORT_DAYS: usize = 6;
/// Days whose rise is at least this share of another stretch's (of the logarithm) belong with it rather
/// than with the baseline.
pub(crate) const RISE_SHARE: f64 = 0.5;
/// What an interval pays to be chosen, nats.
const COST_NATS: f64 = 10.0;
/// Episodes less than a week apart are one campaign: work has the rhythm of the week, and who takes data on weekends, or
/// spares them, does one thing.
const CAMPAIGN_GAP_DAYS: usize = 6;
/// The first and the last day of an episode are parts of days, and may be counted to the gap.
const PARTIAL_DAYS: usize = 2;

/// Length class of an interval; each is calibrated on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Band {
    /// Up to [`SHORT_DAYS`].
    Short,
    /// Longer.
    Long,
}

impl Band {
    pub(crate) const ALL: [Self; 2] = [Self::Short, Self::Long];

    pub(crate) fn of(days: usize) -> Self {
        if days <= SHORT_DAYS { Self::Short } else { Self::Long }
    }
}

/// One or more episodes of excess, judged together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Campaign {
    pub(crate) episodes: Vec<Range<usize>>,
    pub(crate) band: Band,
    pub(crate) observed: f64,
    /// Baseline, tolerance not included.
    pub(crate) expected: f64,
    /// Relative variance assumed for the whole.
    pub(crate) dispersion: f64,
    /// Nats, capped by what the whole interval supports against the baseline.
    pub(crate) against_baseline: f64,
    /// The same, capped further by two-sample comparisons with all days outside and with those before.
    pub(crate) score: f64,
    /// Day at which the running score of the first episode passed the cost: names the campaign for good.
    pub(crate) anchor: usize,
}

impl Campaign {
    /// Logarithm of observed over expected.
    pub(crate) fn rise(&self) -> f64 {
        (self.observed / self.expected.max(0.5)).ln()
    }

    /// From the first episode's start to the last one's end.
    pub(crate) fn span(&self) -> Range<usize> {
        let start = self.episodes.first().map_or(0, |episode| episode.start);
        start..self.episodes.last().map_or(0, |episode| episode.end)
    }
}

/// A series with its baseline, scored: ready to be searched.
pub(crate) struct Fit<'a> {
    series: &'a Series,
    level: Level,
    noise: Noise,
    tolerance: f64,
    /// Scores of every day, a lane a ratio, for each band.
    rows: [Vec<Row>; 2],
}

impl<'a> Fit<'a> {
    /// Scores `series` against `level`. The level may rise by the share `tolerance` without being a finding.
    pub(crate) fn new(series: &'a Series, level: Level, noise: Noise, tolerance: f64) -> Self {
        let mut fit = Self { series, level, noise, tolerance, rows: Default::default() };
        fit.rows = Band::ALL.map(|band| fit.rows(band));
        fit
    }

    fn baseline(&self, day: usize) -> f64 {
        self.level.value * self.series.pattern[day]
    }

    /// What an interval of the band is scored against. A few days are scored against full working days:
    /// people work on a day off now and then, and that is no leak.
    fn reference(&self, day: usize, band: Band) -> f64 {
        match band {
            Band::Short => self.level.value * self.series.full_day[day],
            Band::Long => self.baseline(day),
        }
    }

    /// Factor on the baseline that keeps trivial drift and the level's own error out of the score.
    fn allowance(&self) -> f64 {
        (1.0 + self.tolerance) * (1.0 + self.level.error.min(0.5))
    }

    /// Scores of every day in one band, a lane a ratio. Days that are not searched score nothing.
    fn rows(&self, band: Band) -> Vec<Row> {
        let (dispersion, clip) = match band {
            Band::Short => (self.noise.day, None),
            // One wild day must not pass for a long rise.
            Band::Long => (self.noise.per_day_of_long(), Some(self.local_rate())),
        };
        let days = 0..self.series.counts.len();
        let mean = |day: usize| {
            if self.series.searched[day] { self.reference(day, band) * self.allowance() } else { 0.0 }
        };
        let means: Vec<f64> = days.clone().map(mean).collect();
        let count = |day: usize| {
            let count = self.series.counts[day];
            clip.as_ref().map_or(count, |rate| count.min(4.0 * means[day].max(rate[day]) + 10.0))
        };
        let counts: Vec<f64> = days.map(count).collect();
        ratio_rows(&counts, &means, dispersion)
    }

    /// Mean count of the present days within a week of each day.
    fn local_rate(&self) -> Vec<f64> {
        const REACH: usize = 7;
        let counts = &self.series.counts;
        let mut sums = vec![(0.0, 0.0)];
        for (count, present) in counts.iter().zip(&self.series.present) {
            let (sum, days) = sums[sums.len() - 1];
            sums.push(if *present { (sum + count, days + 1.0) } else { (sum, days) });
        }
        let rate = |day: usize| {
            let (from, to) = (sums[day.saturating_sub(REACH)], sums[(day + REACH + 1).min(counts.len())]);
            (to.0 - from.0) / f64::max(to.1 - from.1, 1.0)
        };
        (0..counts.len()).map(rate).collect()
    }

    /// The campaigns that pay their cost, in time order, each with its capped score.
    pub(crate) fn campaigns(&self) -> Vec<Campaign> {
        let bands = Band::ALL.map(|band| self.band(band));
        let mut joined: Vec<(Vec<Range<usize>>, f64, usize)> = Vec::new();
        for interval in best_intervals(&bands, COST_NATS) {
            let days = interval.windows.clone();
            let anchor = anchor(bands[interval.band].rows, interval.lane, &days);
            match joined.last_mut() {
                Some((episodes, score, _)) if self.bridged(episodes, &days) => {
                    if let Some(last) = episodes.last_mut() {
                        last.end = days.end;
                    }
                    // Every episode was chosen, and pays for it.
                    *score += interval.score - COST_NATS;
                }
                Some((episodes, score, _)) if self.close(episodes, &days) => {
                    episodes.push(days);
                    *score += interval.score - COST_NATS;
                }
                _ => joined.push((vec![days], interval.score, anchor)),
            }
        }
        let all: Vec<Range<usize>> = joined.iter().flat_map(|(episodes, ..)| episodes.clone()).collect();
        joined
            .into_iter()
            .map(|(episodes, score, anchor)| self.judge(episodes, score, anchor, &all))
            .filter(|campaign| campaign.score > 0.0)
            .collect()
    }

    /// Whether the days between two episodes are themselves nearer to the episodes than to the baseline: then
    /// the search cut one long rise into short ones, which a day's own dispersion makes look stronger.
    fn bridged(&self, campaign: &[Range<usize>], next: &Range<usize>) -> bool {
        let Some(last) = campaign.last() else { return false };
        let between = self.rise(last.end..next.start);
        let around = self.rise(last.clone().chain(next.clone()));
        last.end == next.start || between >= RISE_SHARE * around
    }

    /// Whether an episode continues the campaign: the gap is less than a week, or half the shorter of the two, or no
    /// longer than the shorter where both are about as high: on and off in turn.
    fn close(&self, campaign: &[Range<usize>], next: &Range<usize>) -> bool {
        let Some(last) = campaign.last() else { return false };
        let (gap, shorter) = (next.start - last.end, last.len().min(next.len()));
        let alike = || {
            let (one, other) = (self.rise(last.clone()), self.rise(next.clone()));
            one.min(other) >= RISE_SHARE * one.max(other)
        };
        gap <= CAMPAIGN_GAP_DAYS.max(shorter / 2) || gap <= shorter + PARTIAL_DAYS && alike()
    }

    /// Logarithm of what was counted over what was expected on the searched ones of these days.
    fn rise(&self, days: impl Iterator<Item = usize>) -> f64 {
        let (mut count, mut expected) = (0.5, 0.5);
        for day in days.filter(|day| self.series.searched[*day]) {
            count += self.series.counts[day];
            expected += self.baseline(day);
        }
        (count / expected).ln()
    }

    /// The largest capped score of any single interval in the band: what calibration compares.
    pub(crate) fn top(&self, band: Band, masked: &[Range<usize>]) -> f64 {
        let shortest = match band {
            Band::Short => 1,
            Band::Long => SHORT_DAYS + 1,
        };
        let singles = best_singles(self.band(band), shortest);
        singles.into_iter().flatten().fold(0.0, |top, (days, score)| {
            // Judging takes away.
            if score <= top {
                return top;
            }
            top.max(self.judge(vec![days.clone()], score, days.start, masked).score)
        })
    }

    fn band(&self, band: Band) -> search::Band<'_> {
        let reach = match band {
            Band::Short => SHORT_DAYS,
            Band::Long => usize::MAX,
        };
        search::Band { rows: &self.rows[band as usize], reach }
    }

    /// The campaign judged again, with only `excluded` left out of the days that it is compared with.
    pub(crate) fn rejudge(&self, campaign: Campaign, excluded: &[Range<usize>]) -> Campaign {
        self.judge(campaign.episodes, campaign.against_baseline, campaign.anchor, excluded)
    }

    /// Caps `score` by what the episodes support as a whole. `excluded` days do not count as outside.
    fn judge(
        &self,
        episodes: Vec<Range<usize>>,
        score: f64,
        anchor: usize,
        excluded: &[Range<usize>],
    ) -> Campaign {
        let inside = |day: usize| episodes.iter().any(|episode| episode.contains(&day));
        let left_out = |day: usize| excluded.iter().any(|range| range.contains(&day));
        let days: usize = episodes.iter().map(ExactSizeIterator::len).sum();
        let band = Band::of(days);
        let start = episodes.first().map_or(0, |episode| episode.start);
        let (mut within, mut without, mut before) = ([0.0; 3], [0.0; 3], [0.0; 3]);
        let mut reference = 0.0;
        for day in (0..self.series.counts.len()).filter(|day| self.series.present[*day]) {
            let sums = if inside(day) {
                reference += self.reference(day, band);
                &mut within
            } else if left_out(day) {
                continue;
            } else {
                &mut without
            };
            let of_day = [self.series.counts[day], self.baseline(day), 1.0];
            sums.iter_mut().zip(of_day).for_each(|(sum, value)| *sum += value);
            if day < start {
                before.iter_mut().zip(of_day).for_each(|(sum, value)| *sum += value);
            }
        }
        let sample =
            |[count, expected, days]: [f64; 3]| Sample { count, expected, dispersion: self.noise.over(days) };
        let (within, without, before) = (sample(within), sample(without), sample(before));
        let whole = profile_score(within.count, reference * self.allowance(), within.dispersion);
        let tolerated = Sample { expected: reference * (1.0 + self.tolerance), ..within };
        let against_baseline = score.min(whole);
        Campaign {
            band,
            observed: within.count,
            expected: within.expected,
            dispersion: within.dispersion,
            // A rise is a rise over what came before, and no surer than that is known.
            score: against_baseline
                .min(two_sample_bound(tolerated, without))
                .min(two_sample_bound(tolerated, before)),
            against_baseline,
            anchor,
            episodes,
        }
    }
}

/// First day at which the running score passes the cost.
fn anchor(rows: &[Row], lane: usize, days: &Range<usize>) -> usize {
    let mut sum = 0.0;
    days.clone()
        .find(|day| {
            sum += rows[*day][lane];
            sum >= COST_NATS
        })
        .unwrap_or(days.start)
}

/// Whether a straight trend in the logarithm explains weekly sums as well as a step over `span` does:
/// steady growth, not a leak. Compares weighted squared errors, in units of the noise of a week.
pub(crate) fn is_ramp(series: &Series, span: &Range<usize>, week_dispersion: f64) -> bool {
    let mut weeks: Vec<[f64; 4]> = Vec::new(); // (time, log ratio, weight, inside)
    for start in (0..series.counts.len()).step_by(7) {
        let days = || (start..(start + 7).min(series.counts.len())).filter(|day| series.present[*day]);
        let count: f64 = days().map(|day| series.counts[day]).sum();
        let pattern: f64 = days().map(|day| series.pattern[day]).sum();
        if pattern > 0.0 && days().count() >= 4 {
            let inside = days().filter(|day| span.contains(day)).count() * 2 > days().count();
            let weight = 1.0 / (1.0 / (count + 0.5) + week_dispersion);
            weeks.push([start as f64, ((count + 0.5) / pattern).ln(), weight, f64::from(u8::from(inside))]);
        }
    }
    if weeks.len() < 6 {
        return false;
    }
    let error = |regressor: usize| {
        let sum = |of: &dyn Fn(&[f64; 4]) -> f64| weeks.iter().map(of).sum::<f64>();
        let w = sum(&|p| p[2]);
        let (mx, my) = (sum(&|p| p[2] * p[regressor]) / w, sum(&|p| p[2] * p[1]) / w);
        let sxx = sum(&|p| p[2] * (p[regressor] - mx).powi(2));
        let sxy = sum(&|p| p[2] * (p[regressor] - mx) * (p[1] - my));
        let slope = if sxx > 0.0 { sxy / sxx } else { 0.0 };
        (sum(&|p| p[2] * (p[1] - my - slope * (p[regressor] - mx)).powi(2)), slope)
    };
    let ((trend, slope), (step, _)) = (error(0), error(3));
    slope > 0.0 && trend / 2.0 <= step / 2.0 + 1.0
}
