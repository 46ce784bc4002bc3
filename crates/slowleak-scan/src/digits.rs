//! Decimal digits of many integers: all eight of a number in one word, by arithmetic on parts of the word. In: numbers.
//! Out: digits, without a loop or a branch.

/// The least number of more than eight digits.
pub(crate) const EIGHT: u64 = 100_000_000;

/// The eight digits of `number`, which is below [`EIGHT`]: one a byte, the first in the lowest, leading zeros included.
#[inline(always)]
pub(crate) fn digits(number: u64) -> u64 {
    debug_assert!(number < EIGHT);
    // Two numbers of four digits, then four of two, then eight of one; the quotients are exact for numbers so small.
    // A product takes the place of the division, of which there is no vector form.
    let high = (number * 3_518_437_209) >> 45;
    let fours = high | (number - 10_000 * high) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - 10 * tens) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_are_printed() {
        // Every number of four digits, in both halves.
        let numbers = (0..10_000).flat_map(|n| [n, n * 10_000, n * 10_000 + 9_999 - n]);
        for number in numbers {
            let text = digits(number).to_le_bytes().map(|digit| char::from(digit + b'0'));
            assert_eq!(text.iter().collect::<String>(), format!("{number:08}"));
        }
    }
}
