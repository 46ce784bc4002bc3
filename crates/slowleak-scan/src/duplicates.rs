//! Which records repeat an earlier one. In: a plan, and the plan of what was counted before. Out: for each unit, which of
//! its records are left out.
//!
//! Two records are the same event if they agree in time and in the fields that [`Mapping::identity`](slowleak_record::Mapping::identity)
//! names, event ids by default. Since time is among them, a record can only repeat one of a row group with the same
//! times: where footers tell times, row groups that overlap are compared and no others, and a log in
//! the order of time needs little memory however long it is. What still exceeds the memory is compared in several
//! passes, each over a share of the identities. So the answer is exact whatever the memory, up to the chance that two
//! identities of 128 bits collide: 1 in 10^19 for 10^10 records.
//!
//! Of the copies, the first is kept: those counted before come first, then by path and position. Only records that count
//! are compared, so that none is left out in favour of one that is rejected.

use rayon::prelude::*;
use slowleak_record::{InputError, InputResult, Micros};

use crate::chunk::{NamesByField, Request};
use crate::plan::{Plan, Unit};
use crate::unit::UnitReader;

/// Bytes that comparing a record takes: as it is read by a thread, and among all.
const OF_RECORD: usize = 2 * size_of::<Copy>();

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// By unit, positions among the unit's records that count, ascending; empty where there are no duplicates at all.
    of_unit: Vec<Vec<u64>>,
}

/// A record: whose copies are the same event, and where this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Copy {
    identity: [u64; 2],
    /// Position of its unit among those compared, and its own position there.
    place: u64,
}

/// Bits of a place that tell the record; the others tell the unit.
const RECORD_BITS: u32 = 40;

/// A unit whose records are compared.
#[derive(Clone, Copy)]
struct Member<'p> {
    plan: &'p Plan,
    unit: &'p Unit,
    /// Position in the plan; `None` for what was counted before.
    own: Option<usize>,
    span: (Micros, Micros),
}

impl Duplicates {
    /// Finds the records of `plan` that repeat another one of it, or one of `earlier`. Takes about `room` bytes. Runs on
    /// the current rayon pool; the answer depends neither on the number of threads nor on the room.
    ///
    /// # Errors
    /// The files that can not be read, one error each.
    pub fn find(plan: &Plan, earlier: Option<&Plan>, room: usize) -> Result<Self, Vec<InputError>> {
        let most = (room / OF_RECORD).max(1) as u64;
        let mut found = Self::default();
        let mut batch: Vec<Member<'_>> = Vec::new();
        let mut records = 0;
        for cluster in clusters(members(plan, earlier)) {
            let more = rows(&cluster);
            if records + more > most {
                found.compare(&batch, most, plan)?;
                batch.clear();
                records = 0;
            }
            records += more;
            batch.extend(cluster);
        }
        found.compare(&batch, most, plan)?;
        Ok(found)
    }

    /// The records of the plan's unit at this position that repeat another one: positions among its records that count,
    /// ascending.
    pub fn of(&self, unit: usize) -> &[u64] {
        self.of_unit.get(unit).map_or(&[], Vec::as_slice)
    }

    /// Compares all records of the members, at most so many at once.
    fn compare(&mut self, members: &[Member<'_>], most: u64, plan: &Plan) -> Result<(), Vec<InputError>> {
        let passes = rows(members).div_ceil(most);
        for pass in 0..passes {
            let read = |(at, member): (usize, &Member<'_>)| copies(member, at, passes, pass);
            let read: Vec<InputResult<Vec<Copy>>> = members.par_iter().enumerate().map(read).collect();
            let (read, broken): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
            if !broken.is_empty() {
                return Err(broken.into_iter().filter_map(Result::err).collect());
            }
            let mut copies = Vec::with_capacity(read.iter().flatten().map(Vec::len).sum());
            read.into_iter().flatten().for_each(|some| copies.extend(some));
            copies.par_sort_unstable();
            let repeats = copies.windows(2).filter(|pair| pair[0].identity == pair[1].identity);
            for place in repeats.map(|pair| pair[1].place) {
                let Some(unit) = members[(place >> RECORD_BITS) as usize].own else { continue };
                self.of_unit.resize(plan.units().len(), Vec::new());
                self.of_unit[unit].push(place & ((1 << RECORD_BITS) - 1));
            }
        }
        for unit in members.iter().filter_map(|member| member.own) {
            if let Some(repeats) = self.of_unit.get_mut(unit) {
                repeats.sort_unstable();
            }
        }
        Ok(())
    }
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

/// Members whose times overlap, with those that these overlap and so on; by time. Those of what was counted before alone
/// are left out.
fn clusters(members: Vec<Member<'_>>) -> Vec<Vec<Member<'_>>> {
    let mut by_time: Vec<(usize, Member<'_>)> = members.into_iter().enumerate().collect();
    by_time.sort_by_key(|(at, member)| (member.span, *at));
    let mut clusters: Vec<Vec<(usize, Member<'_>)>> = Vec::new();
    let mut end = None;
    for (at, member) in by_time {
        match clusters.last_mut().filter(|_| end.is_some_and(|end| member.span.0 <= end)) {
            Some(cluster) => cluster.push((at, member)),
            None => clusters.push(vec![(at, member)]),
        }
        end = end.max(Some(member.span.1));
    }
    clusters.retain(|cluster| cluster.iter().any(|(_, member)| member.own.is_some()));
    let in_order = |mut cluster: Vec<(usize, _)>| {
        cluster.sort_by_key(|(at, _)| *at);
        cluster.into_iter().map(|(_, member)| member).collect()
    };
    clusters.into_iter().map(in_order).collect()
}

fn rows(members: &[Member<'_>]) -> u64 {
    members.iter().map(|member| member.unit.rows()).sum()
}

/// The records of a unit whose identity falls into this pass.
fn copies(member: &Member<'_>, at: usize, passes: u64, pass: u64) -> InputResult<Vec<Copy>> {
    let request = Request { identities: true, ..Request::default() };
    let mut reader = UnitReader::open(member.plan, member.unit, request)?;
    let mut names = NamesByField::default();
    let mut copies = Vec::new();
    let mut before = (at as u64) << RECORD_BITS;
    while let Some(chunk) = reader.next_chunk(&mut names)? {
        let identities = chunk.identities().unwrap_or_default();
        let some = identities.iter().zip(before..).filter_map(|(identity, place)| {
            let identity = [(*identity >> 64) as u64, *identity as u64];
            let is_wanted = identity != [0, 0] && identity[1] % passes == pass;
            is_wanted.then_some(Copy { identity, place })
        });
        copies.extend(some);
        before += chunk.len() as u64;
    }
    Ok(copies)
}
