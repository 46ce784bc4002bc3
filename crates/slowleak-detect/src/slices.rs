//! Finer views of a candidate: which keys, users, sources and objects carry its excess.

use std::ops::Range;

use rayon::prelude::*;
use slowleak_record::Field;
use slowleak_rollup::Dimension;

use crate::daily::Daily;

/// The event counts by day of every view, with a look-up by parts.
pub(crate) struct Slices<'a> {
    views: Vec<View<'a>>,
}

struct View<'a> {
    daily: &'a Daily<'a>,
    parts: Vec<Field>,
    /// (First active day, entity), ascending; of views by a single field.
    births: Vec<(usize, usize)>,
}

/// A slice of a candidate: the entity of a finer view, and the value that the candidate does not have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slice {
    pub(crate) entity: usize,
    pub(crate) value: String,
}

impl<'a> Slices<'a> {
    pub(crate) fn new(dailies: &'a [Daily<'a>]) -> Self {
        let view = |daily: &'a Daily<'a>| {
            let parts = daily.table.view.dimension.parts().to_vec();
            let first = |entity: usize| Some((daily.active(entity).next()?.0, entity));
            let single = if parts.len() == 1 { daily.len() } else { 0 };
            let mut births: Vec<(usize, usize)> = (0..single).filter_map(first).collect();
            births.sort_unstable();
            View { daily, parts, births }
        };
        Self { views: dailies.iter().map(view).collect() }
    }

    /// The event counts of the view with exactly these parts.
    pub(crate) fn view(&self, parts: &[Field]) -> Option<&'a Daily<'a>> {
        self.views.iter().find(|view| view.parts == parts).map(|view| view.daily)
    }

    /// (First active day, entity) of every entity of the view by `field` alone that was born in `days`.
    pub(crate) fn born(&self, field: Field, days: &Range<usize>) -> &[(usize, usize)] {
        let Some(view) = self.views.iter().find(|view| view.parts == [field]) else { return &[] };
        let position = |day: usize| view.births.partition_point(|(birth, _)| *birth < day);
        &view.births[position(days.start)..position(days.end)]
    }

    /// The view that joins `by` to the candidate's parts, and the candidate's slices in it.
    pub(crate) fn of(&self, who: &[(Field, String)], by: Field) -> Option<(&'a Daily<'a>, Vec<Slice>)> {
        let wanted = who.len() + 1;
        let view = self.views.iter().find(|view| {
            view.parts.len() == wanted
                && view.parts.contains(&by)
                && who.iter().all(|(field, _)| view.parts.contains(field))
        })?;
        let place = |field: Field| view.parts.iter().position(|part| *part == field);
        let by = place(by)?;
        let matches = |values: &[String]| {
            who.iter().all(|(field, value)| place(*field).and_then(|at| values.get(at)) == Some(value))
        };
        let dimension = &view.daily.table.view.dimension;
        let slice = |(entity, name): (usize, &String)| {
            // Cheap and almost always enough; splitting is exact.
            let plausible = who.iter().all(|(_, value)| name.contains(value.as_str()));
            let values = plausible.then(|| dimension.split(name)).filter(|values| matches(values))?;
            Some(Slice { entity, value: values.get(by)?.clone() })
        };
        let slices = view.daily.table.entities.par_iter().enumerate().filter_map(slice).collect();
        Some((view.daily, slices))
    }

    /// Events in `days` of the entity with exactly these part values; `None` where no view has them.
    pub(crate) fn events(&self, who: &[(Field, String)], days: &Range<usize>) -> Option<f64> {
        let value =
            |field: &Field| who.iter().find(|(part, _)| part == field).map(|(_, value)| value.as_str());
        let view = self.views.iter().find(|view| {
            view.parts.len() == who.len() && view.parts.iter().all(|part| value(part).is_some())
        })?;
        let dimension = Dimension::new(view.parts.iter().copied()).ok()?;
        let values: Vec<&str> = view.parts.iter().filter_map(value).collect();
        let entity = view.daily.find(&dimension.join(values));
        Some(entity.map_or(0.0, |entity| view.daily.events_in(entity, days)))
    }
}
