//! Count columns (rows, bytes) of any integer or float type to whole numbers.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// One count a row; an absent or unusable one is 0 and not valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The values, never negative.
    pub values: Vec<i64>,
    /// Which values were given and usable; `None` where all were.
    pub valid: Option<Vec<bool>>,
}

/// Values that could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) negative: u64,
    pub(crate) not_a_number: u64,
}

/// A count, or as a negative number why there is none.
pub(crate) type Judged = i64;
/// The value is null.
pub(crate) const NULL: Judged = i64::MIN;
const NEGATIVE: Judged = -1;
const NOT_A_NUMBER: Judged = -2;

/// Whether [`decode`] reads the type.
pub(crate) fn accepts(kind: &DataType) -> bool {
    kind.is_integer()
        || matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64)
        || matches!(kind, DataType::Decimal128(_, 0) | DataType::Null)
}

fn whole(value: i64) -> Judged {
    if value < 0 { NEGATIVE } else { value }
}

fn large(value: i128) -> Judged {
    if value < 0 { NEGATIVE } else { i64::try_from(value).unwrap_or(NOT_A_NUMBER) }
}

fn float(value: f64) -> Judged {
    // 2^63: the least float that no i64 can hold.
    if value.fract() != 0.0 || value.abs() >= 9_223_372_036_854_775_808.0 || !value.is_finite() {
        NOT_A_NUMBER
    } else {
        whole(value as i64)
    }
}

/// Appends integers of a page, sign-extended from their physical type.
pub(crate) fn judge_integers(kind: &DataType, integers: &[i64], out: &mut Vec<Judged>) {
    match kind {
        DataType::UInt64 => out.extend(integers.iter().map(|value| large((*value as u64).into()))),
        DataType::UInt32 => out.extend(integers.iter().map(|value| i64::from(*value as u32))),
        _ => out.extend(integers.iter().map(|value| whole(*value))),
    }
}

/// Appends an array's values, one entry a row.
pub(crate) fn judge(array: &ArrayRef, out: &mut Vec<Judged>) {
    macro_rules! each {
        ($type:ty, $convert:expr) => {{
            let convert = $convert;
            out.extend(array.as_primitive::<$type>().iter().map(|value| value.map_or(NULL, convert)));
        }};
    }
    match array.data_type() {
        DataType::Int64 => each!(Int64Type, whole),
        DataType::Int32 => each!(Int32Type, |v: i32| whole(v.into())),
        DataType::Int16 => each!(Int16Type, |v: i16| whole(v.into())),
        DataType::Int8 => each!(Int8Type, |v: i8| whole(v.into())),
        DataType::UInt64 => each!(UInt64Type, |v: u64| large(v.into())),
        DataType::UInt32 => each!(UInt32Type, |v: u32| whole(v.into())),
        DataType::UInt16 => each!(UInt16Type, |v: u16| whole(v.into())),
        DataType::UInt8 => each!(UInt8Type, |v: u8| whole(v.into())),
        DataType::Float64 => each!(Float64Type, float),
        DataType::Float32 => each!(Float32Type, |v: f32| float(v.into())),
        DataType::Float16 => each!(
            Float16Type,
            |v: <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native| float(v.to_f64())
        ),
        DataType::Decimal128(_, 0) => each!(Decimal128Type, large),
        _ => out.resize(out.len() + array.len(), NULL),
    }
}

/// Makes every count that is none a 0, and tells why they were none.
pub(crate) fn settle(judged: &mut [Judged]) -> Unusable {
    let mut unusable = Unusable::default();
    if judged.iter().all(|value| *value >= 0) {
        return unusable;
    }
    for value in judged {
        unusable.negative += u64::from(*value == NEGATIVE);
        unusable.not_a_number += u64::from(*value == NOT_A_NUMBER);
        *value = (*value).max(0);
    }
    unusable
}

/// Reads a column into `out`, one entry a row.
pub(crate) fn decode(array: &ArrayRef, out: &mut Counts) -> Unusable {
    out.values.clear();
    judge(array, &mut out.values);
    let usable = |value: &i64| *value >= 0;
    out.valid = (!out.values.iter().all(usable)).then(|| out.values.iter().map(usable).collect());
    settle(&mut out.values)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, UInt64Array};

    use super::*;

    fn read(array: &ArrayRef) -> (Counts, Unusable) {
        let mut counts = Counts::default();
        let unusable = decode(array, &mut counts);
        (counts, unusable)
    }

    #[test]
    fn only_whole_non_negative_numbers_count() {
        let floats = [1.0, f64::NAN, f64::INFINITY, -2.0, 0.5, -0.0, 1e300];
        let (counts, unusable) = read(&(Arc::new(Float64Array::from(floats.to_vec())) as ArrayRef));
        assert_eq!(counts.values, [1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(counts.valid.unwrap(), [true, false, false, false, false, true, false]);
        assert_eq!(unusable, Unusable { negative: 1, not_a_number: 4 });
    }

    #[test]
    fn nulls_are_not_rejections() {
        let (counts, unusable) =
            read(&(Arc::new(Int32Array::from(vec![Some(3), None, Some(-1)])) as ArrayRef));
        assert_eq!((counts.values, counts.valid), (vec![3, 0, 0], Some(vec![true, false, false])));
        assert_eq!(unusable, Unusable { negative: 1, not_a_number: 0 });
        let (_, unusable) = read(&(Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef));
        assert_eq!(unusable.not_a_number, 1);
    }
}
