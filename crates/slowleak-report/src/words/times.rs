//! Days, instants, intervals and their length, in UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use slowleak_record::Micros;

use super::figures::{full, plural};

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Micros {
        text.parse().unwrap()
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

    proptest! {
        #[test]
        fn any_time_has_words(start in any::<i64>(), end in any::<i64>()) {
            let (start, end) = (Micros(start), Micros(end));
            for text in [interval(start, end), interval_brief(start, end), duration(start, end)] {
                prop_assert!(!text.is_empty());
            }
        }
    }
}
