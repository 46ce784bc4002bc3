//! First uses: when each entity touched which object for the first time in the log.
//!
//! In: a view by the entity and the object, whatever its window. Out: for each entity its accesses and first uses by
//! window (a *step*), in the order of time.
//!
//! A first use counts unless it is somebody else's doing or the beginning of something: where others begin to use the
//! object in the same days, far more than at other times, it is new or has moved; and what the entity still uses weeks
//! later is its work from now on. Who looks around touches things once.

use std::collections::BTreeMap;
use std::ops::Range;

use ahash::HashMap;
use slowleak_record::{Field, Micros};

use crate::days::Log;
use crate::days::daily::Daily;

/// First uses before so many days of the log say that the log began, and not what was new then.
pub(crate) const KNOWN_DAYS: usize = 14;
/// Others who begin with an object within so many days of somebody may do so for the same reason.
const TOGETHER_DAYS: usize = 7;
/// Fewest of them for a common reason...
const MIN_TOGETHER: f64 = 3.0;
/// ...and how far they must exceed what is usual of the object, in standard deviations of a Poisson count.
const TOGETHER_DEVIATIONS: f64 = 3.0;
/// What is still used so many days after its first use was taken up, and not looked at.
const TAKEN_UP_DAYS: usize = 21;

/// What an entity did in one window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Step {
    /// Number of the window.
    pub(crate) at: usize,
    /// Accesses.
    pub(crate) events: f64,
    /// Objects used for the first time.
    pub(crate) firsts: f64,
    /// Those of them that count.
    pub(crate) counted: f64,
}

/// An object's first use by an entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct First {
    /// Where the view has the two.
    pub(crate) pair: usize,
    /// The window.
    pub(crate) at: usize,
    pub(crate) counts: bool,
    object: usize,
    /// The window of the last use.
    last: usize,
}

/// One entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Visitor {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    /// In the order of the view.
    pub(crate) firsts: Vec<First>,
}

/// The first uses of a view.
pub(crate) struct Firsts<'a> {
    pub(crate) visitors: Vec<Visitor>,
    pub(crate) pairs: &'a Daily<'a>,
    steps: Vec<Range<usize>>,
}

impl<'a> Firsts<'a> {
    /// Reads the view by `field` and object; `None` where there is none, or rare pairs were left out of it: they are
    /// what is looked for.
    pub(crate) fn read(log: &Log<'a>, field: Field) -> Option<Self> {
        let pairs = log.slices.view(&[field, Field::Object])?;
        let table = pairs.table;
        if table.partial {
            return None;
        }
        // Windows are aligned to 1970-01-01, and a day is the shortest here.
        let length = (table.view.window.micros() / Micros::DAY).max(1);
        let first_day = log.grid.start(0).0.div_euclid(Micros::DAY);
        let origin = first_day.div_euclid(length) * length;
        let number = |day: i32| usize::try_from((i64::from(day) - origin).div_euclid(length)).ok();
        let days_of = |at: usize| {
            let start = origin + at as i64 * length;
            log.grid.clip(start..start + length)
        };
        let steps: Vec<Range<usize>> = (0..).map(days_of).take_while(|days| !days.is_empty()).collect();
        let (mut numbers, mut objects) =
            (HashMap::<String, usize>::default(), HashMap::<String, usize>::default());
        let mut visitors: Vec<Visitor> = Vec::new();
        for (pair, name) in table.entities.iter().enumerate() {
            let Ok([visitor, object]) = <[String; 2]>::try_from(table.view.dimension.split(name)) else {
                continue;
            };
            let mut used: Option<(usize, usize)> = None;
            let mut cells: Vec<(usize, f64)> = Vec::new();
            for cell in table.cells(pair) {
                let Some(at) = number(table.days[cell]).filter(|at| *at < steps.len()) else { continue };
                used = Some((used.map_or(at, |(first, _)| first), at));
                cells.push((at, table.events[cell] as f64));
            }
            let Some((at, last)) = used else { continue };
            let next = objects.len();
            let object = *objects.entry(object).or_insert(next);
            let next = visitors.len();
            let number = *numbers.entry(visitor.clone()).or_insert(next);
            if number == next {
                visitors.push(Visitor { name: visitor, ..Visitor::default() });
            }
            let visitor = &mut visitors[number];
            visitor.firsts.push(First { pair, at, counts: true, object, last });
            visitor.steps.extend(cells.into_iter().map(|(at, events)| Step {
                at,
                events,
                ..Step::default()
            }));
        }
        let mut read = Self { visitors, pairs, steps };
        read.weigh(objects.len(), length as usize);
        Some(read)
    }

    /// Says which first uses count, and adds them up by step.
    fn weigh(&mut self, objects: usize, length: usize) {
        let known = self.known();
        let mut of_object: Vec<Vec<usize>> = vec![Vec::new(); objects];
        for first in self.visitors.iter().flat_map(|visitor| &visitor.firsts) {
            of_object[first.object].push(first.at);
        }
        of_object.iter_mut().for_each(|firsts| firsts.sort_unstable());
        let reach = TOGETHER_DAYS.div_ceil(length);
        let later = self.steps.len().saturating_sub(known).max(1) as f64;
        let together = |first: &First| {
            let all = &of_object[first.object];
            let between = |from: usize, to: usize| {
                all.partition_point(|at| *at < to).saturating_sub(all.partition_point(|at| *at < from)) as f64
            };
            let (from, to) = (first.at.saturating_sub(reach), first.at + reach + 1);
            let others = between(from, to) - 1.0;
            let elsewhere = between(known, usize::MAX) - between(from.max(known), to);
            let usual = elsewhere / later * (to - from) as f64;
            others >= MIN_TOGETHER && others > usual + TOGETHER_DEVIATIONS * (usual + 1.0).sqrt()
        };
        let taken_up = TAKEN_UP_DAYS.div_ceil(length);
        for visitor in &mut self.visitors {
            let mut steps = BTreeMap::<usize, Step>::new();
            for step in &visitor.steps {
                steps.entry(step.at).or_insert(Step { at: step.at, ..Step::default() }).events += step.events;
            }
            for first in &mut visitor.firsts {
                first.counts = first.last < first.at + taken_up && !together(first);
                let Some(step) = steps.get_mut(&first.at) else { continue };
                step.firsts += 1.0;
                step.counted += f64::from(u8::from(first.counts));
            }
            visitor.steps = steps.into_values().collect();
        }
    }

    /// The first step at which the log has shown what is known.
    pub(crate) fn known(&self) -> usize {
        self.steps.partition_point(|days| days.start < KNOWN_DAYS)
    }

    /// How many steps the log has.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Days of the grid in a step.
    pub(crate) fn days(&self, step: usize) -> Range<usize> {
        self.steps.get(step).cloned().unwrap_or_default()
    }

    /// Days of most steps.
    pub(crate) fn length(&self) -> usize {
        self.steps.iter().map(ExactSizeIterator::len).max().unwrap_or(1)
    }
}
