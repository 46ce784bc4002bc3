//! Which files a path means: a file, a folder (searched in depth, Hive-style `name=value` folders
//! understood), or a glob. The answer is sorted and free of repeats, so that neither the order of the
//! arguments nor that of the folder listing reaches the result.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;
use walkdir::WalkDir;

use crate::{InputError, InputResult};

/// An input file, and the `name=value` folders that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputFile {
    /// Path as it will be opened and named in messages.
    pub path: PathBuf,
    /// Hive partition values from the outermost folder inwards, percent-decoded.
    pub partitions: Vec<(String, String)>,
}

impl InputFile {
    fn new(path: PathBuf) -> Self {
        let folders = path.parent().into_iter().flat_map(Path::components);
        let partitions = folders.filter_map(partition).collect();
        Self { path, partitions }
    }

    /// The value of the partition named `name` (case ignored), innermost first.
    pub fn partition(&self, name: &str) -> Option<&str> {
        let found = self.partitions.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The value that Hive writes for null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

fn partition(component: Component<'_>) -> Option<(String, String)> {
    let Component::Normal(name) = component else { return None };
    let (key, value) = name.to_str()?.split_once('=')?;
    (!key.is_empty() && value != HIVE_NULL).then(|| (key.to_owned(), percent_decode(value)))
}

/// Undoes Hive's `%XX` escapes; anything malformed is left as it stands.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Resolves the paths that a user typed into input files, sorted by path.
///
/// In a folder every `*.parquet` and `*.parq` file counts, at any depth, except under names that start
/// with `_` or `.` (the convention of Spark and Hive for logs and temporary files). A file that is named
/// outright is taken whatever its name is. A file that is reached by several paths counts once, under the first of
/// them in order.
///
/// # Errors
/// A path does not exist, can not be listed, is not a valid glob, or means no file at all; an object-store
/// URL, which this version can not read.
pub fn discover<P: AsRef<Path>>(paths: &[P]) -> InputResult<Vec<InputFile>> {
    let mut found = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let before = found.len();
        if path.to_str().is_some_and(|text| text.contains("://")) {
            return Err(InputError::new(path, "object-store URLs can not be read yet")
                .remedy("copy the files, or mount the bucket, and name the folder"));
        }
        if path.is_dir() {
            folder(path, path, None, &mut found)?;
        } else if path.exists() {
            found.push(path.to_path_buf());
        } else if path.to_str().is_some_and(is_glob) {
            glob(path, &mut found)?;
        } else {
            return Err(InputError::new(path, "no such file or folder").remedy("check the path"));
        }
        if found.len() == before {
            return Err(InputError::new(path, "no Parquet file here")
                .remedy("name a folder with *.parquet files, or the files themselves"));
        }
    }
    let mut files: Vec<InputFile> = found.into_iter().map(InputFile::new).collect();
    files.sort();
    // `logs` and `./logs` are one folder, a link and what it links to one file: records count once.
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.path.canonicalize().unwrap_or_else(|_| file.path.clone())));
    Ok(files)
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Collects the Parquet files under `root`, or those that match `glob`; `named` is for messages.
fn folder(
    named: &Path,
    root: &Path,
    glob: Option<&globset::GlobMatcher>,
    found: &mut Vec<PathBuf>,
) -> InputResult<()> {
    let hidden = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with(['_', '.']));
    let walk = WalkDir::new(root).follow_links(true).into_iter();
    let visible = walk.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name()));
    for entry in visible {
        let entry = entry.map_err(|error| {
            InputError::new(error.path().unwrap_or(named), &error).remedy("check permissions and links")
        })?;
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path();
        let wanted = match glob {
            Some(glob) => glob.is_match(path),
            None => path
                .extension()
                .is_some_and(|ext| ext.eq_ignore_ascii_case("parquet") || ext.eq_ignore_ascii_case("parq")),
        };
        if wanted {
            found.push(path.to_path_buf());
        }
    }
    Ok(())
}

/// Walks from the deepest folder that has no wildcard in its name.
fn glob(pattern: &Path, found: &mut Vec<PathBuf>) -> InputResult<()> {
    let text = pattern.to_string_lossy();
    let matcher = GlobBuilder::new(&text)
        .literal_separator(true)
        .build()
        .map_err(|error| InputError::new(pattern, &error).remedy("quote or correct the pattern"))?
        .compile_matcher();
    let fixed = |component: &Component<'_>| !component.as_os_str().to_str().is_some_and(is_glob);
    let root: PathBuf = pattern.components().take_while(fixed).collect();
    if root.as_os_str().is_empty() {
        // A walk of "." yields "./name", which "*.parquet" would not match.
        let before = found.len();
        let dotted = GlobBuilder::new(&format!("./{text}")).literal_separator(true).build();
        let dotted = dotted.map_err(|error| InputError::new(pattern, &error))?.compile_matcher();
        folder(pattern, Path::new("."), Some(&dotted), found)?;
        for path in &mut found[before..] {
            *path = path.strip_prefix(".").unwrap_or(path).to_path_buf();
        }
        return Ok(());
    }
    if !root.is_dir() {
        return Err(InputError::new(pattern, format!("no such folder: {}", root.display())));
    }
    folder(pattern, &root, Some(&matcher), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        dir
    }

    fn names(dir: &Path, files: &[InputFile]) -> Vec<String> {
        files.iter().map(|f| f.path.strip_prefix(dir).unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folders_are_searched_in_depth_and_hidden_names_skipped() {
        let dir = tree(&["b.parquet", "a/c.PARQUET", "_tmp/x.parquet", ".x.parquet", "notes.txt"]);
        let files = discover(&[dir.path()]).unwrap();
        assert_eq!(names(dir.path(), &files), ["a/c.PARQUET", "b.parquet"]);
    }

    #[test]
    fn order_and_repeats_of_arguments_do_not_matter() {
        let dir = tree(&["a.parquet", "b.parquet"]);
        let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
        let once = discover(&[dir.path()]).unwrap();
        assert_eq!(discover(&[&b, &a, &b]).unwrap(), once);
        let folder = dir.path().join("..").join(dir.path().file_name().unwrap());
        assert_eq!(discover(&[dir.path(), &folder]).unwrap().len(), 2, "one folder by two names");
    }

    #[test]
    fn globs_match_within_a_folder_level() {
        let dir = tree(&["day=1/a.parquet", "day=2/a.parquet", "day=2/deep/b.parquet"]);
        let files = discover(&[dir.path().join("day=*/*.parquet")]).unwrap();
        assert_eq!(names(dir.path(), &files), ["day=1/a.parquet", "day=2/a.parquet"]);
        let files = discover(&[dir.path().join("**/b.parquet")]).unwrap();
        assert_eq!(names(dir.path(), &files), ["day=2/deep/b.parquet"]);
    }

    #[test]
    fn hive_partitions_are_read_from_the_path() {
        let dir = tree(&["region=eu%2Fwest/day=__HIVE_DEFAULT_PARTITION__/a.parquet"]);
        let files = discover(&[dir.path()]).unwrap();
        assert_eq!(files[0].partition("Region"), Some("eu/west"));
        assert_eq!(files[0].partition("day"), None);
        assert_eq!(percent_decode("50%"), "50%");
        assert_eq!(percent_decode("a%zz"), "a%zz");
    }

    #[test]
    fn nothing_found_is_an_error() {
        let dir = tree(&["notes.txt"]);
        for path in [dir.path().to_path_buf(), dir.path().join("none"), dir.path().join("*.parquet")] {
            assert!(discover(&[path]).is_err());
        }
        assert!(discover(&["s3://bucket/logs"]).unwrap_err().to_string().contains("object-store"));
    }
}
