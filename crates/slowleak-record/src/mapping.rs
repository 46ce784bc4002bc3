//! Which column of a file holds which field.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::{Field, FieldSet, InputError, InputResult, Status};

/// Maps fields onto column names, and a log's status words onto [`Status`].
///
/// Column names are compared exactly first and without case second. The `native` preset maps every field
/// onto the column of its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    preset: String,
    columns: [String; Field::ALL.len()],
    status: BTreeMap<String, Status>,
    identity: FieldSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MapFile {
    #[serde(default)]
    columns: BTreeMap<String, String>,
    #[serde(default)]
    status: BTreeMap<String, String>,
    duplicates: Option<DuplicateRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DuplicateRule {
    by: Vec<String>,
}

impl Mapping {
    /// The mapping of a file whose columns carry the contract's names.
    pub fn native() -> Self {
        Self {
            preset: "native".to_owned(),
            columns: Field::ALL.map(|field| field.name().to_owned()),
            status: BTreeMap::new(),
            identity: Field::ALL.into_iter().filter(|field| *field != Field::Time).collect(),
        }
    }

    /// The preset of that name, or `None`.
    pub fn preset(name: &str) -> Option<Self> {
        (name == "native").then(Self::native)
    }

    /// Reads a `--map` file: TOML with `[columns]` (`field = "column"`) and optionally `[status]`
    /// (`"logged word" = "ok" | "denied" | "missing" | "error"`) and `[duplicates]` (`by = ["event_id"]`, see
    /// [`Mapping::identity`]). Fields that it does not name keep the column of `self`.
    ///
    /// # Errors
    /// The file can not be read, is not TOML of that form, or names an unknown field or status.
    pub fn with_file(mut self, path: &Path) -> InputResult<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| InputError::new(path, error))?;
        let file: MapFile = toml::from_str(&text).map_err(|error| {
            InputError::new(path, error.to_string().trim_end())
                .remedy("expected [columns] with lines like key = \"access_key_id\"")
        })?;
        for (field, column) in file.columns {
            let field: Field = field.parse().map_err(|e: String| InputError::new(path, e).at("[columns]"))?;
            self.columns[field.index()] = column;
        }
        for (word, status) in file.status {
            let parsed = Status::parse(&status).ok_or_else(|| {
                InputError::new(path, format!("unknown status {status:?} for {word:?}"))
                    .at("[status]")
                    .remedy("write ok, denied, missing or error")
            })?;
            self.status.insert(word, parsed);
        }
        if let Some(rule) = file.duplicates {
            self.identity = rule
                .identity()
                .map_err(|(cause, remedy)| InputError::new(path, cause).at("[duplicates]").remedy(remedy))?;
        }
        self.preset = format!("{} + {}", self.preset, path.display());
        Ok(self)
    }

    /// Name for messages: the preset, and the map file where there is one.
    pub fn name(&self) -> &str {
        &self.preset
    }

    /// Everything that the mapping says, in one line that is the same for mappings that say the same.
    pub fn fingerprint(&self) -> String {
        let columns = Field::ALL.map(|field| format!("{field}={:?}", self.column(field)));
        let words = self.status.iter().map(|(word, status)| format!("{word:?}={status:?}"));
        let identity = self.identity.iter().map(|field| format!("same={field}"));
        columns.into_iter().chain(words).chain(identity).collect::<Vec<_>>().join(" ")
    }

    /// The fields by which, together with the time, a record is known to be the same event as another one, so that it
    /// counts once; empty where every record counts. Unless a map file says otherwise these are all, the event id among them:
    /// what was delivered twice agrees in them. (The id alone would do if it always were one. A column of that name may as well
    /// hold the kind of event, and then accesses to other accounts in the same second would be lost.) A source that logs each
    /// event twice, with other ids or none, has a rule by what the two entries agree in, for instance `by = ["key", "subject"]`.
    ///
    /// A record without any of them, or without an event id where that is among them, is nobody's copy.
    pub fn identity(&self) -> FieldSet {
        self.identity
    }

    /// The column that holds `field`, where the file has it.
    pub fn column(&self, field: Field) -> &str {
        &self.columns[field.index()]
    }

    /// The position of `field`'s column among `columns`: an exact name first, else one that differs only
    /// in case.
    pub fn find<'a>(
        &self,
        field: Field,
        columns: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Option<usize> {
        let name = self.column(field);
        let exact = columns.clone().into_iter().position(|column| column == name);
        exact.or_else(|| columns.into_iter().position(|column| column.eq_ignore_ascii_case(name)))
    }

    /// The status that a logged word means; `None` where neither the contract nor the map file knows it.
    pub fn status(&self, word: &str) -> Option<Status> {
        self.status.get(word).copied().or_else(|| Status::parse(word))
    }
}

impl DuplicateRule {
    fn identity(&self) -> Result<FieldSet, (String, &'static str)> {
        let mut fields = FieldSet::EMPTY;
        for name in &self.by {
            let field = name.parse().map_err(|cause| (cause, "write by = [\"event_id\"]"))?;
            match field {
                // The time always counts.
                Field::Time => {}
                field => fields = fields.with(field),
            }
        }
        if fields == FieldSet::EMPTY && !self.by.is_empty() {
            let cause = "the time alone does not tell events apart".to_owned();
            return Err((cause, "name more fields, or none (by = []) to count every record"));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> InputResult<Mapping> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.toml");
        std::fs::write(&path, text).unwrap();
        Mapping::native().with_file(&path)
    }

    #[test]
    fn map_file_overrides_only_what_it_names() {
        let mapping = file("[columns]\nkey = \"kid\"\n[status]\n\"404\" = \"missing\"\n").unwrap();
        assert_eq!(mapping.column(Field::Key), "kid");
        assert_eq!(mapping.column(Field::User), "user");
        assert_eq!(mapping.status("404"), Some(Status::Missing));
        assert_eq!(mapping.status("ok"), Some(Status::Ok));
        assert_eq!(mapping.status("418"), None);
    }

    #[test]
    fn the_event_id_tells_duplicates_unless_the_map_file_says_otherwise() {
        let of = |fields: &[Field]| fields.iter().copied().collect::<FieldSet>();
        assert_eq!(file("").unwrap().identity(), of(&Field::ALL[1..]));
        let twice = file("[duplicates]\nby = [\"time\", \"subject\", \"key\"]\n").unwrap();
        assert_eq!(twice.identity(), of(&[Field::Key, Field::Subject]));
        assert_eq!(file("[duplicates]\nby = []\n").unwrap().identity(), FieldSet::EMPTY);
        assert_ne!(twice.fingerprint(), file("").unwrap().fingerprint());
    }

    #[test]
    fn exact_names_win_over_case_insensitive_ones() {
        let native = Mapping::native();
        assert_eq!(native.find(Field::Key, ["KEY", "key"]), Some(1));
        assert_eq!(native.find(Field::Key, ["time", "Key"]), Some(1));
        assert_eq!(native.find(Field::Key, ["kid"]), None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[columns]\nkid = \"k\"\n", "unknown field"),
            ("[colums]\n", "unknown field"),
            ("[status]\nx = \"y\"\n", "unknown status"),
            ("not toml", "expected"),
            ("[duplicates]\nby = [\"uuid\"]\n", "unknown field"),
            ("[duplicates]\nby = [\"time\"]\n", "time alone"),
        ] {
            let error = file(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
