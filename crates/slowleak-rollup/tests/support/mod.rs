//! Small logs on disk, and what they must add up to, counted the slow and obvious way.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use slowleak_record::{Field, InputFile, Mapping, Micros, discover};
use slowleak_rollup::{Metric, Rollup, Table, View, build, fields};
use slowleak_scan::{Coverage, Plan, ScanOptions, subject_hash};

#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) time: i64,
    pub(crate) key: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) subject: Option<i64>,
    pub(crate) rows: Option<i64>,
    pub(crate) bytes: Option<i64>,
    pub(crate) status: Option<&'static str>,
}

impl Record {
    pub(crate) fn text(&self, field: Field) -> Option<&str> {
        match field {
            Field::Key => self.key.as_deref(),
            Field::User => self.user.as_deref(),
            Field::Source => self.source.as_deref(),
            Field::Object => self.object.as_deref(),
            _ => None,
        }
    }
}

/// Records over a few days, disordered, with few names so that cells collide.
pub(crate) fn records(max: usize) -> impl Strategy<Value = Vec<Record>> {
    // Names that begin with each other, or look like a joiner, sort and split like any other.
    let of = |names: &'static [&'static str]| {
        proptest::option::weighted(0.9, proptest::sample::select(names).prop_map(str::to_owned))
    };
    let keys = &["k", "k ", "k +", "k + ", "k + 1", "k  + 1", "k\t", "k!", "", "+", r"\+", r"k \+"];
    let objects = &["o", "+ o", " o", "o +", "\u{1}", "\u{e9}"];
    let status = prop_oneof![
        4 => Just(None),
        1 => Just(Some("ok")),
        1 => Just(Some("denied")),
        1 => Just(Some("missing")),
        1 => Just(Some("error")),
    ];
    let record = (
        0..5 * 24 * 60_i64,
        of(keys),
        of(&["u1", "u2", "u10", "u11", "u3", "+ u", "u"]),
        of(&["s1", "s2", "s", "+"]),
        of(objects),
        proptest::option::weighted(0.9, 0..400_i64),
        proptest::option::weighted(0.9, 0..1000_i64),
        status,
    )
        .prop_map(|(minute, key, user, source, object, subject, rows, status)| Record {
            time: 1_750_000_000_000_000 + minute * 60_000_000,
            key,
            user,
            source,
            object,
            subject,
            rows,
            bytes: rows.map(|rows| rows * 7),
            status,
        });
    proptest::collection::vec(record, 1..max)
}

/// The columns of `records`, by the contract's names.
pub(crate) fn columns(records: &[Record]) -> Vec<(&'static str, ArrayRef)> {
    let text = |field: Field| -> ArrayRef {
        Arc::new(StringArray::from_iter(records.iter().map(|record| record.text(field))))
    };
    let number = |get: fn(&Record) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(records.iter().map(get)))
    };
    let times = records.iter().map(|record| record.time);
    vec![
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("key", text(Field::Key)),
        ("user", text(Field::User)),
        ("source", text(Field::Source)),
        ("object", text(Field::Object)),
        ("subject", number(|record| record.subject)),
        ("rows", number(|record| record.rows)),
        ("bytes", number(|record| record.bytes)),
        ("status", Arc::new(StringArray::from_iter(records.iter().map(|record| record.status)))),
    ]
}

pub(crate) fn write_columns(
    path: &Path,
    columns: Vec<(&'static str, ArrayRef)>,
    row_group: usize,
    dictionary: bool,
) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .set_dictionary_enabled(dictionary)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

pub(crate) fn write_log(path: &Path, records: &[Record], row_group: usize, dictionary: bool) {
    write_columns(path, columns(records), row_group, dictionary);
}

/// Views that use every field and metric.
pub(crate) fn views() -> Vec<View> {
    [
        "key@1h:rows,bytes,denied,missing,error",
        "user@1h:rows",
        "key+source@1h:events,rows",
        "key@1d:subjects,blocks,sources",
        "key+object@1d:subjects,blocks",
        "object@1d:blocks",
        "user+source+object@1d:events",
    ]
    .map(|view| view.parse().unwrap())
    .to_vec()
}

pub(crate) fn plan(dir: &Path, views: &[View]) -> Plan {
    let files: Vec<InputFile> = discover(&[dir]).unwrap();
    Plan::new(&files, &Mapping::native(), fields(views), &ScanOptions::default())
}

pub(crate) fn rollup(dir: &Path, views: &[View]) -> (Rollup, Coverage) {
    build(&plan(dir, views), views, &|_| ()).unwrap()
}

/// The same table, counted with maps.
pub(crate) fn naive(records: &[Record], view: &View) -> BTreeMap<(String, i64), Naive> {
    let mut cells: BTreeMap<(String, i64), Naive> = BTreeMap::new();
    for record in records {
        if record.key.is_none() && record.user.is_none() {
            continue;
        }
        let parts: Option<Vec<&str>> = view.dimension.parts().iter().map(|part| record.text(*part)).collect();
        let Some(parts) = parts else { continue };
        let window = view.window.floor(Micros(record.time)).0;
        let cell = cells.entry((view.dimension.join(parts), window)).or_default();
        let is = |status| i64::from(record.status == Some(status));
        let more = [
            1,
            record.rows.unwrap_or(0),
            record.bytes.unwrap_or(0),
            is("denied"),
            is("missing"),
            is("error"),
        ];
        for (sum, more) in cell.sums.iter_mut().zip(more) {
            *sum += more;
        }
        cell.sources.extend(record.source.clone());
        cell.subjects.extend(record.subject.map(|subject| subject_hash(subject.to_string().as_bytes())));
        cell.blocks.extend(record.subject.map(|subject| subject / 64));
    }
    cells
}

#[derive(Default, Debug)]
pub(crate) struct Naive {
    pub(crate) sums: [i64; 6],
    pub(crate) sources: BTreeSet<String>,
    pub(crate) subjects: BTreeSet<u64>,
    pub(crate) blocks: BTreeSet<i64>,
}

/// Panics where `table` is not what `records` add up to.
pub(crate) fn check(table: &Table, records: &[Record]) {
    let want = naive(records, &table.view);
    let mut got = Vec::new();
    for (entity, name) in table.entities.iter().enumerate() {
        got.extend(table.cells(entity).map(|cell| (name.clone(), table.windows[cell].0)));
    }
    assert_eq!(got, want.keys().cloned().collect::<Vec<_>>(), "{}", table.view);
    for (cell, naive) in want.values().enumerate() {
        for metric in table.view.metrics() {
            match metric {
                Metric::Subjects => {
                    assert_eq!(table.sketches.subjects[cell].estimate(), naive.subjects.len() as f64);
                }
                Metric::Blocks => {
                    assert_eq!(table.sketches.blocks[cell].estimate(), naive.blocks.len() as f64);
                }
                Metric::Sources => assert_eq!(table.count(*metric)[cell], naive.sources.len() as i64),
                metric => assert_eq!(table.count(*metric)[cell], naive.sums[*metric as usize], "{metric}"),
            }
        }
    }
}
