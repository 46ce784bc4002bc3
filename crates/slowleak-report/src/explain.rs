//! Why one finding exists, in words and numbers, from what a run left on disk.

use slowleak_detect::{Detector, Evidence, Finding};
use slowleak_record::Micros;
use slowleak_rollup::{Dimension, Metric};

use crate::escape::{brief, visible};
use crate::layout::{BOLD, Sheet, severity_style};
use crate::series::Series;
use crate::{advice, rules, words};

/// Rows of the tables of evidence and shares.
const LISTED: usize = 25;

/// The argument for a finding: figures, baseline, spread, scores, evidence, shares, and what would
/// overturn it. Fits `width` columns; times are UTC.
pub fn explain(finding: &Finding, width: usize, color: bool) -> String {
    let mut sheet = Sheet::new(width, color);
    let lead = format!("{} ", finding.severity.name().to_uppercase());
    let title = format!("finding {}, rank {}", visible(&finding.id), finding.rank);
    sheet.styled(0, &lead, severity_style(finding.severity), &title);
    sheet.paragraph(0, "", &visible(&finding.summary));
    sheet.gap();
    seen(&mut sheet, finding);
    sheet.gap();
    match rules::rule(finding.detector) {
        Some(rule) => fact(&mut sheet, finding, rule),
        None => argument(&mut sheet, finding),
    }
    if let Some(cause) = &finding.cause {
        sheet.gap();
        sheet.heading("Why it is information only");
        sheet.paragraph(2, "", &format!("{}.", capital(&visible(cause))));
    }
    if let Some(why) = &finding.suppressed {
        sheet.gap();
        sheet.heading("Why it is suppressed");
        sheet.paragraph(2, "", &format!("{}.", capital(&visible(why))));
    }
    phases(&mut sheet, finding);
    evidence(&mut sheet, finding);
    shares(&mut sheet, finding);
    sheet.gap();
    sheet.heading("What would overturn it");
    for reason in doubts(finding) {
        sheet.paragraph(2, "- ", &reason);
    }
    sheet.gap();
    sheet.heading("What to do");
    for (index, step) in advice::steps(finding).iter().enumerate() {
        sheet.paragraph(2, &format!("{}. ", index + 1), step);
    }
    sheet.finish()
}

fn seen(sheet: &mut Sheet, finding: &Finding) {
    sheet.heading("What was seen");
    let who = words::who(&finding.dimension, &finding.entity, |part| brief(part, advice::WIDEST));
    sheet.paragraph(2, "who       ", &who);
    let open = if finding.open { "; still going on at the end of the data" } else { "" };
    let when = words::interval(finding.start, finding.end);
    let length = words::duration(finding.start, finding.end);
    sheet.paragraph(2, "when      ", &format!("{when} UTC ({length}){open}"));
    let metric = finding.metric;
    let row = |value: f64| format!("{} {}", words::figure(metric, value), unit(finding, value));
    sheet.paragraph(2, "observed  ", &row(finding.observed));
    if !finding.detector.is_rule() {
        sheet.paragraph(2, "expected  ", &row(finding.expected));
        let growth = words::growth(finding.observed, finding.expected);
        let (word, difference) = match finding.detector {
            Detector::LogGap => ("missing   ", finding.expected - finding.observed),
            _ => ("excess    ", finding.observed - finding.expected),
        };
        sheet.paragraph(2, word, &format!("{} ({growth})", row(difference)));
    }
    if let Some(subjects) = finding.subjects {
        let text = format!(
            "~{} distinct accounts touched in the interval, honest use included (an estimate)",
            words::about(subjects)
        );
        sheet.paragraph(2, "accounts  ", &text);
    }
    sheet.paragraph(2, "taken     ", &taken(finding));
    if let Some(series) = Series::new(finding, sheet.width().saturating_sub(16).clamp(10, 70)) {
        sheet.line(12, &series.sparkline());
        let from = series.bars.first().map(|bar| words::day(bar.start)).unwrap_or_default();
        let note = format!("one bar per {} from {from}; [ ] is the interval", series.bar_word());
        sheet.note(12, &note);
    }
}

/// What was taken at the least, by which findings of one severity are ranked.
pub(crate) fn taken(finding: &Finding) -> String {
    if finding.detector == Detector::LogGap {
        return "not known: what was done in the gap is not in the log".to_owned();
    }
    if finding.taken < 1.0 {
        return "nothing for certain beyond the honest share".to_owned();
    }
    let metric = if finding.subjects.is_some() { Metric::Subjects } else { Metric::Events };
    let least = format!("at least {} beyond the honest share", words::quantity(metric, finding.taken));
    if finding.sensitivity == 1.0 {
        return least;
    }
    let weighted = words::about(finding.taken * finding.sensitivity);
    format!("{least}; weighed by sensitivity ({}) as {weighted}", significant(finding.sensitivity))
}

/// The unit in words; bytes carry theirs already.
fn unit(finding: &Finding, value: f64) -> &'static str {
    if finding.metric == Metric::Bytes { "returned" } else { words::unit(finding.metric, value) }
}

fn fact(sheet: &mut Sheet, finding: &Finding, rule: &str) {
    sheet.heading("Why it is reported");
    let text = format!(
        "This is a rule, not a likelihood: the credential {rule}. First such use {} UTC, last before {} UTC. \
         It follows from the log and the registers alone; no baseline enters.",
        words::instant(finding.start),
        words::instant(finding.end),
    );
    sheet.paragraph(2, "", &text);
}

fn argument(sheet: &mut Sheet, finding: &Finding) {
    sheet.heading("Why it is not normal");
    let Some(leading) = finding.evidence.first() else {
        sheet.paragraph(2, "", "The run left no evidence rows for it.");
        sheet.paragraph(2, "certainty   ", &format!("{}.", words::certainty(finding.expected_false)));
        return;
    };
    for (lead, text) in reasons(finding, leading) {
        sheet.styled(2, &format!("{lead:<12}"), BOLD, &text);
    }
}

/// Baseline, spread, score and certainty of the leading interval, as (heading, sentences).
pub(crate) fn reasons(finding: &Finding, leading: &Evidence) -> Vec<(&'static str, String)> {
    let metric = leading.metric;
    let unit = if metric == Metric::Bytes { "returned" } else { words::unit(metric, 2.0) };
    let days = (leading.end.0.saturating_sub(leading.start.0)) as f64 / Micros::DAY as f64;
    let mut reasons = Vec::new();
    let level = words::figure(metric, leading.level_per_day);
    let (observed, expected, each) = if days >= 2.0 {
        (leading.observed / days, leading.expected / days, " a day")
    } else {
        (leading.observed, leading.expected, "")
    };
    let (observed, expected) = (words::figure(metric, observed), words::figure(metric, expected));
    let baseline = match leading.detector {
        Detector::Burst => format!(
            "In the log as a whole the level is {level} {unit} a day. From the rest of its own day (or the weeks around, \
             where they are busier), what it usually does at such an hour of the week, and what its peers do at the time, \
             {expected} are expected in the interval. Seen were {observed}."
        ),
        Detector::Birth => format!(
            "It is new and has no habit of its own: it is held against how the others of its kind began, half of which \
             did {level} {unit} or fewer on a day of activity. Seen were {observed}{each}."
        ),
        Detector::Share => format!(
            "Outside the interval the key's accesses to the object are {level} a day, and keep in step with its \
             accesses to other objects; by what it did there, and what other keys did with this object, \
             {expected}{each} are expected inside. Seen were {observed}{each}."
        ),
        Detector::Swap => format!(
            "What it has done since fits what the other user did before, and the other's fits its own former habits. \
             These account for {expected}{each} of the {observed}{each} since."
        ),
        Detector::Profile => format!(
            "What is its own is learnt from its other days, and from its peers; whatever it did in all, {expected}{each} \
             {unit} not its own are expected of so much inside the interval. Seen were {observed}{each}."
        ),
        Detector::Novelty => new_sources(leading),
        Detector::Reconnaissance => format!(
            "The more accesses somebody has made, the rarer is an object that they never used: how much rarer was learnt \
             from its peers, and how eager it is itself from what it had used before. So many accesses lead to expect \
             {} objects used for the first time in the interval. Seen were {}, without those that others began to use in \
             the same days, and those that it still used three weeks later.",
            words::full(leading.expected),
            words::full(leading.observed)
        ),
        Detector::Enumeration => format!(
            "Accounts of 64 consecutive numbers are a block, and an account beyond the first of its block on a day is next \
             to another one. Who takes accounts as they come has few such; how few was learnt from its other days, and \
             from its peers. So many accounts lead to expect {expected}{each}. Seen were {observed}{each}."
        ),
        Detector::LogGap if leading.dimension == Dimension::LOG => format!(
            "The log holds {level} {unit} a day. By the same hours of the week in the four weeks before and after, at the \
             level of the days next to it (the lower of the two), {expected}{each} are expected in the interval. Seen were \
             {observed}{each}. {}",
            if leading.observed <= 0.1 * leading.expected {
                "So complete a silence is that of the log, or of everything that writes to it."
            } else {
                "The largest keys and objects have lost alike, no more unevenly than records taken out at random leave an \
                 ordinary week: holidays and slow times, which have been looked at the same way, take from some and not \
                 from others."
            }
        ),
        Detector::LogGap => format!(
            "It has {level} {unit} a day, and some in nearly every hour of its life. By the same hours of the week in the \
             four weeks before and after, at the level of the days next to it (the lower of the two) and no more than \
             what the whole log has left in those hours, {expected}{each} are expected in the interval. Seen was none, \
             and then it came back."
        ),
        _ => format!(
            "Outside the interval the level is {level} {unit} a day; with the season and what its peers do at the \
             time, {expected}{each} are expected inside it. Seen were {observed}{each}."
        ),
    };
    reasons.push(("Baseline", baseline));

    let by_total = !matches!(leading.detector, Detector::Novelty | Detector::Reconnaissance);
    if by_total && leading.dispersion > 0.0 && leading.expected > 0.0 {
        // Counting noise and the rate's own.
        let spread = (leading.dispersion + 1.0 / leading.expected).sqrt();
        let apart = (leading.observed / leading.expected - 1.0) / spread;
        reasons.push((
            "Spread",
            format!(
                "Honest totals over {} differ from what is expected by about ±{} (one standard deviation, dispersion {}). \
                 This one lies {} such deviations {}.",
                words::duration(leading.start, leading.end),
                words::percent(spread),
                significant(leading.dispersion),
                words::full(apart.abs()),
                if apart < 0.0 { "below" } else { "above" },
            ),
        ));
    }
    reasons.push((
        "Score",
        format!(
            "{} nats before calibration, {} after: {}, brought to the scale on which the scores of its peers fall off as \
             they should.",
            words::full(leading.raw_score),
            words::full(leading.score),
            match leading.detector {
                Detector::Birth => {
                    "how rarely so many accesses, so many of them on one object and so many from sources of its own are \
                     seen at the start"
                }
                Detector::LogGap if leading.dimension == Dimension::LOG => {
                    "the log-likelihood ratio of so few records against those expected"
                }
                Detector::LogGap => "the records that are missing, which by chance alone is minus the logarithm of its odds",
                Detector::Novelty => "how rarely chance and habit bring so many of a source's accesses to one object",
                Detector::Reconnaissance => {
                    "the log-likelihood ratio of so many objects against those that its accesses lead to expect"
                }
                Detector::Enumeration => {
                    "the log-likelihood ratio of so many accounts next to each other against those that chance and habit \
                     bring, less what estimated counts may be off by"
                }
                _ => "the log-likelihood ratio of a leak against the baseline",
            },
        ),
    ));
    let certainty = words::certainty(finding.expected_false);
    let certainty = match finding.expected_false {
        Some(expected) => format!("{certainty} (expected_false {})", significant(expected)),
        None => certainty,
    };
    reasons.push(("Certainty", format!("{}.", capital(&certainty))));
    reasons
}

/// What new sources are held against.
fn new_sources(leading: &Evidence) -> String {
    let (observed, expected) = (words::full(leading.observed), words::full(leading.expected));
    format!(
        "Nobody had come from these sources before, and since then they did little else than this: {observed} \
         accesses. Had they touched what the other sources with the same keys touch, {expected} would have been here. \
         Each source has habits of its own; how strong they are was measured on the other sources of the key \
         (correlation {}), and none of these is devoted to anything like that.",
        significant(leading.dispersion)
    )
}

/// At most two significant digits below a thousand, in the shortest notation.
pub(crate) fn significant(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    if !(1e-3..1e3).contains(&size) {
        return format!("{value:.1e}");
    }
    let step = 10f64.powf(size.log10().floor() - 1.0);
    let decimals = (1.0 - size.log10().floor()).clamp(0.0, 5.0) as usize;
    let text = format!("{:.decimals$}", (value / step).round() * step);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What was done where in each phase, and why they are one leak.
fn phases(sheet: &mut Sheet, finding: &Finding) {
    let told = told_phases(finding);
    if told.is_empty() {
        return;
    }
    sheet.gap();
    sheet.heading(&format!("Its {} phases (UTC)", told.len()));
    let listed = told.iter().take(LISTED);
    listed.for_each(|(number, text)| sheet.paragraph(2, &format!("{number}. "), text));
    more(sheet, told.len(), "evidence.parquet");
    let actor = match (&finding.user, &finding.key) {
        (Some(user), _) => format!("user {}", brief(user, advice::WIDEST)),
        (None, Some(key)) => format!("key {}", brief(key, advice::WIDEST)),
        (None, None) => "one actor".to_owned(),
    };
    let text = format!(
        "They are told as one leak: all are of {actor}, nothing shows different hands, and each begins as another ends or \
         is the same rise of the same place. Each is a finding by itself; the odds above are those of the surest, and \
         joining has not bettered them. Observed and expected above are of the place that it names, over all phases and \
         what lies between."
    );
    sheet.paragraph(2, "", &text);
}

/// The phases with their numbers, each in words; none where there is but one.
pub(crate) fn told_phases(finding: &Finding) -> Vec<(u32, String)> {
    let phases = finding.phases();
    let told = |phase: &&Evidence| {
        let text = format!(
            "{}: {}, {} where {} were expected (by chance {})",
            words::interval(phase.start, phase.end),
            words::who(&phase.dimension, &phase.entity, |part| brief(part, advice::WIDEST)),
            words::quantity(phase.metric, phase.observed),
            words::figure(phase.metric, phase.expected),
            words::certainty_brief(phase.expected_false),
        );
        (phase.phase, text)
    };
    if phases.len() > 1 { phases.iter().map(told).collect() } else { Vec::new() }
}

fn evidence(sheet: &mut Sheet, finding: &Finding) {
    if finding.evidence.is_empty() {
        return;
    }
    sheet.gap();
    let count = finding.evidence.len();
    sheet.heading(&format!(
        "Evidence: {count} {} (UTC)",
        words::plural(count as f64, "interval", "intervals")
    ));
    let who_width = sheet.width().saturating_sub(86).clamp(26, 60);
    let rows: Vec<Vec<String>> = finding
        .evidence
        .iter()
        .take(LISTED)
        .map(|row| {
            vec![
                if row.detector.is_rule() {
                    row.detector.to_string()
                } else {
                    format!("{} {}", row.detector, row.metric)
                },
                words::who(&row.dimension, &row.entity, |part| brief(part, who_width)),
                words::interval_brief(row.start, row.end),
                words::figure(row.metric, row.observed),
                if row.detector.is_rule() { "-".to_owned() } else { words::figure(row.metric, row.expected) },
                words::full(row.score),
                words::certainty_brief(row.expected_false),
            ]
        })
        .collect();
    let header = ["detector", "who", "when", "observed", "expected", "nats", "by chance"];
    sheet.table(2, &header, &[3, 4, 5, 6], &rows, |_| None);
    more(sheet, count, "evidence.parquet");
}

fn shares(sheet: &mut Sheet, finding: &Finding) {
    if finding.shares.is_empty() {
        return;
    }
    sheet.gap();
    sheet.heading("Where the excess lies (shares of different parts overlap)");
    let width = sheet.width().saturating_sub(60).clamp(16, 80);
    let rows: Vec<Vec<String>> = finding
        .shares
        .iter()
        .take(LISTED)
        .map(|row| {
            vec![
                visible(&row.dimension).into_owned(),
                brief(&row.value, width),
                words::full(row.observed),
                words::full(row.expected),
                words::percent(row.share),
            ]
        })
        .collect();
    let header = ["part", "value", "observed", "expected", "of the excess"];
    sheet.table(2, &header, &[2, 3, 4], &rows, |_| None);
    more(sheet, finding.shares.len(), "shares.parquet");
}

fn more(sheet: &mut Sheet, count: usize, file: &str) {
    if count > LISTED {
        sheet.line(2, &format!("... and {} more in {file}.", count - LISTED));
    }
}

/// What would show the finding to be wrong.
pub(crate) fn doubts(finding: &Finding) -> Vec<String> {
    if finding.detector.is_rule() {
        return rules::doubts(finding.detector);
    }
    let span = words::interval_brief(finding.start, finding.end);
    if finding.detector == Detector::Swap {
        let partner = finding
            .shares
            .first()
            .map_or_else(|| "the other".to_owned(), |share| brief(&share.value, advice::WIDEST));
        return vec![
            format!("The two having exchanged their work: ask both, or who leads them, about {span}."),
            format!(
                "A name that was given to another person from then on: compare with the directory of {partner}."
            ),
        ];
    }
    if finding.detector == Detector::LogGap {
        return vec![
            format!("An outage on record for {span}: then others who depend on the data missed it, too."),
            "Files that come late, or were left out when the log was collected: count what the source still holds."
                .to_owned(),
            if finding.dimension == Dimension::LOG {
                "A day off for everybody, where nothing but people writes to the log.".to_owned()
            } else {
                "Something that was shut down for that time, or whose work another did: ask whoever runs it.".to_owned()
            },
        ];
    }
    let mut doubts =
        vec![format!("A cause on record for {span}: a migration, a batch job, a new service, a campaign.")];
    if let Some(top) = finding.shares.iter().find(|share| share.share >= 0.2) {
        // Shares are of the phase that names the finding.
        let rest = match finding.evidence.first() {
            Some(leading) if finding.phases().len() > 1 => leading.observed - leading.expected,
            _ => finding.observed - finding.expected,
        };
        let left = words::figure(finding.metric, (rest * (1.0 - top.share)).max(0.0));
        doubts.push(format!(
            "{} {} being known work: it carries {} of the excess; without it {left} of {} remain.",
            visible(&top.dimension),
            brief(&top.value, advice::WIDEST),
            words::percent(top.share),
            words::figure(finding.metric, rest),
        ));
    }
    if finding.open {
        doubts.push(
            "A lasting change of level: if it stays there and its owner confirms the new use, it is growth."
                .to_owned(),
        );
    }
    if finding.expected_false.is_some_and(|expected| expected >= 0.01) {
        doubts.push("Chance: at this certainty a large estate sees such a finding now and then.".to_owned());
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_two_digits() {
        for (value, text) in [
            (0.012, "0.012"),
            (0.7, "0.7"),
            (2.31, "2.3"),
            (31.4, "31"),
            (0.0025, "0.0025"),
            (1e-5, "1.0e-5"),
            (0.0, "0"),
        ] {
            assert_eq!(significant(value), text);
        }
    }
}
