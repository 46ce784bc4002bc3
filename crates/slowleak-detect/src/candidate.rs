//! An interval that passed error control, before folding.

use std::ops::Range;

use slowleak_record::{Field, Micros};
use slowleak_rollup::{Dimension, Metric};

use crate::cause::Cause;
use crate::finding::{Detector, Evidence};

/// One interval of one entity in one view and metric, with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) detector: Detector,
    pub(crate) dimension: Dimension,
    pub(crate) entity: String,
    /// The entity's parts with their fields.
    pub(crate) who: Vec<(Field, String)>,
    pub(crate) metric: Metric,
    pub(crate) days: Range<usize>,
    pub(crate) anchor: usize,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    /// Events beyond the expected, whatever the metric: what folding compares.
    pub(crate) excess_events: f64,
    pub(crate) level_per_day: f64,
    pub(crate) dispersion: f64,
    pub(crate) raw_score: f64,
    pub(crate) score: f64,
    /// `None` for rules.
    pub(crate) expected_false: Option<f64>,
    pub(crate) cause: Option<Cause>,
    /// Of a rule: what it states.
    pub(crate) fact: Option<Fact>,
    /// What was seen, in a part of a sentence, where figures alone do not say it.
    pub(crate) seen: Option<String>,
    /// With whom it exchanged what it does.
    pub(crate) partner: Option<String>,
    /// Exact start and end, where they are facts and not to be searched for.
    pub(crate) edges: Option<(Micros, Micros)>,
    /// Daily (observed, expected) over the whole grid.
    pub(crate) timeline: Vec<(f64, f64)>,
}

/// What a rule states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    /// How the entity was used: ends the sentence "was used 12 times ...".
    pub(crate) why: String,
    pub(crate) grade: Grade,
}

/// What a fact is worth; the order is from the most to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Nobody had a right to it. Leads whatever else is seen.
    Misuse,
    /// Strange, yet yearly work looks the same. A likelihood that is seen with it says more, and leads.
    Odd,
    /// Worth putting in order, and no sign of a leak by itself. It joins what else there is and draws nothing to itself:
    /// its events are all that the key did.
    Minor,
}

impl Candidate {
    /// The grade of its fact, where it states one.
    pub(crate) fn grade(&self) -> Option<Grade> {
        self.fact.as_ref().map(|fact| fact.grade)
    }

    /// Its figures times the size of the units that they were in.
    pub(crate) fn in_counts(&mut self, size: f64) {
        let figures =
            [&mut self.observed, &mut self.expected, &mut self.excess_events, &mut self.level_per_day];
        figures.into_iter().for_each(|figure| *figure *= size);
        self.timeline.iter_mut().for_each(|(observed, expected)| {
            *observed *= size;
            *expected *= size;
        });
    }

    /// Part of the entity's traffic in the interval that is excess, 0 to 1.
    pub(crate) fn purity(&self) -> f64 {
        if self.observed > 0.0 { ((self.observed - self.expected) / self.observed).max(0.0) } else { 0.0 }
    }

    /// The value of a field among the entity's parts.
    pub(crate) fn part(&self, field: Field) -> Option<&str> {
        self.who.iter().find(|(part, _)| *part == field).map(|(_, value)| value.as_str())
    }

    /// The candidate as evidence of a phase over the interval `start..end`.
    pub(crate) fn evidence(&self, phase: u32, start: Micros, end: Micros) -> Evidence {
        Evidence {
            phase,
            detector: self.detector,
            dimension: self.dimension.clone(),
            entity: self.entity.clone(),
            metric: self.metric,
            start,
            end,
            observed: self.observed,
            expected: self.expected,
            level_per_day: self.level_per_day,
            dispersion: self.dispersion,
            raw_score: self.raw_score,
            score: self.score,
            expected_false: self.expected_false,
        }
    }
}
