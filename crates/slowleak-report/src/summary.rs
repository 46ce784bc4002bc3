//! A run on one screen, for someone who was just woken: what leaked, how sure that is, what to do, and
//! what could not be seen.

use std::cmp::Reverse;

use slowleak_detect::{Detector, Finding, Severity};
use slowleak_record::{Matched, RegistryMatch};
use slowleak_rollup::Metric;
use slowleak_scan::Coverage;

use crate::escape::{brief, visible};
use crate::layout::{BOLD, Sheet, severity_style};
use crate::series::Series;
use crate::{Run, advice, coverage, rules, suppressed, words};

/// Findings that are told in full; the rest stand in the table.
const TOLD: usize = 10;

/// Rows of the table.
const LISTED: usize = 50;

/// The run as text that fits `width` columns; with `color`, ANSI styles mark severities. Times are UTC.
pub fn summary(run: &Run<'_>, width: usize, color: bool) -> String {
    let mut sheet = Sheet::new(width, color);
    headline(&mut sheet, run);
    if !run.detection.findings.is_empty() {
        sheet.gap();
        table(&mut sheet, &run.detection.findings);
    }
    let serious = run.reported().filter(|finding| finding.severity >= Severity::Medium);
    for finding in serious.clone().take(TOLD) {
        sheet.gap();
        story(&mut sheet, run, finding);
    }
    let untold = serious.count().saturating_sub(TOLD);
    if untold > 0 {
        sheet.gap();
        sheet.paragraph(0, "", &format!("{untold} more of severity medium or worse: see report.html."));
    }
    sheet.gap();
    examined(&mut sheet, run);
    read(&mut sheet, run.coverage);
    for line in missing(run) {
        sheet.paragraph(10, "", &line);
    }
    for line in not_in_log(run) {
        sheet.paragraph(10, "", &line);
    }
    suppressed(&mut sheet, run);
    sheet.finish()
}

fn suppressed(sheet: &mut Sheet, run: &Run<'_>) {
    let lines = suppressed::lines(run);
    let Some((all, each)) = lines.split_first() else { return };
    sheet.styled(0, "Hidden    ", BOLD, all);
    for line in each {
        sheet.paragraph(10, "", line);
    }
}

/// What a run without findings says; what could not be examined is said beside it.
const NOTHING: &str = "Nothing found: no leak stood out in what could be examined.";

/// What a run says whose findings are all suppressed.
const ALL_HIDDEN: &str = "Nothing to report: every finding is suppressed by the settings.";

/// What a run says that reports no finding.
pub(crate) fn nothing(run: &Run<'_>) -> &'static str {
    if run.detection.suppressed() > 0 { ALL_HIDDEN } else { NOTHING }
}

fn headline(sheet: &mut Sheet, run: &Run<'_>) {
    let Some(worst) = run.reported().next() else {
        let part = if limits(run) { " Part of it could NOT be examined: see below." } else { "" };
        sheet.styled(0, "", BOLD, &format!("{}{part}", nothing(run)));
        return;
    };
    let lead = format!("{}: ", worst.severity.name().to_uppercase());
    let mut text = verdict(worst, 60);
    if run.reported().count() > 1 {
        let counts = run.by_severity();
        let counts = counts.iter().rev().filter(|(_, count)| *count > 0);
        let counts: Vec<String> = counts.map(|(severity, count)| format!("{count} {severity}")).collect();
        text.push_str(&format!(" Findings in all: {}.", counts.join(", ")));
    }
    sheet.styled(0, &lead, severity_style(worst.severity), &text);
}

/// What happened, when and how sure, in one breath; identifiers take at most `width` columns.
pub(crate) fn verdict(finding: &Finding, width: usize) -> String {
    let accounts = match finding.subjects {
        Some(subjects) if finding.metric != Metric::Subjects => {
            format!(" and touched {}", words::quantity(Metric::Subjects, subjects))
        }
        _ => String::new(),
    };
    let certainty = match finding.expected_false {
        None => "This is a fact, not a likelihood".to_owned(),
        Some(_) => format!("How sure: {}", words::verdict(finding, |cause| visible(cause).into_owned())),
    };
    format!(
        "{} {}{accounts}, {} ({}){}. {certainty}.",
        who(finding, width),
        words::what(finding),
        words::interval_brief(finding.start, finding.end),
        words::duration(finding.start, finding.end),
        if finding.open { ", still going on" } else { "" },
    )
}

fn who(finding: &Finding, width: usize) -> String {
    words::who(&finding.dimension, &finding.entity, |part| brief(part, width))
}

fn table(sheet: &mut Sheet, findings: &[Finding]) {
    let width = sheet.width();
    // Rank, severity, dates, accounts, certainty and the blanks between take about 80 columns.
    let bars = if width >= 110 { (width - 100).clamp(8, 30) } else { 0 };
    let who_width = width.saturating_sub(84 + bars).clamp(24, 60);
    let mut header = vec!["#", "severity", "who", "when (UTC)", "accounts", "by chance"];
    if bars > 0 {
        header.push("course");
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .take(LISTED)
        .map(|finding| {
            let open = if finding.open { ", open" } else { "" };
            let mut row = vec![
                finding.rank.to_string(),
                finding.severity.name().to_owned(),
                [
                    Some(who(finding, who_width)),
                    untold(finding),
                    finding.cause.as_deref().map(told),
                    hidden(finding),
                ]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n"),
                format!("{}{open}", words::interval_brief(finding.start, finding.end)),
                finding.subjects.map_or("-".to_owned(), |subjects| format!("~{}", words::about(subjects))),
                words::certainty_brief(finding.expected_false),
            ];
            if bars > 0 {
                row.push(Series::new(finding, bars).map(|series| series.sparkline()).unwrap_or_default());
            }
            row
        })
        .collect();
    sheet.table(0, &header, &[0, 4, 5], &rows, |line| {
        let mut words = line.split_whitespace();
        words.next().filter(|rank| rank.parse::<u32>().is_ok())?;
        words.next()?.parse().ok().map(severity_style)
    });
    if findings.len() > LISTED {
        sheet.line(0, &format!("... and {} more in findings.csv.", findings.len() - LISTED));
    }
}

/// What a rule says of a finding that the table alone tells of.
fn untold(finding: &Finding) -> Option<String> {
    rules::rule(finding.detector).filter(|_| finding.severity < Severity::Medium).map(str::to_owned)
}

fn told(text: &str) -> String {
    brief(text, advice::WIDEST)
}

/// The mark of a suppressed finding, with the reason.
pub(crate) fn hidden(finding: &Finding) -> Option<String> {
    finding.suppressed.as_deref().map(|why| format!("suppressed: {}", told(why)))
}

/// What was taken and what to do next.
fn story(sheet: &mut Sheet, run: &Run<'_>, finding: &Finding) {
    let lead = format!("{}. {}  ", finding.rank, finding.severity.name().to_uppercase());
    sheet.styled(0, &lead, severity_style(finding.severity), &who(finding, advice::WIDEST));
    let when = words::interval(finding.start, finding.end);
    let length = words::duration(finding.start, finding.end);
    let open = if finding.open { ", still going on at the end of the data" } else { "" };
    sheet.paragraph(3, "When   ", &format!("{when} ({length}){open}"));
    if let Some(series) = Series::new(finding, (sheet.width().saturating_sub(16)).clamp(10, 60)) {
        sheet.line(10, &series.sparkline());
        let top = series.bars.iter().map(|bar| bar.observed).fold(0.0, f64::max);
        let note = format!(
            "one bar per {}, highest {} a {}; [ ] is the interval",
            series.bar_word(),
            words::quantity(finding.metric, top),
            series.window_word(),
        );
        sheet.note(10, &note);
    }
    sheet.paragraph(3, "What   ", &format!("{}.", words::what(finding)));
    if let Some(subjects) = finding.subjects.filter(|_| finding.metric != Metric::Subjects) {
        let text = format!(
            "~{} accounts touched in the interval (estimate; includes the honest share).",
            words::about(subjects)
        );
        sheet.paragraph(10, "", &text);
    }
    if finding.evidence.len() > 1 {
        let others = finding.evidence.len() - 1;
        let text =
            format!("Seen in {} other {} as well.", others, words::plural(others as f64, "view", "views"));
        sheet.paragraph(10, "", &text);
    }
    let verdict = words::verdict(finding, |cause| visible(cause).into_owned());
    sheet.paragraph(3, "Sure?  ", &format!("{verdict}."));
    let mut lead = "Next   ";
    for step in advice::steps(finding) {
        sheet.paragraph(3, lead, &step);
        lead = "       ";
    }
    let command = sheet.paint(BOLD, &advice::command(finding, run.out));
    sheet.line(10, &command);
}

/// Whether anything of the input was left out, or nothing is known of it.
fn limits(run: &Run<'_>) -> bool {
    let families = &run.detection.scope.families;
    let untestable = families.is_empty() || families.iter().any(|family| family.tail_scale.is_none());
    untestable
        || run.coverage.is_none_or(|coverage| {
            coverage.files.rejected + coverage.rows.rejected > 0 || !coverage.gaps.is_empty()
        })
}

fn examined(sheet: &mut Sheet, run: &Run<'_>) {
    let families = &run.detection.scope.families;
    if families.is_empty() {
        sheet.styled(0, "Examined  ", BOLD, "nothing: no view had a series to test.");
        return;
    }
    let tested: Vec<String> = families
        .iter()
        .filter(|family| family.tail_scale.is_some())
        .map(|family| {
            let (tested, entities) = (words::whole(family.tested), words::whole(family.entities));
            format!("{tested} of {entities} by {} ({})", family.dimension, family.metric)
        })
        .collect();
    let text = if tested.is_empty() {
        "nothing.".to_owned()
    } else {
        format!("entities tested: {}.", tested.join("; "))
    };
    sheet.styled(0, "Examined  ", BOLD, &text);
    for (reason, blind) in words::untestable(families) {
        sheet.paragraph(10, "", &format!("NOT testable, {reason}: {}.", blind.join("; ")));
    }
}

fn read(sheet: &mut Sheet, coverage: Option<&Coverage>) {
    let Some(coverage) = coverage else {
        let text =
            "not known: detection ran over a rollup, and what its maker could not read is not on record.";
        sheet.styled(0, "Coverage  ", BOLD, text);
        return;
    };
    let time = coverage.time.map_or(String::new(), |(first, last)| {
        format!(", {} to {} UTC", words::instant(first), words::instant(last))
    });
    let (files, rows) = (coverage.files.read, coverage.rows.read);
    let text = format!(
        "{} {} read from {} {}{time}.",
        words::whole(rows),
        words::plural(rows as f64, "record", "records"),
        words::whole(files),
        words::plural(files as f64, "file", "files"),
    );
    sheet.styled(0, "Coverage  ", BOLD, &text);
    for line in not_read(coverage) {
        sheet.paragraph(10, "", &line);
    }
}

/// What findings say of records that are missing in the log, in one sentence; empty where they say nothing, or know an
/// honest cause.
pub(crate) fn missing(run: &Run<'_>) -> Vec<String> {
    let unexplained = |finding: &&Finding| finding.detector == Detector::LogGap && finding.cause.is_none();
    let gaps: Vec<&Finding> = run.reported().filter(unexplained).collect();
    let Some(first) =
        gaps.iter().max_by_key(|gap| (gap.end.0.saturating_sub(gap.start.0), Reverse(gap.start)))
    else {
        return Vec::new();
    };
    let records: f64 = gaps.iter().map(|gap| gap.expected - gap.observed).sum();
    let (number, noun) = (words::whole(gaps.len() as u64), words::plural(gaps.len() as f64, "gap", "gaps"));
    vec![format!(
        "LOG GAPS: {number} {noun} in which about {} records are missing, the longest {} ({}): deleted, lost or never \
         written.",
        words::about(records),
        words::interval(first.start, first.end),
        words::duration(first.start, first.end),
    )]
}

/// What of the registries the log does not know, one sentence each; empty where it knows all.
pub(crate) fn not_in_log(run: &Run<'_>) -> Vec<String> {
    let Some(RegistryMatch { keys, people }) = run.registry else { return Vec::new() };
    let line = |matched: &Option<Matched>, one: &str, many: &str, what: &str| {
        let matched = matched.as_ref().filter(|matched| matched.absent() > 0)?;
        let (absent, listed) = (words::whole(matched.absent()), words::whole(matched.listed));
        let noun = words::plural(matched.listed as f64, one, many);
        let first = matched.first_absent.as_deref().unwrap_or_default();
        Some(format!(
            "Registry: {absent} of {listed} {noun} {what}, {} for one.",
            brief(first, advice::WIDEST)
        ))
    };
    let keys = line(keys, "key", "keys", "not in the log");
    let people = line(people, "person", "people", "neither act in the log nor own a key in it");
    keys.into_iter().chain(people).collect()
}

/// `30 where the time is null; 4 in rejected files`.
fn listed(reasons: &[(u64, &str)]) -> String {
    let each = reasons.iter().map(|(count, reason)| format!("{} {reason}", words::whole(*count)));
    each.collect::<Vec<_>>().join("; ")
}

/// What of the input was not used, one sentence each; empty where all of it was.
pub(crate) fn not_read(coverage: &Coverage) -> Vec<String> {
    let mut lines = Vec::new();
    let number = |count: u64, one: &str, many: &str| {
        format!("{} {}", words::whole(count), words::plural(count as f64, one, many))
    };
    if coverage.files.rejected > 0 {
        let named = coverage.rejected_files.iter().take(3);
        let named: Vec<String> = named
            .map(|file| format!("{}: {}", brief(&file.path, advice::WIDEST), visible(&file.reason)))
            .collect();
        let more = coverage.rejected_files.len().saturating_sub(3);
        let more = if more > 0 { format!(" ... and {more} more in coverage.json") } else { String::new() };
        let files = number(coverage.files.rejected, "file", "files");
        lines.push(format!("NOT SCANNED: {files} rejected. {}{more}", named.join("; ")));
    }
    if coverage.rows.rejected > 0 {
        let rows = number(coverage.rows.rejected, "record", "records");
        let reasons = coverage::rejected_rows(coverage);
        lines.push(format!("NOT COUNTED: {rows} rejected ({}).", listed(&reasons)));
    }
    if !coverage.gaps.is_empty() {
        let longest =
            coverage.gaps.iter().max_by_key(|(start, end)| (end.0.saturating_sub(start.0), -start.0));
        let longest = longest.map_or(String::new(), |&(start, end)| {
            format!(", the longest {} ({})", words::interval(start, end), words::duration(start, end))
        });
        let gaps = number(coverage.gaps.len() as u64, "gap", "gaps");
        lines.push(format!(
            "NO DATA: {gaps} without a single record{longest}: a leak there would not be seen."
        ));
    }
    if !coverage.missing_columns.is_empty() {
        let columns: Vec<_> = coverage.missing_columns.iter().map(|name| visible(name)).collect();
        lines.push(format!("Not logged, so not examined: {}.", columns.join(", ")));
    }
    if !coverage.partial_columns.is_empty() {
        let files = number(coverage.files.read, "file", "files");
        let columns = coverage.partial_columns.iter();
        let columns: Vec<String> = columns
            .map(|(name, lacking)| {
                format!("{} ({} of {files} lack it)", visible(name), words::whole(*lacking))
            })
            .collect();
        lines
            .push(format!("Logged by part of the files, so counted in those alone: {}.", columns.join(", ")));
    }
    if !coverage.rejected_values.is_empty() {
        let reasons = coverage::rejected_values(coverage);
        lines.push(format!("Values left out of records that count: {}.", listed(&reasons)));
    }
    if coverage.rows.pruned + coverage.files.pruned + coverage.row_groups.pruned > 0 {
        let files = number(coverage.files.pruned, "file", "files");
        let rows = number(coverage.rows.pruned, "record", "records");
        lines.push(format!("Outside the time range asked for: {files}, {rows}."));
    }
    if coverage.duplicate_rows > 0 {
        lines.push(format!(
            "Left out because they repeat others: {}.{}",
            number(coverage.duplicate_rows, "record", "records"),
            if coverage.duplicate_rows > coverage.rows.read / 9 {
                " That is many: see that event_id is an id in this log, or say in a map file what tells events apart."
            } else {
                ""
            }
        ));
    }
    lines
}
