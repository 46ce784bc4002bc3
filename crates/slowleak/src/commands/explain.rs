//! `slowleak explain`: why a finding exists, from the files of its run alone.

use slowleak_detect::Finding;
use slowleak_nightly::{LEAKS, leak_of};
use slowleak_report::{explain, read_findings, visible};

use crate::answer::FindingAnswer;
use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::settings::Explain;
use crate::terminal::Terminal;

/// Files by which folders are known.
const FINDINGS: &str = "findings.parquet";
const REPLAY: &str = "replay.parquet";

pub(crate) fn run(settings: &Explain, terminal: &Terminal) -> Result<Completion, Failure> {
    let Explain { id, out } = settings;
    if out.join(REPLAY).is_file() && !out.join(FINDINGS).exists() {
        let cause = format!("holds a replay, which has no evidence: what it told of {id} is in {REPLAY}");
        return Err(Failure::at(
            out,
            cause,
            "scan the log with --until that night, and explain its findings",
        ));
    }
    let findings = read_findings(out)?;
    // A nightly run's leak may have been announced under another id than its finding has now, or be none any more.
    let announced = match std::fs::read_to_string(out.join(LEAKS)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| Failure::at(&out.join(LEAKS), error, "check permissions"))?,
    };
    let leak = leak_of(&announced, id);
    let of_leak = leak.as_ref().and_then(|leak| leak["finding_id"].as_str());
    let finding = match (select(&findings, of_leak.unwrap_or(id)), &leak) {
        (Ok(finding), _) => finding,
        (Err(_), Some(leak)) => {
            match terminal.format {
                Format::Text => terminal.answer(&remembered(leak))?,
                Format::Json => terminal.json(leak)?,
            }
            return Ok(Completion::default());
        }
        (Err(cause), None) => return Err(Failure::at(out, cause, "see findings.parquet there for the ids")),
    };
    match terminal.format {
        Format::Text => {
            let other = leak.filter(|leak| leak["id"] != finding.id.as_str());
            let announced = other.map(|leak| {
                format!(
                    "Announced as {}, first with data up to {}.\n",
                    text(&leak, "id"),
                    text(&leak, "first_reported")
                )
            });
            let explained = explain(finding, terminal.width, terminal.color);
            terminal.answer(&format!("{}{explained}", announced.unwrap_or_default()))?;
        }
        Format::Json => terminal.json(&FindingAnswer::from(finding))?,
    }
    Ok(Completion::default())
}

/// What is known of a leak that is no finding any more.
fn remembered(leak: &serde_json::Value) -> String {
    format!(
        "{}, announced with severity {} and data up to {}, is no finding any more: {}.\nWhat was said of it last: {}\n",
        text(leak, "id"),
        text(leak, "severity"),
        text(leak, "first_reported"),
        text(leak, "status"),
        text(leak, "summary"),
    )
}

fn text<'l>(leak: &'l serde_json::Value, member: &str) -> std::borrow::Cow<'l, str> {
    visible(leak[member].as_str().unwrap_or_default())
}

/// The finding that `id` means: an exact id, else a rank, else the start of one id.
fn select<'a>(findings: &'a [Finding], id: &str) -> Result<&'a Finding, String> {
    if findings.is_empty() {
        return Err("the run has no findings".to_owned());
    }
    if let Some(finding) = findings.iter().find(|finding| finding.id == id) {
        return Ok(finding);
    }
    // A rank is short, an id is not: digits alone are a rank where there is such a rank.
    if let Some(finding) = id.parse::<u32>().ok().and_then(|rank| findings.iter().find(|f| f.rank == rank)) {
        return Ok(finding);
    }
    let mut starting = findings.iter().filter(|finding| !id.is_empty() && finding.id.starts_with(id));
    match (starting.next(), starting.count()) {
        (Some(finding), 0) => Ok(finding),
        (Some(_), others) => Err(format!("{} findings have ids that start with {id:?}", others + 1)),
        (None, _) => {
            Err(format!("no finding has the id or rank {id:?}; ranks go from 1 to {}", findings.len()))
        }
    }
}
