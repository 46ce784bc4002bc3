//! The rollup store: what we write, and what others write by hand.

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
    ArrayRef, BinaryArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use slowleak_record::Micros;
use slowleak_rollup::{Metric, Rollup, RollupError};
use support::{Record, rollup, views, write_columns, write_log};

type Columns = Vec<(&'static str, ArrayRef)>;

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn counts(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// A store of one view, written by hand.
fn by_hand(folder: &str, files: Vec<Columns>) -> Result<Rollup, RollupError> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(folder);
    fs::create_dir(&folder).unwrap();
    for (index, columns) in files.into_iter().enumerate() {
        write_columns(&folder.join(format!("x{index}.parquet")), columns, 1000, true);
    }
    Rollup::read(dir.path())
}

fn cells(rollup: &Rollup) -> Vec<(String, String, i64)> {
    let table = &rollup.tables[0];
    let of = |entity: usize| {
        table.cells(entity).map(move |cell| {
            (
                table.entities[entity].clone(),
                table.windows[cell].to_string(),
                table.count(Metric::Events)[cell],
            )
        })
    };
    (0..table.entities.len()).flat_map(of).collect()
}

#[test]
fn rows_in_any_order_and_several_files_add_up() {
    let rollup = by_hand(
        "user@1d",
        vec![
            vec![
                ("window", text(&["2025-06-24", "2025-06-23T00:00:00Z", "2025-06-24"])),
                ("entity", text(&["b", "b", "a"])),
                ("events", Arc::new(UInt64Array::from(vec![1, 2, 0]))),
                ("remark", text(&["", "", ""])),
            ],
            vec![
                ("entity", text(&["b", "a"])),
                ("window", Arc::new(Date32Array::from(vec![20_263, 20_262]))),
                ("events", Arc::new(Int32Array::from(vec![10, 4]))),
            ],
        ],
    );
    let got = cells(&rollup.unwrap());
    let want = [
        ("a", "2025-06-23T00:00:00Z", 4),
        ("b", "2025-06-23T00:00:00Z", 2),
        ("b", "2025-06-24T00:00:00Z", 11),
    ];
    assert_eq!(got, want.map(|(entity, window, events)| (entity.to_owned(), window.to_owned(), events)));
}

#[test]
fn windows_of_other_units() {
    let windows: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![3_600_000, 0]));
    let columns = vec![("entity", text(&["a", "a"])), ("window", windows), ("events", counts(&[1, 2]))];
    let rollup = by_hand("key@1h", vec![columns]).unwrap();
    assert_eq!(rollup.tables[0].windows, [Micros(0), Micros(Micros::HOUR)]);
    assert_eq!(rollup.tables[0].count(Metric::Events), [2, 1]);
}

#[test]
fn mistakes_are_named() {
    let entity = || ("entity", text(&["a", "a"]));
    let window = || ("window", text(&["2025-06-24", "2025-06-25"]));
    let events = || ("events", counts(&[1, 2]));
    let nulls = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let cases: Vec<(&str, Columns, &[&str])> = vec![
        ("key@1d", vec![window(), events()], &["column \"entity\"", "no such column"]),
        ("key@1d", vec![entity(), events()], &["column \"window\""]),
        ("key@1d", vec![entity(), window()], &["column \"events\""]),
        (
            "key@1d",
            vec![entity(), window(), ("events", counts(&[1, -2]))],
            &["\"events\", row 2", "negative"],
        ),
        ("key@1d", vec![entity(), window(), ("events", nulls(vec![None, Some(1)]))], &["row 1", "null"]),
        ("key@1d", vec![entity(), window(), ("events", text(&["1", "2"]))], &["its type is"]),
        (
            "key@1d",
            vec![entity(), window(), ("events", Arc::new(Float64Array::from(vec![f64::NAN, 1.0])))],
            &["\"events\", row 1"],
        ),
        ("key@1d", vec![entity(), ("window", text(&["2025-06-24", "x"])), events()], &["\"window\", row 2"]),
        (
            "key@1h",
            vec![entity(), ("window", text(&["2025-06-24", "2025-06-24T00:30:00Z"])), events()],
            &["row 2", "not the start of a 1h window", "round"],
        ),
        (
            "key@1d",
            vec![("entity", Arc::new(StringArray::from(vec![Some("a"), None]))), window(), events()],
            &["\"entity\", row 2", "null"],
        ),
        (
            "key@1d",
            vec![("entity", Arc::new(Float64Array::from(vec![1.0, 2.0]))), window(), events()],
            &["entity"],
        ),
        (
            "key@1d",
            vec![entity(), window(), events(), ("subjects", Arc::new(Float64Array::from(vec![1.0, 2.0])))],
            &["subjects_sketch", "drop the column"],
        ),
        (
            "key@1d",
            vec![
                entity(),
                window(),
                events(),
                ("subjects_sketch", Arc::new(BinaryArray::from(vec![&b"x"[..], b"y"]))),
            ],
            &["subjects_sketch", "row 1"],
        ),
        (
            "key@1d",
            vec![
                entity(),
                ("window", text(&["2025-06-24", "2025-06-24"])),
                events(),
                ("sources", counts(&[1, 1])),
            ],
            &["sources", "twice"],
        ),
        ("kid@1d", vec![entity(), window(), events()], &["kid@1d", "no view", "DIMENSION@WINDOW"]),
    ];
    for (folder, columns, words) in cases {
        let error = by_hand(folder, vec![columns]).unwrap_err();
        assert!(matches!(error, RollupError::Input(_)));
        let error = error.to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} lacks {word:?}");
        }
    }
}

#[test]
fn folders_that_are_no_store() {
    let dir = tempfile::tempdir().unwrap();
    for (path, word) in [(dir.path().join("none"), "rollup folder"), (dir.path().to_path_buf(), "no view")] {
        let error = Rollup::read(path).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let folder = dir.path().join("key@1h");
    fs::create_dir(&folder).unwrap();
    assert!(Rollup::read(dir.path()).unwrap_err().to_string().contains("no Parquet file"));
    fs::write(folder.join("a.parquet"), "nonsense").unwrap();
    assert!(Rollup::read(dir.path()).unwrap_err().to_string().contains("a.parquet"));
}

#[test]
fn a_view_in_two_folders_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    small().write(dir.path().join("store")).unwrap();
    let store = dir.path().join("store");
    let view = fs::read_dir(&store).unwrap().next().unwrap().unwrap().path();
    let name = view.file_name().unwrap().to_string_lossy().into_owned();
    let twin = store.join(name.replace('@', " @"));
    fs::create_dir(&twin).unwrap();
    fs::copy(view.join("part-0.parquet"), twin.join("part-0.parquet")).unwrap();
    let error = Rollup::read(&store).unwrap_err().to_string();
    assert!(error.contains("the same view as in") && error.contains("one folder"), "{error}");
}

fn small() -> Rollup {
    let dir = tempfile::tempdir().unwrap();
    let record = Record {
        time: 1_750_766_400_000_000,
        key: Some("k".to_owned()),
        user: Some("u".to_owned()),
        source: Some("s".to_owned()),
        object: Some("o".to_owned()),
        subject: Some(1),
        rows: Some(2),
        bytes: Some(3),
        status: None,
    };
    write_log(&dir.path().join("log.parquet"), &[record], 10, true);
    rollup(dir.path(), &views()).0
}

#[test]
fn the_columns_are_those_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("rollup");
    small().write(&out).unwrap();
    let columns = |view: &str| -> Vec<String> {
        let file = fs::File::open(out.join(view).join("part-0.parquet")).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let metadata = reader.metadata().file_metadata();
        assert!(metadata.key_value_metadata().unwrap().iter().all(|pair| pair.key != "ARROW:schema"));
        let column = |column: &parquet::schema::types::ColumnDescPtr| {
            format!("{} {:?} {:?}", column.name(), column.physical_type(), column.logical_type_ref())
        };
        metadata.schema_descr().columns().iter().map(column).collect()
    };
    let day = columns("key@1d");
    assert_eq!(
        day,
        [
            "entity BYTE_ARRAY Some(String)",
            "window INT64 Some(Timestamp(TimestampType { is_adjusted_to_u_t_c: true, unit: MICROS }))",
            "events INT64 None",
            "sources INT64 None",
            "subjects DOUBLE None",
            "subjects_sketch BYTE_ARRAY None",
            "blocks DOUBLE None",
            "blocks_sketch BYTE_ARRAY None",
        ]
    );
    assert_eq!(columns("key@1h").len(), 8);
}

#[test]
fn an_earlier_rollup_is_replaced_whole_and_nothing_else_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("rollup");
    let rollup = small();
    rollup.write(&out).unwrap();
    let fewer = Rollup { tables: rollup.tables[..1].to_vec() };
    fewer.write(&out).unwrap();
    assert_eq!(Rollup::read(&out).unwrap(), fewer);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["rollup"], "no temporary folder stays behind");

    fs::write(out.join("notes.txt"), "mine").unwrap();
    let error = rollup.write(&out).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
    assert!(out.join("notes.txt").exists());
    fs::write(dir.path().join("file"), "mine").unwrap();
    assert!(rollup.write(dir.path().join("file")).is_err());
    assert!(rollup.write(Path::new("/")).is_err());
}
