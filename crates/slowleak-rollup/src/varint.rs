//! Numbers of variable length, as the headers of Parquet's encodings hold them: seven bits a byte, lowest first.

/// Bytes of the longest number.
pub(crate) const MOST_BYTES: usize = 10;

/// Appends a number.
pub(crate) fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number: small ones of either sign are short.
pub(crate) fn put_signed(number: i64, out: &mut Vec<u8>) {
    put(((number << 1) ^ (number >> 63)) as u64, out);
}

/// Takes a number off the front; `None` where there is none.
pub(crate) fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(MOST_BYTES) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some(number);
        }
    }
    None
}

/// Takes a signed number off the front; `None` where there is none.
pub(crate) fn get_signed(bytes: &mut &[u8]) -> Option<i64> {
    get(bytes).map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_got(numbers in proptest::collection::vec(any::<i64>(), 0..20), cut in 0..8_usize) {
            let mut bytes = Vec::new();
            for number in &numbers {
                put(*number as u64 >> (number & 63), &mut bytes);
                put_signed(number >> (number & 63), &mut bytes);
            }
            let mut rest = bytes.as_slice();
            for number in &numbers {
                prop_assert_eq!(get(&mut rest), Some(*number as u64 >> (number & 63)));
                prop_assert_eq!(get_signed(&mut rest), Some(number >> (number & 63)));
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(get(&mut rest), None);
            // Whatever is cut off, the end is noticed.
            let mut rest = &bytes[..bytes.len() - cut.min(bytes.len())];
            while get(&mut rest).is_some() {}
            prop_assert!(rest.iter().all(|byte| byte & 0x80 != 0));
        }
    }
}
