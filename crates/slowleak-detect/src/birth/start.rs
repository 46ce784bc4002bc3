//! The first days of every entity of a view.

use std::collections::{BTreeMap, HashMap};

use slowleak_record::Field;
use xxhash_rust::xxh3::xxh3_64;

use crate::days::Log;
use crate::days::daily::Daily;

/// Events from which a share is known well enough: shares that differ by less than a hundredth are alike.
const TELLING: f64 = 100.0;
/// Who was born so many days before is older; those of the log's first weeks are older than all that came later.
const OLDER_DAYS: usize = 28;
/// Later than every entity.
const NOBODY: (usize, usize) = (usize::MAX, usize::MAX);

/// What an entity did in its first days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Start {
    pub(crate) entity: usize,
    /// Its first day of the log.
    pub(crate) born: usize,
    pub(crate) events: f64,
    /// Days with an event.
    pub(crate) active: f64,
    /// The object that it read most, and how often.
    pub(crate) top: String,
    pub(crate) on_top: f64,
    /// Events from sources that no older entity of the view uses.
    pub(crate) from_apart: f64,
}

impl Start {
    /// Logarithm of the events on a day of activity.
    pub(crate) fn volume(&self) -> f64 {
        (self.events / self.active).ln()
    }

    /// Log odds that an event was on the object read most.
    pub(crate) fn concentration(&self) -> f64 {
        self.log_odds(self.on_top)
    }

    /// Log odds that an event came from a source that no older entity uses.
    pub(crate) fn apartness(&self) -> f64 {
        self.log_odds(self.from_apart)
    }

    /// Log odds of a part of the events; a half on either side, so that a few events say little, and [`TELLING`] say all.
    fn log_odds(&self, part: f64) -> f64 {
        let told = self.events.min(TELLING);
        let part = told * (part / self.events).min(1.0);
        ((part + 0.5) / (told - part + 0.5)).ln()
    }
}

/// The first `age` days of every entity by `field` that did enough in them, in entity order; `None` where the views by it, or
/// by it with objects and with sources, are missing.
pub(crate) fn starts(log: &Log<'_>, field: Field, age: usize) -> Option<Vec<Start>> {
    let daily = log.slices.view(&[field])?;
    let (objects, sources) =
        (log.slices.view(&[field, Field::Object])?, log.slices.view(&[field, Field::Source])?);
    let mut starts: BTreeMap<usize, Start> = (0..daily.len())
        .filter_map(|entity| {
            let born = daily.active(entity).next()?.0;
            let (mut events, mut active) = (0.0, 0.0);
            for (_, count) in daily.active(entity).take_while(|(day, _)| *day < born + age) {
                events += count;
                active += 1.0;
            }
            let start =
                Start { entity, born, events, active, top: String::new(), on_top: 0.0, from_apart: 0.0 };
            (events >= log.config.min_events as f64).then_some((entity, start))
        })
        .collect();

    let early = |pair: usize, daily: &Daily<'_>, start: &Start| {
        daily.events_in(pair, &(start.born..start.born + age))
    };
    each_pair(daily, objects, |pair, entity, object| {
        let Some(start) = starts.get_mut(&entity) else { return };
        let events = early(pair, objects, start);
        if events > start.on_top {
            (start.on_top, start.top) = (events, object);
        }
    });

    // Of every source, by its hash, the two entities that used it first: one of them is another than whoever asks.
    let settled = |born: usize| if born < log.config.min_days { 0 } else { born };
    let mut users: HashMap<u64, [(usize, usize); 2]> = HashMap::new();
    each_pair(daily, sources, |_, entity, source| {
        let Some((born, _)) = daily.active(entity).next() else { return };
        let user = (settled(born), entity);
        let users = users.entry(xxh3_64(source.as_bytes())).or_insert([NOBODY; 2]);
        if user < users[0] {
            *users = [user, users[0]];
        } else if user < users[1] {
            users[1] = user;
        }
    });
    each_pair(daily, sources, |pair, entity, source| {
        let Some(start) = starts.get_mut(&entity) else { return };
        let others =
            users.get(&xxh3_64(source.as_bytes())).into_iter().flatten().find(|(_, user)| *user != entity);
        // Credentials made one after the other by the same hands do not vouch for each other.
        let older = |other: usize| other == 0 || other.saturating_add(OLDER_DAYS) <= start.born;
        if !others.is_some_and(|(born, _)| older(*born)) {
            start.from_apart += early(pair, sources, start);
        }
    });
    Some(starts.into_values().collect())
}

/// Calls `of` with each pair of a view by two fields: its position, the entity of `single` that it is a slice of, and the
/// value of the other field.
fn each_pair(single: &Daily<'_>, pairs: &Daily<'_>, mut of: impl FnMut(usize, usize, String)) {
    let dimension = &pairs.table.view.dimension;
    let Some(whole) =
        dimension.parts().iter().position(|part| single.table.view.dimension.parts() == [*part])
    else {
        return;
    };
    for (pair, name) in pairs.table.entities.iter().enumerate() {
        let mut values = dimension.split(name);
        if values.len() != 2 {
            continue;
        }
        let (value, other) = (values.swap_remove(whole), values.swap_remove(0));
        if let Some(entity) = single.find(&value) {
            of(pair, entity, other);
        }
    }
}
