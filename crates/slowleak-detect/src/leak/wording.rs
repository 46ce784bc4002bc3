//! One sentence for a person.

use slowleak_record::{Field, Micros};
use slowleak_rollup::Metric;

use crate::candidate::{Candidate, Fact};
use crate::finding::{Detector, Evidence, Finding};

/// The finding's summary, in the words of the candidate that leads it where figures alone do not say what was seen, and
/// of its phases, where it has several.
pub(crate) fn summary(finding: &Finding, lead: &Candidate) -> String {
    let phases = finding.phases();
    let what = what(finding, lead);
    if phases.len() < 2 {
        return what;
    }
    let phase = |phase: &&Evidence| {
        let days = format!("{} to {}", date(phase.start), date(Micros(phase.end.0 - 1)));
        format!(
            "{} {} ({} {}, {days})",
            phase.dimension,
            phase.entity,
            count(phase.observed),
            unit(phase.metric)
        )
    };
    let told: Vec<String> = phases.iter().map(phase).collect();
    format!("{what}; {} phases: {}", phases.len(), listed(&told))
}

fn what(finding: &Finding, lead: &Candidate) -> String {
    let who = format!("{} {}", finding.dimension, finding.entity);
    let when = if finding.detector == Detector::Burst {
        format!("from {} to {} UTC", minute(finding.start), minute(finding.end))
    } else {
        format!("from {} to {}", date(finding.start), date(Micros(finding.end.0 - 1)))
    };
    let still = if finding.open { ", still going on" } else { "" };
    let accounts = finding.subjects.map(|subjects| format!(", about {} accounts", count(subjects)));
    let accounts = accounts.unwrap_or_default();
    if let Some(Fact { why, .. }) = &lead.fact {
        let plural = if finding.observed == 1.0 { "" } else { "s" };
        let times = count(finding.observed);
        return format!("{who} was used {times} time{plural} {why}, {when}{accounts}{still}");
    }
    let cause = lead.cause.as_ref().map(|cause| format!("; {}", cause.words())).unwrap_or_default();
    let seen = lead.seen.as_deref().unwrap_or_default();
    let (observed, usual) = (count(finding.observed), count(finding.expected));
    match finding.detector {
        Detector::Swap => {
            return format!(
                "{who} {seen}: {observed} accesses {when}, of which its former habits account for \
                 {usual}{accounts}{still}{cause}"
            );
        }
        Detector::Profile => {
            return format!(
                "{who}: {observed} {seen} {when}, where {usual} were expected of so many accesses{still}{cause}"
            );
        }
        Detector::Novelty => {
            return format!(
                "{who}: {observed} accesses by {} that did little else, {when}, where known sources would have made \
                 {usual}{accounts}{still}",
                newcomers(finding)
            );
        }
        Detector::Reconnaissance => {
            return format!(
                "{who}: {observed} objects used for the first time {when}, where {usual} were expected of so many \
                 accesses ({seen}){still}{cause}"
            );
        }
        Detector::Enumeration => {
            return format!(
                "{who}: {seen} accounts visited by number {when}: {observed} of them next to another one of the same \
                 day; {usual} such are usual for as many{accounts}{still}{cause}",
                accounts =
                    finding.subjects.map(|all| format!(" ({} in all)", count(all))).unwrap_or_default()
            );
        }
        _ => {}
    }
    let unit = unit(finding.metric);
    let by = match finding.detector {
        Detector::Share => " by the key's other accesses",
        Detector::Burst => " of such hours on such a day",
        _ => "",
    };
    let times = if finding.expected > 0.0 {
        format!("{:.1} times the {usual} expected{by}", finding.observed / finding.expected)
    } else {
        "none expected".to_owned()
    };
    let seen = lead.seen.as_ref().map(|seen| format!("; {seen}")).unwrap_or_default();
    let others = alike(finding);
    let (before, numbers) = (looked_around(finding), by_number(finding));
    format!("{who}: {observed} {unit} {when}, {times}{accounts}{still}{seen}{others}{numbers}{before}{cause}")
}

fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::Subjects => "account-days (distinct accounts, summed over days)",
        Metric::Missing => "accesses to accounts that do not exist",
        Metric::Neighbours => "accounts next to others by number",
        Metric::Rows => "records returned",
        Metric::Bytes => "bytes returned",
        _ => "accesses",
    }
}

/// The key's other objects (or whatever else its name ends with) in the evidence.
fn alike(finding: &Finding) -> String {
    let dimension = &finding.dimension;
    let (own, mut others) = (dimension.split(&finding.entity), Vec::new());
    // Places of other phases are told with these.
    let phase = finding.evidence.first().map(|leading| leading.phase);
    let beside = |row: &&Evidence| row.dimension == *dimension && Some(row.phase) == phase;
    for evidence in finding.evidence.iter().filter(beside) {
        let name = dimension.split(&evidence.entity);
        let other = name.iter().zip(&own).find(|(part, own)| part != own).map(|(part, _)| part.clone());
        others.extend(other.filter(|other| !others.contains(other)));
    }
    if others.is_empty() { String::new() } else { format!("; so did its use of {}", listed(&others)) }
}

/// The reconnaissance in the evidence.
fn looked_around(finding: &Finding) -> String {
    let all = finding.evidence.iter().filter(|row| row.detector == Detector::Reconnaissance);
    // Of a key and its user, the one that is known by the hour.
    let found = all.min_by_key(|row| row.end.0 - row.start.0);
    let words = |row: &Evidence| {
        let (objects, first, last) = (count(row.observed), date(row.start), date(Micros(row.end.0 - 1)));
        format!(
            "; {objects} objects were used for the first time by {} {} from {first} to {last}",
            row.dimension, row.entity
        )
    };
    found.map(words).unwrap_or_default()
}

/// The visits by number in the evidence, the surest of them.
fn by_number(finding: &Finding) -> String {
    let all = finding.evidence.iter().filter(|row| row.detector == Detector::Enumeration);
    let words = |row: &Evidence| {
        let (observed, usual) = (count(row.observed), count(row.expected));
        format!(
            "; accounts were visited by number: {observed} next to another one of the same day at {} {}, where {usual} \
             are usual",
            row.dimension, row.entity
        )
    };
    all.max_by(|a, b| a.score.total_cmp(&b.score)).map(words).unwrap_or_default()
}

/// Names for a sentence: at most three, then how many more.
pub(crate) fn listed(names: &[String]) -> String {
    const MOST: usize = 3;
    match names.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..MOST].join(", ")),
        _ => names.join(", "),
    }
}

/// The new sources of a finding, the first of them by name.
fn newcomers(finding: &Finding) -> String {
    const NAMED: usize = 3;
    let of_source = finding.evidence.iter().filter(|row| row.detector == Detector::Novelty);
    let names: Vec<String> = of_source
        .filter_map(|row| {
            let place = row.dimension.parts().iter().position(|part| *part == Field::Source)?;
            row.dimension.split(&row.entity).into_iter().nth(place)
        })
        .collect();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{} source{plural} never seen before ({named}{more})", names.len())
}

fn date(time: Micros) -> String {
    time.to_string().chars().take(10).collect()
}

pub(crate) fn minute(time: Micros) -> String {
    time.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

/// A whole number with thousands separators; one decimal below ten.
pub(crate) fn count(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.max(0.0));
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(1.25), "1.2");
    }
}
