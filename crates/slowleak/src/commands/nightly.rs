//! `slowleak nightly`: what is new since the last night, counted; the whole log, judged; what changed, told.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use slowleak_nightly::{
    CHANGES, Change, Counted, Extent, Folder, LEAKS, Measured, Message, News, Night, State, Telling,
    Undelivered, Webhook, checksums, count_night, follow, holds, json_lines, last_success, leak_lines,
    messages, prometheus, stored_views, with_outbox,
};
use slowleak_record::{InputFile, Micros, discover, sync_folder};
use slowleak_report::{Run, read_findings, summary};
use slowleak_scan::SUBJECT_HASH_VERSION;

use crate::answer::{FindingAnswer, NightAnswer, RunAnswer};
use crate::cli::Format;
use crate::commands::scan::names;
use crate::failure::{Completion, Failure};
use crate::outside::Outside;
use crate::pipeline::{self, Stopwatch};
use crate::refusal::{refuse_foreign_results, refuse_out_among_logs, refuse_overlap};
use crate::settings::{Counting, Input, Nightly};
use crate::staging::{RESULTS, Staging};
use crate::terminal::{Terminal, count, warn};

const METRICS: &str = "metrics.prom";

pub(crate) fn run(settings: &Nightly, terminal: &Terminal) -> Result<Completion, Failure> {
    let Nightly { input, state, extent, counting, judging, .. } = settings;
    let files = discover(&input.paths)?;
    refuse_out_among_logs(&input.paths, state)?;
    refuse_overlap(&files, &state.join("out"))?;
    let outside = Outside::read(judging)?;
    let counting = &outside.counting(counting);
    stored_views(&counting.views).map_err(Failure::Usage)?;
    let mut folder = Folder::open(state, &counted(input, counting))?;
    let results: Vec<&str> = RESULTS.into_iter().chain([CHANGES, LEAKS]).collect();
    refuse_foreign_results(&folder.out(), &results)?;

    let mut watch = Stopwatch::start();
    let mut night = tonight(&folder, &files, input, counting, extent, terminal)?;
    pipeline::check_counted(&files, &night.coverage, counting)?;
    tell_news(&night.news, extent);
    watch.lap("count");
    night.next.judged = judging.checksum(&names(&input.paths))?;
    if is_as_before(&folder, &night)? {
        return nothing_new(settings, &mut folder, &night, terminal, watch);
    }
    let out = folder.out();
    let staging = Staging::new(&out)?;
    let mut gather = pipeline::gather(&outside, judging);
    let rollup = night.rollup(&folder)?;
    let written = rollup.gather(&mut gather)?;
    pipeline::refuse_no_view(&written, counting)?;
    watch.lap("read rollup");
    let (detection, matched) = pipeline::judge(gather, &written, &rollup, &outside, judging)?;
    watch.lap("detect");
    let inputs = names(&input.paths);
    let run = Run {
        inputs: &inputs,
        out: Some(&out),
        registry: matched.as_ref(),
        ..Run::new(&detection, Some(&night.coverage))
    };
    pipeline::stage_report(&staging, &run)?;
    let coverage_json = pipeline::staged_coverage(&staging);
    // Without records years ahead, of clocks that were wrong: nothing would be open at such an end.
    let end = [run.data_end(), detection.scope.end].into_iter().flatten().min().unwrap_or(Micros(0));
    let kept_from =
        night.next.kept_from.map_or(Micros(i64::MIN), |day| Micros(day.saturating_mul(Micros::DAY)));
    let (leaks, changes) = follow(&folder.state().leaks, &detection.findings, kept_from, end);
    let telling = Telling { night: night.next.night + 1, end };
    if settings.webhook.is_some() {
        let more = messages(&changes, &folder.state().leaks, settings.webhook_severity, telling);
        night.next.outbox.extend(more);
    }
    let encoded = |error: serde_json::Error| Failure::Failed(format!("{}: {error}", out.display()));
    stage(&staging, CHANGES, &json_lines(&changes, telling).map_err(encoded)?)?;
    stage(&staging, LEAKS, &leak_lines(&leaks).map_err(encoded)?)?;
    watch.lap("report");
    night.next.leaks = leaks;
    night.next.night = telling.night;
    stage_metrics(&staging, &out, &night, &changes, extent, end, &watch)?;
    let sums = checksums(staging.path()).map_err(|error| Failure::at(&out, error, "run again"))?;
    night.next.results = sums;
    staging.commit(&results)?;
    // The state says that its changes were told: they must be on the disk before it is.
    sync_folder(&out).map_err(|error| Failure::at(&out, error, "check the disk, and run again"))?;
    folder.commit(night.next.clone())?;
    deliver(settings, &mut folder)?;
    match terminal.format {
        Format::Text => {
            let news = words(&night, &changes);
            terminal.summary(&format!("{news}{}", summary(&run, terminal.width, terminal.color)))?;
        }
        Format::Json => terminal.json(&NightAnswer {
            run: RunAnswer {
                command: "nightly",
                out: &out,
                findings: Some(detection.findings.iter().map(FindingAnswer::from).collect()),
                coverage: coverage_json,
                quality: None,
                note: None,
                seconds: watch.seconds,
            },
            night: account(&night, &changes),
        })?,
    }
    Ok(pipeline::complete(Some(&night.coverage), &detection.findings, Some(judging), &out))
}

/// What the cells of the state are made of.
fn counted(input: &Input, counting: &Counting) -> Counted {
    Counted {
        views: counting.views.iter().map(ToString::to_string).collect(),
        mapping: input.mapping.fingerprint(),
        subject_hash: SUBJECT_HASH_VERSION,
    }
}

fn tonight(
    folder: &Folder,
    files: &[InputFile],
    input: &Input,
    counting: &Counting,
    extent: &Extent,
    terminal: &Terminal,
) -> Result<Night, Failure> {
    // How many records are new is not known before they are read.
    let progress = terminal.progress("reading", 0);
    let night = count_night(
        folder,
        files,
        &slowleak_nightly::Counting {
            views: &counting.views,
            mapping: &input.mapping,
            io: input.io,
            decoder: input.decoder,
            memory: counting.memory,
            progress: &|records| progress.add(records),
        },
        extent,
    )?;
    Ok(night)
}

/// Whether the night is the one before: nothing of it has to be written.
fn is_as_before(folder: &Folder, night: &Night) -> Result<bool, Failure> {
    if folder.is_new() || night.next != *folder.state() {
        return Ok(false);
    }
    let out = folder.out();
    let holds = holds(&out, &night.next.results);
    let holds = holds.map_err(|error| Failure::at(&out, error, "check permissions"))?;
    Ok(holds && out.join(METRICS).is_file())
}

/// Ends a night without news: all that it leaves is the time at which the metrics were last confirmed.
fn nothing_new(
    settings: &Nightly,
    folder: &mut Folder,
    night: &Night,
    terminal: &Terminal,
    watch: Stopwatch,
) -> Result<Completion, Failure> {
    let out = folder.out();
    let metrics = out.join(METRICS);
    deliver(settings, folder)?;
    let touched =
        File::options().append(true).open(&metrics).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        warn(&format!(
            "{}: its time can not be set: {error} (it tells monitoring when a run succeeded)",
            metrics.display()
        ));
    }
    let findings = read_findings(&out)?;
    match terminal.format {
        Format::Text => {
            let text = format!("Nothing new since the last night: {} is as it was.\n", out.display());
            terminal.summary(&text)?;
        }
        Format::Json => terminal.json(&NightAnswer {
            run: RunAnswer {
                command: "nightly",
                out: &out,
                findings: Some(findings.iter().map(FindingAnswer::from).collect()),
                coverage: pipeline::coverage_in(&out),
                quality: None,
                note: None,
                seconds: watch.seconds,
            },
            night: account(night, &[]),
        })?,
    }
    Ok(pipeline::complete(Some(&night.coverage), &findings, Some(&settings.judging), &out))
}

/// Says what happened to files that had been counted: nobody should have to look for it.
fn tell_news(news: &News, extent: &Extent) {
    let told = [
        (&news.replaced, "was replaced", "were replaced", "its days are counted anew"),
        (
            &news.removed,
            "is gone",
            "are gone",
            "its records no longer count (--removed keep lets them count)",
        ),
        (&news.rotated, "is gone", "are gone", "its records still count, as --removed keep says"),
    ];
    for (files, one, many, what) in told {
        let Some(first) = files.first() else { continue };
        let what = if files.len() == 1 { what.to_owned() } else { what.replacen("its", "their", 1) };
        let verb = if files.len() == 1 { one } else { many };
        let files = count(files.len() as u64, "file", "files");
        warn(&format!("{files} that had been counted {verb}, {first} for one: {what}"));
    }
    if news.forgotten > 0 {
        let records = count(news.forgotten, "record", "records");
        warn(&format!("{records} of tonight's lie before the days that are kept, and do not count"));
    }
    if let Some(day) = news.kept_from {
        let asked = extent.keep_days.map_or("all days".to_owned(), |days| format!("{days} days"));
        let first = Micros(day.saturating_mul(Micros::DAY));
        warn(&format!(
            "{asked} are to be kept, and those before {first} were forgotten on an earlier night (to have them again, \
             begin a new --state)"
        ));
    }
}

/// What the night brought, in a line.
fn words(night: &Night, changes: &[Change<'_>]) -> String {
    let news = &night.news;
    let mut text = format!(
        "{} from {} tonight",
        count(news.records, "record", "records"),
        count(news.counted as u64, "file", "files")
    );
    for (days, what) in [(news.late.len(), "with late records"), (news.again.len(), "counted anew")] {
        if days > 0 {
            text.push_str(&format!("; {} {what}", count(days as u64, "earlier day", "earlier days")));
        }
    }
    let told = match changes.len() {
        0 => "nothing to announce".to_owned(),
        changes => format!("{} announced in {CHANGES}", count(changes as u64, "change", "changes")),
    };
    format!("{text}; {told}.\n\n")
}

/// The same for machines.
fn account(night: &Night, changes: &[Change<'_>]) -> Value {
    let news = &night.news;
    json!({
        "night": night.next.night,
        "records": news.records,
        "files": {
            "counted": news.counted,
            "new": news.new,
            "replaced": news.replaced,
            "removed": news.removed,
            "rotated": news.rotated,
        },
        "days": { "late": news.late.len(), "again": news.again.len() },
        "segments": night.next.segments.len(),
        "changes": changes.iter().map(|change| json!({
            "id": change.leak.id,
            "finding_id": change.leak.finding,
            "status": change.status.name(),
            "severity": change.leak.severity,
        })).collect::<Vec<_>>(),
    })
}

fn stage(staging: &Staging, name: &str, text: &str) -> Result<(), Failure> {
    let path = staging.path().join(name);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::at(&path, format!("can not be written: {error}"), "check permissions and space")
    })
}

/// Adds what is measured of the night to the metrics of the run.
fn stage_metrics(
    staging: &Staging,
    out: &Path,
    night: &Night,
    changes: &[Change<'_>],
    extent: &Extent,
    end: Micros,
    watch: &Stopwatch,
) -> Result<(), Failure> {
    let seconds = |time: Micros| time.0 as f64 / Micros::SECOND as f64;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs() as f64);
    let before = fs::read_to_string(out.join(METRICS)).ok().and_then(|page| last_success(&page));
    let success = match before.filter(|before| now < *before) {
        None => now,
        Some(before) => {
            let at = |seconds: f64| Micros((seconds * Micros::SECOND as f64) as i64);
            warn(&format!(
                "the clock says {}, and the last night was at {} (set it right: the metrics keep the later time; \
                 nothing else goes by the clock)",
                at(now),
                at(before)
            ));
            before
        }
    };
    let last = night.coverage.time.map(|_| seconds(end));
    let speaks_for = extent.as_of.map_or(success, seconds);
    let page = prometheus(&Measured {
        success,
        lag: last.map(|last| speaks_for - last),
        seconds: &watch.seconds,
        news: &night.news,
        rejected: night.coverage.rejected_files.len(),
        segments: night.next.segments.len(),
        changes,
        leaks: &night.next.leaks,
        outbox: night.next.outbox.len(),
    });
    let path = staging.path().join(METRICS);
    let of_run = fs::read_to_string(&path).map_err(|error| Failure::at(&path, error, "run again"))?;
    stage(staging, METRICS, &(of_run + &page))
}

/// Posts what waits. What does not arrive waits for the next night; the night itself is complete.
fn deliver(settings: &Nightly, folder: &mut Folder) -> Result<(), Failure> {
    let waiting = folder.state().outbox.clone();
    let messages = |number: usize| count(number as u64, "message", "messages");
    let left = match &settings.webhook {
        Some(webhook) => posted(webhook, &waiting),
        None => {
            if !waiting.is_empty() {
                let waiting = messages(waiting.len());
                warn(&format!(
                    "{waiting} wait to be posted, and there is no --webhook (give it, to send them)"
                ));
            }
            &waiting
        }
    };
    if left.len() < waiting.len() {
        let state = State { outbox: left.to_vec(), ..folder.state().clone() };
        folder.commit(state)?;
    }
    measure_outbox(&folder.out().join(METRICS), left.len());
    Ok(())
}

/// Posts messages in their order; gives those that have to be tried again.
fn posted<'m>(webhook: &Webhook, waiting: &'m [Message]) -> &'m [Message] {
    for (at, message) in waiting.iter().enumerate() {
        match webhook.post(message) {
            Ok(()) => {}
            Err(Undelivered { cause, refused: true }) => warn(&format!(
                "webhook: {cause}: the message about {} is not liked, and is not sent again (it is in {LEAKS}, too)",
                message.id
            )),
            // Where one does not arrive, no other would.
            Err(Undelivered { cause, .. }) => {
                let kept = count((waiting.len() - at) as u64, "message", "messages");
                warn(&format!(
                    "webhook: {cause}: {kept} kept, to be sent next night (findings are in {LEAKS}, too)"
                ));
                return &waiting[at..];
            }
        }
    }
    &[]
}

/// Brings the metrics up to date with what was posted after they were written.
fn measure_outbox(path: &Path, waiting: usize) {
    let fresh = path.with_file_name(".metrics.prom.new");
    let written = fs::read_to_string(path).and_then(|page| match with_outbox(&page, waiting) {
        same if same == page => Ok(()),
        changed => fs::write(&fresh, changed).and_then(|()| fs::rename(&fresh, path)),
    });
    if let Err(error) = written {
        warn(&format!(
            "{}: can not be brought up to date: {error} (check permissions and space)",
            path.display()
        ));
    }
}
