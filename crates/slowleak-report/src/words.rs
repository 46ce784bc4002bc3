//! Figures, times and certainty as a person says them. All times are UTC; whoever shows one says so once.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use slowleak_detect::Finding;
use slowleak_record::{Field, Micros};
use slowleak_rollup::{Dimension, Metric};

/// A whole number with separators: `33,712,345`.
pub(crate) fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A figure in full: separators, and one decimal below ten where it has a fraction.
pub(crate) fn full(value: f64) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let sign = if value <= -0.05 { "-" } else { "" };
    let size = value.abs();
    if size < 9.95 && (size - size.round()).abs() >= 0.05 {
        return format!("{sign}{size:.1}");
    }
    format!("{sign}{}", whole(to_u64(size)))
}

/// A figure to about three significant digits: `33.7 million`, `54,300`.
pub(crate) fn about(value: f64) -> String {
    for (unit, name) in [(1e12, "trillion"), (1e9, "billion"), (1e6, "million")] {
        // 999,950 would be rounded to 1,000,000 below, so it is already a million.
        if value.is_finite() && value.abs() >= unit * 0.9995 {
            return format!("{} {name}", three_digits(value / unit));
        }
    }
    if value.abs() < 1000.0 {
        return full(value);
    }
    let step = if value.abs() < 99_950.0 { 100.0 } else { 1000.0 };
    full((value / step).round() * step)
}

fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Bytes in decimal units: `1.23 GB`.
pub(crate) fn bytes(value: f64) -> String {
    for (unit, name) in [(1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")] {
        if value.is_finite() && value.abs() >= unit * 0.9995 {
            return format!("{} {name}", three_digits(value / unit));
        }
    }
    format!("{} bytes", full(value))
}

/// A metric's figure with its unit: `33.7 million accesses`, `~1.2 million accounts`.
pub(crate) fn quantity(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Bytes => bytes(value),
        Metric::Subjects => format!("~{} {}", about(value), plural(value, "account", "accounts")),
        // Counted, not estimated: shown in full.
        _ => format!("{} {}", full(value), unit(metric, value)),
    }
}

/// A metric's figure in full, without its unit (bytes keep theirs).
pub(crate) fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Bytes => bytes(value),
        Metric::Subjects => format!("~{}", full(value)),
        _ => full(value),
    }
}

/// What a metric counts, in words.
pub(crate) fn unit(metric: Metric, value: f64) -> &'static str {
    match metric {
        Metric::Events => plural(value, "access", "accesses"),
        Metric::Rows => plural(value, "record returned", "records returned"),
        Metric::Bytes => "bytes returned",
        Metric::Denied => plural(value, "refused access", "refused accesses"),
        Metric::Missing => plural(
            value,
            "access to an account that does not exist",
            "accesses to accounts that do not exist",
        ),
        Metric::Error => plural(value, "failed access", "failed accesses"),
        Metric::Sources => plural(value, "distinct source", "distinct sources"),
        Metric::Subjects => plural(value, "distinct account", "distinct accounts"),
    }
}

/// `one` for exactly one, else `many`.
pub(crate) fn plural<'a>(value: f64, one: &'a str, many: &'a str) -> &'a str {
    if value == 1.0 { one } else { many }
}

/// A part of a whole: `54%`, `0.3%`.
pub(crate) fn percent(part: f64) -> String {
    if !part.is_finite() {
        return "unknown".to_owned();
    }
    let percent = part * 100.0;
    if percent != 0.0 && percent.abs() < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{}%", full(percent.round()))
    }
}

/// How far `observed` lies above `expected`: `+54%`, `13 times`, `from nothing`.
pub(crate) fn growth(observed: f64, expected: f64) -> String {
    let ratio = observed / expected;
    if expected <= 0.0 || !ratio.is_finite() {
        "nothing was expected".to_owned()
    } else if ratio >= 3.0 {
        format!("{} times", about(if ratio >= 10.0 { ratio.round() } else { ratio }))
    } else {
        let change = percent(ratio - 1.0);
        if ratio >= 1.0 { format!("+{change}") } else { change }
    }
}

fn to_u64(value: f64) -> u64 {
    // Casts from float to integer saturate, and a NaN becomes 0.
    value.round() as u64
}

fn civil(time: Micros) -> DateTime {
    TimeZone::UTC.to_datetime(time.timestamp())
}

/// A day: `24 Jun 2025`.
pub(crate) fn day(time: Micros) -> String {
    day_of(civil(time), true)
}

fn day_of(time: DateTime, with_year: bool) -> String {
    let month = MONTHS.get(usize::from(time.month().unsigned_abs()).saturating_sub(1)).unwrap_or(&"?");
    if with_year {
        format!("{} {month} {}", time.day(), time.year())
    } else {
        format!("{} {month}", time.day())
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant to the minute, or to the second where it has seconds: `24 Jun 2025 03:00`.
pub(crate) fn instant(time: Micros) -> String {
    format!("{} {}", day(time), clock(civil(time), seconds(time)))
}

fn seconds(time: Micros) -> bool {
    time.0.rem_euclid(60 * Micros::SECOND) != 0
}

fn clock(time: DateTime, with_seconds: bool) -> String {
    if with_seconds {
        format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
    } else {
        format!("{:02}:{:02}", time.hour(), time.minute())
    }
}

/// The half-open interval as people say it, both ends inside: whole days as `24 Jun – 7 Nov 2025`, else
/// with clock times.
pub(crate) fn interval(start: Micros, end: Micros) -> String {
    if is_midnight(start) && is_midnight(end) && end > start {
        return days(start, end);
    }
    let (from, to) = (civil(start), civil(end));
    // In a long interval the seconds of its edges say nothing.
    let short = end.0.saturating_sub(start.0) < 2 * Micros::HOUR;
    let with_seconds = short && (seconds(start) || seconds(end));
    if from.date() == to.date() {
        return format!("{} {}–{}", day_of(from, true), clock(from, with_seconds), clock(to, with_seconds));
    }
    format!(
        "{} {} – {} {}",
        day_of(from, true),
        clock(from, with_seconds),
        day_of(to, true),
        clock(to, with_seconds)
    )
}

/// [`interval`] for tables: from two days on, days alone.
pub(crate) fn interval_brief(start: Micros, end: Micros) -> String {
    if end.0.saturating_sub(start.0) >= 2 * Micros::DAY { days(start, end) } else { interval(start, end) }
}

fn days(start: Micros, end: Micros) -> String {
    let (from, to) = (civil(start), civil(Micros(end.0.saturating_sub(1))));
    if from.date() == to.date() {
        day_of(from, true)
    } else {
        format!("{} – {}", day_of(from, from.year() != to.year()), day_of(to, true))
    }
}

fn is_midnight(time: Micros) -> bool {
    time.0.rem_euclid(Micros::DAY) == 0
}

/// A length of time in its largest fitting unit: `137 days`, `3 hours`, `45 seconds`.
pub(crate) fn duration(start: Micros, end: Micros) -> String {
    let micros = end.0.saturating_sub(start.0).max(0) as f64;
    let day = Micros::DAY as f64;
    let units = [(day, "day", "days"), (day / 24.0, "hour", "hours"), (day / 1440.0, "minute", "minutes")];
    for (unit, one, many) in units {
        // From two units on, so that 36 hours are not "1.5 days".
        if micros >= 2.0 * unit || micros == unit {
            let value = if micros / unit < 9.95 {
                (micros / unit * 10.0).round() / 10.0
            } else {
                (micros / unit).round()
            };
            return format!("{} {}", full(value), plural(value, one, many));
        }
    }
    let seconds = micros / Micros::SECOND as f64;
    format!("{} {}", full(seconds), plural(seconds, "second", "seconds"))
}

/// What detection claims at most; anything rarer would be extrapolation.
const RAREST: f64 = 1e-6;

/// How sure a finding is, in a sentence without its full stop.
pub(crate) fn certainty(expected_false: Option<f64>) -> String {
    match expected_false {
        None => "a fact from the log and the registers, not a likelihood".to_owned(),
        Some(expected) if expected.is_nan() => "how sure this is could not be computed".to_owned(),
        Some(expected) if expected >= 0.5 => format!(
            "a leak-free log of this size is expected to show about {} as strong: noise unless something else supports it",
            full((expected * 10.0).round() / 10.0)
        ),
        Some(expected) => {
            let rarest = if expected <= RAREST { "at most " } else { "" };
            format!("{rarest}about {} leak-free logs of this size would show one as strong", one_in(expected))
        }
    }
}

/// [`certainty`] for a table cell.
pub(crate) fn certainty_brief(expected_false: Option<f64>) -> String {
    match expected_false {
        None => "fact".to_owned(),
        Some(expected) if expected.is_nan() => "unknown".to_owned(),
        Some(expected) if expected >= 0.5 => format!("{} per log", full((expected * 10.0).round() / 10.0)),
        Some(expected) if expected <= RAREST => format!("≤ {}", one_in(expected)),
        Some(expected) => one_in(expected),
    }
}

/// `1 in 20`; the number has at most two significant digits.
fn one_in(expected: f64) -> String {
    let number = 1.0 / expected.max(RAREST);
    let step = 10f64.powf((number.log10() + 1e-9).floor() - 1.0).max(1.0);
    format!("1 in {}", full((number / step).round() * step))
}

/// The entity with the name of its dimension: `key kid-7`, `key A from source 10.0.0.1`. The value is
/// passed through `show`, which must make it safe.
pub(crate) fn who(dimension: &Dimension, entity: &str, show: impl Fn(&str) -> String) -> String {
    match parts(dimension, entity) {
        Some(parts) => {
            let words: Vec<String> = parts
                .iter()
                .enumerate()
                .map(|(index, (field, value))| {
                    let joiner = match (index, field) {
                        (0, _) => "",
                        (_, Field::Source | Field::Region) => " from ",
                        (_, Field::Object | Field::Subject) => " on ",
                        _ => " with ",
                    };
                    format!("{joiner}{} {}", field_word(*field), show(value))
                })
                .collect();
            words.concat()
        }
        None => format!("{dimension} {}", show(entity)),
    }
}

/// The parts of an entity with their fields; `None` where it was not joined from as many parts as the
/// dimension has, so that nobody can say which part is which.
pub(crate) fn parts(dimension: &Dimension, entity: &str) -> Option<Vec<(Field, String)>> {
    let parts = dimension.split(entity);
    let whole = parts.len() == dimension.parts().len();
    let whole = whole && dimension.join(parts.iter().map(String::as_str)) == entity;
    whole.then(|| dimension.parts().iter().copied().zip(parts).collect())
}

fn field_word(field: Field) -> &'static str {
    match field {
        Field::Subject => "account",
        _ => field.name(),
    }
}

/// What was too high, as the head of a clause: `made 12.3 million accesses where 8 million were expected
/// (+54%)`.
pub(crate) fn what(finding: &Finding) -> String {
    let observed = quantity(finding.metric, finding.observed);
    if finding.detector.is_rule() {
        return format!("{} ({observed})", rule(finding));
    }
    let expected = match finding.metric {
        Metric::Bytes => bytes(finding.expected),
        _ => about(finding.expected),
    };
    let verb = match finding.metric {
        Metric::Subjects => "touched",
        Metric::Rows | Metric::Bytes => "read",
        Metric::Sources => "used",
        _ => "made",
    };
    format!(
        "{verb} {observed} where {expected} were expected ({})",
        growth(finding.observed, finding.expected)
    )
}

/// What a rule found, as the head of a clause.
pub(crate) fn rule(finding: &Finding) -> String {
    match finding.detector.name() {
        "key_after_departure" => "was used after its owner left".to_owned(),
        "key_after_revocation" => "was used after it was revoked or had expired".to_owned(),
        "dormant_key" => "woke up after a long silence".to_owned(),
        "use_without_issue" => "was used though it was never issued".to_owned(),
        other => format!("broke the rule {}", other.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Micros {
        text.parse().unwrap()
    }

    #[test]
    fn figures_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (999.6, "1,000"),
            (12_345.0, "12,300"),
            (99_960.0, "100,000"),
            (123_456.0, "123,000"),
            (999_600.0, "1 million"),
            (33_712_345.0, "33.7 million"),
            (1.2e9, "1.2 billion"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(about(value), text);
        }
        assert_eq!(full(33_712_345.4), "33,712,345");
        assert_eq!(full(-2.25), "-2.2");
        assert_eq!(bytes(1_234_567.0), "1.23 MB");
        assert_eq!(bytes(12.0), "12 bytes");
        assert_eq!(quantity(Metric::Subjects, 33_712_345.0), "~33.7 million accounts");
        assert_eq!(quantity(Metric::Events, 1.0), "1 access");
        assert_eq!(growth(154.0, 100.0), "+54%");
        assert_eq!(growth(1300.0, 100.0), "13 times");
        assert_eq!(growth(5.0, 0.0), "nothing was expected");
    }

    #[test]
    fn intervals_are_said_with_both_ends_inside() {
        for (start, end, exact, brief) in [
            ("2025-06-24", "2025-11-08", "24 Jun – 7 Nov 2025", "24 Jun – 7 Nov 2025"),
            ("2025-06-24", "2025-06-25", "24 Jun 2025", "24 Jun 2025"),
            ("2024-12-24", "2025-01-08", "24 Dec 2024 – 7 Jan 2025", "24 Dec 2024 – 7 Jan 2025"),
            ("2025-06-24T14:00", "2025-06-24T15:00", "24 Jun 2025 14:00–15:00", "24 Jun 2025 14:00–15:00"),
            (
                "2025-06-24T23:00",
                "2025-06-25T01:00:05",
                "24 Jun 2025 23:00 – 25 Jun 2025 01:00",
                "24 Jun 2025 23:00 – 25 Jun 2025 01:00",
            ),
            (
                "2025-06-24T03:00",
                "2025-11-08T07:00",
                "24 Jun 2025 03:00 – 8 Nov 2025 07:00",
                "24 Jun – 8 Nov 2025",
            ),
        ] {
            assert_eq!(interval(at(start), at(end)), exact);
            assert_eq!(interval_brief(at(start), at(end)), brief);
        }
        assert_eq!(duration(at("2025-06-24"), at("2025-11-08")), "137 days");
        assert_eq!(duration(at("2025-06-24"), at("2025-06-25T12:00")), "36 hours");
        assert_eq!(duration(at("2025-06-24"), at("2025-06-25")), "1 day");
        assert_eq!(duration(at("2025-06-24"), at("2025-06-24T00:00:45")), "45 seconds");
    }

    #[test]
    fn certainty_is_honest() {
        assert_eq!(
            certainty(Some(0.00001)),
            "about 1 in 100,000 leak-free logs of this size would show one as strong"
        );
        assert!(certainty(Some(0.0)).starts_with("at most about 1 in 1,000,000 "));
        assert!(
            certainty(Some(3.2)).starts_with("a leak-free log of this size is expected to show about 3.2")
        );
        assert!(certainty(None).starts_with("a fact"));
        for (expected, text) in [
            (Some(0.05), "1 in 20"),
            (Some(0.00037), "1 in 2,700"),
            (Some(1e-9), "≤ 1 in 1,000,000"),
            (Some(0.3), "1 in 3"),
            (Some(0.7), "0.7 per log"),
            (None, "fact"),
        ] {
            assert_eq!(certainty_brief(expected), text);
        }
    }

    #[test]
    fn compounds_are_read_out() {
        let dimension: Dimension = "key+source".parse().unwrap();
        let plain = |text: &str| text.to_owned();
        assert_eq!(who(&dimension, "k1 + 10.0.0.1", plain), "key k1 from source 10.0.0.1");
        assert_eq!(who(&dimension, r"k \+ 1 + 10.0.0.1", plain), "key k + 1 from source 10.0.0.1");
        assert_eq!(who(&dimension, "k + 1 + 10.0.0.1", plain), "key+source k + 1 + 10.0.0.1");
    }

    proptest! {
        #[test]
        fn any_figure_and_time_has_words(value in any::<f64>(), start in any::<i64>(), end in any::<i64>()) {
            for text in [about(value), full(value), bytes(value), percent(value), certainty(Some(value))] {
                prop_assert!(!text.is_empty());
            }
            let (start, end) = (Micros(start), Micros(end));
            for text in [interval(start, end), interval_brief(start, end), duration(start, end)] {
                prop_assert!(!text.is_empty());
            }
        }
    }
}
