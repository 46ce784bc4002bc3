//! Rules: facts about a key's life that need no statistics. In: what is known of keys, people and issues, and the days
//! of the log. Out: candidates that state a fact.
//!
//! Each rule names *suspects*: an entity, and the time in which any use of it is misuse. What they did then is counted
//! here, once for all rules, in the entity's own cells.

mod dormant;
mod issue;
pub(crate) mod issues;
mod lifetime;
mod region;
mod stale;

use std::ops::Range;

use slowleak_record::{Field, Micros, Registry, Window};
use slowleak_rollup::{DayTable, Lookup, Metric, Table, View};

use crate::candidate::{Candidate, Fact, Grade};
use crate::config::DetectConfig;
use crate::days::grid::Grid;
use crate::days::slices::Slices;
use crate::finding::Detector;
use crate::rules::issues::Issues;

pub(crate) use lifetime::end_of;

/// Since ever.
const EVER: Micros = Micros(i64::MIN);
/// For good.
const FOR_GOOD: Micros = Micros(i64::MAX);

/// What the rules look at.
pub(crate) struct Rules<'a> {
    pub(crate) registry: &'a Registry,
    /// Where a list of what was issued is given.
    pub(crate) issues: Option<&'a Issues<'a>>,
    pub(crate) config: &'a DetectConfig,
    /// For each dimension the finest table of events.
    pub(crate) tables: &'a [&'a DayTable],
    pub(crate) grid: &'a Grid,
    pub(crate) slices: &'a Slices<'a>,
}

/// An entity that may have been used when it should not have been. Its days alone do not always tell.
struct Suspect<'a> {
    detector: Detector,
    table: &'a DayTable,
    entity: usize,
    /// Any use in this time is misuse.
    during: Range<Micros>,
    fact: Fact,
}

/// What a suspect did when it should not have.
struct Misuse {
    /// From the start of the first window to the end of the last.
    used: Range<Micros>,
    events: f64,
}

impl Rules<'_> {
    /// A candidate for each suspect that did something; rule by rule, in entity order.
    pub(crate) fn candidates<L: Lookup>(&self, rollup: &L) -> Result<Vec<Candidate>, L::Error> {
        let mut candidates = Vec::new();
        for suspect in self.suspects() {
            let dimension = suspect.table.view.dimension.clone();
            let view = View::new(dimension, suspect.table.view.window, [Metric::Events]);
            let cells = rollup.entity(&view, &suspect.table.entities[suspect.entity])?;
            candidates.extend(suspect.misuse(&cells).map(|misuse| self.candidate(&suspect, &misuse)));
        }
        Ok(candidates)
    }

    fn suspects(&self) -> Vec<Suspect<'_>> {
        let rules =
            [lifetime::suspects, issue::suspects, region::suspects, dormant::suspects, stale::suspects];
        let all = rules.into_iter().flat_map(|rule| rule(self));
        all.filter(Suspect::may_have_been_used).collect()
    }

    /// The finest table of events by exactly these fields, where its windows are no longer than a day.
    fn table(&self, parts: &[Field]) -> Option<&DayTable> {
        let tables = self.tables.iter().copied();
        tables
            .into_iter()
            .find(|table| table.view.dimension.parts() == parts && table.view.window <= Window::DAY)
    }

    fn candidate(&self, suspect: &Suspect<'_>, misuse: &Misuse) -> Candidate {
        let dimension = suspect.table.view.dimension.clone();
        let entity = suspect.table.entities[suspect.entity].clone();
        let mut timeline = vec![(0.0, 0.0); self.grid.days()];
        if let Some(daily) = self.slices.view(dimension.parts())
            && let Some(entity) = daily.find(&entity)
        {
            daily.active(entity).for_each(|(day, events)| timeline[day].0 = events);
        }
        // Records whose clocks were wrong lie beside the grid.
        let last = self.grid.days().saturating_sub(1);
        let days = self.grid.clip_times(&misuse.used);
        let start = days.start.min(last);
        let days = start..days.end.max(start + 1);
        Candidate {
            detector: suspect.detector,
            who: dimension.parts().iter().copied().zip(dimension.split(&entity)).collect(),
            dimension,
            entity,
            metric: Metric::Events,
            anchor: days.start,
            days,
            observed: misuse.events,
            expected: 0.0,
            excess_events: misuse.events,
            level_per_day: 0.0,
            dispersion: 0.0,
            raw_score: 0.0,
            score: 0.0,
            expected_false: None,
            cause: None,
            fact: Some(suspect.fact.clone()),
            seen: None,
            partner: None,
            edges: Some((misuse.used.start, misuse.used.end)),
            timeline,
        }
    }
}

impl Fact {
    fn misuse(why: String) -> Self {
        Self { why, grade: Grade::Misuse }
    }
}

impl Suspect<'_> {
    /// Whether any day of the entity touches the time of misuse: only then are its cells worth reading.
    fn may_have_been_used(&self) -> bool {
        let touches = |day: &i32| {
            let start = i64::from(*day) * Micros::DAY;
            start + Micros::DAY > self.during.start.0 && start < self.during.end.0
        };
        self.table.days[self.table.cells(self.entity)].iter().any(touches)
    }

    /// What the entity's cells say; all of them are of this entity.
    ///
    /// A window that lies only partly in the time of misuse is not counted: what happened in it may have been
    /// legitimate. So the rule is certain, and late by at most one window.
    fn misuse(&self, cells: &Table) -> Option<Misuse> {
        let length = cells.view.window.micros();
        let first = cells.windows.partition_point(|window| *window < self.during.start);
        let last =
            cells.windows.partition_point(|window| window.0.saturating_add(length) <= self.during.end.0);
        let used = first..last.max(first);
        let counts = &cells.count(Metric::Events)[used.clone()];
        let events = counts.iter().fold(0_i64, |sum, more| sum.saturating_add(*more));
        let windows = &cells.windows[used];
        let (first, last) = (*windows.first()?, *windows.last()?);
        (events > 0).then_some(Misuse { used: first..Micros(last.0 + length), events: events as f64 })
    }
}

/// The UTC date of an instant.
fn date(time: Micros) -> String {
    time.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(hours: &[i64]) -> Table {
        Table {
            view: "key@1h:events".parse().unwrap(),
            entities: vec!["k".to_owned()],
            offsets: vec![0, hours.len()],
            windows: hours.iter().map(|hour| Micros(hour * Micros::HOUR)).collect(),
            counts: [vec![1; hours.len()], vec![], vec![], vec![], vec![], vec![], vec![]],
            sketches: Default::default(),
        }
    }

    proptest! {
        #[test]
        fn every_whole_window_of_the_time_is_counted_and_no_other(
            hours in prop::collection::btree_set(0_i64..100, 0..30),
            bounds in prop::array::uniform2(-1_i64..101 * 60),
        ) {
            let hours: Vec<i64> = hours.into_iter().collect();
            let during = bounds.map(|minute| minute * Micros::HOUR / 60);
            let inside: Vec<i64> = hours
                .iter()
                .copied()
                .filter(|hour| hour * Micros::HOUR >= during[0] && (hour + 1) * Micros::HOUR <= during[1])
                .collect();
            let table = DayTable::of(&cells(&hours));
            let suspect = Suspect {
                detector: Detector::KeyAfterRevocation,
                table: &table,
                entity: 0,
                during: Micros(during[0])..Micros(during[1]),
                fact: Fact::misuse(String::new()),
            };
            let misuse = suspect.misuse(&cells(&hours));
            prop_assert_eq!(misuse.as_ref().map_or(0, |misuse| misuse.events as usize), inside.len());
            if let Some(misuse) = misuse {
                prop_assert!(suspect.may_have_been_used());
                prop_assert_eq!(misuse.used.start.0, inside[0] * Micros::HOUR);
                prop_assert_eq!(misuse.used.end.0, (inside[inside.len() - 1] + 1) * Micros::HOUR);
            }
        }
    }
}
