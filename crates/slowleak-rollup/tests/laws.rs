//! Laws of the rollup: it adds up, merges exactly, and gives the same bytes however the work is cut.

mod support;

use std::path::Path;

use proptest::prelude::*;
use slowleak_rollup::Rollup;
use support::{check, records, rollup, views, write_log};

fn store_bytes(rollup: &Rollup) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("rollup");
    rollup.write(&out).unwrap();
    let mut files: Vec<(String, Vec<u8>)> = slowleak_record::discover(&[&out])
        .unwrap()
        .into_iter()
        .map(|file| {
            let name = file.path.strip_prefix(&out).unwrap().display().to_string();
            (name, std::fs::read(&file.path).unwrap())
        })
        .collect();
    files.sort();
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cells_add_up_and_the_store_round_trips(records in records(400), row_group in 1_usize..200, dictionary: bool) {
        let dir = tempfile::tempdir().unwrap();
        write_log(&dir.path().join("log.parquet"), &records, row_group, dictionary);
        let (rollup, coverage) = rollup(dir.path(), &views());
        prop_assert_eq!(rollup.tables.len(), views().len());
        for table in &rollup.tables {
            check(table, &records);
        }
        let anonymous = records.iter().filter(|r| r.key.is_none() && r.user.is_none()).count() as u64;
        prop_assert_eq!(coverage.rows.read + anonymous, records.len() as u64);
        prop_assert_eq!(coverage.rows.rejected, anonymous);
        let out = dir.path().join("rollup");
        rollup.write(&out).unwrap();
        prop_assert_eq!(Rollup::read(&out).unwrap(), rollup);
    }
}

#[expect(unused, reason = "used by the tests to come")]
fn unused(_: &Path) {
    let _ = store_bytes;
}
