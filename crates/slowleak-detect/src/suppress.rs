//! Findings that somebody has answered for. In: a detection and the suppressions of the settings. Out: the detection with
//! its suppressed findings marked, behind all others, and an account of what each suppression did.
//!
//! Nothing is suppressed in silence or for good: every suppression has a reason, an owner and an end, and the account
//! says what it hid, that it has run out, or that it matched nothing. Its end is compared with the end of the data and
//! not with the clock, so that the same log gives the same findings whenever it is judged.

use slowleak_record::Micros;
use slowleak_rollup::Dimension;

use crate::finding::{Detection, Detector, Finding};
use crate::pattern::Pattern;
use crate::severity::number;

/// Which findings are answered for, why, by whom and until when.
#[derive(Debug, Clone, PartialEq)]
pub struct Suppression {
    /// What must match a finding: all that are given.
    pub patterns: Patterns,
    /// Why such a finding is no cause for alarm.
    pub reason: String,
    /// Who answers for that.
    pub owner: String,
    /// First instant at which it no longer applies: data that ends later is judged without it.
    pub expires: Micros,
}

/// Patterns of a finding's columns; an absent one matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patterns {
    /// Value of the view that names the finding.
    pub entity: Option<Pattern>,
    /// The key; a finding about no key does not match.
    pub key: Option<Pattern>,
    /// The user; a finding about no user does not match.
    pub user: Option<Pattern>,
    /// The detector's name.
    pub detector: Option<Pattern>,
    /// The view that names the finding.
    pub dimension: Option<Pattern>,
}

impl Patterns {
    /// Those that are given, by name.
    pub fn given(&self) -> Vec<(&'static str, &Pattern)> {
        let Self { entity, key, user, detector, dimension } = self;
        let all = [
            ("entity", entity),
            ("key", key),
            ("user", user),
            ("detector", detector),
            ("dimension", dimension),
        ];
        all.into_iter().filter_map(|(name, pattern)| Some((name, pattern.as_ref()?))).collect()
    }

    /// Whether all that are given match the finding; where it has phases, the place of every one, or what nobody answers
    /// for would be hidden with what somebody does.
    pub fn match_finding(&self, finding: &Finding) -> bool {
        let places = finding.evidence.chunk_by(|a, b| a.phase == b.phase).filter_map(|phase| phase.first());
        let own = (finding.detector, &finding.dimension, &finding.entity);
        let mut others = places.skip(1).map(|place| (place.detector, &place.dimension, &place.entity));
        self.match_place(finding, own) && others.all(|place| self.match_place(finding, place))
    }

    fn match_place(
        &self,
        finding: &Finding,
        (detector, dimension, entity): (Detector, &Dimension, &String),
    ) -> bool {
        let dimension = dimension.to_string();
        self.given().into_iter().all(|(name, pattern)| {
            let value = match name {
                "key" => finding.key.as_deref(),
                "user" => finding.user.as_deref(),
                "detector" => Some(detector.name()),
                "dimension" => Some(dimension.as_str()),
                _ => Some(entity.as_str()),
            };
            value.is_some_and(|value| pattern.matches(value))
        })
    }
}

/// What became of a suppression.
#[derive(Debug, Clone, PartialEq)]
pub struct Suppressing {
    /// The suppression.
    pub suppression: Suppression,
    /// Whether the data ends after it does: then it hid nothing.
    pub expired: bool,
    /// Findings that it hid or, where it has expired, would have hidden.
    pub findings: u64,
}

impl Suppressing {
    /// The patterns as the settings have them: `key = "batch-*", detector = "rate"`.
    pub fn patterns(&self) -> String {
        let given = self.suppression.patterns.given();
        let given: Vec<String> = given.iter().map(|(name, text)| format!("{name} = \"{text}\"")).collect();
        given.join(", ")
    }
}

impl Detection {
    /// Marks the findings that a suppression matches and puts them behind the others, which keep their order; ranks are
    /// given anew. A finding that several match is hidden by the first of them that has not expired.
    pub fn suppress(&mut self, suppressions: &[Suppression]) {
        let end = self.scope.end;
        let account = |suppression: &Suppression| Suppressing {
            suppression: suppression.clone(),
            expired: end.is_some_and(|end| end > suppression.expires),
            findings: 0,
        };
        self.suppressions = suppressions.iter().map(account).collect();
        for finding in &mut self.findings {
            for account in &mut self.suppressions {
                if !account.suppression.patterns.match_finding(finding) {
                    continue;
                }
                if account.expired {
                    account.findings += 1;
                } else if finding.suppressed.is_none() {
                    account.findings += 1;
                    finding.suppressed = Some(why(&account.suppression));
                }
            }
        }
        self.findings.sort_by_key(|finding| finding.suppressed.is_some());
        number(&mut self.findings);
    }

    /// How many findings were suppressed, whether or not they are still among the findings.
    pub fn suppressed(&self) -> u64 {
        self.suppressions.iter().filter(|one| !one.expired).map(|one| one.findings).sum()
    }
}

fn why(suppression: &Suppression) -> String {
    let until: String = suppression.expires.to_string().chars().take(10).collect();
    format!("{} ({}, until {until})", suppression.reason, suppression.owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Detector, Scope, Severity};
    use slowleak_rollup::Metric;

    fn finding(key: &str, detector: Detector) -> Finding {
        Finding {
            id: format!("{key} {detector}"),
            rank: 0,
            severity: Severity::High,
            detector,
            dimension: "key+object".parse().unwrap(),
            entity: format!("{key} + orders"),
            key: Some(key.to_owned()),
            user: None,
            metric: Metric::Events,
            start: Micros(0),
            end: Micros(Micros::DAY),
            observed: 2.0,
            expected: 1.0,
            subjects: None,
            taken: 0.0,
            sensitivity: 1.0,
            score: 0.0,
            expected_false: None,
            open: false,
            summary: String::new(),
            suppressed: None,
            cause: None,
            evidence: Vec::new(),
            shares: Vec::new(),
            timeline: Vec::new(),
        }
    }

    fn suppression(patterns: Patterns, expires: i64) -> Suppression {
        let (reason, owner) = ("nightly export".to_owned(), "data".to_owned());
        Suppression { patterns, reason, owner, expires: Micros(expires * Micros::DAY) }
    }

    fn pattern(text: &str) -> Option<Pattern> {
        Some(text.parse().unwrap())
    }

    fn detection(end: i64) -> Detection {
        let keys =
            [("batch-1", Detector::Rate), ("k", Detector::Rate), ("batch-2", Detector::KeyAfterDeparture)];
        Detection {
            findings: keys.into_iter().map(|(key, detector)| finding(key, detector)).collect(),
            scope: Scope { end: Some(Micros(end * Micros::DAY)), ..Scope::default() },
            ..Detection::default()
        }
    }

    #[test]
    fn all_given_patterns_must_match_and_the_first_suppression_counts() {
        let rate = Patterns { key: pattern("batch-*"), detector: pattern("rate"), ..Patterns::default() };
        let entity = Patterns { entity: pattern("batch-? + *"), ..Patterns::default() };
        let of_user = Patterns { user: pattern("*"), ..Patterns::default() };
        let mut found = detection(10);
        found.suppress(&[suppression(rate, 10), suppression(entity, 10), suppression(of_user, 10)]);
        let hid: Vec<u64> = found.suppressions.iter().map(|one| one.findings).collect();
        assert_eq!((hid, found.suppressed()), (vec![1, 1, 0], 2));
        let order: Vec<(&str, u32, bool)> = found
            .findings
            .iter()
            .map(|finding| (finding.key.as_deref().unwrap(), finding.rank, finding.suppressed.is_some()))
            .collect();
        assert_eq!(order, [("k", 1, false), ("batch-1", 2, true), ("batch-2", 3, true)]);
        assert_eq!(found.findings[1].suppressed.as_deref(), Some("nightly export (data, until 1970-01-11)"));
        assert_eq!(found.suppressions[0].patterns(), "key = \"batch-*\", detector = \"rate\"");
    }

    #[test]
    fn the_end_of_the_data_decides_what_has_expired() {
        let all = || Patterns { dimension: pattern("key+object"), ..Patterns::default() };
        for (end, hidden) in [(10, 3), (11, 0)] {
            let mut found = detection(end);
            found.suppress(&[suppression(all(), 10)]);
            assert_eq!((found.suppressed(), found.suppressions[0].findings), (hidden, 3));
            assert_eq!(found.findings.iter().filter(|one| one.suppressed.is_some()).count() as u64, hidden);
        }
    }
}
