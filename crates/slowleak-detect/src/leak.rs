//! One leak, one finding: candidates of the same raw events are folded, given their final edges and figures, an id and
//! words. Edges, figures and distinct subjects come from the entity's own cells.

pub(crate) mod edges;
pub(crate) mod evidence;
pub(crate) mod fold;
pub(crate) mod identity;
pub(crate) mod phases;
pub(crate) mod wording;

use std::cmp::Ordering;

use slowleak_record::{Field, Micros, Window};
use slowleak_rollup::{DayTable, Lookup, Metric, Sketch, Table, View};

use crate::candidate::Candidate;
use crate::cause::Cause;
use crate::cause::attribution::Excess;
use crate::days::Log;
use crate::finding::{Detector, Evidence, Finding, Point, Severity, Share};
use crate::leak::edges::{Coarse, refine};
use crate::leak::fold::Fold;
use crate::leak::identity::finding_id;
use crate::severity::{severity, taken};

/// An interval that ends no earlier than this before the data does is still open.
const OPEN_WITHIN: i64 = Micros::DAY / 2;
/// Share of an excess with which a slice carries it.
pub(crate) const CARRIED: f64 = 0.8;

/// Makes findings.
pub(crate) struct Writer<'a, L> {
    pub(crate) log: Log<'a>,
    /// For each dimension the finest table.
    pub(crate) events: &'a [&'a DayTable],
    /// For each dimension the finest table with sketches.
    pub(crate) subjects: &'a [&'a DayTable],
    /// Where the cells are.
    pub(crate) rollup: &'a L,
}

/// A phase of a leak with its final edges and figures.
struct Phase {
    /// What was folded, the leading one first, and the edges of each.
    members: Vec<Candidate>,
    bounds: Vec<(Micros, Micros)>,
    anchor: Micros,
    shares: Vec<Share>,
    /// What the leading one touched, where subjects are logged.
    sketch: Option<Sketch>,
}

impl Phase {
    fn lead(&self) -> &Candidate {
        &self.members[0]
    }

    /// Distinct subjects of the leading one.
    fn subjects(&self) -> Option<f64> {
        // Sketches are of whole days: on a short interval they count what lies around it, too.
        let lead = self.lead();
        let most = if lead.metric == Metric::Events { lead.observed } else { f64::INFINITY };
        self.sketch.as_ref().map(|sketch| sketch.estimate().min(most))
    }
}

impl<L: Lookup> Writer<'_, L> {
    /// The finding of one leak, whose phases are in the order of time. The surest phase gives it its name, odds and
    /// shares, so that joining never makes a finding surer than what it was joined of; the first gives it its id.
    pub(crate) fn finding(&self, leak: &[Fold]) -> Result<Finding, L::Error> {
        let phases: Vec<Phase> = leak.iter().map(|fold| self.phase(fold)).collect::<Result<_, _>>()?;
        let sure = |phase: &Phase| (phase.lead().expected_false.unwrap_or(0.0), -phase.lead().score);
        let by_odds = |a: &Phase, b: &Phase| sure(a).partial_cmp(&sure(b)).unwrap_or(Ordering::Equal);
        let main = (0..phases.len()).min_by(|a, b| by_odds(&phases[*a], &phases[*b])).unwrap_or(0);
        let Phase { members, shares, .. } = &phases[main];
        let start = phases.iter().map(|phase| phase.bounds[0].0).min().unwrap_or(phases[0].bounds[0].0);
        let end = phases.iter().map(|phase| phase.bounds[0].1).max().unwrap_or(phases[0].bounds[0].1);
        let lead = match phases.len() {
            1 => members[0].clone(),
            _ => self.whole(&members[0], (start, end))?,
        };
        let open = end.0 + OPEN_WITHIN >= self.log.grid.end().0;
        let known = |field: Field| {
            let all = members.iter().chain(phases.iter().flat_map(|phase| &phase.members));
            all.into_iter().find_map(|member| member.part(field)).map(str::to_owned)
        };
        // A compound's own part wins; else what the evidence names, or what carries nearly all of it.
        let carried = |field: Field| {
            let top =
                shares.iter().find(|share| share.dimension == field.name() && !share.value.starts_with('('));
            top.filter(|share| share.share >= CARRIED).map(|share| share.value.clone())
        };
        let key = lead
            .part(Field::Key)
            .map(str::to_owned)
            .or_else(|| carried(Field::Key))
            .or_else(|| known(Field::Key));
        // Phases at different users' hands are nobody's in particular.
        let alone = |user: &String| {
            let others = phases.iter().filter_map(|phase| phase.lead().part(Field::User));
            others.into_iter().all(|other| other == user)
        };
        let user = lead.part(Field::User).map(str::to_owned).or_else(|| carried(Field::User)).filter(alone);
        let (subjects, taken, sensitivity) = self.loss(&phases);
        let weighted = subjects.map(|_| taken * sensitivity);
        let severity = match lead.cause {
            Some(_) => Severity::Info,
            None => severity(&members[0], weighted, self.log.config),
        };
        let first = phases[0].lead();
        let rows = |(index, phase): (u32, &Phase)| -> Vec<Evidence> {
            let members = phase.members.iter().zip(&phase.bounds);
            members.map(|(member, (start, end))| member.evidence(index, *start, *end)).collect()
        };
        let mut evidence: Vec<Vec<Evidence>> = (1..).zip(&phases).map(rows).collect();
        let leading = evidence.remove(main);
        evidence.insert(0, leading);
        let mut finding = Finding {
            id: finding_id(
                first.detector.name(),
                &first.dimension.to_string(),
                &first.entity,
                first.metric.name(),
                phases[0].anchor,
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
            evidence: evidence.into_iter().flatten().collect(),
            shares: shares.clone(),
            timeline: self.points(&lead.timeline),
        };
        finding.summary = wording::summary(&finding, &lead);
        Ok(finding)
    }

    fn phase(&self, members: &[Candidate]) -> Result<Phase, L::Error> {
        // Shares are of whole days, so they are taken before the figures move to the final edges.
        let shares = self.shares(&members[0]);
        // A day may have several bursts.
        let anchor = match members[0].edges {
            Some((start, _)) if members[0].detector == Detector::Burst => Window::HOUR.floor(start),
            _ => self.log.grid.start(members[0].anchor),
        };
        let edged: Vec<(Candidate, (Micros, Micros))> =
            members.iter().map(|member| self.edged(member)).collect::<Result<_, _>>()?;
        let (members, bounds): (Vec<Candidate>, Vec<(Micros, Micros)>) = edged.into_iter().unzip();
        let sketch = self.sketch(&members[0], bounds[0])?;
        Ok(Phase { members, bounds, anchor, shares, sketch })
    }

    /// Distinct subjects touched in the phases, by the places that lead them; the least that was taken of them, whatever
    /// two phases took both counted once; and the weight of these places.
    fn loss(&self, phases: &[Phase]) -> (Option<f64>, f64, f64) {
        let (mut size, mut least, mut weighed) = (0.0, 0.0, 0.0);
        let weight = |phase: &Phase| {
            self.log.config.sensitivity.of_finding(phase.lead().part(Field::Object), &phase.shares)
        };
        // Where some phases know their accounts, those that count something else add nothing to them.
        let known = phases.iter().any(|phase| phase.sketch.is_some());
        let phases: Vec<&Phase> = phases.iter().filter(|phase| !known || phase.sketch.is_some()).collect();
        for &phase in &phases {
            let (lead, subjects) = (phase.lead(), phase.subjects());
            let taken = taken(lead, subjects);
            size += subjects.unwrap_or(lead.observed);
            least += taken;
            weighed += taken * weight(phase);
        }
        let sensitivity = if least > 0.0 { weighed / least } else { weight(phases[0]) };
        let all: Option<Vec<f64>> = phases.iter().map(|phase| phase.subjects()).collect();
        let union = all.map(|each| {
            let union = Sketch::union(phases.iter().filter_map(|phase| phase.sketch.as_ref()));
            union.estimate().min(each.iter().sum())
        });
        let part = union.map_or(1.0, |union| if size > 0.0 { union / size } else { 1.0 });
        (union, least * part, sensitivity)
    }

    /// The leading candidate with its figures counted over all phases and what lies between them.
    fn whole(&self, lead: &Candidate, (start, end): (Micros, Micros)) -> Result<Candidate, L::Error> {
        // What is counted of accesses of some kind is not in the cells.
        let countable =
            lead.metric == Metric::Events && (lead.edges.is_none() || lead.detector == Detector::Burst);
        if let Some(cells) = self.cells(lead)?.filter(|_| countable) {
            return Ok(self.recount(lead, (start, end), &cells));
        }
        let inside = |day: &usize| self.log.grid.start(*day) < end && self.log.grid.start(day + 1) > start;
        let days = || (0..lead.timeline.len()).filter(inside).map(|day| lead.timeline[day]);
        let (observed, expected) = (days().map(|day| day.0).sum(), days().map(|day| day.1).sum());
        Ok(Candidate { observed, expected, ..lead.clone() })
    }

    /// The cells of a candidate's entity in the finest table of its dimension, where there is one.
    fn cells(&self, candidate: &Candidate) -> Result<Option<Table>, L::Error> {
        let table = self.events.iter().find(|table| table.view.dimension == candidate.dimension);
        let table = table.filter(|table| table.find(&candidate.entity).is_some());
        table
            .map(|table| self.rollup.entity(&only(&table.view, Metric::Events), &candidate.entity))
            .transpose()
    }

    /// The candidate with its figures between its final edges, and these.
    fn edged(&self, candidate: &Candidate) -> Result<(Candidate, (Micros, Micros)), L::Error> {
        // What a rule states was counted between its edges.
        if let Some(bounds) = candidate.edges {
            return Ok((candidate.clone(), bounds));
        }
        let Some(cells) = self.cells(candidate)? else {
            return Ok((candidate.clone(), self.coarse(candidate)));
        };
        let bounds = self.bounds(candidate, &cells);
        Ok((self.recount(candidate, bounds, &cells), bounds))
    }

    /// Start and end of a candidate to the day.
    fn coarse(&self, candidate: &Candidate) -> (Micros, Micros) {
        let day_end = self.log.grid.start(candidate.days.end).min(self.log.grid.end());
        (self.log.grid.start(candidate.days.start), day_end)
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
        (first, last.min(self.log.grid.end()))
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
            let from = self.log.grid.start(day).0;
            let overlap = (from + Micros::DAY).min(end.0) - from.max(start.0);
            expected * overlap.max(0) as f64 / Micros::DAY as f64
        });
        candidate.expected = expected.sum();
        candidate
    }

    /// What the leading entity touched in the interval: the union of its sketches.
    fn sketch(&self, lead: &Candidate, (start, end): (Micros, Micros)) -> Result<Option<Sketch>, L::Error> {
        // Whoever looks around has taken nothing yet; what else was done in those days is no part of it.
        if lead.metric == Metric::NewObjects {
            return Ok(None);
        }
        let table = self.subjects.iter().find(|table| table.view.dimension == lead.dimension);
        let table = table.filter(|table| table.find(&lead.entity).is_some());
        let cells = table.map(|table| self.rollup.entity(&only(&table.view, Metric::Subjects), &lead.entity));
        Ok(cells.transpose()?.map(|cells| cells.union(&(start..end))))
    }

    fn shares(&self, lead: &Candidate) -> Vec<Share> {
        // Finer views are asked by day: of a burst's day, all but its excess is expected.
        let observed = match lead.detector {
            Detector::Burst => lead.timeline[lead.days.clone()].iter().map(|(observed, _)| observed).sum(),
            _ => lead.observed,
        };
        if let Some(partner) = &lead.partner {
            return vec![Share {
                dimension: "exchanged with".to_owned(),
                value: partner.clone(),
                observed: lead.observed,
                expected: lead.expected,
                share: 1.0,
            }];
        }
        let expected = observed - (lead.observed - lead.expected);
        let mut excess = Excess { who: &lead.who, days: lead.days.clone(), observed, expected };
        // Of a day that a rule's misuse has a part of, the rest is somebody else's: only whole days tell, unless there is
        // no rest.
        let in_days: f64 = lead.timeline[lead.days.clone()].iter().map(|(observed, _)| observed).sum();
        let partly = lead.detector.is_rule() && in_days > lead.observed;
        if let Some((start, end)) = lead.edges.filter(|_| partly) {
            let whole =
                |day: &usize| self.log.grid.start(*day) >= start && self.log.grid.start(day + 1) <= end;
            let days = || excess.days.clone().filter(whole);
            let (Some(first), Some(last)) = (days().next(), days().next_back()) else { return Vec::new() };
            excess.days = first..last + 1;
            excess.observed = lead.timeline[first..=last].iter().map(|(observed, _)| observed).sum();
        }
        // Foreign accesses are a part, whose split nobody counted.
        let whole = lead.detector != Detector::Profile;
        if lead.metric != Metric::Events || !whole || lead.observed <= lead.expected {
            return Vec::new();
        }
        [Field::Key, Field::User, Field::Object, Field::Source]
            .into_iter()
            .filter(|field| lead.part(*field).is_none())
            .flat_map(|field| excess.shares(self.log.slices, field))
            .collect()
    }

    fn points(&self, timeline: &[(f64, f64)]) -> Vec<Point> {
        let point = |(day, &(observed, expected)): (usize, &(f64, f64))| Point {
            start: self.log.grid.start(day),
            observed,
            expected,
        };
        timeline.iter().enumerate().map(point).collect()
    }
}

/// The view with one metric (and events, which all have).
fn only(view: &View, metric: Metric) -> View {
    View::new(view.dimension.clone(), view.window, [metric])
}
