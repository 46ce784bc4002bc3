//! Our page decoder against the arrow reader: the same records, whatever a writer may choose.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use slowleak_record::{FieldSet, Mapping, discover};

use super::*;
use crate::chunk::Subjects;
use crate::plan::ScanOptions;
use crate::source::Io;

/// What a writer may choose.
#[derive(Debug, Clone)]
struct Choices {
    time: u8,
    text: u8,
    number: u8,
    codec: Compression,
    version: WriterVersion,
    dictionary: bool,
    /// Whether columns without a null may have one nonetheless.
    nullable: bool,
    /// Bytes after which a chunk gives its dictionary up.
    dictionary_limit: usize,
    page_rows: usize,
    group_rows: usize,
    /// Encodings of text and of integers outside of dictionaries.
    encodings: (Encoding, Encoding),
}

fn choices() -> impl Strategy<Value = Choices> {
    let codec = prop_oneof![
        Just(Compression::UNCOMPRESSED),
        Just(Compression::SNAPPY),
        Just(Compression::LZ4_RAW),
        Just(Compression::LZ4),
        Just(Compression::ZSTD(Default::default())),
        Just(Compression::GZIP(Default::default())),
        Just(Compression::BROTLI(Default::default())),
    ];
    let version = prop_oneof![Just(WriterVersion::PARQUET_1_0), Just(WriterVersion::PARQUET_2_0)];
    let text = prop_oneof![
        Just(Encoding::PLAIN),
        Just(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        Just(Encoding::DELTA_BYTE_ARRAY),
    ];
    let integer = prop_oneof![
        Just(Encoding::PLAIN),
        Just(Encoding::DELTA_BINARY_PACKED),
        // Not covered: the arrow reader takes over.
        Just(Encoding::BYTE_STREAM_SPLIT),
    ];
    let kinds = (0..5_u8, 0..6_u8, 0..5_u8);
    let sizes = (prop_oneof![1..60_usize, 1000..5000_usize], 1..900_usize, 50..3000_usize);
    (kinds, codec, version, any::<[bool; 2]>(), sizes, (text, integer)).prop_map(
        |((time, text, number), codec, version, [dictionary, nullable], sizes, encodings)| Choices {
            time,
            text,
            number,
            codec,
            version,
            dictionary,
            nullable,
            dictionary_limit: sizes.0,
            page_rows: sizes.1,
            group_rows: sizes.2,
            encodings,
        },
    )
}

/// Raw values of the rows: for each column a number, or null.
type Row = [Option<i64>; 8];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = |wide: bool| {
        prop_oneof![
            6 => (0..7_i64).prop_map(Some),
            3 => (0..100_000_i64).prop_map(Some),
            1 => if wide { any::<i64>().prop_map(Some).boxed() } else { Just(Some(-3)).boxed() },
        ]
    };
    // Nulls in one log and none in another: both are common.
    any::<[bool; 8]>().prop_flat_map(move |nulls| {
        let column = move |at: usize| {
            let wide = at == 4;
            prop_oneof![9 => value(wide), 1 => if nulls[at] { Just(None).boxed() } else { Just(Some(1)).boxed() }]
        };
        let row = (column(0), column(1), column(2), column(3), column(4), column(5), column(6), column(7));
        // Long stretches of one row make long runs.
        proptest::collection::vec((row, prop_oneof![3 => 1..3_usize, 1 => 5..200_usize]), 0..60).prop_map(|rows| {
            let repeated = |(row, times): (_, usize)| {
                let (a, b, c, d, e, f, g, h) = row;
                std::iter::repeat_n([a, b, c, d, e, f, g, h], times)
            };
            rows.into_iter().flat_map(repeated).collect()
        })
    })
}

const COLUMNS: [&str; 8] = ["time", "key", "user", "source", "subject", "rows", "bytes", "status"];

fn column(name: &str, values: &[Option<i64>], choices: &Choices) -> ArrayRef {
    let some = || values.iter().copied();
    let text = |prefix: &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter(some().map(|value| value.map(|value| format!("{prefix}{value}")))))
    };
    match (name, choices.time, choices.text, choices.number) {
        ("time", 0, ..) => Arc::new(TimestampMicrosecondArray::from_iter(some()).with_timezone("UTC")),
        ("time", 1, ..) => Arc::new(TimestampMillisecondArray::from_iter(some())),
        ("time", 2, ..) => Arc::new(Int64Array::from_iter(some())),
        ("time", 3, ..) => Arc::new(UInt32Array::from_iter(some().map(|v| v.map(|v| v as u32)))),
        ("time", ..) => {
            let time = |value: i64| {
                format!("2025-06-{:02}T00:00:{:02}Z", value.rem_euclid(40), value.rem_euclid(60))
            };
            Arc::new(StringArray::from_iter(some().map(|value| value.map(time))))
        }
        ("key" | "source", ..) => text("a name with a prefix, number "),
        ("user" | "subject", _, 0, _) => Arc::new(Int64Array::from_iter(some())),
        ("user" | "subject", _, 1, _) => Arc::new(Int32Array::from_iter(some().map(|v| v.map(|v| v as i32)))),
        ("user" | "subject", _, 2, _) => {
            Arc::new(UInt64Array::from_iter(some().map(|v| v.map(|v| v as u64))))
        }
        ("user" | "subject", _, 3, _) => {
            Arc::new(UInt32Array::from_iter(some().map(|v| v.map(|v| v as u32))))
        }
        ("user" | "subject", ..) => text(""),
        ("rows" | "bytes", .., 0) => Arc::new(Int64Array::from_iter(some())),
        ("rows" | "bytes", .., 1) => Arc::new(Int32Array::from_iter(some().map(|v| v.map(|v| v as i32)))),
        ("rows" | "bytes", .., 2) => Arc::new(UInt64Array::from_iter(some().map(|v| v.map(|v| v as u64)))),
        ("rows" | "bytes", .., 3) => Arc::new(UInt32Array::from_iter(some().map(|v| v.map(|v| v as u32)))),
        ("rows" | "bytes", ..) => Arc::new(Int8Array::from_iter(some().map(|v| v.map(|v| v as i8)))),
        _ => text("status "),
    }
}

fn write(path: &std::path::Path, rows: &[Row], choices: &Choices) {
    let columns = COLUMNS.iter().enumerate().map(|(at, name)| {
        let values: Vec<Option<i64>> = rows.iter().map(|row| row[at]).collect();
        (*name, column(name, &values, choices), choices.nullable || values.contains(&None))
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut properties = WriterProperties::builder()
        .set_compression(choices.codec)
        .set_writer_version(choices.version)
        .set_dictionary_enabled(choices.dictionary)
        .set_dictionary_page_size_limit(choices.dictionary_limit)
        .set_data_page_row_count_limit(choices.page_rows)
        .set_write_batch_size(choices.page_rows.min(64))
        .set_max_row_group_row_count(Some(choices.group_rows));
    for (name, array) in batch.schema().fields().iter().map(|field| field.name()).zip(batch.columns()) {
        let text = *array.data_type() == DataType::Utf8;
        let encoding = if text { choices.encodings.0 } else { choices.encodings.1 };
        properties = properties.set_column_encoding(name.as_str().into(), encoding);
    }
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// All that a reader hands out, names instead of ids.
#[derive(Debug, PartialEq, Default)]
struct Records {
    time: Vec<i64>,
    names: Vec<(usize, Option<String>)>,
    subjects: Vec<Option<u64>>,
    blocks: Vec<Option<u64>>,
    rows: Vec<i64>,
    bytes: Vec<i64>,
    status: Vec<Status>,
    tally: UnitTally,
}

fn read(plan: &Plan, request: Request) -> Records {
    let mut records = Records::default();
    let mut names = NamesByField::default();
    for unit in plan.units() {
        let mut reader = UnitReader::open(plan, unit, request).unwrap();
        while let Some(chunk) = reader.next_chunk(&mut names).unwrap() {
            records.time.extend(chunk.time());
            for field in Field::ALL {
                let ids = chunk.ids(field).unwrap_or_default();
                let name = |id: u32| (id != Names::NONE).then(|| names[field.index()].name(id).to_owned());
                records.names.extend(ids.iter().map(|id| (field.index(), name(*id))));
            }
            if let Some(Subjects { hashes, blocks, valid }) = chunk.subjects() {
                let valid = |row: usize| valid.get(row).is_none_or(|valid| *valid);
                for (hashes, out) in [(hashes, &mut records.subjects), (blocks, &mut records.blocks)] {
                    out.extend(hashes.iter().enumerate().map(|(row, hash)| valid(row).then_some(*hash)));
                }
            }
            records.rows.extend(chunk.rows().unwrap_or_default());
            records.bytes.extend(chunk.bytes().unwrap_or_default());
            records.status.extend(chunk.status().unwrap_or_default());
        }
        records.tally.add(&reader.tally());
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pages_give_what_the_arrow_reader_gives(rows in rows(), choices in choices(), all_ids: bool, blocks: bool) {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("log.parquet"), &rows, &choices);
        let files = discover(&[folder.path()]).unwrap();
        let fields: FieldSet = Field::ALL.into_iter().collect();
        let plan_with = |decoder| {
            Plan::new(&files, &Mapping::native(), fields, &ScanOptions { decoder, ..ScanOptions::default() })
        };
        let plan = plan_with(Decoder::Pages);
        prop_assert!(plan.coverage().rejected_files.is_empty(), "{:?}", plan.coverage().rejected_files);
        let some = if all_ids { vec![Field::Key, Field::User, Field::Source] } else { vec![Field::Source] };
        let request = Request {
            ids: some.into_iter().collect(),
            rows: true,
            bytes: true,
            status: true,
            subjects: true,
            identity: FieldSet::EMPTY,
            blocks,
        };
        let ours = read(&plan, request);
        prop_assert_eq!(&ours, &read(&plan_with(Decoder::Arrow), request));
        prop_assert_eq!(ours.tally.rows(), rows.len() as u64);
    }
}

/// Every encoding that is covered, under every codec and both kinds of pages, with and without nulls; and none of it
/// by the arrow reader, which would give the same and hide that pages are not read.
#[test]
fn all_that_should_be_read_from_pages_is() {
    let encodings = [
        (true, 1 << 20, Encoding::PLAIN, Encoding::PLAIN),
        // The dictionary is given up half-way.
        (true, 600, Encoding::PLAIN, Encoding::PLAIN),
        (true, 600, Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_BINARY_PACKED),
        (false, 1, Encoding::PLAIN, Encoding::PLAIN),
        (false, 1, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BINARY_PACKED),
        (false, 1, Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_BINARY_PACKED),
    ];
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ];
    let value =
        |row: i64, column: i64| (row * (column + 1)).wrapping_mul(7_919) % 1_000_003 / (1 + row % 3 * 99);
    for (at, codec) in codecs.into_iter().enumerate() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for (nullable, nulls) in [(false, false), (true, false), (true, true)] {
                for (dictionary, dictionary_limit, text, integer) in encodings {
                    let null = |row: i64, column: i64| nulls && (row + column) % 7 == 0;
                    let row = |row: i64| -> Row {
                        std::array::from_fn(|column| {
                            (!null(row, column as i64)).then(|| value(row, column as i64))
                        })
                    };
                    let choices = Choices {
                        time: (at % 3) as u8,
                        text: [0, 1, 4][at % 3],
                        number: (at % 2) as u8,
                        codec,
                        version,
                        dictionary,
                        nullable,
                        dictionary_limit,
                        page_rows: 300,
                        group_rows: 2_000,
                        encodings: (text, integer),
                    };
                    reads_pages_alone(&(0..2_500).map(row).collect::<Vec<_>>(), &choices);
                }
            }
        }
    }
}

fn reads_pages_alone(rows: &[Row], choices: &Choices) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("log.parquet"), rows, choices);
    let files = discover(&[folder.path()]).unwrap();
    let fields: FieldSet = Field::ALL.into_iter().collect();
    let plan_with = |decoder, io| {
        Plan::new(&files, &Mapping::native(), fields, &ScanOptions { decoder, io, ..Default::default() })
    };
    let plan = plan_with(Decoder::Pages, Io::Mmap);
    let request = Request {
        ids: [Field::Key, Field::User, Field::Source].into_iter().collect(),
        rows: true,
        bytes: true,
        status: true,
        subjects: true,
        identity: FieldSet::EMPTY,
        blocks: choices.dictionary,
    };
    let ours = read(&plan, request);
    assert_eq!(ours.tally.rows(), rows.len() as u64, "{choices:?}");
    assert_eq!(ours, read(&plan_with(Decoder::Arrow, Io::Mmap), request), "{choices:?}");
    assert_eq!(ours, read(&plan_with(Decoder::Pages, Io::Read), request), "{choices:?}");
    let mut names = NamesByField::default();
    for unit in plan.units() {
        let mut reader = UnitReader::open(&plan, unit, request).unwrap();
        while reader.next_chunk(&mut names).unwrap().is_some() {}
        let Columns { time, ids, rows, bytes, status, subjects, .. } = &reader.columns;
        let ids = ids.iter().flatten().chain(status).map(Column::reads_pages);
        let counts = [rows, bytes].into_iter().flatten().map(Column::reads_pages);
        let others =
            [time.as_ref().map(Column::reads_pages), subjects.as_ref().map(SubjectColumn::reads_pages)];
        let all: Vec<bool> = ids.chain(counts).chain(others.into_iter().flatten()).collect();
        assert_eq!(all, [true; 8], "{choices:?}");
        let group = plan.files[unit.file].layout.metadata().metadata().row_group(unit.row_group);
        for chunk in group.columns() {
            let text = chunk.column_type() == parquet::basic::Type::BYTE_ARRAY;
            let other = if text { choices.encodings.0 } else { choices.encodings.1 };
            let used: Vec<Encoding> = chunk.encodings().collect();
            let dictionary = used.contains(&Encoding::RLE_DICTIONARY);
            assert_eq!(dictionary, choices.dictionary, "{:?} {choices:?}", chunk.column_path());
            if choices.dictionary_limit < 1000
                && unit.rows() == 2_000
                && chunk.column_path().string() != "status"
            {
                assert!(used.contains(&other), "{:?} {used:?} {choices:?}", chunk.column_path());
            }
        }
    }
}

#[test]
fn a_file_that_is_shortened_under_the_scan_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let rows: Vec<Row> = (0..60_000).map(|n| [Some(n * 7919 % 100_000); 8]).collect();
    let choices = Choices {
        time: 0,
        text: 4,
        number: 0,
        codec: Compression::UNCOMPRESSED,
        version: WriterVersion::PARQUET_1_0,
        dictionary: false,
        nullable: true,
        dictionary_limit: 1,
        page_rows: 1000,
        group_rows: 60_000,
        encodings: (Encoding::PLAIN, Encoding::PLAIN),
    };
    write(&path, &rows, &choices);
    let files = discover(&[&path]).unwrap();
    let fields: FieldSet = Field::ALL.into_iter().collect();
    let plan = Plan::new(&files, &Mapping::native(), fields, &ScanOptions::default());
    let request = Request { ids: [Field::Key].into_iter().collect(), ..Request::default() };
    let mut reader = UnitReader::open(&plan, &plan.units()[0], request).unwrap();
    let mut names = NamesByField::default();
    assert!(reader.next_chunk(&mut names).unwrap().is_some());
    File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    let error = loop {
        match reader.next_chunk(&mut names) {
            Ok(chunk) => assert!(chunk.is_some(), "the end of a file that is gone"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("changed while it was being read"), "{error}");
}
