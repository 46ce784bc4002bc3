//! `metrics.prom`: the run as gauges in the Prometheus text format, for a textfile collector. Labels hold
//! words of our own only, so that no log can blow up the number of series.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use slowleak_record::Micros;

use crate::escape::prometheus_label;
use crate::{Run, coverage};

/// The content of `metrics.prom`.
pub(crate) fn prometheus(run: &Run<'_>) -> String {
    let mut page = Page(String::new());
    findings(&mut page, run);
    examined(&mut page, run);
    read(&mut page, run);
    page.0
}

fn findings(page: &mut Page, run: &Run<'_>) {
    page.family("slowleak_findings", "Findings of the run.");
    for (severity, count) in run.by_severity() {
        page.sample("slowleak_findings", &[("severity", severity.name())], count);
    }
    let open = run.reported().filter(|finding| finding.open).count();
    page.single("slowleak_findings_open", "Findings that still go on at the end of the data.", open);
    let suppressions = &run.detection.suppressions;
    let hidden = run.detection.suppressed();
    page.single("slowleak_findings_suppressed", "Findings that the settings suppress.", hidden);
    page.family("slowleak_suppressions", "Suppressions of the settings by what became of them.");
    let of = |expired: bool, idle: bool| {
        suppressions
            .iter()
            .filter(|one| one.expired == expired && (expired || (one.findings == 0) == idle))
            .count()
    };
    for (state, count) in
        [("used", of(false, false)), ("unused", of(false, true)), ("expired", of(true, false))]
    {
        page.sample("slowleak_suppressions", &[("state", state)], count);
    }
    if let Some(end) = run.data_end() {
        let help = "End of the data: newest record counted, or latest end of a finding.";
        page.single("slowleak_data_end_timestamp_seconds", help, seconds(end.0));
    }
}

fn examined(page: &mut Page, run: &Run<'_>) {
    // Two windows of one view would otherwise give two samples of one series, which scrapers refuse.
    let mut views: BTreeMap<(String, &str), (u64, u64)> = BTreeMap::new();
    for family in &run.detection.scope.families {
        let view = views.entry((family.dimension.to_string(), family.metric.name())).or_default();
        *view = (view.0.max(family.entities), view.1.max(family.tested));
    }
    page.family("slowleak_entities", "Entities by view and metric.");
    for ((dimension, metric), (entities, _)) in &views {
        page.sample("slowleak_entities", &[("dimension", dimension), ("metric", metric)], entities);
    }
    page.family("slowleak_entities_tested", "Entities with enough events to be tested.");
    for ((dimension, metric), (_, tested)) in &views {
        page.sample("slowleak_entities_tested", &[("dimension", dimension), ("metric", metric)], tested);
    }
    let blind = run.detection.scope.families.iter().filter(|family| family.tail_scale.is_none()).count();
    page.single("slowleak_views_untestable", "View and metric pairs with too few peers to test.", blind);
}

fn read(page: &mut Page, run: &Run<'_>) {
    let known = "1 where the run knows what was read, 0 where it began at a foreign rollup.";
    page.single("slowleak_coverage_known", known, u8::from(run.coverage.is_some()));
    let Some(coverage) = run.coverage else { return };
    let tallies = [
        ("slowleak_files", "Input files by outcome.", coverage.files),
        ("slowleak_row_groups", "Parquet row groups by outcome.", coverage.row_groups),
        ("slowleak_records", "Records by outcome.", coverage.rows),
    ];
    for (name, help, tally) in tallies {
        page.family(name, help);
        for (outcome, count) in [("read", tally.read), ("pruned", tally.pruned), ("rejected", tally.rejected)]
        {
            page.sample(name, &[("outcome", outcome)], count);
        }
        if name == "slowleak_records" {
            page.sample(name, &[("outcome", "duplicate")], coverage.duplicate_rows);
        }
    }
    page.family("slowleak_records_rejected", "Records that could not be used, by reason.");
    for &(reason, count) in &coverage.rejected_rows {
        page.sample("slowleak_records_rejected", &[("reason", coverage::row_reason(reason))], count);
    }
    page.family("slowleak_values_rejected", "Values that could not be used in records that count.");
    for &(reason, count) in &coverage.rejected_values {
        page.sample("slowleak_values_rejected", &[("reason", coverage::value_reason(reason))], count);
    }
    page.family("slowleak_column_missing", "Fields that no input file had.");
    for column in &coverage.missing_columns {
        page.sample("slowleak_column_missing", &[("column", column)], 1);
    }
    let silent: f64 = coverage.gaps.iter().map(|(start, end)| seconds(end.0.saturating_sub(start.0))).sum();
    page.single("slowleak_gaps", "Stretches without a record inside the data.", coverage.gaps.len());
    page.single("slowleak_gap_seconds", "Total length of those stretches.", silent);
    if let Some((first, last)) = coverage.time {
        page.single("slowleak_oldest_record_timestamp_seconds", "Oldest record counted.", seconds(first.0));
        page.single("slowleak_newest_record_timestamp_seconds", "Newest record counted.", seconds(last.0));
    }
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / Micros::SECOND as f64
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", prometheus_label(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    fn single(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help);
        self.sample(name, &[], value);
    }
}
