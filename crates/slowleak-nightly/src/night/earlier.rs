//! What was counted on earlier nights and may be repeated by what is new. In: the plan of the new files, and the files that
//! the ledger knows. Out: a plan of those with records of the same days.

use std::collections::BTreeSet;

use slowleak_record::{FieldSet, InputError, InputFile, InputResult, Mapping};
use slowleak_rollup::Days;
use slowleak_scan::{NamesByField, Plan, Request, ScanOptions, Unit, UnitReader};

use crate::ledger::Entry;
use crate::stamp::Stamp;

/// Days that a footer may claim for a row group and be believed: more, and one record of a wrong clock would have the whole
/// log read again.
const MOST_DAYS: i64 = 32;

/// See the module.
pub(super) struct Earlier<'a> {
    pub(super) plan: Plan,
    files: Vec<(&'a InputFile, &'a Entry)>,
}

impl<'a> Earlier<'a> {
    /// Of the files that are `known`, those to compare `plan` with; `None` where there is nothing to compare.
    ///
    /// # Errors
    /// One of them can not be read any more.
    pub(super) fn of(
        plan: &Plan,
        known: &[(&'a InputFile, &'a Entry)],
        mapping: &Mapping,
        options: &ScanOptions,
    ) -> InputResult<Option<Self>> {
        if known.is_empty() || !plan.has_identities() {
            return Ok(None);
        }
        let days: Days = days(plan).into_iter().collect();
        let same_days = |(_, entry): &&(_, &Entry)| !entry.days().within(&days).is_empty();
        let files: Vec<_> = known.iter().filter(same_days).copied().collect();
        if files.is_empty() {
            return Ok(None);
        }
        let inputs: Vec<InputFile> = files.iter().map(|(file, _)| (*file).clone()).collect();
        let plan = Plan::new(&inputs, mapping, FieldSet::EMPTY, options);
        match plan.coverage().rejected_files.first() {
            Some(lost) => {
                let cause = format!("could be read before, and can not now: {}", lost.reason);
                let remedy = "what is new may repeat its records: mend it and run again; the state is that of the night before";
                Err(InputError::new(&lost.path, cause).remedy(remedy))
            }
            None => Ok(Some(Self { plan, files })),
        }
    }

    /// What was compared must be what was counted.
    ///
    /// # Errors
    /// A file was written to meanwhile.
    pub(super) fn check_unchanged(&self) -> InputResult<()> {
        let is_same = |(file, entry): &&(&InputFile, &Entry)| {
            Stamp::of(&file.path).is_ok_and(|stamp| stamp == entry.stamp)
        };
        match self.files.iter().find(|file| !is_same(file)) {
            None => Ok(()),
            Some((file, _)) => Err(InputError::new(&file.path, "it was written to while the night ran")
                .remedy("run again: the state is that of the night before")),
        }
    }
}

/// The days of the records of a plan: by footers, and where these say nothing or too much, by the records.
fn days(plan: &Plan) -> BTreeSet<i64> {
    let mut days = BTreeSet::new();
    for unit in plan.units() {
        match plan.span(unit).map(|(first, last)| (Days::of(first), Days::of(last))) {
            Some((first, last)) if last - first < MOST_DAYS => days.extend(first..=last),
            // One that can not be read has no records that count; counting tells of it.
            _ => _ = read_days(plan, unit, &mut days),
        }
    }
    days
}

fn read_days(plan: &Plan, unit: &Unit, days: &mut BTreeSet<i64>) -> InputResult<()> {
    let mut names = NamesByField::default();
    let mut reader = UnitReader::open(plan, unit, Request::default())?;
    let mut last = None;
    while let Some(chunk) = reader.next_chunk(&mut names)? {
        for time in chunk.time() {
            let day = Days::of(slowleak_record::Micros(*time));
            if last.replace(day) != Some(day) {
                days.insert(day);
            }
        }
    }
    Ok(())
}
