//! Whatever is wrong with a log: nothing panics, nothing is skipped in silence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers outside of test functions may fail loudly too"
)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use proptest::prelude::*;
use slowleak_record::{InputFile, Mapping, Micros, TimeRange};
use slowleak_rollup::{Metric, Rollup, Sketch, View, build, fields};
use slowleak_scan::{Coverage, Decoder, Io, Plan, RowReason, ScanOptions, ValueReason};
use support::{Record, check, write_columns, write_log};

const NOON: i64 = 1_750_766_400_000_000;

type Columns = Vec<(&'static str, ArrayRef)>;

fn views() -> Vec<View> {
    vec!["key@1h:rows,bytes,denied,missing,error,subjects".parse().unwrap()]
}

fn times(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

fn text<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}

fn sound() -> Columns {
    vec![("time", times([Some(NOON)])), ("key", text([Some("k")]))]
}

fn file(path: &Path) -> InputFile {
    InputFile { path: path.to_path_buf(), partitions: Vec::new() }
}

fn scan_with(files: &[InputFile], views: &[View], options: ScanOptions) -> (Rollup, Coverage) {
    let plan = Plan::new(files, &Mapping::native(), fields(views), &options);
    build(&plan, views, &|_| ()).unwrap()
}

/// Both kinds of input must say the same.
fn scan(files: &[InputFile]) -> (Rollup, Coverage) {
    let with = |io| scan_with(files, &views(), ScanOptions { io, ..ScanOptions::default() });
    let (mapped, read) = (with(Io::Mmap), with(Io::Read));
    assert_eq!(mapped, read);
    mapped
}

fn scan_columns(columns: Columns) -> (Rollup, Coverage) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    write_columns(&path, columns, 1000, true);
    scan(&[file(&path)])
}

/// The reason for which a file is rejected; a sound one beside it must count all the same.
fn rejection(make: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (bad, good) = (dir.path().join("bad.parquet"), dir.path().join("good.parquet"));
    make(&bad);
    write_columns(&good, sound(), 10, true);
    let (rollup, coverage) = scan(&[file(&bad), file(&good)]);
    assert_eq!((coverage.files.read, coverage.files.rejected, coverage.rows.read), (1, 1, 1));
    assert_eq!(rollup.tables[0].count(Metric::Events), [1]);
    let [rejected] = &coverage.rejected_files[..] else { panic!("{coverage:?}") };
    assert_eq!(rejected.path, bad.display().to_string());
    rejected.reason.clone()
}

#[track_caller]
fn assert_says(reason: &str, words: &[&str]) {
    for word in words {
        assert!(reason.contains(word), "{reason:?} lacks {word:?}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    assert_says(&rejection(|_| ()), &["can not be read", "check the path"]);
}

#[test]
fn an_empty_file() {
    assert_says(&rejection(|path| fs::write(path, b"").unwrap()), &["empty"]);
}

#[test]
fn a_file_that_is_not_parquet() {
    let reason = rejection(|path| fs::write(path, "time,key\n2025-06-24,k\n").unwrap());
    assert_says(&reason, &["not a Parquet file", "convert"]);
    rejection(|path| fs::write(path, "P").unwrap());
}

#[test]
fn a_folder_in_place_of_a_file() {
    rejection(|path| fs::create_dir(path).unwrap());
}

#[test]
fn a_truncated_file() {
    let reason = rejection(|path| {
        write_columns(path, sound(), 10, true);
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert_says(&reason, &["truncated", "still being written"]);
}

#[test]
fn a_damaged_footer() {
    let reason = rejection(|path| {
        write_columns(path, sound(), 10, true);
        let mut bytes = fs::read(path).unwrap();
        let end = bytes.len();
        bytes[end - 40..end - 8].fill(0xff);
        fs::write(path, bytes).unwrap();
    });
    assert_says(&reason, &["footer"]);
}

#[test]
fn a_footer_longer_than_the_file() {
    rejection(|path| fs::write(path, b"PAR1\xff\xff\xff\x7fPAR1").unwrap());
}

#[test]
fn pages_damaged_behind_a_sound_footer() {
    let reason = rejection(|path| {
        let hours = (0..5000).map(|i| Some(NOON + i * 3_600_000_000));
        let names: Vec<String> = (0..5000).map(|i| format!("key {}", i % 700)).collect();
        let columns = vec![("time", times(hours)), ("key", text(names.iter().map(|n| Some(n.as_str()))))];
        write_columns(path, columns, 1000, false);
        let mut bytes = fs::read(path).unwrap();
        // A later row group's pages: the first ones decode and count before the damage is found.
        let at = bytes.len() * 6 / 10;
        bytes[at..at + 9000].fill(0xff);
        fs::write(path, bytes).unwrap();
    });
    assert_says(&reason, &["row group", "damaged"]);
}

/// Writes a sound file anew with another footer.
fn with_footer(path: &Path, change: impl Fn(&ParquetMetaData) -> ParquetMetaData) {
    let file = fs::File::open(path).unwrap();
    let footer = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let groups = footer.row_groups().iter().flat_map(|group| group.columns());
    let end = groups.map(|chunk| chunk.byte_range()).map(|(start, size)| start + size).max().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(end as usize);
    ParquetMetaDataWriter::new(&mut bytes, &change(&footer)).finish().unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_footer_that_tells_another_number_of_rows() {
    for rows in [-1, 0, 1, 3] {
        let reason = rejection(|path| {
            let columns =
                vec![("time", times([Some(NOON), Some(NOON + 1)])), ("key", text([Some("k"), None]))];
            write_columns(path, columns, 10, true);
            with_footer(path, |footer| {
                let groups = footer.row_groups().iter().map(|group| {
                    let columns = group.columns().to_vec();
                    let group = group.clone().into_builder().set_num_rows(rows);
                    group.set_column_metadata(columns).build().unwrap()
                });
                ParquetMetaData::new(footer.file_metadata().clone(), groups.collect())
            });
        });
        assert_says(&reason, &["row group 0", &format!("{rows} rows, and 2 of"), "damaged"]);
    }
}

/// The hint that Arrow's writers leave may be of a type that its decoder panics on.
#[test]
fn a_hint_of_the_writer_that_can_not_be_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let mut columns = sound();
    columns.push(("rows", Arc::new(Int64Array::from(vec![7]))));
    write_columns(&path, columns, 10, true);
    with_footer(&path, |footer| {
        let old = footer.file_metadata();
        let hint = &old.key_value_metadata().unwrap()[0];
        assert_eq!(hint.key, "ARROW:schema");
        let message = BASE64_STANDARD.decode(hint.value.as_deref().unwrap()).unwrap();
        // One of the words that are 64 is the width of an integer, which becomes 24.
        let words = (0..message.len() / 4).filter(|word| message[4 * word..4 * word + 4] == [64, 0, 0, 0]);
        let changed = words.map(|word| {
            let mut message = message.clone();
            message[4 * word] = 24;
            let hint = KeyValue::new(hint.key.clone(), BASE64_STANDARD.encode(message));
            let (schema, orders) = (old.schema_descr_ptr(), old.column_orders().cloned());
            FileMetaData::new(old.version(), old.num_rows(), None, Some(vec![hint]), schema, orders)
        });
        let panics = |new: &FileMetaData| {
            let decode = || parquet_to_arrow_schema(new.schema_descr(), new.key_value_metadata()).map(|_| ());
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).is_err()
        };
        let new = changed.into_iter().find(panics).unwrap();
        ParquetMetaData::new(new, footer.row_groups().to_vec())
    });
    let (rollup, coverage) = scan(&[file(&path)]);
    assert_eq!((coverage.files.read, coverage.files.rejected), (1, 0));
    assert_eq!(rollup.tables[0].count(Metric::Rows), [7]);
}

#[test]
fn required_columns_that_are_absent() {
    let reason = rejection(|path| write_columns(path, vec![("key", text([Some("k")]))], 10, true));
    assert_says(&reason, &["column \"time\"", "the columns are key", "--map"]);
    let reason = rejection(|path| write_columns(path, vec![("time", times([Some(NOON)]))], 10, true));
    assert_says(&reason, &["\"key\" and \"user\"", "--map"]);
}

#[test]
fn columns_of_the_wrong_type() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    for (name, array) in [
        ("time", floats.clone()),
        ("key", floats),
        ("rows", truth.clone()),
        ("rows", text([Some("9")])),
        ("time", truth),
    ] {
        let mut columns = sound();
        columns.retain(|(column, _)| *column != name);
        columns.push((name, array));
        let reason = rejection(|path| write_columns(path, columns, 10, true));
        assert_says(&reason, &[name, "its type is", "expected", "--map"]);
    }
}

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

#[test]
fn a_million_distinct_keys() {
    let count = 1_000_000;
    let names: Vec<String> = (0..count).map(|i| format!("key-{i:07}")).collect();
    let (rollup, _) = scan_columns(vec![
        ("time", times((0..count).map(|i| Some(NOON + i)))),
        ("key", text(names.iter().map(|name| Some(name.as_str())))),
    ]);
    assert_eq!(rollup.tables[0].entities, names);
}

#[test]
fn one_record_and_all_at_one_instant() {
    let (rollup, coverage) = scan_columns(sound());
    assert_eq!((rollup.tables[0].len(), coverage.rows.read), (1, 1));
    assert!(coverage.gaps.is_empty());
    let many = vec![("time", times([Some(NOON); 3000])), ("key", text([Some("k"); 3000]))];
    let (rollup, coverage) = scan_columns(many);
    assert_eq!(rollup.tables[0].count(Metric::Events), [3000]);
    assert_eq!(coverage.time, Some((Micros(NOON), Micros(NOON))));
}

#[test]
fn no_rows_and_no_files() {
    let empty = || vec![("time", times([])), ("key", text([]))];
    let (rollup, coverage) = scan_columns(empty());
    assert_eq!((rollup.tables.len(), rollup.tables[0].len()), (1, 0));
    assert_eq!((coverage.files.read, coverage.rows.read, coverage.time), (1, 0, None));
    let (rollup, coverage) = scan(&[]);
    assert_eq!((rollup, coverage), (Rollup::default(), Coverage::default()));
}

#[test]
fn empty_row_groups() {
    let schema = "message log { required int64 time; required binary key (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let out = fs::File::create(&path).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(out, schema, Arc::default()).unwrap();
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        while let Some(column) = group.next_column().unwrap() {
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    let (_, coverage) = scan(&[file(&path)]);
    assert_eq!((coverage.files.read, coverage.files.rejected, coverage.row_groups.read), (1, 0, 2));
}

#[test]
fn a_time_range_prunes_files_row_groups_and_rows() {
    let hour = |i: i64| NOON + i * Micros::HOUR;
    let dir = tempfile::tempdir().unwrap();
    let hours = |from: i64, to: i64| {
        let count = (to - from) as usize;
        vec![("time", times((from..to).map(|i| Some(hour(i))))), ("key", text(vec![Some("k"); count]))]
    };
    for (name, from, to) in [("a", 0, 10), ("b", 10, 30), ("c", 30, 40)] {
        write_columns(&dir.path().join(format!("{name}.parquet")), hours(from, to), 5, true);
    }
    let files: Vec<InputFile> = slowleak_record::discover(&[dir.path()]).unwrap();
    let range = TimeRange { since: Some(Micros(hour(12))), until: Some(Micros(hour(23))) };
    let (rollup, coverage) = scan_with(&files, &views(), ScanOptions { range, ..ScanOptions::default() });
    assert_eq!(rollup.tables[0].len(), 11);
    assert_eq!((coverage.files.read, coverage.files.pruned), (1, 2));
    assert_eq!((coverage.row_groups.read, coverage.row_groups.pruned), (3, 5));
    assert_eq!((coverage.rows.read, coverage.rows.pruned), (11, 29));
}

#[test]
fn gaps_are_whole_hours_without_a_record() {
    let minutes = [0, 30, 61, 180, 200, 600];
    let (_, coverage) = scan_columns(vec![
        ("time", times(minutes.map(|minute| Some(NOON + minute * 60_000_000)))),
        ("key", text([Some("k"); 6])),
    ]);
    let hour = |i: i64| Micros(NOON + i * Micros::HOUR);
    assert_eq!(coverage.gaps, [(hour(2), hour(3)), (hour(4), hour(10))]);
}

#[test]
fn absent_columns_cost_their_metrics_and_views_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    write_columns(&path, sound(), 10, true);
    let views = View::defaults();
    let (rollup, coverage) = scan_with(&[file(&path)], &views, ScanOptions::default());
    let names: Vec<String> = rollup.tables.iter().map(|table| table.view.to_string()).collect();
    assert_eq!(names, ["key@1h:events", "key@1d:events"]);
    assert_eq!(
        coverage.missing_columns,
        ["user", "source", "action", "object", "subject", "rows", "bytes", "status"]
    );
}

#[test]
fn a_column_that_only_some_files_have() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    let mut rich = sound();
    rich.push(("rows", Arc::new(Int64Array::from(vec![5]))));
    write_columns(&a, rich, 10, true);
    write_columns(&b, sound(), 10, true);
    let (rollup, coverage) = scan(&[file(&a), file(&b)]);
    assert_eq!(rollup.tables[0].count(Metric::Rows), [5]);
    assert_eq!(rollup.tables[0].count(Metric::Events), [2]);
    assert!(!coverage.missing_columns.contains(&"rows".to_owned()));
}

#[test]
fn partitions_fill_absent_columns() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("key=kid%2F7/rows=3/status=denied");
    fs::create_dir_all(&folder).unwrap();
    let columns = vec![
        ("time", times([Some(NOON), Some(NOON)])),
        ("rows", Arc::new(Int64Array::from(vec![1, 1])) as _),
    ];
    write_columns(&folder.join("log.parquet"), columns, 10, true);
    let files = slowleak_record::discover(&[dir.path()]).unwrap();
    let (rollup, _) = scan(&files);
    let table = &rollup.tables[0];
    assert_eq!(table.entities, ["kid/7"]);
    assert_eq!(table.count(Metric::Rows), [2], "the file's own column wins");
    assert_eq!(table.count(Metric::Denied), [2]);
}

#[test]
fn a_file_that_changes_between_plan_and_scan_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    write_columns(&a, sound(), 10, true);
    write_columns(&b, sound(), 10, true);
    let plan =
        Plan::new(&[file(&a), file(&b)], &Mapping::native(), fields(&views()), &ScanOptions::default());
    assert_eq!(plan.rows(), 2);
    let bytes = fs::read(&a).unwrap();
    fs::write(&a, &bytes[..bytes.len() - 1]).unwrap();
    let (rollup, coverage) = build(&plan, &views(), &|_| ()).unwrap();
    assert_eq!(rollup.tables[0].count(Metric::Events), [1]);
    assert_eq!((coverage.files.read, coverage.files.rejected), (1, 1));
    assert_eq!((coverage.row_groups.rejected, coverage.rows.rejected), (1, 1));
    assert_says(&coverage.rejected_files[0].reason, &["changed while it was being read"]);
}

#[test]
fn progress_counts_every_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.parquet");
    let records: Vec<Record> = (0..20_000)
        .map(|i| Record {
            time: NOON + i * 1_000_000,
            key: (i % 7 != 0).then(|| format!("k{}", i % 5)),
            user: None,
            source: None,
            object: None,
            subject: None,
            rows: Some(i),
            bytes: None,
            status: None,
        })
        .collect();
    write_log(&path, &records, 3000, true);
    let plan = Plan::new(&[file(&path)], &Mapping::native(), fields(&views()), &ScanOptions::default());
    let seen = std::sync::atomic::AtomicU64::new(0);
    let count = |rows| {
        seen.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
    };
    let (rollup, _) = build(&plan, &views(), &count).unwrap();
    assert_eq!(seen.into_inner(), 20_000);
    check(&rollup.tables[0], &records);
}
