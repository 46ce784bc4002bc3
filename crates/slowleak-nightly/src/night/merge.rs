//! Segments: how the night's cells come into them, and how old ones become fewer. In: what was counted of which days. Out:
//! segments, each day in one, in the next state.

use std::fs;
use std::path::Path;

use slowleak_record::Micros;
use slowleak_rollup::{Counts, Days, Segments};

use super::Counter;
use crate::NightlyError;
use crate::state::{Segment, State};

/// Segments of about one size that are made into one. More would keep more files open at a time, fewer would write cells
/// more often: of `n` nights, each cell is written log n / log 8 times more, and at most seven segments of a size are left.
const FEW: usize = 8;

/// Bytes for the row groups that are being written, at most; where memory is short, a quarter of it.
const MOST_ROOM: usize = 256 << 20;

/// Cells that were counted this night, some of them written.
pub(super) struct Parts<'a> {
    counter: &'a Counter<'a>,
    written: Vec<(String, Days)>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(counter: &'a Counter<'a>) -> Self {
        Self { counter, written: Vec::new() }
    }

    /// Writes what was counted; of it some days count.
    pub(super) fn add(&mut self, counts: Option<Counts>, days: Days) -> Result<(), NightlyError> {
        let Some(counts) = counts else { return Ok(()) };
        // Not named by any state, and so swept away if the night ends early.
        let name = format!("counted-{}", self.written.len());
        let (views, _) = counts.write(self.counter.segments().join(&name), drop)?;
        if !views.is_empty() {
            self.written.push((name, days));
        }
        Ok(())
    }
}

/// Makes a segment of what was counted and of the days in `taken_over`, which the segments before hand on to it; it answers
/// for the `days`, and no other segment does.
pub(super) fn into_segments(
    next: &mut State,
    parts: Parts<'_>,
    taken_over: &Days,
    days: &Days,
) -> Result<(), NightlyError> {
    let Parts { counter, written } = parts;
    let handed_on: Vec<(String, Days)> = next
        .segments
        .iter()
        .map(|(name, segment)| (name.clone(), segment.days().within(taken_over)))
        .filter(|(_, days)| !days.is_empty())
        .collect();
    keep_days(next, |day| !days.contains(day));
    // Of days that are counted anew there may be no record left.
    let counted: Days =
        next.files.values().flat_map(|entry| entry.days().iter().collect::<Vec<_>>()).collect();
    let days = days.within(&counted);
    if days.is_empty() {
        return Ok(());
    }
    if let ([(only, _)], []) = (written.as_slice(), handed_on.as_slice()) {
        let name = name(next, &days);
        let (from, to) = (counter.segments().join(only), counter.segments().join(&name));
        rename(&from, &to)?;
        next.segments.insert(name, Segment::new(&days));
        return Ok(());
    }
    unite(next, counter, &written.into_iter().chain(handed_on).collect::<Vec<_>>(), &days)
}

/// Makes as few segments as there should be.
pub(super) fn compact(next: &mut State, counter: &Counter<'_>) -> Result<(), NightlyError> {
    loop {
        let size = |segment: &Segment| segment.days().len().checked_ilog(FEW).unwrap_or_default();
        let of_size = |wanted: u32| {
            next.segments.iter().filter(move |(_, segment)| size(segment) == wanted).collect::<Vec<_>>()
        };
        let most = next.segments.values().map(size).max().unwrap_or_default();
        let Some(many) = (0..=most).map(of_size).find(|segments| segments.len() >= FEW) else {
            return Ok(());
        };
        let parts: Vec<(String, Days)> =
            many.into_iter().map(|(name, segment)| (name.clone(), segment.days())).collect();
        let days: Days = parts.iter().flat_map(|(_, days)| days.iter().collect::<Vec<_>>()).collect();
        parts.iter().for_each(|(name, _)| drop(next.segments.remove(name)));
        unite(next, counter, &parts, &days)?;
    }
}

/// Takes days out of all segments.
pub(super) fn keep_days(next: &mut State, kept: impl Fn(i64) -> bool) {
    for segment in next.segments.values_mut() {
        *segment = Segment::new(&segment.days().iter().filter(|day| kept(*day)).collect());
    }
    next.segments.retain(|_, segment| !segment.days.is_empty());
}

/// Writes the cells of some parts as one new segment.
fn unite(
    next: &mut State,
    counter: &Counter<'_>,
    parts: &[(String, Days)],
    days: &Days,
) -> Result<(), NightlyError> {
    let folder = counter.segments();
    let views = counter.stored.clone();
    let union =
        Segments::open(&folder, parts.iter().map(|(name, days)| (name.as_str(), days.clone())), views)?;
    let name = name(next, days);
    union.write(&folder.join(&name), MOST_ROOM.min(counter.counting.memory / 4))?;
    next.segments.insert(name, Segment::new(days));
    Ok(())
}

/// A new segment's folder: its first and last day, and the number of the segment.
fn name(next: &mut State, days: &Days) -> String {
    next.made += 1;
    let date = |day: Option<i64>| Micros(day.unwrap_or_default().saturating_mul(Micros::DAY)).to_string();
    let date = |day| date(day).split('T').next().unwrap_or_default().to_owned();
    format!("{}_{}.{}", date(days.iter().next()), date(days.iter().next_back()), next.made)
}

fn rename(from: &Path, to: &Path) -> Result<(), NightlyError> {
    fs::rename(from, to).map_err(|error| {
        slowleak_record::InputError::new(to, format!("can not be written: {error}"))
            .remedy("check permissions and space")
            .into()
    })
}
