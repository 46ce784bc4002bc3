//! One Parquet file of a view. In: its path. Out: its metrics, its row groups, and batches of the rows that are asked
//! for.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::basic::{ConvertedType, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use slowleak_record::{InputError, InputResult, guarded};
use slowleak_scan::columns::TextColumn;

use crate::Metric;

/// The column of entities.
const ENTITY: &str = "entity";

/// Columns that every file of a rollup has.
const NEEDED: [&str; 3] = [ENTITY, "window", "events"];

/// Rows a batch: with sketches of a kilobyte each, 8 MiB.
const BATCH_ROWS: usize = 1 << 13;

/// Which rows are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// All of them.
    All,
    /// Those of a row group.
    Group(usize),
    /// Those of an entity.
    Entity(&'a str),
}

/// See the module.
pub(crate) struct ViewFile<'a> {
    pub(crate) path: &'a Path,
    file: File,
    footer: ArrowReaderMetadata,
    /// The metrics that its columns hold.
    pub(super) metrics: Vec<Metric>,
}

impl<'a> ViewFile<'a> {
    /// Opens the file for some `rows`: an entity's are found faster by the place of every page, which whoever reads all
    /// of them need not know.
    pub(crate) fn open(path: &'a Path, rows: Rows<'_>) -> InputResult<Self> {
        let file = File::open(path).map_err(|error| {
            InputError::new(path, error).remedy("let nothing else change the rollup, and run again")
        })?;
        let places = match rows {
            Rows::Entity(_) => PageIndexPolicy::Optional,
            Rows::All | Rows::Group(_) => PageIndexPolicy::Skip,
        };
        let footer = guarded(|| footer(&file, places)).map_err(|cause| {
            InputError::new(path, cause).remedy("a rollup holds Parquet files only: write or copy it again")
        })?;
        let metrics = metrics(path, footer.schema())?;
        Ok(Self { path, file, footer, metrics })
    }

    /// Whether [`Rollup::write`](crate::Rollup::write) made the file, told by the name of the writer in its footer.
    pub(crate) fn is_ours(&self) -> bool {
        let writer = self.footer.metadata().file_metadata().created_by();
        writer.is_some_and(|writer| writer.starts_with("slowleak rollup "))
    }

    /// The row groups.
    pub(crate) fn groups(&self) -> &[RowGroupMetaData] {
        self.footer.metadata().row_groups()
    }

    /// Rows of the file before those that are read; nothing where some are passed over in between.
    pub(crate) fn before(&self, rows: Rows<'_>) -> Option<usize> {
        let groups = match rows {
            Rows::All => 0,
            Rows::Group(group) => group,
            Rows::Entity(_) => return None,
        };
        self.groups().iter().take(groups).map(|group| usize::try_from(group.num_rows()).ok()).sum()
    }

    /// Reads batches of `rows`, one a call, with the columns of some metrics.
    pub(crate) fn batches(
        &self,
        metrics: &[Metric],
        rows: Rows<'_>,
    ) -> InputResult<impl FnMut() -> InputResult<Option<RecordBatch>> + use<'a>> {
        let path = self.path;
        let mut reader = guarded(|| self.reader(metrics, rows)).map_err(|cause| damaged(path, cause))?;
        Ok(move || guarded(|| reader.next().transpose()).map_err(|cause| damaged(path, cause)))
    }

    fn reader(&self, metrics: &[Metric], rows: Rows<'_>) -> Result<ParquetRecordBatchReader, ParquetError> {
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, self.footer.clone())
                .with_projection(self.columns(|name| {
                    metrics.iter().any(|metric| column(*metric) == name) || NEEDED.contains(&name)
                }))
                .with_batch_size(BATCH_ROWS);
        let builder = match rows {
            Rows::All => builder,
            Rows::Group(group) => builder.with_row_groups(vec![group]),
            Rows::Entity(name) => {
                let entity = self.columns(|column| column == ENTITY);
                let is_entity = ArrowPredicateFn::new(entity, names(name.to_owned()));
                builder
                    .with_row_groups(self.groups_with(name))
                    .with_row_filter(RowFilter::new(vec![Box::new(is_entity)]))
            }
        };
        builder.build()
    }

    /// The row groups that can hold an entity, by what the footer says of their first and last.
    fn groups_with(&self, entity: &str) -> Vec<usize> {
        let groups = self.groups().iter().enumerate();
        groups.filter(|(_, group)| can_hold(group, entity)).map(|(group, _)| group).collect()
    }

    /// Whether some row of the group can be of one of these entities.
    pub(crate) fn can_hold_any(&self, group: usize, entities: &[&str]) -> bool {
        let group = self.groups().get(group);
        group.is_some_and(|group| entities.iter().any(|entity| can_hold(group, entity)))
    }

    fn columns(&self, wanted: impl Fn(&str) -> bool) -> ProjectionMask {
        let fields = self.footer.schema().fields().iter().enumerate();
        let roots = fields.filter(|(_, field)| wanted(field.name())).map(|(at, _)| at);
        ProjectionMask::roots(self.footer.parquet_schema(), roots.collect::<Vec<_>>())
    }
}

/// The column that holds a metric.
fn column(metric: Metric) -> &'static str {
    metric.sketch_column().unwrap_or(metric.name())
}

/// Whether some row of the group can be of the entity: text is ordered by its bytes.
fn can_hold(group: &RowGroupMetaData, entity: &str) -> bool {
    let column = group.columns().iter().find(|column| column.column_path().string() == ENTITY);
    // Other bytes than those of text are shown as other text; an old writer's extremes may be of another order.
    let text = |column: &&ColumnChunkMetaData| {
        let shape = column.column_descr();
        shape.logical_type_ref() == Some(&LogicalType::String)
            || shape.converted_type() == ConvertedType::UTF8
    };
    let Some(statistics @ Statistics::ByteArray(_)) =
        column.filter(text).and_then(|column| column.statistics())
    else {
        return true;
    };
    if statistics.is_min_max_deprecated() {
        return true;
    }
    let least = statistics.min_bytes_opt().is_none_or(|least| least <= entity.as_bytes());
    let largest = statistics.max_bytes_opt().is_none_or(|largest| entity.as_bytes() <= largest);
    least && largest
}

/// Whether the rows of a batch of the column of entities bear this name.
fn names(entity: String) -> impl FnMut(RecordBatch) -> Result<BooleanArray, ArrowError> + Send + 'static {
    let (mut column, mut wanted, mut searched) = (TextColumn::default(), None, 0);
    move |batch| {
        column
            .decode(batch.column(0))
            .map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?;
        let names = column.names();
        let new = searched..names.len() as u32;
        searched = new.end;
        wanted = wanted.or_else(|| new.into_iter().find(|id| names.name(*id) == entity));
        Ok(column.ids().iter().map(|id| Some(Some(*id) == wanted)).collect())
    }
}

/// What the file's footer says; entities will be read as entries of dictionaries.
fn footer(file: &File, places: PageIndexPolicy) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::load(file, options().with_offset_index_policy(places))?;
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let typed = plain.schema().fields().iter().map(|field| {
        if field.name() == ENTITY && *field.data_type() == DataType::Utf8 {
            Arc::new(field.as_ref().clone().with_data_type(text.clone()))
        } else {
            field.clone()
        }
    });
    let typed =
        Arc::new(Schema::new_with_metadata(typed.collect::<Vec<_>>(), plain.schema().metadata().clone()));
    ArrowReaderMetadata::try_new(plain.metadata().clone(), options().with_schema(typed))
}

/// The metrics that the columns hold.
fn metrics(path: &Path, schema: &Schema) -> InputResult<Vec<Metric>> {
    let has = |name: &str| schema.column_with_name(name).is_some();
    for name in NEEDED {
        if !has(name) {
            return Err(InputError::new(path, "no such column")
                .at(format!("column {name:?}"))
                .remedy("a rollup needs entity, window and events"));
        }
    }
    for (metric, sketch) in
        Metric::ALL.into_iter().filter_map(|metric| Some((metric, metric.sketch_column()?)))
    {
        if has(metric.name()) && !has(sketch) {
            return Err(InputError::new(path, format!("there is no column {sketch} beside it"))
                .at(format!("column {:?}", metric.name()))
                .remedy(
                    "estimates can not be added up: drop the column, or let `slowleak rollup` make the view",
                ));
        }
    }
    Ok(Metric::ALL.into_iter().filter(|metric| has(column(*metric))).collect())
}

fn damaged(path: &Path, cause: String) -> InputError {
    InputError::new(path, cause).remedy("the file is damaged: write or copy it again")
}
