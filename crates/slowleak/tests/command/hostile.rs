//! Identifiers that attack whoever reads the report.

use std::fs;

use crate::support::{START, plain, slowleak, texts, times, write};

const HOSTILE: [&str; 8] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "<script>alert(1)</script>",
    "=HYPERLINK(\"http://x\")",
    "line\nbreak\r\ttab",
    "\u{202e}right-to-left",
    "a + b",
    "",
    "../../etc/passwd",
];

#[test]
fn no_identifier_reaches_terminal_or_page_as_code() {
    let dir = tempfile::tempdir().unwrap();
    let rows = 4000;
    let key = |n: i64| HOSTILE[usize::try_from(n).unwrap() % HOSTILE.len()];
    write(
        &dir.path().join("logs/a.parquet"),
        vec![
            ("time", times((0..rows).map(|n| Some(START + n * 60_000_000)))),
            ("key", texts((0..rows).map(|n| Some(key(n))))),
            ("user", texts((0..rows).map(|n| Some(key(n + 1))))),
            ("object", texts((0..rows).map(|n| Some(key(n / 100))))),
        ],
    );
    // Every key's owner left: each becomes a finding, and so reaches every output.
    let mut keys = csv_line(&["key", "owner"]);
    for key in HOSTILE.iter().filter(|key| !key.is_empty()) {
        keys.push_str(&csv_line(&[key, "kim"]));
    }
    fs::write(dir.path().join("keys.csv"), keys).unwrap();
    fs::write(dir.path().join("people.csv"), "user,left_at\nkim,2024-01-01\n").unwrap();
    let ran = slowleak(
        dir.path(),
        "scan {}/logs --out {}/out --keys {}/keys.csv --people {}/people.csv --no-color",
    );
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{text:?}");
    }
    let page = fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    assert!(!page.contains("<script>alert"));
    for command in ["explain 1 --out {}/out", "inspect {}/logs"] {
        let ran = slowleak(dir.path(), command).exits(0);
        assert!(!ran.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{:?}", ran.stdout);
    }
}

#[test]
fn hostile_file_names_are_shown_not_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    plain(&dir.path().join("logs/good.parquet"), START, 10);
    fs::write(dir.path().join("logs/\u{1b}[31mred\u{202e}.parquet"), "broken").unwrap();
    let ran = slowleak(dir.path(), "scan {}/logs --out {}/out").exits(3).says(&["red"]);
    let ran = [ran.stdout, ran.stderr, slowleak(dir.path(), "inspect {}/logs").exits(3).stdout].concat();
    assert!(!ran.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
}

fn csv_line(cells: &[&str]) -> String {
    let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    quoted.join(",") + "\n"
}
