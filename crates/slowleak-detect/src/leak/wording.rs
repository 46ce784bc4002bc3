//! One sentence for a person.

use slowleak_record::{Field, Micros};
use slowleak_rollup::Metric;

use crate::candidate::{Candidate, Fact};
use crate::finding::{Detector, Finding};

/// The finding's summary; `lead` is the candidate that leads it.
pub(crate) fn summary(finding: &Finding, lead: &Candidate) -> String {
    let who = format!("{} {}", finding.dimension, finding.entity);
    let when = format!("from {} to {}", date(finding.start), date(Micros(finding.end.0 - 1)));
    let still = if finding.open { ", still going on" } else { "" };
    let accounts = finding.subjects.map(|subjects| format!(", about {} accounts", count(subjects)));
    let accounts = accounts.unwrap_or_default();
    if let Some(Fact { why, .. }) = &lead.fact {
        let plural = if finding.observed == 1.0 { "" } else { "s" };
        let times = count(finding.observed);
        return format!("{who} was used {times} time{plural} {why}, {when}{accounts}{still}");
    }
    if finding.detector == Detector::Novelty {
        let (seen, usual) = (count(finding.observed), count(finding.expected));
        return format!(
            "{who}: {seen} accesses by {} that did little else, {when}, where known sources would have made \
             {usual}{accounts}{still}",
            newcomers(finding)
        );
    }
    let unit = match finding.metric {
        Metric::Subjects => "account-days (distinct accounts, summed over days)",
        Metric::Missing => "accesses to accounts that do not exist",
        Metric::Rows => "records returned",
        Metric::Bytes => "bytes returned",
        _ => "accesses",
    };
    let times = if finding.expected > 0.0 {
        format!("{:.1} times the {} expected", finding.observed / finding.expected, count(finding.expected))
    } else {
        "none expected".to_owned()
    };
    let seen = lead.seen.as_ref().map(|seen| format!("; {seen}")).unwrap_or_default();
    let cause = lead.cause.as_ref().map(|cause| format!("; {}", cause.words())).unwrap_or_default();
    format!("{who}: {} {unit} {when}, {times}{accounts}{still}{seen}{cause}", count(finding.observed))
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
