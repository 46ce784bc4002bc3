//! Back in time: what each night would have told. In: a log that lies there whole, and instants at which nights were. Out: of
//! each night the rollup up to then, and the leaks as they would have been told of, night after night.
//!
//! The log is counted once, as a nightly job keeps it: windows longer than a day by the day. Every window then lies within
//! one UTC day, so that the rollup of a night at midnight is that of the days before it, exactly, and no record is read twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slowleak_detect::{Evidence, Finding};
use slowleak_record::{FieldSet, InputError, InputFile, Micros, TimeRange};
use slowleak_rollup::{Days, Memory, Segments, View, Written, count_files, fields, possible};
use slowleak_scan::{Coverage, FileAccount, Plan, ScanOptions};

use crate::NightlyError;
use crate::leaks::{Leak, Status, follow};
use crate::night::{Counting, asked, stored_views};

/// The only segment, which holds all days.
const ALL: &str = "all";

/// A log that was counted once, of which any night can be had.
#[derive(Debug)]
pub struct History {
    dir: PathBuf,
    accounts: Vec<FileAccount>,
    /// The account of all that was counted.
    pub coverage: Coverage,
    /// What there is of each view.
    pub written: Vec<Written>,
}

/// A log as it was on a night.
#[derive(Debug)]
pub struct Past {
    /// The rollup of all records before that night.
    pub rollup: Segments,
    /// The last of them. (Of a file with later records, too, the hour in which it was is all that is known.)
    pub end: Micros,
    /// How many records there were.
    pub records: u64,
}

impl History {
    /// Counts the records before `until` into the folder `dir`, which must not hold anything named `all`.
    ///
    /// # Errors
    /// A view can not be cut by the day, or the folder not be written.
    pub fn count(
        files: &[InputFile],
        counting: &Counting<'_>,
        until: Micros,
        dir: &Path,
    ) -> Result<Self, NightlyError> {
        let stored = stored_views(counting.views).map_err(|cause| InputError::new(dir, cause))?;
        let Counting { mapping, io, decoder, memory, progress, .. } = *counting;
        let range = TimeRange { since: None, until: Some(until) };
        let plan = Plan::new(files, mapping, fields(&stored), &ScanOptions { range, io, decoder });
        let memory = Memory::new(memory, dir);
        let (counts, accounts, others) = count_files(&plan, None, &stored, Some(&memory), progress)?;
        let (written, _) = counts.write(dir.join(ALL), drop)?;
        let coverage = Coverage::of(&accounts, &others, asked(counting.views));
        Ok(Self { dir: dir.to_path_buf(), accounts, coverage, written })
    }

    /// The log as it was at a midnight, UTC, counted by `views`; `None` where no record was there yet.
    ///
    /// # Errors
    /// What was counted is gone or damaged.
    pub fn until(&self, night: Micros, views: &[View]) -> Result<Option<Past>, NightlyError> {
        let (mut present, mut end, mut records) = (FieldSet::EMPTY, None, 0);
        for account in &self.accounts {
            let mut hours = account.hours.range(..night.0);
            let Some((last, _)) = hours.clone().next_back() else { continue };
            let last = match account.time {
                Some((_, last)) if last < night => last,
                _ => Micros(*last),
            };
            end = end.max(Some(last));
            present = present.union(account.fields);
            records += hours.by_ref().map(|(_, records)| records).sum::<u64>();
        }
        let Some(end) = end else { return Ok(None) };
        let days: Days = self
            .accounts
            .iter()
            .flat_map(|account| account.hours.range(..night.0).map(|(hour, _)| Days::of(Micros(*hour))))
            .collect();
        let rollup = Segments::open(&self.dir, [(ALL, days)], possible(views, present))?;
        Ok(Some(Past { rollup, end, records }))
    }
}

/// The leaks that nights told of, one after the other.
#[derive(Debug, Default)]
pub struct Course {
    leaks: Vec<Leak>,
    told: BTreeMap<String, Told>,
    /// Phases that were told under an id: each interval with the first night that told it.
    phases: BTreeMap<String, BTreeMap<(Micros, Micros), Micros>>,
}

/// What was told of a leak.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The leak as it stands; its id is the one under which it was told.
    pub leak: Leak,
    /// Its finding on the last night that had one.
    pub finding: Finding,
    /// The night of the first report.
    pub first_reported: Micros,
    /// Its finding on that night.
    pub first: Finding,
    /// Nights on which it was among the findings.
    pub nights: u32,
    /// Whether it was on the last one.
    pub stands: bool,
    /// Of each phase of `finding`, in their order, the first night that told something of it: of this leak, or of one that was
    /// merged into it.
    pub phases: Vec<Micros>,
}

impl Course {
    /// Lives another night, whose data ends at `end`.
    pub fn night(&mut self, night: Micros, findings: &[Finding], end: Micros) {
        // No day of a replay is forgotten.
        self.leaks = follow(&self.leaks, findings, Micros(i64::MIN), end).0;
        for leak in &self.leaks {
            let gone = matches!(leak.status, Status::Withdrawn | Status::Merged);
            let finding = findings.iter().find(|finding| finding.id == leak.finding).filter(|_| !gone);
            if let Some(finding) = finding {
                let told = self.phases.entry(leak.id.clone()).or_default();
                for phase in finding.phases() {
                    told.entry((phase.start, phase.end)).or_insert(night);
                }
            }
            match (self.told.get_mut(&leak.id), finding) {
                (Some(told), finding) => {
                    told.leak = leak.clone();
                    told.stands = finding.is_some();
                    told.nights += u32::from(told.stands);
                    if let Some(finding) = finding {
                        told.finding = finding.clone();
                    }
                }
                (None, Some(finding)) => {
                    let told = Told {
                        leak: leak.clone(),
                        finding: finding.clone(),
                        first_reported: night,
                        first: finding.clone(),
                        nights: 1,
                        stands: true,
                        phases: Vec::new(),
                    };
                    self.told.insert(leak.id.clone(), told);
                }
                (None, None) => {}
            }
        }
    }

    /// Lives another night on which no record was new.
    pub fn same_night(&mut self) {
        for told in self.told.values_mut() {
            told.nights += u32::from(told.stands);
        }
    }

    /// Every leak that was told of, in the order of first reports.
    pub fn told(self) -> Vec<Told> {
        let mut phases: BTreeMap<&str, Vec<(Micros, Micros, Micros)>> = BTreeMap::new();
        for (id, of_leak) in &self.phases {
            for id in self.became(id) {
                let all = phases.entry(id).or_default();
                all.extend(of_leak.iter().map(|((start, end), night)| (*start, *end, *night)));
            }
        }
        let mut told: Vec<Told> = self.told.values().cloned().collect();
        for one in &mut told {
            let known = phases.get(one.leak.id.as_str()).map_or(&[][..], Vec::as_slice);
            let first = |phase: &Evidence| {
                let of_phase =
                    known.iter().filter(|(start, end, _)| is_same((*start, *end), (phase.start, phase.end)));
                of_phase.map(|(_, _, night)| *night).min().unwrap_or(one.first_reported)
            };
            one.phases = one.finding.phases().into_iter().map(first).collect();
        }
        told.sort_by(|a, b| (a.first_reported, &a.leak.id).cmp(&(b.first_reported, &b.leak.id)));
        told
    }

    /// A leak, the one that it was merged into, the one that that was merged into...
    fn became<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let into = |id: &str| self.told.get(id)?.leak.merged_into.as_deref();
        // Each is merged into one that was told earlier, so that there is an end.
        std::iter::successors(Some(id), move |id| into(id)).take(self.told.len() + 1)
    }
}

/// Whether an interval is another as a different night knew it: phases that follow each other may overlap by days.
fn is_same(a: (Micros, Micros), b: (Micros, Micros)) -> bool {
    let length = |(start, end): (Micros, Micros)| end.0.saturating_sub(start.0);
    let common = length((a.0.max(b.0), a.1.min(b.1)));
    common > 0 && common >= length(a).min(length(b)) / 2
}
