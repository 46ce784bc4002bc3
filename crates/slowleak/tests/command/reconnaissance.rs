//! A key that looks around, from the records to the words.

use std::fs;

use crate::support::{Columns, DAY, HOUR, START, slowleak, texts, times, write};

#[test]
fn objects_never_used_before_are_found_shown_and_explained() {
    // Keys go about their two objects, and now and then come upon a third; one opens thirty others in two days.
    let mut accesses: Vec<(i64, String, String)> = Vec::new();
    for key in 0..24 {
        for day in 0..60 {
            for nth in 0..12 {
                let object = if nth == 11 && day % 15 == key % 15 { day + key } else { key + nth % 2 };
                let time = START + day * DAY + (8 + nth) * HOUR;
                accesses.push((time, format!("k{key:02}"), format!("o{:02}", object % 12)));
            }
        }
    }
    for object in 20..50 {
        let time = START + (40 + object % 2) * DAY + (10 + object % 5) * HOUR;
        accesses.push((time, "k07".to_owned(), format!("o{object}")));
    }
    accesses.sort();
    let dir = tempfile::tempdir().unwrap();
    let columns: Columns = vec![
        ("time", times(accesses.iter().map(|access| Some(access.0)))),
        ("key", texts(accesses.iter().map(|access| Some(access.1.as_str())))),
        ("object", texts(accesses.iter().map(|access| Some(access.2.as_str())))),
    ];
    write(&dir.path().join("logs/a.parquet"), columns);

    let answer = slowleak(dir.path(), "scan {}/logs --out {}/out --format json").exits(0).json();
    let all = answer["findings"].as_array().unwrap();
    let found = all.iter().find(|finding| finding["detector"] == "reconnaissance").unwrap_or(&answer);
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    assert_eq!([text("entity"), text("metric"), text("key")], ["k07", "new_objects", "k07"], "{answer}");
    assert_eq!([text("start"), text("end")], ["2025-02-10T10:00:00Z", "2025-02-11T15:00:00Z"]);
    assert!(text("summary").contains("30 objects used for the first time"), "{found}");

    let id = text("finding_id");
    let explained = slowleak(dir.path(), &format!("explain {id} --out {{}}/out")).exits(0).stdout;
    for words in ["30 objects used for the first time", "the rarer is an object"] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }
    let event = fs::read_to_string(dir.path().join("out/findings.jsonl")).unwrap();
    assert!(event.contains("reconnaissance") && event.contains("k07"), "{event}");

    // Told from the rollup, and no column of it.
    slowleak(dir.path(), "detect {}/out/rollup --out {}/again --quiet").exits(0);
    let of = |run: &str| fs::read(dir.path().join(run).join("findings.jsonl")).unwrap();
    assert_eq!(of("again"), of("out"));
    slowleak(dir.path(), "scan {}/logs --out {}/bad --view key@1h:new_objects")
        .exits(2)
        .says(&["new_objects"]);
}
