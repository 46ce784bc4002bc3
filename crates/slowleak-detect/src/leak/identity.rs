//! A finding's name: the same for the same input, and usually the same on every night that sees the leak.

use slowleak_record::Micros;
use xxhash_rust::xxh3::xxh3_64;

/// Characters that can not be mistaken for one another (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Id from who, what and the day at which the evidence first sufficed: later nights lengthen the interval
/// and rarely move that day (a weak leak's baseline is fitted anew each night, and may).
pub(crate) fn finding_id(
    detector: &str,
    dimension: &str,
    entity: &str,
    metric: &str,
    anchor: Micros,
) -> String {
    let mut bytes = Vec::new();
    for part in [detector, dimension, entity, metric] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend_from_slice(&anchor.0.to_le_bytes());
    let hash = xxh3_64(&bytes);
    let digit = |place: u32| char::from(DIGITS[(hash >> (64 - 5 * (place + 1)) & 31) as usize]);
    let digits: String = (0..10).map(digit).collect();
    format!("SL-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let id = |entity: &str, metric: &str| finding_id("rate", "key", entity, metric, Micros(0));
        assert_ne!(id("ab", "c"), id("a", "bc"));
        assert_eq!(id("a", "b"), id("a", "b"));
        assert_eq!(id("a", "b").len(), 13);
    }
}
