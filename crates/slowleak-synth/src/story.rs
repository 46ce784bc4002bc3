//! How the level of one key or user changes over the span: birth, retirement, growth, a change of role, and
//! the daily factor of its own. Knows nothing of who it is about.

use crate::calendar::AutoRegressive;
use crate::chance::Seed;

/// How the level of a key or user changes over the span, in local days.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// First day in use, and days until in full use.
    pub(crate) born: Option<(usize, usize)>,
    /// Last days in use: the day after the last, and the days of decline before it.
    pub(crate) retired: Option<(usize, usize)>,
    /// Growth over the whole span, as a ratio; 0 for none.
    growth: f64,
    /// A day and the factor from then on.
    pub(crate) change: Option<(usize, f64)>,
    own: AutoRegressive,
    /// Days of the span.
    pub(crate) days: usize,
}

impl Story {
    /// The factor on a day, 0 outside the life.
    pub(crate) fn at(&self, day: usize) -> f64 {
        let mut factor = 1.0;
        if let Some((from, ramp)) = self.born {
            if day < from {
                return 0.0;
            }
            factor *= ((day - from + 1) as f64 / ramp.max(1) as f64).min(1.0);
        }
        if let Some((to, ramp)) = self.retired {
            if day >= to {
                return 0.0;
            }
            factor *= ((to - day) as f64 / ramp.max(1) as f64).min(1.0);
        }
        if let Some((_, ratio)) = self.change.filter(|&(from, _)| day >= from) {
            factor *= ratio;
        }
        factor *= (self.growth.ln_1p() * day as f64 / self.days as f64).exp();
        factor * self.own.at(day)
    }

    /// Whether in use on every day of the range.
    pub(crate) fn covers(&self, from: usize, to: usize) -> bool {
        self.born.is_none_or(|(born, _)| born <= from) && self.retired.is_none_or(|(end, _)| end >= to)
    }
}

impl Story {
    /// A life without events: only the daily factor.
    pub(crate) fn quiet(seed: Seed, cv: f64, ar: f64, days: usize) -> Self {
        let own = AutoRegressive::new(seed, cv, ar);
        Self { born: None, retired: None, growth: 0.0, change: None, own, days }
    }

    /// Draws births, retirement and growth.
    pub(crate) fn live(&mut self, seed: Seed, life: &crate::life::Life, days: usize) {
        if days >= 30 && seed.unit(10) < life.born {
            let from = (days as f64 * seed.between(11, 0.05, 0.95)) as usize;
            self.born = Some((from, 1 + seed.below(12, 10) as usize));
        }
        if days >= 30 && seed.unit(13) < life.retired {
            let to = (days as f64 * seed.between(14, 0.1, 0.95)) as usize;
            if self.born.is_none_or(|(from, ramp)| to > from + ramp + 14) {
                self.retired = Some((to, 1 + seed.below(15, 10) as usize));
            }
        }
        if seed.unit(16) < life.growing {
            self.growth = seed.between(17, life.growth.0, life.growth.1);
        }
    }
}
