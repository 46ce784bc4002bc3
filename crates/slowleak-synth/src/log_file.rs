//! One file of the log. In: row groups of records. Out: Parquet in the native layout.

use std::io::Write;

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::batch::{Columns, Values};
use crate::layout::Layout;
use crate::text_chunk::text_chunk;

/// See the module.
pub(crate) struct LogFile<'a, W: Write + Send> {
    layout: &'a Layout<'a>,
    writer: SerializedFileWriter<W>,
}

impl<'a, W: Write + Send> LogFile<'a, W> {
    /// Begins the file.
    pub(crate) fn new(sink: W, layout: &'a Layout<'a>) -> Result<Self, ParquetError> {
        let schema = layout.schema.root_schema_ptr();
        let writer = SerializedFileWriter::new(sink, schema, layout.properties.clone())?;
        Ok(Self { layout, writer })
    }

    /// Adds a row group.
    pub(crate) fn write(&mut self, columns: &Columns) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (values, column) in columns.values(self.layout).into_iter().zip(self.layout.schema.columns()) {
            match values {
                Values::Numbers(numbers) => plain::<Int64Type, W>(&mut group, numbers)?,
                Values::Texts(ids, texts) => {
                    let (bytes, closed) = text_chunk(ids, texts, column.clone())?;
                    group.append_column(&bytes, closed)?;
                }
                Values::EventIds(ids) => plain::<ByteArrayType, W>(&mut group, &hex(ids))?,
            }
        }
        group.close()?;
        Ok(())
    }

    /// Writes the footer.
    pub(crate) fn finish(mut self) -> Result<(), ParquetError> {
        self.writer.finish()?;
        Ok(())
    }
}

/// Adds a column of values as they are.
fn plain<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("the layout lacks a column".to_owned()));
    };
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

/// Sixteen hexadecimal digits each.
fn hex(ids: &[u64]) -> Vec<ByteArray> {
    const DIGITS: usize = 16;
    let digit = |id: u64, place: usize| b"0123456789abcdef"[(id >> (60 - 4 * place) & 15) as usize];
    let digits = ids.iter().flat_map(|&id| (0..DIGITS).map(move |place| digit(id, place)));
    let text = Bytes::from_iter(digits);
    (0..ids.len()).map(|n| text.slice(n * DIGITS..(n + 1) * DIGITS).into()).collect()
}
