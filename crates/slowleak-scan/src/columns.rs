//! Single columns of any accepted type, for whoever reads small Parquet tables by hand: the rules are those
//! of a scan.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use slowleak_record::Micros;

use crate::{count_column, text_column, time_column};

pub use crate::text_column::TextColumn;

/// Whether [`TextColumn::decode`] reads the type.
pub fn is_text(kind: &DataType) -> bool {
    text_column::accepts(kind)
}

/// Whether [`times`] reads the type.
pub fn is_time(kind: &DataType) -> bool {
    time_column::accepts(kind)
}

/// Whether [`counts`] reads the type.
pub fn is_count(kind: &DataType) -> bool {
    count_column::accepts(kind)
}

/// One instant a row; `None` for null and for what is no time.
pub fn times(array: &ArrayRef) -> Vec<Option<Micros>> {
    let mut moments = Vec::new();
    time_column::decode(array, array.data_type(), &mut moments);
    moments.into_iter().map(time_column::Moment::instant).collect()
}

/// One count a row; null, negative and fractional ones are not valid.
pub fn counts(array: &ArrayRef) -> count_column::Counts {
    let mut counts = count_column::Counts::default();
    count_column::decode(array, &mut counts);
    counts
}
