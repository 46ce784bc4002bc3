//! `[[suppress]]` of the settings file. In: TOML. Out: checked [`Suppression`]s, or what a suppression lacks, in words:
//! one without a reason, an owner and an end would hide findings that nobody answers for.

use serde::Deserialize;
use slowleak_detect::{Pattern, Patterns, Suppression};
use slowleak_record::Micros;

/// A suppression as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    entity: Option<Pattern>,
    key: Option<Pattern>,
    user: Option<Pattern>,
    detector: Option<Pattern>,
    dimension: Option<Pattern>,
    reason: Option<String>,
    owner: Option<String>,
    expires: Option<toml::Value>,
}

/// A suppression that was checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Checked(pub(crate) Suppression);

impl TryFrom<Written> for Checked {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { entity, key, user, detector, dimension, reason, owner, expires } = written;
        let patterns = Patterns { entity, key, user, detector, dimension };
        if patterns.given().is_empty() {
            return Err(
                "a suppression needs a pattern of entity, key, user, detector or dimension: without one it \
                        would hide everything (write \"*\" if that is meant)"
                    .to_owned(),
            );
        }
        let said = |text: Option<String>, name: &str, remedy: &str| {
            let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            text.ok_or_else(|| format!("a suppression needs {name}: {remedy}"))
        };
        let reason = said(reason, "a reason", "say why such findings are no cause for alarm")?;
        let owner = said(owner, "an owner", "say who answers for it")?;
        let expires = match expires {
            Some(toml::Value::String(text)) => Some(text),
            Some(toml::Value::Datetime(time)) => Some(time.to_string()),
            Some(other) => {
                return Err(format!("expires is {other}; write a date, as in expires = 2026-01-31"));
            }
            None => None,
        };
        let expires = said(expires, "an end", "write expires = 2026-01-31, say, and look at it again then")?;
        let expires: Micros = expires.parse().map_err(|error| format!("expires: {error}"))?;
        Ok(Self(Suppression { patterns, reason, owner, expires }))
    }
}
