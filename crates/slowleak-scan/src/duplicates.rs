//! Which records repeat an earlier one. In: a plan, and the plan of what was counted before. Out: for each unit, which of
//! its records are left out.
//!
//! Two records are the same event if they agree in time and in the fields of
//! [`Mapping::identity`](slowleak_record::Mapping::identity). Where event ids are among these, ids are compared first, and all
//! fields only of units that have an id twice: a log without repeats costs a pass over its ids and times.
//!
//! Since time is among what must agree, records can be compared a stretch of time at a time (`stretch`), of those
//! units alone whose times reach into it, by their footers; and where one stretch still exceeds the memory, in several passes,
//! each over a share of the identities. So the answer is exact whatever the memory, up to the chance that two identities of
//! 128 bits collide: 1 in 10^19 for 10^10 records.
//!
//! Of the copies, the first is kept: those counted before come first, then by path and position. Only records that count
//! are compared, so that none is left out in favour of one that is rejected.

mod stretch;

use rayon::prelude::*;
use slowleak_record::{Field, FieldSet, InputError, InputResult, Micros};

use crate::chunk::{NamesByField, Request};
use crate::plan::{Plan, Unit};
use crate::unit::UnitReader;
use stretch::{Stretch, stretches};

/// Bytes that comparing a record takes: as it is read by a thread, among all, and what the allocator keeps.
const OF_RECORD: usize = 3 * size_of::<Copy>();

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// By unit, a bit for each of its records that count, up to the last one that is left out; nothing where there is none.
    of_unit: Vec<Vec<u64>>,
}

/// A record: what event it is, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Copy {
    identity: [u64; 2],
    /// Position of its unit among those compared, and its own position there.
    place: u64,
}

/// Bits of a place that tell the record; the others tell the unit.
const RECORD_BITS: u32 = 40;

/// A unit whose records are compared.
#[derive(Debug, Clone, Copy)]
struct Member<'p> {
    plan: &'p Plan,
    unit: &'p Unit,
    /// Position in the plan; `None` for what was counted before.
    own: Option<usize>,
    /// First and last time, as far as its footer tells.
    span: (Micros, Micros),
}

impl Duplicates {
    /// Finds the records of `plan` that repeat another one of it, or one of `earlier`. Takes about `room` bytes, and a bit for
    /// each record of a unit that has repeats. Runs on the current rayon pool; the answer depends neither on the number of
    /// threads nor on the room.
    ///
    /// # Errors
    /// The files that can not be read, one error each.
    pub fn find(plan: &Plan, earlier: Option<&Plan>, room: usize) -> Result<Self, Vec<InputError>> {
        let rule = plan.mapping.identity();
        let ids = FieldSet::EMPTY.with(Field::EventId);
        let most = (room / OF_RECORD).max(1) as u64;
        let mut members = members(plan, earlier);
        if rule.contains(Field::EventId) && rule != ids {
            let Found { shared, .. } = compare(&members, ids, most, plan.units().len())?;
            members = members
                .into_iter()
                .zip(shared)
                .filter_map(|(member, shared)| shared.then_some(member))
                .collect();
        }
        compare(&members, rule, most, plan.units().len()).map(|found| found.duplicates)
    }

    /// The records of the plan's unit at this position that repeat another one: a bit for each of its records that count, in
    /// words of 64, the lowest bit first; records behind the last word repeat nothing.
    pub fn of(&self, unit: usize) -> &[u64] {
        self.of_unit.get(unit).map_or(&[], Vec::as_slice)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.of_unit.iter().map(|words| size_of_val(words) + size_of_val(words.as_slice())).sum()
    }

    fn insert(&mut self, unit: usize, record: u64, units: usize) {
        self.of_unit.resize(units, Vec::new());
        let word = (record / 64) as usize;
        let words = &mut self.of_unit[unit];
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << (record % 64);
    }
}

/// What a comparison gives.
struct Found {
    duplicates: Duplicates,
    /// By member, whether one of its records is the same event as another record.
    shared: Vec<bool>,
}

/// Compares all records of the members by some fields, at most so many records at once.
fn compare(members: &[Member<'_>], by: FieldSet, most: u64, units: usize) -> Result<Found, Vec<InputError>> {
    let mut found = Found { duplicates: Duplicates::default(), shared: vec![false; members.len()] };
    let mut broken: Vec<InputError> = Vec::new();
    for stretch in stretches(members, most) {
        let passes = stretch.rows(members).div_ceil(most);
        for pass in 0..passes {
            let read = stretch.members.par_iter();
            let read: Vec<InputResult<Vec<Copy>>> =
                read.map(|at| copies(&members[*at], *at, by, &stretch, passes, pass)).collect();
            let mut copies = Vec::with_capacity(read.iter().flatten().map(Vec::len).sum());
            for some in read {
                match some {
                    Ok(some) => copies.extend(some),
                    Err(error) if broken.iter().any(|known| known.path() == error.path()) => {}
                    Err(error) => broken.push(error),
                }
            }
            copies.par_sort_unstable();
            for pair in copies.windows(2).filter(|pair| pair[0].identity == pair[1].identity) {
                let at = |copy: &Copy| (copy.place >> RECORD_BITS) as usize;
                found.shared[at(&pair[0])] = true;
                found.shared[at(&pair[1])] = true;
                if let Some(unit) = members[at(&pair[1])].own {
                    found.duplicates.insert(unit, pair[1].place & ((1 << RECORD_BITS) - 1), units);
                }
            }
        }
    }
    if broken.is_empty() { Ok(found) } else { Err(broken) }
}

/// All units with identities, in the order in which their records are kept.
fn members<'p>(plan: &'p Plan, earlier: Option<&'p Plan>) -> Vec<Member<'p>> {
    let of = |plan: &'p Plan, is_own: bool| {
        let units = plan.units().iter().enumerate().filter(|(_, unit)| plan.identifies(unit));
        units.map(move |(at, unit)| {
            let span = plan.span(unit).unwrap_or((Micros(i64::MIN), Micros(i64::MAX)));
            Member { plan, unit, own: is_own.then_some(at), span }
        })
    };
    earlier.into_iter().flat_map(|plan| of(plan, false)).chain(of(plan, true)).collect()
}

/// The records of a unit in a stretch of time whose identity falls into this pass.
fn copies(
    member: &Member<'_>,
    at: usize,
    by: FieldSet,
    stretch: &Stretch,
    passes: u64,
    pass: u64,
) -> InputResult<Vec<Copy>> {
    let request = Request { identity: by, ..Request::default() };
    let mut reader = UnitReader::open(member.plan, member.unit, request)?;
    let mut names = NamesByField::default();
    // A footer may tell too many rows; what is too little grows.
    let mut copies = Vec::with_capacity((member.unit.rows() / passes).min(1 << 20) as usize);
    let mut before = (at as u64) << RECORD_BITS;
    // A record that its footer denies is compared with nothing, or it would depend on the room what it is compared with.
    let (first, last) = (stretch.first.max(member.span.0), stretch.last.min(member.span.1));
    while let Some(chunk) = reader.next_chunk(&mut names)? {
        let identities = chunk.identities().unwrap_or_default();
        let some =
            identities.iter().zip(chunk.time()).zip(before..).filter_map(|((identity, time), place)| {
                let identity = [(*identity >> 64) as u64, *identity as u64];
                let is_wanted = identity != [0, 0]
                    && (first..=last).contains(&Micros(*time))
                    && identity[1] % passes == pass;
                is_wanted.then_some(Copy { identity, place })
            });
        copies.extend(some);
        before += chunk.len() as u64;
    }
    Ok(copies)
}
