//! Stage 1 of a night: what is new, late or changed since the last one is counted, and nothing else. In: the state, and
//! the files that are there now. Out: the next state, not committed yet, the account of the whole log, and what happened.
//!
//! Most nights bring new files of new days: these are counted, and their cells are a segment. Where they have records of
//! days that were counted before, those days' cells are taken over from their segments and added up with the new ones;
//! cells add up exactly, so no earlier file is read again. Where a file was replaced or is gone, its cells can not be taken
//! out of sums: its days are counted anew, from all files that have records of them. So are days with late records where
//! a view counts distinct sources, which do not add up.

mod earlier;
mod merge;
mod news;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use slowleak_record::{FieldSet, InputError, InputFile, Mapping, Micros, TimeRange};
use slowleak_rollup::{Days, Memory, Metric, Segments, View, count_files, fields, possible};
use slowleak_scan::{Coverage, Decoder, FileAccount, Io, Plan, ScanOptions};

use crate::ledger::Entry;
use crate::state::State;
use crate::{Folder, NightlyError};
use earlier::Earlier;
use news::Listed;
pub use news::News;

/// Days without a record after which records do not make the log forget what was before: as many may be the work of a clock
/// that was wrong, and a log that lives is not silent that long.
const SILENCE_DAYS: i64 = 31;

/// What to count, and how.
pub struct Counting<'a> {
    /// Views, as a scan would count them.
    pub views: &'a [View],
    /// Which column holds which field.
    pub mapping: &'a Mapping,
    /// How files are read.
    pub io: Io,
    /// How pages are decoded.
    pub decoder: Decoder,
    /// Bytes that counting may take.
    pub memory: usize,
    /// Told of records as they are read.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What counts of the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// Records from this instant on do not count yet.
    pub as_of: Option<Micros>,
    /// Days that are kept, the last one with records included; `None` keeps all.
    pub keep_days: Option<u32>,
    /// Records of files that are gone count all the same: the log is rotated.
    pub keep_removed: bool,
}

/// A night that was counted and not committed.
#[derive(Debug)]
pub struct Night {
    /// The state that it leads to.
    pub next: State,
    /// The account of the whole log, as one scan would give it.
    pub coverage: Coverage,
    /// What was new.
    pub news: News,
    views: Vec<View>,
}

impl Night {
    /// The rollup of the whole log.
    ///
    /// # Errors
    /// A segment is gone or damaged.
    pub fn rollup(&self, folder: &Folder) -> Result<Segments, NightlyError> {
        let parts = self.next.segments.iter().map(|(name, segment)| (name.as_str(), segment.days()));
        Ok(Segments::open(&folder.segments(), parts, self.views.clone())?)
    }
}

/// The views as segments hold them.
///
/// # Errors
/// Names a view that can not be counted night by night.
pub fn stored_views(views: &[View]) -> Result<Vec<View>, String> {
    Segments::stored(views).map_err(|view| {
        format!(
            "{view}: distinct sources of windows longer than a day can not be had night by night (count them by the day)"
        )
    })
}

/// Counts a night.
///
/// # Errors
/// The instant lies before what was counted already; a view can not be counted so; a file that is needed again can not be
/// read; the disk is full.
pub fn count_night(
    folder: &Folder,
    files: &[InputFile],
    counting: &Counting<'_>,
    extent: &Extent,
) -> Result<Night, NightlyError> {
    refuse_going_back(folder, folder.state(), extent)?;
    let stored = stored_views(counting.views).map_err(|cause| InputError::new(folder.dir(), cause))?;
    let listed = Listed::new(files);
    let state = State { files: listed.renamed(&folder.state().files), ..folder.state().clone() };
    let mut news = News::of(&state, &listed, extent);
    let counter = Counter { folder, counting, stored, until: extent.as_of };

    let fresh: Vec<InputFile> = news.fresh().filter_map(|name| listed.file(name)).cloned().collect();
    let outdated: BTreeSet<&str> = news.outdated().collect();
    let known: Vec<(&InputFile, &Entry)> = state
        .files
        .iter()
        .filter(|(name, _)| !outdated.contains(name.as_str()))
        .filter_map(|(name, entry)| Some((listed.file(name)?, entry)))
        .collect();
    let Counted { mut counts, accounts, others } = counter.count(&fresh, &known, None)?;
    let mut next = state.clone();
    // The days of records that do not count any more.
    let lost: Days = news
        .outdated()
        .filter_map(|name| next.files.remove(name))
        .flat_map(|old| old.days().iter().collect::<Vec<_>>())
        .collect();
    for entry in news.rotated.iter().chain(&news.returned) {
        next.files.entry(entry.clone()).and_modify(|entry| entry.gone = !entry.gone);
    }
    for account in &accounts {
        if let Some((name, (file, stamp))) = listed.of_path(&account.path) {
            let entry = Entry::new(file, stamp.clone(), account, extent.as_of.is_some());
            next.files.insert(name.to_owned(), entry);
        }
    }
    let hours = accounts.iter().flat_map(|account| account.hours.keys());
    let touched: Days = hours.map(|hour| Days::of(Micros(*hour))).collect();
    let late = touched.within(&state.days());
    let again = if counter.adds_up() { lost } else { lost.with(&late) };
    let (late, whole) = (late.without(&again), touched.without(&again));

    let mut parts = merge::Parts::new(&counter);
    if !whole.is_empty() {
        parts.add(counts.take(), whole)?;
    }
    drop(counts);
    for range in again.ranges() {
        let days: Days = range.clone().collect();
        let needed = needed_again(&next, &days, &listed, folder)?;
        let recounted = counter.count(&needed, &[], Some(range))?;
        if let Some(lost) = recounted.others.rejected_files.first() {
            let cause = format!("could be read before, and can not now: {}", lost.reason);
            return Err(InputError::new(&lost.path, cause)
                .remedy("mend it and run again; the state is that of the night before")
                .into());
        }
        for account in &recounted.accounts {
            let name = listed.of_path(&account.path).map(|(name, _)| name);
            if let Some(entry) = name.and_then(|name| next.files.get_mut(name)) {
                entry.recounted(range, account);
            }
        }
        parts.add(recounted.counts, days)?;
    }
    merge::into_segments(&mut next, parts, &late, &touched.with(&again))?;
    news.kept_from = forget(&mut next, &state, extent.keep_days)?;
    let fresh = accounts.iter().filter_map(|account| listed.of_path(&account.path));
    news.forgotten = fresh.filter_map(|(name, _)| next.files.get(name)).map(Entry::forgotten).sum();
    merge::compact(&mut next, &counter)?;

    next.rejected =
        others.rejected_files.iter().map(|file| (file.path.clone(), file.reason.clone())).collect();
    next.as_of = extent.as_of.map(|time| time.to_string());
    news.records = accounts.iter().map(|account| account.tally.read).sum();
    news.counted = accounts.len();
    (news.late, news.again) = (late, again);
    let accounts: Vec<FileAccount> = next.files.values().map(Entry::account).collect();
    let coverage = Coverage::of(&accounts, &others, asked(counting.views));
    let present = accounts.iter().fold(FieldSet::EMPTY, |all, account| all.union(account.fields));
    Ok(Night { views: possible(counting.views, present), coverage, news, next })
}

/// Fields that a plan for the views asks for.
pub(crate) fn asked(views: &[View]) -> FieldSet {
    use slowleak_record::Field::{Key, Time, User};
    fields(views).with(Time).with(Key).with(User)
}

/// Nights go forward: what was counted already can not be taken back.
fn refuse_going_back(folder: &Folder, state: &State, extent: &Extent) -> Result<(), NightlyError> {
    let last = state.files.iter().max_by_key(|(_, entry)| entry.last());
    match (extent.as_of, last.and_then(|(name, entry)| Some((name, entry.last()?)))) {
        (Some(as_of), Some((name, last))) if last >= as_of => {
            let cause = format!("holds records up to {last} (that one of {name}), and --as-of is {as_of}");
            let remedy = "give a later --as-of, or another --state for an earlier one; if the clock of that record was \
                          wrong, mend the file and run a night without --as-of";
            Err(InputError::new(folder.dir(), cause).remedy(remedy).into())
        }
        _ => Ok(()),
    }
}

/// The files with records of some days.
fn needed_again(
    next: &State,
    days: &Days,
    listed: &Listed,
    folder: &Folder,
) -> Result<Vec<InputFile>, NightlyError> {
    let mut needed = Vec::new();
    for (name, _) in next.files.iter().filter(|(_, entry)| !entry.days().within(days).is_empty()) {
        let Some(file) = listed.file(name) else {
            let cause = "is gone, and its day has to be counted anew because of another file";
            return Err(InputError::new(name, cause)
                .remedy(format!(
                    "put it back, or let what is gone no longer count: --removed rebuild; {} is as it was",
                    folder.dir().display()
                ))
                .into());
        };
        needed.push(file.clone());
    }
    Ok(needed)
}

/// Drops the days before those that are kept. The last day is the log's, not the clock's; times far from all others,
/// of clocks that were wrong, do not move it. Gives the first day that is kept where more is to be kept than is there.
///
/// # Errors
/// The log goes on after a long silence, for which days would be dropped: what is dropped is gone for good.
fn forget(next: &mut State, before: &State, keep_days: Option<u32>) -> Result<Option<i64>, NightlyError> {
    let records = records(next);
    let last = slowleak_detect::last_day(&records);
    let asked = keep_days.and_then(|keep| last.map(|last| last + 1 - i64::from(keep)));
    if let (Some(asked), Some(last)) = (asked.filter(|_| asked > next.kept_from), last) {
        refuse_silence(next, before, &records, asked..last + 1)?;
    }
    let Some(first) = asked.max(next.kept_from) else { return Ok(None) };
    next.kept_from = Some(first);
    next.files.values_mut().for_each(|entry| entry.forget_before(first));
    next.files.retain(|_, entry| !entry.gone || !entry.days().is_empty());
    merge::keep_days(next, |day| day >= first);
    Ok((asked < Some(first)).then_some(first))
}

/// Records by day.
fn records(state: &State) -> BTreeMap<i64, f64> {
    let mut records: BTreeMap<i64, f64> = BTreeMap::new();
    for (day, of_day) in state.files.values().flat_map(Entry::records) {
        *records.entry(day).or_default() += of_day as f64;
    }
    records
}

/// A record of a clock that was wrong, less than a year ahead, must not drop the history: `kept` may not begin later because
/// of what comes after a silence of more than [`SILENCE_DAYS`] that is new.
fn refuse_silence(
    next: &State,
    before: &State,
    days: &BTreeMap<i64, f64>,
    kept: Range<i64>,
) -> Result<(), NightlyError> {
    let Some((dropped, _)) = days.range(..kept.start).next_back() else { return Ok(()) };
    let from = slowleak_detect::last_day(&records(before)).unwrap_or(*dropped);
    let first = days.keys().next().unwrap_or(dropped);
    let days: Vec<i64> = days.range(from..kept.end.max(from)).map(|(day, _)| *day).collect();
    let Some(silence) = days.windows(2).find(|pair| pair[1] - pair[0] > SILENCE_DAYS) else { return Ok(()) };
    let date = |day: i64| {
        let time = Micros(day.saturating_mul(Micros::DAY)).to_string();
        time.split('T').next().unwrap_or_default().to_owned()
    };
    let holds = next.files.iter().find(|(_, entry)| entry.days().contains(silence[1]));
    let name = holds.map_or("the log", |(name, _)| name);
    let keep = kept.end - kept.start;
    let cause = format!(
        "holds records of {}, and there are none of the {} days before: with --keep-days {keep}, all before {} would be \
         forgotten for good",
        date(silence[1]),
        silence[1] - silence[0] - 1,
        date(kept.start),
    );
    let remedy = format!(
        "mend the file, or give --as-of {}; if the log was silent indeed, give --keep-days {} or more this once",
        date(silence[0] + 1),
        kept.end - first,
    );
    Err(InputError::new(name, cause).remedy(remedy).into())
}

/// Counts files into cells as segments hold them.
pub(crate) struct Counter<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) counting: &'a Counting<'a>,
    /// The views, as segments hold them.
    pub(crate) stored: Vec<View>,
    until: Option<Micros>,
}

/// What was counted.
struct Counted {
    /// Nothing where there was nothing to count.
    counts: Option<slowleak_rollup::Counts>,
    accounts: Vec<FileAccount>,
    others: Coverage,
}

impl Counter<'_> {
    /// Whether cells of late records add up with those before.
    fn adds_up(&self) -> bool {
        !self.stored.iter().any(|view| view.metrics().contains(&Metric::Sources))
    }

    /// Counts the records of files, of some days or all. What repeats a record of the files that are `known` on the same
    /// days does not count.
    fn count(
        &self,
        files: &[InputFile],
        known: &[(&InputFile, &Entry)],
        days: Option<&Range<i64>>,
    ) -> Result<Counted, NightlyError> {
        if files.is_empty() {
            return Ok(Counted { counts: None, accounts: Vec::new(), others: Coverage::default() });
        }
        let instant = |day: i64| Micros(day.saturating_mul(Micros::DAY));
        let end = days.map(|days| instant(days.end));
        let until = match (end, self.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let range = TimeRange { since: days.map(|days| instant(days.start)), until };
        let Counting { mapping, io, decoder, memory, progress, .. } = *self.counting;
        let options = ScanOptions { range, io, decoder };
        let plan = Plan::new(files, mapping, fields(&self.stored), &options);
        let memory = Memory::new(memory, self.folder.dir());
        let earlier = Earlier::of(&plan, known, mapping, &options)?;
        let before = earlier.as_ref().map(|earlier| &earlier.plan);
        let (counts, accounts, others) = count_files(&plan, before, &self.stored, Some(&memory), progress)?;
        if let Some(earlier) = earlier {
            earlier.check_unchanged()?;
        }
        Ok(Counted { counts: Some(counts), accounts, others })
    }

    pub(crate) fn segments(&self) -> std::path::PathBuf {
        self.folder.segments()
    }
}
