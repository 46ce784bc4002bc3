//! Instants, ranges of them, and windows.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use thiserror::Error;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// Microseconds in a second.
    pub const SECOND: i64 = 1_000_000;
    /// Microseconds in an hour.
    pub const HOUR: i64 = 3600 * Self::SECOND;
    /// Microseconds in a day.
    pub const DAY: i64 = 24 * Self::HOUR;

    /// The instant as a calendar timestamp; instants outside the years -9999 to 9999 are clamped.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }
}

impl From<Timestamp> for Micros {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl fmt::Display for Micros {
    /// RFC 3339 in UTC, for instance `2025-06-24T00:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

/// A time that can not be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{text:?} is not a time: write a date (2025-06-24) or RFC 3339 (2025-06-24T09:00:00Z)")]
pub struct TimeError {
    text: String,
}

impl FromStr for Micros {
    type Err = TimeError;

    /// Reads RFC 3339, a date-time without offset (taken as UTC) or a date (its first instant, UTC).
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(timestamp.into());
        }
        text.parse::<civil::DateTime>()
            .ok()
            .and_then(|civil| civil.to_zoned(TimeZone::UTC).ok())
            .map(|zoned| zoned.timestamp().into())
            .ok_or_else(|| TimeError { text: text.to_owned() })
    }
}

/// A half-open range of time; an absent bound is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// First instant inside.
    pub since: Option<Micros>,
    /// First instant after.
    pub until: Option<Micros>,
}

impl TimeRange {
    /// Whether `time` lies inside.
    pub fn contains(&self, time: Micros) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    /// Whether any instant of the closed range `first..=last` lies inside.
    pub fn overlaps(&self, first: Micros, last: Micros) -> bool {
        self.since.is_none_or(|since| last >= since) && self.until.is_none_or(|until| first < until)
    }
}

/// Length of a counting window: a whole number of seconds that divides a day, or of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    micros: i64,
}

/// A window length that can not be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{text:?} is not a window: write 1h, 15m, 1d; below a day it must divide a day evenly")]
pub struct WindowError {
    text: String,
}

impl Window {
    /// One hour.
    pub const HOUR: Self = Self { micros: Micros::HOUR };
    /// One day.
    pub const DAY: Self = Self { micros: Micros::DAY };
    /// Seven days; windows of a week start on Thursdays, as 1970-01-01 was one.
    pub const WEEK: Self = Self { micros: 7 * Micros::DAY };

    /// Length in microseconds, always positive.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// Start of the window that holds `time`; windows are aligned to 1970-01-01T00:00:00Z.
    pub const fn floor(self, time: Micros) -> Micros {
        Micros(time.0 - time.0.rem_euclid(self.micros))
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let error = || WindowError { text: text.to_owned() };
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(split);
        let unit = match unit {
            "s" => Micros::SECOND,
            "m" => 60 * Micros::SECOND,
            "h" => Micros::HOUR,
            "d" => Micros::DAY,
            _ => return Err(error()),
        };
        let micros = number
            .parse::<i64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .filter(|micros| (1..=366 * Micros::DAY).contains(micros))
            .ok_or_else(error)?;
        let even = if micros < Micros::DAY { Micros::DAY % micros == 0 } else { micros % Micros::DAY == 0 };
        if even { Ok(Self { micros }) } else { Err(error()) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(Micros::DAY, 'd'), (Micros::HOUR, 'h'), (60 * Micros::SECOND, 'm')] {
            if self.micros % unit == 0 {
                return write!(f, "{}{name}", self.micros / unit);
            }
        }
        write!(f, "{}s", self.micros / Micros::SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_offsets_and_zoneless_times_as_utc() {
        let midnight: Micros = "2025-06-24".parse().unwrap();
        assert_eq!("2025-06-24T00:00:00Z".parse(), Ok(midnight));
        assert_eq!("2025-06-24T09:00:00+09:00".parse(), Ok(midnight));
        assert_eq!("2025-06-24T00:00:00".parse(), Ok(midnight));
        assert_eq!("2025-06-24 00:00".parse(), Ok(midnight));
        assert_eq!(midnight.to_string(), "2025-06-24T00:00:00Z");
    }

    #[test]
    fn a_bad_time_is_an_error() {
        for text in ["", "yesterday", "2025-13-01", "2025-02-30", "12", "2025-06-24T25:00:00Z"] {
            assert!(text.parse::<Micros>().is_err(), "{text}");
        }
    }

    #[test]
    fn windows_parse_print_and_floor() {
        for text in ["1s", "1m", "15m", "1h", "1d", "7d"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        assert_eq!("60m".parse::<Window>(), Ok(Window::HOUR));
        for text in ["", "h", "0h", "7h", "1w", "-1h", "99999999999999999999d", "25h"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        assert_eq!(Window::HOUR.floor(Micros(-1)), Micros(-Micros::HOUR));
        assert_eq!(Window::HOUR.floor(Micros(Micros::HOUR + 5)), Micros(Micros::HOUR));
    }

    #[test]
    fn ranges_are_half_open() {
        let range = TimeRange { since: Some(Micros(10)), until: Some(Micros(20)) };
        assert!(range.contains(Micros(10)) && !range.contains(Micros(20)));
        assert!(range.overlaps(Micros(0), Micros(10)) && !range.overlaps(Micros(20), Micros(30)));
        assert!(TimeRange::default().contains(Micros(i64::MIN)));
    }
}
