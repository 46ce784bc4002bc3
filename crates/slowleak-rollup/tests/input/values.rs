//! Values of every type, and those that are none.

use super::*;

#[test]
fn nulls_in_time_key_and_user() {
    let (rollup, coverage) = scan_columns(vec![
        ("time", times([Some(NOON), None, Some(NOON), Some(NOON)])),
        ("key", text([Some("k"), Some("k"), None, None])),
        ("user", text([None, None, None, Some("u")])),
    ]);
    assert_eq!(coverage.rejected_rows, [(RowReason::NullTime, 1), (RowReason::NoPrincipal, 1)]);
    assert_eq!((coverage.rows.read, coverage.rows.rejected), (2, 2));
    assert_eq!(rollup.tables[0].entities, ["k"]);
    assert_eq!(rollup.tables[0].count(Metric::Events), [1]);
}

#[test]
fn a_column_of_nulls_only() {
    let nulls: ArrayRef = Arc::new(arrow::array::NullArray::new(2));
    let mut columns = vec![("time", times([Some(NOON), Some(NOON)])), ("user", text([Some("u"), None]))];
    columns.extend([
        ("key", nulls.clone()),
        ("rows", nulls.clone()),
        ("status", nulls.clone()),
        ("subject", nulls),
    ]);
    let (rollup, coverage) = scan_columns(columns);
    assert_eq!(coverage.rejected_rows, [(RowReason::NoPrincipal, 1)]);
    assert!(rollup.tables[0].is_empty());
}

#[test]
fn times_of_every_unit_and_type_are_the_same_instant() {
    let second = NOON / 1_000_000;
    let day = NOON / Micros::DAY;
    let midnight = day * Micros::DAY;
    let arrays: Vec<(ArrayRef, i64)> = vec![
        (Arc::new(TimestampSecondArray::from(vec![second])), NOON),
        (Arc::new(TimestampMillisecondArray::from(vec![second * 1000])), NOON),
        (Arc::new(TimestampMillisecondArray::from(vec![second * 1000]).with_timezone("+09:00")), NOON),
        (Arc::new(TimestampMicrosecondArray::from(vec![NOON])), NOON),
        (Arc::new(TimestampNanosecondArray::from(vec![NOON * 1000 + 7]).with_timezone("UTC")), NOON),
        (Arc::new(Int64Array::from(vec![second])), NOON),
        (Arc::new(Int64Array::from(vec![second * 1000])), NOON),
        (Arc::new(Int64Array::from(vec![NOON])), NOON),
        (Arc::new(Int64Array::from(vec![NOON * 1000])), NOON),
        (Arc::new(Int32Array::from(vec![second as i32])), NOON),
        (Arc::new(UInt32Array::from(vec![second as u32])), NOON),
        (Arc::new(UInt64Array::from(vec![second as u64 * 1000])), NOON),
        (Arc::new(Date32Array::from(vec![day as i32])), midnight),
        (Arc::new(Date64Array::from(vec![midnight / 1000])), midnight),
        (text([Some("2025-06-24T21:00:00+09:00")]), NOON),
        (text([Some("2025-06-24T12:00:00")]), NOON),
        (text([Some("2025-06-24 12:00")]), NOON),
        (Arc::new(BinaryArray::from(vec![&b"2025-06-24T12:00:00Z"[..]])), NOON),
    ];
    for (array, want) in arrays {
        let kind = array.data_type().clone();
        let (_, coverage) = scan_columns(vec![("time", array), ("key", text([Some("k")]))]);
        assert_eq!(coverage.time, Some((Micros(want), Micros(want))), "{kind}");
    }
}

#[test]
fn int96_times() {
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::{ByteArray, Int96};
    let schema = "message log { required int96 time; required binary key (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let out = fs::File::create(&path).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(out, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    // Julian day 2,440,588 is 1970-01-01; noon of 2025-06-24, and the year 2500.
    let mut noon = Int96::new();
    let nanos = 12 * 3_600_000_000_000_u64;
    noon.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_588 + (NOON / Micros::DAY) as u32);
    let mut far = Int96::new();
    far.set_data(0, 0, 2_440_588 + 193_579);
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::Int96ColumnWriter(column) => column.write_batch(&[noon, far], None, None),
            ColumnWriter::ByteArrayColumnWriter(column) => {
                column.write_batch(&[ByteArray::from("k"), ByteArray::from("k")], None, None)
            }
            _ => unreachable!(),
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let (_, coverage) = scan(&[file(&path)]);
    assert_eq!(coverage.time, Some((Micros(NOON), "2500-01-01".parse().unwrap())));
}

#[test]
fn times_that_are_none() {
    let words = ["yesterday", "", "2025-02-30", "2025-06-24"].map(Some);
    let (_, coverage) = scan_columns(vec![("time", text(words)), ("key", text([Some("k"); 4]))]);
    assert_eq!(coverage.rejected_rows, [(RowReason::UnreadableTime, 3)]);
    let extremes: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX, i64::MIN, 0]));
    let (_, coverage) = scan_columns(vec![("time", extremes), ("key", text([Some("k"); 3]))]);
    assert_eq!(coverage.rejected_rows, [(RowReason::UnreadableTime, 2)]);
}

#[test]
fn counts_that_are_none() {
    let floats: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(3.0), Some(f64::NAN), Some(-1.0), Some(0.5), None]));
    let bytes: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(1), Some(-5), Some(0), None]));
    let (rollup, coverage) = scan_columns(vec![
        ("time", times([Some(NOON); 5])),
        ("key", text([Some("k"); 5])),
        ("rows", floats),
        ("bytes", bytes),
        ("status", text([Some("ok"), Some("denied"), None, Some("teapot"), Some("missing")])),
    ]);
    let table = &rollup.tables[0];
    assert_eq!(table.count(Metric::Events), [5]);
    assert_eq!(table.count(Metric::Rows), [3]);
    assert_eq!(table.count(Metric::Bytes), [i64::MAX], "sums saturate");
    for (metric, want) in [(Metric::Denied, 1), (Metric::Missing, 1), (Metric::Error, 1)] {
        assert_eq!(table.count(metric), [want], "{metric}");
    }
    let want =
        [(ValueReason::NegativeCount, 2), (ValueReason::NotANumber, 2), (ValueReason::UnknownStatus, 1)];
    assert_eq!(coverage.rejected_values, want);
    assert_eq!(coverage.rows.read, 5);
}

#[test]
fn bad_utf8_is_replaced_in_names_and_kept_apart_in_subjects() {
    let bytes = |values: [&[u8]; 2]| -> ArrayRef { Arc::new(BinaryArray::from(values.to_vec())) };
    for dictionary in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.parquet");
        let columns = vec![
            ("time", times([Some(NOON); 2])),
            ("key", bytes([b"a\xff", b"a\xfe"])),
            ("subject", bytes([b"\xff", b"\xfe"])),
        ];
        write_columns(&path, columns, 10, dictionary);
        let (rollup, _) = scan(&[file(&path)]);
        assert_eq!(rollup.tables[0].entities, ["a\u{fffd}"]);
        assert_eq!(rollup.tables[0].count(Metric::Events), [2]);
        assert_eq!(rollup.tables[0].sketches.subjects[0].estimate(), 2.0);
    }
}

#[test]
fn numbers_and_text_are_one_subject() {
    let dir = tempfile::tempdir().unwrap();
    let columns = |subject: ArrayRef| {
        let mut columns = sound();
        columns.push(("subject", subject));
        columns
    };
    write_columns(&dir.path().join("a.parquet"), columns(Arc::new(Int64Array::from(vec![42]))), 10, true);
    write_columns(&dir.path().join("b.parquet"), columns(text([Some("42")])), 10, true);
    let files = ["a", "b"].map(|name| file(&dir.path().join(format!("{name}.parquet"))));
    assert_eq!(scan(&files).0.tables[0].sketches.subjects[0].estimate(), 1.0);
    let by_subject: Vec<View> = vec!["subject@1h:events".parse().unwrap()];
    let (rollup, _) = scan_with(&files, &by_subject, ScanOptions::default());
    assert_eq!(rollup.tables[0].entities, ["42"]);
}

/// A column of subjects in every form that a file may give it.
fn forms(numbers: &[i64]) -> Vec<ArrayRef> {
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    let texts = || texts.iter().map(String::as_str);
    vec![
        Arc::new(Int64Array::from(numbers.to_vec())),
        Arc::new(StringArray::from_iter_values(texts())),
        Arc::new(StringViewArray::from_iter_values(texts())),
        Arc::new(DictionaryArray::<Int32Type>::from_iter(texts())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn blocks_are_those_of_the_numbers_however_they_are_written(
        numbers in proptest::collection::vec(
            prop_oneof![4 => 0..2_000_i64, 2 => 0..i64::MAX, 1 => any::<i64>(), 1 => 999_999_999_999_999_000..1_000_000_000_000_001_000_i64],
            1..400,
        ),
    ) {
        let views: Vec<View> = vec!["key@1d:subjects,blocks".parse().unwrap()];
        let block = |number: &i64| slowleak_scan::block_hash(number.to_string().as_bytes());
        let mut want = Sketch::default();
        numbers.iter().for_each(|number| want.insert_hash(block(number)));
        for (form, subject) in forms(&numbers).into_iter().enumerate() {
            for dictionary in [true, false] {
                for decoder in [Decoder::Pages, Decoder::Arrow] {
                    let dir = tempfile::tempdir().unwrap();
                    let path = dir.path().join("log.parquet");
                    let columns = vec![
                        ("time", times(vec![Some(NOON); numbers.len()])),
                        ("key", text(vec![Some("k"); numbers.len()])),
                        ("subject", subject.clone()),
                    ];
                    write_columns(&path, columns, 100, dictionary);
                    let options = ScanOptions { decoder, ..ScanOptions::default() };
                    let (rollup, _) = scan_with(&[file(&path)], &views, options);
                    let sketches = &rollup.tables[0].sketches;
                    prop_assert_eq!(&sketches.blocks, &[want.clone()], "form {} {}", form, dictionary);
                }
            }
        }
    }
}

#[test]
fn a_number_and_its_zeros_are_no_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let of = |subjects: [&str; 5]| {
        let columns = vec![
            ("time", times([Some(NOON); 5])),
            ("key", text([Some("k"); 5])),
            ("subject", text(subjects.map(Some))),
        ];
        write_columns(&path, columns, 10, true);
        let views: Vec<View> = vec!["key@1d:subjects,blocks".parse().unwrap()];
        let (rollup, _) = scan_with(&[file(&path)], &views, ScanOptions::default());
        let sketches = &rollup.tables[0].sketches;
        [&sketches.subjects, &sketches.blocks].map(|column| column[0].estimate())
    };
    assert_eq!(of(["7", "007", "a7", "A7", "seven"]), [5.0, 5.0]);
    assert_eq!(of(["a7", "a8", "a63", "a64", "b7"]), [5.0, 3.0]);
}
