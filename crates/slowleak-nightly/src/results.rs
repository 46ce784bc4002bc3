//! The results of a night besides those of every run, and whether those of the last night are still as they were.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;
use slowleak_record::Micros;
use slowleak_report::json_text;
use xxhash_rust::xxh3::xxh3_64;

use crate::leaks::Leak;

/// What changed that night, one event a line.
pub const CHANGES: &str = "changes.jsonl";

/// Every leak that was announced and is remembered, one a line.
pub const LEAKS: &str = "leaks.jsonl";

/// Tells the time, and is therefore not compared.
const METRICS: &str = "metrics.prom";

/// `leaks.jsonl`: under which id a leak was announced, and which finding it is.
///
/// # Errors
/// The encoder fails.
pub fn leak_lines(leaks: &[Leak]) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for leak in leaks {
        let line = json!({
            "id": leak.id,
            "finding_id": leak.finding,
            "status": leak.status.name(),
            "merged_into": leak.merged_into,
            "first_reported": Micros(leak.first_reported).to_string(),
            "severity": leak.severity,
            "start": Micros(leak.start).to_string(),
            "end": Micros(leak.end).to_string(),
            "summary": leak.summary,
        });
        out.push_str(&json_text(&line, false)?);
        out.push('\n');
    }
    Ok(out)
}

/// The line of a `leaks.jsonl` about the leak that was announced under an id, or about the one that it was merged into.
pub fn leak_of(lines: &str, id: &str) -> Option<serde_json::Value> {
    let leaks: Vec<serde_json::Value> =
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut id = id.to_owned();
    // As many steps as there are leaks, at most: a merged leak leads to another.
    for _ in 0..=leaks.len() {
        let leak = leaks.iter().find(|leak| leak["id"] == id.as_str())?;
        match leak["merged_into"].as_str() {
            Some(into) => id = into.to_owned(),
            None => return Some(leak.clone()),
        }
    }
    None
}

/// Whether a folder holds the results with these checksums; whatever else is there.
///
/// # Errors
/// One can not be read.
pub fn holds(dir: &Path, results: &BTreeMap<String, String>) -> io::Result<bool> {
    for (name, sum) in results {
        match fs::read(dir.join(name)) {
            Ok(bytes) if checksum(&bytes) == *sum => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

/// Checksums of the results in a folder, by name.
///
/// # Errors
/// One can not be read.
pub fn checksums(dir: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sums),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && name != METRICS && !name.starts_with('.') {
            sums.insert(name, checksum(&fs::read(entry.path())?));
        }
    }
    Ok(sums)
}
