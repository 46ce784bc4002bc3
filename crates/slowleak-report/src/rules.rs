//! What each rule says, advises and may be wrong about, in words. A detector that is no rule has none.

use slowleak_detect::Detector;

/// What a rule found, as the head of a clause; `None` for a detector that is no rule.
pub(crate) fn rule(detector: Detector) -> Option<&'static str> {
    match detector {
        Detector::KeyAfterDeparture => Some("was used after its owner left"),
        Detector::KeyAfterRevocation => Some("was used after it was revoked or had expired"),
        Detector::UseWithoutIssue => Some("was used without having been issued, or before it was"),
        Detector::KeyBeforeIssue => Some("was used before it was issued"),
        Detector::KeyOutsideRegion => Some("was used from a region that it is not allowed"),
        Detector::DormantKey => Some("was used again after a long silence"),
        Detector::StaleKey => Some("is used with a secret older than the policy allows"),
        Detector::Rate
        | Detector::Breadth
        | Detector::Share
        | Detector::Burst
        | Detector::Birth
        | Detector::Profile
        | Detector::Swap
        | Detector::Novelty
        | Detector::Reconnaissance
        | Detector::Enumeration
        | Detector::LogGap => None,
    }
}

/// The rule as the title of an alert.
pub(crate) fn title(detector: Detector) -> &'static str {
    match detector {
        Detector::UseWithoutIssue => "Use of a credential that was not issued",
        Detector::KeyOutsideRegion => "Use of a credential outside its regions",
        Detector::DormantKey => "Use of a dormant credential",
        Detector::StaleKey => "Use of a credential that is overdue for rotation",
        _ => "Use of a credential against its life cycle",
    }
}

/// What to do, most urgent first. `key` is safe to show; `urgency` ends the urgent step.
pub(crate) fn steps(detector: Detector, key: &str, urgency: &str) -> Vec<String> {
    let revoke = || format!("Revoke key {key}{urgency}.");
    match detector {
        Detector::UseWithoutIssue => vec![
            revoke(),
            "Find out who can make such keys: whoever uses one that was never issued may hold what signs them; rotate \
             that."
                .to_owned(),
        ],
        Detector::KeyBeforeIssue => {
            vec![revoke(), "Find out who had its secret before it was handed out.".to_owned()]
        }
        Detector::KeyOutsideRegion => vec![
            revoke(),
            "List what else was used from that region, and by whom.".to_owned(),
            "If its owner works there now, issue a new key and enter the region.".to_owned(),
        ],
        Detector::DormantKey => vec![
            format!("Ask the owner of key {key} whether they use it again; revoke it if nobody does{urgency}."),
            "If it is needed so seldom, give it an end and issue it anew each time.".to_owned(),
        ],
        Detector::StaleKey => vec![format!("Rotate key {key} and enter when that was done.")],
        _ => vec![revoke(), "List what else its owner still can use, and revoke that too.".to_owned()],
    }
}

/// What would show the rule to be wrong here.
pub(crate) fn doubts(detector: Detector) -> Vec<String> {
    let clock = "A log whose clock is off: compare the first such use with another log.";
    let register =
        "A register that is wrong: check the date against the personnel system or the key's issuer.";
    let doubts: &[&str] = match detector {
        Detector::UseWithoutIssue => &[
            "A list of issues with holes: another issuer, a lost day, or a key that is older than the list.",
            "Keys that the list writes otherwise than the log does.",
            clock,
        ],
        Detector::KeyBeforeIssue => &[
            "A date of issue that is the date of entry, or of a renewal: check with the key's issuer.",
            clock,
        ],
        Detector::KeyOutsideRegion => &[
            "A region that was looked up wrongly: a mobile network, a VPN or a cloud's exit may lie elsewhere.",
            "An owner who travels, or a service that moved: then enter the region.",
        ],
        Detector::DormantKey => &[
            "Work that is done once a year, or kept for an emergency: ask its owner.",
            "Use in the meantime that this log does not hold.",
        ],
        Detector::StaleKey => &["A rotation that nobody entered in the register."],
        _ => &[
            register,
            "A key that was handed to another owner, or shared with a service: then enter its new owner.",
            clock,
        ],
    };
    doubts.iter().map(|doubt| (*doubt).to_owned()).collect()
}
