//! `slowleak replay`: history lived through again, night by night, from one pass over the log.

use rayon::prelude::*;
use serde_json::{Value, json};
use slowleak_detect::{Detection, Severity};
use slowleak_nightly::{Course, History, Past, Told};
use slowleak_record::{Micros, discover};
use slowleak_report::{Replayed, ReplayedPhase, replay_summary, write_coverage, write_replay};
use slowleak_rollup::{Lookup as _, Metric, RollupError, Sketch, View};

use crate::answer::{FindingAnswer, ReplayAnswer};
use crate::cli::Format;
use crate::commands::scan::names;
use crate::failure::{Completion, Failure};
use crate::outside::Outside;
use crate::pipeline::{self, Stopwatch};
use crate::refusal::{refuse_foreign_results, refuse_other_results, refuse_out_among_logs, refuse_overlap};
use crate::settings::{Counting, Replay, Variant};
use crate::staging::Staging;
use crate::terminal::{Terminal, count, hushed, warn};

/// What it writes under `--out`.
const WRITTEN: [&str; 3] = ["replay.parquet", "replay.svg", "coverage.json"];

/// Most nights that are judged at once: detection has stretches that one thread does alone, and each night holds the numbers
/// by day that it judges.
const AT_ONCE: usize = 4;

pub(crate) fn run(settings: &Replay, terminal: &Terminal) -> Result<Completion, Failure> {
    let Replay { input, out, nights, forgets, counting, variants } = settings;
    let files = discover(&input.paths)?;
    refuse_out_among_logs(&input.paths, out)?;
    refuse_overlap(&files, out)?;
    refuse_other_results(out)?;
    refuse_foreign_results(out, &WRITTEN)?;
    let outsides: Vec<Outside> =
        variants.iter().map(|variant| Outside::read(&variant.judging)).collect::<Result<_, _>>()?;
    let countings: Vec<Counting> = outsides.iter().map(|outside| outside.counting(counting)).collect();
    let mut views: Vec<View> = countings.iter().flat_map(|counting| counting.views.clone()).collect();
    views.sort();
    views.dedup();
    slowleak_nightly::stored_views(&views).map_err(Failure::Usage)?;
    let (Some(first), Some(last)) = (nights.first(), nights.last()) else {
        return Err(Failure::Usage("there is no night between --from and --to".to_owned()));
    };

    let staging = Staging::new(out)?;
    let scratch = staging.scratch()?;
    let mut watch = Stopwatch::start();
    let progress = terminal.progress("reading", 0);
    let of_log = slowleak_nightly::Counting {
        views: &views,
        mapping: &input.mapping,
        io: input.io,
        decoder: input.decoder,
        memory: counting.memory,
        progress: &|records| progress.add(records),
    };
    let history = History::count(&files, &of_log, *last, scratch.path())?;
    drop(progress);
    let coverage = &history.coverage;
    if coverage.rows.read == 0 && coverage.rows.pruned > 0 {
        let later = count(coverage.rows.pruned, "record lies", "records lie");
        let inputs = names(&input.paths).join(" ");
        return Err(Failure::Failed(format!(
            "{inputs}: no record before --to {last}: {later} later (correct --to)"
        )));
    }
    pipeline::check_counted(&files, coverage, counting)?;
    pipeline::refuse_no_view(&history.written, counting)?;
    // Where --to cuts the log, it goes on.
    if let Some((_, end)) = coverage.time.filter(|(_, end)| end < first && coverage.rows.pruned == 0) {
        warn(&format!(
            "the log ends at {end}, before --from {first}: every night tells the same (correct --from)"
        ));
    }
    if *forgets {
        warn("keep_days of [nightly] is not heeded: every night knows the whole log before it (take it out)");
    }
    watch.lap("count");

    let progress = terminal.progress("nights", (nights.len() * variants.len()) as u64);
    let mut replayed = Vec::new();
    for ((variant, outside), counting) in variants.iter().zip(&outsides).zip(&countings) {
        let lives = Life { first: *first, variant, outside, views: &counting.views, history: &history };
        replayed.push(lives.live(nights, &|| progress.add(1))?);
    }
    drop(progress);
    watch.lap("nights");

    let rows: Vec<Replayed> = replayed.iter().flat_map(|lived| lived.rows.clone()).collect();
    write_replay(staging.path(), &rows, *last).map_err(|error| Failure::Failed(error.to_string()))?;
    write_coverage(staging.path(), coverage).map_err(|error| Failure::Failed(error.to_string()))?;
    let coverage_json = pipeline::staged_coverage(&staging);
    drop(scratch);
    staging.commit(&WRITTEN)?;
    watch.lap("report");
    match terminal.format {
        Format::Text => {
            for (variant, lived) in variants.iter().zip(&replayed) {
                let lead = lead(&variant.name, variants.len() > 1, lived, (*first, *last));
                let text = replay_summary(&lead, &lived.rows, terminal.width, terminal.color);
                terminal.summary(&format!("{text}\n"))?;
            }
            let (table, picture) = (out.join(WRITTEN[0]), out.join(WRITTEN[1]));
            terminal.summary(&format!(
                "One row a leak, with all of its columns: {}\nAs a picture: {}\n",
                table.display(),
                picture.display()
            ))?;
        }
        Format::Json => terminal.json(&ReplayAnswer {
            command: "replay",
            out,
            nights: nights.iter().map(ToString::to_string).collect(),
            settings: variants.iter().zip(&replayed).map(|(variant, lived)| answer(variant, lived)).collect(),
            coverage: coverage_json,
            seconds: watch.seconds,
        })?,
    }
    let mut completion = pipeline::complete(Some(coverage), &[], None, out);
    for (variant, lived) in variants.iter().zip(&replayed) {
        let findings = &lived.last.findings;
        completion.alarmed |= pipeline::complete(None, findings, Some(&variant.judging), out).alarmed;
    }
    Ok(completion)
}

/// What all nights under some settings told.
struct Lived {
    rows: Vec<Replayed>,
    /// Nights on which there was anything to judge.
    judged: usize,
    /// What the last night found.
    last: Detection,
}

/// What nights under some settings go by.
struct Life<'a> {
    /// The first night.
    first: Micros,
    variant: &'a Variant,
    outside: &'a Outside,
    views: &'a [View],
    history: &'a History,
}

impl Life<'_> {
    /// Lives the nights in their order; some are judged at once.
    fn live(&self, nights: &[Micros], done: &(dyn Fn() + Sync)) -> Result<Lived, Failure> {
        let (mut course, mut judged) = (Course::default(), 0);
        let mut last: Option<(Past, Detection)> = None;
        let in_all = match nights.last() {
            Some(night) => self.history.until(*night, self.views)?.map(|past| past.records),
            None => None,
        };
        for some in nights.chunks(rayon::current_num_threads().min(AT_ONCE)) {
            let mut pasts: Vec<(Micros, Option<Past>)> = Vec::new();
            let mut records = last.as_ref().map_or(0, |(past, _)| past.records);
            for night in some {
                let past = self.history.until(*night, self.views)?;
                judged += usize::from(past.is_some());
                let past = past.filter(|past| std::mem::replace(&mut records, past.records) < past.records);
                pasts.push((*night, past));
            }
            let judge = |(night, past): (Micros, Option<Past>)| {
                let detection = past.as_ref().map(|past| {
                    // Every night would say the same of what can not be judged: the last one does.
                    hushed(in_all != Some(past.records), || self.judge(past))
                });
                done();
                (night, past.zip(detection))
            };
            let told: Vec<_> = pasts.into_par_iter().map(judge).collect();
            for (night, news) in told {
                match news {
                    Some((past, detection)) => {
                        let detection = detection?;
                        course.night(night, &detection.findings, past.end);
                        last = Some((past, detection));
                    }
                    None => course.same_night(),
                }
            }
        }
        let told = course.told();
        let rows = match &last {
            Some((past, _)) => {
                told.into_iter().map(|told| self.row(told, past)).collect::<Result<_, RollupError>>()?
            }
            None => Vec::new(),
        };
        Ok(Lived { rows, judged, last: last.map(|(_, detection)| detection).unwrap_or_default() })
    }

    /// What a scan of that night would have found.
    fn judge(&self, past: &Past) -> Result<Detection, Failure> {
        let judging = &self.variant.judging;
        let mut gather = pipeline::gather(self.outside, judging);
        let written = past.rollup.gather(&mut gather)?;
        Ok(pipeline::judge(gather, &written, &past.rollup, self.outside, judging)?.0)
    }

    fn row(&self, told: Told, past: &Past) -> Result<Replayed, RollupError> {
        let subjects_by_then = self.subjects_by_then(&told, past)?;
        let Told { leak, finding, first_reported, first, nights, stands, phases } = told;
        let phases = finding.phases().into_iter().zip(phases).map(|(phase, first_reported)| ReplayedPhase {
            start: phase.start,
            end: phase.end,
            first_reported,
        });
        let mut phases: Vec<ReplayedPhase> = phases.collect();
        if phases.is_empty() {
            phases.push(ReplayedPhase { start: finding.start, end: finding.end, first_reported });
        }
        Ok(Replayed {
            settings: self.variant.name.clone(),
            subjects_by_then,
            finding,
            told_id: leak.id,
            status: leak.status.name(),
            merged_into: leak.merged_into,
            first_reported,
            at_first_night: first_reported <= self.first,
            phases,
            first_severity: first.severity,
            nights,
            stands,
            taken_by_then: first.taken,
        })
    }

    /// Distinct subjects that the places which lead its phases had touched by the night of the first report: of the same
    /// sketches as the number at last, as far as that night had them.
    fn subjects_by_then(&self, told: &Told, past: &Past) -> Result<Option<f64>, RollupError> {
        let Some(all) = told.finding.subjects else { return Ok(None) };
        let mut union = Sketch::default();
        for phase in told.finding.phases() {
            let counted = |view: &&View| {
                view.dimension == phase.dimension && view.metrics().contains(&Metric::Subjects)
            };
            let Some(view) = self.views.iter().filter(counted).min_by_key(|view| view.window) else {
                return Ok(None);
            };
            let until = phase.end.min(told.first_reported);
            if phase.start < until {
                let view = View::new(view.dimension.clone(), view.window, [Metric::Subjects]);
                union.merge(&past.rollup.entity(&view, &phase.entity)?.union(&(phase.start..until)));
            }
        }
        Ok(Some(union.estimate().min(all)))
    }
}

/// What the nights told, in a line.
fn lead(name: &str, named: bool, lived: &Lived, (first, last): (Micros, Micros)) -> String {
    let date = |time: Micros| time.to_string().chars().take(10).collect::<String>();
    let nights = count(lived.judged as u64, "night", "nights");
    let told = count(lived.rows.len() as u64, "leak", "leaks");
    let gone = lived.rows.iter().filter(|row| !row.stands).count();
    let serious = lived.rows.iter().filter(|row| row.stands && row.finding.severity >= Severity::Medium);
    let name = if named { format!("{name}: ") } else { String::new() };
    format!(
        "{name}{nights} from {} to {}; {told} told, {} of them medium or worse to the end, {gone} taken back or merged",
        date(first),
        date(last),
        serious.count()
    )
}

fn answer(variant: &Variant, lived: &Lived) -> Value {
    let phase = |phase: &ReplayedPhase| {
        json!({
            "start": phase.start.to_string(),
            "end": phase.end.to_string(),
            "first_reported": phase.first_reported.to_string(),
            "delay_hours": phase.delay_hours(),
        })
    };
    let row = |row: &Replayed| {
        json!({
            "told_id": row.told_id,
            "status": row.status,
            "merged_into": row.merged_into,
            "first_reported": row.first_reported.to_string(),
            "phases": row.phases.iter().map(phase).collect::<Vec<_>>(),
            "first_severity": row.first_severity.name(),
            "delay_hours": row.delay_hours(),
            "nights": row.nights,
            "stands": row.stands,
            "at_first_night": row.at_first_night,
            "subjects_by_then": row.subjects_by_then,
            "subjects_after": row.subjects_after(),
            "taken_by_then": row.taken_by_then,
            "finding": FindingAnswer::from(&row.finding),
        })
    };
    json!({
        "name": variant.name,
        "nights_judged": lived.judged,
        "leaks": lived.rows.iter().map(row).collect::<Vec<_>>(),
    })
}
