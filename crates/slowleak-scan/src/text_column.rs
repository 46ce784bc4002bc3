//! String columns to dense ids. In: arrow arrays of one row group's column. Out: one id a row, ids into a
//! dictionary that grows with the row group. Dictionaries are mapped once, not once a row.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};

use crate::names::{Names, TooManyNames};

/// Whether a column of this type can be read as text: strings, binary (taken as UTF-8), integers and
/// fixed-size binary (printed; 16 bytes as a UUID).
pub(crate) fn accepts(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::Utf8View | DataType::Binary | DataType::BinaryView => true,
        DataType::FixedSizeBinary(_) | DataType::Decimal128(_, 0) | DataType::Boolean | DataType::Null => {
            true
        }
        DataType::Dictionary(_, value) => accepts(value),
        kind => kind.is_integer(),
    }
}

/// Calls `each` with the canonical bytes of every row, `None` for null: text as it is, numbers printed.
pub(crate) fn for_each_value<E>(
    array: &ArrayRef,
    mut each: impl FnMut(Option<&[u8]>) -> Result<(), E>,
) -> Result<(), E> {
    let mut scratch = Vec::new();
    let mut printer = itoa::Buffer::new();
    macro_rules! print {
        ($type:ty) => {{
            for value in array.as_primitive::<$type>() {
                match value {
                    None => each(None)?,
                    Some(value) => each(Some(printer.format(value).as_bytes()))?,
                }
            }
        }};
    }
    match array.data_type() {
        DataType::Utf8 => {
            array.as_string::<i32>().iter().try_for_each(|text| each(text.map(str::as_bytes)))?;
        }
        DataType::Utf8View => {
            array.as_string_view().iter().try_for_each(|text| each(text.map(str::as_bytes)))?;
        }
        DataType::Binary => array.as_binary::<i32>().iter().try_for_each(each)?,
        DataType::BinaryView => array.as_binary_view().iter().try_for_each(each)?,
        DataType::FixedSizeBinary(_) => {
            for value in array.as_fixed_size_binary() {
                each(value.map(|value| fixed(value, &mut scratch)))?;
            }
        }
        DataType::Boolean => {
            for value in array.as_boolean() {
                each(value.map(|value| if value { &b"true"[..] } else { b"false" }))?;
            }
        }
        DataType::Int64 => print!(Int64Type),
        DataType::Int32 => print!(Int32Type),
        DataType::Int16 => print!(Int16Type),
        DataType::Int8 => print!(Int8Type),
        DataType::UInt64 => print!(UInt64Type),
        DataType::UInt32 => print!(UInt32Type),
        DataType::UInt16 => print!(UInt16Type),
        DataType::UInt8 => print!(UInt8Type),
        DataType::Decimal128(_, 0) => print!(Decimal128Type),
        _ => (0..array.len()).try_for_each(|_| each(None))?,
    }
    Ok(())
}

/// Writes integers down.
#[derive(Default)]
pub(crate) struct Printer(itoa::Buffer);

impl Printer {
    /// An integer of a page, sign-extended from its physical type, as the logical type `kind` means it.
    pub(crate) fn integer(&mut self, value: i64, kind: &DataType) -> &[u8] {
        match kind {
            DataType::UInt64 => self.0.format(value as u64).as_bytes(),
            DataType::UInt32 => self.0.format(value as u32).as_bytes(),
            _ => self.0.format(value).as_bytes(),
        }
    }
}

/// Hexadecimal digits of `value`, hyphenated as a UUID where there are 16 bytes.
fn fixed<'a>(value: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    for (index, byte) in value.iter().enumerate() {
        if value.len() == 16 && matches!(index, 4 | 6 | 8 | 10) {
            scratch.push(b'-');
        }
        for nibble in [byte >> 4, byte & 15] {
            scratch.push(b"0123456789abcdef"[usize::from(nibble)]);
        }
    }
    scratch
}

/// A string column, decoded batch by batch.
#[derive(Default)]
pub struct TextColumn {
    pub(crate) names: Names,
    pub(crate) ids: Vec<u32>,
    dictionary: Cached<u32>,
}

impl TextColumn {
    /// One id a row of the current batch, [`Names::NONE`] for null.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The distinct texts of all batches so far, by id.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The distinct texts of all batches.
    pub fn into_names(self) -> Names {
        self.names
    }

    /// Reads a batch.
    ///
    /// # Errors
    /// More names than ids.
    pub fn decode(&mut self, array: &ArrayRef) -> Result<(), TooManyNames> {
        self.ids.clear();
        let (names, ids) = (&mut self.names, &mut self.ids);
        let mut intern = |text: Option<&[u8]>| text.map_or(Ok(Names::NONE), |text| names.intern_bytes(text));
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let map = self.dictionary.map(dictionary.values(), |values, map| {
                for_each_value(values, |text| intern(text).map(|id| map.push(id)))
            })?;
            for_each_key(array, |key| {
                ids.push(key.and_then(|key| map.get(key).copied()).unwrap_or(Names::NONE));
            });
            return Ok(());
        }
        for_each_value(array, |text| intern(text).map(|id| ids.push(id)))
    }
}

/// What the entries of the last dictionary mean; batches of a row group share one.
struct Cached<T> {
    values: Option<ArrayRef>,
    map: Vec<T>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { values: None, map: Vec::new() }
    }
}

impl<T> Cached<T> {
    fn map<E>(
        &mut self,
        values: &ArrayRef,
        fill: impl FnOnce(&ArrayRef, &mut Vec<T>) -> Result<(), E>,
    ) -> Result<&[T], E> {
        let known = self.values.as_ref().is_some_and(|last| same_memory(last, values));
        if !known {
            self.values = None;
            self.map.clear();
            fill(values, &mut self.map)?;
            self.values = Some(values.clone());
        }
        Ok(&self.map)
    }
}

/// Whether two dictionaries are the same bytes in memory: the decoder wraps a row group's one dictionary anew
/// for every batch. The first must still be held, or its memory might have been given to the second.
fn same_memory(a: &ArrayRef, b: &ArrayRef) -> bool {
    if std::sync::Arc::ptr_eq(a, b) {
        return true;
    }
    let (Some(a), Some(b)) = (a.as_string_opt::<i32>(), b.as_string_opt::<i32>()) else { return false };
    a.len() == b.len()
        && a.nulls().is_none()
        && b.nulls().is_none()
        && std::ptr::eq(a.value_offsets(), b.value_offsets())
        && std::ptr::eq(a.value_data(), b.value_data())
}

/// Calls `each` with the dictionary key of every row.
fn for_each_key(array: &ArrayRef, mut each: impl FnMut(Option<usize>)) {
    let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
        return (0..array.len()).for_each(|_| each(None));
    };
    let keys = dictionary.keys();
    if keys.null_count() == 0 {
        keys.values().iter().for_each(|key| each(usize::try_from(*key).ok()));
    } else {
        keys.iter().for_each(|key| each(key.and_then(|key| usize::try_from(key).ok())));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Int64Array, StringArray,
        StringViewArray,
    };

    use super::*;

    fn read(array: &ArrayRef) -> Vec<Option<String>> {
        assert!(accepts(array.data_type()));
        let mut column = TextColumn::default();
        column.decode(array).unwrap();
        let name = |id: &u32| (*id != Names::NONE).then(|| column.names.name(*id).to_owned());
        column.ids.iter().map(name).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn every_type_gives_the_same_text() {
        let want = some(&["42", "-7", "42"]);
        let dictionary: DictionaryArray<Int32Type> = ["42", "-7", "42"].into_iter().collect();
        for array in [
            Arc::new(StringArray::from(vec!["42", "-7", "42"])) as ArrayRef,
            Arc::new(StringViewArray::from(vec!["42", "-7", "42"])),
            Arc::new(Int64Array::from(vec![42, -7, 42])),
            Arc::new(BinaryArray::from(vec!["42".as_bytes(), b"-7", b"42"])),
            Arc::new(dictionary),
        ] {
            assert_eq!(read(&array), want);
        }
    }

    #[test]
    fn a_dictionary_that_comes_again_is_not_read_again() {
        let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        // Wrapped anew, as the decoder does for every batch.
        let again = || {
            let values = arrow::array::make_array(dictionary.values().to_data());
            DictionaryArray::<Int32Type>::try_new(dictionary.keys().clone(), values).unwrap()
        };
        assert!(same_memory(again().values(), again().values()));
        let other: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        assert!(!same_memory(dictionary.values(), other.values()));
        let mut column = TextColumn::default();
        for _ in 0..2 {
            column.decode(&(Arc::new(again()) as ArrayRef)).unwrap();
            assert_eq!(column.ids, [0, 1, 0]);
        }
    }

    #[test]
    fn nulls_bad_utf8_and_uuids() {
        assert_eq!(
            read(&(Arc::new(StringArray::from(vec![None, Some("")])) as ArrayRef)),
            [None, Some(String::new())]
        );
        assert_eq!(
            read(&(Arc::new(BinaryArray::from(vec![&b"a\xff"[..]])) as ArrayRef)),
            some(&["a\u{fffd}"])
        );
        let uuid = FixedSizeBinaryArray::try_from_iter([[0x12_u8; 16]].iter()).unwrap();
        assert_eq!(read(&(Arc::new(uuid) as ArrayRef)), some(&["12121212-1212-1212-1212-121212121212"]));
        for value in [-1, 0, 10, i128::from(u64::MAX) + 1, i128::MAX, i128::MIN] {
            let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, 0).unwrap();
            assert_eq!(read(&(Arc::new(array) as ArrayRef)), [Some(value.to_string())]);
        }
    }
}
