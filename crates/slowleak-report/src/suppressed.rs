//! What the suppressions of the settings did, in words: what they hid, which have run out, which matched nothing. People
//! must see that something is hidden, and by whom, without asking for it.

use slowleak_detect::Suppressing;

use crate::escape::{brief, visible};
use crate::{Run, advice, words};

/// One sentence a suppression, after one about all; empty where the settings have none.
pub(crate) fn lines(run: &Run<'_>) -> Vec<String> {
    let all = &run.detection.suppressions;
    if all.is_empty() {
        return Vec::new();
    }
    let hidden = run.detection.suppressed();
    let findings = counted(hidden);
    let more = if hidden > 0 && !run.detection.findings.iter().any(|finding| finding.suppressed.is_some()) {
        " Show them with --show-suppressed."
    } else {
        ""
    };
    let each = all.iter().map(line);
    [format!("{findings} suppressed by the settings.{more}")].into_iter().chain(each).collect()
}

fn line(one: &Suppressing) -> String {
    let patterns = brief(&one.patterns(), advice::WIDEST);
    let owner = visible(&one.suppression.owner);
    let until = words::day(one.suppression.expires);
    if one.expired {
        let findings = match one.findings {
            0 => "nothing matches it any more".to_owned(),
            findings => format!("it would hide {}", counted(findings)),
        };
        return format!("EXPIRED {until}: {patterns} ({owner}); {findings}.");
    }
    let reason = brief(&one.suppression.reason, advice::WIDEST);
    match one.findings {
        0 => format!("Matched nothing: {patterns} ({owner}, until {until}: {reason})."),
        findings => format!("{} by {patterns} ({owner}, until {until}: {reason}).", counted(findings)),
    }
}

fn counted(findings: u64) -> String {
    format!("{} {}", words::whole(findings), words::plural(findings as f64, "finding", "findings"))
}
