//! The native layout of the access record in Parquet, and the strings that ids of its columns stand for.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use slowleak_record::Status;

use crate::leak::LeakKey;
use crate::plan::Plan;
use crate::scenario::Scenario;

/// Statuses by id.
pub(crate) const STATUSES: [Status; 4] = [Status::Ok, Status::Denied, Status::Missing, Status::Error];

/// What all files of a log share.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) schema: SchemaDescriptor,
    pub(crate) properties: WriterPropertiesPtr,
    pub(crate) keys: Vec<&'a str>,
    pub(crate) users: Vec<&'a str>,
    pub(crate) sources: Vec<&'a str>,
    pub(crate) regions: Vec<&'a str>,
    pub(crate) actions: Vec<&'a str>,
    pub(crate) objects: Vec<&'a str>,
    pub(crate) statuses: [&'a str; 4],
}

impl<'a> Layout<'a> {
    pub(crate) fn new(plan: &'a Plan, scenario: &Scenario) -> Result<Self, ParquetError> {
        let world = &plan.world;
        let own = plan.leaks.iter().filter_map(|leak| match &leak.key {
            Some(LeakKey::Own(_, own)) => Some(own.name.as_str()),
            _ => None,
        });
        let schema = schema(scenario.file.event_id);
        let mut properties = properties();
        // Readers of arrow then make dictionaries of the strings.
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        Ok(Self {
            schema: ArrowSchemaConverter::new().convert(&schema)?,
            properties: Arc::new(properties),
            keys: world.keys.iter().map(|key| key.name.as_str()).chain(own).collect(),
            users: world.users.iter().map(|user| user.name.as_str()).collect(),
            sources: world.sources.names.iter().map(String::as_str).collect(),
            regions: plan.region_names.iter().map(String::as_str).collect(),
            actions: world.objects.actions.iter().map(String::as_str).collect(),
            objects: world.objects.names.iter().map(String::as_str).collect(),
            statuses: STATUSES.map(Status::name),
        })
    }
}

fn schema(event_id: bool) -> Schema {
    let text = |name: &str| {
        let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Field::new(name, kind, true)
    };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("time", time, false),
        text("key"),
        text("user"),
        text("source"),
        text("region"),
        text("action"),
        text("object"),
        Field::new("subject", DataType::Int64, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
        text("status"),
    ];
    if event_id {
        fields.push(Field::new("event_id", DataType::Utf8, false));
    }
    Schema::new(fields)
}

/// How the columns of numbers are encoded; see `text_chunk` for the strings.
fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("slowleak-synth".to_owned())
        .set_compression(Compression::LZ4_RAW)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled(ColumnPath::from("rows"), true)
        // The least and the greatest of ids without an order are of no use to anyone.
        .set_column_statistics_enabled(ColumnPath::from("event_id"), EnabledStatistics::None);
    let encodings = [
        ("time", Encoding::DELTA_BINARY_PACKED),
        ("subject", Encoding::PLAIN),
        ("bytes", Encoding::DELTA_BINARY_PACKED),
    ];
    for (column, encoding) in encodings {
        properties = properties.set_column_encoding(ColumnPath::from(column), encoding);
    }
    properties.build()
}
