//! Reads findings back from the folder of an earlier run, with everything that `explain` needs.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use slowleak_detect::Finding;
use slowleak_record::{InputError, InputResult, guarded};

use crate::tables::{Columns, Unreadable};
use crate::write::{EVIDENCE, FINDINGS, RUN_DIGEST, SHARES, TIMELINE};

/// Reads `findings.parquet`, `evidence.parquet` and, where they are there, `timeline.parquet` and
/// `shares.parquet` under `out`, in the order in which they were written (by rank).
///
/// # Errors
/// The folder is not the output of a run, a file can not be read or lacks a contract column, a value is
/// outside the contract, or the files come from different runs.
pub fn read_findings(out: &Path) -> InputResult<Vec<Finding>> {
    let remedy = "name the folder that a finished run was given with --out";
    if !out.is_dir() {
        return Err(InputError::new(out, "no such folder").remedy(remedy));
    }
    let Some(table) = Stored::open(out, FINDINGS)? else {
        return Err(InputError::new(out, format!("no {FINDINGS} here")).remedy(remedy));
    };
    let mut findings = table.rows(Columns::findings)?;
    let mut position = HashMap::with_capacity(findings.len());
    for (index, finding) in findings.iter().enumerate() {
        if position.insert(finding.id.clone(), index).is_some() {
            let cause = format!("the id {:?} occurs twice", finding.id);
            return Err(InputError::new(&table.path, cause).at("column \"finding_id\""));
        }
    }
    let Some(evidence) = table.beside(out, EVIDENCE)? else {
        return Err(InputError::new(out, format!("no {EVIDENCE} here")).remedy(remedy));
    };
    let rows = evidence.rows(Columns::evidence)?;
    evidence.attach(rows, &mut findings, &position, |finding| &mut finding.evidence)?;
    if let Some(timeline) = table.beside(out, TIMELINE)? {
        let rows = timeline.rows(Columns::timeline)?;
        timeline.attach(rows, &mut findings, &position, |finding| &mut finding.timeline)?;
    }
    if let Some(shares) = table.beside(out, SHARES)? {
        let rows = shares.rows(Columns::shares)?;
        shares.attach(rows, &mut findings, &position, |finding| &mut finding.shares)?;
    }
    Ok(findings)
}

/// A Parquet file in memory. Reports are small: findings, not records.
struct Stored {
    path: PathBuf,
    digest: Option<String>,
    batches: Vec<RecordBatch>,
}

impl Stored {
    /// The file `name` in `out`; `None` where there is none.
    fn open(out: &Path, name: &str) -> InputResult<Option<Self>> {
        let path = out.join(name);
        if !path.exists() {
            return Ok(None);
        }
        let broken = |cause: String| {
            InputError::new(&path, cause).remedy("write the report again with `slowleak detect`")
        };
        let file = File::open(&path).map_err(|error| broken(error.to_string()))?;
        let decode = || {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let metadata = reader.metadata().file_metadata().key_value_metadata();
            let digest = metadata
                .and_then(|pairs| pairs.iter().find(|pair| pair.key == RUN_DIGEST))
                .and_then(|pair| pair.value.clone());
            let batches = reader.build()?.collect::<Result<Vec<_>, _>>()?;
            Ok::<_, ParquetError>((digest, batches))
        };
        let (digest, batches) = guarded(decode).map_err(broken)?;
        Ok(Some(Self { path, digest, batches }))
    }

    /// The file `name`, which must come from the same run as this one.
    fn beside(&self, out: &Path, name: &str) -> InputResult<Option<Self>> {
        let other = Self::open(out, name)?;
        if other.as_ref().is_some_and(|other| other.digest != self.digest) {
            let cause = format!("{name} and {FINDINGS} come from different runs");
            return Err(InputError::new(out, cause).remedy("write the report again with `slowleak detect`"));
        }
        Ok(other)
    }

    fn rows<T>(&self, read: impl Fn(&Columns) -> Result<Vec<T>, Unreadable>) -> InputResult<Vec<T>> {
        let mut rows = Vec::new();
        for batch in &self.batches {
            let some = read(&Columns(batch.clone())).map_err(|unreadable| {
                InputError::new(&self.path, unreadable.cause)
                    .at(unreadable.place)
                    .remedy("read it with the version of slowleak that wrote it")
            })?;
            rows.extend(some);
        }
        Ok(rows)
    }

    /// Hands each row to its finding, in file order.
    fn attach<T>(
        &self,
        rows: Vec<(String, T)>,
        findings: &mut [Finding],
        position: &HashMap<String, usize>,
        part: impl Fn(&mut Finding) -> &mut Vec<T>,
    ) -> InputResult<()> {
        for (id, row) in rows {
            let Some(finding) = position.get(&id).and_then(|&index| findings.get_mut(index)) else {
                let cause = format!("the finding {id:?} is not in {FINDINGS}");
                return Err(InputError::new(&self.path, cause).at("column \"finding_id\""));
            };
            part(finding).push(row);
        }
        Ok(())
    }
}
