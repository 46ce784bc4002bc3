//! Writes a log: Parquet files in parallel, then the truth and the registries. Everything is written under a
//! temporary name and renamed when whole; the log folder last, so that whoever sees it sees all of it.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use slowleak_record::Truth;

use crate::SynthError;
use crate::batch::Columns;
use crate::draw::Drawer;
use crate::layout::Layout;
use crate::leak::{Leak, LeakKey, Who};
use crate::log_file::LogFile;
use crate::plan::{FilePlan, Plan};
use crate::registry::Registries;
use crate::scenario::Scenario;

/// What a run may override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GenerateOptions {
    /// Records to write; the scenario's `rows` where `None`.
    pub rows: Option<u64>,
    /// Seed; the scenario's `seed` where `None`.
    pub seed: Option<u64>,
}

/// What a run has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Records.
    pub rows: u64,
    /// Parquet files.
    pub files: u64,
    /// Bytes of the Parquet files.
    pub bytes: u64,
    /// What `truth.json` says.
    pub truth: Truth,
}

/// Records a row group at most; a thread keeps so many, at some sixty bytes each.
const ROW_GROUP: usize = 1 << 19;
/// Folder of the log while it is being written; a name that readers skip.
const UNFINISHED: &str = "_logs.unfinished";

impl Scenario {
    /// Writes `OUT/logs/date=YYYY-MM-DD/part-N.parquet`, `OUT/truth.json`, `OUT/keys.csv` and
    /// `OUT/people.csv`. The records are those of the scenario, the seed and the number of records alone:
    /// neither the threads nor the machine's load reach the bytes.
    ///
    /// Runs on the current rayon pool; memory grows with threads and population, not with records.
    /// `progress` is called from any thread with the number of records newly written.
    ///
    /// # Errors
    /// `OUT/logs` already holds something, or a file can not be written. Whatever was there before is left
    /// as it was.
    pub fn generate(
        &self,
        out: &Path,
        options: &GenerateOptions,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Generated, SynthError> {
        let logs = out.join("logs");
        if fs::read_dir(&logs).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(SynthError::Occupied(logs));
        }
        let plan =
            Plan::new(self, options.rows.unwrap_or(self.file.rows), options.seed.unwrap_or(self.file.seed));
        let unfinished = out.join(UNFINISHED);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|cause| SynthError::io(&unfinished, cause))?;
        }
        fs::create_dir_all(&unfinished).map_err(|cause| SynthError::io(&unfinished, cause))?;
        let written = self.write_all(&plan, &unfinished, progress).inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&unfinished);
        })?;
        let truth = Truth { leaks: plan.leaks.iter().filter_map(|leak| entry(leak, &plan)).collect() };
        let json = serde_json::to_string_pretty(&truth).unwrap_or_default() + "\n";
        let registries = Registries::new(&plan, self);
        write_text(&out.join("truth.json"), &json)?;
        write_text(&out.join("keys.csv"), &registries.keys)?;
        write_text(&out.join("people.csv"), &registries.people)?;
        if logs.exists() {
            fs::remove_dir(&logs).map_err(|cause| SynthError::io(&logs, cause))?;
        }
        fs::rename(&unfinished, &logs).map_err(|cause| SynthError::io(&logs, cause))?;
        let (rows, bytes) = written.iter().fold((0, 0), |sum, file| (sum.0 + file.0, sum.1 + file.1));
        Ok(Generated { rows, files: written.len() as u64, bytes, truth })
    }

    /// Writes every file; returns records and bytes of each.
    fn write_all(
        &self,
        plan: &Plan,
        folder: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<(u64, u64)>, SynthError> {
        let layout = Layout::new(plan, self).map_err(|cause| SynthError::parquet(folder, cause))?;
        let files: Vec<&FilePlan> =
            plan.files.iter().filter(|file| file.hours.clone().any(|hour| plan.rows_in(hour) > 0)).collect();
        files
            .into_par_iter()
            .map_init(
                || (Drawer::new(plan, &self.file.life, self.file.event_id), Columns::default()),
                |(drawer, columns), file| write_file(drawer, columns, file, folder, &layout, progress),
            )
            .collect()
    }
}

fn write_file(
    drawer: &mut Drawer<'_>,
    columns: &mut Columns,
    plan: &FilePlan,
    folder: &Path,
    layout: &Layout<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(u64, u64), SynthError> {
    let path = folder.join(&plan.path);
    let io = |cause| SynthError::io(&path, cause);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io)?;
    }
    let file = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(io)?);
    let wrong = |cause| SynthError::parquet(&path, cause);
    let mut file = LogFile::new(file, layout).map_err(wrong)?;
    let mut rows = 0;
    let mut flush = |columns: &mut Columns| -> Result<(), SynthError> {
        file.write(columns).map_err(wrong)?;
        let count = columns.len() as u64;
        columns.clear();
        rows += count;
        progress(count);
        Ok(())
    };
    for hour in plan.hours.clone() {
        drawer.hour(hour, columns, ROW_GROUP, &mut flush)?;
    }
    if columns.len() > 0 {
        flush(columns)?;
    }
    file.finish().map_err(wrong)?;
    let bytes = fs::metadata(&path).map_err(io)?.len();
    Ok((rows, bytes))
}

/// The truth about a leak, from what was written; `None` if it is too small to have any access.
fn entry(leak: &Leak, plan: &Plan) -> Option<slowleak_record::Leak> {
    let (start, end, subjects) = leak.tally.total()?;
    let world = &plan.world;
    let key = match &leak.key {
        Some(LeakKey::Honest(key)) => world.keys.get(*key as usize).map(|key| key.name.clone()),
        Some(LeakKey::Own(_, own)) => Some(own.name.clone()),
        None => None,
    };
    let user = match &leak.user {
        Who::One(user) => world.users.get(*user as usize).map(|user| user.name.clone()),
        _ => None,
    };
    let largest = leak.phases.iter().filter(|phase| phase.in_truth).max_by_key(|phase| phase.total());
    let part = |part: &str| match part {
        "key" => key.clone(),
        "user" => user.clone(),
        "object" => {
            largest.and_then(|phase| world.objects.names.get(usize::from(phase.main_object()))).cloned()
        }
        "region" => largest
            .and_then(|phase| phase.first_source())
            .map(|source| plan.region_names[usize::from(world.sources.regions[source as usize])].clone()),
        _ => {
            let source = largest.and_then(|phase| phase.first_source());
            source.and_then(|source| world.sources.names.get(source as usize)).cloned()
        }
    };
    let parts: Vec<String> = leak.dimension.split('+').filter_map(part).collect();
    Some(slowleak_record::Leak {
        scenario: leak.name.clone(),
        dimension: leak.dimension.clone(),
        entity: parts.join(" + "),
        key,
        user,
        start: start.timestamp(),
        end: end.timestamp(),
        subjects,
    })
}

fn write_text(path: &Path, text: &str) -> Result<(), SynthError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    fs::write(&unfinished, text).map_err(|cause| SynthError::io(&unfinished, cause))?;
    fs::rename(&unfinished, path).map_err(|cause| SynthError::io(path, cause))
}
