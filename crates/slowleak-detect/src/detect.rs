//! The order of detection: rules, series, families, error control, honest causes, folding, ranking.

use rayon::prelude::*;
use slowleak_record::{Field, Micros, Registry, Window};
use slowleak_rollup::{DayTable, Dimension, Lookup, Metric, Table, View};

use crate::attribution::{Carrier, Cause, Excess};
use crate::candidate::Candidate;
use crate::carriers::{Carriers, Rise};
use crate::config::DetectConfig;
use crate::daily::Daily;
use crate::edges::{Coarse, refine};
use crate::episode::Band;
use crate::family::{Family, Found, Shape};
use crate::finding::{Detection, Detector, Family as Examined, Finding, Point, Scope, Severity, Share};
use crate::fold::fold;
use crate::grid::Grid;
use crate::identity::finding_id;
use crate::issues::Issues;
use crate::rules::Rules;
use crate::severity::{rank, severity, taken};
use crate::slices::Slices;
use crate::wording;

/// Dimensions whose series are tested; slices by source only explain, since sources come and go.
const TESTED: [&[Field]; 4] = [&[Field::Key], &[Field::User], &[Field::Object], &[Field::Key, Field::Object]];

/// An interval that ends no earlier than this before the data does is still open.
const OPEN_WITHIN: i64 = Micros::DAY / 2;

/// What is known from outside the log.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Keys and people.
    pub registry: &'a Registry,
    /// What was issued, where there is a list of that.
    pub issues: Option<&'a Issues<'a>>,
}

impl<'a> From<&'a Registry> for Known<'a> {
    fn from(registry: &'a Registry) -> Self {
        Self { registry, issues: None }
    }
}

/// Finds the anomalous intervals of a rollup. Its days are all in memory; of its cells, which would not fit, `rollup` is
/// asked for those of the entities that findings name. Pure: the same rollup, knowledge and configuration give the same
/// findings, whatever the threads.
///
/// # Errors
/// The cells of such an entity can not be had.
pub fn detect<'k, L: Lookup>(
    days: &[DayTable],
    rollup: &L,
    known: impl Into<Known<'k>>,
    config: &DetectConfig,
) -> Result<Detection, L::Error> {
    let known = known.into();
    let registry = known.registry;
    let Some(grid) = Grid::of(days) else { return Ok(Detection::default()) };
    let events = finest(days.iter());
    let subjects = finest(days.iter().filter(|table| !table.subjects.is_empty()));
    let mut dailies: Vec<Daily<'_>> = events.iter().filter_map(|table| Daily::of(table, &grid)).collect();
    let spread: Vec<Daily<'_>> =
        events.iter().filter_map(|table| Daily::spread(table, &grid, &dailies)).collect();
    dailies.extend(spread);
    let sketched: Vec<Daily<'_>> = subjects.iter().filter_map(|table| Daily::of(table, &grid)).collect();
    let slices = Slices::new(&dailies);

    let tested = |daily: &&Daily<'_>| {
        let view = &daily.table.view;
        view.window <= Window::DAY && TESTED.contains(&view.dimension.parts())
    };
    let mut families: Vec<Family<'_>> = Vec::new();
    families
        .extend(dailies.iter().filter(tested).map(|daily| Family::run(daily, Metric::Events, &grid, config)));
    families.extend(
        sketched.iter().filter(tested).map(|daily| Family::run(daily, Metric::Subjects, &grid, config)),
    );
    for family in &mut families {
        explain(family, &slices, registry, &grid);
        family.calibrate();
    }
    borrow_tails(&mut families);

    let run = Run {
        events: &events,
        subjects: &subjects,
        rollup,
        registry,
        config,
        grid: &grid,
        slices: &slices,
        families: &families,
    };
    let rules =
        Rules { registry, issues: known.issues, config, tables: &events, grid: &grid, slices: &slices };
    let mut candidates = rules.candidates(rollup)?;
    candidates.extend(run.candidates());
    let leaks = fold(candidates, &slices);
    let mut findings: Vec<Finding> =
        leaks.iter().map(|members| run.finding(members)).collect::<Result<_, _>>()?;
    rank(&mut findings);
    Ok(Detection { findings, scope: run.scope(), ..Detection::default() })
}

/// For each dimension the table with the finest window, which has the most to say about edges.
fn finest<'a>(tables: impl Iterator<Item = &'a DayTable>) -> Vec<&'a DayTable> {
    let mut tables: Vec<&DayTable> = tables.collect();
    tables.sort_by(|a, b| (&a.view.dimension, a.view.window).cmp(&(&b.view.dimension, b.view.window)));
    tables.dedup_by(|next, kept| next.view.dimension == kept.view.dimension);
    tables
}

/// Looks for the honest cause of every rise in the family's event counts.
fn explain(family: &mut Family<'_>, slices: &Slices<'_>, registry: &Registry, grid: &Grid) {
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
        found.cause = excess.cause(slices, registry, grid);
    });
}

/// Families with too few entities borrow the heaviest tail of their metric and band.
fn borrow_tails(families: &mut [Family<'_>]) {
    for metric in [Metric::Events, Metric::Subjects] {
        for band in 0..Band::ALL.len() {
            let of_metric = || families.iter().filter(|family| family.metric == metric);
            let worst = of_metric().filter_map(|family| family.tails[band].scale).max_by(f64::total_cmp);
            for family in families.iter_mut().filter(|family| family.metric == metric) {
                family.tails[band].borrow(worst);
            }
        }
    }
}

struct Run<'a, L> {
    /// For each dimension the finest table.
    events: &'a [&'a DayTable],
    /// For each dimension the finest table with sketches.
    subjects: &'a [&'a DayTable],
    rollup: &'a L,
    registry: &'a Registry,
    config: &'a DetectConfig,
    grid: &'a Grid,
    slices: &'a Slices<'a>,
    families: &'a [Family<'a>],
}

impl<'a, L: Lookup> Run<'a, L> {
    /// Every campaign that error control lets through, with its honest cause where it has one.
    fn candidates(&self) -> Vec<Candidate> {
        let tails = (self.families.len() * Band::ALL.len()) as f64;
        let Self { families, slices, registry, grid, .. } = *self;
        let carriers = Carriers { families, slices, registry, grid, tails };
        let of_family = |family: &'a Family<'a>| {
            let candidate = |found: &Found| {
                let band = &family.tails[found.campaign.band as usize];
                let score = found.campaign.score;
                let odds = family.expected_false(found.campaign.band, score, family.tested.len(), tails)?;
                let calibrated = band.calibrated(score)?;
                let reported = found.shape == Shape::Step && odds <= self.config.max_expected_false;
                let mut candidate = reported.then(|| self.candidate(family, found, calibrated, odds))?;
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

    fn candidate(&self, family: &Family<'_>, found: &Found, score: f64, expected_false: f64) -> Candidate {
        let dimension = family.daily.table.view.dimension.clone();
        let entity = family.daily.table.entities[found.entity].clone();
        let who = parts(&dimension, &entity);
        let campaign = &found.campaign;
        let days = campaign.span();
        let excess = campaign.observed - campaign.expected;
        // Subjects beyond the expected are at least as many events.
        let excess_events = if family.metric == Metric::Events {
            excess
        } else {
            let events = family.daily.events_in(found.entity, &days);
            excess.min(events)
        };
        Candidate {
            detector: if family.metric == Metric::Subjects { Detector::Breadth } else { Detector::Rate },
            dimension,
            entity,
            who,
            metric: family.metric,
            days,
            anchor: campaign.anchor,
            observed: campaign.observed,
            expected: campaign.expected,
            excess_events,
            level_per_day: found.level.value,
            dispersion: campaign.dispersion,
            raw_score: campaign.score,
            score,
            expected_false: Some(expected_false),
            cause: found.cause.clone(),
            fact: None,
            edges: None,
            timeline: family.timeline(found.entity),
        }
    }

    fn finding(&self, members: &[Candidate]) -> Result<Finding, L::Error> {
        // Shares are of whole days, so they are taken before the figures move to the final edges.
        let shares = self.shares(&members[0]);
        let edged: Vec<(Candidate, (Micros, Micros))> =
            members.iter().map(|member| self.edged(member)).collect::<Result<_, _>>()?;
        let (members, bounds): (Vec<Candidate>, Vec<(Micros, Micros)>) = edged.into_iter().unzip();
        let lead = &members[0];
        let (start, end) = bounds[0];
        let open = end.0 + OPEN_WITHIN >= self.grid.end().0;
        // Sketches are of whole days: on a short interval they count what lies around it, too.
        let most = if lead.metric == Metric::Events { lead.observed } else { f64::INFINITY };
        let subjects = self.subjects(lead, start, end)?.map(|subjects| subjects.min(most));
        let known = |field: Field| members.iter().find_map(|member| member.part(field)).map(str::to_owned);
        // A compound's own part wins; else what the evidence names, or what carries nearly all of it.
        let carried = |field: Field| {
            let top =
                shares.iter().find(|share| share.dimension == field.name() && !share.value.starts_with('('));
            top.filter(|share| share.share >= 0.8).map(|share| share.value.clone())
        };
        let key = lead
            .part(Field::Key)
            .map(str::to_owned)
            .or_else(|| carried(Field::Key))
            .or_else(|| known(Field::Key));
        let user = lead.part(Field::User).map(str::to_owned).or_else(|| carried(Field::User));
        let taken = taken(lead, subjects);
        let sensitivity = self.config.sensitivity.of_finding(lead.part(Field::Object), &shares);
        let weighted = subjects.map(|_| taken * sensitivity);
        let severity = match lead.cause {
            Some(_) => Severity::Info,
            None => severity(lead, weighted, self.config),
        };
        let mut finding = Finding {
            id: finding_id(
                lead.detector.name(),
                &lead.dimension.to_string(),
                &lead.entity,
                lead.metric.name(),
                self.grid.start(lead.anchor),
            ),
            rank: 0,
            severity,
            detector: lead.detector,
            dimension: lead.dimension.clone(),
            entity: lead.entity.clone(),
            key,
            user,
            metric: lead.metric,
            start,
            end,
            observed: lead.observed,
            expected: lead.expected,
            subjects,
            taken,
            sensitivity,
            score: lead.score,
            expected_false: lead.expected_false,
            open,
            summary: String::new(),
            suppressed: None,
            cause: lead.cause.as_ref().map(Cause::words),
            evidence: members.iter().zip(bounds).map(|(m, (start, end))| m.evidence(start, end)).collect(),
            shares,
            timeline: self.points(&lead.timeline),
        };
        finding.summary = wording::summary(&finding, lead.cause.as_ref(), lead.fact.as_ref());
        Ok(finding)
    }

    /// The candidate with its figures between its final edges, and these.
    fn edged(&self, candidate: &Candidate) -> Result<(Candidate, (Micros, Micros)), L::Error> {
        // What a rule states was counted between its edges.
        if let Some(bounds) = candidate.edges {
            return Ok((candidate.clone(), bounds));
        }
        let table = self.events.iter().find(|table| table.view.dimension == candidate.dimension);
        let table = table.filter(|table| table.find(&candidate.entity).is_some());
        let Some(table) = table else { return Ok((candidate.clone(), self.coarse(candidate))) };
        let cells = self.rollup.entity(&only(&table.view, Metric::Events), &candidate.entity)?;
        let bounds = self.bounds(candidate, &cells);
        Ok((self.recount(candidate, bounds, &cells), bounds))
    }

    /// Start and end of a candidate to the day.
    fn coarse(&self, candidate: &Candidate) -> (Micros, Micros) {
        let day_end = self.grid.start(candidate.days.end).min(self.grid.end());
        (self.grid.start(candidate.days.start), day_end)
    }

    /// Start and end of a candidate to the finest window, in which its cells are.
    fn bounds(&self, candidate: &Candidate, cells: &Table) -> (Micros, Micros) {
        let coarse = self.coarse(candidate);
        // Edges are placed by events; the other metrics have no finer grid than the day.
        let (start, end) = if candidate.metric != Metric::Events {
            coarse
        } else {
            let days = candidate.days.len() as f64;
            let ratio = candidate.observed / candidate.expected.max(0.5);
            let expected_per_day = candidate.expected / days;
            refine(cells, Coarse { start: coarse.0, end: coarse.1, expected_per_day, ratio })
        };
        // Never before the first event inside, nor after the last.
        let windows = &cells.windows;
        let inside = |time: &&Micros| (start..end).contains(time);
        let first = windows.iter().find(inside).copied().unwrap_or(start);
        let last =
            windows.iter().rev().find(inside).map_or(end, |w| Micros(w.0 + cells.view.window.micros()));
        (first, last.min(self.grid.end()))
    }

    /// The candidate with its figures counted between its final edges, gaps between episodes included, so that
    /// anyone can count them again from the records.
    fn recount(&self, candidate: &Candidate, (start, end): (Micros, Micros), cells: &Table) -> Candidate {
        let mut candidate = candidate.clone();
        if candidate.metric != Metric::Events {
            return candidate;
        }
        let counts = cells.windows.iter().zip(cells.count(Metric::Events));
        let inside = counts.filter(|(window, _)| (start..end).contains(window));
        candidate.observed = inside.map(|(_, events)| *events as f64).sum();
        let expected = candidate.timeline.iter().enumerate().map(|(day, (_, expected))| {
            let from = self.grid.start(day).0;
            let overlap = (from + Micros::DAY).min(end.0) - from.max(start.0);
            expected * overlap.max(0) as f64 / Micros::DAY as f64
        });
        candidate.expected = expected.sum();
        candidate
    }

    /// Distinct subjects of the leading entity in the interval, from the union of its sketches.
    fn subjects(&self, lead: &Candidate, start: Micros, end: Micros) -> Result<Option<f64>, L::Error> {
        let table = self.subjects.iter().find(|table| table.view.dimension == lead.dimension);
        let table = table.filter(|table| table.find(&lead.entity).is_some());
        let cells = table.map(|table| self.rollup.entity(&only(&table.view, Metric::Subjects), &lead.entity));
        Ok(cells.transpose()?.map(|cells| cells.union(&(start..end)).estimate()))
    }

    fn shares(&self, lead: &Candidate) -> Vec<Share> {
        let excess = Excess {
            who: &lead.who,
            days: lead.days.clone(),
            observed: lead.observed,
            expected: lead.expected,
        };
        if lead.metric != Metric::Events || lead.observed <= lead.expected {
            return Vec::new();
        }
        [Field::Key, Field::User, Field::Object, Field::Source]
            .into_iter()
            .filter(|field| lead.part(*field).is_none())
            .flat_map(|field| excess.shares(self.slices, field))
            .collect()
    }

    fn points(&self, timeline: &[(f64, f64)]) -> Vec<Point> {
        let point = |(day, &(observed, expected)): (usize, &(f64, f64))| Point {
            start: self.grid.start(day),
            observed,
            expected,
        };
        timeline.iter().enumerate().map(point).collect()
    }

    fn scope(&self) -> Scope {
        let families = self.families.iter().map(|family| Examined {
            dimension: family.daily.table.view.dimension.clone(),
            metric: family.metric,
            entities: family.daily.len() as u64,
            tested: family.tested.len() as u64,
            tail_scale: family.tails.iter().filter_map(|tail| tail.scale).max_by(f64::total_cmp),
        });
        Scope { families: families.collect(), end: Some(self.grid.end()) }
    }
}

/// The view with one metric (and events, which all have).
fn only(view: &View, metric: Metric) -> View {
    View::new(view.dimension.clone(), view.window, [metric])
}

fn parts(dimension: &Dimension, entity: &str) -> Vec<(Field, String)> {
    dimension.parts().iter().copied().zip(dimension.split(entity)).collect()
}

impl Cause {
    /// The cause in words, to end a sentence.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Newcomers { by, names } if names.len() == 1 => {
                format!("explained by the new {by} {}", names[0])
            }
            Self::Newcomers { by, names } => {
                format!("explained by {} new {by}s, {} the largest", names.len(), names[0])
            }
            Self::Carried { by, carriers } => {
                let one = |Carrier { name, did, usual }: &Carrier| {
                    let (did, usual) = (wording::count(*did as f64), wording::count(*usual as f64));
                    format!("{by} {name} ({did} accesses in all on the days of the rise, {usual} expected)")
                };
                let all: Vec<String> = carriers.iter().map(one).collect();
                format!("explained by {}: within what a {by} does at times", all.join(" and "))
            }
            Self::Common { count } => {
                format!("{count} of its kind rose as much: a custom, or more than one leak")
            }
            Self::Migration { from } => format!("explained by traffic that moved here from key {from}"),
        }
    }
}
