//! What is in a set of files, from their footers and one sample a schema.
//!
//! In: files and a mapping. Out: a [`Survey`], which serialises to the JSON of `inspect` and which
//! [`text`] words for people. Reads no more than footers and some thousand rows a schema, and judges
//! nothing; whether a file can be scanned is asked of the scan's own plan.

mod columns;
mod sample;
pub(crate) mod text;
mod times;

use std::collections::BTreeMap;
use std::fs::File;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use rayon::prelude::*;
use serde::Serialize;
use slowleak_record::{Field, FieldSet, InputFile, guarded};
use slowleak_rollup::Metric;
use slowleak_scan::{Plan, ScanOptions};

use crate::settings::Input;

/// All files, by schema.
#[derive(Debug, Serialize)]
pub(crate) struct Survey {
    /// Name of the mapping.
    pub(crate) preset: String,
    /// Why that one.
    pub(crate) preset_reason: &'static str,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// By first file.
    pub(crate) groups: Vec<Group>,
    /// Files that a scan could not use, by path.
    pub(crate) rejected: Vec<Rejected>,
}

/// A file that a scan could not use.
#[derive(Debug, Serialize)]
pub(crate) struct Rejected {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// The files of one schema.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) files: usize,
    /// The first in path order; the sample is its.
    pub(crate) first_file: String,
    /// Files of the group among [`Survey::rejected`].
    pub(crate) rejected: usize,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) row_groups: usize,
    /// Compression codecs in use.
    pub(crate) codecs: Vec<String>,
    /// Programs that wrote the files.
    pub(crate) written_by: Vec<String>,
    pub(crate) columns: Vec<columns::Column>,
    /// `None` where the time column is absent, or neither its statistics nor the sample can be read.
    pub(crate) time: Option<times::Times>,
    /// What could not be told from these files.
    pub(crate) lost: Vec<Lost>,
    /// Up to five records, as (field, value) in the contract's order.
    pub(crate) samples: Vec<BTreeMap<&'static str, Option<String>>>,
}

/// A metric or dimension that these files do not allow.
#[derive(Debug, Serialize)]
pub(crate) struct Lost {
    /// The field that no column holds.
    pub(crate) field: &'static str,
    /// What is not computed without it.
    pub(crate) not_computed: Vec<String>,
}

/// A file whose footer could be read.
struct Opened<'a> {
    file: &'a InputFile,
    bytes: u64,
    metadata: ArrowReaderMetadata,
}

/// Looks at `files`.
pub(crate) fn survey(files: &[InputFile], input: &Input) -> Survey {
    let every_field: FieldSet = Field::ALL.into_iter().collect();
    let options = ScanOptions { range: input.range, io: input.io, decoder: input.decoder };
    let plan = Plan::new(files, &input.mapping, every_field, &options);
    let rejected: Vec<Rejected> = plan
        .coverage()
        .rejected_files
        .iter()
        .map(|file| Rejected { path: file.path.clone(), reason: file.reason.clone() })
        .collect();

    let opened: Vec<Option<Opened<'_>>> = files.par_iter().map(open).collect();
    // Grouped in path order, so that neither hash order nor thread timing shows.
    let mut groups: Vec<(String, Vec<Opened<'_>>)> = Vec::new();
    for opened in opened.into_iter().flatten() {
        let schema = schema(&opened);
        match groups.iter_mut().find(|(other, _)| *other == schema) {
            Some((_, members)) => members.push(opened),
            None => groups.push((schema, vec![opened])),
        }
    }
    let groups: Vec<Group> = groups.iter().map(|(_, members)| group(members, input, &rejected)).collect();
    Survey {
        preset: input.mapping.name().to_owned(),
        preset_reason: input.mapping_reason,
        files: files.len(),
        bytes: files.iter().filter_map(|file| file.path.metadata().ok()).map(|file| file.len()).sum(),
        rows: groups.iter().map(|group| group.rows).sum(),
        groups,
        rejected,
    }
}

fn open(file: &InputFile) -> Option<Opened<'_>> {
    let handle = File::open(&file.path).ok()?;
    let bytes = handle.metadata().ok()?.len();
    // As the scan reads it: by the Parquet schema alone.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    // A damaged footer must not end the survey of the others; the plan has the reason in words.
    let metadata = guarded(|| ArrowReaderMetadata::load(&handle, options)).ok()?;
    Some(Opened { file, bytes, metadata })
}

/// What makes two files alike: names and types of their columns, and the names of their partitions.
fn schema(opened: &Opened<'_>) -> String {
    let mut schema = String::new();
    for column in opened.metadata.schema().fields() {
        schema.push_str(&format!("{:?} {}\n", column.name(), column.data_type()));
    }
    for (name, _) in &opened.file.partitions {
        schema.push_str(&format!("folder {name:?}\n"));
    }
    schema
}

fn group(members: &[Opened<'_>], input: &Input, rejected: &[Rejected]) -> Group {
    let sample = sample::read(members);
    let columns = columns::columns(members, &input.mapping, sample.as_ref());
    let mut codecs: Vec<String> = members.iter().flat_map(codecs).collect();
    let mut written_by: Vec<String> = members.iter().filter_map(writer).collect();
    for names in [&mut codecs, &mut written_by] {
        names.sort();
        names.dedup();
    }
    let is_rejected = |member: &&Opened<'_>| {
        let path = member.file.path.display().to_string();
        rejected.iter().any(|rejected| rejected.path == path)
    };
    Group {
        files: members.len(),
        first_file: members.first().map(|first| first.file.path.display().to_string()).unwrap_or_default(),
        rejected: members.iter().filter(is_rejected).count(),
        bytes: members.iter().map(|member| member.bytes).sum(),
        rows: members.iter().map(rows).sum(),
        row_groups: members.iter().map(|member| member.metadata.metadata().num_row_groups()).sum(),
        codecs,
        written_by,
        time: times::times(members, &columns, sample.as_ref()),
        lost: lost(&columns),
        samples: sample::records(sample.as_ref(), &columns),
        columns,
    }
}

fn rows(member: &Opened<'_>) -> u64 {
    u64::try_from(member.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
}

fn codecs(member: &Opened<'_>) -> Vec<String> {
    let row_groups = member.metadata.metadata().row_groups().iter();
    let columns = row_groups.flat_map(|row_group| row_group.columns());
    let mut codecs: Vec<String> = columns
        // "ZSTD(ZstdLevel(1))": the level is not stored, the number is made up.
        .map(|column| format!("{:?}", column.compression()))
        .map(|codec| codec.split('(').next().unwrap_or(&codec).to_lowercase())
        .collect();
    codecs.sort();
    codecs.dedup();
    codecs
}

fn writer(member: &Opened<'_>) -> Option<String> {
    member.metadata.metadata().file_metadata().created_by().map(str::to_owned)
}

/// The optional fields that no column holds, and what that costs.
fn lost(columns: &[columns::Column]) -> Vec<Lost> {
    let absent = |field: &Field| !columns.iter().any(|column| column.field == Some(field.name()));
    let lost = |field: Field| {
        let metrics = Metric::ALL.into_iter().filter(|metric| metric.needs() == Some(field));
        let mut not_computed: Vec<String> = metrics.map(|metric| format!("metric {metric}")).collect();
        if field.is_dimension() {
            not_computed.push(format!("views by {field}"));
        }
        match field {
            Field::Time => not_computed.push("anything: time is required".to_owned()),
            Field::EventId => not_computed.push("removal of duplicates by id".to_owned()),
            _ => {}
        }
        Lost { field: field.name(), not_computed }
    };
    Field::ALL.into_iter().filter(absent).map(lost).collect()
}
