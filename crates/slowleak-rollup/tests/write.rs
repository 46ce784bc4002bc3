//! What the writer promises of its files: every table comes back, in the same bytes on any number of threads,
//! in row groups and pages of bounded size, with the statistics that readers prune by.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test helpers outside of test functions may fail loudly too"
)]

use std::path::Path;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::Page;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use slowleak_record::Micros;
use slowleak_rollup::{Metric, Rollup, Sketch, Table, View};

/// A table of cells in any order: (entity, window, number, subjects).
fn table(view: &str, mut cells: Vec<(String, i64, i64, u64)>) -> Table {
    let view: View = view.parse().unwrap();
    cells.sort();
    cells.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
    let mut table = Table {
        view: view.clone(),
        entities: Vec::new(),
        offsets: vec![0],
        windows: Vec::new(),
        counts: Default::default(),
        sketches: Default::default(),
    };
    for (entity, window, number, subjects) in cells {
        if table.entities.last() != Some(&entity) {
            table.entities.push(entity);
            table.offsets.push(table.windows.len());
        }
        table.windows.push(Micros(window * view.window.micros()));
        for (at, metric) in view.metrics().iter().enumerate() {
            match metric {
                Metric::Subjects => {
                    let mut sketch = Sketch::default();
                    let hash = |subject: u64| {
                        let subject = subject.wrapping_add((window as u64) << 20);
                        slowleak_scan::subject_hash(&subject.to_le_bytes())
                    };
                    (0..subjects).for_each(|subject| sketch.insert_hash(hash(subject)));
                    table.sketches.subjects.push(sketch);
                }
                Metric::Events => table.counts[0].push(number.max(1)),
                metric => table.counts[*metric as usize].push(number >> at),
            }
        }
        *table.offsets.last_mut().unwrap() = table.windows.len();
    }
    table
}

fn written(rollup: &Rollup, threads: usize, check: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("rollup");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| rollup.write(&out)).unwrap();
    check(&out);
}

fn bytes(rollup: &Rollup, threads: usize) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    written(rollup, threads, |out| {
        let files = rollup.tables.iter().map(|table| out.join(table.view.folder()).join("part-0.parquet"));
        bytes = files.map(|file| std::fs::read(file).unwrap()).collect();
    });
    bytes
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{0,3}", 1 => "\\PC{0,40}", 1 => Just("long ".repeat(200))]
}

fn cells(windows: std::ops::Range<i64>, most: usize) -> impl Strategy<Value = Vec<(String, i64, i64, u64)>> {
    let number = prop_oneof![4 => 0..100_i64, 1 => 0..=i64::MAX, 1 => Just(i64::MAX)];
    let subjects = prop_oneof![8 => 0..12_u64, 1 => 200..400_u64];
    proptest::collection::vec((name(), windows, number, subjects), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tables_come_back_and_threads_leave_no_trace(
        dense in cells(-20..200, 400),
        sparse in cells(-4_000_000..4_000_000, 200),
        sketched in cells(20_000..20_100, 60),
    ) {
        let mut tables = vec![
            table("key@1h:rows,bytes,denied,missing,error,sources", dense),
            table("user@15m:events", sparse),
            table("key+source@1d:subjects,rows", sketched),
        ];
        tables.sort_by(|a, b| a.view.cmp(&b.view));
        let rollup = Rollup { tables };
        let one = bytes(&rollup, 1);
        prop_assert_eq!(&bytes(&rollup, 2), &one);
        prop_assert_eq!(&bytes(&rollup, 7), &one);
        written(&rollup, 2, |out| assert_eq!(Rollup::read(out).unwrap(), rollup));
    }
}

fn footer(path: &Path) -> (SerializedFileReader<std::fs::File>, ParquetMetaData) {
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let reader = SerializedFileReader::new_with_options(std::fs::File::open(path).unwrap(), options).unwrap();
    let metadata = reader.metadata().clone();
    (reader, metadata)
}

/// 60 entities in 20,000 windows; the first entity alone has more than a row group, the last ones few.
fn large() -> Table {
    let mut cells = Vec::new();
    for entity in 0..60_i64 {
        let windows = if entity == 0 { 1_100_000 } else { 20_000 / entity };
        let number = |window: i64| (window * 7919 + entity) % 1000 + 1;
        cells.extend((0..windows).map(|window| (format!("entity-{entity:03}"), window, number(window), 0)));
    }
    table("key@1h:rows,bytes", cells)
}

#[test]
fn a_large_table_is_cut_into_row_groups_and_pages_and_told_by_its_extremes() {
    let rollup = Rollup { tables: vec![large()] };
    let table = &rollup.tables[0];
    let one = bytes(&rollup, 1);
    assert_eq!(bytes(&rollup, 7), one);
    written(&rollup, 2, |out| {
        assert_eq!(Rollup::read(out).unwrap(), rollup);
        let (reader, metadata) = footer(&out.join("key@1h/part-0.parquet"));
        assert_eq!(metadata.file_metadata().num_rows() as usize, table.len());
        assert_eq!(metadata.file_metadata().created_by(), Some("slowleak rollup 1"));
        let mut start = 0;
        for (at, group) in metadata.row_groups().iter().enumerate() {
            let cells = start..start + group.num_rows() as usize;
            start = cells.end;
            // Whole entities, and no more of them than it takes to fill it.
            let last = table.offsets.partition_point(|offset| *offset < cells.end);
            assert!(table.offsets.contains(&cells.start) && table.offsets[last] == cells.end);
            assert!(table.offsets[last - 1] - cells.start < 1 << 18);
            let Some(Statistics::ByteArray(entities)) = group.column(0).statistics() else { panic!() };
            let entity = |cell: usize| {
                let entity = table.offsets.partition_point(|offset| *offset <= cell) - 1;
                table.entities[entity].as_bytes()
            };
            assert_eq!(entities.min_opt().unwrap().data(), entity(cells.start));
            assert_eq!(entities.max_opt().unwrap().data(), entity(cells.end - 1));
            assert!(entities.min_is_exact() && entities.max_is_exact());
            let Some(Statistics::Int64(windows)) = group.column(1).statistics() else { panic!() };
            let of_group = &table.windows[cells.clone()];
            assert_eq!(windows.min_opt().copied(), of_group.iter().map(|window| window.0).min());
            assert_eq!(windows.max_opt().copied(), of_group.iter().map(|window| window.0).max());

            for column in 0..group.num_columns() {
                let index = &metadata.column_index().unwrap()[at][column];
                assert_eq!(matches!(index, ColumnIndexMetaData::NONE), column >= 2, "column {column}");
                let pages = metadata.offset_index().unwrap()[at][column].page_locations();
                let mut read = 0;
                let mut pages = pages.iter();
                for page in reader.get_row_group(at).unwrap().get_column_page_reader(column).unwrap() {
                    let page = page.unwrap();
                    assert!(page.buffer().len() <= 1 << 20);
                    if let Page::DataPage { num_values, .. } = page {
                        assert!(num_values <= 1 << 17);
                        assert_eq!(pages.next().unwrap().first_row_index, read);
                        read += i64::from(num_values);
                    }
                }
                assert_eq!(read as usize, cells.len());
            }
        }
        assert_eq!(start, table.len());
        assert!(metadata.num_row_groups() > 1);
    });
}

#[test]
fn windows_are_packed_in_the_shorter_of_two_ways() {
    let file = |cells: Vec<(String, i64, i64, u64)>| {
        let rollup = Rollup { tables: vec![table("key@1h:events", cells)] };
        let mut encodings = Vec::new();
        written(&rollup, 1, |out| {
            assert_eq!(Rollup::read(out).unwrap(), rollup);
            let (_, metadata) = footer(&out.join("key@1h/part-0.parquet"));
            encodings = metadata.row_group(0).column(1).encodings().collect();
        });
        encodings
    };
    let cells =
        |window: fn(i64) -> i64| (0..20_000).map(|at| (format!("{}", at / 200), window(at), 1, 0)).collect();
    assert!(file(cells(|at| at)).contains(&Encoding::DELTA_BINARY_PACKED), "every hour");
    assert!(file(cells(|at| at * 7919 % 997)).contains(&Encoding::RLE_DICTIONARY), "some hours of many");
    assert!(file(cells(|at| at * at / 100)).contains(&Encoding::DELTA_BINARY_PACKED), "a grid too large");
}

#[test]
fn sketches_are_compressed_where_it_pays() {
    let codec = |subjects: u64| {
        let cells = (0..300).map(|window| (String::from("a"), window, 1, subjects)).collect();
        let rollup = Rollup { tables: vec![table("key@1d:subjects", cells)] };
        let mut codec = Compression::UNCOMPRESSED.into();
        written(&rollup, 1, |out| {
            assert_eq!(Rollup::read(out).unwrap(), rollup);
            let (_, metadata) = footer(&out.join("key@1d/part-0.parquet"));
            codec = metadata.row_group(0).column(4).compression_codec();
        });
        codec
    };
    assert_eq!(codec(200), Compression::UNCOMPRESSED.into(), "tokens are nearly random");
    assert_eq!(codec(3000), Compression::ZSTD(ZstdLevel::default()).into(), "registers are not");
}

#[test]
fn a_table_without_its_columns_is_an_error() {
    let mut table = table("key@1h:rows", vec![("a".to_owned(), 1, 1, 0)]);
    table.counts[Metric::Rows as usize].clear();
    let dir = tempfile::tempdir().unwrap();
    let error = Rollup { tables: vec![table] }.write(dir.path().join("rollup")).unwrap_err().to_string();
    assert!(error.contains("part-0.parquet") && error.contains("rows"), "{error}");
    assert!(!dir.path().join("rollup").exists());
}
