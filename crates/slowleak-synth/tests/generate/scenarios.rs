//! Scenario files: what is refused, and that those which are shipped are sound.

use std::path::Path;

use slowleak_synth::{GenerateOptions, Scenario, SynthError};

use crate::{DEDICATED, SPAN, leaking};

#[test]
fn wrong_scenarios_are_refused_with_line_and_remedy() {
    let leak = leaking(DEDICATED, "\"null\"", "");
    let cases = [
        (String::new(), 1, "span"),
        ("rows = 5\nspeed = 3\n".to_owned() + SPAN, 2, "unknown field"),
        (SPAN.replace("2025-06-01", "2025-02-01"), 3, "span has"),
        (SPAN.replace("2025-06-01", "2025-06-01T01:00:00Z"), 3, "midnight"),
        (SPAN.replace("2025-06-01", "\"June\""), 3, "not a time"),
        (SPAN.replace("= 9", "= 99"), 4, "utc_offset_hours"),
        (format!("{SPAN}[life]\nmissing = 0.9\n"), 6, "missing = 0.9"),
        (format!("{SPAN}[population]\nabroad = []\n"), 6, "abroad"),
        (format!("{SPAN}[[object]]\nname = \"a,b\"\nshare = 0.1\n"), 6, "plain name"),
        (format!("{SPAN}[[object]]\nname = \"a\"\nshare = 0.1\ngroups = [\"x\"]\n"), 8, "not a group"),
        (leak.replace("share = 0.01\n", ""), 20, "volume"),
        (leak.replace("2025-05-11", "2025-07-11"), 22, "leaves the span"),
        (leak.replace("[{ name = \"account-edit\" }]", "[{ name = \"orders\" }]"), 24, "not an object"),
        (leak.replace("region = \"cn\"", "region = \"xx\""), 29, "neither home nor abroad"),
        (leak.replace("dimension = \"key\"", "dimension = \"user\""), 16, "can not name"),
        (leak.replace("share = 0.01\n", "lift = 0.5\n"), 23, "have none"),
        (leak.replace("region = \"cn\"\n", ""), 20, "no region"),
        (leak.replace("addresses = 50\n", ""), 20, "no insider"),
        (leak.replace("misses = 0.25", "unused = 9"), 26, "whose objects these are not"),
        (
            leaking("{ shared = { share = 0.1, group = \"office\" } }", "\"of-key\"", "")
                .replace("misses = 0.25", "unused = 99"),
            26,
            "leaves 1",
        ),
        (leak.replace("misses = 0.25", "bulk = 0"), 26, "bulk = 0 is out of range"),
        (
            leak.replace("dimension = \"key\"", "dimension = \"key\"\ncopies = 0"),
            17,
            "copies = 0 is out of range",
        ),
        (
            leaking("{ shared = { share = 0.1 } }", "{ new = \"x\" }", ""),
            18,
            "a new user on a key that others use",
        ),
    ];
    for (text, line, cause) in cases {
        let error = Scenario::parse(&text, "bad.toml").unwrap_err();
        let SynthError::Scenario { line: at, ref remedy, .. } = error else { panic!("{error}") };
        let message = error.to_string();
        assert!(message.contains(cause), "{message} lacks {cause:?}");
        assert_eq!(at, line, "{message}\n{text}");
        assert!(message.starts_with(&format!("bad.toml:{line}: ")) && !remedy.is_empty(), "{message}");
    }
    let error = Scenario::read(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(error.contains("no/such.toml") && error.contains("five-month"), "{error}");
}

#[test]
fn the_shipped_scenarios_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    for (name, leaks) in [("five-month", 1), ("seven-month", 1), ("departed-key", 1), ("quiet", 0)] {
        let scenario = Scenario::read(&folder.join(format!("{name}.toml"))).unwrap();
        assert_eq!(scenario.name(), name);
        let dir = tempfile::tempdir().unwrap();
        let options = GenerateOptions { rows: Some(100_000), seed: None };
        let made = scenario.generate(dir.path(), &options, &|_| {}).unwrap();
        assert_eq!(made.truth.leaks.len(), leaks, "{name}");
    }
}

#[test]
fn the_scenarios_of_the_quality_bench_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/quality");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "toml") || name == "bench" {
            continue;
        }
        let scenario = Scenario::read(&path).unwrap();
        assert_eq!(scenario.name(), name, "a scenario is named as its file");
        let leaks = std::fs::read_to_string(&path).unwrap().contains("[[leak]]");
        let dir = tempfile::tempdir().unwrap();
        let options = GenerateOptions { rows: Some(150_000), seed: Some(1) };
        let made = scenario.generate(dir.path(), &options, &|_| {}).unwrap();
        assert_eq!(made.truth.leaks.is_empty(), !leaks, "{name}");
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}
