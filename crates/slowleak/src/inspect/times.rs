//! The time column of a schema: span, order and gaps. Span and gaps come from row-group statistics where all
//! row groups have them, so that no row has to be read; the order within a row group comes from the sample.

use std::convert::Infallible;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use serde::Serialize;
use slowleak_record::{Micros, guarded};
use slowleak_scan::columns as scan;

use super::{Opened, columns::Column};

/// A stretch without any row group counts as a gap from here.
const GAP_MICROS: i64 = Micros::HOUR;

/// When the records of a schema happened.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    /// First instant, RFC 3339.
    pub(crate) start: String,
    /// Last instant, RFC 3339.
    pub(crate) end: String,
    /// `statistics` of all row groups, or `sample` of the first.
    pub(crate) from: &'static str,
    /// How the row groups follow each other in path order; `None` without statistics.
    pub(crate) row_groups: Option<&'static str>,
    /// Share of steps in the sample that go back in time; `None` without a sample.
    pub(crate) steps_back: Option<f64>,
    /// The farthest such step, seconds.
    pub(crate) farthest_back_seconds: Option<f64>,
    /// Unit in which whole numbers were read, told by their size as the scan does it (several where values
    /// differ); `None` where the column holds none or there is no sample.
    pub(crate) unit: Option<String>,
    /// Stretches of an hour and more in which no row group lies: (start, end), RFC 3339.
    pub(crate) gaps: Vec<(String, String)>,
}

/// Looks at the column that holds the time.
pub(super) fn times(
    members: &[Opened<'_>],
    columns: &[Column],
    sample: Option<&RecordBatch>,
) -> Option<Times> {
    let column = columns.iter().find(|column| column.field == Some("time"))?;
    let values = sample.and_then(|sample| sample.column_by_name(&column.name));
    let sampled = values.and_then(instants);
    let sampled: Vec<i64> = sampled.iter().flat_map(|times| times.iter().flatten()).collect();
    let steps = sampled.iter().zip(sampled.iter().skip(1)).map(|(a, b)| b.saturating_sub(*a));
    let back: Vec<i64> = steps.filter(|step| *step < 0).collect();
    let in_sample = sampled.len() > 1;
    // Statistics are bytes of the file as well.
    let spans = guarded(|| Ok::<_, Infallible>(spans(members, &column.name))).ok().flatten();
    let (start, end) = match &spans {
        Some(spans) => (spans.iter().map(|span| span.0).min()?, spans.iter().map(|span| span.1).max()?),
        None => (*sampled.iter().min()?, *sampled.iter().max()?),
    };
    Some(Times {
        start: Micros(start).to_string(),
        end: Micros(end).to_string(),
        from: if spans.is_some() { "statistics" } else { "sample" },
        row_groups: spans.as_deref().map(order),
        steps_back: in_sample.then(|| back.len() as f64 / (sampled.len() - 1) as f64),
        farthest_back_seconds: in_sample.then(|| {
            back.iter().map(|step| step.unsigned_abs()).max().unwrap_or(0) as f64 / Micros::SECOND as f64
        }),
        unit: values.map(units).filter(|units| !units.is_empty()).map(|units| units.join(", ")),
        gaps: spans.map(gaps).unwrap_or_default(),
    })
}

/// First and last instant of each row group with rows, in path order; `None` where one states neither.
fn spans(members: &[Opened<'_>], column: &str) -> Option<Vec<(i64, i64)>> {
    let mut spans = Vec::new();
    for member in members {
        let metadata = member.metadata.metadata();
        let converter =
            StatisticsConverter::try_new(column, member.metadata.schema(), member.metadata.parquet_schema())
                .ok()?;
        let first = converter.row_group_mins(metadata.row_groups()).ok()?;
        let last = converter.row_group_maxes(metadata.row_groups()).ok()?;
        // Text sorts otherwise than the instants it means, and so do whole numbers of several units.
        let kind = first.data_type();
        let bounds = micros(&first).is_some() || (kind.is_integer() && units(&first) == units(&last));
        let (first, last) = bounds.then(|| instants(&first).zip(instants(&last))).flatten()?;
        for (index, row_group) in metadata.row_groups().iter().enumerate() {
            if row_group.num_rows() > 0 {
                let known = first.is_valid(index) && last.is_valid(index);
                spans.push(known.then(|| (first.value(index), last.value(index)))?);
            }
        }
    }
    (!spans.is_empty()).then_some(spans)
}

/// A column of any type that a time may have as microseconds, by the rules of the scan.
fn instants(values: &ArrayRef) -> Option<TimestampMicrosecondArray> {
    micros(values).or_else(|| {
        let times = || scan::times(values).into_iter().map(|time| time.map(|time| time.0));
        scan::is_time(values.data_type()).then(|| times().collect())
    })
}

/// The units in which the whole numbers of a time column are read, each once; empty for other types.
fn units(values: &ArrayRef) -> Vec<&'static str> {
    let numbers =
        values.data_type().is_integer().then(|| cast(values, &DataType::Int64)).and_then(Result::ok);
    let Some(numbers) = numbers.as_ref().and_then(|numbers| numbers.as_primitive_opt::<Int64Type>()) else {
        return Vec::new();
    };
    let read = |(number, time): (Option<i64>, Option<Micros>)| {
        let (number, time) = (number?, time?);
        // Told from what the scan made of it, so that the two can not differ.
        let times = |factor| number.checked_mul(factor) == Some(time.0);
        Some(match () {
            () if times(Micros::SECOND) => "seconds",
            () if times(1000) => "milliseconds",
            () if times(1) => "microseconds",
            () => "nanoseconds",
        })
    };
    let mut units: Vec<_> = numbers.iter().zip(scan::times(values)).filter_map(read).collect();
    units.sort_unstable();
    units.dedup();
    units
}

/// Timestamps and dates as microseconds; `None` for other types.
pub(super) fn micros(values: &ArrayRef) -> Option<TimestampMicrosecondArray> {
    if !matches!(values.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) {
        return None;
    }
    let plain = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))).ok()?;
    plain.as_any().downcast_ref().cloned()
}

fn order(spans: &[(i64, i64)]) -> &'static str {
    let pairs = || spans.iter().zip(spans.iter().skip(1));
    if pairs().all(|(a, b)| a.1 <= b.0) {
        "ascend and do not overlap"
    } else if pairs().all(|(a, b)| a.0 <= b.0) {
        "ascend and overlap"
    } else {
        "do not ascend in path order"
    }
}

fn gaps(mut spans: Vec<(i64, i64)>) -> Vec<(String, String)> {
    spans.sort_unstable();
    let mut gaps = Vec::new();
    let mut reached = i64::MIN;
    for (first, last) in spans {
        if reached != i64::MIN && first.saturating_sub(reached) >= GAP_MICROS {
            gaps.push((Micros(reached).to_string(), Micros(first).to_string()));
        }
        reached = reached.max(last);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: i64 = Micros::HOUR;

    #[test]
    fn gaps_lie_between_merged_row_groups() {
        assert_eq!(
            gaps(vec![(5 * H, 6 * H), (0, 3 * H), (H, 2 * H)]),
            [("1970-01-01T03:00:00Z".to_owned(), "1970-01-01T05:00:00Z".to_owned())]
        );
        assert!(gaps(vec![(0, H), (H + 1, 2 * H)]).is_empty());
    }

    #[test]
    fn order_is_told_apart() {
        assert_eq!(order(&[(0, 1), (1, 2)]), "ascend and do not overlap");
        assert_eq!(order(&[(0, 5), (1, 2)]), "ascend and overlap");
        assert_eq!(order(&[(3, 5), (1, 2)]), "do not ascend in path order");
    }
}
