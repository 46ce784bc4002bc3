//! The layout of one file: which column holds which field, of which type, and how it is best decoded.
//! In: the footer. Out: a role for each field, or the reason why the file can not be used.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::{BasicTypeInfo, SchemaDescriptor, Type};
use slowleak_record::{Field, FieldSet, InputError, InputFile, InputResult, Mapping, Micros, guarded};

use crate::source::Source;
use crate::{count_column, text_column, time_column};

/// Where a field's values come from.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// A column of the file: its position among the root columns and among the leaves, and the type that its
    /// values have.
    Column { root: usize, leaf: usize, kind: DataType },
    /// A Hive partition of the path: one value for every row.
    Constant(ArrayRef),
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    metadata: ArrowReaderMetadata,
    roles: [Option<Role>; Field::ALL.len()],
}

impl Layout {
    /// Reads the footer of `source`, which is `file`, and finds `fields`. Those that are only `welcome` are as if they were
    /// not there where they can not be used.
    pub(crate) fn read(
        source: &Source,
        file: &InputFile,
        mapping: &Mapping,
        fields: FieldSet,
        welcome: FieldSet,
    ) -> InputResult<Self> {
        let all = fields.union(welcome);
        let metadata = plain_text(&footer(source, file)?, all, mapping, file)?;
        let schema = metadata.schema().clone();
        let embedded = {
            let file = metadata.metadata().file_metadata();
            // A hint of the writer's, which may be of a type that this decoder panics on: the file is read without.
            guarded(|| parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())).ok()
        };
        let mut roles = [const { None }; Field::ALL.len()];
        for field in all.iter() {
            let names = schema.fields().iter().map(|column| column.name().as_str());
            let role = match mapping.find(field, names) {
                Some(root) => column(&metadata, &schema, embedded.as_ref(), field, root, file).map(Some),
                None => constant(field, file, mapping),
            };
            roles[field.index()] = if fields.contains(field) { role? } else { role.unwrap_or_default() };
        }
        let layout = Self { metadata, roles };
        layout.check_required(file, mapping)?;
        Ok(layout)
    }

    fn check_required(&self, file: &InputFile, mapping: &Mapping) -> InputResult<()> {
        let columns = || {
            let names = self.metadata.schema().fields().iter();
            names.map(|column| column.name().as_str()).collect::<Vec<_>>().join(", ")
        };
        if self.role(Field::Time).is_none() {
            return Err(InputError::new(
                &file.path,
                format!("no such column; the columns are {}", columns()),
            )
            .at(format!("column {:?}", mapping.column(Field::Time)))
            .remedy("name the time column in a map file (--map)"));
        }
        if self.role(Field::Key).is_none() && self.role(Field::User).is_none() {
            let (key, user) = (mapping.column(Field::Key), mapping.column(Field::User));
            return Err(InputError::new(
                &file.path,
                format!("neither column exists; the columns are {}", columns()),
            )
            .at(format!("columns {key:?} and {user:?}"))
            .remedy("name the key or the user column in a map file (--map)"));
        }
        Ok(())
    }

    /// Where `field` comes from; `None` where the file lacks it.
    pub(crate) fn role(&self, field: Field) -> Option<&Role> {
        self.roles[field.index()].as_ref()
    }

    /// The fields that the file has, of those that were asked for.
    pub(crate) fn fields(&self) -> FieldSet {
        Field::ALL.into_iter().filter(|field| self.role(*field).is_some()).collect()
    }

    /// The footer.
    pub(crate) fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    /// The footer with the arrow types in which columns are decoded where their pages are not: strings as views.
    pub(crate) fn typed(&self) -> Result<ArrowReaderMetadata, parquet::errors::ParquetError> {
        let schema = self.metadata.schema();
        let mut columns: Vec<_> = schema.fields().iter().cloned().collect();
        for field in Field::ALL {
            let Some(Role::Column { root, leaf, .. }) = self.role(field) else { continue };
            let wanted = match columns[*root].data_type() {
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                DataType::Timestamp(TimeUnit::Nanosecond, None)
                    if self.metadata.parquet_schema().column(*leaf).physical_type()
                        == PhysicalType::INT96 =>
                {
                    // INT96 reaches further than 64-bit nanoseconds.
                    DataType::Timestamp(TimeUnit::Microsecond, None)
                }
                _ => continue,
            };
            columns[*root] = Arc::new(columns[*root].as_ref().clone().with_data_type(wanted));
        }
        let schema = Arc::new(Schema::new_with_metadata(columns, schema.metadata().clone()));
        ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), reader_options().with_schema(schema))
    }
}

/// Types come from the Parquet schema alone, so that the answer does not depend on the writer.
fn reader_options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

fn footer(source: &Source, file: &InputFile) -> InputResult<ArrowReaderMetadata> {
    let edge = |start: u64| source.get_bytes(start, 4).ok();
    let magic: &[u8] = b"PAR1";
    if edge(0).is_none_or(|edge| edge != magic) {
        return Err(InputError::new(&file.path, "not a Parquet file")
            .at("first bytes")
            .remedy("scan reads Parquet only: convert the log, or leave the file out"));
    }
    let end = source.len().checked_sub(4).and_then(edge);
    if end.is_none_or(|end| end != magic) || source.len() < 12 {
        return Err(InputError::new(&file.path, "the file is truncated or still being written")
            .at("last bytes")
            .remedy("wait for its writer, or copy it again"));
    }
    guarded(|| ArrowReaderMetadata::load(source, reader_options())).map_err(|cause| {
        InputError::new(&file.path, cause).at("footer").remedy("the file is damaged: write or copy it again")
    })
}

/// The footer with the text columns of `fields` declared as plain bytes: the decoder would otherwise check
/// every value for UTF-8 and refuse the file for one bad byte. Names are checked once each instead.
fn plain_text(
    footer: &ArrowReaderMetadata,
    fields: FieldSet,
    mapping: &Mapping,
    file: &InputFile,
) -> InputResult<ArrowReaderMetadata> {
    let columns = footer.schema().fields().iter().map(|column| column.name().as_str());
    let roots: Vec<usize> = fields.iter().filter_map(|field| mapping.find(field, columns.clone())).collect();
    let plain = guarded(|| {
        let parquet = footer.metadata();
        let old = parquet.file_metadata();
        let mut types = old.schema_descr().root_schema().get_fields().to_vec();
        for (root, column) in types.iter_mut().enumerate() {
            let text = column.is_primitive() && column.get_physical_type() == PhysicalType::BYTE_ARRAY;
            let is_text = |column: &Type| parquet_type_is_text(column.get_basic_info());
            if text && roots.contains(&root) && is_text(column) {
                let bytes = Type::primitive_type_builder(column.name(), PhysicalType::BYTE_ARRAY)
                    .with_repetition(column.get_basic_info().repetition());
                *column = Arc::new(bytes.build()?);
            }
        }
        let root =
            Type::group_type_builder(old.schema_descr().root_schema().name()).with_fields(types).build()?;
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
        let file = FileMetaData::new(
            old.version(),
            old.num_rows(),
            old.created_by().map(str::to_owned),
            old.key_value_metadata().cloned(),
            schema,
            old.column_orders().cloned(),
        );
        let plain = ParquetMetaData::new(file, parquet.row_groups().to_vec());
        ArrowReaderMetadata::try_new(Arc::new(plain), reader_options())
    });
    plain.map_err(|cause| {
        InputError::new(&file.path, cause).at("footer").remedy("the file is damaged: write or copy it again")
    })
}

fn parquet_type_is_text(info: &BasicTypeInfo) -> bool {
    match info.logical_type_ref() {
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => true,
        Some(_) => false,
        None => {
            matches!(info.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
        }
    }
}

fn column(
    metadata: &ArrowReaderMetadata,
    schema: &SchemaRef,
    embedded: Option<&Schema>,
    field: Field,
    root: usize,
    file: &InputFile,
) -> InputResult<Role> {
    let arrow = schema.field(root);
    let mut kind = arrow.data_type().clone();
    // To Parquet a date64 and a timestamp in seconds are bare integers; only the arrow schema beside it tells.
    let told = embedded.and_then(|schema| schema.fields().get(root)).map(|column| column.data_type().clone());
    if let (Field::Time, Some(told @ (DataType::Date64 | DataType::Timestamp(TimeUnit::Second, _)))) =
        (field, told)
        && kind == DataType::Int64
    {
        kind = told;
    }
    if field == Field::Time
        && kind == DataType::Timestamp(TimeUnit::Nanosecond, None)
        && is_int96(metadata, root)
    {
        kind = DataType::Timestamp(TimeUnit::Microsecond, None);
    }
    let text = matches!(kind, DataType::Utf8 | DataType::Binary);
    let (usable, wanted) = match field {
        Field::Time => (text || time_column::accepts(&kind), "a timestamp, date, integer or text"),
        Field::Rows | Field::Bytes => (count_column::accepts(&kind), "an integer or a float"),
        _ => (text_column::accepts(&kind), "text, an integer or fixed-size binary"),
    };
    let leaf = leaf(metadata, root);
    match leaf {
        Some(leaf) if usable => Ok(Role::Column { root, leaf, kind }),
        _ => Err(InputError::new(&file.path, format!("its type is {kind}, expected {wanted}"))
            .at(format!("column {:?}", arrow.name()))
            .remedy("map the field onto another column (--map), or convert the column")),
    }
}

/// The only leaf under a root column; `None` where the column is nested.
fn leaf(metadata: &ArrowReaderMetadata, root: usize) -> Option<usize> {
    let descr = metadata.parquet_schema();
    let mut leaves = (0..descr.num_columns()).filter(|leaf| descr.get_column_root_idx(*leaf) == root);
    leaves.next().filter(|leaf| descr.column(*leaf).path().parts().len() == 1)
}

fn is_int96(metadata: &ArrowReaderMetadata, root: usize) -> bool {
    let descr = metadata.parquet_schema();
    leaf(metadata, root).is_some_and(|leaf| descr.column(leaf).physical_type() == PhysicalType::INT96)
}

/// The one-value array of a Hive partition named like the field or like its column.
fn constant(field: Field, file: &InputFile, mapping: &Mapping) -> InputResult<Option<Role>> {
    let value = file.partition(mapping.column(field)).or_else(|| file.partition(field.name()));
    let Some(value) = value else { return Ok(None) };
    let broken = |cause: String| {
        InputError::new(&file.path, cause)
            .at(format!("partition {:?} of the path", field.name()))
            .remedy("rename the folder, or add the column to the file")
    };
    let array: ArrayRef = match field {
        Field::Time => {
            let time: Micros = value.parse().map_err(|error| broken(format!("{error}")))?;
            Arc::new(TimestampMicrosecondArray::from(vec![time.0]))
        }
        Field::Rows | Field::Bytes => {
            let count: i64 = value.parse().map_err(|_| broken(format!("{value:?} is not a whole number")))?;
            Arc::new(Int64Array::from(vec![count]))
        }
        _ => Arc::new(StringArray::from(vec![value])),
    };
    Ok(Some(Role::Constant(array)))
}
