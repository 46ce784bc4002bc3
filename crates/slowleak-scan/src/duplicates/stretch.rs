//! Stretches of time whose records fit into memory together. In: units with their times. Out: stretches that cover all times,
//! each with the units that reach into it.

use slowleak_record::Micros;

use super::Member;

/// Some time, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) first: Micros,
    pub(super) last: Micros,
    /// Positions among all members, ascending.
    pub(super) members: Vec<usize>,
}

impl Stretch {
    /// Rows of its members, those at other times included.
    pub(super) fn rows(&self, members: &[Member<'_>]) -> u64 {
        self.members.iter().fold(0, |sum: u64, at| sum.saturating_add(members[*at].unit.rows()))
    }
}

/// Stretches of at most so many rows each, where that can be had. One in which nothing is new is left out. Where units
/// overlap so much that they would be read more often by stretches than in passes over everything, all time is one stretch.
pub(super) fn stretches(members: &[Member<'_>], most: u64) -> Vec<Stretch> {
    let mut by_time: Vec<usize> = (0..members.len()).collect();
    by_time.sort_by_key(|at| (members[*at].span, *at));
    let Some(first) = by_time.first().map(|at| members[*at].span.0) else { return Vec::new() };
    let whole = Stretch { first, last: Micros(i64::MAX), members: (0..members.len()).collect() };
    let enough = cost(&whole, members, most);

    let rows = |at: usize| members[at].unit.rows();
    let mut stretches = Vec::new();
    let mut spent: u64 = 0;
    let mut left = by_time.as_slice();
    let mut open = Stretch { first, last: Micros(i64::MAX), members: Vec::new() };
    let mut held: u64 = 0;
    while let Some(at) = left.first() {
        let start = members[*at].span.0;
        let begin = left.partition_point(|at| members[*at].span.0 <= start);
        let (now, later) = left.split_at(begin);
        let more = now.iter().fold(0, |sum: u64, at| sum.saturating_add(rows(*at)));
        // A stretch begins where a unit does, so that it holds at least what begins there.
        if start > open.first && held.saturating_add(more) > most {
            let last = Micros(start.0 - 1);
            let reaching = open.members.iter().copied().filter(|at| members[*at].span.1 >= start).collect();
            let done = std::mem::replace(
                &mut open,
                Stretch { first: start, last: Micros(i64::MAX), members: reaching },
            );
            held = open.rows(members);
            let done = Stretch { last, ..done };
            spent = spent.saturating_add(cost(&done, members, most));
            if spent >= enough {
                return news(vec![whole], members);
            }
            stretches.push(done);
        }
        open.members.extend(now);
        held = held.saturating_add(more);
        left = later;
    }
    if spent.saturating_add(cost(&open, members, most)) > enough {
        return news(vec![whole], members);
    }
    stretches.push(open);
    news(stretches, members)
}

/// Rows that are read for a stretch.
fn cost(stretch: &Stretch, members: &[Member<'_>], most: u64) -> u64 {
    let rows = stretch.rows(members);
    rows.saturating_mul(rows.div_ceil(most))
}

/// Those that hold something that was not counted before.
fn news(mut stretches: Vec<Stretch>, members: &[Member<'_>]) -> Vec<Stretch> {
    stretches.retain(|stretch| stretch.members.iter().any(|at| members[*at].own.is_some()));
    stretches.iter_mut().for_each(|stretch| stretch.members.sort_unstable());
    stretches
}
