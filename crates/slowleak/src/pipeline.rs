//! The stages that commands share: count, judge, write the results, say how it ended.
//!
//! `scan` is count + judge + results; `rollup` is the first, `detect` the others, `demo` all after
//! generating. So a scan and a rollup followed by a detection give the same bytes by construction.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use slowleak_detect::{Detection, Finding, Known, detect};
use slowleak_record::{Field, InputError, InputFile, Registry, RegistryMatch};
use slowleak_report::{Run, rejected_rows, rejected_values, write_coverage, write_outputs};
use slowleak_rollup::{
    Counts, DayTable, Dimension, Gather, Lookup, Memory, RollupError, Shortlist, Table, View, Written,
};
use slowleak_scan::{Coverage, Plan, ScanOptions};

use crate::failure::{Completion, Failure};
use crate::outside::Outside;
use crate::settings::{Counting, Input, Judging};
use crate::staging::{ROLLUP, Staging};
use crate::terminal::{Terminal, count, warn};

/// Rejected files named on standard error before "and N more".
const NAMED: usize = 3;

/// Wall time by stage, for the JSON answer.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    since: Instant,
    pub(crate) seconds: Vec<(&'static str, f64)>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { since: Instant::now(), seconds: Vec::new() }
    }

    /// Ends a stage; the next one begins.
    pub(crate) fn lap(&mut self, stage: &'static str) {
        self.seconds.push((stage, self.since.elapsed().as_secs_f64()));
        self.since = Instant::now();
    }
}

/// Stage 1: `files` to counted cells and the account of what was read. Cells that exceed the memory are set aside in the
/// staging folder.
///
/// # Errors
/// Nothing could be used, or something was rejected under `--strict`, or the disk is full.
pub(crate) fn count_records(
    files: &[InputFile],
    input: &Input,
    counting: &Counting,
    staging: &Staging,
    terminal: &Terminal,
) -> Result<(Counts, Coverage), Failure> {
    let options = ScanOptions { range: input.range, io: input.io, decoder: input.decoder };
    let plan = Plan::new(files, &input.mapping, slowleak_rollup::fields(&counting.views), &options);
    if plan.files().len() == 0
        && let Some(first) = plan.coverage().rejected_files.first()
    {
        return Err(all_rejected(&first.path, &first.reason, plan.coverage().rejected_files.len() - 1));
    }
    let progress = terminal.progress("reading", plan.rows());
    let memory = Memory::new(counting.memory, staging.path());
    let counted =
        slowleak_rollup::count(&plan, &counting.views, Some(&memory), &|records| progress.add(records));
    drop(progress);
    let (counts, coverage) = counted.map_err(|error| Failure::Failed(error.to_string()))?;
    check_counted(files, &coverage, counting)?;
    Ok((counts, coverage))
}

/// Refuses to go on with what was counted where that is nothing, or not all of it under `--strict`.
///
/// # Errors
/// As above.
pub(crate) fn check_counted(
    files: &[InputFile],
    coverage: &Coverage,
    counting: &Counting,
) -> Result<(), Failure> {
    refuse_nothing(files, coverage)?;
    if counting.strict && is_partial(coverage) {
        let (what, files) = rejections(coverage);
        let remedy = "nothing was written; mend or leave out the input, or run without --strict";
        return Err(Failure::Failed(format!("--strict: {what} rejected{files} ({remedy})")));
    }
    Ok(())
}

/// Stages the rollup and `coverage.json`, and tells where the time of counting and writing went if it was asked. `each`
/// takes the cells as they are written.
///
/// # Errors
/// The rollup can not be written.
pub(crate) fn write_rollup(
    staging: &Staging,
    counts: Counts,
    coverage: &Coverage,
    counting: &Counting,
    each: impl FnMut(Table) + Send,
) -> Result<Vec<Written>, Failure> {
    let written = counts.write(staging.path().join(ROLLUP), each);
    let (written, profile) = written.map_err(|error| Failure::Failed(error.to_string()))?;
    if counting.profile {
        eprintln!("{profile}");
    }
    refuse_no_view(&written, counting)?;
    write_coverage(staging.path(), coverage).map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(written)
}

/// No view that has anything is a failure in words, not a rollup that looks clean.
///
/// # Errors
/// As above.
pub(crate) fn refuse_no_view(written: &[Written], counting: &Counting) -> Result<(), Failure> {
    if !written.is_empty() {
        return Ok(());
    }
    let views: Vec<String> = counting.views.iter().map(ToString::to_string).collect();
    let cause = format!("no record has what the views are by ({})", views.join(" "));
    Err(Failure::Failed(format!("{cause}; choose another --view, or map the column with --map")))
}

/// Entities of a view above which those that did too little to be judged are not kept for detection: it holds what it
/// judges in memory.
const MANY_ENTITIES: usize = 1 << 20;

/// What detection needs of a rollup. Whatever a registry names is kept.
pub(crate) fn gather<'a>(outside: &'a Outside, judging: &Judging) -> Gather<'a> {
    let registry = &outside.registry;
    // Of a key that did little, too, it must be known whether it was issued.
    let issued = outside.issued.is_some();
    let issued_to = outside.issued.as_ref().is_some_and(|list| list.names_users);
    let always = move |dimension: &Dimension, name: &str| match dimension.parts() {
        [Field::Key] if issued => true,
        [Field::Key, Field::User] => issued_to,
        [Field::Key] => registry.keys.contains_key(name),
        [Field::Key, Field::Region] => {
            let key = dimension.split(name).into_iter().next();
            key.and_then(|key| registry.keys.get(&key)).is_some_and(|entry| !entry.regions.is_empty())
        }
        [Field::User] => {
            registry.people.contains_key(name)
                || registry.keys.values().any(|key| key.owner.as_deref() == Some(name))
        }
        _ => false,
    };
    Gather::new().shortlisting(Shortlist {
        above: MANY_ENTITIES,
        least_events: judging.config.min_events as i64,
        always: Box::new(always),
    })
}

/// The failure of a run in which every file was rejected.
pub(crate) fn all_rejected(path: &str, reason: &str, others: usize) -> Failure {
    let others = match others {
        0 => String::new(),
        1 => "; the other file was rejected too".to_owned(),
        others => format!("; the other {others} files were rejected too"),
    };
    Failure::Failed(format!("{path}: {reason}{others}"))
}

/// No record counted is a failure in words, not an empty report that looks clean.
fn refuse_nothing(files: &[InputFile], coverage: &Coverage) -> Result<(), Failure> {
    if coverage.rows.read > 0 {
        return Ok(());
    }
    if coverage.files.read + coverage.files.pruned == 0
        && let Some(first) = coverage.rejected_files.first()
    {
        return Err(all_rejected(&first.path, &first.reason, coverage.rejected_files.len() - 1));
    }
    let first = files.first().map(|file| file.path.display().to_string()).unwrap_or_default();
    let place = if files.len() == 1 { first } else { format!("{first} and {} more", files.len() - 1) };
    let cause = if coverage.rows.rejected > 0 {
        let (what, why) = rejections(coverage);
        let remedy = "see which columns map to what with slowleak inspect";
        format!("no usable record: {what} rejected ({remedy}){why}")
    } else if coverage.rows.pruned > 0 {
        let pruned = coverage.rows.pruned;
        format!(
            "no record in the time range: {pruned} lie outside (correct --since, --until, --as-of or --keep-days)"
        )
    } else {
        "there is no record in it (name files that hold some)".to_owned()
    };
    Err(Failure::Failed(format!("{place}: {cause}")))
}

fn is_partial(coverage: &Coverage) -> bool {
    coverage.files.rejected > 0 || coverage.rows.rejected > 0 || !coverage.rejected_values.is_empty()
}

/// What was rejected: counts in words, and reasons a line each: of rows, of values, of the first files.
fn rejections(coverage: &Coverage) -> (String, String) {
    let values: u64 = coverage.rejected_values.iter().map(|(_, values)| values).sum();
    let counts = [
        (coverage.files.rejected, "file", "files"),
        (coverage.rows.rejected, "row", "rows"),
        (values, "value", "values"),
    ];
    let counts = counts.into_iter().filter(|(number, ..)| *number > 0);
    let counts: Vec<String> = counts.map(|(number, one, many)| count(number, one, many)).collect();
    let mut files = String::new();
    for (rows, reason) in rejected_rows(coverage) {
        files.push_str(&format!("\n  {}: {reason}", count(rows, "row", "rows")));
    }
    for (values, reason) in rejected_values(coverage) {
        files.push_str(&format!("\n  {}: {reason}", count(values, "value", "values")));
    }
    for file in coverage.rejected_files.iter().take(NAMED) {
        files.push_str(&format!("\n  {}: {}", file.path, file.reason));
    }
    let more = coverage.rejected_files.len().saturating_sub(NAMED);
    if more > 0 {
        files.push_str(&format!("\n  and {more} more files"));
    }
    (counts.join(", "), files)
}

/// Stage 2: what was gathered of a stored rollup to findings, and how much of the registry the log knows (`None` where
/// it is empty). `written` names the views that have no cells and so may be missing in `gather`.
///
/// # Errors
/// The cells that a finding needs can not be read.
pub(crate) fn judge(
    gather: Gather<'_>,
    written: &[Written],
    rollup: &(impl Lookup<Error = RollupError> + Sync),
    outside: &Outside,
    judging: &Judging,
) -> Result<(Detection, Option<RegistryMatch>), Failure> {
    let registry = &outside.registry;
    let left_out = gather.left_out();
    let days = gather.finish(written);
    warn_of_missing_views(&days);
    warn_of_unjudged_sources(&days);
    warn_of_missing_regions(&days, registry, judging);
    let issues = outside.issues(&days)?;
    let mut detection = detect(&days, rollup, Known { registry, issues: issues.as_ref() }, &judging.config)?;
    // Those that were not kept have been looked at, too: they did too little.
    for family in &mut detection.scope.families {
        let of_family = left_out.iter().filter(|(view, _)| view.dimension == family.dimension);
        family.entities += of_family.map(|(_, entities)| *entities).max().unwrap_or(0);
    }
    detection.suppress(&judging.suppressions);
    warn_of_expired(&detection);
    if !judging.show_suppressed {
        detection.findings.retain(|finding| finding.suppressed.is_none());
    }
    if *registry == Registry::default() {
        return Ok((detection, None));
    }
    let tables = |field: Field| days.iter().filter(move |table| table.view.dimension.parts() == [field]);
    let in_log = |field: Field, name: &str| tables(field).any(|table| table.find(name).is_some());
    let matched = registry.matched(|key| in_log(Field::Key, key), |user| in_log(Field::User, user));
    for (file, rows, field, absent) in [
        (&judging.keys, &matched.keys, Field::Key, "keys are not in the log"),
        (&judging.people, &matched.people, Field::User, "people neither act in the log nor own a key in it"),
    ] {
        let (Some(file), Some(rows)) = (file, rows) else { continue };
        let Some(first) = rows.first_absent.as_ref() else { continue };
        let cause = format!("{} of {} {absent}, {first:?} for one", rows.absent(), rows.listed);
        let remedy = match tables(field).next() {
            Some(_) => "check that ids are written as the log writes them".to_owned(),
            None => format!("nothing was counted by {field} alone: add --view {field}@1h:events"),
        };
        warn(&InputError::new(file, cause).remedy(remedy).to_string());
    }
    Ok((detection, Some(matched)))
}

/// Who used which key, and who read which object, tells a leak from a new colleague: without such a view, although both
/// sides of it are there, honest rises are reported as leaks.
fn warn_of_missing_views(days: &[DayTable]) {
    let has = |parts: &[Field]| days.iter().any(|table| table.view.dimension.parts() == parts);
    for view in View::defaults() {
        let parts = view.dimension.parts();
        if parts.len() > 1 && !has(parts) && parts.iter().all(|field| has(&[*field])) {
            let dimension = &view.dimension;
            warn(&format!(
                "the rollup has no view by {dimension}: honest causes of a rise that it would show are not seen \
                 (count with --view {dimension}@{}:events, too)",
                view.window
            ));
        }
    }
}

/// New sources are judged by who touched what from where; a rollup of an earlier version does not have it.
fn warn_of_unjudged_sources(days: &[DayTable]) {
    let of = |parts: &[Field]| days.iter().find(|table| table.view.dimension.parts() == parts);
    let (Some(sources), Some(objects)) = (of(&[Field::Key, Field::Source]), of(&[Field::Key, Field::Object]))
    else {
        return;
    };
    match of(&[Field::Source, Field::Object]) {
        None => warn(
            "the rollup has no view by source+object: new sources are not judged by what they touch (count with --view \
             source+object@7d:events, too)",
        ),
        Some(pairs) if [pairs, sources, objects].iter().any(|table| table.partial) => {
            warn("more sources than are kept: new sources are not judged by what they touch");
        }
        Some(_) => {}
    }
}

/// Regions that the registry allows mean nothing where nobody counted what regions keys were used from.
fn warn_of_missing_regions(days: &[DayTable], registry: &Registry, judging: &Judging) {
    let counted = days.iter().find(|table| table.view.dimension.parts() == [Field::Key, Field::Region]);
    let (Some(keys), true) = (&judging.keys, registry.has_regions()) else { return };
    let remedy = match counted {
        Some(table) if !table.entities.is_empty() => return,
        Some(_) => "the log has no region: map its column with --map",
        None => "count it, too: add --view key+region@1h:events",
    };
    let cause = "no key is judged by the regions that it is allowed";
    warn(&InputError::new(keys, cause).remedy(remedy).to_string());
}

/// Whoever answers for a suppression must renew it or look at what it hid.
fn warn_of_expired(detection: &Detection) {
    for one in detection.suppressions.iter().filter(|one| one.expired) {
        let (patterns, owner) = (one.patterns(), &one.suppression.owner);
        let until = one.suppression.expires;
        let findings = count(one.findings, "finding", "findings");
        warn(&format!(
            "the suppression of {patterns} expired at {until}, before the data ends, and hides nothing: {findings} it \
             would match ({owner} has to look at it again, or to take it out)"
        ));
    }
}

/// Stages the report files.
pub(crate) fn stage_report(staging: &Staging, run: &Run<'_>) -> Result<(), Failure> {
    write_outputs(staging.path(), run).map_err(|error| Failure::Failed(error.to_string()))
}

/// The staged `coverage.json`, for the JSON answer.
pub(crate) fn staged_coverage(staging: &Staging) -> Value {
    coverage_in(staging.path())
}

/// The `coverage.json` of a folder, for the JSON answer.
pub(crate) fn coverage_in(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("coverage.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// How the run ended, told on standard error where part of the input was rejected.
pub(crate) fn complete(
    coverage: Option<&Coverage>,
    findings: &[Finding],
    judging: Option<&Judging>,
    out: &Path,
) -> Completion {
    let rejected = coverage.is_some_and(is_partial);
    if let Some(coverage) = coverage.filter(|coverage| is_partial(coverage)) {
        let (what, files) = rejections(coverage);
        let account = out.join("coverage.json");
        warn(&format!("{what} rejected; {} has the account{files}", account.display()));
    }
    let bound = judging.and_then(|judging| judging.fail_on);
    let alarmed = bound.is_some_and(|bound| {
        findings.iter().any(|finding| finding.suppressed.is_none() && finding.severity >= bound)
    });
    Completion { rejected, alarmed }
}
