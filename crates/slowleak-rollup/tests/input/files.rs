//! Files that can not be used, or only in part.

use super::*;

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
