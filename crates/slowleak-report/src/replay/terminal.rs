//! What nights told, as text for the terminal.

use super::{Replayed, ReplayedPhase};
use crate::escape::{brief, visible};
use crate::layout::{Sheet, severity_style};
use crate::words;

/// More phases of a leak are only counted.
const PHASES: usize = 6;

/// What the nights under one name of settings told, as text that fits `width` columns: `lead` in bold, then a table.
pub fn replay_summary(lead: &str, rows: &[Replayed], width: usize, color: bool) -> String {
    let mut sheet = Sheet::new(width, color);
    sheet.heading(&visible(lead));
    if rows.is_empty() {
        sheet.paragraph(
            0,
            "",
            "Nothing was told: on no night did a leak stand out in what could be examined.",
        );
        return sheet.finish();
    }
    let accounts = |number: Option<f64>| number.map_or("-".to_owned(), |n| format!("~{}", words::about(n)));
    let header =
        ["severity", "who", "began", "first reported", "delay", "accounts by then", "after", "nights"];
    let line = |row: &Replayed| {
        let finding = &row.finding;
        let mut who = words::who(&finding.dimension, &finding.entity, |part| brief(part, 40));
        who.push_str(&format!("\n{}", row.told_id));
        if !row.stands {
            let into = row.merged_into.as_ref().map(|id| format!(" into {id}")).unwrap_or_default();
            who.push_str(&format!(", {}{into}", row.status));
        }
        if row.at_first_night {
            who.push_str("\ntold on the first night: perhaps earlier by one before --from");
        }
        vec![
            finding.severity.name().to_owned(),
            who,
            each_phase(row, |phase| words::day(phase.start)),
            each_phase(row, |phase| words::day(phase.first_reported)),
            each_phase(row, |phase| words::duration(phase.start, phase.first_reported.max(phase.start))),
            accounts(row.subjects_by_then),
            accounts(row.subjects_after()),
            row.nights.to_string(),
        ]
    };
    let (standing, gone): (Vec<&Replayed>, Vec<&Replayed>) = rows.iter().partition(|row| row.stands);
    let lines: Vec<Vec<String>> = standing.into_iter().chain(gone).map(line).collect();
    sheet.table(0, &header, &[5, 6, 7], &lines, |line| {
        line.split_whitespace().next()?.parse().ok().map(severity_style)
    });

    sheet.finish()
}

/// A line for each phase.
fn each_phase(row: &Replayed, text: impl Fn(&ReplayedPhase) -> String) -> String {
    let mut lines: Vec<String> = row.phases.iter().take(PHASES).map(text).collect();
    if row.phases.len() > PHASES {
        lines.push(format!("{} more", row.phases.len() - PHASES));
    }
    lines.join("\n")
}
