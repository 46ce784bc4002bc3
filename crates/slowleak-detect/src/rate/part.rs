//! A part of what entities did, day by day, with what their habit and history let expect of it: what a family counts
//! besides events and subjects. Whoever makes such a part says what it is; here it is a series like any other.

use std::ops::Range;

use slowleak_rollup::Metric;

/// Counts and expectations of a view's entities by day of the grid, in columns; only days on which anything is expected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// The unit of the counts.
    pub(crate) metric: Metric,
    offsets: Vec<usize>,
    days: Vec<usize>,
    counts: Vec<f64>,
    expected: Vec<f64>,
}

impl Part {
    /// A part of a view, in the order of its entities; of each its (day, count, expected), days ascending.
    pub(crate) fn of(metric: Metric, entities: Vec<Vec<(usize, f64, f64)>>) -> Self {
        let mut part = Self { metric, offsets: vec![0], days: vec![], counts: vec![], expected: vec![] };
        for entity in entities {
            for (day, count, expected) in entity {
                part.days.push(day);
                part.counts.push(count);
                part.expected.push(expected);
            }
            part.offsets.push(part.days.len());
        }
        part
    }

    fn cells(&self, entity: usize) -> Range<usize> {
        self.offsets[entity]..self.offsets[entity + 1]
    }

    /// Writes the entity's counts and expectations by day.
    pub(crate) fn fill(&self, entity: usize, counts: &mut [f64], expected: &mut [f64]) {
        counts.fill(0.0);
        expected.fill(0.0);
        for cell in self.cells(entity) {
            counts[self.days[cell]] = self.counts[cell];
            expected[self.days[cell]] = self.expected[cell];
        }
    }
}

/// What is counted of each entity.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Measure<'a> {
    /// Accesses.
    Events,
    /// Distinct subjects, given accesses.
    Subjects,
    /// A part of them, given what is expected of it.
    Part(&'a Part),
}

impl Measure<'_> {
    /// The unit.
    pub(crate) fn metric(self) -> Metric {
        match self {
            Self::Events => Metric::Events,
            Self::Subjects => Metric::Subjects,
            Self::Part(part) => part.metric,
        }
    }
}
