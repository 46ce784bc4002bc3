//! What a user sees: the files of a run, and the texts made from them.

#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

mod any;
mod replay;
#[path = "../specimen/mod.rs"]
mod specimen;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use slowleak_detect::{Detection, Evidence, Severity};
use slowleak_report::{Run, explain, read_findings, summary, visible, write_outputs};
use slowleak_rollup::Metric;
use slowleak_scan::{Coverage, RowReason};
use tempfile::tempdir;

fn written(run: &Run<'_>) -> BTreeMap<String, Vec<u8>> {
    let dir = tempdir().unwrap();
    write_outputs(dir.path(), run).unwrap();
    let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

fn text<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> &'a str {
    std::str::from_utf8(&files[name]).unwrap()
}

fn json_lines(files: &BTreeMap<String, Vec<u8>>) -> Vec<serde_json::Value> {
    text(files, "findings.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const FILES: [&str; 9] = [
    "coverage.json",
    "evidence.parquet",
    "findings.csv",
    "findings.jsonl",
    "findings.parquet",
    "metrics.prom",
    "report.html",
    "shares.parquet",
    "timeline.parquet",
];

#[test]
fn a_run_writes_every_file_and_the_same_bytes_again() {
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let run = Run::new(&detection, Some(&coverage));
    let files = written(&run);
    assert_eq!(files.keys().collect::<Vec<_>>(), FILES);
    assert_eq!(files, written(&run));
    assert!(files.values().all(|bytes| !bytes.is_empty()));
}

#[test]
fn a_run_without_findings_is_whole_too() {
    let detection = Detection { findings: Vec::new(), scope: specimen::scope(), ..Detection::default() };
    let coverage = specimen::coverage();
    let dir = tempdir().unwrap();
    let run = Run::new(&detection, Some(&coverage));
    write_outputs(dir.path(), &run).unwrap();
    assert_eq!(read_findings(dir.path()).unwrap(), []);
    let said = summary(&run, 80, false);
    assert!(said.starts_with("Nothing found"), "{said}");
    for limit in ["NOT SCANNED: 2 files", "NO DATA: 2 gaps", "NOT testable", "region", "12,007 of 45,210"] {
        assert!(said.contains(limit), "{limit} in\n{said}");
    }
    assert!(summary(&Run::new(&Detection::default(), None), 80, false).contains("not known"));
}

#[test]
fn findings_parquet_has_the_columns_of_the_contract() {
    use arrow::datatypes::{DataType, TimeUnit};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let (detection, dir) = (specimen::detection(), tempdir().unwrap());
    write_outputs(dir.path(), &Run::new(&detection, None)).unwrap();
    let file = fs::File::open(dir.path().join("findings.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let wanted = [
        ("finding_id", DataType::Utf8, false),
        ("rank", DataType::Int32, false),
        ("severity", DataType::Utf8, false),
        ("detector", DataType::Utf8, false),
        ("dimension", DataType::Utf8, false),
        ("entity", DataType::Utf8, false),
        ("key", DataType::Utf8, true),
        ("user", DataType::Utf8, true),
        ("metric", DataType::Utf8, false),
        ("start", time.clone(), false),
        ("end", time, false),
        ("observed", DataType::Float64, false),
        ("expected", DataType::Float64, false),
        ("subjects", DataType::Float64, true),
        ("score", DataType::Float64, false),
        ("expected_false", DataType::Float64, true),
        ("open", DataType::Boolean, false),
        ("summary", DataType::Utf8, false),
        ("cause", DataType::Utf8, true),
        ("taken", DataType::Float64, false),
        ("sensitivity", DataType::Float64, false),
        ("suppressed", DataType::Utf8, true),
    ];
    let found: Vec<_> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().clone(), field.is_nullable()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn hostile_identifiers_come_out_as_text() {
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let inputs = ["logs/\u{1b}[2J'; reboot".to_owned()];
    let run = Run { inputs: &inputs, title: "<h1>\u{202e}", ..Run::new(&detection, Some(&coverage)) };
    let files = written(&run);
    let mut texts: Vec<(String, String)> =
        ["findings.jsonl", "findings.csv", "metrics.prom", "report.html", "coverage.json"]
            .map(|name| (name.to_owned(), text(&files, name).to_owned()))
            .to_vec();
    texts.push(("summary".to_owned(), summary(&run, 120, false)));
    for finding in &detection.findings {
        texts.push((finding.id.clone(), explain(finding, 90, false)));
    }
    for (name, text) in &texts {
        let acting = text.chars().find(|c| {
            (c.is_control() && !matches!(c, '\n' | '\r')) || "\u{202e}\u{2028}\u{200b}".contains(*c)
        });
        assert_eq!(acting, None, "{name}");
        // A carriage return is at home in CSV line ends alone.
        assert!(!text.replace("\r\n", "").contains('\r'), "{name}");
    }
    let page = text(&files, "report.html");
    assert!(
        !page.contains("<script")
            && !page.contains("<img")
            && !page.contains("<b>")
            && !page.contains(">49<")
    );
    assert!(
        page.contains("&lt;script&gt;") && page.contains(r"\u{202e}gpj.exe") && page.contains("{{ 7*7 }}")
    );
    assert!(!page.contains("http:") && !page.contains("https:"), "the page reaches for nothing");

    let csv = text(&files, "findings.csv");
    assert_eq!(csv.lines().count(), 1 + detection.findings.len());
    for line in csv.lines().skip(1) {
        let cells = line.split("\",\"").map(|cell| cell.trim_start_matches('"'));
        assert!(cells.into_iter().all(|cell| !cell.starts_with(['=', '+', '@'])), "{line}");
    }
    // Machines get the exact value all the same.
    let hostile = &json_lines(&files)[2];
    assert_eq!(hostile["unmapped"]["slowleak"]["entity"], specimen::hostile().entity.as_str());
    assert_eq!(hostile["finding_info"]["uid"], "=cmd|'/c calc'!A1");
}

#[test]
fn ocsf_has_what_is_required() {
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let lines = json_lines(&written(&Run::new(&detection, Some(&coverage))));
    assert_eq!(lines.len(), detection.findings.len());
    for (event, finding) in lines.iter().zip(&detection.findings) {
        for (member, value) in [
            ("activity_id", 1),
            ("category_uid", 2),
            ("class_uid", 2004),
            ("type_uid", 200_401),
            ("status_id", 1),
        ] {
            assert_eq!(event[member], value, "{member}");
        }
        let severity = match finding.severity {
            Severity::Info => 1,
            Severity::Low => 2,
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        };
        assert_eq!(event["severity_id"], severity);
        assert_eq!(
            event["time"],
            specimen::at("2025-11-25T22:59:58").0 / 1000,
            "the end of the data, not the clock"
        );
        assert_eq!(event["start_time"], finding.start.0 / 1000);
        assert_eq!(event["end_time"], finding.end.0 / 1000);
        assert_eq!(event["metadata"]["version"], "1.6.0");
        assert_eq!(event["metadata"]["product"]["vendor_name"], "slowleak");
        assert_eq!(event["finding_info"]["uid"], finding.id.as_str());
        assert!(event["finding_info"]["title"].is_string());
        assert!(
            event["finding_info"]["attacks"]
                .as_array()
                .unwrap()
                .iter()
                .all(|attack| attack["version"].is_string())
        );
        assert_eq!(event["evidences"].as_array().unwrap().len(), finding.evidence.len());
        assert_eq!(event["anomaly_analyses"].is_null(), finding.detector.is_rule());
    }
    assert_eq!(lines[0]["evidences"][0]["actor"]["session"]["credential_uid"], "kid-2021-auth-07");
    assert_eq!(lines[0]["evidences"][0]["src_endpoint"]["ip"], "203.0.113.77");
    assert_eq!(lines[1]["finding_info"]["analytic"]["type_id"], 1);
}

#[test]
fn coverage_json_keeps_to_the_contract() {
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let files = written(&Run::new(&detection, Some(&coverage)));
    let json: serde_json::Value = serde_json::from_str(text(&files, "coverage.json")).unwrap();
    assert_eq!(json["files"]["rejected"], 2);
    assert_eq!(json["row_groups"]["pruned"], 33);
    assert_eq!(json["rows"]["duplicate"], 8_813);
    assert_eq!(json["rejected"][1]["reason"], "\u{202e}eof");
    assert_eq!(json["gaps"][0]["start"], "2025-07-04T00:00:00Z");
    assert_eq!(json["columns"]["missing"][0], "region");
    assert_eq!(json["time"]["end"], "2025-11-25T22:59:58Z");
    assert_eq!(json["scope"][4]["tail_scale"], serde_json::Value::Null);
}

#[test]
fn metrics_are_prometheus_text() {
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let files = written(&Run::new(&detection, Some(&coverage)));
    let metrics = text(&files, "metrics.prom");
    let mut series = std::collections::BTreeSet::new();
    let mut declared = std::collections::BTreeSet::new();
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(declared.insert(rest.split(' ').next().unwrap()), "declared twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name), "two samples of {name}");
            assert!(declared.contains(name.split('{').next().unwrap()), "{line}");
        }
    }
    for line in [
        "slowleak_findings{severity=\"critical\"} 1",
        "slowleak_records{outcome=\"read\"} 1204551930",
        "slowleak_files{outcome=\"rejected\"} 2",
        "slowleak_gap_seconds 100800",
        "slowleak_newest_record_timestamp_seconds 1764111598",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

#[test]
fn the_terminal_says_what_matters() {
    let (detection, coverage) = (specimen::detection(), specimen::coverage());
    let run = Run { out: Some(Path::new("out dir")), ..Run::new(&detection, Some(&coverage)) };
    let said = summary(&run, 100, false);
    for part in [
        "CRITICAL: key kid-2021-auth-07 from source 203.0.113.77",
        "24 Jun – 7 Nov 2025",
        "~33.7 million",
        "1 in 100,000",
        "still going on",
        "Revoke key AKIA-DEPARTED-0042",
        "slowleak explain 3f9c2a7be1d04c55 --out 'out dir'",
        "NOT SCANNED: 2 files",
    ] {
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(part), "{part} in\n{said}");
    }
    assert!(!said.contains('\u{1b}'));
    assert!(summary(&run, 100, true).contains("\u{1b}["));
    for width in [40, 60, 80, 100, 140, 220] {
        for line in summary(&run, width, false).lines().filter(|line| !line.contains("slowleak ")) {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn information_says_why_it_is_no_more_and_the_page_names_its_folder() {
    let mut finding = specimen::weak();
    finding.severity = Severity::Info;
    finding.cause = Some("explained by traffic that moved here from key old-batch".to_owned());
    let detection =
        Detection { findings: vec![finding.clone()], scope: specimen::scope(), ..Detection::default() };
    let run = Run { out: Some(Path::new("out dir")), ..Run::new(&detection, None) };
    let files = written(&run);
    for text in [&summary(&run, 80, false), &summary(&run, 200, false), text(&files, "report.html")] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Wrapped in its column, it stands between those beside it.
        for word in ["explained by", "moved", "from key", "old-batch"] {
            assert!(flat.contains(word), "{word} in\n{text}");
        }
    }
    let page = text(&files, "report.html");
    assert!(page.contains("explained by traffic that moved here from key old-batch"), "{page}");
    assert!(page.contains("slowleak explain b7700c11d2aa9034 --out &#x27;out dir&#x27;"), "{page}");
    assert!(text(&files, "findings.csv").contains("old-batch"));
    assert_eq!(json_lines(&files)[0]["unmapped"]["slowleak"]["cause"], finding.cause.unwrap());
}

#[test]
fn rejected_records_are_never_without_a_reason() {
    let detection = Detection::default();
    let mut coverage = specimen::coverage();
    coverage.rows.rejected = 3_000;
    coverage.rejected_rows = Vec::new();
    let said = |coverage: &Coverage| {
        let text = summary(&Run::new(&detection, Some(coverage)), 200, false);
        text.lines().find(|line| line.contains("NOT COUNTED")).unwrap().trim().to_owned()
    };
    assert_eq!(said(&coverage), "NOT COUNTED: 3,000 records rejected (3,000 in rejected files).");
    coverage.rejected_rows = vec![(RowReason::NoPrincipal, 30)];
    assert_eq!(
        said(&coverage),
        "NOT COUNTED: 3,000 records rejected (30 neither key nor user is given; 2,970 in rejected files)."
    );
}

#[test]
fn explain_works_from_the_folder_alone() {
    let (detection, dir) = (specimen::detection(), tempdir().unwrap());
    write_outputs(dir.path(), &Run::new(&detection, None)).unwrap();
    let findings = read_findings(dir.path()).unwrap();
    assert_eq!(findings, detection.findings);
    let said = explain(&findings[0], 100, false);
    for part in ["105,212,345 accesses", "68,330,112", "+54%", "±5.0%", "31 nats", "98%", "1 in 100,000"] {
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let nats = part.replace("31 nats", "31 after");
        assert!(flat.contains(&nats), "{part} in\n{said}");
    }
    let rule = explain(&findings[1], 100, false);
    let flat = rule.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("not a likelihood") && flat.contains("First such use 3 Nov 2025 22:14:07 UTC"),
        "{rule}"
    );
    assert!(!rule.contains("\n  expected  "));
}

#[test]
fn a_folder_that_is_no_run_is_named() {
    let dir = tempdir().unwrap();
    let said = |dir: &Path| read_findings(dir).unwrap_err().to_string();
    assert!(said(&dir.path().join("none")).contains("no such folder"));
    assert!(said(dir.path()).contains("no findings.parquet here"));
    fs::write(dir.path().join("findings.parquet"), b"PAR1 not really").unwrap();
    assert!(said(dir.path()).contains("findings.parquet"));

    let detection = specimen::detection();
    write_outputs(dir.path(), &Run::new(&detection, None)).unwrap();
    let other = tempdir().unwrap();
    let one = Detection { findings: vec![specimen::weak()], ..Detection::default() };
    write_outputs(other.path(), &Run::new(&one, None)).unwrap();
    fs::copy(other.path().join("evidence.parquet"), dir.path().join("evidence.parquet")).unwrap();
    assert!(said(dir.path()).contains("different runs"));
    fs::remove_file(dir.path().join("evidence.parquet")).unwrap();
    assert!(said(dir.path()).contains("no evidence.parquet here"));
}

#[test]
fn a_failed_run_leaves_the_earlier_one_whole() {
    let (detection, dir) = (specimen::detection(), tempdir().unwrap());
    write_outputs(dir.path(), &Run::new(&detection, None)).unwrap();
    // A folder where a temporary file should go makes staging fail.
    let blocker = dir.path().join(format!(".coverage.json.{}.tmp", std::process::id()));
    fs::create_dir(&blocker).unwrap();
    let empty = Detection::default();
    let error = write_outputs(dir.path(), &Run::new(&empty, None)).unwrap_err();
    assert!(error.to_string().contains("coverage.json"), "{error}");
    assert_eq!(read_findings(dir.path()).unwrap(), detection.findings);
    fs::remove_dir(&blocker).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), FILES.len(), "no temporary file is left");
}

#[test]
fn a_hundred_findings_stay_below_two_megabytes() {
    let mut detection = Detection::default();
    for index in 0..100 {
        let mut finding = specimen::leak();
        finding.id = format!("{index:016x}");
        finding.rank = index + 1;
        finding.evidence = std::iter::repeat_n(finding.evidence.clone(), 10).flatten().collect();
        finding.shares = std::iter::repeat_n(finding.shares.clone(), 10).flatten().collect();
        finding.entity = format!("{} + {}", "k".repeat(5_000), "<".repeat(5_000));
        detection.findings.push(finding);
    }
    let files = written(&Run::new(&detection, None));
    let size = files["report.html"].len();
    assert!(size < 2_000_000, "{size}");
}

#[test]
fn visible_is_for_all() {
    assert_eq!(visible("a\u{1b}b"), r"a\u{1b}b");
}

#[test]
fn the_phases_of_a_leak_are_told_in_the_order_of_time() {
    let mut finding = specimen::leak();
    assert!(!explain(&finding, 100, false).contains("phases"), "one phase needs no account");
    let earlier = Evidence {
        phase: 1,
        dimension: "key+object".parse().unwrap(),
        entity: "kid-2021-auth-07 + delivery-address-list".to_owned(),
        metric: Metric::Missing,
        start: "2025-04-14".parse().unwrap(),
        end: finding.start,
        observed: 465.0,
        expected: 47.0,
        expected_false: Some(1e-3),
        ..finding.evidence[0].clone()
    };
    finding.start = earlier.start;
    finding.evidence.iter_mut().for_each(|row| row.phase = 2);
    finding.evidence.push(earlier);
    let said = explain(&finding, 100, false);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "Its 2 phases (UTC) 1. 14 Apr – 23 Jun 2025: key kid-2021-auth-07 on object delivery-address-list, 465";
    assert!(said.contains(told), "{said}");
    assert!(said.contains("47 were expected (by chance 1 in 1,000) 2. 24 Jun – 7 Nov 2025: key"), "{said}");
    assert!(said.contains("joining has not bettered them"), "{said}");

    let dir = tempdir().unwrap();
    let detection = Detection { findings: vec![finding], scope: specimen::scope(), ..Detection::default() };
    write_outputs(dir.path(), &Run::new(&detection, None)).unwrap();
    assert_eq!(read_findings(dir.path()).unwrap(), detection.findings);
}
