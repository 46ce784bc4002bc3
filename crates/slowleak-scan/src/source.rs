//! Where a file's bytes come from: a memory map or positioned reads. In: a path and what the plan knew
//! of the file. Out: a reader that the Parquet decoder can slice. It knows nothing of Parquet.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use slowleak_record::{InputError, InputResult};

use crate::map::map_file;

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// Memory maps: pages are decoded straight from the page cache. A file that changes during the scan is
    /// rejected, one that is shortened too.
    #[default]
    Mmap,
    /// Positioned reads into buffers: slower, for file systems that can not be mapped.
    Read,
}

/// Size and modification time, by which a file that changed under the scan is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) len: u64,
    modified: Option<SystemTime>,
}

/// An open file.
#[derive(Clone)]
pub(crate) struct Source {
    file: Arc<File>,
    map: Option<Bytes>,
    stamp: Stamp,
}

impl Source {
    /// Opens `path`; an empty file or a folder is an error here, so that no caller has to map nothing.
    pub(crate) fn open(path: &Path, io: Io) -> InputResult<Self> {
        let broken = |error: io::Error| {
            InputError::new(path, format!("can not be read: {error}"))
                .remedy("check the path and permissions")
        };
        let file = File::open(path).map_err(broken)?;
        let metadata = file.metadata().map_err(broken)?;
        if !metadata.is_file() {
            return Err(InputError::new(path, "is not a regular file").remedy("name a Parquet file"));
        }
        let stamp = Stamp { len: metadata.len(), modified: metadata.modified().ok() };
        if stamp.len == 0 {
            return Err(InputError::new(path, "the file is empty").remedy("write it again or leave it out"));
        }
        let map = match io {
            // SAFETY: the file is regular, and its size and time are compared with the plan's before and
            // after each row group. What remains of `map_file`'s contract is the user's: `Io::Mmap` says so.
            #[expect(unsafe_code, reason = "the one memory map of the program")]
            Io::Mmap => Some(unsafe { map_file(&file) }.map_err(broken)?),
            Io::Read => None,
        };
        Ok(Self { file: Arc::new(file), map, stamp })
    }

    /// Size and time at opening.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Fails if the file's size or time is no longer `planned`.
    pub(crate) fn check_unchanged(&self, path: &Path, planned: Stamp) -> InputResult<()> {
        let now = self.file.metadata().map_err(|error| InputError::new(path, error))?;
        let now = Stamp { len: now.len(), modified: now.modified().ok() };
        if now == planned && self.stamp == planned {
            return Ok(());
        }
        Err(InputError::new(path, "the file changed while it was being read")
            .remedy("scan files that are complete, or run again"))
    }

    /// Reads into `buffer` at `offset`, as far as the file goes.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&*self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, offset);
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.stamp.len
    }
}

impl ChunkReader for Source {
    type T = SourceRead;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        if start > self.stamp.len {
            return Err(past_end(start, 0));
        }
        Ok(SourceRead { source: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.stamp.len);
        let end = end.ok_or_else(|| past_end(start, length))?;
        if let Some(map) = &self.map {
            return Ok(map.slice(start as usize..end as usize));
        }
        let mut buffer = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.read_at(&mut buffer[filled..], start + filled as u64) {
                Ok(0) => return Err(past_end(start, length)),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(buffer.into())
    }
}

fn past_end(start: u64, length: usize) -> ParquetError {
    ParquetError::EOF(format!("{length} bytes at {start} lie past the end of the file"))
}

/// A sequential reader over a [`Source`], independent of every other.
pub(crate) struct SourceRead {
    source: Source,
    at: u64,
}

impl Read for SourceRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.source.map {
            Some(map) => {
                let mut rest = map.get(self.at as usize..).unwrap_or_default();
                let n = rest.len().min(buffer.len());
                rest.copy_to_slice(&mut buffer[..n]);
                n
            }
            None => self.source.read_at(buffer, self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}
