//! A sorted run: the cells of several views by entity, in one temporary file. In and out: entities of a view with
//! their cells, names ascending by bytes and windows ascending within.
//!
//! A record is the length of its rest and then: bytes of the name shared with the one before, bytes of its own with
//! their number; the number of cells; for each cell its window, counted in windows from the one before, its sums, and
//! its sketches with their lengths; the number of distinct sources of all cells, and for each its window and 16 bytes. All
//! numbers are of variable length. The file is read by the process that wrote it, and by no other.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::block::Shape;
use crate::cells::Cells;
use crate::varint;
use crate::{RollupError, Sketch, View};

/// Bytes written at once.
const BUFFER: usize = 1 << 18;

/// A hash of a source's name, long enough that two sources of one log never share it.
pub(crate) type SourceHash = [u8; 16];

/// The cells of one entity.
#[derive(Debug, Default)]
pub(crate) struct EntityCells {
    /// Ascending by window; the entity ids mean nothing.
    pub(crate) cells: Cells,
    /// (Window, source), ascending, for views that count distinct sources.
    pub(crate) sources: Vec<(i64, SourceHash)>,
}

impl EntityCells {
    pub(crate) fn new(width: usize) -> Self {
        Self { cells: Cells::new(width), sources: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.cells.entities.clear();
        self.cells.windows.clear();
        self.cells.sums.clear();
        self.cells.sketches.clear();
        self.sources.clear();
    }
}

/// Runs in one file: a file stays open until its runs are merged, and a process may open only so many.
const RUNS_A_FILE: usize = 32;

/// A finished run.
#[derive(Debug)]
pub(crate) struct Run {
    file: Arc<File>,
    /// Where each view lies.
    views: Vec<Range<u64>>,
    /// Runs of the file before this one.
    before: usize,
}

/// A run that is being written.
pub(crate) struct RunWriter<'a> {
    folder: &'a Path,
    file: BufWriter<Arc<File>>,
    at: u64,
    views: Vec<Range<u64>>,
    before: usize,
    last: Vec<u8>,
    record: Vec<u8>,
    sketch: Vec<u8>,
}

impl<'a> RunWriter<'a> {
    /// Starts a run in a file of its own, or behind the one that the same thread has written `last`.
    ///
    /// # Errors
    /// No file can be made in `folder`.
    pub(crate) fn new(folder: &'a Path, last: Option<&Run>) -> Result<Self, RollupError> {
        let last = last.filter(|run| run.before + 1 < RUNS_A_FILE);
        let (file, at, before) = match last {
            Some(run) => (run.file.clone(), run.end(), run.before + 1),
            None => {
                let file = tempfile::tempfile_in(folder).map_err(|error| full(folder, &error))?;
                (Arc::new(file), 0, 0)
            }
        };
        Ok(Self {
            folder,
            file: BufWriter::with_capacity(BUFFER, file),
            at,
            views: Vec::new(),
            before,
            last: Vec::new(),
            record: Vec::new(),
            sketch: Vec::new(),
        })
    }

    /// Begins the next view.
    pub(crate) fn start_view(&mut self) {
        self.views.push(self.at..self.at);
        self.last.clear();
    }

    /// Writes the next entity of the view.
    ///
    /// # Errors
    /// The disk is full.
    pub(crate) fn entity(&mut self, view: &View, name: &str, cells: &EntityCells) -> Result<(), RollupError> {
        let EntityCells { cells, sources } = cells;
        let record = &mut self.record;
        record.clear();
        let shared = self.last.iter().zip(name.as_bytes()).take_while(|(a, b)| a == b).count();
        varint::put(shared as u64, record);
        varint::put((name.len() - shared) as u64, record);
        record.extend_from_slice(&name.as_bytes()[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&name.as_bytes()[shared..]);
        varint::put(cells.windows.len() as u64, record);
        let length = view.window.micros();
        let mut before = 0;
        for (cell, window) in cells.windows.iter().enumerate() {
            let at = window.div_euclid(length);
            varint::put_signed(at.wrapping_sub(before), record);
            before = at;
            for sum in &cells.sums[cell * cells.width..(cell + 1) * cells.width] {
                varint::put(*sum as u64, record);
            }
            for sketch in cells.sketches.columns().into_iter().filter_map(|column| column.get(cell)) {
                self.sketch.clear();
                sketch.append_bytes(&mut self.sketch);
                varint::put(self.sketch.len() as u64, record);
                record.extend_from_slice(&self.sketch);
            }
        }
        varint::put(sources.len() as u64, record);
        for (window, source) in sources {
            varint::put_signed(window.div_euclid(length), record);
            record.extend_from_slice(source);
        }
        let mut head = Vec::with_capacity(varint::MOST_BYTES);
        varint::put(record.len() as u64, &mut head);
        let mut write = |bytes: &[u8]| self.file.write_all(bytes).map_err(|error| full(self.folder, &error));
        write(&head)?;
        write(&self.record)?;
        self.at += (head.len() + self.record.len()) as u64;
        if let Some(view) = self.views.last_mut() {
            view.end = self.at;
        }
        Ok(())
    }

    /// # Errors
    /// The disk is full.
    pub(crate) fn finish(self) -> Result<Run, RollupError> {
        let file = self.file.into_inner().map_err(|error| full(self.folder, error.error()))?;
        Ok(Run { file, views: self.views, before: self.before })
    }
}

fn full(folder: &Path, error: &io::Error) -> RollupError {
    RollupError::Spill { path: folder.to_path_buf(), cause: error.to_string() }
}

impl Run {
    fn end(&self) -> u64 {
        self.views.last().map_or(0, |view| view.end)
    }

    /// Reads the entities of a view, by its position, so many bytes at once.
    pub(crate) fn read(&self, view: usize, at_once: usize) -> RunReader {
        RunReader {
            file: self.file.clone(),
            left: self.views.get(view).cloned().unwrap_or_default(),
            at_once,
            buffer: Vec::new(),
            at: 0,
            record: 0..0,
        }
    }
}

/// A view of a run, entity by entity.
pub(crate) struct RunReader {
    file: Arc<File>,
    /// What has not been read into the buffer yet.
    left: Range<u64>,
    /// Bytes read at once.
    at_once: usize,
    buffer: Vec<u8>,
    at: usize,
    /// What is left of the last record, in the buffer.
    record: Range<usize>,
}

impl RunReader {
    /// Moves on to the next entity: `name`, which holds the name before, becomes its name. `false` at the end.
    ///
    /// # Errors
    /// The file is not what was written.
    pub(crate) fn next(&mut self, name: &mut Vec<u8>) -> Result<bool, RollupError> {
        self.advance(name).map_err(|error| unreadable(&error))
    }

    fn advance(&mut self, name: &mut Vec<u8>) -> io::Result<bool> {
        self.have(varint::MOST_BYTES)?;
        if self.at == self.buffer.len() {
            return Ok(false);
        }
        let mut rest = &self.buffer[self.at..];
        let length =
            varint::get(&mut rest).and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
        self.at = self.buffer.len() - rest.len();
        self.have(length)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.buffer.len()).ok_or_else(cut)?;
        let mut rest = &self.buffer[self.at..end];
        let shared = varint::get(&mut rest).ok_or_else(cut)? as usize;
        let own = varint::get(&mut rest).ok_or_else(cut)? as usize;
        name.truncate(shared);
        name.extend_from_slice(rest.split_off(..own).ok_or_else(cut)?);
        self.record = end - rest.len()..end;
        self.at = end;
        Ok(true)
    }

    /// Appends the cells of the entity.
    ///
    /// # Errors
    /// The file is not what was written.
    pub(crate) fn cells(&self, view: &View, shape: &Shape, out: &mut EntityCells) -> Result<(), RollupError> {
        self.decode(view, shape, out).map_err(|error| unreadable(&error))
    }

    fn decode(&self, view: &View, shape: &Shape, out: &mut EntityCells) -> io::Result<()> {
        let EntityCells { cells, sources } = out;
        let mut rest = &self.buffer[self.record.clone()];
        let length = view.window.micros();
        let count = varint::get(&mut rest).ok_or_else(cut)?;
        let mut at = 0_i64;
        for _ in 0..count {
            at = at.wrapping_add(varint::get_signed(&mut rest).ok_or_else(cut)?);
            cells.entities.push(0);
            cells.windows.push(at.wrapping_mul(length));
            for _ in 0..cells.width {
                cells.sums.push(varint::get(&mut rest).ok_or_else(cut)? as i64);
            }
            let columns = cells.sketches.columns_mut().into_iter().zip(shape.sketched);
            for (sketches, _) in columns.filter(|(_, sketched)| *sketched) {
                let length = varint::get(&mut rest).ok_or_else(cut)? as usize;
                let bytes = rest.split_off(..length).ok_or_else(cut)?;
                sketches.push(Sketch::from_bytes(bytes).map_err(io::Error::other)?);
            }
        }
        for _ in 0..varint::get(&mut rest).ok_or_else(cut)? {
            let window = varint::get_signed(&mut rest).ok_or_else(cut)?.wrapping_mul(length);
            let (source, after) = rest.split_first_chunk().ok_or_else(cut)?;
            sources.push((window, *source));
            rest = after;
        }
        Ok(())
    }

    /// Reads until `bytes` lie in the buffer from `at` on, or as many as there are.
    fn have(&mut self, bytes: usize) -> io::Result<()> {
        while self.buffer.len() - self.at < bytes && !self.left.is_empty() {
            self.buffer.drain(..self.at);
            self.at = 0;
            let start = self.buffer.len();
            // The buffer never grows beyond what is read at once, unless a record is longer.
            let room = self.at_once.max(bytes) - start;
            let more = (self.left.end - self.left.start).min(room as u64) as usize;
            self.buffer.resize(start + more, 0);
            let read = read_at(&self.file, &mut self.buffer[start..], self.left.start)?;
            self.buffer.truncate(start + read);
            self.left.start += read as u64;
            if read == 0 {
                return Err(cut());
            }
        }
        Ok(())
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, buffer, offset);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset);
        match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early")
}

fn unreadable(error: &io::Error) -> RollupError {
    RollupError::Unspill { cause: error.to_string() }
}
