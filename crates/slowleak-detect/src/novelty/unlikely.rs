//! How unlikely a share is: the upper tail of a beta-binomial, in nats.
//!
//! Whoever draws from a mix of objects draws each access alike, but for a habit of its own: the chance of an object is
//! itself beta distributed around its share of the mix. `correlation` is that of two accesses of one source (0: no
//! habits, 1: each source knows one object alone); see any text on overdispersed proportions.

/// Correlations below this are noise of their estimate; above, nothing can be said.
const CORRELATIONS: (f64, f64) = (1e-4, 0.9);
/// A term this much smaller than the sum so far ends it.
const NEGLIGIBLE: f64 = 1e-12;

/// Negative log probability, nats, of `hits` or more among `draws` where `share` is usual.
pub(crate) fn nats(draws: f64, hits: f64, share: f64, correlation: f64) -> f64 {
    if hits <= draws * share {
        return 0.0;
    }
    let share = share.clamp(1e-9, 1.0 - 1e-9);
    let correlation = correlation.clamp(CORRELATIONS.0, CORRELATIONS.1);
    let size = (1.0 - correlation) / correlation;
    let (a, b) = (size * share, size * (1.0 - share));
    let choose = ln_gamma(draws + 1.0) - ln_gamma(hits + 1.0) - ln_gamma(draws - hits + 1.0);
    let first = choose + ln_beta(hits + a, draws - hits + b) - ln_beta(a, b);
    // The terms that follow, as multiples of the first.
    let (mut sum, mut term, mut at) = (1.0, 1.0, hits);
    while at + 1.0 <= draws && term > NEGLIGIBLE * sum {
        term *= (draws - at) / (at + 1.0) * (at + a) / (draws - at - 1.0 + b);
        sum += term;
        at += 1.0;
    }
    -(first + sum.ln()).min(0.0)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Logarithm of the gamma function for a positive number: Stirling's series, moved to where it is exact to 1e-13.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 1.0);
    while x < 10.0 {
        below *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - below.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gamma_of_small_whole_numbers_is_their_factorial() {
        let mut factorial = 1.0_f64;
        for n in 1..30 {
            assert!((ln_gamma(f64::from(n)) - factorial.ln()).abs() < 1e-10);
            factorial *= f64::from(n);
        }
    }

    #[test]
    fn without_habits_it_is_the_binomial() {
        // Ten of ten at a fiftieth: 10 ln 50, a little less for the least correlation that is assumed.
        let all = nats(10.0, 10.0, 0.02, 0.0);
        assert!((all - 10.0 * 50_f64.ln()).abs() < 0.5, "{all}");
        assert!(nats(10.0, 10.0, 0.02, 0.05) < all - 5.0, "habits make it likelier");
        assert_eq!(nats(10.0, 1.0, 0.2, 0.01), 0.0);
    }

    proptest! {
        #[test]
        fn more_hits_are_less_likely_and_habits_make_them_likelier(
            draws in 1_u32..300, share in 0.001_f64..0.9, correlation in 0.001_f64..0.5,
        ) {
            let draws = f64::from(draws);
            let of = |hits: u32| nats(draws, f64::from(hits), share, correlation);
            let all: Vec<f64> = (0..=draws as u32).map(of).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "{all:?}");
            let whole = nats(draws, draws, share, correlation);
            prop_assert!(nats(draws, draws, share, 0.9) <= whole + 1e-9);
            prop_assert!(whole <= nats(draws, draws, share, 0.0) + 1e-9);
        }
    }
}
