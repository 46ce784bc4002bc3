//! What to do about a finding, in the order to do it.

use std::path::Path;

use slowleak_detect::{Detector, Finding, Severity};
use slowleak_record::Field;

use crate::escape::{brief, shell_word};
use crate::{rules, words};

/// Widest identifier that advice shows in full, in columns.
pub(crate) const WIDEST: usize = 120;

/// Steps for whoever is on call, most urgent first; identifiers are safe to show. The command is in
/// [`command`].
pub(crate) fn steps(finding: &Finding) -> Vec<String> {
    let parts = words::parts(&finding.dimension, &finding.entity).unwrap_or_default();
    let part =
        |wanted: Field| parts.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.as_str());
    let key = finding.key.as_deref().or_else(|| part(Field::Key)).map(show);
    let user = finding.user.as_deref().or_else(|| part(Field::User)).map(show);
    let source = part(Field::Source).map(show);
    let urgency = if finding.open { " now: it is still being used this way" } else { "" };

    if finding.severity == Severity::Info {
        let span = words::interval_brief(finding.start, finding.end);
        return vec![
            format!("Nothing, if the cause named above is known to be true of {span}."),
            "If it is not, treat the finding as one of severity high.".to_owned(),
        ];
    }
    if finding.detector == Detector::LogGap {
        let span = words::interval_brief(finding.start, finding.end);
        return vec![
            format!(
                "Compare {span} with what the source of the log still holds, and with its backup; bring in what is missing."
            ),
            "Find out who could delete or change the log, and whether they did.".to_owned(),
            "If nothing can be brought back, take any data reached in that time as possibly taken."
                .to_owned(),
        ];
    }
    let mut steps = Vec::new();
    match (&key, &user) {
        (Some(key), _) if finding.detector.is_rule() => {
            steps.extend(rules::steps(finding.detector, key, urgency));
        }
        (Some(key), _) => steps.push(format!("Rotate or revoke key {key}{urgency}.")),
        (None, Some(user)) => {
            steps.push(format!("End the sessions of user {user} and rotate their keys{urgency}."));
        }
        (None, None) => {}
    }
    if let Some(source) = &source {
        steps.push(format!("Block source {source} until it is explained."));
    }
    if key.is_none() && user.is_none() {
        let entity = words::who(&finding.dimension, &finding.entity, show);
        steps.push(format!("No single key or user stands out: list who reached {entity} in the interval."));
    }
    if !finding.detector.is_rule() {
        let owner = match (&user, &key) {
            (Some(user), _) => format!("user {user}"),
            (None, Some(_)) => "the key's owner".to_owned(),
            (None, None) => "the owner of the data".to_owned(),
        };
        let span = words::interval_brief(finding.start, finding.end);
        steps.push(format!("Ask {owner} whether a migration, batch job or new service explains {span}."));
    }
    steps
}

/// The command that tells why the finding exists; without a folder, `DIR` stands in.
pub(crate) fn command(finding: &Finding, out: Option<&Path>) -> String {
    let out = out.map_or("DIR".to_owned(), |out| shell_word(&out.to_string_lossy()));
    format!("slowleak explain {} --out {out}", shell_word(&finding.id))
}

fn show(text: &str) -> String {
    brief(text, WIDEST)
}
