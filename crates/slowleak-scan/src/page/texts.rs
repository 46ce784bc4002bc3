//! Byte strings of a page, under every encoding that Parquet has for them but dictionaries. In: the body of a
//! page. Out: [`Texts`], slices that lie in the page itself wherever they can.

use bytes::Bytes;

use super::Damage;
use super::delta::Delta;

/// Some strings, all inside one buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    bytes: &'a [u8],
    /// Start and end of each.
    spans: &'a [(u32, u32)],
}

impl<'a> Texts<'a> {
    /// Strings that start and end in `bytes` where `spans` tell.
    pub(crate) fn new(bytes: &'a [u8], spans: &'a [(u32, u32)]) -> Self {
        Self { bytes, spans }
    }

    /// The buffer in which all of them lie, with whatever lies between.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where each starts and ends in the buffer.
    pub(crate) fn spans(&self) -> &'a [(u32, u32)] {
        self.spans
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The strings in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        // Spans are checked where they are made.
        self.spans
            .iter()
            .map(move |(start, end)| bytes.get(*start as usize..*end as usize).unwrap_or_default())
    }
}

/// The strings of a page, as many at a time as are asked for.
#[derive(Debug)]
pub(crate) struct TextPage {
    bytes: Bytes,
    at: usize,
    form: Form,
    spans: Vec<(u32, u32)>,
    /// Strings put together from prefixes and suffixes.
    built: Vec<u8>,
    lengths: Vec<i64>,
}

#[derive(Debug)]
enum Form {
    /// Each string behind its length.
    Plain,
    /// All lengths first.
    Lengths(Box<Delta>),
    /// Lengths of prefixes shared with the string before, then lengths of suffixes, then suffixes.
    Prefixes { prefixes: Box<Delta>, suffixes: Box<Delta>, last: Vec<u8> },
}

impl TextPage {
    /// A page of strings behind their lengths.
    pub(crate) fn plain(bytes: Bytes) -> Result<Self, Damage> {
        Self::new(bytes, 0, Form::Plain)
    }

    /// A page of DELTA_LENGTH_BYTE_ARRAY, of at most so many strings.
    pub(crate) fn lengths(bytes: Bytes, most: usize) -> Result<Self, Damage> {
        let (lengths, at) = parsed(&bytes, 0, most)?;
        Self::new(bytes, at, Form::Lengths(lengths))
    }

    /// A page of DELTA_BYTE_ARRAY, of at most so many strings.
    pub(crate) fn prefixes(bytes: Bytes, most: usize) -> Result<Self, Damage> {
        let (prefixes, at) = parsed(&bytes, 0, most)?;
        let (suffixes, at) = parsed(&bytes, at, most)?;
        if prefixes.len() != suffixes.len() {
            return Err(Damage("a page has prefixes and suffixes of different numbers"));
        }
        Self::new(bytes, at, Form::Prefixes { prefixes, suffixes, last: Vec::new() })
    }

    fn new(bytes: Bytes, at: usize, form: Form) -> Result<Self, Damage> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Damage("a page is larger than 4 GiB"));
        }
        Ok(Self { bytes, at, form, spans: Vec::new(), built: Vec::new(), lengths: Vec::new() })
    }

    /// The next `count` strings.
    pub(crate) fn read(&mut self, count: usize) -> Result<Texts<'_>, Damage> {
        let short = Damage("a page of strings ends early");
        let size = self.bytes.len();
        self.spans.clear();
        match &mut self.form {
            Form::Plain => {
                // Four bytes each at least: a page can not make us reserve more than it holds.
                self.spans.reserve(count.min(size / 4));
                let mut at = self.at;
                for _ in 0..count {
                    let length = self.bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(short)?;
                    let start = at + 4;
                    let end = start + u32::from_le_bytes(*length) as usize;
                    if end > size {
                        return Err(short);
                    }
                    self.spans.push((start as u32, end as u32));
                    at = end;
                }
                self.at = at;
            }
            Form::Lengths(lengths) => {
                self.lengths.clear();
                lengths.read(count, &mut self.lengths)?;
                for length in &self.lengths {
                    let end = suffix_end(self.at, *length).filter(|end| *end <= size).ok_or(short)?;
                    self.spans.push((self.at as u32, end as u32));
                    self.at = end;
                }
            }
            Form::Prefixes { prefixes, suffixes, last } => {
                self.lengths.clear();
                prefixes.read(count, &mut self.lengths)?;
                suffixes.read(count, &mut self.lengths)?;
                self.built.clear();
                let (prefixes, suffixes) = self.lengths.split_at(count);
                for (prefix, suffix) in prefixes.iter().zip(suffixes) {
                    let prefix = usize::try_from(*prefix).ok().filter(|prefix| *prefix <= last.len());
                    let end = suffix_end(self.at, *suffix).filter(|end| *end <= size).ok_or(short)?;
                    last.truncate(prefix.ok_or(Damage("a prefix is longer than the string before"))?);
                    last.extend_from_slice(&self.bytes[self.at..end]);
                    self.at = end;
                    let start = self.built.len();
                    self.built.extend_from_slice(last);
                    let end = u32::try_from(self.built.len()).map_err(|_| Damage("strings are too long"))?;
                    self.spans.push((start as u32, end));
                }
                return Ok(Texts { bytes: &self.built, spans: &self.spans });
            }
        }
        Ok(Texts { bytes: &self.bytes, spans: &self.spans })
    }
}

fn suffix_end(start: usize, length: i64) -> Option<usize> {
    start.checked_add(usize::try_from(length).ok()?)
}

/// A section of deltas that starts at `at`, and where it ends.
fn parsed(bytes: &Bytes, at: usize, most: usize) -> Result<(Box<Delta>, usize), Damage> {
    // Only reading tells where it ends; lengths are small beside the strings.
    let mut probe = Delta::new(bytes.slice(at..))?;
    // A few bytes can claim any number of equal lengths.
    if probe.len() > most {
        return Err(Damage("a page of strings has more of them than rows"));
    }
    let mut values = Vec::new();
    while probe.len() > 0 {
        values.clear();
        probe.read(probe.len().min(4096), &mut values)?;
    }
    let end = at.saturating_add(probe.end());
    if end > bytes.len() {
        return Err(Damage("a page of strings ends early"));
    }
    Ok((Box::new(Delta::new(bytes.slice(at..))?), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_strings_than_rows_are_refused_before_they_are_read() {
        // A block of 2^61 values in one miniblock of no width, 2^62 of them in all.
        let endless = |out: &mut Vec<u8>| {
            let mut varint = |mut value: u64| {
                while value > 127 {
                    out.push(value as u8 | 128);
                    value >>= 7;
                }
                out.push(value as u8);
            };
            [1 << 61, 1, 1 << 62, 0, 0, 0].into_iter().for_each(&mut varint);
        };
        let mut bytes = Vec::new();
        endless(&mut bytes);
        assert!(TextPage::lengths(bytes.clone().into(), 100).is_err());
        endless(&mut bytes);
        assert!(TextPage::prefixes(bytes.into(), 100).is_err());
    }

    #[test]
    fn plain_strings_come_in_pieces_and_damage_is_an_error() {
        let mut bytes = Vec::new();
        for text in ["a", "", "long text"] {
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let mut page = TextPage::plain(bytes.clone().into()).unwrap();
        assert_eq!(page.read(2).unwrap().iter().collect::<Vec<_>>(), [&b"a"[..], b""]);
        assert_eq!(page.read(1).unwrap().iter().collect::<Vec<_>>(), [b"long text"]);
        assert!(page.read(1).is_err());
        bytes.pop();
        let mut page = TextPage::plain(bytes.into()).unwrap();
        assert!(page.read(3).is_err());
        assert!(TextPage::plain(Bytes::from_static(&[255; 8])).unwrap().read(1).is_err());
    }
}
