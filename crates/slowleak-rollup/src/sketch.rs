//! Distinct-count sketches: exact while small, an UltraLogLog beyond. In: 64-bit hashes. Out: an estimate,
//! and bytes that depend only on the set of hashes, never on the order or on how it was merged.
//!
//! Ertl, "UltraLogLog: A Practical and More Space-Efficient Alternative to HyperLogLog for Approximate
//! Distinct Counting", arXiv 2308.16862 (2023): registers, hash tokens and the maximum-likelihood estimator.

use thiserror::Error;

use crate::likelihood;

/// log2 of the number of registers.
pub(crate) const PRECISION: u32 = 10;

/// Number of registers of a dense sketch.
pub(crate) const REGISTERS: usize = 1 << PRECISION;

/// Tokens that a sketch keeps before it turns dense: 256 tokens of 4 bytes take the 1,024 bytes of the
/// registers, so that no sketch is ever larger than a dense one.
const MAX_TOKENS: usize = 256;

/// Tokens that fit into the sketch itself.
const FEW: usize = 5;

/// Bits of the hash that a token keeps as they are; the rest is kept as its number of leading zeros. Two
/// different hashes share a token with probability 2^-26/3, so that a full set of 256 has lost one subject
/// with probability 0.00016.
const TOKEN_BITS: u32 = 26;

/// Version of the bytes, changed with the token, the registers or the subject hash.
const VERSION: u8 = 1;
const KIND_TOKENS: u8 = 0;
const KIND_REGISTERS: u8 = 1;

/// A mergeable distinct-count sketch.
///
/// Up to 256 distinct subjects it counts exactly (but for hash collisions, see [`Sketch::estimate`]);
/// beyond, with a standard error of 2.4%, in 1 KiB.
///
/// ```
/// use slowleak_rollup::Sketch;
/// use slowleak_scan::subject_hash;
///
/// let mut monday = Sketch::default();
/// let mut tuesday = Sketch::default();
/// for account in 0..100_u32 {
///     monday.insert_hash(subject_hash(account.to_string().as_bytes()));
///     tuesday.insert_hash(subject_hash((account + 50).to_string().as_bytes()));
/// }
/// monday.merge(&tuesday);
/// assert_eq!(monday.estimate(), 150.0);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch(Form);

/// The form follows from the number of tokens alone, which makes it canonical.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// Ascending in the first `len` places, 0 in the rest. Most cells of a log have a handful of subjects: they
    /// need no allocation.
    Few { len: u8, tokens: [u32; FEW] },
    /// Ascending, at most [`MAX_TOKENS`].
    Tokens(Vec<u32>),
    /// One byte a register.
    Registers(Box<[u8; REGISTERS]>),
}

/// Bytes that are no sketch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SketchError {
    /// Written by another version of the program.
    #[error("sketch version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// Not in the canonical form that [`Sketch::to_bytes`] writes.
    #[error("damaged sketch of {0} bytes")]
    Damaged(usize),
}

impl Default for Sketch {
    fn default() -> Self {
        Self(Form::Few { len: 0, tokens: [0; FEW] })
    }
}

impl Sketch {
    /// Adds a subject by its hash ([`slowleak_scan::subject_hash`]).
    pub fn insert_hash(&mut self, hash: u64) {
        match &mut self.0 {
            Form::Few { len, tokens } => {
                let token = token(hash);
                let count = usize::from(*len);
                let at = tokens[..count].partition_point(|other| *other < token);
                if at < count && tokens[at] == token {
                    return;
                }
                if count < FEW {
                    tokens.copy_within(at..count, at + 1);
                    tokens[at] = token;
                    *len += 1;
                } else {
                    let mut many = Vec::with_capacity(2 * FEW);
                    many.extend_from_slice(&tokens[..at]);
                    many.push(token);
                    many.extend_from_slice(&tokens[at..]);
                    self.0 = Form::Tokens(many);
                }
            }
            Form::Tokens(tokens) => {
                let token = token(hash);
                if let Err(at) = tokens.binary_search(&token) {
                    tokens.insert(at, token);
                    if tokens.len() > MAX_TOKENS {
                        self.0 = Form::of(std::mem::take(tokens));
                    }
                }
            }
            Form::Registers(registers) => insert(registers, hash),
        }
    }

    /// Adds many subjects by their hashes: much faster than one by one.
    pub fn insert_hashes(&mut self, hashes: &[u64]) {
        let mut rest = hashes;
        while !rest.is_empty() {
            if let Form::Registers(registers) = &mut self.0 {
                rest.iter().for_each(|hash| insert(registers, *hash));
                return;
            }
            // As many at a time as keep the scratch small, whatever repeats there are.
            let (now, later) = rest.split_at(rest.len().min(4 * MAX_TOKENS));
            rest = later;
            let mut tokens = [0; 4 * MAX_TOKENS];
            let tokens = &mut tokens[..now.len()];
            for (token, hash) in tokens.iter_mut().zip(now) {
                *token = self::token(*hash);
            }
            tokens.sort_unstable();
            let mut distinct = 0;
            for at in 0..tokens.len() {
                tokens[distinct] = tokens[at];
                distinct += usize::from(tokens.get(at + 1) != Some(&tokens[at]));
            }
            let tokens = &tokens[..distinct];
            self.0 = match &self.0 {
                Form::Few { len: 0, .. } => Form::of_slice(tokens),
                form => Form::of(union(form.tokens(), tokens)),
            };
        }
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Form::Registers(mine), Form::Registers(theirs)) => {
                for (mine, theirs) in mine.iter_mut().zip(theirs.iter()) {
                    *mine = merge_registers(*mine, *theirs);
                }
            }
            (Form::Registers(registers), theirs) => {
                theirs.tokens().iter().for_each(|token| insert(registers, representative(*token)));
            }
            (mine, Form::Registers(registers)) => {
                let mut registers = registers.clone();
                mine.tokens().iter().for_each(|token| insert(&mut registers, representative(*token)));
                self.0 = Form::Registers(registers);
            }
            (mine, theirs) => {
                if !theirs.tokens().is_empty() {
                    self.0 = Form::of(union(mine.tokens(), theirs.tokens()));
                }
            }
        }
    }

    /// Estimated number of distinct subjects: the number of tokens while they are kept, the
    /// maximum-likelihood estimate beyond. It is computed with the four basic operations alone, so that
    /// every machine gives the same bits.
    pub fn estimate(&self) -> f64 {
        match &self.0 {
            Form::Registers(registers) => likelihood::estimate(registers),
            exact => exact.tokens().len() as f64,
        }
    }

    /// Relative standard error of the estimate: 0 while tokens are kept, 0.761/sqrt(1024) beyond.
    pub fn standard_error(&self) -> f64 {
        match &self.0 {
            Form::Registers(_) => 0.761 / (REGISTERS as f64).sqrt(),
            _ => 0.0,
        }
    }

    /// The canonical bytes: version, kind, then the tokens ascending (little-endian, 4 bytes each) or the
    /// 1,024 registers. Equal sets of subjects have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_bytes(&mut bytes);
        bytes
    }

    /// Appends the [canonical bytes](Self::to_bytes).
    pub(crate) fn append_bytes(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Registers(registers) => {
                out.extend_from_slice(&[VERSION, KIND_REGISTERS]);
                out.extend_from_slice(registers.as_slice());
            }
            exact => {
                out.extend_from_slice(&[VERSION, KIND_TOKENS]);
                let start = out.len();
                out.resize(start + 4 * exact.tokens().len(), 0);
                let (places, _) = out[start..].as_chunks_mut::<4>();
                for (place, token) in places.iter_mut().zip(exact.tokens()) {
                    *place = token.to_le_bytes();
                }
            }
        }
    }

    /// Reads what [`Sketch::to_bytes`] wrote.
    ///
    /// # Errors
    /// Another version, or bytes that no sketch has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let damaged = || SketchError::Damaged(bytes.len());
        match bytes {
            [VERSION, KIND_TOKENS, rest @ ..] => {
                let (chunks, left) = rest.as_chunks::<4>();
                let tokens: Vec<u32> = chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
                let ascending = tokens.is_sorted_by(|a, b| a < b);
                let valid = tokens.iter().all(|t| token(representative(*t)) == *t);
                if !left.is_empty() || !ascending || !valid || tokens.len() > MAX_TOKENS {
                    return Err(damaged());
                }
                Ok(Self(Form::of(tokens)))
            }
            [VERSION, KIND_REGISTERS, rest @ ..] => {
                let registers: [u8; REGISTERS] = rest.try_into().map_err(|_| damaged())?;
                if !registers.iter().all(|register| is_reachable(*register)) {
                    return Err(damaged());
                }
                Ok(Self(Form::Registers(Box::new(registers))))
            }
            [VERSION, ..] | [] => Err(damaged()),
            [version, ..] => Err(SketchError::Version(*version)),
        }
    }
}

impl Form {
    /// The canonical form of ascending tokens.
    fn of(tokens: Vec<u32>) -> Self {
        if tokens.len() > MAX_TOKENS {
            let mut registers = Box::new([0; REGISTERS]);
            tokens.iter().for_each(|token| insert(&mut registers, representative(*token)));
            return Self::Registers(registers);
        }
        if tokens.len() > FEW { Self::Tokens(tokens) } else { Self::of_slice(&tokens) }
    }

    /// The canonical form of ascending tokens.
    fn of_slice(tokens: &[u32]) -> Self {
        if tokens.len() > FEW {
            return Self::of(tokens.to_vec());
        }
        let mut few = [0; FEW];
        few[..tokens.len()].copy_from_slice(tokens);
        Self::Few { len: tokens.len() as u8, tokens: few }
    }

    /// The tokens, ascending; none of a dense sketch.
    fn tokens(&self) -> &[u32] {
        match self {
            Self::Few { len, tokens } => &tokens[..usize::from(*len)],
            Self::Tokens(tokens) => tokens,
            Self::Registers(_) => &[],
        }
    }
}

/// A hash, as far as any register of up to 2^26 of them can tell: its first 26 bits, and the number of
/// leading zeros of the rest.
fn token(hash: u64) -> u32 {
    let prefix = (hash >> (64 - TOKEN_BITS)) as u32;
    // The guard bit bounds the count at 38.
    let zeros = ((hash << TOKEN_BITS) | (1 << (TOKEN_BITS - 1))).leading_zeros();
    prefix << 6 | zeros
}

/// A hash that has the given token.
fn representative(token: u32) -> u64 {
    let prefix = u64::from(token >> 6) << (64 - TOKEN_BITS);
    let zeros = token & 63;
    prefix | (1_u64 << 63).checked_shr(TOKEN_BITS + zeros).unwrap_or(0)
}

/// A register is 4 * highest + flags: the highest update value seen, and whether the ones 1 and 2 below it
/// (flags 2 and 1) were seen too.
fn insert(registers: &mut [u8; REGISTERS], hash: u64) {
    let index = (hash >> (64 - PRECISION)) as usize;
    let value = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() + 1;
    registers[index] = merge_registers(registers[index], (value as u8) << 2);
}

fn merge_registers(a: u8, b: u8) -> u8 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    let distance = (high >> 2) - (low >> 2);
    if low == 0 || distance > 2 {
        return high;
    }
    high | ((4 | low & 3) >> distance) & 3
}

/// Whether a register can have this value.
fn is_reachable(register: u8) -> bool {
    match (register >> 2, register & 3) {
        (0 | 1, flags) => flags == 0,
        (2, flags) => flags & 1 == 0,
        (highest, _) => u32::from(highest) <= 65 - PRECISION,
    }
}

/// The sorted union of two sorted sets.
fn union(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let next = *x.min(y);
        a.next_if_eq(&next);
        b.next_if_eq(&next);
        out.push(next);
    }
    out.extend(a);
    out.extend(b);
    out
}
