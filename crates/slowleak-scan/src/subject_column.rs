//! The column of subjects: their hashes, and those of their blocks where these are asked for. Whoever does not ask pays
//! nothing for them.

use parquet::errors::ParquetError;
use slowleak_record::Field;

use crate::chunk::Subjects;
use crate::column::{Column, Opening};
use crate::meaning::{BlockHashes, Hashed, Hashes};

/// See the module.
pub(crate) enum SubjectColumn {
    Alone(Column<u64>),
    /// Of each row both hashes, and the same side by side, which is how they are counted.
    WithBlocks {
        column: Column<Hashed>,
        hashes: Vec<u64>,
        blocks: Vec<u64>,
        scratch: Vec<u64>,
    },
}

impl SubjectColumn {
    /// Opens the column; `None` where the file lacks it.
    pub(crate) fn open(opening: &Opening<'_>, with_blocks: bool) -> Result<Option<Self>, ParquetError> {
        if !with_blocks {
            return Ok(Column::open(opening, Field::Subject)?.map(Self::Alone));
        }
        let column = Column::open(opening, Field::Subject)?;
        Ok(column.map(|column| Self::WithBlocks {
            column,
            hashes: Vec::new(),
            blocks: Vec::new(),
            scratch: Vec::new(),
        }))
    }

    /// Replaces the batch by the next `rows` rows.
    pub(crate) fn read(&mut self, opening: &Opening<'_>, rows: usize) -> Result<(), String> {
        match self {
            Self::Alone(column) => {
                let kind = column.kind.clone();
                column.read(opening, rows, &mut Hashes { kind: &kind })
            }
            Self::WithBlocks { column, scratch, .. } => {
                let kind = column.kind.clone();
                column.read(opening, rows, &mut BlockHashes { kind: &kind, scratch })?;
                self.split();
                Ok(())
            }
        }
    }

    /// Keeps the rows for which `keep` holds.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        match self {
            Self::Alone(column) => column.retain(keep),
            Self::WithBlocks { column, .. } => {
                column.retain(keep);
                self.split();
            }
        }
    }

    /// The batch.
    pub(crate) fn subjects(&self) -> Subjects<'_> {
        match self {
            Self::Alone(column) => Subjects { hashes: &column.out, blocks: &[], valid: &column.valid },
            Self::WithBlocks { column, hashes, blocks, .. } => {
                Subjects { hashes, blocks, valid: &column.valid }
            }
        }
    }

    /// Whether the next value comes straight from a page.
    #[cfg(test)]
    pub(crate) fn reads_pages(&self) -> bool {
        match self {
            Self::Alone(column) => column.reads_pages(),
            Self::WithBlocks { column, .. } => column.reads_pages(),
        }
    }

    fn split(&mut self) {
        if let Self::WithBlocks { column, hashes, blocks, .. } = self {
            hashes.clear();
            hashes.extend(column.out.iter().map(|hashed| hashed.subject));
            blocks.clear();
            blocks.extend(column.out.iter().map(|hashed| hashed.block));
        }
    }
}
