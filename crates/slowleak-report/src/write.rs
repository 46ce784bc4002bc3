//! Puts a run's files into a folder. All are written under temporary names first and renamed together,
//! `findings.parquet` last, so that a killed run leaves the earlier state whole and a folder with
//! `findings.parquet` is complete.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use slowleak_detect::Finding;
use xxhash_rust::xxh3::xxh3_128;

use crate::{ReportError, Run, coverage, html, metrics, ocsf, spreadsheet, tables};

pub(crate) const FINDINGS: &str = "findings.parquet";
pub(crate) const EVIDENCE: &str = "evidence.parquet";
pub(crate) const TIMELINE: &str = "timeline.parquet";
pub(crate) const SHARES: &str = "shares.parquet";

/// Parquet metadata key that ties the tables of one run together.
pub(crate) const RUN_DIGEST: &str = "slowleak.run";

/// Writes the contract's files for one run under `out` (made where it is missing): `findings.parquet`,
/// `findings.jsonl`, `evidence.parquet`, `coverage.json`, `report.html`, `metrics.prom`, and beside them
/// `findings.csv`, `timeline.parquet` and `shares.parquet`. The rollup is not written here.
///
/// The bytes depend on the run alone.
///
/// # Errors
/// The folder can not be made or written.
pub fn write_outputs(out: &Path, run: &Run<'_>) -> Result<(), ReportError> {
    let findings = &run.detection.findings;
    let encode = |name: &str, cause: &dyn std::fmt::Display| ReportError::Encode {
        path: out.join(name),
        cause: cause.to_string(),
    };
    let jsonl = ocsf::json_lines(run).map_err(|error| encode("findings.jsonl", &error))?;
    let digest = format!("{:032x}", xxh3_128(jsonl.as_bytes()));
    let parquet = |name: &'static str, table: fn(&[Finding]) -> Result<RecordBatch, ArrowError>| {
        let batch = table(findings).map_err(|error| encode(name, &error))?;
        parquet_bytes(&batch, &digest).map_err(|error| encode(name, &error))
    };

    let mut stage = Stage::new(out)?;
    stage.add(SHARES, &parquet(SHARES, tables::shares)?)?;
    stage.add(TIMELINE, &parquet(TIMELINE, tables::timeline)?)?;
    stage.add(EVIDENCE, &parquet(EVIDENCE, tables::evidence)?)?;
    stage.add("findings.jsonl", jsonl.as_bytes())?;
    stage.add("findings.csv", spreadsheet::csv(findings).as_bytes())?;
    stage.add("metrics.prom", metrics::prometheus(run).as_bytes())?;
    let page = html::page(run).map_err(|error| encode("report.html", &error))?;
    stage.add("report.html", page.as_bytes())?;
    let json = coverage::json(run).map_err(|error| encode("coverage.json", &error))?;
    stage.add("coverage.json", json.as_bytes())?;
    stage.add(FINDINGS, &parquet(FINDINGS, tables::findings)?)?;
    stage.publish()
}

/// A Parquet file with fixed settings: nothing of the machine or the moment gets in.
pub(crate) fn parquet_bytes(
    batch: &RecordBatch,
    digest: &str,
) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by(format!("slowleak {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_key_value_metadata(Some(vec![KeyValue::new(RUN_DIGEST.to_owned(), digest.to_owned())]))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close()?;
    Ok(bytes)
}

/// Files that wait under temporary names; dropped unpublished, they are removed.
pub(crate) struct Stage<'a> {
    out: &'a Path,
    waiting: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(out: &'a Path) -> Result<Self, ReportError> {
        fs::create_dir_all(out).map_err(|source| failed(out, source))?;
        Ok(Self { out, waiting: Vec::new() })
    }

    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        let temporary = self.out.join(format!(".{name}.{}.tmp", std::process::id()));
        self.waiting.push((temporary.clone(), self.out.join(name)));
        let mut file = File::create(&temporary).map_err(|source| failed(&temporary, source))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|source| failed(&temporary, source))
    }

    pub(crate) fn publish(mut self) -> Result<(), ReportError> {
        for (temporary, path) in &self.waiting {
            fs::rename(temporary, path).map_err(|source| failed(path, source))?;
        }
        self.waiting.clear();
        Ok(())
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for (temporary, _) in &self.waiting {
            // Best effort: the failure that brought us here is the one to report.
            let _ = fs::remove_file(temporary);
        }
    }
}

fn failed(path: &Path, source: io::Error) -> ReportError {
    ReportError::Io { path: path.to_path_buf(), source }
}
