//! `slowleak inspect`: what is in the files. Writes nothing but its answer.

use slowleak_record::discover;

use crate::cli::Format;
use crate::failure::{Completion, Failure};
use crate::inspect::{survey, text::text};
use crate::settings::Input;
use crate::terminal::Terminal;

pub(crate) fn run(input: &Input, terminal: &Terminal) -> Result<Completion, Failure> {
    let files = discover(&input.paths)?;
    let survey = survey(&files, input);
    if survey.groups.is_empty()
        && let Some(first) = survey.rejected.first()
    {
        // Nothing to show: the same words as a scan of these files would give.
        let others = survey.rejected.len() - 1;
        return Err(crate::pipeline::all_rejected(&first.path, &first.reason, others));
    }
    match terminal.format {
        Format::Text => terminal.answer(&text(&survey, terminal.width))?,
        Format::Json => terminal.json(&survey)?,
    }
    Ok(Completion { rejected: !survey.rejected.is_empty(), alarmed: false })
}
