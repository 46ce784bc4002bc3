//! All entities of one view under one metric: fitted, searched and calibrated against each other.

use std::ops::Range;

use rayon::prelude::*;
use slowleak_record::Field;
use slowleak_rollup::Metric;

use crate::cause::Cause;
use crate::config::DetectConfig;
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::finding::Detector;
use crate::rate::baseline::{Level, lowest_plateau, mean_level};
use crate::rate::calibrate::Tail;
use crate::rate::episode::{Band, Campaign, Fit, RISE_SHARE, is_ramp};
use crate::rate::noise::{Noise, Pool, Scatter};
use crate::rate::part::Measure;
use crate::rate::peers::Peers;
use crate::rate::score::{RATIOS, Sample, profile_score, two_sample_bound};
use crate::rate::series::{Series, without};

/// Score from which an interval is kept out of its own baseline, nats.
const MASK_NATS: f64 = 15.0;
/// Most campaigns masked an entity; a series with more is simply lively.
const MAX_MASKED: usize = 3;
/// Fewest expected counts for an entity to take part in calibration.
const MIN_CALIBRATION_COUNTS: f64 = 5.0;
/// Days before an interval that say whether it began with a rise.
const BEFORE_DAYS: usize = 28;
/// With fewer of them there is no "before" to compare with.
const MIN_BEFORE_DAYS: usize = 7;

/// Days before an excess on which an entity must have been present to be known by its habit...
const HABIT_DAYS: usize = 14;
/// ...and days of absence allowed among them and since: who wakes after months is not who fell asleep.
const DORMANT_DAYS: usize = 60;
/// Fewest days that are a habit of who came lately.
const LEAST_HABIT_DAYS: usize = 7;
/// Parts of a stretch differ by as much by chance.
const HIGHER: f64 = 1.25;

/// One view and metric of a run.
pub(crate) struct Family<'a> {
    pub(crate) daily: &'a Daily<'a>,
    pub(crate) metric: Metric,
    measure: Measure<'a>,
    peers: Peers,
    grid: &'a Grid,
    config: &'a DetectConfig,
    /// Entities with enough to test, ascending.
    pub(crate) tested: Vec<usize>,
    pool: Pool,
    /// Per tested entity: how its counts scatter, and intervals kept out of the baseline.
    scatter: Vec<Scatter>,
    masks: Vec<Vec<Range<usize>>>,
    /// Whether masks have been found yet.
    masked: bool,
    /// Top scores by tested entity and band; `None` where the entity would only blur the tail.
    tops: Vec<Option<[f64; 2]>>,
    /// One tail a band, in the order of [`Band::ALL`].
    pub(crate) tails: [Tail; 2],
    /// Campaigns found, by tested entity.
    pub(crate) campaigns: Vec<Found>,
}

/// A campaign of an entity, and whether the series itself shows an innocent shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) entity: usize,
    pub(crate) campaign: Campaign,
    pub(crate) level: Level,
    /// What one count stands for.
    pub(crate) unit: f64,
    pub(crate) shape: Shape,
    /// Why it is honest, where the finer views say so.
    pub(crate) cause: Option<Cause>,
}

impl Found {
    /// Whether its shape or the finer views say that it is honest.
    pub(crate) fn is_innocent(&self) -> bool {
        self.shape != Shape::Step || self.cause.is_some()
    }
}

/// What the series of a campaign looks like from outside the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A rise against days before (and perhaps after).
    Step,
    /// Growth as steady as a straight line.
    Ramp,
    /// High from the first days seen and lower later, or back at such a level: there is no lower "before".
    Fall,
}

/// An entity's counts in some episodes and on its other days, against its own baseline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) within: Sample,
    /// Days that stand out are left out.
    pub(crate) without: Sample,
    tolerance: f64,
}

impl Standing {
    /// Nats for what was done beyond the baseline. Capped, as every score is, by how well the other days are known.
    pub(crate) fn nats(&self) -> f64 {
        let within = Sample { expected: self.within.expected * (1.0 + self.tolerance), ..self.within };
        profile_score(within.count, within.expected, within.dispersion)
            .min(two_sample_bound(within, self.without))
    }

    /// The same, had so many of the events been added to an entity that does what it did without them.
    pub(crate) fn nats_of(&self, added: f64) -> f64 {
        let expected = (self.within.count - added).max(0.5);
        Self { within: Sample { expected, ..self.within }, ..*self }.nats()
    }
}

/// What one pass over an entity yields.
struct Pass {
    scatter: Scatter,
    mask: Vec<Range<usize>>,
}

impl<'a> Family<'a> {
    /// Runs the two rounds of baseline and search over every entity of the view.
    pub(crate) fn run(
        daily: &'a Daily<'a>,
        measure: Measure<'a>,
        grid: &'a Grid,
        config: &'a DetectConfig,
    ) -> Self {
        let peers = Peers::learn(daily, grid);
        let enough = |entity: &usize| {
            daily.total(*entity) >= config.min_events as f64
                && daily.active(*entity).nth(1).is_some()
                && measure.is_of(daily, *entity, grid)
        };
        let candidates: Vec<usize> = (0..daily.len()).into_par_iter().filter(enough).collect();
        let none = Pool::of(&[]);
        let mut family = Self {
            daily,
            metric: measure.metric(),
            measure,
            peers,
            grid,
            config,
            tested: Vec::new(),
            pool: none,
            scatter: Vec::new(),
            masks: Vec::new(),
            masked: false,
            tops: Vec::new(),
            tails: [Tail::fit(Vec::new()), Tail::fit(Vec::new())],
            campaigns: Vec::new(),
        };
        let long_enough = |entity: &usize| family.read(*entity, None).days() >= config.min_days;
        let tested: Vec<usize> = candidates.into_par_iter().filter(long_enough).collect();
        family.masks = vec![Vec::new(); tested.len()];
        family.tested = tested;

        let scatter: Vec<Scatter> = family.each(|family, index| {
            let series = family.series(index);
            let level = mean_level(&series.counts, &series.pattern, &series.present, |_| 0.0);
            family.scatter(&series, level, &[])
        });
        family.pool = family.pooled(&scatter);

        let passes: Vec<Pass> = family.each(|family, index| family.mask(index, &scatter[index]));
        let (masks, scatter): (Vec<_>, Vec<_>) =
            passes.into_iter().map(|pass| (pass.mask, pass.scatter)).unzip();
        family.masks = masks;
        family.masked = true;
        family.pool = family.pooled(&scatter);

        let results: Vec<(Vec<Found>, Option<[f64; 2]>)> =
            family.each(|family, index| family.search(index, &scatter[index]));
        family.scatter = scatter;
        let (found, tops): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        family.campaigns = found.into_iter().flatten().collect();
        family.tops = tops;
        family
    }

    /// Fits the tails, now that shapes and honest causes are known: an entity with an innocent campaign
    /// counts by its other campaigns, and not at all where it has none.
    pub(crate) fn calibrate(&mut self) {
        for of_entity in self.campaigns.chunk_by(|a, b| a.entity == b.entity) {
            let Ok(index) = self.tested.binary_search(&of_entity[0].entity) else { continue };
            if self.tops[index].is_some() && of_entity.iter().any(Found::is_innocent) {
                let others = of_entity.iter().filter(|found| !found.is_innocent());
                self.tops[index] = others.fold(None, |tops, found| {
                    let mut tops = tops.unwrap_or([0.0; 2]);
                    let top = &mut tops[found.campaign.band as usize];
                    *top = top.max(found.campaign.score);
                    Some(tops)
                });
            }
        }
        let tops = |band: Band| self.tops.iter().flatten().map(|tops| tops[band as usize]).collect();
        self.tails = Band::ALL.map(|band| Tail::fit(tops(band)));
    }

    fn each<T: Send>(&self, of: impl Fn(&Self, usize) -> T + Sync) -> Vec<T> {
        (0..self.tested.len()).into_par_iter().map(|index| of(self, index)).collect()
    }

    fn read(&self, entity: usize, masked: Option<&[Range<usize>]>) -> Series {
        Series::read(self.daily, entity, self.measure, &self.peers, self.grid, masked, self.config.min_days)
    }

    /// The series of a tested entity under its mask.
    fn series(&self, index: usize) -> Series {
        self.read(self.tested[index], self.masked.then_some(self.masks[index].as_slice()))
    }

    /// The series of a tested entity, and its level on the days outside the mask.
    fn baseline(&self, index: usize) -> (Series, Level) {
        let series = self.series(index);
        let usual = without(&series.present, &self.masks[index]);
        let level = mean_level(&series.counts, &series.pattern, &usual, |_| 0.0);
        (series, level)
    }

    fn pooled(&self, scatter: &[Scatter]) -> Pool {
        let pool = Pool::of(scatter);
        if matches!(self.measure, Measure::Share(_)) { pool.scaled_by_calm(scatter) } else { pool }
    }

    fn scatter(&self, series: &Series, level: Level, masked: &[Range<usize>]) -> Scatter {
        let expected: Vec<f64> = series.pattern.iter().map(|pattern| level.value * pattern).collect();
        Scatter::measure(&series.counts, &expected, &without(&series.present, masked))
    }

    /// Round one: level from the lowest plateau; what stands out of it is masked.
    fn mask(&self, index: usize, own: &Scatter) -> Pass {
        let series = self.series(index);
        let noise = self.pool.noise(own);
        let level = lowest_plateau(&series.counts, &series.pattern, &series.present, |days| noise.over(days));
        let fit = Fit::new(&series, level, noise, self.config.tolerance);
        let mut campaigns = fit.campaigns();
        campaigns.retain(|campaign| campaign.against_baseline >= MASK_NATS);
        campaigns.sort_by(|a, b| b.against_baseline.total_cmp(&a.against_baseline));
        campaigns.truncate(MAX_MASKED);
        let mut mask: Vec<Range<usize>> =
            campaigns.into_iter().flat_map(|campaign| campaign.episodes).collect();
        mask.sort_by_key(|range| range.start);
        let level = self.refit(&series, &mask, noise);
        Pass { scatter: self.scatter(&series, level, &mask), mask }
    }

    fn refit(&self, series: &Series, mask: &[Range<usize>], noise: Noise) -> Level {
        mean_level(&series.counts, &series.pattern, &without(&series.present, mask), |days| noise.over(days))
    }

    /// Round two: level from the days outside the mask; campaigns, and top scores for calibration (`None`
    /// where the entity is too rare to tell of a tail).
    fn search(&self, index: usize, own: &Scatter) -> (Vec<Found>, Option<[f64; 2]>) {
        let series = self.series(index);
        let noise = self.pool.noise(own);
        let level = self.refit(&series, &self.masks[index], noise);
        let fit = Fit::new(&series, level, noise, self.config.tolerance);
        let campaigns = fit.campaigns();
        let mut steps: Vec<Range<usize>> = Vec::new();
        let mut fallen_from = 0.0;
        let mut shape = |campaign: &Campaign| {
            if campaign.band == Band::Long && is_ramp(&series, &campaign.span(), noise.over(7.0)) {
                Shape::Ramp
            } else if RISE_SHARE * campaign.rise() < fallen_from || !rises(&series, level, campaign, &steps) {
                // A level that the entity had before, for a week or more, is its own: it came back to it.
                if campaign.band == Band::Long {
                    fallen_from = f64::max(fallen_from, campaign.rise());
                }
                Shape::Fall
            } else {
                steps.push(campaign.span());
                Shape::Step
            }
        };
        let shapes: Vec<Shape> = campaigns.iter().map(&mut shape).collect();
        // What fell or grew is part of the habit that a rise is compared with.
        let found: Vec<Found> = campaigns
            .into_iter()
            .zip(shapes)
            .map(|(campaign, shape)| Found {
                entity: self.tested[index],
                campaign: if shape == Shape::Step { fit.rejudge(campaign, &steps) } else { campaign },
                level,
                unit: series.unit,
                shape,
                cause: None,
            })
            .collect();
        let expected = level.value * series.pattern.iter().sum::<f64>();
        // Of a part nothing at all is the usual thing.
        let telling = expected >= MIN_CALIBRATION_COUNTS || matches!(self.measure, Measure::Part(_));
        // Of several episodes a campaign can make more than any interval does.
        let joined = |band: Band| {
            let steps =
                found.iter().filter(|found| found.shape == Shape::Step && found.campaign.band == band);
            steps.map(|found| found.campaign.score).fold(0.0, f64::max)
        };
        let tops = telling.then(|| Band::ALL.map(|band| fit.top(band, &self.masks[index]).max(joined(band))));
        (found, tops)
    }

    /// What is counted.
    pub(crate) fn measure(&self) -> Measure<'a> {
        self.measure
    }

    /// The detector in whose name the family's campaigns are reported.
    pub(crate) fn detector(&self) -> Detector {
        match self.measure {
            Measure::Events | Measure::Given(_) => Detector::Rate,
            Measure::Subjects => Detector::Breadth,
            Measure::Share(_) => Detector::Share,
            Measure::Part(_) => Detector::Profile,
        }
    }

    /// Whether these are the event counts of the view by `field` alone.
    pub(crate) fn counts_events_of(&self, field: Field) -> bool {
        matches!(self.measure, Measure::Events) && self.daily.table.view.dimension.parts() == [field]
    }

    /// Expected number of leak-free ones among `entities` that score as much; `None` where there is no
    /// calibration. Error control is shared with as many tails as the run has.
    pub(crate) fn expected_false(&self, band: Band, score: f64, entities: usize, tails: f64) -> Option<f64> {
        let (entities, windows) = (entities as f64, self.grid.days() as f64);
        self.tails[band as usize].expected_false(score, entities, tails, windows, RATIOS.len() as f64)
    }

    /// Whether a score is one that would be reported.
    pub(crate) fn is_finding(&self, band: Band, score: f64, entities: usize, tails: f64) -> bool {
        let odds = self.expected_false(band, score, entities, tails);
        odds.is_some_and(|odds| odds <= self.config.max_expected_false)
    }

    /// Whether the campaign would be a finding still without so many of its events.
    pub(crate) fn outlives(&self, campaign: &Campaign, explained: f64, tails: f64) -> bool {
        let expected = campaign.expected * (1.0 + self.config.tolerance);
        let score = profile_score(campaign.observed - explained, expected, campaign.dispersion);
        self.is_finding(campaign.band, score, self.tested.len(), tails)
    }

    /// The campaign's score, had so many of its counts not been, spread over its days as these are.
    pub(crate) fn score_without(&self, found: &Found, counts: f64) -> f64 {
        let Ok(index) = self.tested.binary_search(&found.entity) else { return 0.0 };
        let noise = self.pool.noise(&self.scatter[index]);
        let mut series = self.series(index);
        let level = self.refit(&series, &self.masks[index], noise);
        let kept = (1.0 - counts / found.campaign.observed.max(1.0)).max(0.0);
        for day in found.campaign.episodes.iter().cloned().flatten() {
            series.counts[day] *= kept;
        }
        let fit = Fit::new(&series, level, noise, self.config.tolerance);
        fit.rejudge(found.campaign.clone(), &self.masks[index]).score
    }

    /// Whether the campaign would be a finding still without its largest day.
    pub(crate) fn outlives_its_largest_day(&self, found: &Found, tails: f64) -> bool {
        let days = self.timeline(found.entity);
        let inside = |day: &usize| found.campaign.episodes.iter().any(|days| days.contains(day));
        let excess = (0..days.len()).filter(inside).map(|day| days[day].0 - days[day].1);
        let largest = excess.fold(0.0, f64::max) / found.unit;
        self.outlives(&found.campaign, largest, tails)
    }

    /// Whether the entity had a habit when the day came: present for weeks, lately too, and no newcomer any more.
    pub(crate) fn has_habit(&self, entity: usize, day: usize) -> bool {
        let Ok(index) = self.tested.binary_search(&entity) else { return false };
        let Series { present, searched, .. } = self.series(index);
        let settled = (0..=day).any(|day| searched[day]);
        // Not the last day alone: who has found an id tries it first. Of who came lately, all days there are, if not few.
        let before: Vec<usize> = (0..day).filter(|day| present[*day]).collect();
        let habit = before.get(before.len().saturating_sub(HABIT_DAYS));
        settled
            && before.len() >= LEAST_HABIT_DAYS
            && habit.is_some_and(|habit| day - habit <= HABIT_DAYS + DORMANT_DAYS)
    }

    /// Whether nothing that the entity did in `episodes` is a finding here.
    pub(crate) fn is_usual(&self, entity: usize, episodes: &[Range<usize>], tails: f64) -> bool {
        !self.campaigns_in(entity, episodes).filter(|found| !found.is_innocent()).any(|found| {
            let Found { campaign, .. } = found;
            self.is_finding(campaign.band, campaign.score, self.tested.len(), tails)
        })
    }

    /// Nats of what the entity did in `episodes`, where that stands as given, by the campaign of its own that holds them
    /// all: none where that is innocent, as of a level that it had before, and they are no higher than it is as a whole.
    /// `None` where there is no such campaign.
    pub(crate) fn nats_in(
        &self,
        entity: usize,
        episodes: &[Range<usize>],
        standing: &Standing,
    ) -> Option<f64> {
        let whole = episodes.first()?.start..episodes.last()?.end;
        let holds = |found: &&Found| {
            let own = found.campaign.span();
            own.start <= whole.start && whole.end <= own.end
        };
        let found = self.campaigns_in(entity, episodes).find(holds)?;
        if !found.is_innocent() {
            return Some(found.campaign.score);
        }
        let whole = found.campaign.observed / found.campaign.expected.max(0.5);
        let within = standing.within.count / standing.within.expected.max(0.5);
        (within <= HIGHER * whole).then_some(0.0)
    }

    /// The entity's campaigns that meet `episodes`.
    fn campaigns_in<'b>(
        &'b self,
        entity: usize,
        episodes: &'b [Range<usize>],
    ) -> impl Iterator<Item = &'b Found> {
        let meets = |a: &Range<usize>| episodes.iter().any(|b| a.start < b.end && b.start < a.end);
        let first = self.campaigns.partition_point(|found| found.entity < entity);
        let own = self.campaigns[first..].iter().take_while(move |found| found.entity == entity);
        own.filter(move |found| found.campaign.episodes.iter().any(meets))
    }

    /// The days outside `episodes` that the baseline was learnt from; none where the entity was not tested.
    pub(crate) fn other_days(&self, entity: usize, episodes: &[Range<usize>]) -> Vec<Range<usize>> {
        let Ok(index) = self.tested.binary_search(&entity) else { return Vec::new() };
        let usual = without(&self.series(index).present, &self.masks[index]);
        let other = |day: &usize| usual[*day] && !episodes.iter().any(|days| days.contains(day));
        let days: Vec<usize> = (0..usual.len()).filter(other).collect();
        days.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..run[run.len() - 1] + 1).collect()
    }

    /// What the entity did in `episodes` against its own baseline; `None` where it was not tested.
    pub(crate) fn standing(&self, entity: usize, episodes: &[Range<usize>]) -> Option<Standing> {
        let index = self.tested.binary_search(&entity).ok()?;
        let (series, level) = self.baseline(index);
        let noise = self.pool.noise(&self.scatter[index]);
        let inside = |day: usize| episodes.iter().any(|days| days.contains(&day));
        let usual = without(&series.present, &self.masks[index]);
        let within = |day: usize| inside(day) && series.present[day];
        let without = |day: usize| !inside(day) && usual[day];
        let sample = |wanted: &dyn Fn(usize) -> bool| {
            let days = || (0..series.counts.len()).filter(|day| wanted(*day));
            let sum = |of: &[f64]| days().map(|day| of[day]).sum::<f64>();
            Sample {
                count: sum(&series.counts),
                expected: level.value * sum(&series.pattern),
                dispersion: noise.over(days().count() as f64),
            }
        };
        Some(Standing {
            within: sample(&within),
            without: sample(&without),
            tolerance: self.config.tolerance,
        })
    }

    /// Observed and expected by day for an entity, as the final baseline sees them.
    pub(crate) fn timeline(&self, entity: usize) -> Vec<(f64, f64)> {
        let Ok(index) = self.tested.binary_search(&entity) else { return Vec::new() };
        let (series, level) = self.baseline(index);
        // On a day of absence nothing is expected either.
        let pattern = |day: usize| if series.present[day] { series.pattern[day] } else { 0.0 };
        let point = |day: usize| (series.unit * series.counts[day], series.unit * level.value * pattern(day));
        (0..series.counts.len()).map(point).collect()
    }
}

/// Whether the campaign began with a rise: the weeks before it, earlier rises left out, lie nearer the
/// baseline than the campaign. A level that fell for good makes everything before the fall look high.
fn rises(series: &Series, level: Level, campaign: &Campaign, earlier: &[Range<usize>]) -> bool {
    let start = campaign.span().start;
    let risen = |day: usize| earlier.iter().any(|span| span.contains(&day));
    let before = (0..start).rev().filter(|day| series.searched[*day] && !risen(*day)).take(BEFORE_DAYS);
    let (mut count, mut expected, mut days) = (0.5, 0.5, 0);
    for day in before {
        count += series.counts[day];
        expected += level.value * series.pattern[day];
        days += 1;
    }
    days >= MIN_BEFORE_DAYS && (count / expected).ln() < RISE_SHARE * campaign.rise()
}
