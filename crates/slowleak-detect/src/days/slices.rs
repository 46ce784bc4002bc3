//! Finer views of a candidate: which keys, users, sources and objects carry its excess.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use slowleak_record::Field;
use slowleak_rollup::Dimension;

use crate::days::daily::Daily;

/// The event counts by day of every view, with a look-up by parts.
pub(crate) struct Slices<'a> {
    views: Vec<View<'a>>,
}

struct View<'a> {
    daily: &'a Daily<'a>,
    parts: Vec<Field>,
    /// For each part, the entities with a value there, ascending; made when it is first asked for.
    by_part: Vec<OnceLock<HashMap<String, Vec<u32>>>>,
}

impl View<'_> {
    /// The entities with `value` in a part.
    fn with(&self, part: usize, value: &str) -> &[u32] {
        let index = || {
            let dimension = &self.daily.table.view.dimension;
            let mut index: HashMap<String, Vec<u32>> = HashMap::new();
            for (entity, name) in (0..).zip(&self.daily.table.entities) {
                if let Some(value) = dimension.split(name).into_iter().nth(part) {
                    index.entry(value).or_default().push(entity);
                }
            }
            index
        };
        let index = self.by_part.get(part).map(|by_value| by_value.get_or_init(index));
        index.and_then(|index| index.get(value)).map_or(&[], Vec::as_slice)
    }
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
            let by_part = parts.iter().map(|_| OnceLock::new()).collect();
            View { daily, parts, by_part }
        };
        Self { views: dailies.iter().map(view).collect() }
    }

    /// The event counts of the view with exactly these parts.
    pub(crate) fn view(&self, parts: &[Field]) -> Option<&'a Daily<'a>> {
        self.views.iter().find(|view| view.parts == parts).map(|view| view.daily)
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
        let table = view.daily.table;
        let slice = |entity: &u32| {
            let entity = *entity as usize;
            let values = table.view.dimension.split(table.entities.get(entity)?);
            matches(&values).then(|| Some(Slice { entity, value: values.get(by)?.clone() })).flatten()
        };
        let with = who.iter().filter_map(|(field, value)| Some(view.with(place(*field)?, value)));
        let fewest = with.min_by_key(|entities| entities.len()).unwrap_or_default();
        Some((view.daily, fewest.iter().filter_map(slice).collect()))
    }

    /// The entities with `value` in a part of the view with exactly these parts, ascending.
    pub(crate) fn with(&self, parts: &[Field], part: usize, value: &str) -> &[u32] {
        self.views.iter().find(|view| view.parts == parts).map_or(&[], |view| view.with(part, value))
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
