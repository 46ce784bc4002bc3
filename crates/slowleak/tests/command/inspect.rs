//! `slowleak inspect`.

use std::fs;

use crate::support::{DAY, START, integers, logs, plain, slowleak, texts, times, write};

#[test]
fn it_tells_schema_span_gaps_nulls_and_samples() {
    let dir = logs();
    plain(&dir.path().join("logs/later.parquet"), START + 30 * DAY, 100);
    let answer = slowleak(dir.path(), "inspect {}/logs --format json").exits(0).json();
    assert_eq!((&answer["files"], &answer["rows"]), (&4.into(), &6100.into()));
    let group = &answer["groups"][0];
    assert_eq!(group["time"]["start"], "2025-01-01T00:00:00Z");
    assert_eq!(group["time"]["from"], "statistics");
    assert_eq!(group["time"]["gaps"].as_array().unwrap().len(), 1);
    assert_eq!(group["row_groups"], 7);
    let column = |name: &str| {
        let columns = group["columns"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap().clone()
    };
    assert_eq!((&column("key")["field"], &column("key")["nulls"]), (&"key".into(), &0.0.into()));
    assert_eq!(column("status")["nulls"], 0.98);
    assert_eq!(group["samples"].as_array().unwrap().len(), 5);
    assert_eq!(group["samples"][0]["time"], "2025-01-01T00:00:00Z");
    let lost: Vec<&str> =
        group["lost"].as_array().unwrap().iter().map(|lost| lost["field"].as_str().unwrap()).collect();
    assert_eq!(lost, ["region", "action", "event_id"]);

    let text = slowleak(dir.path(), "inspect {}/logs").exits(0).stdout;
    for words in ["Schema 1", "4 files", "6,100 rows", "native", "Gap", "Sample", "No region"] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}

#[test]
fn other_column_names_need_a_map_and_the_schema_is_shown_to_write_it() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("a.parquet"),
        vec![("eventTime", times([Some(START)])), ("accessKeyId", texts([Some("k")]))],
    );
    let ran = slowleak(dir.path(), "inspect {}/a.parquet").exits(3);
    for words in ["eventTime", "accessKeyId", "would reject", "--map"] {
        assert!(ran.stdout.contains(words), "{words:?} is not in {}", ran.stdout);
    }
    fs::write(dir.path().join("map.toml"), "[columns]\ntime = \"eventTime\"\nkey = \"accessKeyId\"\n")
        .unwrap();
    let answer = slowleak(dir.path(), "inspect {}/a.parquet --map {}/map.toml --format json").exits(0).json();
    assert_eq!(answer["groups"][0]["columns"][1]["field"], "key");
    slowleak(dir.path(), "scan {}/a.parquet --map {}/map.toml --out {}/out").exits(0);
}

#[test]
fn the_unit_of_whole_numbers_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let second = START / 1_000_000;
    for (name, factors, unit) in [
        ("s", [1, 1], "seconds"),
        ("ms", [1000, 1000], "milliseconds"),
        ("us", [1_000_000, 1_000_000], "microseconds"),
        ("ns", [1_000_000_000, 1_000_000_000], "nanoseconds"),
        ("mixed", [1, 1000], "milliseconds, seconds"),
    ] {
        let numbers = [Some(second * factors[0]), None, Some((second + 3600) * factors[1])];
        let columns = vec![("time", integers(numbers)), ("key", texts([Some("k"); 3]))];
        write(&dir.path().join(name).join("a.parquet"), columns);
        let answer = slowleak(dir.path(), &format!("inspect {{}}/{name} --format json")).exits(0).json();
        let time = &answer["groups"][0]["time"];
        assert_eq!(time["unit"], unit, "{time}");
        assert_eq!(
            (&time["start"], &time["end"]),
            (&"2025-01-01T00:00:00Z".into(), &"2025-01-01T01:00:00Z".into())
        );
        assert_eq!(time["from"], if name == "mixed" { "sample" } else { "statistics" });
        let text = slowleak(dir.path(), &format!("inspect {{}}/{name}")).exits(0).stdout;
        assert!(text.contains(&format!("read as {unit} since 1970")), "{text}");
    }
    let answer = slowleak(logs().path(), "inspect {}/logs --format json").exits(0).json();
    assert_eq!(answer["groups"][0]["time"]["unit"], serde_json::Value::Null);
}

#[test]
fn partitions_stand_in_for_columns() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("logs/region=kr/a.parquet"),
        vec![("time", times([Some(START)])), ("key", texts([Some("k")]))],
    );
    let answer = slowleak(dir.path(), "inspect {}/logs --format json").exits(0).json();
    assert_eq!(answer["groups"][0]["columns"][2]["name"], "region");
    assert_eq!(answer["groups"][0]["columns"][2]["type"], "folder name");
}

#[test]
fn schemas_are_told_apart() {
    let dir = logs();
    write(
        &dir.path().join("logs/x.parquet"),
        vec![("time", times([Some(START)])), ("user", texts([Some("u")]))],
    );
    let answer = slowleak(dir.path(), "inspect {}/logs --format json").exits(0).json();
    assert_eq!(answer["groups"].as_array().unwrap().len(), 2);
}
