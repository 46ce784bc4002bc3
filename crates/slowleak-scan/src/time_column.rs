//! Time columns of every accepted type to microseconds. In: an arrow array. Out: one instant a row, or why
//! there is none.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use slowleak_record::Micros;

/// First and last instant of the years -9999 to 9999: what lies outside is no time, and inside no sum of a
/// time and a window can overflow.
const EARLIEST: i64 = -377_705_023_201_000_000;
const LATEST: i64 = 253_402_207_199_999_999;

/// One row's time before it is used: [`Moment::NULL`] and [`Moment::UNREADABLE`] lie outside of the range of
/// instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    pub(crate) const NULL: Self = Self(i64::MIN);
    pub(crate) const UNREADABLE: Self = Self(i64::MIN + 1);

    fn bounded(micros: Option<i64>) -> Self {
        micros.filter(|micros| (EARLIEST..=LATEST).contains(micros)).map_or(Self::UNREADABLE, Self)
    }

    pub(crate) fn instant(self) -> Option<Micros> {
        (self.0 >= EARLIEST).then_some(Micros(self.0))
    }
}

/// The unit that a bare integer is in, told by its size: seconds below 10^11 (the year 5138), milliseconds
/// below 10^14, microseconds below 10^17, else nanoseconds. Each value is judged by itself.
pub(crate) fn unit_of(value: i64) -> TimeUnit {
    match value.unsigned_abs() {
        0..100_000_000_000 => TimeUnit::Second,
        100_000_000_000..100_000_000_000_000 => TimeUnit::Millisecond,
        100_000_000_000_000..100_000_000_000_000_000 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// `value` in `unit` as an instant.
fn in_unit(unit: TimeUnit, value: i64) -> Moment {
    Moment::bounded(match unit {
        TimeUnit::Second => value.checked_mul(Micros::SECOND),
        TimeUnit::Millisecond => value.checked_mul(1000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => Some(value.div_euclid(1000)),
    })
}

/// The instant of a raw value of a timestamp or date column; `None` for a type that is not one.
pub(crate) fn scale(kind: &DataType, value: i64) -> Option<Moment> {
    Some(match kind {
        DataType::Timestamp(unit, _) => in_unit(*unit, value),
        DataType::Date64 => in_unit(TimeUnit::Millisecond, value),
        DataType::Date32 => Moment::bounded(value.checked_mul(Micros::DAY)),
        kind if kind.is_integer() => in_unit(unit_of(value), value),
        _ => return None,
    })
}

/// Appends the instants of integers of a page, sign-extended from their physical type.
pub(crate) fn scale_all(kind: &DataType, values: &[i64], out: &mut Vec<Moment>) {
    let scaled = |value: i64| scale(kind, value).unwrap_or(Moment::UNREADABLE);
    match kind {
        // The usual ones, each as a loop of its own.
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            out.extend(values.iter().map(|value| in_unit(TimeUnit::Microsecond, *value)));
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            out.extend(values.iter().map(|value| in_unit(TimeUnit::Millisecond, *value)));
        }
        DataType::UInt64 => out.extend(
            values.iter().map(|value| i64::try_from(*value as u64).map_or(Moment::UNREADABLE, scaled)),
        ),
        DataType::UInt32 => out.extend(values.iter().map(|value| scaled(i64::from(*value as u32)))),
        _ => out.extend(values.iter().map(|value| scaled(*value))),
    }
}

/// Whether [`decode`] reads the type.
pub(crate) fn accepts(kind: &DataType) -> bool {
    scale(kind, 0).is_some() || matches!(kind, DataType::Utf8 | DataType::Utf8View | DataType::BinaryView)
}

/// Reads a column into `out`, one entry a row; `kind` is the type to read it as (a date64 is stored as a
/// plain integer).
pub(crate) fn decode(array: &ArrayRef, kind: &DataType, out: &mut Vec<Moment>) {
    out.clear();
    macro_rules! each {
        ($type:ty, $convert:expr) => {{
            let array = array.as_primitive::<$type>();
            let convert = $convert;
            if array.null_count() == 0 {
                out.extend(array.values().iter().map(|v| convert(*v)));
            } else {
                out.extend(array.iter().map(|v| v.map_or(Moment::NULL, |v| convert(v))));
            }
        }};
    }
    let scaled = |value: i64| scale(kind, value).unwrap_or(Moment::UNREADABLE);
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each!(TimestampMicrosecondType, |v: i64| Moment::bounded(Some(v)));
        }
        DataType::Timestamp(TimeUnit::Second, _) => each!(TimestampSecondType, scaled),
        DataType::Timestamp(TimeUnit::Millisecond, _) => each!(TimestampMillisecondType, scaled),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => each!(TimestampNanosecondType, scaled),
        DataType::Date32 => each!(Date32Type, |v: i32| scaled(v.into())),
        DataType::Date64 => each!(Date64Type, scaled),
        DataType::Int64 => each!(Int64Type, scaled),
        DataType::Int32 => each!(Int32Type, |v: i32| scaled(v.into())),
        DataType::Int16 => each!(Int16Type, |v: i16| scaled(v.into())),
        DataType::Int8 => each!(Int8Type, |v: i8| scaled(v.into())),
        DataType::UInt8 => each!(UInt8Type, |v: u8| scaled(v.into())),
        DataType::UInt16 => each!(UInt16Type, |v: u16| scaled(v.into())),
        DataType::UInt32 => each!(UInt32Type, |v: u32| scaled(v.into())),
        DataType::UInt64 => {
            each!(UInt64Type, |v: u64| i64::try_from(v).map_or(Moment::UNREADABLE, scaled));
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>().iter();
            out.extend(texts.map(|text| text.map_or(Moment::NULL, parse)));
        }
        DataType::Utf8View => {
            let texts = array.as_string_view().iter();
            out.extend(texts.map(|text| text.map_or(Moment::NULL, parse)));
        }
        DataType::BinaryView => out.extend(array.as_binary_view().iter().map(|bytes| match bytes {
            None => Moment::NULL,
            Some(bytes) => parse_bytes(bytes),
        })),
        DataType::Null => out.resize(array.len(), Moment::NULL),
        _ => out.resize(array.len(), Moment::UNREADABLE),
    }
}

/// What should be UTF-8.
pub(crate) fn parse_bytes(text: &[u8]) -> Moment {
    std::str::from_utf8(text).map_or(Moment::UNREADABLE, parse)
}

/// RFC 3339, a date-time without offset (UTC) or a date.
fn parse(text: &str) -> Moment {
    Moment::bounded(text.parse().ok().map(|time: Micros| time.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitude_tells_the_unit() {
        let read = |value| scale(&DataType::Int64, value).and_then(Moment::instant);
        for value in [1_750_723_200, 1_750_723_200_000, 1_750_723_200_000_000, 1_750_723_200_000_000_000] {
            assert_eq!(read(value), Some(Micros(1_750_723_200_000_000)));
        }
        assert_eq!(read(-1), Some(Micros(-1_000_000)));
        assert_eq!(read(i64::MIN), Some(Micros(i64::MIN.div_euclid(1000))));
    }

    #[test]
    fn what_is_no_time_is_told_from_null() {
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        assert_eq!(scale(&seconds, i64::MAX), Some(Moment::UNREADABLE));
        assert_eq!(Moment::NULL.instant(), None);
        assert_eq!(Moment::UNREADABLE.instant(), None);
        assert_eq!(Micros(EARLIEST).to_string(), "-009999-01-02T01:59:59Z");
        assert_eq!(Micros(LATEST).to_string(), "9999-12-30T21:59:59.999999Z");
    }
}
