//! What the values of a column become: ids, hashes, instants, numbers. One rule a meaning, whether values come from
//! pages or from arrow arrays.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use xxhash_rust::xxh3::xxh3_128;

use crate::block_hash::{block_hash, number_block_hash};
use crate::count_column::{self, Judged};
use crate::hash::subject_hash;
use crate::names::{Names, TooManyNames};
use crate::number_hash::hash_numbers;
use crate::page::{Damage, Texts};
use crate::text_column::{Printer, for_each_value};
use crate::time_column::{self, Moment};

/// See the module. Values are appended in order.
pub(crate) trait Meaning {
    /// What a value becomes.
    type Out: Copy;
    /// Stands for a null.
    const NULL: Self::Out;

    /// Strings of a page.
    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<Self::Out>) -> Result<(), Damage>;
    /// Integers of a page, sign-extended from their physical type.
    fn integers(&mut self, integers: &[i64], out: &mut Vec<Self::Out>) -> Result<(), Damage>;
    /// An arrow array, one entry a row.
    fn array(&mut self, array: &ArrayRef, out: &mut Vec<Self::Out>) -> Result<(), Damage>;
}

impl From<TooManyNames> for Damage {
    fn from(_: TooManyNames) -> Self {
        Self("more than 4 billion different names in one column, or one of 4 GiB")
    }
}

/// Dense ids of names.
pub(crate) struct Ids<'a> {
    pub(crate) names: &'a mut Names,
    pub(crate) kind: &'a DataType,
}

impl Meaning for Ids<'_> {
    type Out = u32;
    const NULL: u32 = Names::NONE;

    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<u32>) -> Result<(), Damage> {
        Ok(self.names.intern_all(texts, out)?)
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<u32>) -> Result<(), Damage> {
        let mut printer = Printer::default();
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        // A dictionary may be long, and spans reach 4 GiB.
        for some in integers.chunks(1024) {
            bytes.clear();
            spans.clear();
            for integer in some {
                let start = bytes.len() as u32;
                bytes.extend_from_slice(printer.integer(*integer, self.kind));
                spans.push((start, bytes.len() as u32));
            }
            self.names.intern_all(Texts::new(&bytes, &spans), out)?;
        }
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<u32>) -> Result<(), Damage> {
        for_each_value(array, |text| {
            out.push(text.map_or(Ok(Names::NONE), |text| self.names.intern_bytes(text))?);
            Ok(())
        })
    }
}

/// Hashes of subjects.
pub(crate) struct Hashes<'a> {
    pub(crate) kind: &'a DataType,
}

impl Meaning for Hashes<'_> {
    type Out = u64;
    const NULL: u64 = 0;

    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<u64>) -> Result<(), Damage> {
        out.extend(texts.iter().map(subject_hash));
        Ok(())
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<u64>) -> Result<(), Damage> {
        match self.kind {
            DataType::UInt64 => hash_numbers(integers.iter().map(|integer| *integer as u64), out),
            DataType::UInt32 => hash_numbers(integers.iter().map(|integer| (*integer as u32).into()), out),
            _ if integers.iter().all(|integer| *integer >= 0) => {
                hash_numbers(integers.iter().map(|integer| *integer as u64), out);
            }
            _ => {
                let mut printer = Printer::default();
                out.extend(integers.iter().map(|integer| subject_hash(printer.integer(*integer, self.kind))));
            }
        }
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<u64>) -> Result<(), Damage> {
        for_each_value(array, |text| {
            out.push(text.map_or(Self::NULL, subject_hash));
            Ok(())
        })
    }
}

/// What tells values apart for good, 0 for null and for an empty text, which is what some converters make of null.
pub(crate) struct Digests<'a> {
    pub(crate) kind: &'a DataType,
}

impl Meaning for Digests<'_> {
    type Out = u128;
    const NULL: u128 = 0;

    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<u128>) -> Result<(), Damage> {
        out.extend(texts.iter().map(digest));
        Ok(())
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<u128>) -> Result<(), Damage> {
        let mut printer = Printer::default();
        out.extend(integers.iter().map(|integer| xxh3_128(printer.integer(*integer, self.kind))));
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<u128>) -> Result<(), Damage> {
        for_each_value(array, |text| {
            out.push(text.map_or(Self::NULL, digest));
            Ok(())
        })
    }
}

fn digest(text: &[u8]) -> u128 {
    if text.is_empty() { 0 } else { xxh3_128(text) }
}

/// The two hashes of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) subject: u64,
    pub(crate) block: u64,
}

/// Hashes of subjects and of their blocks.
pub(crate) struct BlockHashes<'a> {
    pub(crate) kind: &'a DataType,
    /// Overwritten.
    pub(crate) scratch: &'a mut Vec<u64>,
}

impl Hashed {
    fn of(text: &[u8]) -> Self {
        Self { subject: subject_hash(text), block: block_hash(text) }
    }
}

impl Meaning for BlockHashes<'_> {
    type Out = Hashed;
    const NULL: Hashed = Hashed { subject: 0, block: 0 };

    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<Hashed>) -> Result<(), Damage> {
        out.extend(texts.iter().map(Hashed::of));
        Ok(())
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<Hashed>) -> Result<(), Damage> {
        self.scratch.clear();
        Hashes { kind: self.kind }.integers(integers, self.scratch)?;
        let printed = |integer: i64| block_hash(Printer::default().integer(integer, self.kind));
        let number = |integer: i64| match self.kind {
            DataType::UInt32 => (integer as u32).into(),
            // What is negative is larger than any number that is not printed, as is what only looks negative.
            _ => integer as u64,
        };
        let both = integers.iter().zip(&*self.scratch).map(|(integer, subject)| Hashed {
            subject: *subject,
            block: number_block_hash(number(*integer), || printed(*integer)),
        });
        out.extend(both);
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<Hashed>) -> Result<(), Damage> {
        for_each_value(array, |text| {
            out.push(text.map_or(Self::NULL, Hashed::of));
            Ok(())
        })
    }
}

/// Instants, or why there is none.
pub(crate) struct Times<'a> {
    pub(crate) kind: &'a DataType,
}

impl Meaning for Times<'_> {
    type Out = Moment;
    const NULL: Moment = Moment::NULL;

    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<Moment>) -> Result<(), Damage> {
        out.extend(texts.iter().map(time_column::parse_bytes));
        Ok(())
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<Moment>) -> Result<(), Damage> {
        time_column::scale_all(self.kind, integers, out);
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<Moment>) -> Result<(), Damage> {
        let mut moments = Vec::with_capacity(array.len());
        time_column::decode(array, self.kind, &mut moments);
        out.append(&mut moments);
        Ok(())
    }
}

/// Counts, or why there is none.
pub(crate) struct Judging<'a> {
    pub(crate) kind: &'a DataType,
}

impl Meaning for Judging<'_> {
    type Out = Judged;
    const NULL: Judged = count_column::NULL;

    fn texts(&mut self, _: Texts<'_>, _: &mut Vec<Judged>) -> Result<(), Damage> {
        Err(Damage("text where a number is due"))
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<Judged>) -> Result<(), Damage> {
        count_column::judge_integers(self.kind, integers, out);
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<Judged>) -> Result<(), Damage> {
        count_column::judge(array, out);
        Ok(())
    }
}

/// Only whether a value is there.
pub(crate) struct Presence;

impl Meaning for Presence {
    type Out = ();
    const NULL: () = ();

    fn texts(&mut self, texts: Texts<'_>, out: &mut Vec<()>) -> Result<(), Damage> {
        out.extend(texts.iter().map(|_| ()));
        Ok(())
    }

    fn integers(&mut self, integers: &[i64], out: &mut Vec<()>) -> Result<(), Damage> {
        out.extend(integers.iter().map(|_| ()));
        Ok(())
    }

    fn array(&mut self, array: &ArrayRef, out: &mut Vec<()>) -> Result<(), Damage> {
        out.resize(out.len() + array.len(), ());
        Ok(())
    }
}
