//! Rates: more accesses than an entity's habit and its peers explain, or more distinct subjects than its accesses do.
//!
//! In: the days of views. Out: campaigns that error control lets through, with their honest cause where the finer views
//! know one. A [`Family`] is one view under one metric, whose entities are fitted, searched and calibrated against each
//! other.

pub(crate) mod baseline;
pub(crate) mod calibrate;
pub(crate) mod episode;
pub(crate) mod family;
pub(crate) mod given;
pub(crate) mod noise;
pub(crate) mod part;
pub(crate) mod peers;
pub(crate) mod score;
pub(crate) mod search;
pub(crate) mod series;
pub(crate) mod share;

use rayon::prelude::*;
use slowleak_record::{Field, Window};
use slowleak_rollup::Metric;

use crate::candidate::Candidate;
use crate::cause::Cause;
use crate::cause::attribution::Excess;
use crate::cause::carriers::{Carriers, Rise};
use crate::days::daily::Daily;
use crate::days::{Log, parts};
use crate::finding::{Detector, Family as Examined};
use crate::rate::episode::Band;
use crate::rate::family::{Family, Found, Shape};
use crate::rate::part::Measure;
use crate::rate::share::Shares;

/// Dimensions whose series are tested; slices by source only explain, since sources come and go.
const TESTED: [&[Field]; 4] = [&[Field::Key], &[Field::User], &[Field::Object], &[Field::Key, Field::Object]];

/// Dimensions of misses, and of rows and bytes. A key's answers grow when its people turn to another table, and so do a
/// table's when another key reads it: of those the pair is judged alone.
const TESTED_MISSES: [&[Field]; 3] = [&[Field::User], &[Field::Object], &[Field::Key, Field::Object]];
const TESTED_ANSWERS: [&[Field]; 2] = [&[Field::User], &[Field::Key, Field::Object]];

/// Every family of a run.
pub(crate) struct Rates<'a> {
    log: Log<'a>,
    families: Vec<Family<'a>>,
}

impl<'a> Rates<'a> {
    /// Fits, searches and calibrates every view that is tested, and the shares of keys where they are known.
    pub(crate) fn run(log: Log<'a>, shares: Option<&'a Shares<'a>>) -> Self {
        let tested = |daily: &&Daily<'_>| TESTED.iter().any(|parts| is_by(daily, parts));
        let family = |daily: &'a Daily<'a>, measure| Family::run(daily, measure, log.grid, log.config);
        let mut families: Vec<Family<'a>> = Vec::new();
        families.extend(log.dailies.iter().filter(tested).map(|daily| family(daily, Measure::Events)));
        families.extend(log.sketched.iter().filter(tested).map(|daily| family(daily, Measure::Subjects)));
        families.extend(shares.map(|shares| family(shares.slices, Measure::Share(shares))));
        let dimensions =
            |metric| if metric == Metric::Missing { &TESTED_MISSES[..] } else { &TESTED_ANSWERS };
        for metric in [Metric::Missing, Metric::Rows, Metric::Bytes] {
            let counted = |daily: &&Daily<'_>| {
                let dimension = daily.table.view.dimension.parts();
                let known = |metric| metric == Metric::Events || !daily.table.sum(metric).is_empty();
                dimensions(metric).contains(&dimension)
                    && daily.table.view.window <= Window::DAY
                    && !daily.table.sum(metric).is_empty()
                    && given::base(metric).is_some_and(known)
            };
            families.extend(
                log.dailies.iter().filter(counted).map(|daily| family(daily, Measure::Given(metric))),
            );
        }
        for family in &mut families {
            explain(family, &log);
            family.calibrate();
        }
        borrow_tails(&mut families);
        Self { log, families }
    }

    /// How many tails of scores there are, over which error control is shared.
    pub(crate) fn tails(&self) -> usize {
        self.families.iter().map(|family| bands(family.metric).len()).sum()
    }

    /// Every campaign that error control lets through, among `tails` of all detectors, with its honest cause where it
    /// has one.
    pub(crate) fn candidates(&self, tails: usize) -> Vec<Candidate> {
        let tails = tails as f64;
        let Self { log, families } = self;
        let carriers =
            Carriers { families, slices: log.slices, registry: log.registry, grid: log.grid, tails };
        let of_family = |family: &Family<'a>| {
            let candidate = |found: &Found| {
                let band = &family.tails[found.campaign.band as usize];
                let score = found.campaign.score;
                let odds = family.expected_false(found.campaign.band, score, family.tested.len(), tails)?;
                let calibrated = band.calibrated(score)?;
                let judged = bands(family.metric).contains(&found.campaign.band);
                let reported = judged && found.shape == Shape::Step && odds <= log.config.max_expected_false;
                let lasts =
                    given::base(family.metric).is_none() || family.outlives_its_largest_day(found, tails);
                let mut candidate =
                    (reported && lasts).then(|| candidate(family, found, calibrated, odds))?;
                if candidate.cause.is_none() && family.metric == Metric::Events {
                    candidate.cause = carriers.cause(&Rise { family, found, who: &candidate.who });
                }
                // Said, not swallowed: many leaks at once look like a custom, too.
                if candidate.cause.is_none() {
                    candidate.cause = band.common(score).map(|count| Cause::Common { count });
                }
                Some(candidate)
            };
            family.campaigns.iter().filter_map(candidate).collect::<Vec<_>>()
        };
        families.iter().flat_map(of_family).collect()
    }

    /// Whether a candidate would be one still without so many of its events, among `tails` of all detectors. What other
    /// detectors found always is.
    pub(crate) fn outlives(&self, candidate: &Candidate, events: f64, tails: usize) -> bool {
        let of = |family: &&Family<'_>| {
            (family.detector(), family.metric) == (candidate.detector, candidate.metric)
                && family.daily.table.view.dimension == candidate.dimension
        };
        let campaign = self.families.iter().find(of).and_then(|family| {
            let entity = family.daily.find(&candidate.entity)?;
            let same = |found: &&Found| found.entity == entity && found.campaign.span() == candidate.days;
            Some((family, family.campaigns.iter().find(same)?))
        });
        campaign.is_none_or(|(family, found)| {
            let score = family.score_without(found, events);
            family.is_finding(found.campaign.band, score, family.tested.len(), tails as f64)
        })
    }

    /// What was examined.
    pub(crate) fn examined(&self) -> Vec<Examined> {
        let examined = |family: &Family<'_>| Examined {
            dimension: family.daily.table.view.dimension.clone(),
            metric: family.metric,
            entities: family.daily.len() as u64,
            tested: family.tested.len() as u64,
            tail_scale: family.tails.iter().filter_map(|tail| tail.scale).max_by(f64::total_cmp),
        };
        self.families.iter().map(examined).collect()
    }
}

/// Whether a view has exactly these parts and windows of a day or less.
pub(crate) fn is_by(daily: &Daily<'_>, parts: &[Field]) -> bool {
    let view = &daily.table.view;
    view.window <= Window::DAY && view.dimension.parts() == parts
}

/// The lengths that a metric is judged on. One large answer and one faulty client are a day's thing: of what is tested
/// given another metric only what lasts is a finding, and only what is one without its largest day.
fn bands(metric: Metric) -> &'static [Band] {
    if given::base(metric).is_some() { &[Band::Long] } else { &Band::ALL }
}

/// Looks for the honest cause of every rise in the family's event counts.
fn explain(family: &mut Family<'_>, log: &Log<'_>) {
    if family.metric != Metric::Events {
        return;
    }
    let table = family.daily.table;
    family.campaigns.par_iter_mut().filter(|found| found.shape == Shape::Step).for_each(|found| {
        let excess = Excess {
            who: &parts(&table.view.dimension, &table.entities[found.entity]),
            days: found.campaign.span(),
            observed: found.campaign.observed,
            expected: found.campaign.expected,
        };
        found.cause = excess.cause(log.slices, log.registry, log.grid);
    });
}

/// Families with too few entities borrow the heaviest tail of their detector, metric and band.
pub(crate) fn borrow_tails(families: &mut [Family<'_>]) {
    let kinds: Vec<(Detector, Metric)> =
        families.iter().map(|family| (family.detector(), family.metric)).collect();
    for kind in kinds {
        for band in 0..Band::ALL.len() {
            let alike = |family: &Family<'_>| (family.detector(), family.metric) == kind;
            let scales = families.iter().filter(|family| alike(family));
            let worst = scales.filter_map(|family| family.tails[band].scale).max_by(f64::total_cmp);
            for family in families.iter_mut().filter(|family| alike(family)) {
                family.tails[band].borrow(worst);
            }
        }
    }
}

pub(crate) fn candidate(family: &Family<'_>, found: &Found, score: f64, expected_false: f64) -> Candidate {
    let dimension = family.daily.table.view.dimension.clone();
    let entity = family.daily.table.entities[found.entity].clone();
    let who = parts(&dimension, &entity);
    let campaign = &found.campaign;
    let days = campaign.span();
    let timeline = family.timeline(found.entity);
    let (observed, expected) = (found.unit * campaign.observed, found.unit * campaign.expected);
    let excess = observed - expected;
    // Subjects, misses and units of an answer beyond the expected are at least as many events.
    let excess_events = if family.metric == Metric::Events {
        excess
    } else {
        let events = family.daily.events_in(found.entity, &days);
        (excess / found.unit).min(events)
    };
    Candidate {
        detector: family.detector(),
        dimension,
        entity,
        who,
        metric: family.metric,
        days,
        anchor: campaign.anchor,
        observed,
        expected,
        excess_events,
        level_per_day: level_per_day(family, found, &timeline),
        dispersion: campaign.dispersion,
        raw_score: campaign.score,
        score,
        expected_false: Some(expected_false),
        cause: found.cause.clone(),
        fact: None,
        seen: None,
        partner: None,
        edges: None,
        timeline,
    }
}

/// The baseline's level, in counts a day. What is counted given something else has one by that: what it came to on the
/// days outside the campaign is said instead.
fn level_per_day(family: &Family<'_>, found: &Found, timeline: &[(f64, f64)]) -> f64 {
    if !matches!(family.measure(), Measure::Share(_) | Measure::Given(_)) {
        return found.level.value;
    }
    let span = found.campaign.span();
    let outside = timeline.iter().enumerate().filter(|(day, _)| !span.contains(day));
    let days: Vec<f64> =
        outside.map(|(_, (_, expected))| *expected).filter(|expected| *expected > 0.0).collect();
    days.iter().sum::<f64>() / days.len().max(1) as f64
}
