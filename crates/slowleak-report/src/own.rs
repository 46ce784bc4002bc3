//! Whether a file is one of ours, told by what is in it: a run may replace its own results and nothing else.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use slowleak_record::guarded;

use crate::write::RUN_DIGEST;
use crate::{spreadsheet, stored_coverage};

/// Longest first line that is looked at, bytes.
const LINE_BYTES: u64 = 1 << 20;

/// Whether the file at `path`, named as one of a run's results, was written by this program. A file of no
/// bytes is anybody's: nothing is lost with it. A file of any other name is not ours.
///
/// # Errors
/// The file can not be read.
pub fn is_ours(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(false);
    }
    if metadata.len() == 0 {
        return Ok(true);
    }
    match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
        "coverage.json" => Ok(stored_coverage::is_one(&io::read_to_string(file).unwrap_or_default())),
        "findings.csv" => Ok(first_line(file)?.starts_with(spreadsheet::FIRST_COLUMNS)),
        "findings.jsonl" | "changes.jsonl" => {
            let event: serde_json::Value = serde_json::from_str(&first_line(file)?).unwrap_or_default();
            Ok(event["metadata"]["product"]["name"] == "slowleak")
        }
        "leaks.jsonl" => {
            let leak: serde_json::Value = serde_json::from_str(&first_line(file)?).unwrap_or_default();
            Ok(leak["first_reported"].is_string() && leak["finding_id"].is_string())
        }
        "metrics.prom" => Ok(first_line(file)?.starts_with("# HELP slowleak_")),
        "replay.svg" => Ok(io::read_to_string(file).unwrap_or_default().contains("<desc>slowleak ")),
        // The page's last line names its maker.
        "report.html" => Ok(io::read_to_string(file).unwrap_or_default().contains("<footer>slowleak ")),
        name if name.ends_with(".parquet") => {
            let footer = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
            Ok(footer.is_ok_and(|footer| {
                let pairs = footer.metadata().file_metadata().key_value_metadata();
                pairs.is_some_and(|pairs| pairs.iter().any(|pair| pair.key == RUN_DIGEST))
            }))
        }
        _ => Ok(false),
    }
}

fn first_line(file: File) -> io::Result<String> {
    let mut line = Vec::new();
    BufReader::new(file.take(LINE_BYTES)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8(line).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Run, write_outputs, write_replay};
    use slowleak_detect::Detection;
    use slowleak_record::Micros;

    #[test]
    fn every_result_is_known_again_and_other_content_under_its_name_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let detection = Detection::default();
        write_outputs(dir.path(), &Run::new(&detection, None)).unwrap();
        write_replay(dir.path(), &[], Micros(0)).unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(is_ours(&path).unwrap(), "{}", path.display());
            std::fs::write(&path, "{\"years\": \"of work\"}\n").unwrap();
            assert!(!is_ours(&path).unwrap(), "{}", path.display());
            seen += 1;
        }
        assert_eq!(seen, 11);
    }

    #[test]
    fn results_of_a_version_with_fewer_columns_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("findings.csv");
        std::fs::write(&path, "finding_id,rank,severity,detector,dimension,entity\r\n").unwrap();
        assert!(is_ours(&path).unwrap());
        assert!(spreadsheet::csv(&[]).starts_with(spreadsheet::FIRST_COLUMNS));
    }

    #[test]
    fn parquet_of_another_program_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let batch = crate::tables::findings(&[]).unwrap();
        let path = dir.path().join("findings.parquet");
        let file = File::create(&path).unwrap();
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap().close().unwrap();
        assert!(!is_ours(&path).unwrap());
    }
}
