//! A column chunk: its pages one after the other, definition levels told from values, the dictionary announced
//! before the first index into it.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::Damage;
use super::delta::Delta;
use super::hybrid::Hybrid;
use super::texts::{TextPage, Texts};
use crate::source::Source;

/// Indices and integers that are handed over at once.
const LANES: usize = 1024;

/// Where values go: appended, in order, nulls left out.
pub(crate) trait Sink {
    /// A dictionary of strings begins; replaces any before it.
    ///
    /// # Errors
    /// More distinct strings than there can be ids.
    fn text_dictionary(&mut self, texts: Texts<'_>) -> Result<(), Damage>;
    /// A dictionary of integers begins; replaces any before it.
    fn integer_dictionary(&mut self, integers: &[i64]) -> Result<(), Damage>;
    /// Values, as places in the dictionary, all inside it.
    fn indices(&mut self, indices: &[u32]);
    /// Strings.
    fn texts(&mut self, texts: Texts<'_>) -> Result<(), Damage>;
    /// Integers.
    fn integers(&mut self, integers: &[i64]) -> Result<(), Damage>;
}

/// Why a chunk can not be read on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The bytes are damaged.
    Damaged(String),
    /// The encoding is not covered here; so many rows were read before it.
    Uncovered { rows: usize },
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage.0.to_owned())
    }
}

impl From<ParquetError> for Trouble {
    fn from(error: ParquetError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// See the module.
pub(crate) struct ColumnChunk {
    pages: SerializedPageReader<Source>,
    physical: PhysicalType,
    nullable: bool,
    /// Entries of the dictionary, once there is one.
    dictionary: Option<usize>,
    page: Option<OpenPage>,
    rows_read: usize,
    rows: usize,
    integers: Vec<i64>,
    levels: Vec<u32>,
}

/// A data page under way.
struct OpenPage {
    /// Rows left.
    rows: usize,
    /// Definition levels; `None` where every row has a value.
    levels: Option<Hybrid>,
    values: Values,
}

enum Values {
    Indices(Hybrid),
    Texts(Box<TextPage>),
    Deltas(Box<Delta>),
    Plain { bytes: Bytes, at: usize },
}

impl ColumnChunk {
    /// Opens a chunk of `rows` rows; `None` where its type is not covered.
    ///
    /// # Errors
    /// The footer points outside of the file.
    pub(crate) fn open(
        source: &Source,
        chunk: &ColumnChunkMetaData,
        rows: usize,
    ) -> Result<Option<Self>, ParquetError> {
        let descr = chunk.column_descr();
        let physical = chunk.column_type();
        let covered =
            matches!(physical, PhysicalType::INT32 | PhysicalType::INT64 | PhysicalType::BYTE_ARRAY);
        if !covered || descr.max_rep_level() > 0 || descr.max_def_level() > 1 {
            return Ok(None);
        }
        Ok(Some(Self {
            pages: SerializedPageReader::new(Arc::new(source.clone()), chunk, rows, None)?,
            physical,
            nullable: descr.max_def_level() == 1,
            dictionary: None,
            page: None,
            rows_read: 0,
            rows,
            integers: Vec::new(),
            levels: Vec::new(),
        }))
    }

    /// Hands the next `rows` rows to `sink`. `valid` gets one entry a row once a row among them is null; it stays
    /// empty where none is.
    pub(crate) fn read(
        &mut self,
        rows: usize,
        sink: &mut impl Sink,
        valid: &mut Vec<bool>,
    ) -> Result<(), Trouble> {
        valid.clear();
        let mut done = 0;
        while done < rows {
            let Some(page) = self.page.as_mut().filter(|page| page.rows > 0) else {
                self.next_page(sink)?;
                continue;
            };
            let some = page.rows.min(rows - done);
            let mut values = some;
            if let Some(levels) = &mut page.levels {
                self.levels.resize(some, 0);
                levels.read(&mut self.levels)?;
                values = self.levels.iter().map(|level| *level as usize).sum();
                if values > some {
                    return Err(Damage("a definition level is above the highest").into());
                }
            }
            if values < some && valid.is_empty() {
                valid.resize(done, true);
            }
            if values < some {
                valid.extend(self.levels.iter().map(|level| *level != 0));
            } else if !valid.is_empty() {
                valid.resize(done + some, true);
            }
            page.rows -= some;
            self.hand_over(values, sink)?;
            self.rows_read += some;
            done += some;
        }
        Ok(())
    }

    /// Hands over `count` values of the open page.
    fn hand_over(&mut self, mut count: usize, sink: &mut impl Sink) -> Result<(), Trouble> {
        let Some(page) = &mut self.page else { return Ok(()) };
        while count > 0 {
            let some = count.min(LANES);
            match &mut page.values {
                Values::Indices(hybrid) => {
                    let mut indices = [0; LANES];
                    let indices = &mut indices[..some];
                    hybrid.read(indices)?;
                    let most = indices.iter().fold(0, |most, index| most.max(*index));
                    if most as usize >= self.dictionary.unwrap_or(0) {
                        return Err(Damage("an index lies outside of its dictionary").into());
                    }
                    sink.indices(indices);
                }
                Values::Texts(texts) => sink.texts(texts.read(some)?)?,
                Values::Deltas(delta) => {
                    self.integers.clear();
                    delta.read(some, &mut self.integers)?;
                    if self.physical == PhysicalType::INT32 {
                        self.integers.iter_mut().for_each(|value| *value = i64::from(*value as i32));
                    }
                    sink.integers(&self.integers)?;
                }
                Values::Plain { bytes, at } => {
                    self.integers.clear();
                    *at += plain(&bytes[*at..], self.physical, some, &mut self.integers)?;
                    sink.integers(&self.integers)?;
                }
            }
            count -= some;
        }
        Ok(())
    }

    fn next_page(&mut self, sink: &mut impl Sink) -> Result<(), Trouble> {
        let Some(page) = self.pages.get_next_page()? else {
            return Err(Trouble::Damaged(format!(
                "the column ends after {} of {} rows",
                self.rows_read, self.rows
            )));
        };
        let uncovered = Trouble::Uncovered { rows: self.rows_read };
        match page {
            Page::DictionaryPage { buf, num_values, encoding, .. } => {
                if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
                    return Err(uncovered);
                }
                self.open_dictionary(buf, num_values as usize, sink)
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
                let mut values = buf;
                let mut levels = None;
                if self.nullable {
                    if def_level_encoding != Encoding::RLE {
                        return Err(uncovered);
                    }
                    let short = Damage("definition levels end early");
                    let length = values.first_chunk().ok_or(short)?;
                    let end = 4 + u32::from_le_bytes(*length) as usize;
                    if end > values.len() {
                        return Err(short.into());
                    }
                    levels = Some(Hybrid::new(values.slice(4..end), 1)?);
                    values = values.slice(end..);
                }
                self.open_page(num_values as usize, levels, values, encoding)
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let start = rep_levels_byte_len as usize;
                let end = start + def_levels_byte_len as usize;
                if end > buf.len() {
                    return Err(Damage("definition levels end early").into());
                }
                // How many nulls there are only the levels tell for sure.
                let levels = (self.nullable && (end > start || num_nulls > 0))
                    .then(|| Hybrid::new(buf.slice(start..end), 1))
                    .transpose()?;
                self.open_page(num_values as usize, levels, buf.slice(end..), encoding)
            }
        }
    }

    fn open_page(
        &mut self,
        rows: usize,
        levels: Option<Hybrid>,
        bytes: Bytes,
        encoding: Encoding,
    ) -> Result<(), Trouble> {
        if rows > self.rows - self.rows_read {
            return Err(Damage("the column has more rows than its row group").into());
        }
        let text = self.physical == PhysicalType::BYTE_ARRAY;
        let values = match encoding {
            // A page of nulls alone may lack even the width.
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => match bytes.first() {
                Some(width) => Values::Indices(Hybrid::new(bytes.slice(1..), u32::from(*width))?),
                None => Values::Indices(Hybrid::new(bytes, 0)?),
            },
            Encoding::PLAIN if text => Values::Texts(Box::new(TextPage::plain(bytes)?)),
            Encoding::PLAIN => Values::Plain { bytes, at: 0 },
            Encoding::DELTA_LENGTH_BYTE_ARRAY if text => {
                Values::Texts(Box::new(TextPage::lengths(bytes, rows)?))
            }
            Encoding::DELTA_BYTE_ARRAY if text => Values::Texts(Box::new(TextPage::prefixes(bytes, rows)?)),
            Encoding::DELTA_BINARY_PACKED if !text => Values::Deltas(Box::new(Delta::new(bytes)?)),
            _ => return Err(Trouble::Uncovered { rows: self.rows_read }),
        };
        self.page = Some(OpenPage { rows, levels, values });
        Ok(())
    }

    fn open_dictionary(&mut self, bytes: Bytes, entries: usize, sink: &mut impl Sink) -> Result<(), Trouble> {
        if self.dictionary.is_some() {
            return Err(Damage("the column has a second dictionary").into());
        }
        if self.physical == PhysicalType::BYTE_ARRAY {
            sink.text_dictionary(TextPage::plain(bytes)?.read(entries)?)?;
        } else {
            self.integers.clear();
            plain(&bytes, self.physical, entries, &mut self.integers)?;
            sink.integer_dictionary(&self.integers)?;
        }
        self.dictionary = Some(entries);
        Ok(())
    }
}

/// Appends `count` PLAIN integers; returns how many bytes they took.
fn plain(bytes: &[u8], physical: PhysicalType, count: usize, out: &mut Vec<i64>) -> Result<usize, Damage> {
    let wide = physical == PhysicalType::INT64;
    let size = count.checked_mul(if wide { 8 } else { 4 }).ok_or(Damage("a page is too long"))?;
    let bytes = bytes.get(..size).ok_or(Damage("a page of integers ends early"))?;
    if wide {
        out.extend(bytes.as_chunks::<8>().0.iter().map(|value| i64::from_le_bytes(*value)));
    } else {
        out.extend(bytes.as_chunks::<4>().0.iter().map(|value| i64::from(i32::from_le_bytes(*value))));
    }
    Ok(size)
}
