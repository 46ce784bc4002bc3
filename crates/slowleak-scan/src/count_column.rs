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

enum Count {
    Good(i64),
    Negative,
    NotANumber,
}

/// Whether [`decode`] reads the type.
pub(crate) fn accepts(kind: &DataType) -> bool {
    kind.is_integer()
        || matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64)
        || matches!(kind, DataType::Decimal128(_, 0) | DataType::Null)
}

fn whole(value: i64) -> Count {
    if value < 0 { Count::Negative } else { Count::Good(value) }
}

fn large(value: i128) -> Count {
    if value < 0 { Count::Negative } else { i64::try_from(value).map_or(Count::NotANumber, Count::Good) }
}

fn float(value: f64) -> Count {
    // 2^63: the least float that no i64 can hold.
    if value.fract() != 0.0 || value.abs() >= 9_223_372_036_854_775_808.0 || !value.is_finite() {
        Count::NotANumber
    } else {
        whole(value as i64)
    }
}

/// Reads a column into `out`, one entry a row.
pub(crate) fn decode(array: &ArrayRef, out: &mut Counts) -> Unusable {
    out.values.clear();
    out.valid = None;
    let mut unusable = Unusable::default();
    macro_rules! each {
        ($type:ty, $convert:expr) => {{
            let array = array.as_primitive::<$type>();
            let convert = $convert;
            for (row, value) in array.iter().enumerate() {
                let good = match value.map(|value| convert(value)) {
                    Some(Count::Good(value)) => Some(value),
                    Some(Count::Negative) => {
                        unusable.negative += 1;
                        None
                    }
                    Some(Count::NotANumber) => {
                        unusable.not_a_number += 1;
                        None
                    }
                    None => None,
                };
                if good.is_none() {
                    let valid = out.valid.get_or_insert_with(|| vec![true; array.len()]);
                    valid[row] = false;
                }
                out.values.push(good.unwrap_or(0));
            }
        }};
    }
    match array.data_type() {
        DataType::Int64 => {
            let plain = array.as_primitive::<Int64Type>();
            if plain.null_count() == 0 && plain.values().iter().all(|value| *value >= 0) {
                out.values.extend_from_slice(plain.values());
            } else {
                each!(Int64Type, whole);
            }
        }
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
        _ => {
            out.values.resize(array.len(), 0);
            out.valid = Some(vec![false; array.len()]);
        }
    }
    unusable
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
