//! Figures and quantities: rounded as a person rounds, with their unit.

use slowleak_rollup::Metric;

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
        Metric::Subjects | Metric::Blocks => format!("~{}", full(value)),
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
        Metric::Blocks => plural(value, "distinct block of accounts", "distinct blocks of accounts"),
        Metric::Neighbours => {
            plural(value, "account next to another by number", "accounts next to others by number")
        }
        Metric::NewObjects => plural(value, "object for the first time", "objects for the first time"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn any_figure_has_words(value in any::<f64>()) {
            for text in [about(value), full(value), bytes(value), percent(value)] {
                prop_assert!(!text.is_empty());
            }
        }
    }
}
