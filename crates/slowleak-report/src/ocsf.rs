//! `findings.jsonl`: each finding as an OCSF Detection Finding (class 2004), schema 1.6, with the members
//! that 1.1 readers want (`product.vendor_name`, `finding_info.title`).
//!
//! `time`, the moment of the finding, is the end of the data and not the clock, so that the same input
//! gives the same bytes.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use slowleak_detect::{Detector, Evidence, Finding, Severity};
use slowleak_record::{Field, Micros};
use slowleak_rollup::Dimension;

use crate::escape::json_text;
use crate::{Run, advice, rules, words};

const SCHEMA_VERSION: &str = "1.6.0";
const ATTACK_VERSION: &str = "17.1";

/// One JSON object a line.
pub(crate) fn json_lines(run: &Run<'_>) -> Result<String, serde_json::Error> {
    let time = run.data_end();
    let mut out = String::new();
    for finding in &run.detection.findings {
        out.push_str(&json_text(&event(finding, time.unwrap_or(finding.end)), false)?);
        out.push('\n');
    }
    Ok(out)
}

/// A finding as an event of activity create; `time` is the moment that it tells.
pub fn event(finding: &Finding, time: Micros) -> Value {
    let (severity_id, severity) = severity(finding.severity);
    let (confidence_id, confidence) = confidence(finding.expected_false);
    object([
        ("activity_id", json!(1)),
        ("activity_name", json!("Create")),
        ("category_uid", json!(2)),
        ("category_name", json!("Findings")),
        ("class_uid", json!(2004)),
        ("class_name", json!("Detection Finding")),
        ("type_uid", json!(200_401)),
        ("type_name", json!("Detection Finding: Create")),
        ("time", millis(time)),
        ("start_time", millis(finding.start)),
        ("end_time", millis(finding.end)),
        ("severity_id", json!(severity_id)),
        ("severity", json!(severity)),
        ("status_id", json!(if finding.suppressed.is_some() { 3 } else { 1 })),
        ("status", json!(if finding.suppressed.is_some() { "Suppressed" } else { "New" })),
        ("status_detail", json!(finding.suppressed)),
        ("confidence_id", json!(confidence_id)),
        ("confidence", json!(confidence)),
        ("is_alert", json!(finding.severity >= Severity::Medium && finding.suppressed.is_none())),
        ("message", json!(finding.summary)),
        ("metadata", metadata()),
        ("finding_info", finding_info(finding)),
        ("evidences", evidences(finding)),
        ("observables", observables(finding)),
        ("resources", resources(finding)),
        ("anomaly_analyses", if finding.detector.is_rule() { Value::Null } else { analyses(finding) }),
        ("remediation", json!({ "desc": advice::steps(finding).join(" ") })),
        ("unmapped", own_figures(finding)),
    ])
}

/// An object without members that are null.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let kept = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(kept.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn millis(time: Micros) -> Value {
    json!(time.0.div_euclid(1000))
}

/// The members `severity_id` and `severity`.
pub fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// Rules state facts; for the rest the borders are those between the severities.
fn confidence(expected_false: Option<f64>) -> (u8, &'static str) {
    match expected_false {
        None => (3, "High"),
        Some(expected) if expected <= 1e-3 => (3, "High"),
        Some(expected) if expected <= 0.05 => (2, "Medium"),
        Some(_) => (1, "Low"),
    }
}

/// The member `metadata` of every event.
pub fn metadata() -> Value {
    json!({
        "version": SCHEMA_VERSION,
        "log_name": "slowleak findings",
        "product": {
            "name": "slowleak",
            "vendor_name": "slowleak",
            "version": env!("CARGO_PKG_VERSION"),
        },
    })
}

fn finding_info(finding: &Finding) -> Value {
    let (type_id, kind) = if finding.detector.is_rule() { (1, "Rule") } else { (3, "Statistical") };
    json!({
        "uid": finding.id,
        "title": format!("{}: {}", title(finding), words::who(&finding.dimension, &finding.entity, str::to_owned)),
        "desc": finding.summary,
        "types": [title(finding)],
        "first_seen_time": millis(finding.start),
        "last_seen_time": millis(finding.end),
        "related_events_count": finding.evidence.len(),
        "data_sources": ["data-access records"],
        "analytic": {
            "uid": finding.detector.name(),
            "name": format!("{} on {}", finding.detector, finding.metric),
            "type_id": type_id,
            "type": kind,
            "version": env!("CARGO_PKG_VERSION"),
        },
        "attacks": attacks(finding),
    })
}

fn title(finding: &Finding) -> &'static str {
    match finding.detector {
        Detector::LogGap => "Gap in the access log",
        rule if rule.is_rule() => rules::title(rule),
        _ => "Slow data leak",
    }
}

/// What the finding is a sign of in MITRE ATT&CK. Only what the records themselves show: data taken from a
/// database by machine, and for life-cycle rules a valid account misused.
fn attacks(finding: &Finding) -> Value {
    let attack = |tactic: (&str, &str), technique: (&str, &str), sub: Option<(&str, &str)>| {
        object([
            ("version", json!(ATTACK_VERSION)),
            ("tactic", json!({ "uid": tactic.0, "name": tactic.1 })),
            ("technique", json!({ "uid": technique.0, "name": technique.1 })),
            ("sub_technique", sub.map_or(Value::Null, |(uid, name)| json!({ "uid": uid, "name": name }))),
        ])
    };
    if finding.detector == Detector::LogGap {
        let evasion = ("TA0005", "Defense Evasion");
        return json!([attack(evasion, ("T1070", "Indicator Removal"), None)]);
    }
    let collection = ("TA0009", "Collection");
    let repositories = ("T1213", "Data from Information Repositories");
    let mut attacks = vec![attack(collection, repositories, Some(("T1213.006", "Databases")))];
    if finding.detector.is_rule() {
        attacks.insert(0, attack(("TA0001", "Initial Access"), ("T1078", "Valid Accounts"), None));
    } else {
        attacks.push(attack(collection, ("T1119", "Automated Collection"), None));
    }
    Value::Array(attacks)
}

fn evidences(finding: &Finding) -> Value {
    let rows = finding.evidence.iter().map(|evidence| {
        let parts = words::parts(&evidence.dimension, &evidence.entity).unwrap_or_default();
        let part =
            |wanted: Field| parts.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.as_str());
        object([
            ("name", json!(format!("{} {} by {}", evidence.detector, evidence.metric, evidence.dimension))),
            ("actor", actor(part(Field::Key), part(Field::User))),
            ("src_endpoint", part(Field::Source).map_or(Value::Null, endpoint)),
            ("api", part(Field::Action).map_or(Value::Null, |action| json!({ "operation": action }))),
            ("resources", part(Field::Object).map_or(Value::Null, |name| json!([{ "name": name }]))),
            ("data", figures(evidence)),
        ])
    });
    if finding.evidence.is_empty() {
        let actor = actor(finding.key.as_deref(), finding.user.as_deref());
        let data = json!({ "dimension": finding.dimension.to_string(), "entity": finding.entity });
        return json!([object([("actor", actor), ("data", data)])]);
    }
    rows.collect()
}

fn actor(key: Option<&str>, user: Option<&str>) -> Value {
    if key.is_none() && user.is_none() {
        return Value::Null;
    }
    object([
        ("user", user.map_or(Value::Null, |user| json!({ "uid": user }))),
        ("session", key.map_or(Value::Null, |key| json!({ "credential_uid": key }))),
    ])
}

/// A source may be an address or any name that the log gives.
fn endpoint(source: &str) -> Value {
    match source.parse::<IpAddr>() {
        Ok(address) => json!({ "ip": address.to_string() }),
        Err(_) => json!({ "name": source }),
    }
}

fn figures(evidence: &Evidence) -> Value {
    object([
        ("detector", json!(evidence.detector.name())),
        ("dimension", json!(evidence.dimension.to_string())),
        ("entity", json!(evidence.entity)),
        ("metric", json!(evidence.metric.name())),
        ("start", json!(evidence.start.to_string())),
        ("end", json!(evidence.end.to_string())),
        ("observed", json!(evidence.observed)),
        ("expected", json!(evidence.expected)),
        ("level_per_day", json!(evidence.level_per_day)),
        ("dispersion", json!(evidence.dispersion)),
        ("raw_score_nats", json!(evidence.raw_score)),
        ("score_nats", json!(evidence.score)),
        ("expected_false", json!(evidence.expected_false)),
    ])
}

fn observables(finding: &Finding) -> Value {
    let mut observables = Vec::new();
    if let Some(user) = &finding.user {
        observables.push(
            json!({ "name": "actor.user.uid", "type_id": 31, "type": "User Object: uid", "value": user }),
        );
    }
    if let Some(key) = &finding.key {
        let name = "actor.session.credential_uid";
        observables.push(json!({ "name": name, "type_id": 19, "type": "User Credential ID", "value": key }));
    }
    let sources = finding.shares.iter().filter(|share| share.dimension == Field::Source.name());
    for address in sources.filter_map(|share| share.value.parse::<IpAddr>().ok()).take(10) {
        let value = address.to_string();
        observables
            .push(json!({ "name": "src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": value }));
    }
    if observables.is_empty() { Value::Null } else { Value::Array(observables) }
}

/// The objects that carry the excess.
fn resources(finding: &Finding) -> Value {
    let parts = words::parts(&finding.dimension, &finding.entity).unwrap_or_default();
    let named = parts.iter().filter(|(field, _)| *field == Field::Object).map(|(_, value)| value.as_str());
    let shares = finding.shares.iter().filter(|share| share.dimension == Field::Object.name());
    let mut names: Vec<&str> = Vec::new();
    for name in named.chain(shares.map(|share| share.value.as_str()).take(10)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { Value::Null } else { names.iter().map(|name| json!({ "name": name })).collect() }
}

fn analyses(finding: &Finding) -> Value {
    let span = json!({ "start_time": millis(finding.start), "end_time": millis(finding.end) });
    let observation = |value: f64| json!([{ "value": value.to_string(), "timespan": span }]);
    json!([{
        "analysis_targets": [{ "name": finding.entity, "type": finding.dimension.to_string() }],
        "anomalies": [{
            "observation_parameter": finding.metric.name(),
            "observation_type": "sum over the interval",
            "observations": observation(finding.observed),
            "observed_pattern": words::growth(finding.observed, finding.expected),
        }],
        "baselines": [{
            "observation_parameter": finding.metric.name(),
            "observation_type": "expected over the interval",
            "observations": observation(finding.expected),
        }],
    }])
}

fn own_figures(finding: &Finding) -> Value {
    let shares = finding
        .shares
        .iter()
        .take(20)
        .map(|share| json!({ "dimension": share.dimension, "value": share.value, "share": share.share }));
    json!({ "slowleak": object([
        ("rank", json!(finding.rank)),
        ("detector", json!(finding.detector.name())),
        ("dimension", json!(finding.dimension.to_string())),
        ("entity", json!(finding.entity)),
        ("entity_parts", parts_object(&finding.dimension, &finding.entity)),
        ("metric", json!(finding.metric.name())),
        ("observed", json!(finding.observed)),
        ("expected", json!(finding.expected)),
        ("subjects_estimate", json!(finding.subjects)),
        ("taken_at_least", json!(finding.taken)),
        ("sensitivity", json!(finding.sensitivity)),
        ("score_nats", json!(finding.score)),
        ("expected_false", json!(finding.expected_false)),
        ("open", json!(finding.open)),
        ("cause", json!(finding.cause)),
        ("shares", shares.collect()),
    ]) })
}

fn parts_object(dimension: &Dimension, entity: &str) -> Value {
    let parts = words::parts(dimension, entity);
    parts.map_or(Value::Null, |parts| {
        Value::Object(parts.iter().map(|(field, value)| (field.name().to_owned(), json!(value))).collect())
    })
}
