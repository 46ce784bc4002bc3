//! Nights of any rhythm, with whatever happens to the files.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn nights_of_any_rhythm_are_one_scan(
        deeds in proptest::collection::vec(deed(), 1..40),
        sources: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let views = views(sources);
        write(&logs.join("always.parquet"), &[], 0);
        let mut written: BTreeMap<u8, (Vec<Record>, u8)> = BTreeMap::new();
        let mut time = std::time::SystemTime::UNIX_EPOCH;
        for deed in deeds.into_iter().chain([Deed::Night]) {
            match deed {
                Deed::Write { name, records, late, without, .. } => {
                    let records = [records, late].concat();
                    write(&path(&logs, name), &records, without);
                    written.insert(name, (records, without));
                }
                Deed::Repeat { from, name, more } => {
                    if let Some((records, without)) = written.get(&from).cloned() {
                        let records = [records, more].concat();
                        write(&path(&logs, name), &records, without);
                        written.insert(name, (records, without));
                    }
                }
                Deed::Remove { name } => _ = fs::remove_file(path(&logs, name)),
                Deed::Move { from, to } => _ = fs::rename(path(&logs, from), path(&logs, to)),
                Deed::Touch { name } => {
                    // Another time each, whatever the clock's steps.
                    time += std::time::Duration::from_secs(1);
                    if let Ok(file) = File::options().append(true).open(path(&logs, name)) {
                        file.set_modified(time).unwrap();
                    }
                }
                Deed::Break { name } => {
                    if let Ok(bytes) = fs::read(path(&logs, name)) {
                        fs::write(path(&logs, name), &bytes[..bytes.len() - 1]).unwrap();
                    }
                }
                Deed::Night => {
                    // Opened anew every night, as a job would.
                    let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
                    check(&mut folder, dir.path(), &views, &Extent::default(), TimeRange::default())?;
                    let before = folder.state().clone();
                    let again = night(&folder, &logs, &views, &Extent::default()).unwrap();
                    prop_assert_eq!(&again.next, &before, "a night without news is the one before");
                }
            }
        }
    }

    #[test]
    fn what_lies_behind_the_instant_counts_when_its_night_comes(
        files in proptest::collection::vec((records(0..16, 30), 0..32_u8), 1..8),
        nights in proptest::collection::btree_set(0..17 * 24_i64, 1..6),
        sources: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let views = views(sources);
        for (at, (records, without)) in files.iter().enumerate() {
            write(&path(&logs, at as u8), records, *without);
        }
        let mut folder = Folder::open(&dir.path().join("state"), &counted(&views)).unwrap();
        for hour in nights {
            let until = Some(Micros(START + hour * Micros::HOUR));
            let extent = Extent { as_of: until, ..Extent::default() };
            check(&mut folder, dir.path(), &views, &extent, TimeRange { since: None, until })?;
        }
        check(&mut folder, dir.path(), &views, &Extent::default(), TimeRange::default())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_night_of_history_is_one_scan_of_what_was_there(
        files in proptest::collection::vec((records(0..16, 30), 0..32_u8), 1..8),
        sources: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (logs, there) = (dir.path().join("logs"), dir.path().join("there"));
        fs::create_dir(&logs).unwrap();
        fs::create_dir(&there).unwrap();
        let views = views(sources);
        for (at, (records, without)) in files.iter().enumerate() {
            write(&path(&logs, at as u8), records, *without);
        }
        let midnight = |day: i64| Micros(START + day * Micros::DAY);
        let history = counting(&views, |counting| {
            History::count(&discover(&[&logs]).unwrap(), counting, midnight(14), dir.path()).unwrap()
        });
        for day in 0..=14 {
            let until = midnight(day);
            // A file comes with its first record.
            for (at, (records, _)) in files.iter().enumerate() {
                if records.iter().any(|record| record.minute < day * 24 * 60) {
                    fs::copy(path(&logs, at as u8), path(&there, at as u8)).unwrap();
                }
            }
            let Some(past) = history.until(until, &views).unwrap() else {
                prop_assert!(fs::read_dir(&there).unwrap().next().is_none());
                continue;
            };
            let (rollup, coverage) = scan(&there, &views, TimeRange { since: None, until: Some(until) });
            prop_assert_eq!(past.records, coverage.rows.read);
            let last = coverage.time.unwrap().1;
            prop_assert!(past.end <= last && Window::HOUR.floor(last) <= past.end);
            past.rollup.write(&dir.path().join("ours"), 1 << 20).unwrap();
            rollup.write(dir.path().join("theirs")).unwrap();
            prop_assert!(contents(&dir.path().join("ours")) == contents(&dir.path().join("theirs")), "day {day}");
        }
    }
}
