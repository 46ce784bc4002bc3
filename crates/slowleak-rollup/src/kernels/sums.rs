//! Adding records to the numbers of their cells. In: the cell of each record, and its counts. Out: rows of sums, of which
//! none wraps around: they saturate.
//!
//! All numbers of a cell lie side by side and are added to at once. Saturation takes more instructions than the sum, and
//! no honest log needs it: sums wrap, and whether one could have is told by signs alone. If so, the whole run is taken
//! back, which wrapping sums allow, and added again with care.

/// Most numbers of a row that are added to at once.
const MOST_VALUES: usize = 2;

/// Adds to the row of each of `cells` one record and its `values`: `width` numbers a row, the number of records first and
/// the values behind it, in their order. Cells beyond the end are passed over; `values` have one number a record.
pub fn add_rows(sums: &mut [i64], width: usize, cells: &[u32], values: &[&[i64]]) {
    let fits = values.len() <= MOST_VALUES && values.iter().all(|values| values.len() == cells.len());
    let proven = match (fits, width) {
        (true, 1) => add_wrapping::<1>(sums, cells, values),
        (true, 2) => add_wrapping::<2>(sums, cells, values),
        (true, 3) => add_wrapping::<3>(sums, cells, values),
        (true, 4) => add_wrapping::<4>(sums, cells, values),
        (true, 5) => add_wrapping::<5>(sums, cells, values),
        (true, 6) => add_wrapping::<6>(sums, cells, values),
        _ => return add_rows_simply(sums, width, cells, values),
    };
    if !proven {
        take_back(sums, width, cells, values);
        add_rows_simply(sums, width, cells, values);
    }
}

/// The twin of [`add_rows`]: one column after the other.
pub fn add_rows_simply(sums: &mut [i64], width: usize, cells: &[u32], values: &[&[i64]]) {
    let mut add = |at: usize, cell: u32, more: i64| {
        if let Some(sum) = sums.get_mut((cell as usize).wrapping_mul(width).wrapping_add(at)) {
            *sum = sum.saturating_add(more);
        }
    };
    cells.iter().for_each(|cell| add(0, *cell, 1));
    for (at, values) in values.iter().enumerate() {
        cells.iter().zip(*values).for_each(|(cell, more)| add(at + 1, *cell, *more));
    }
}

/// Adds up to [`MOST_VALUES`] values, sums wrapping around. Whether none did: a sum of which neither the addend nor the
/// result is negative did not. (There are never too many records to be counted.)
fn add_wrapping<const WIDTH: usize>(sums: &mut [i64], cells: &[u32], values: &[&[i64]]) -> bool {
    let (rows, _) = sums.as_chunks_mut::<WIDTH>();
    let mut signs = 0;
    let mut add = |sum: &mut i64, more: i64| {
        *sum = sum.wrapping_add(more);
        signs |= *sum | more;
    };
    match values {
        [] => {
            for cell in cells {
                if let Some([events, ..]) = rows.get_mut(*cell as usize).map(<[i64; WIDTH]>::as_mut_slice) {
                    *events = events.wrapping_add(1);
                }
            }
        }
        [first] => {
            for (cell, more) in cells.iter().zip(*first) {
                if let Some([events, sum, ..]) =
                    rows.get_mut(*cell as usize).map(<[i64; WIDTH]>::as_mut_slice)
                {
                    *events = events.wrapping_add(1);
                    add(sum, *more);
                }
            }
        }
        [first, second, ..] => {
            for ((cell, a), b) in cells.iter().zip(*first).zip(*second) {
                if let Some([events, sum_a, sum_b, ..]) =
                    rows.get_mut(*cell as usize).map(<[i64; WIDTH]>::as_mut_slice)
                {
                    *events = events.wrapping_add(1);
                    add(sum_a, *a);
                    add(sum_b, *b);
                }
            }
        }
    }
    signs >= 0
}

/// Undoes [`add_wrapping`].
fn take_back(sums: &mut [i64], width: usize, cells: &[u32], values: &[&[i64]]) {
    let mut take = |at: usize, cell: u32, less: i64| {
        if let Some(sum) = sums.get_mut((cell as usize).wrapping_mul(width).wrapping_add(at)) {
            *sum = sum.wrapping_sub(less);
        }
    };
    cells.iter().for_each(|cell| take(0, *cell, 1));
    for (at, values) in values.iter().enumerate() {
        cells.iter().zip(*values).for_each(|(cell, less)| take(at + 1, *cell, *less));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![6 => 0..100_i64, 1 => Just(i64::MAX), 1 => Just(i64::MAX / 2), 1 => Just(i64::MIN), 1 => any::<i64>()]
    }

    proptest! {
        /// Of honest numbers, and of such as saturate, negative ones among them.
        #[test]
        fn both_add_the_same(
            runs in proptest::collection::vec(
                proptest::collection::vec((0..8_u32, value(), value()), 0..20),
                0..6,
            ),
            columns in 0..3_usize,
            more in 0..4_usize,
        ) {
            let width = 1 + columns + more;
            let mut fast = vec![0; 6 * width];
            let mut simple = fast.clone();
            for run in runs {
                // Two cells lie beyond the end, one of them where there is no cell at all.
                let cell = |cell| if cell == 7 { u32::MAX } else { cell };
                let cells: Vec<u32> = run.iter().map(|record| cell(record.0)).collect();
                let a: Vec<i64> = run.iter().map(|record| record.1).collect();
                let b: Vec<i64> = run.iter().map(|record| record.2).collect();
                let values = &[a.as_slice(), &b][..columns];
                add_rows(&mut fast, width, &cells, values);
                add_rows_simply(&mut simple, width, &cells, values);
                prop_assert_eq!(&fast, &simple);
            }
        }
    }
}
