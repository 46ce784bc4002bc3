//! A survey in words, for the terminal. Everything that comes from a file goes through
//! [`slowleak_report::visible`].

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use slowleak_report::visible;

use super::sample::SAMPLE_ROWS;
use super::{Group, Survey};
use crate::terminal::count;

/// Rejected files and gaps listed before "and N more".
const LISTED: usize = 10;

/// The survey, in at most `width` columns where the content allows.
pub(crate) fn text(survey: &Survey, width: usize) -> String {
    let mut out = String::new();
    let Survey { files, bytes, rows, groups, rejected, preset, preset_reason } = survey;
    line(
        &mut out,
        format_args!(
            "{} of {}, {} and {}",
            count(*files as u64, "file", "files"),
            size(*bytes),
            count(*rows, "row", "rows"),
            count(groups.len() as u64, "schema", "schemas")
        ),
    );
    line(&mut out, format_args!("Column names: {} ({preset_reason})", visible(preset)));
    for (index, group) in groups.iter().enumerate() {
        section(&mut out, group, index + 1, width);
    }
    if !rejected.is_empty() {
        line(
            &mut out,
            format_args!("\n{} that a scan would reject", count(rejected.len() as u64, "file", "files")),
        );
        for file in rejected.iter().take(LISTED) {
            line(&mut out, format_args!("  {}: {}", visible(&file.path), visible(&file.reason)));
        }
        more(&mut out, rejected.len());
    }
    out
}

fn section(out: &mut String, group: &Group, number: usize, width: usize) {
    line(
        out,
        format_args!(
            "\nSchema {number}: {}, {} in {}, {}",
            count(group.files as u64, "file", "files"),
            count(group.rows, "row", "rows"),
            count(group.row_groups as u64, "row group", "row groups"),
            size(group.bytes)
        ),
    );
    line(out, format_args!("  First file    {}", visible(&group.first_file)));
    line(out, format_args!("  Codec         {}", visible(&group.codecs.join(", "))));
    if !group.written_by.is_empty() {
        line(out, format_args!("  Written by    {}", visible(&group.written_by.join("; "))));
    }
    match &group.time {
        None => line(out, format_args!("  Time          not told by statistics or sample")),
        Some(time) => {
            line(out, format_args!("  Time          {} to {} (from {})", time.start, time.end, time.from));
            if let Some(unit) = &time.unit {
                let read = format!("whole numbers, read as {unit} since 1970 (told by their size)");
                line(out, format_args!("  Unit          {read}"));
            }
            if let Some(order) = time.row_groups {
                line(out, format_args!("  Order         row groups {order}"));
            }
            if let (Some(share), Some(seconds)) = (time.steps_back, time.farthest_back_seconds) {
                let within = if share > 0.0 {
                    format!("{:.1}% of steps go back, by at most {seconds} s", share * 100.0)
                } else {
                    "rows ascend".to_owned()
                };
                line(out, format_args!("                within a row group {within} (sample)"));
            }
            for (start, end) in time.gaps.iter().take(LISTED) {
                line(out, format_args!("  Gap           {start} to {end}"));
            }
            more(out, time.gaps.len());
        }
    }
    line(out, format_args!(""));
    columns(out, group, width);
    for lost in &group.lost {
        line(out, format_args!("  No {:<11} not computed: {}", lost.field, lost.not_computed.join(", ")));
    }
    if !group.samples.is_empty() {
        line(out, format_args!("\n  Sample"));
        samples(out, group, width);
    }
}

fn columns(out: &mut String, group: &Group, width: usize) {
    let mut table = plain(width);
    table.set_header(["Column", "Type", "Field", "Nulls"]);
    let mut from_sample = false;
    for column in &group.columns {
        let sampled = column.nulls_from == Some("sample");
        from_sample |= sampled;
        let nulls = column.nulls.map_or_else(
            || "?".to_owned(),
            |share| format!("{}{}", percent(share), if sampled { " *" } else { "" }),
        );
        table.add_row([
            visible(&column.name).into_owned(),
            visible(&column.kind).into_owned(),
            column.field.unwrap_or("-").to_owned(),
            nulls,
        ]);
    }
    indented(out, &table);
    if from_sample {
        line(out, format_args!("  * from a sample of up to {SAMPLE_ROWS} rows; the statistics do not say"));
    }
}

/// One paragraph a record: a table of twelve columns would be wider than most terminals.
fn samples(out: &mut String, group: &Group, width: usize) {
    for (number, record) in (1..).zip(&group.samples) {
        let mut row = format!("  {number} ");
        for column in &group.columns {
            let Some(field) = column.field else { continue };
            let Some(value) = record.get(field) else { continue };
            let value = value.as_deref().map_or_else(|| "-".into(), visible);
            let pair = format!(" {field}={value}");
            if row.chars().count() + pair.chars().count() > width && row.len() > 4 {
                line(out, format_args!("{row}"));
                row = "    ".to_owned();
            }
            row.push_str(&pair);
        }
        line(out, format_args!("{row}"));
    }
}

fn plain(width: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width.saturating_sub(2)).unwrap_or(u16::MAX));
    table
}

fn indented(out: &mut String, table: &Table) {
    for row in table.lines() {
        line(out, format_args!("  {}", row.trim_end()));
    }
}

fn more(out: &mut String, total: usize) {
    if total > LISTED {
        line(out, format_args!("  and {} more (all of them with --format json)", total - LISTED));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string can not fail.
    let _ = writeln!(out, "{text}");
}

fn percent(share: f64) -> String {
    if share == 0.0 { "0%".to_owned() } else { format!("{:.2}%", share * 100.0) }
}

/// `835.2 MB`, decimal units.
fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}
