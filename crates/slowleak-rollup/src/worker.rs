//! One thread's share of a pass. In: units, chunk by chunk. Out: blocks of cells for each view, and what
//! became of the rows. Names keep their ids from unit to unit, until there is no room for more; those of other workers
//! differ.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use slowleak_record::{Field, FieldSet, Micros, Window};
use slowleak_scan::{
    Chunk, Names, NamesByField, Plan, Request, Spent, Unit, UnitReader, UnitTally, give_back,
};

use crate::block::NONE;
use crate::compound::{ABSENT, PairIds, pair};
use crate::counter::{Columns, Counter};
use crate::counts::spill;
use crate::derive::{Rest, finer};
use crate::open::EntityIds;
use crate::spill::Run;
use crate::{Dimension, Metric, Profile, RollupError, Step, View};

/// What the views need of each record.
pub(crate) fn request(views: &[View]) -> Request {
    let counts = |metric: Metric| views.iter().any(|view| view.metrics().contains(&metric));
    let parts = views.iter().flat_map(|view| view.dimension.parts().iter().copied());
    let sources = counts(Metric::Sources).then_some(Field::Source);
    Request {
        ids: parts.chain(sources).collect(),
        rows: counts(Metric::Rows),
        bytes: counts(Metric::Bytes),
        status: [Metric::Denied, Metric::Missing, Metric::Error].into_iter().any(counts),
        subjects: counts(Metric::Subjects),
        identity: FieldSet::EMPTY,
        blocks: counts(Metric::Blocks),
    }
}

/// How much a worker may hold, and where it sets aside what is more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    pub(crate) most: usize,
    pub(crate) folder: &'a Path,
}

/// One thread's share of the count.
pub(crate) struct Worker<'a> {
    views: &'a [View],
    room: Option<Room<'a>>,
    part: Part,
    /// Bytes that the part began with, of names that its unit still needed.
    kept: usize,
    runs: Vec<Run>,
    accounts: BTreeMap<usize, UnitAccount>,
    state: State,
}

/// What a worker holds: cells under ids of its own, and what the ids stand for.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) names: NamesByField,
    pub(crate) dimensions: Vec<DimensionIds>,
    /// For each view: position of its dimension, and its counter.
    pub(crate) counters: Vec<(usize, Counter)>,
}

/// What does not grow with names and cells.
struct State {
    windows: Vec<(Window, Vec<Stretch>)>,
    /// For each view, the position of its window.
    of_view: Vec<usize>,
    /// For each view, the position of the dimension of the view that it follows from, if any.
    finer: Vec<Option<usize>>,
    /// Of the unit that is being read.
    account: UnitAccount,
    /// The hour of the last records, and how many have not been added to it yet.
    last_hour: Option<(i64, u64)>,
    profile: Profile,
    /// Ids of a field that the file lacks.
    absent: Vec<u32>,
    /// By dimension, the keys of the batch's compounds.
    keys: Vec<Vec<u64>>,
    /// By dimension that a coarser view follows from, the batch's records that have no such compound.
    lacking: Vec<Vec<u32>>,
    /// Scratch.
    ids: Vec<u32>,
    rest: Rest,
}

/// What a worker has counted.
pub(crate) struct Counted {
    pub(crate) part: Part,
    /// What did not fit into memory.
    pub(crate) runs: Vec<Run>,
    /// By position of the file in the plan.
    pub(crate) accounts: BTreeMap<usize, UnitAccount>,
    pub(crate) profile: Profile,
}

/// What became of the records of some units of one file.
#[derive(Debug, Default)]
pub(crate) struct UnitAccount {
    pub(crate) tally: UnitTally,
    /// Records by the start of their hour.
    pub(crate) hours: BTreeMap<i64, u64>,
    /// The same of those that repeat others.
    pub(crate) repeated: BTreeMap<i64, u64>,
    pub(crate) span: Option<(i64, i64)>,
}

impl UnitAccount {
    pub(crate) fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        for (hour, records) in &other.hours {
            *self.hours.entry(*hour).or_default() += records;
        }
        for (hour, records) in &other.repeated {
            *self.repeated.entry(*hour).or_default() += records;
        }
        self.span = match (self.span, other.span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
}

/// Consecutive records of one window.
struct Stretch {
    window: i64,
    rows: std::ops::Range<usize>,
}

/// A dimension, and this worker's ids of its compounds.
#[derive(Debug)]
pub(crate) struct DimensionIds {
    pub(crate) dimension: Dimension,
    /// Of the first two parts, then of that pair and the third; none for a dimension of one field.
    pub(crate) pairs: Vec<PairIds>,
}

impl Part {
    fn new(views: &[View]) -> Self {
        let mut dimensions: Vec<DimensionIds> = Vec::new();
        let mut counters = Vec::new();
        for view in views {
            let known = dimensions.iter().position(|known| known.dimension == view.dimension);
            let dimension = known.unwrap_or_else(|| {
                dimensions.push(DimensionIds {
                    dimension: view.dimension.clone(),
                    pairs: view.dimension.parts().iter().skip(1).map(|_| PairIds::default()).collect(),
                });
                dimensions.len() - 1
            });
            counters.push((dimension, Counter::new(view)));
        }
        Self { names: NamesByField::default(), dimensions, counters }
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(Names::bytes).sum();
        let pairs: usize =
            self.dimensions.iter().flat_map(|dimension| &dimension.pairs).map(PairIds::bytes).sum();
        let cells: usize = self.counters.iter().map(|(_, counter)| counter.bytes()).sum();
        names + pairs + cells
    }
}

impl<'a> Worker<'a> {
    pub(crate) fn new(views: &'a [View], room: Option<Room<'a>>) -> Self {
        let mut windows = vec![(Window::HOUR, Vec::new())];
        let mut of_view = Vec::new();
        for view in views {
            let known = windows.iter().position(|(window, _)| *window == view.window);
            of_view.push(known.unwrap_or_else(|| {
                windows.push((view.window, Vec::new()));
                windows.len() - 1
            }));
        }
        let part = Part::new(views);
        let dimension = |view: usize| part.counters[view].0;
        let finer = finer(views).into_iter().map(|finer| finer.map(dimension)).collect();
        let state = State {
            windows,
            of_view,
            finer,
            account: UnitAccount::default(),
            last_hour: None,
            profile: Profile::default(),
            absent: Vec::new(),
            keys: Vec::new(),
            lacking: Vec::new(),
            ids: Vec::new(),
            rest: Rest::default(),
        };
        Self { views, room, part, kept: 0, runs: Vec::new(), accounts: BTreeMap::new(), state }
    }

    /// Begins anew where there is no room for more, and writes everything counted so far as a run. Inside a unit, its
    /// reader knows ids: what these stand for is kept, so that the room may be full from the start; twice as much is
    /// allowed then.
    fn make_room(&mut self, inside: Option<&mut UnitReader<'_>>) -> Result<(), RollupError> {
        let kept = if inside.is_some() { self.kept } else { 0 };
        let Some(room) = self.room.filter(|room| self.part.bytes() > room.most.max(2 * kept)) else {
            return Ok(());
        };
        let since = Instant::now();
        let full = std::mem::replace(&mut self.part, Part::new(self.views));
        self.kept = 0;
        if let Some(reader) = inside {
            reader.rename(&full.names, &mut self.part.names)?;
            self.kept = self.part.bytes();
        }
        let run = spill(self.views, full, room.folder, self.runs.last())?;
        self.runs.push(run);
        give_back();
        self.state.profile.record(Step::Spill, since.elapsed());
        Ok(())
    }

    /// Counts a unit but for its `duplicates`. One that can not be read is an error about input, and leaves some of its records counted.
    ///
    /// # Errors
    /// The unit can not be read, or the disk is full.
    pub(crate) fn read(
        &mut self,
        plan: &Plan,
        unit: &Unit,
        duplicates: &[u64],
        request: Request,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RollupError> {
        let mut reader = UnitReader::open(plan, unit, request)?.without(duplicates);
        self.part.counters.iter_mut().for_each(|(_, counter)| counter.start_unit());
        let mut reported = 0;
        while let Some(chunk) = reader.next_chunk(&mut self.part.names)? {
            self.state.count(&chunk, &mut self.part);
            let Spent { times, names, subjects, select } = reader.spent();
            for (step, time) in [
                (Step::ReadTimes, times),
                (Step::ReadNames, names),
                (Step::ReadSubjects, subjects),
                (Step::Select, select),
            ] {
                self.state.profile.record(step, time);
            }
            let rows = reader.tally().rows();
            self.state.profile.records += rows - reported;
            progress(rows - reported);
            reported = rows;
            if !reader.ended() {
                self.make_room(Some(&mut reader))?;
            }
        }
        let account = self.state.unit_ends(reader.tally());
        self.accounts.entry(unit.file()).or_default().add(&account);
        self.kept = 0;
        self.make_room(None)
    }

    pub(crate) fn finish(self) -> Counted {
        let Self { part, runs, accounts, state: State { profile, .. }, .. } = self;
        Counted { part, runs, accounts, profile }
    }
}

impl State {
    /// What became of the unit's records; the next unit begins.
    fn unit_ends(&mut self, tally: UnitTally) -> UnitAccount {
        let mut account = std::mem::take(&mut self.account);
        if let Some((hour, more)) = self.last_hour.take() {
            *account.hours.entry(hour).or_default() += more;
        }
        UnitAccount { tally, ..account }
    }

    fn count(&mut self, chunk: &Chunk<'_>, part: &mut Part) {
        for time in chunk.repeated() {
            *self.account.repeated.entry(Window::HOUR.floor(Micros(*time)).0).or_default() += 1;
        }
        let Part { names, dimensions, counters } = part;
        let time = chunk.time();
        let Some((first, last)) = span(time) else { return };
        let of_all = self.account.span.unwrap_or((first, last));
        self.account.span = Some((of_all.0.min(first), of_all.1.max(last)));
        for (window, runs) in &mut self.windows {
            split_runs(time, (first, last), *window, runs);
        }
        // Window::HOUR comes first.
        for run in &self.windows[0].1 {
            let records = run.rows.len() as u64;
            match &mut self.last_hour {
                Some((hour, more)) if *hour == run.window => *more += records,
                last => {
                    if let Some((hour, more)) = last.replace((run.window, records)) {
                        *self.account.hours.entry(hour).or_default() += more;
                    }
                }
            }
        }
        self.absent.resize(time.len(), NONE);
        let fields = Fields { chunk, names, absent: &self.absent };
        let mut since = Instant::now();
        self.keys.resize_with(dimensions.len(), Vec::new);
        self.lacking.resize_with(dimensions.len(), Vec::new);
        for (at, dimension) in dimensions.iter_mut().enumerate() {
            let (keys, lacking) = (&mut self.keys[at], &mut self.lacking[at]);
            let parts = dimension.dimension.parts();
            let parts: Vec<&[u32]> = parts.iter().map(|field| fields.ids(*field)).collect();
            dimension.pair_up(&parts, keys, &mut self.ids);
            lacking.clear();
            if self.finer.contains(&Some(at)) {
                let absent = keys.iter().zip(0..).filter(|(key, _)| **key == ABSENT);
                lacking.extend(absent.map(|(_, row)| row));
            }
        }
        if dimensions.iter().any(|dimension| !dimension.pairs.is_empty()) {
            self.profile.record(Step::Compounds, since.elapsed());
        }
        let columns = Columns {
            rows: chunk.rows().unwrap_or_default(),
            bytes: chunk.bytes().unwrap_or_default(),
            status: chunk.status().unwrap_or_default(),
            subjects: chunk.subjects().unwrap_or_default(),
            sources: fields.ids(Field::Source),
        };
        let views = counters.iter_mut().zip(&self.of_view).zip(&self.finer);
        for (((dimension, counter), window), finer) in views {
            since = Instant::now();
            let DimensionIds { dimension: parts, pairs } = &mut dimensions[*dimension];
            let entities = match parts.parts() {
                [field] => fields.entities(*field),
                _ => EntityIds::Compound(&self.keys[*dimension]),
            };
            let runs = &self.windows[*window].1;
            match finer {
                None => {
                    for run in runs {
                        counter.count(run.window, run.rows.clone(), entities, &columns, pairs);
                    }
                }
                Some(finer) => {
                    let lacking = &self.lacking[*finer];
                    if finer == dimension || lacking.is_empty() {
                        continue;
                    }
                    let before = |end: usize| lacking.partition_point(|row| (*row as usize) < end);
                    for run in runs {
                        let places = &lacking[before(run.rows.start)..before(run.rows.end)];
                        if !places.is_empty() {
                            let (entities, columns) = self.rest.pick(places, entities, &columns);
                            counter.count(run.window, 0..places.len(), entities, &columns, pairs);
                        }
                    }
                }
            }
            self.profile.record(Step::Count, since.elapsed());
        }
    }
}

/// The ids of a batch.
struct Fields<'a> {
    chunk: &'a Chunk<'a>,
    names: &'a NamesByField,
    absent: &'a [u32],
}

impl<'a> Fields<'a> {
    fn ids(&self, field: Field) -> &'a [u32] {
        self.chunk.ids(field).unwrap_or(self.absent)
    }

    fn entities(&self, field: Field) -> EntityIds<'a> {
        EntityIds::Field { ids: self.ids(field), known: self.names[field.index()].len() }
    }
}

/// The first and the last of some times. (By value: the minimum of references waits for memory at each step.)
fn span(time: &[i64]) -> Option<(i64, i64)> {
    let first = *time.first()?;
    Some(time.iter().fold((first, first), |(first, last), time| (first.min(*time), last.max(*time))))
}

/// Cuts a batch where the window changes, given its first and last time. Most batches of a log in order of time lie in
/// one window or two.
fn split_runs(time: &[i64], (first, last): (i64, i64), window: Window, runs: &mut Vec<Stretch>) {
    runs.clear();
    let floor = window.floor(Micros(first)).0;
    if (last.wrapping_sub(floor) as u64) < window.micros() as u64 {
        runs.push(Stretch { window: floor, rows: 0..time.len() });
        return;
    }
    let mut start = 0;
    while let Some(first) = time.get(start) {
        let floor = window.floor(Micros(*first)).0;
        let end = start + stay(&time[start..], floor, floor + window.micros() - 1);
        runs.push(Stretch { window: floor, rows: start..end });
        start = end;
    }
}

/// How many of the first times lie between two instants, both included.
fn stay(time: &[i64], first: i64, last: i64) -> usize {
    /// Times that are compared at once.
    const AT_ONCE: usize = 32;
    // Negative outside: of two differences one is, even where both wrap around.
    let sign = |time: &i64| time.wrapping_sub(first) | last.wrapping_sub(*time);
    let (parts, _) = time.as_chunks::<AT_ONCE>();
    let inside = |part: &&[i64; AT_ONCE]| part.iter().fold(0, |signs, time| signs | sign(time)) >= 0;
    let start = AT_ONCE * parts.iter().take_while(inside).count();
    start + time[start..].iter().take_while(|time| sign(time) >= 0).count()
}

impl DimensionIds {
    /// Pairs the ids of a compound's parts up: `keys` are those of the last pair, which needs no id yet. `ids` is scratch.
    pub(crate) fn pair_up(&mut self, parts: &[&[u32]], keys: &mut Vec<u64>, ids: &mut Vec<u32>) {
        let Some((first, rest)) = parts.split_first() else { return };
        for (level, right) in rest.iter().enumerate() {
            let left = match level {
                0 => first,
                _ => {
                    self.pairs[level - 1].resolve(keys, ids);
                    ids.as_slice()
                }
            };
            keys.clear();
            keys.extend(left.iter().zip(*right).map(|(left, right)| pair(*left, *right)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Runs follow each other, each is of one window, and the next is of another.
        #[test]
        fn runs_are_as_long_as_they_can_be(
            hours in proptest::collection::vec((-3..3_i64, 1..90_usize), 1..6),
            offsets in proptest::collection::vec(0..Micros::HOUR, 540),
        ) {
            let of_hours = hours.iter().flat_map(|(hour, records)| std::iter::repeat_n(*hour, *records));
            let time: Vec<i64> = of_hours.zip(offsets).map(|(hour, offset)| hour * Micros::HOUR + offset).collect();
            let span = span(&time).unwrap();
            let mut runs = Vec::new();
            for window in [Window::HOUR, "1d".parse().unwrap()] {
                split_runs(&time, span, window, &mut runs);
                let windows: Vec<i64> = time.iter().map(|time| window.floor(Micros(*time)).0).collect();
                let mut want = Vec::new();
                let mut start = 0;
                for run in windows.chunk_by(|a, b| a == b) {
                    want.push((run[0], start..start + run.len()));
                    start += run.len();
                }
                let got: Vec<_> = runs.iter().map(|run| (run.window, run.rows.clone())).collect();
                prop_assert_eq!(got, want);
            }
        }
    }
}
