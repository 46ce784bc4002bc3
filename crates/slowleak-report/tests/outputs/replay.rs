//! `replay.parquet` and `replay.svg`, as who reads them would.

use std::fs;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use slowleak_detect::{Finding, Severity};
use slowleak_record::Micros;
use slowleak_report::{Replayed, ReplayedPhase, write_replay};

use crate::specimen::{self, at};

fn replayed(finding: Finding, phases: &[(&str, &str, &str)]) -> Replayed {
    let phase = |(start, end, told): &(&str, &str, &str)| ReplayedPhase {
        start: at(start),
        end: at(end),
        first_reported: at(told),
    };
    let phases: Vec<ReplayedPhase> = phases.iter().map(phase).collect();
    Replayed {
        settings: "default".to_owned(),
        told_id: finding.id.clone(),
        status: "ongoing",
        merged_into: None,
        first_reported: phases[0].first_reported,
        first_severity: Severity::Medium,
        nights: 3,
        stands: true,
        at_first_night: false,
        subjects_by_then: Some(65.0),
        taken_by_then: 40.0,
        finding,
        phases,
    }
}

fn written(rows: &[Replayed], until: Micros) -> (RecordBatch, String) {
    let dir = tempfile::tempdir().unwrap();
    write_replay(dir.path(), rows, until).unwrap();
    let file = fs::File::open(dir.path().join("replay.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(batches.schema());
    let batch = batches.build().unwrap().next().map_or(RecordBatch::new_empty(schema), Result::unwrap);
    (batch, fs::read_to_string(dir.path().join("replay.svg")).unwrap())
}

/// Left edge and width of the bars of a class.
fn bars(svg: &str, class: &str) -> Vec<(f64, f64)> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let of_class = document
        .descendants()
        .filter(|node| node.tag_name().name() == "rect" && node.attribute("class") == Some(class));
    let number = |node: &roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
    of_class.map(|node| (number(&node, "x"), number(&node, "width"))).collect()
}

#[test]
fn phases_are_told_with_their_own_delays() {
    let leak = Finding { start: at("2025-01-13"), end: at("2025-11-08"), ..specimen::leak() };
    // Told after it was over; told while it went on; told on its last day.
    let phases = [
        ("2025-01-13", "2025-01-15", "2025-07-29"),
        ("2025-06-24", "2025-09-01", "2025-07-29"),
        ("2025-10-01", "2025-11-08", "2025-11-08"),
    ];
    let (batch, svg) = written(&[replayed(leak, &phases)], at("2025-12-01"));
    let list = batch.column_by_name("phases").unwrap().as_list::<i32>().value(0);
    let list = list.as_struct();
    let delays = list.column_by_name("delay_hours").unwrap().as_primitive::<Float64Type>();
    assert_eq!(delays.values(), &[197.0 * 24.0, 35.0 * 24.0, 38.0 * 24.0]);
    let starts = list.column_by_name("start").unwrap().as_primitive::<TimestampMicrosecondType>();
    assert_eq!(starts.value(1), at("2025-06-24").0);

    let (untold, told) = (bars(&svg, "untold"), bars(&svg, "told"));
    assert_eq!((untold.len(), told.len()), (3, 1), "{svg}");
    let (left, right) = (16.0, 944.0);
    let days = 322.0;
    let x = |day: f64| left + (right - left) * day / days;
    for ((seen, width), (start, length)) in untold.iter().zip([(0.0, 2.0), (162.0, 35.0), (261.0, 38.0)]) {
        assert!((seen - x(start)).abs() < 0.1, "{seen} {}", x(start));
        assert!((width - length * (right - left) / days).abs() < 0.1, "{width}");
    }
    assert!(svg.contains("told 29 Jul 2025, after 197 days, ~65 of ~"), "{svg}");
}

#[test]
fn a_picture_shows_what_stands_and_is_serious_with_names_made_harmless() {
    let named = |entity: &str, severity: Severity, status: &'static str| {
        let finding = Finding {
            entity: entity.to_owned(),
            severity,
            dimension: "key".parse().unwrap(),
            ..specimen::leak()
        };
        let phase = ("2025-06-24", "2025-11-08", "2025-07-01");
        Replayed { status, stands: status != "withdrawn", ..replayed(finding, &[phase]) }
    };
    let mut rows = vec![
        named("</text><script>x</script>\u{ffff}\u{1b}", Severity::Medium, "ongoing"),
        named("worst", Severity::Critical, "ended"),
        named("slight", Severity::Low, "ongoing"),
        named("gone", Severity::High, "withdrawn"),
    ];
    let text = |rows: &[Replayed]| {
        let svg = written(rows, at("2025-12-01")).1;
        let document = roxmltree::Document::parse(&svg).unwrap();
        assert!(document.descendants().all(|node| node.tag_name().name() != "script"));
        let texts = document.descendants().filter(|node| node.tag_name().name() == "text");
        texts
            .map(|node| node.descendants().filter_map(|part| part.text()).collect::<String>())
            .collect::<Vec<_>>()
    };
    let shown = text(&rows).join("\n");
    assert!(shown.contains("worst") && !shown.contains("slight") && !shown.contains("gone"), "{shown}");
    assert!(shown.find("worst") < shown.find("<script>x"), "the worst first: {shown}");
    assert!(text(&rows[2..]).join("\n").contains("No leak of severity medium or worse"));

    rows.extend((0..30).map(|n| named(&format!("kid-{n}"), Severity::High, "ongoing")));
    assert!(text(&rows).join("\n").contains("12 more in replay.parquet"));
    // Times at the ends of the calendar are drawn, too.
    let far =
        ReplayedPhase { start: Micros(i64::MIN), end: Micros(i64::MAX), first_reported: Micros(i64::MAX) };
    let svg = written(
        &[Replayed { phases: vec![far], ..named("far", Severity::High, "ongoing") }],
        at("2025-12-01"),
    )
    .1;
    assert_eq!(bars(&svg, "untold"), [(16.0, 928.0)]);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let (batch, svg) = written(&[], Micros(i64::MIN));
    assert_eq!(batch.num_rows(), 0);
    roxmltree::Document::parse(&svg).unwrap();
}
