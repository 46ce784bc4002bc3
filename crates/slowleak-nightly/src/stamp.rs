//! By what a file is known again. In: a path. Out: its size, modification time and a checksum of its Parquet footer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// Bytes of a footer that are looked at, at most: a file of another kind may claim any length.
const MOST_FOOTER: u64 = 64 << 20;

/// The length of a footer and the mark of the format, at the end of a Parquet file.
const TAIL: u64 = 8;

/// See the module. Where any of it differs, the file counts as another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub bytes: u64,
    /// Nanoseconds since 1970-01-01 at which it was last written, as the file system tells.
    pub modified: i64,
    /// XXH3-64 of the footer, in hexadecimal.
    pub footer: String,
}

impl Stamp {
    /// The stamp of the file at `path`, of any kind.
    ///
    /// # Errors
    /// The file can not be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let bytes = metadata.len();
        let nanos = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let modified = match metadata.modified()?.duration_since(UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        };
        Ok(Self { bytes, modified, footer: format!("{:016x}", footer(&mut file, bytes)?) })
    }

    /// That of a file that can not be read: no other has it.
    pub(crate) fn unreadable() -> Self {
        Self { bytes: 0, modified: 0, footer: String::new() }
    }
}

fn footer(file: &mut File, bytes: u64) -> io::Result<u64> {
    let mut hash = Xxh3::new();
    let tail = bytes.min(TAIL);
    file.seek(SeekFrom::Start(bytes - tail))?;
    let mut end = [0; TAIL as usize];
    let end = &mut end[..tail as usize];
    file.read_exact(end)?;
    let length = end.first_chunk::<4>().map_or(0, |length| u64::from(u32::from_le_bytes(*length)));
    let length = length.min(bytes - tail).min(MOST_FOOTER);
    file.seek(SeekFrom::Start(bytes - tail - length))?;
    io::copy(&mut file.take(length + tail), &mut Digest(&mut hash))?;
    Ok(hash.digest())
}

struct Digest<'a>(&'a mut Xxh3);

impl io::Write for Digest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_any_length_have_a_stamp_and_their_end_tells_them_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut seen = Vec::new();
        for content in
            [&b""[..], b"a", b"PAR1", b"PAR1....PAR1", b"PAR1xyz\x03\0\0\0PAR1", b"PAR1xyy\x03\0\0\0PAR1"]
        {
            fs::write(&path, content).unwrap();
            let stamp = Stamp::of(&path).unwrap();
            assert_eq!(stamp.bytes, content.len() as u64);
            assert_eq!(stamp, Stamp::of(&path).unwrap());
            assert!(!seen.contains(&stamp.footer), "{content:?}");
            seen.push(stamp.footer);
        }
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let before = Stamp::of(&path).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time - std::time::Duration::from_nanos(1))
            .unwrap();
        assert_ne!(Stamp::of(&path).unwrap(), before);
        assert!(Stamp::of(&dir.path().join("none")).is_err());
    }
}
