//! What changed, for others: one OCSF Detection Finding a change, and messages for a webhook. In: changes. Out: JSON.

use serde_json::{Value, json};
use slowleak_detect::Severity;
use slowleak_record::Micros;
use slowleak_report::{detection_finding, json_text, ocsf_metadata, ocsf_severity, visible};

use crate::leaks::{Change, Leak, Status};
use crate::results::CHANGES;
use crate::state::Message;

/// The night that tells of changes.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// Its number, by which who ships events knows those that were shipped already.
    pub night: u64,
    /// End of the data.
    pub end: Micros,
}

/// `changes.jsonl`: one event a change, activities create, update and close; `time` is the end of the data.
///
/// # Errors
/// The encoder fails.
pub fn json_lines(changes: &[Change<'_>], telling: Telling) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for change in changes {
        out.push_str(&json_text(&event(change, telling), false)?);
        out.push('\n');
    }
    Ok(out)
}

fn event(change: &Change<'_>, telling: Telling) -> Value {
    let time = telling.end;
    let Change { leak, status, finding, merged } = change;
    let (activity_id, activity) = match status {
        Status::New => (1, "Create"),
        Status::Ongoing | Status::Grown => (2, "Update"),
        Status::Ended | Status::Merged | Status::Withdrawn => (3, "Close"),
    };
    let mut event = match finding {
        Some(finding) => detection_finding(finding, time),
        None => closing(leak, time),
    };
    event["activity_id"] = json!(activity_id);
    event["activity_name"] = json!(activity);
    event["type_uid"] = json!(200_400 + activity_id);
    event["type_name"] = json!(format!("Detection Finding: {activity}"));
    let (status_id, ocsf_status) = match status {
        Status::New => (1, "New"),
        Status::Ongoing | Status::Grown => (2, "In Progress"),
        Status::Ended | Status::Merged | Status::Withdrawn => (4, "Resolved"),
    };
    event["status_id"] = json!(status_id);
    event["status"] = json!(ocsf_status);
    event["status_detail"] = json!(detail(change));
    // Under the id of the first announcement, whatever the finding is called tonight.
    event["finding_info"]["uid"] = json!(leak.id);
    let own = &mut event["unmapped"]["slowleak"];
    own["status"] = json!(status.name());
    own["night"] = json!(telling.night);
    own["finding_id"] = json!(leak.finding);
    own["first_reported"] = json!(Micros(leak.first_reported).to_string());
    if !merged.is_empty() {
        own["merged"] = json!(merged);
    }
    if let Some(into) = &leak.merged_into {
        own["merged_into"] = json!(into);
    }
    event
}

/// The event of a leak that is no finding any more: what is remembered of it.
fn closing(leak: &Leak, time: Micros) -> Value {
    let millis = |micros: i64| micros.div_euclid(1000);
    let (severity_id, severity) = leak.severity.parse().map_or((0, "Unknown"), ocsf_severity);
    let title = if leak.is_gap() { "Gap in the access log" } else { "Slow data leak" };
    let (dimension, entity) = leak.place();
    json!({
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "time": millis(time.0),
        "start_time": millis(leak.start),
        "end_time": millis(leak.end),
        "severity_id": severity_id,
        "severity": severity,
        "message": leak.summary,
        "finding_info": { "title": format!("{title}: {dimension} {entity}"), "desc": leak.summary },
        "metadata": ocsf_metadata(),
        "unmapped": { "slowleak": { "dimension": dimension, "entity": entity, "taken_at_least": leak.taken } },
    })
}

fn detail(change: &Change<'_>) -> String {
    match change.status {
        Status::New => "new".to_owned(),
        Status::Ongoing if !change.merged.is_empty() => {
            format!("ongoing, and one with {}", change.merged.join(", "))
        }
        Status::Ongoing => "ongoing again".to_owned(),
        Status::Grown => "grown: a worse severity than announced, or twice as much taken".to_owned(),
        Status::Ended if change.finding.is_none() => "ended: before the days that are kept".to_owned(),
        Status::Ended => "ended: nothing more of it for a week".to_owned(),
        Status::Merged => {
            format!("merged into {}", change.leak.merged_into.as_deref().unwrap_or_default())
        }
        Status::Withdrawn => {
            "withdrawn: with what is known now it is no finding, or the settings suppress it".to_owned()
        }
    }
}

/// More than so many at once are one message: most receivers take about one a second, and nobody reads more.
const MANY: usize = 20;

/// The messages about what became this bad tonight: new findings, and those that have grown to it; of more than `MANY` one
/// message, with their ids, the worst first.
pub fn messages(
    changes: &[Change<'_>],
    before: &[crate::Leak],
    from: Severity,
    telling: Telling,
) -> Vec<Message> {
    let bad = |name: &str| name.parse::<Severity>().is_ok_and(|severity| severity >= from);
    let known = |id: &str| before.iter().any(|leak| leak.id == id && bad(&leak.severity));
    let told: Vec<&Change<'_>> = changes
        .iter()
        .filter(|change| {
            matches!(change.status, Status::New | Status::Grown)
                && bad(&change.leak.severity)
                && !known(&change.leak.id)
        })
        .collect();
    if told.len() > MANY {
        return vec![in_one(&told)];
    }
    told.into_iter()
        .map(|change| {
            let text = format!(
                "*{}* {}: {}",
                change.leak.severity.to_uppercase(),
                change.leak.id,
                slack(&visible(&change.leak.summary))
            );
            Message {
                id: change.leak.id.clone(),
                body: json!({ "text": text, "finding": event(change, telling) }),
            }
        })
        .collect()
}

fn in_one(told: &[&Change<'_>]) -> Message {
    let of = |severity: &Severity| {
        let many = told.iter().filter(|change| change.leak.severity == severity.name()).count();
        (many > 0).then(|| format!("{many} {}", severity.name()))
    };
    let counts: Vec<String> = Severity::ALL.iter().rev().filter_map(of).collect();
    let ids: Vec<&str> = told.iter().map(|change| change.leak.id.as_str()).collect();
    let text = format!(
        "*{} leaks at once* ({}): {}, and {} more in {CHANGES}",
        ids.len(),
        counts.join(", "),
        ids[..MANY].join(", "),
        ids.len() - MANY,
    );
    Message { id: ids[0].to_owned(), body: json!({ "text": text, "ids": ids }) }
}

/// Text in which Slack sees neither links nor mentions: names in it are those of strangers.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
