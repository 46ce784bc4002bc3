//! A table whose accounts are visited by number, from the records to the words.

use std::fs;

use crate::support::{Columns, DAY, HOUR, START, slowleak, texts, times, write};

#[test]
fn accounts_visited_by_number_are_found_shown_and_explained() {
    // Tables whose accounts come as they come; one that nobody used is gone through in two days.
    let mut accesses: Vec<(i64, String, String)> = Vec::new();
    for table in 0..24_i64 {
        for day in 0..60 {
            for nth in 0..20 + table {
                let account = (1 + table * 7919 + day * 104_729 + nth * 15_485_863) % 99_991;
                let time = START + day * DAY + (nth % 20) * HOUR;
                accesses.push((time, format!("t{table:02}"), format!("member-{:07}", 10_000 + account)));
            }
        }
    }
    for nth in 0..600 {
        let time = START + (40 + nth / 300) * DAY + 9 * HOUR + nth * 1_000_000;
        accesses.push((time, "dormant".to_owned(), format!("member-{:07}", 20_000 + nth)));
    }
    accesses.sort();
    let dir = tempfile::tempdir().unwrap();
    let columns: Columns = vec![
        ("time", times(accesses.iter().map(|access| Some(access.0)))),
        ("user", texts(accesses.iter().map(|access| Some(access.2.as_str())))),
        ("object", texts(accesses.iter().map(|access| Some(access.1.as_str())))),
        ("subject", texts(accesses.iter().map(|access| Some(access.2.as_str())))),
    ];
    write(&dir.path().join("logs/a.parquet"), columns);

    let answer = slowleak(dir.path(), "scan {}/logs --out {}/out --format json").exits(0).json();
    let all = answer["findings"].as_array().unwrap();
    let found = all.iter().find(|finding| finding["detector"] == "enumeration").unwrap_or(&answer);
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        [text("entity"), text("metric"), text("dimension")],
        ["dormant", "neighbours", "object"],
        "{answer}"
    );
    assert_eq!([text("start"), text("end")], ["2025-02-10T09:00:00Z", "2025-02-11T10:00:00Z"]);
    assert!(text("summary").contains(" accounts visited by number"), "{found}");

    let id = text("finding_id");
    let explained = slowleak(dir.path(), &format!("explain {id} --out {{}}/out")).exits(0).stdout;
    for words in ["accounts visited by number", "64 consecutive numbers"] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }
    let event = fs::read_to_string(dir.path().join("out/findings.jsonl")).unwrap();
    assert!(event.contains("enumeration") && event.contains("dormant"), "{event}");

    slowleak(dir.path(), "detect {}/out/rollup --out {}/again --quiet").exits(0);
    let of = |run: &str| fs::read(dir.path().join(run).join("findings.jsonl")).unwrap();
    assert_eq!(of("again"), of("out"));
    slowleak(dir.path(), "scan {}/logs --out {}/bad --view object@1d:neighbours")
        .exits(2)
        .says(&["neighbours"]);
}
