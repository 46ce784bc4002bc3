//! `slowleak explain`: why a finding exists, from the files of its run alone.

use slowleak_detect::Finding;
use slowleak_nightly::{LEAKS, finding_of};
use slowleak_report::{explain, read_findings};

use crate::answer::FindingAnswer;
use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::settings::Explain;
use crate::terminal::Terminal;

pub(crate) fn run(settings: &Explain, terminal: &Terminal) -> Result<Completion, Failure> {
    let findings = read_findings(&settings.out)?;
    // A nightly run's leak may have been announced under another id than its finding has now.
    let announced = std::fs::read_to_string(settings.out.join(LEAKS)).unwrap_or_default();
    let id = finding_of(&announced, &settings.id).unwrap_or_else(|| settings.id.clone());
    let finding = select(&findings, &id)
        .map_err(|cause| Failure::at(&settings.out, cause, "see findings.parquet there for the ids"))?;
    match terminal.format {
        Format::Text => terminal.answer(&explain(finding, terminal.width, terminal.color))?,
        Format::Json => terminal.json(&FindingAnswer::from(finding))?,
    }
    Ok(Completion::default())
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
