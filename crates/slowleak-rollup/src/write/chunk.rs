//! A column chunk: pages of one column in one row group, with what the footer says of them. In: encoded pages,
//! in order. Out: the chunk's bytes, and, once it has its place in the file, its metadata. It knows no table.

use std::io::Write;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// Level 3 takes half as long again and saves no more.
const ZSTD_LEVEL: i32 = 1;

/// What a first page shrinks to at most where compression is worth its time, some 1.5 ns a byte.
const MOST_PER_CENT: usize = 80;

/// The least and the largest value of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Extremes {
    Integers(i64, i64),
    Texts(ByteArray, ByteArray),
}

/// See the module.
pub(super) struct Chunk {
    column: ColumnDescPtr,
    sink: TrackedWrite<Vec<u8>>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    uncompressed_bytes: u64,
    rows: usize,
    dictionary: bool,
    stats: Vec<PageEncodingStats>,
    pages: Vec<DataPage>,
    /// About how many there will be.
    expected_pages: usize,
}

/// A data page in the chunk.
struct DataPage {
    offset: u64,
    /// With its header.
    bytes: u64,
    rows: usize,
    extremes: Option<Extremes>,
}

/// What the footer says of a chunk.
pub(super) struct Placed {
    pub(super) metadata: ColumnChunkMetaData,
    pub(super) column_index: ColumnIndexMetaData,
    pub(super) offset_index: OffsetIndexMetaData,
}

impl Chunk {
    /// An empty chunk of `column`, of about so many pages, compressed if that turns out to be worth it.
    ///
    /// # Errors
    /// The compressor does not start.
    pub(super) fn new(
        column: ColumnDescPtr,
        compressible: bool,
        expected_pages: usize,
    ) -> Result<Self, ParquetError> {
        let zstd = compressible.then(|| zstd::bulk::Compressor::new(ZSTD_LEVEL)).transpose()?;
        Ok(Self {
            column,
            sink: TrackedWrite::new(Vec::new()),
            zstd,
            uncompressed_bytes: 0,
            rows: 0,
            dictionary: false,
            stats: Vec::new(),
            pages: Vec::new(),
            expected_pages,
        })
    }

    /// Writes the dictionary, before all data pages: `entries` plain values, ascending.
    ///
    /// # Errors
    /// The page is longer than 2 GiB.
    pub(super) fn dictionary(&mut self, page: Vec<u8>, entries: usize) -> Result<(), ParquetError> {
        self.dictionary = true;
        let size = page.len();
        let buf = self.compressed(page)?;
        let num_values = entries as u32;
        let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: true };
        self.write(page, size)?;
        Ok(())
    }

    /// Writes a data page of `rows` values, of which none is null.
    ///
    /// # Errors
    /// The page is longer than 2 GiB.
    pub(super) fn page(
        &mut self,
        page: Vec<u8>,
        rows: usize,
        encoding: Encoding,
        extremes: Option<Extremes>,
    ) -> Result<(), ParquetError> {
        let size = page.len();
        let page = Page::DataPage {
            buf: self.compressed(page)?,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        if self.pages.is_empty() {
            // Pages are much alike.
            self.sink.inner_mut().reserve(page.buffer().len() * self.expected_pages);
        }
        let (offset, bytes) = self.write(page, size)?;
        self.pages.push(DataPage { offset, bytes, rows, extremes });
        self.rows += rows;
        Ok(())
    }

    /// The page as it is stored. The first one decides for all of them.
    fn compressed(&mut self, page: Vec<u8>) -> Result<Bytes, ParquetError> {
        let Some(zstd) = &mut self.zstd else { return Ok(page.into()) };
        let short = zstd.compress(&page)?;
        if self.stats.is_empty() && short.len() > page.len() / 100 * MOST_PER_CENT {
            self.zstd = None;
            return Ok(page.into());
        }
        Ok(short.into())
    }

    /// Where the page begins, and how long it is with its header.
    fn write(&mut self, page: Page, uncompressed: usize) -> Result<(u64, u64), ParquetError> {
        let (page_type, encoding) = (page.page_type(), page.encoding());
        match self.stats.last_mut() {
            Some(last) if last.page_type == page_type && last.encoding == encoding => last.count += 1,
            _ => self.stats.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
        let page = CompressedPage::new(page, uncompressed);
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.uncompressed_bytes += spec.uncompressed_size as u64;
        Ok((spec.offset, spec.bytes_written))
    }

    /// The chunk's bytes.
    ///
    /// # Errors
    /// None in practice: memory takes all that is written to it.
    pub(super) fn bytes(&mut self) -> Result<&[u8], ParquetError> {
        self.sink.flush()?;
        Ok(self.sink.inner())
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// What the footer says of the chunk where it begins at byte `start` of the file. Its least and largest values
    /// are told where every page has them.
    ///
    /// # Errors
    /// None in practice: the metadata do not add up.
    pub(super) fn placed(self, start: u64) -> Result<Placed, ParquetError> {
        let codec = match self.zstd {
            Some(_) => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
            None => Compression::UNCOMPRESSED,
        };
        let extremes: Option<Vec<Extremes>> = self.pages.iter().map(|page| page.extremes.clone()).collect();
        let extremes = extremes.unwrap_or_default();
        let first = self.pages.first().map_or(0, |page| page.offset);
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(codec)
            .set_encodings(self.stats.iter().map(|stats| stats.encoding).collect())
            .set_page_encoding_stats(self.stats)
            .set_total_compressed_size(self.sink.bytes_written() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset((start + first) as i64)
            .set_dictionary_page_offset(self.dictionary.then_some(start as i64))
            .set_statistics(statistics(self.column.physical_type(), &extremes))
            .build()?;
        let mut offset_index = OffsetIndexBuilder::new();
        for page in &self.pages {
            offset_index.append_row_count(page.rows as i64);
            offset_index.append_offset_and_size((start + page.offset) as i64, page.bytes as i32);
        }
        let column_index = match extremes.as_slice() {
            [] => ColumnIndexMetaData::NONE,
            pages => column_index(self.column.physical_type(), pages)?,
        };
        Ok(Placed { metadata, column_index, offset_index: offset_index.build() })
    }
}

/// Statistics of a chunk from those of its pages: nothing is null.
fn statistics(column: Type, pages: &[Extremes]) -> Statistics {
    let all = pages.iter().cloned().reduce(Extremes::unite);
    let nulls = Some(0);
    match (column, all) {
        (_, Some(Extremes::Integers(least, largest))) => Statistics::Int64(
            ValueStatistics::new(Some(least), Some(largest), None, nulls, false)
                .with_backwards_compatible_min_max(true),
        ),
        (_, Some(Extremes::Texts(least, largest))) => {
            Statistics::ByteArray(ValueStatistics::new(Some(least), Some(largest), None, nulls, false))
        }
        (Type::BYTE_ARRAY, None) => {
            Statistics::ByteArray(ValueStatistics::new(None, None, None, nulls, false))
        }
        (Type::DOUBLE, None) => Statistics::Double(ValueStatistics::new(None, None, None, nulls, false)),
        (_, None) => Statistics::Int64(ValueStatistics::new(None, None, None, nulls, false)),
    }
}

fn column_index(column: Type, pages: &[Extremes]) -> Result<ColumnIndexMetaData, ParquetError> {
    let mut index = ColumnIndexBuilder::new(column);
    let ascending = pages.is_sorted_by(Extremes::precedes);
    index.set_boundary_order(if ascending { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED });
    for page in pages {
        let (least, largest) = match page {
            Extremes::Integers(least, largest) => {
                (least.to_le_bytes().to_vec(), largest.to_le_bytes().to_vec())
            }
            Extremes::Texts(least, largest) => (least.data().to_vec(), largest.data().to_vec()),
        };
        index.append(false, least, largest, 0);
    }
    index.build()
}

impl Extremes {
    /// Those of both.
    fn unite(self, other: Self) -> Self {
        match (self, other) {
            (Self::Integers(a, b), Self::Integers(c, d)) => Self::Integers(a.min(c), b.max(d)),
            (Self::Texts(a, b), Self::Texts(c, d)) => {
                let least = if c.data() < a.data() { c } else { a };
                let largest = if d.data() > b.data() { d } else { b };
                Self::Texts(least, largest)
            }
            (mine, _) => mine,
        }
    }

    /// Whether neither of these is above that of the other.
    fn precedes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integers(a, b), Self::Integers(c, d)) => a <= c && b <= d,
            (Self::Texts(a, b), Self::Texts(c, d)) => a.data() <= c.data() && b.data() <= d.data(),
            _ => false,
        }
    }
}
