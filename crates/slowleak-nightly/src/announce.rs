//! What changed, for others: one OCSF Detection Finding a change, and messages for a webhook. In: changes. Out: JSON.

use serde_json::{Value, json};
use slowleak_detect::Severity;
use slowleak_record::Micros;
use slowleak_report::{detection_finding, json_text, visible};

use crate::leaks::{Change, Status};
use crate::state::Message;

/// `changes.jsonl`: one event a change, activities create, update and close; `time` is the end of the data.
///
/// # Errors
/// The encoder fails.
pub fn json_lines(changes: &[Change<'_>], time: Micros) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for change in changes {
        out.push_str(&json_text(&event(change, time), false)?);
        out.push('\n');
    }
    Ok(out)
}

fn event(change: &Change<'_>, time: Micros) -> Value {
    let Change { leak, status, finding, merged } = change;
    let (activity_id, activity) = match status {
        Status::New => (1, "Create"),
        Status::Ongoing | Status::Grown => (2, "Update"),
        Status::Ended | Status::Merged | Status::Withdrawn => (3, "Close"),
    };
    let millis = |micros: i64| micros.div_euclid(1000);
    let mut event = match finding {
        Some(finding) => detection_finding(finding, time),
        None => json!({
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": 2004,
            "class_name": "Detection Finding",
            "time": millis(time.0),
            "start_time": millis(leak.start),
            "end_time": millis(leak.end),
            "message": leak.summary,
            "finding_info": { "title": "Slow data leak", "desc": leak.summary },
            "metadata": slowleak_report::ocsf_metadata(),
            "severity_id": severity_id(&leak.severity),
            "unmapped": { "slowleak": {} },
        }),
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

fn severity_id(name: &str) -> usize {
    Severity::ALL.iter().position(|severity| severity.name() == name).map_or(0, |at| at + 1)
}

fn detail(change: &Change<'_>) -> String {
    match change.status {
        Status::New => "new".to_owned(),
        Status::Ongoing if !change.merged.is_empty() => {
            format!("ongoing, and one with {}", change.merged.join(", "))
        }
        Status::Ongoing => "ongoing again".to_owned(),
        Status::Grown => "grown: a worse severity than announced, or twice as much taken".to_owned(),
        Status::Ended => "ended: nothing more of it for a week".to_owned(),
        Status::Merged => {
            format!("merged into {}", change.leak.merged_into.as_deref().unwrap_or_default())
        }
        Status::Withdrawn => {
            "withdrawn: with what is known now it is no finding, or the settings suppress it".to_owned()
        }
    }
}

/// The messages about what became this bad tonight: new findings, and those that have grown to it.
pub fn messages(
    changes: &[Change<'_>],
    before: &[crate::Leak],
    from: Severity,
    time: Micros,
) -> Vec<Message> {
    let bad = |name: &str| name.parse::<Severity>().is_ok_and(|severity| severity >= from);
    let known = |id: &str| before.iter().any(|leak| leak.id == id && bad(&leak.severity));
    let told = changes.iter().filter(|change| {
        matches!(change.status, Status::New | Status::Grown)
            && bad(&change.leak.severity)
            && !known(&change.leak.id)
    });
    told.map(|change| {
        let text = format!(
            "*{}* {}: {}",
            change.leak.severity.to_uppercase(),
            change.leak.id,
            slack(&visible(&change.leak.summary))
        );
        Message { id: change.leak.id.clone(), body: json!({ "text": text, "finding": event(change, time) }) }
    })
    .collect()
}

/// Text in which Slack sees neither links nor mentions: names in it are those of strangers.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
