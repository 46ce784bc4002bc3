//! Every source with the keys that it used and the objects that it touched, and what the sources of a key usually touch.
//!
//! In: the days of key+source, key+object, object and the cells of source+object. Out: sources in the order in which
//! the last of these names them; names of keys and objects as numbers.

use ahash::HashMap;
use slowleak_record::Field;
use slowleak_rollup::DayTable;

use crate::days::Log;
use crate::days::daily::Daily;

/// One source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Events by key, as far as it used any; the pseudo-key [`Sources::keyless`] holds the rest.
    pub(crate) keys: Vec<(usize, f64)>,
    /// Events by object.
    pub(crate) objects: Vec<(usize, f64)>,
    /// All its events that have an object.
    pub(crate) events: f64,
    /// First day and the day after the last.
    pub(crate) first: usize,
    pub(crate) end: usize,
}

impl Source {
    /// The key that it used most.
    pub(crate) fn home(&self) -> Option<usize> {
        let most = self.keys.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        most.map(|(key, _)| *key)
    }

    /// The object that it touched most, and how often.
    pub(crate) fn favourite(&self) -> Option<(usize, f64)> {
        self.objects.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }
}

/// Sources, and the mix of objects of each key.
pub(crate) struct Sources<'a> {
    pub(crate) all: Vec<Source>,
    /// Names by number; the last key is that of records without one.
    pub(crate) keys: Vec<String>,
    pub(crate) objects: Vec<String>,
    /// Per key the share of each object, all of them one.
    mixes: Vec<Vec<(usize, f64)>>,
    of_keys: &'a Daily<'a>,
}

impl<'a> Sources<'a> {
    /// `None` where a view is missing or is not whole.
    pub(crate) fn read(log: &Log<'a>, pairs: &DayTable) -> Option<Self> {
        let by_source = log.slices.view(&[Field::Key, Field::Source])?;
        let of_keys = log.slices.view(&[Field::Key, Field::Object])?;
        if [pairs, by_source.table, of_keys.table].iter().any(|table| table.partial) {
            return None;
        }
        let (mut sources, mut keys, mut objects) = (Names::default(), Names::default(), Names::default());
        let mut all: Vec<Source> = Vec::new();
        let length = (pairs.view.window.micros() / slowleak_record::Micros::DAY).max(1);
        for (entity, name) in pairs.entities.iter().enumerate() {
            let [source, object] = halves(pairs, name)?;
            let at = sources.number(&source);
            if at == all.len() {
                all.push(Source { name: source, first: usize::MAX, ..Source::default() });
            }
            let source = &mut all[at];
            let cells = pairs.cells(entity);
            let mut events = 0.0;
            for cell in cells {
                let first = i64::from(pairs.days[cell]);
                let days = log.grid.clip(first..first + length);
                if !days.is_empty() {
                    events += pairs.events[cell] as f64;
                    source.first = source.first.min(days.start);
                    source.end = source.end.max(days.end);
                }
            }
            source.objects.push((objects.number(&object), events));
            source.events += events;
        }
        let mut known = vec![false; all.len()];
        for (entity, name) in by_source.table.entities.iter().enumerate() {
            let [key, source] = halves(by_source.table, name)?;
            let Some(&at) = sources.0.get(&source) else { continue };
            let source = &mut all[at];
            if !std::mem::replace(&mut known[at], true) {
                (source.first, source.end) = (usize::MAX, 0);
            }
            let mut events = 0.0;
            for (day, of_day) in by_source.active(entity) {
                events += of_day;
                source.first = source.first.min(day);
                source.end = source.end.max(day + 1);
            }
            source.keys.push((keys.number(&key), events));
        }
        let mut counts: Vec<Vec<(usize, f64)>> = vec![Vec::new(); keys.0.len()];
        let mut keyless: Vec<f64> = Vec::new();
        if let Some(daily) = log.slices.view(&[Field::Object]) {
            for (entity, name) in daily.table.entities.iter().enumerate() {
                let object = objects.number(name);
                keyless.resize(keyless.len().max(object + 1), 0.0);
                keyless[object] = daily.total(entity);
            }
        }
        for (entity, name) in of_keys.table.entities.iter().enumerate() {
            let [key, object] = halves(of_keys.table, name)?;
            let (key, object) = (keys.number(&key), objects.number(&object));
            counts.resize(counts.len().max(key + 1), Vec::new());
            let events = of_keys.total(entity);
            counts[key].push((object, events));
            if let Some(rest) = keyless.get_mut(object) {
                *rest -= events;
            }
        }
        let none = keys.0.len();
        counts.resize(none, Vec::new());
        counts.push(keyless.into_iter().enumerate().filter(|(_, events)| *events > 0.0).collect());
        let mixes = counts.into_iter().map(shares).collect();
        for source in &mut all {
            let keyed: f64 = source.keys.iter().map(|(_, events)| events).sum();
            if source.events > keyed {
                source.keys.push((none, source.events - keyed));
            }
        }
        let mut keys = keys.in_order();
        keys.push(String::new());
        Some(Self { all, keys, objects: objects.in_order(), mixes, of_keys })
    }

    /// The key of records without a key.
    pub(crate) fn keyless(&self) -> usize {
        self.keys.len() - 1
    }

    /// Writes the mix that the source's keys lead to expect of it; `mix` is zero and is as long as there are objects.
    /// Gives back the objects written to.
    pub(crate) fn expect(&self, source: &Source, mix: &mut [f64]) -> Vec<usize> {
        let events: f64 = source.keys.iter().map(|(_, events)| events).sum();
        let mut touched = Vec::new();
        for (key, of_key) in &source.keys {
            for (object, share) in &self.mixes[*key] {
                if mix[*object] == 0.0 {
                    touched.push(*object);
                }
                mix[*object] += of_key / events * share;
            }
        }
        touched
    }

    /// Events of a key with an object in some days, and in as many days at its usual pace; nothing where it is not known
    /// by day.
    pub(crate) fn here_and_usually(
        &self,
        key: usize,
        object: usize,
        days: &std::ops::Range<usize>,
        all_days: usize,
    ) -> Option<(f64, f64)> {
        let dimension = &self.of_keys.table.view.dimension;
        let name = dimension.join([self.keys[key].as_str(), self.objects[object].as_str()]);
        let entity = self.of_keys.find(&name)?;
        let here = self.of_keys.events_in(entity, days);
        let outside = all_days.checked_sub(days.len()).filter(|outside| *outside > 0)?;
        Some((here, (self.of_keys.total(entity) - here) / outside as f64 * days.len() as f64))
    }

    /// Share of an object in what a key did in some days; 0 where it is not known by day.
    pub(crate) fn share_in(&self, key: usize, object: usize, days: &std::ops::Range<usize>) -> f64 {
        let join = |object: usize| {
            let dimension = &self.of_keys.table.view.dimension;
            self.of_keys.find(&dimension.join([self.keys[key].as_str(), self.objects[object].as_str()]))
        };
        let events = |object: usize| join(object).map_or(0.0, |entity| self.of_keys.events_in(entity, days));
        let all: f64 = self.mixes[key].iter().map(|(object, _)| events(*object)).sum();
        if all > 0.0 { events(object) / all } else { 0.0 }
    }
}

/// Numbers for names, in the order in which they come.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = self.0.len();
        self.0.insert(name.to_owned(), number);
        number
    }

    fn in_order(self) -> Vec<String> {
        let mut names: Vec<(usize, String)> =
            self.0.into_iter().map(|(name, number)| (number, name)).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

fn shares(counts: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    let all: f64 = counts.iter().map(|(_, events)| events).sum();
    counts.into_iter().map(|(object, events)| (object, events / all.max(1.0))).collect()
}

fn halves(table: &DayTable, entity: &str) -> Option<[String; 2]> {
    table.view.dimension.split(entity).try_into().ok()
}
