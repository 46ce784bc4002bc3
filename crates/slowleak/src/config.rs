//! The `--config` file: TOML with the same names as the flags, `[detect]` and `[nightly]` sections and `[[suppress]]`.
//!
//! In: a path. Out: a [`ConfigFile`], or an error that names the line. Paths inside the file are taken from
//! the file's own folder, so that a config works from wherever it is used.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};
use slowleak_detect::{DetectConfig, Severity};
use slowleak_record::Window;
use slowleak_rollup::View;

use crate::cli::{Io, Removed, memory, severity};
use crate::failure::Failure;
use crate::suppressions::Checked;

/// What a config file may say; flags win over it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfigFile {
    pub(crate) preset: Option<String>,
    pub(crate) map: Option<PathBuf>,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) people: Option<PathBuf>,
    pub(crate) issued: Option<PathBuf>,
    pub(crate) io: Option<Io>,
    #[serde(deserialize_with = "threads")]
    pub(crate) threads: Option<u16>,
    #[serde(deserialize_with = "size")]
    pub(crate) memory: Option<ByteSize>,
    pub(crate) strict: bool,
    #[serde(deserialize_with = "any_case")]
    pub(crate) fail_on: Option<Severity>,
    #[serde(deserialize_with = "parsed")]
    pub(crate) window: Option<Window>,
    #[serde(deserialize_with = "parsed_list")]
    pub(crate) views: Vec<View>,
    pub(crate) detect: DetectConfig,
    pub(crate) nightly: NightlySection,
    /// In the order of the file.
    pub(crate) suppress: Vec<Checked>,
}

/// The `[nightly]` section.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NightlySection {
    pub(crate) keep_days: Option<NonZeroU32>,
    pub(crate) removed: Option<Removed>,
    pub(crate) webhook: Option<String>,
    #[serde(deserialize_with = "any_case")]
    pub(crate) webhook_severity: Option<Severity>,
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it can not be read, is not TOML, or holds an unknown name or a bad value.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("{}: {error} (check the path)", path.display())))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| line(&text, span.start));
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let cause = error.message().trim_end().replace('\n', ", ");
            Failure::Usage(format!("{}: {place}{cause} (correct the settings file)", path.display()))
        })?;
        config.detect.check().map_err(|cause| Failure::Usage(format!("{}: {cause}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for relative in [&mut config.map, &mut config.keys, &mut config.people, &mut config.issued] {
            *relative = relative.take().map(|path| folder.join(path));
        }
        Ok(config)
    }
}

/// 1-based line of the byte at `offset`.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

fn any_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Severity>, D::Error> {
    severity(&String::deserialize(deserializer)?).map(Some).map_err(de::Error::custom)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSize>, D::Error> {
    memory(&String::deserialize(deserializer)?).map(Some).map_err(de::Error::custom)
}

fn parsed_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
}

fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let threads = u16::deserialize(deserializer)?;
    if (1..=1024).contains(&threads) {
        Ok(Some(threads))
    } else {
        Err(de::Error::custom(format!("threads is {threads}; it must be 1 to 1024")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ConfigFile, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slowleak.toml");
        std::fs::write(&path, text).unwrap();
        ConfigFile::read(&path).map_err(|failure| failure.to_string())
    }

    #[test]
    fn reads_flags_views_and_paths_beside_the_file() {
        let config = read(
            "window = \"2h\"\nviews = [\"key@1h:rows\"]\nfail_on = \"High\"\nio = \"read\"\nkeys = \"k.csv\"\n\
             memory = \"512MiB\"\n",
        )
        .unwrap();
        assert_eq!(config.window.unwrap().to_string(), "2h");
        assert_eq!(config.views[0].to_string(), "key@1h:events,rows");
        assert_eq!((config.fail_on, config.io), (Some(Severity::High), Some(Io::Read)));
        assert!(config.keys.unwrap().is_absolute());
        assert_eq!(config.memory, Some(ByteSize::mib(512)));
        assert_eq!(config.people, None);
    }

    #[test]
    fn reads_weights_and_suppressions() {
        let config = read(
            "[detect]\nrotation_days = 90\n[detect.sensitivity]\n\"pay*\" = 10\n[[suppress]]\nkey = \"batch-*\"\n\
             reason = \" export \"\nowner = \"data\"\nexpires = 2026-01-31\n[[suppress]]\ndetector = \"stale_key\"\n\
             reason = \"r\"\nowner = \"o\"\nexpires = \"2026-01-31T06:00:00Z\"\n",
        )
        .unwrap();
        assert_eq!(config.detect.rotation_days, Some(90));
        assert_eq!(config.detect.sensitivity.of_object("pay.cards"), 10.0);
        let [Checked(first), Checked(second)] = config.suppress.as_slice() else { panic!("not two") };
        assert_eq!((first.reason.as_str(), first.patterns.given().len()), ("export", 1));
        let ends = [first.expires, second.expires].map(|end| end.to_string());
        assert_eq!(ends, ["2026-01-31T00:00:00Z", "2026-01-31T06:00:00Z"]);
    }

    #[test]
    fn a_suppression_that_nobody_answers_for_is_refused_in_words() {
        let all = ["key = \"k*\"", "reason = \"r\"", "owner = \"o\"", "expires = 2026-01-31"];
        for (without, words) in
            ["needs a pattern", "needs a reason", "needs an owner", "needs an end"].iter().enumerate()
        {
            let kept: Vec<&str> = (0..4).filter(|line| *line != without).map(|line| all[line]).collect();
            let error = read(&format!("\n[[suppress]]\n{}\n", kept.join("\n"))).unwrap_err();
            assert!(error.contains("slowleak.toml: line 2: ") && error.contains(words), "{error}");
        }
        for (line, words) in [
            ("expires = \"soon\"", "\"soon\" is not a time"),
            ("expires = 7", "write a date"),
            ("owner = \" \"", "needs an owner"),
            ("key = \"a[\"", "is not a pattern"),
            ("kye = \"a\"", "kye"),
        ] {
            let name = line.split(' ').next().unwrap_or_default();
            let kept: Vec<&str> =
                all.into_iter().filter(|other| !other.starts_with(name)).chain([line]).collect();
            let error = read(&format!("[[suppress]]\n{}\n", kept.join("\n"))).unwrap_err();
            assert!(error.contains("slowleak.toml: line ") && error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn mistakes_name_file_and_line() {
        for (text, line) in [
            ("[detect.sensitivity]\n\"pay*\" = -1\n", "line 1"),
            ("strict = true\nstict = true\n", "line 2"),
            ("\n\nfail_on = \"awful\"\n", "line 3"),
            ("views = [\n \"key@1h:rows\",\n \"kid@1h:rows\"]\n", "line 1"),
            ("[detect]\nno_such_setting = 1\n", "line 2"),
            ("threads = 0\n", "line 1"),
            ("memory = \"1KiB\"\n", "line 1"),
            ("window 1h\n", "line 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("slowleak.toml: ") && error.contains(line), "{text:?}: {error}");
        }
    }
}
