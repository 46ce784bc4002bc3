//! `report.html`: one page that needs no network and runs no script. The template escapes markup; what
//! comes in here has its hidden characters shown.

use std::path::Path;

use serde::Serialize;
use slowleak_detect::{Detector, Finding};
use slowleak_rollup::Metric;
use slowleak_scan::Coverage;

use crate::chart::Chart;
use crate::escape::{brief, visible};
use crate::explain::{doubts, reasons, significant, taken};
use crate::{Run, advice, summary, suppressed, templates, words};

const TEMPLATE: &str = include_str!("templates/report.html");

/// Findings with a section of their own.
const TOLD: usize = 100;

/// Rows of the table of findings; the rest are in `findings.csv`.
const LISTED: usize = 1000;

/// Rows of a finding's tables of evidence and shares.
const DETAIL: usize = 20;

/// Widest identifier, in columns.
const WIDEST: usize = 160;

#[derive(Serialize)]
struct Page {
    title: String,
    verdict: String,
    verdict_class: &'static str,
    counts: Vec<(String, usize)>,
    findings: Vec<Row>,
    unlisted: usize,
    sections: Vec<Section>,
    untold: usize,
    coverage: CoverageRows,
    not_in_log: Vec<String>,
    suppressed: Vec<String>,
    scope: Vec<ScopeRow>,
    inputs: Vec<String>,
    settings: Vec<(String, String)>,
    data_end: Option<String>,
    version: &'static str,
}

#[derive(Serialize)]
struct Row {
    rank: u32,
    anchor: Option<String>,
    severity: &'static str,
    who: String,
    /// Why it is information only.
    cause: Option<String>,
    suppressed: Option<String>,
    when: String,
    length: String,
    open: bool,
    accounts: String,
    certainty: String,
    detector: String,
}

#[derive(Serialize)]
struct Section {
    anchor: String,
    rank: u32,
    id: String,
    severity: &'static str,
    who: String,
    when: String,
    length: String,
    open: bool,
    summary: String,
    suppressed: Option<String>,
    facts: Vec<(&'static str, String)>,
    certainty: String,
    chart: Option<Chart>,
    steps: Vec<String>,
    command: String,
    reasons: Vec<(&'static str, String)>,
    doubts: Vec<String>,
    evidence: Vec<EvidenceRow>,
    more_evidence: usize,
    shares: Vec<ShareRow>,
    more_shares: usize,
}

#[derive(Serialize)]
struct EvidenceRow {
    detector: String,
    who: String,
    when: String,
    observed: String,
    expected: String,
    score: String,
    certainty: String,
}

#[derive(Serialize)]
struct ShareRow {
    dimension: String,
    value: String,
    observed: String,
    expected: String,
    share: String,
    /// Length of the bar, 0 to 100.
    bar: f64,
}

#[derive(Serialize)]
struct CoverageRows {
    known: bool,
    tallies: Vec<[String; 5]>,
    time: Option<String>,
    notes: Vec<String>,
    rejected: Vec<(String, String)>,
    more_rejected: usize,
    gaps: Vec<(String, String)>,
    more_gaps: usize,
}

#[derive(Serialize)]
struct ScopeRow {
    dimension: String,
    metric: &'static str,
    entities: String,
    tested: String,
    calibration: String,
    blind: bool,
}

/// The page.
pub(crate) fn page(run: &Run<'_>) -> Result<String, minijinja::Error> {
    templates::render("report.html", TEMPLATE, content(run))
}

fn content(run: &Run<'_>) -> Page {
    let findings = &run.detection.findings;
    let listed = findings.iter().take(LISTED).enumerate().map(|(index, finding)| row(index, finding));
    let title = if run.title.is_empty() { "slowleak report".into() } else { visible(run.title) };
    let (verdict_class, verdict) = verdict(run);
    Page {
        title: title.into_owned(),
        verdict,
        verdict_class,
        counts: run
            .by_severity()
            .iter()
            .rev()
            .map(|(severity, count)| (severity.to_string(), *count))
            .collect(),
        findings: listed.collect(),
        unlisted: findings.len().saturating_sub(LISTED),
        sections: findings
            .iter()
            .take(TOLD)
            .enumerate()
            .map(|(index, finding)| section(index, finding, run.out))
            .collect(),
        untold: findings.len().min(LISTED).saturating_sub(TOLD),
        coverage: coverage(run.coverage),
        not_in_log: summary::missing(run).into_iter().chain(summary::not_in_log(run)).collect(),
        suppressed: suppressed::lines(run),
        scope: scope(run),
        inputs: run.inputs.iter().take(DETAIL).map(|input| show(input)).collect(),
        settings: run.settings.iter().map(|(name, value)| (show(name), show(value))).collect(),
        data_end: run.data_end().map(words::instant),
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn show(text: &str) -> String {
    brief(text, WIDEST)
}

fn verdict(run: &Run<'_>) -> (&'static str, String) {
    match run.reported().next() {
        Some(worst) => (worst.severity.name(), summary::verdict(worst, 80)),
        None => ("none", summary::nothing(run).to_owned()),
    }
}

fn anchor(index: usize) -> String {
    format!("finding-{}", index + 1)
}

fn row(index: usize, finding: &Finding) -> Row {
    Row {
        rank: finding.rank,
        anchor: (index < TOLD).then(|| anchor(index)),
        severity: finding.severity.name(),
        who: words::who(&finding.dimension, &finding.entity, show),
        cause: finding.cause.as_deref().map(show),
        suppressed: summary::hidden(finding),
        when: words::interval_brief(finding.start, finding.end),
        length: words::duration(finding.start, finding.end),
        open: finding.open,
        accounts: finding
            .subjects
            .map_or("–".to_owned(), |subjects| format!("~{}", words::about(subjects))),
        certainty: words::certainty_brief(finding.expected_false),
        detector: finding.detector.name().replace('_', " "),
    }
}

fn section(index: usize, finding: &Finding, out: Option<&Path>) -> Section {
    let mut facts = vec![("Observed", words::quantity(finding.metric, finding.observed))];
    if !finding.detector.is_rule() {
        facts.push(("Expected", words::quantity(finding.metric, finding.expected)));
        let below = finding.observed < finding.expected;
        facts.push((
            if below { "Below it" } else { "Above it" },
            words::growth(finding.observed, finding.expected),
        ));
    }
    if let Some(subjects) = finding.subjects {
        facts.push(("Accounts touched", format!("~{}", words::about(subjects))));
    }
    facts.push(("Taken", taken(finding)));
    let reasons = match finding.evidence.first() {
        Some(leading) if !finding.detector.is_rule() => reasons(finding, leading),
        _ => Vec::new(),
    };
    let evidence = finding.evidence.iter().take(DETAIL).map(|row| EvidenceRow {
        detector: detector(row.detector, row.metric),
        who: words::who(&row.dimension, &row.entity, show),
        when: words::interval_brief(row.start, row.end),
        observed: words::figure(row.metric, row.observed),
        expected: if row.detector.is_rule() {
            "–".to_owned()
        } else {
            words::figure(row.metric, row.expected)
        },
        score: words::full(row.score),
        certainty: words::certainty_brief(row.expected_false),
    });
    let shares = finding.shares.iter().take(DETAIL).map(|share| ShareRow {
        dimension: show(&share.dimension),
        value: show(&share.value),
        observed: words::full(share.observed),
        expected: words::full(share.expected),
        share: words::percent(share.share),
        bar: if share.share.is_finite() {
            (share.share.clamp(0.0, 1.0) * 1000.0).round() / 10.0
        } else {
            0.0
        },
    });
    Section {
        anchor: anchor(index),
        rank: finding.rank,
        id: show(&finding.id),
        severity: finding.severity.name(),
        who: words::who(&finding.dimension, &finding.entity, show),
        when: words::interval(finding.start, finding.end),
        length: words::duration(finding.start, finding.end),
        open: finding.open,
        summary: brief(&finding.summary, 1000),
        suppressed: summary::hidden(finding),
        facts,
        certainty: words::verdict(finding, show),
        chart: Chart::new(finding),
        steps: advice::steps(finding),
        command: advice::command(finding, out),
        reasons,
        doubts: doubts(finding),
        evidence: evidence.collect(),
        more_evidence: finding.evidence.len().saturating_sub(DETAIL),
        shares: shares.collect(),
        more_shares: finding.shares.len().saturating_sub(DETAIL),
    }
}

/// What raised it and on which metric; a rule needs none.
fn detector(detector: Detector, metric: Metric) -> String {
    let name = detector.name().replace('_', " ");
    if detector.is_rule() { name } else { format!("{name} of {metric}") }
}

fn coverage(coverage: Option<&Coverage>) -> CoverageRows {
    let Some(coverage) = coverage else {
        return CoverageRows {
            known: false,
            tallies: Vec::new(),
            time: None,
            notes: Vec::new(),
            rejected: Vec::new(),
            more_rejected: 0,
            gaps: Vec::new(),
            more_gaps: 0,
        };
    };
    let tally = |name: &str, tally: slowleak_scan::Tally, duplicate: Option<u64>| {
        [
            name.to_owned(),
            words::whole(tally.read),
            words::whole(tally.pruned),
            words::whole(tally.rejected),
            duplicate.map_or("–".to_owned(), words::whole),
        ]
    };
    let rejected = coverage.rejected_files.iter().take(DETAIL);
    let gaps = coverage.gaps.iter().take(DETAIL);
    CoverageRows {
        known: true,
        tallies: vec![
            tally("Files", coverage.files, None),
            tally("Row groups", coverage.row_groups, None),
            tally("Records", coverage.rows, Some(coverage.duplicate_rows)),
        ],
        time: coverage
            .time
            .map(|(first, last)| format!("{} to {}", words::instant(first), words::instant(last))),
        notes: summary::not_read(coverage),
        rejected: rejected.map(|file| (show(&file.path), brief(&file.reason, 400))).collect(),
        more_rejected: coverage.rejected_files.len().saturating_sub(DETAIL),
        gaps: gaps.map(|&(start, end)| (words::interval(start, end), words::duration(start, end))).collect(),
        more_gaps: coverage.gaps.len().saturating_sub(DETAIL),
    }
}

fn scope(run: &Run<'_>) -> Vec<ScopeRow> {
    let families = run.detection.scope.families.iter();
    families
        .map(|family| ScopeRow {
            dimension: family.dimension.to_string(),
            metric: family.metric.name(),
            entities: words::whole(family.entities),
            tested: words::whole(family.tested),
            calibration: match family.tail_scale {
                Some(scale) => format!("tail scale {}", significant(scale)),
                None => format!("not testable: {}", words::why_untestable(family)),
            },
            blind: family.tail_scale.is_none(),
        })
        .collect()
}
