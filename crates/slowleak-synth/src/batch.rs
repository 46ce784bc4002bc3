//! Columns of a batch under way, and their conversion to Arrow: strings are dictionary arrays built straight
//! from ids, so that no string is made per record.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use slowleak_record::Status;

use crate::leak::LeakKey;
use crate::plan::Plan;
use crate::scenario::Scenario;

/// Id of a null cell.
pub(crate) const NULL: i32 = -1;

/// Statuses by id.
pub(crate) const STATUSES: [Status; 4] = [Status::Ok, Status::Denied, Status::Missing, Status::Error];

/// The strings that ids stand for, shared by all batches.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) schema: SchemaRef,
    keys: Arc<StringArray>,
    users: Arc<StringArray>,
    sources: Arc<StringArray>,
    regions: Arc<StringArray>,
    actions: Arc<StringArray>,
    objects: Arc<StringArray>,
    statuses: Arc<StringArray>,
}

impl Names {
    pub(crate) fn new(plan: &Plan, scenario: &Scenario) -> Self {
        let world = &plan.world;
        let own = plan.leaks.iter().filter_map(|leak| match &leak.key {
            Some(LeakKey::Own(_, own)) => Some(own.name.as_str()),
            _ => None,
        });
        let keys = world.keys.iter().map(|key| key.name.as_str()).chain(own);
        let population = &scenario.file.population;
        let regions = std::iter::once(&population.home).chain(&population.abroad);
        let array = |names: &mut dyn Iterator<Item = &str>| Arc::new(StringArray::from_iter_values(names));
        Self {
            schema: schema(scenario.file.event_id),
            keys: Arc::new(StringArray::from_iter_values(keys)),
            users: array(&mut world.users.iter().map(|user| user.name.as_str())),
            sources: array(&mut world.sources.names.iter().map(String::as_str)),
            regions: array(&mut regions.map(String::as_str)),
            actions: array(&mut world.objects.actions.iter().map(String::as_str)),
            objects: array(&mut world.objects.names.iter().map(String::as_str)),
            statuses: array(&mut STATUSES.into_iter().map(Status::name)),
        }
    }
}

/// The native layout of the access record.
pub(crate) fn schema(event_id: bool) -> SchemaRef {
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
    Arc::new(Schema::new(fields))
}

/// Columns under way.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) time: Vec<i64>,
    pub(crate) key: Vec<i32>,
    pub(crate) user: Vec<i32>,
    pub(crate) source: Vec<i32>,
    pub(crate) region: Vec<i32>,
    pub(crate) action: Vec<i32>,
    pub(crate) object: Vec<i32>,
    pub(crate) subject: Vec<i64>,
    pub(crate) rows: Vec<i64>,
    pub(crate) bytes: Vec<i64>,
    pub(crate) status: Vec<i32>,
    /// Accounts that stand in the user column; their id there is the number of users plus the place here.
    pub(crate) members: Vec<i64>,
    /// Empty where the log has no event ids.
    pub(crate) event_id: Vec<u64>,
}

impl Columns {
    pub(crate) fn with_capacity(records: usize) -> Self {
        let (ids, wide) = (|| Vec::with_capacity(records), || Vec::with_capacity(records));
        Self {
            time: wide(),
            key: ids(),
            user: ids(),
            source: ids(),
            region: ids(),
            action: ids(),
            object: ids(),
            subject: wide(),
            rows: wide(),
            bytes: wide(),
            status: ids(),
            members: Vec::new(),
            event_id: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// Turns the columns into a batch and leaves them empty.
    pub(crate) fn take(&mut self, names: &Names) -> Result<RecordBatch, ArrowError> {
        let capacity = self.time.capacity();
        let columns = std::mem::replace(self, Self::with_capacity(capacity));
        let users =
            if columns.members.is_empty() { names.users.clone() } else { columns.with_members(names) };
        let wide = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from(columns.time).with_timezone("UTC")),
            dictionary(columns.key, &names.keys)?,
            dictionary(columns.user, &users)?,
            dictionary(columns.source, &names.sources)?,
            dictionary(columns.region, &names.regions)?,
            dictionary(columns.action, &names.actions)?,
            dictionary(columns.object, &names.objects)?,
            wide(columns.subject),
            wide(columns.rows),
            wide(columns.bytes),
            dictionary(columns.status, &names.statuses)?,
        ];
        if names.schema.fields().len() > arrays.len() {
            arrays.push(Arc::new(hex(&columns.event_id)));
        }
        RecordBatch::try_new(names.schema.clone(), arrays)
    }

    fn with_members(&self, names: &Names) -> Arc<StringArray> {
        let fixed = names.users.iter().flatten();
        let mut all = StringBuilder::with_capacity(names.users.len() + self.members.len(), 0);
        fixed.for_each(|name| all.append_value(name));
        let mut name = String::new();
        for member in &self.members {
            name.clear();
            // Writing to a string can not fail.
            let _ = write!(name, "member-{member}");
            all.append_value(&name);
        }
        Arc::new(all.finish())
    }
}

fn dictionary(mut ids: Vec<i32>, names: &Arc<StringArray>) -> Result<ArrayRef, ArrowError> {
    let nulls = ids.contains(&NULL).then(|| NullBuffer::from_iter(ids.iter().map(|&id| id != NULL)));
    if nulls.is_some() {
        ids.iter_mut().for_each(|id| *id = (*id).max(0));
    }
    let ids = Int32Array::new(ids.into(), nulls);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(ids, names.clone())?))
}

/// Sixteen hexadecimal digits each.
fn hex(ids: &[u64]) -> StringArray {
    let mut text = StringBuilder::with_capacity(ids.len(), ids.len() * 16);
    for id in ids {
        let digit = |place: usize| b"0123456789abcdef"[(id >> (60 - 4 * place) & 15) as usize];
        let digits: [u8; 16] = std::array::from_fn(digit);
        text.append_value(std::str::from_utf8(&digits).unwrap_or_default());
    }
    text.finish()
}
