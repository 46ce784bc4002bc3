//! Nights of any rhythm end in what one scan gives: the same rollup, byte for byte, and the same account of the log.

#![expect(clippy::unwrap_used, reason = "a helper that fails ends its test")]

mod rhythm;
mod state;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use slowleak_nightly::{Counted, Counting, Extent, Folder, History, Night, NightlyError, count_night};
use slowleak_record::{Mapping, Micros, TimeRange, Window, discover};
use slowleak_rollup::{Rollup, View, build, fields};
use slowleak_scan::{Coverage, Decoder, Io, Plan, SUBJECT_HASH_VERSION, ScanOptions};

/// 2025-06-12T00:00:00Z, a Thursday: weeks begin there.
const START: i64 = 1_749_686_400_000_000;

#[derive(Debug, Clone)]
struct Record {
    minute: i64,
    key: Option<u8>,
    user: u8,
    source: u8,
    subject: u16,
    rows: i64,
}

/// What somebody does to the folder of logs before a night.
#[derive(Debug, Clone)]
enum Deed {
    /// A file of one day's records, with a few of other days.
    Write {
        name: u8,
        records: Vec<Record>,
        late: Vec<Record>,
        without: u8,
    },
    /// A file that was written before, delivered again under another name, with others' records in it.
    Repeat {
        from: u8,
        name: u8,
        more: Vec<Record>,
    },
    Remove {
        name: u8,
    },
    /// Written again with the same records: another file all the same.
    Touch {
        name: u8,
    },
    Break {
        name: u8,
    },
    /// Given another name, in place of what is there.
    Move {
        from: u8,
        to: u8,
    },
    Night,
}

fn records(days: std::ops::Range<i64>, most: usize) -> impl Strategy<Value = Vec<Record>> {
    let minutes = days.start * 24 * 60..days.end * 24 * 60;
    let record =
        (minutes, proptest::option::weighted(0.9, 0..5_u8), 0..4_u8, 0..6_u8, 0..400_u16, -2..50_i64);
    let record = record.prop_map(|(minute, key, user, source, subject, rows)| Record {
        minute,
        key,
        user,
        source,
        subject,
        rows,
    });
    proptest::collection::vec(record, 0..most)
}

fn deed() -> impl Strategy<Value = Deed> {
    let write = (0..6_u8, 0..16_i64, 0..32_u8).prop_flat_map(|(name, day, without)| {
        (records(day..day + 1, 25), records(0..16, 3)).prop_map(move |(records, late)| Deed::Write {
            name,
            records,
            late,
            without,
        })
    });
    prop_oneof![
        8 => write,
        2 => (0..6_u8, 0..6_u8, records(0..16, 3)).prop_map(|(from, name, more)| Deed::Repeat { from, name, more }),
        1 => (0..6_u8).prop_map(|name| Deed::Remove { name }),
        1 => (0..6_u8).prop_map(|name| Deed::Touch { name }),
        1 => (0..6_u8).prop_map(|name| Deed::Break { name }),
        1 => (0..6_u8, 0..6_u8).prop_map(|(from, to)| Deed::Move { from, to }),
        4 => Just(Deed::Night),
    ]
}

fn path(logs: &Path, name: u8) -> PathBuf {
    logs.join(format!("{name:02}.parquet"))
}

/// Some files lack columns: bit 0 of `without` rows, bit 1 subjects, bit 2 sources, bit 3 event ids; with bit 4
/// times are text, of which footers tell nothing. Records of one id say
/// the same, columns that are lacking included.
fn write(path: &Path, records: &[Record], without: u8) {
    let text = |prefix: char, number: u8| format!("{prefix}{number}");
    let time = records.iter().map(|record| START + record.minute * 60_000_000);
    let keys = records.iter().map(|record| record.key.map(|key| text('k', key)));
    let times: ArrayRef = if without & 16 == 0 {
        Arc::new(TimestampMicrosecondArray::from_iter_values(time).with_timezone("UTC"))
    } else {
        Arc::new(StringArray::from_iter_values(time.map(|time| Micros(time).to_string())))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("time", times),
        ("key", Arc::new(StringArray::from_iter(keys))),
        (
            "user",
            Arc::new(StringArray::from_iter_values(records.iter().map(|record| text('u', record.user)))),
        ),
    ];
    if without & 1 == 0 {
        columns
            .push(("rows", Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.rows)))));
    }
    if without & 2 == 0 {
        let subjects = records.iter().map(|record| i64::from(record.subject));
        columns.push(("subject", Arc::new(Int64Array::from_iter_values(subjects))));
    }
    if without & 4 == 0 {
        let sources = records.iter().map(|record| text('s', record.source));
        columns.push(("source", Arc::new(StringArray::from_iter_values(sources))));
    }
    if without & 8 == 0 {
        let id = |record: &Record| {
            (!record.subject.is_multiple_of(7)).then(|| format!("{record:?}{}", without & 7))
        };
        columns.push(("event_id", Arc::new(StringArray::from_iter(records.iter().map(id)))));
    }
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(9)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn views(sources: bool) -> Vec<View> {
    let mut views = vec![
        "key@1h:rows,denied",
        "user@7d:subjects",
        "user@1d:rows",
        "key+source@1d:events",
        "user+source@14d:rows,subjects",
        "key@1d:subjects",
    ];
    views.extend(sources.then_some("key+user@12h:sources"));
    let mut views: Vec<View> = views.into_iter().map(|view| view.parse().unwrap()).collect();
    views.sort();
    views
}

fn counted(views: &[View]) -> Counted {
    Counted {
        views: views.iter().map(ToString::to_string).collect(),
        mapping: Mapping::native().fingerprint(),
        subject_hash: SUBJECT_HASH_VERSION,
    }
}

fn night(folder: &Folder, logs: &Path, views: &[View], extent: &Extent) -> Result<Night, NightlyError> {
    counting(views, |counting| count_night(folder, &discover(&[logs]).unwrap(), counting, extent))
}

fn counting<T>(views: &[View], with: impl FnOnce(&Counting<'_>) -> T) -> T {
    with(&Counting {
        views,
        mapping: &Mapping::native(),
        io: Io::Mmap,
        decoder: Decoder::Pages,
        memory: 256 << 20,
        progress: &|_| (),
    })
}

fn scan(logs: &Path, views: &[View], range: TimeRange) -> (Rollup, Coverage) {
    let options = ScanOptions { range, ..ScanOptions::default() };
    let plan = Plan::new(&discover(&[logs]).unwrap(), &Mapping::native(), fields(views), &options);
    build(&plan, views, &|_| ()).unwrap()
}

/// Every file under `folder` with its bytes, by path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for view in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(view.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Makes the night the last one, and compares it with one scan over everything.
fn check(
    folder: &mut Folder,
    work: &Path,
    views: &[View],
    extent: &Extent,
    range: TimeRange,
) -> Result<(), TestCaseError> {
    let logs = work.join("logs");
    let night = night(folder, &logs, views, extent).unwrap();
    let (rollup, coverage) = scan(&logs, views, range);
    prop_assert_eq!(&night.coverage, &coverage);
    night.rollup(folder).unwrap().write(&work.join("ours"), 1 << 20).unwrap();
    rollup.write(work.join("theirs")).unwrap();
    let (ours, theirs) = (contents(&work.join("ours")), contents(&work.join("theirs")));
    prop_assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, bytes) in &ours {
        prop_assert!(*bytes == theirs[name], "{} differs", name.display());
    }
    folder.commit(night.next).unwrap();
    Ok(())
}
