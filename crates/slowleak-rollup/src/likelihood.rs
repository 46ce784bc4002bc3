//! The maximum-likelihood estimate of a dense sketch. In: registers. Out: the number of distinct hashes.
//!
//! Under the Poisson model (Ertl, arXiv 2308.16862) a register sees update value k at rate x q(k), where
//! x = n/m, q(k) = 2^-k, and the last value has the rate of the one before. What a register tells is then a
//! product of factors exp(-x q) for values that did not occur and 1 - exp(-x q) for those that did, and the
//! logarithm of the likelihood is
//!
//! ```text
//! -a x + sum over k of b(k) log(1 - exp(-x q(k)))
//! ```
//!
//! Its derivative falls in x, is convex, and Newton's method from a lower bound climbs to the root.

use crate::sketch::{PRECISION, REGISTERS};

/// Highest update value.
const LAST: usize = 65 - PRECISION as usize;

/// First-order bias of the estimate: divide by 1 + BIAS/m (same paper, for two extra bits a register).
const BIAS: f64 = 0.481_473_765_277_200_65;

/// Relative step at which Newton's method stops, far below the error of the sketch.
const STEP: f64 = 1e-10;

/// See the module.
pub(crate) fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let mut absent = 0.0;
    let mut seen = [0_u32; LAST + 1];
    let mut note = |value: usize, occurred: bool, registers: u32| {
        // The last two update values share a rate.
        let value = value.min(LAST - 1);
        if occurred {
            seen[value] += registers;
        } else {
            absent += f64::from(registers) * rate(value);
        }
    };
    let mut never_hit = 0.0;
    let mut beyond = 0.0;
    for (register, registers) in
        (0..=u8::MAX).zip(histogram(registers)).filter(|(_, registers)| *registers > 0)
    {
        let highest = usize::from(register >> 2).min(LAST);
        if highest == 0 {
            never_hit += f64::from(registers);
            continue;
        }
        // Together, the values above `highest` have its own rate.
        beyond += if highest == LAST { 0.0 } else { f64::from(registers) * rate(highest) };
        note(highest, true, registers);
        for (below, flag) in [(1, 2), (2, 1)] {
            if highest > below {
                note(highest - below, register & flag != 0, registers);
            }
        }
    }
    let absent = absent + never_hit + beyond;
    let x = root(absent, &seen);
    REGISTERS as f64 * x / (1.0 + BIAS / REGISTERS as f64)
}

/// How many registers have each value: far fewer values than registers occur. Counted in two halves, as
/// neighbours are often equal and would wait for each other.
fn histogram(registers: &[u8; REGISTERS]) -> [u32; 256] {
    let (mut even, mut odd) = ([0; 256], [0; 256]);
    let (pairs, _) = registers.as_chunks::<2>();
    for [a, b] in pairs {
        even[usize::from(*a)] += 1;
        odd[usize::from(*b)] += 1;
    }
    even.iter_mut().zip(odd).for_each(|(even, odd)| *even += odd);
    even
}

/// 2^-value, exactly.
fn rate(value: usize) -> f64 {
    1.0 / (1_u64 << value) as f64
}

/// The x at which the derivative is zero.
fn root(absent: f64, seen: &[u32; LAST + 1]) -> f64 {
    let total: f64 = seen.iter().map(|count| f64::from(*count)).sum();
    let Some(lowest_rate) = (1..seen.len()).rev().find(|value| seen[*value] > 0) else { return 0.0 };
    if absent <= 0.0 {
        // Every register is full: more than any 64-bit hash can tell apart.
        return (1_u64 << (64 - PRECISION)) as f64;
    }
    // 1/(e^t - 1) >= 1/t - 1/2 gives a bound from below.
    let weighted: f64 = (1..seen.len()).map(|value| f64::from(seen[value]) * rate(value)).sum();
    let mut x = total / (absent + weighted / 2.0);
    for _ in 0..100 {
        let (mut slope, mut curve) = (-absent, 0.0);
        let mut grown = exp_minus_1(x * rate(lowest_rate));
        for value in (1..=lowest_rate).rev() {
            if grown > 1e100 {
                break;
            }
            let count = f64::from(seen[value]);
            let term = rate(value) / grown;
            slope += count * term;
            curve += count * term * term * (grown + 1.0);
            // e^2t - 1 = (e^t - 1)(e^t + 1)
            grown *= grown + 2.0;
        }
        if slope <= 0.0 || curve <= 0.0 {
            break;
        }
        let step = slope / curve;
        x += step;
        if step <= STEP * x {
            break;
        }
    }
    x
}

/// e^t - 1 for t >= 0 by its series and repeated doubling: the standard library's own may differ between
/// machines in the last bit.
fn exp_minus_1(mut t: f64) -> f64 {
    let mut doublings = 0;
    while t > 0.0625 && doublings < 64 {
        t /= 2.0;
        doublings += 1;
    }
    let mut grown = 0.0;
    for order in (1..=12).rev() {
        grown = (1.0 + grown) * t / f64::from(order);
    }
    for _ in 0..doublings {
        grown *= grown + 2.0;
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_agrees_with_the_standard_library() {
        for t in [0.0, 1e-18, 1e-9, 0.01, 0.0626, 0.5, 1.0, 3.7, 20.0, 300.0_f64] {
            let (got, want) = (exp_minus_1(t), t.exp_m1());
            assert!((got - want).abs() <= 1e-12 * want, "{t}: {got} {want}");
        }
    }

    #[test]
    fn extremes_are_finite() {
        assert_eq!(estimate(&[0; REGISTERS]), 0.0);
        for register in [4_u8, 8, 12, 220, 223, 255] {
            let estimate = estimate(&[register; REGISTERS]);
            assert!(estimate.is_finite() && estimate > 0.0, "{register}: {estimate}");
        }
    }
}
