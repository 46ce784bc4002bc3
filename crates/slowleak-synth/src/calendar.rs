//! Time as the background sees it: hours of the span, their local day and hour of the week, the weekly
//! seasons, and the factors that everybody shares (the common day factor, holidays, sales days, outages).

use slowleak_record::Micros;

use crate::chance::{Seed, unit_log_normal};
use crate::scenario::{Scenario, SeasonKind, When};

/// Hours in a week.
const WEEK: usize = 168;

/// How a group of entities reacts to holidays, sales days and outages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rhythm {
    Office,
    Support,
    Customers,
    Service,
    Batch,
}

impl Rhythm {
    const ALL: [Self; 5] = [Self::Office, Self::Support, Self::Customers, Self::Service, Self::Batch];

    pub(crate) fn of(season: SeasonKind) -> Self {
        match season {
            SeasonKind::Office => Self::Office,
            SeasonKind::Support => Self::Support,
            SeasonKind::Customers => Self::Customers,
            SeasonKind::Service => Self::Service,
            SeasonKind::Batch => Self::Batch,
        }
    }
}

/// A weekly profile with mean 1, Monday 00:00 local first.
#[derive(Debug, Clone)]
pub(crate) struct Season {
    pub(crate) rhythm: Rhythm,
    pub(crate) hours: [f32; WEEK],
}

impl Season {
    /// The variants of a kind: people differ by an hour, batch jobs by the hour they start.
    pub(crate) fn variants(kind: SeasonKind) -> Vec<Self> {
        let shifts: &[i64] = match kind {
            SeasonKind::Office | SeasonKind::Support => &[-1, 0, 1],
            SeasonKind::Customers | SeasonKind::Service => &[0],
            SeasonKind::Batch => &[0, 1, 2, 3, 4],
        };
        shifts.iter().map(|&shift| Self::new(kind, shift)).collect()
    }

    fn new(kind: SeasonKind, shift: i64) -> Self {
        let bell = |hour: f64, centre: f64, width: f64| (-((hour - centre) / width).powi(2) / 2.0).exp();
        let mut hours = [0.0_f64; WEEK];
        for (index, level) in hours.iter_mut().enumerate() {
            let day = index / 24;
            let hour = (index as i64 - shift).rem_euclid(24) as f64 + 0.5;
            let weekend = day >= 5;
            *level = match kind {
                SeasonKind::Office => {
                    let work =
                        bell(hour, 10.5, 1.8) + 0.9 * bell(hour, 15.5, 2.2) + 0.06 * bell(hour, 20.5, 2.0);
                    (work + 0.004) * [1.0, 1.05, 1.03, 1.0, 0.9, 0.1, 0.06][day]
                }
                SeasonKind::Support => {
                    let work = bell(hour, 11.0, 2.2) + bell(hour, 16.0, 3.0) + 0.25 * bell(hour, 21.0, 1.5);
                    (work + 0.01) * if weekend { 0.45 } else { 1.0 }
                }
                SeasonKind::Customers => {
                    let day_part =
                        0.6 * bell(hour, 12.5, 2.5) + bell(hour, 21.0, 2.5) + 0.3 * bell(hour, 0.5, 1.5);
                    (day_part + 0.12 + 0.25 * bell(hour, 17.0, 3.0)) * if weekend { 1.15 } else { 1.0 }
                }
                SeasonKind::Service => 1.0 + 0.25 * bell(hour, 14.0, 5.0),
                SeasonKind::Batch => [0.6, 1.0, 0.3].get(hour as usize).copied().unwrap_or(0.0),
            };
        }
        let mean = hours.iter().sum::<f64>() / WEEK as f64;
        Self { rhythm: Rhythm::of(kind), hours: hours.map(|level| (level / mean) as f32) }
    }
}

/// The span hour by hour.
#[derive(Debug)]
pub(crate) struct Calendar {
    pub(crate) start: Micros,
    pub(crate) hours: usize,
    offset_hours: i64,
    /// Local hours since 1970 at the span's first hour.
    first_local_hour: i64,
    /// Shared factor of each rhythm, by hour.
    factors: [Vec<f32>; 5],
}

impl Calendar {
    pub(crate) fn new(scenario: &Scenario, seed: Seed) -> Self {
        let hours = ((scenario.end.0 - scenario.start.0) / Micros::HOUR) as usize;
        let offset_hours = scenario.file.span.utc_offset_hours;
        let mut calendar = Self {
            start: scenario.start,
            hours,
            offset_hours,
            first_local_hour: scenario.start.0.div_euclid(Micros::HOUR) + offset_hours,
            factors: [const { Vec::new() }; 5],
        };
        calendar.factors = calendar.shared_factors(scenario, seed);
        calendar
    }

    /// Local days that the span touches, numbered from 0.
    pub(crate) fn days(&self) -> usize {
        self.day(self.hours - 1) + 1
    }

    /// Local day of an hour.
    pub(crate) fn day(&self, hour: usize) -> usize {
        let first_day = self.first_local_hour.div_euclid(24);
        ((self.first_local_hour + hour as i64).div_euclid(24) - first_day) as usize
    }

    /// Hour of the local week, from 0 at Monday 00:00.
    pub(crate) fn hour_of_week(&self, hour: usize) -> usize {
        // 1970-01-01 was a Thursday.
        (self.first_local_hour + hour as i64 + 72).rem_euclid(WEEK as i64) as usize
    }

    /// Day of the week of a local day, from 0 on Monday.
    pub(crate) fn weekday(&self, day: usize) -> usize {
        (self.first_local_hour.div_euclid(24) + day as i64 + 3).rem_euclid(7) as usize
    }

    /// First instant of an hour.
    pub(crate) fn hour_start(&self, hour: usize) -> Micros {
        Micros(self.start.0 + hour as i64 * Micros::HOUR)
    }

    /// First instant of a local day, which may lie before the span.
    pub(crate) fn day_start(&self, day: usize) -> Micros {
        let local = (self.first_local_hour.div_euclid(24) + day as i64) * Micros::DAY;
        Micros(local - self.offset_hours * Micros::HOUR)
    }

    /// Shared factor at an hour.
    pub(crate) fn factor(&self, rhythm: Rhythm, hour: usize) -> f32 {
        self.factors[rhythm as usize][hour]
    }

    /// Local days that dates stand for; without dates, one about every `every` days at random.
    fn special_days(&self, dates: Option<&[When]>, every: usize, seed: Seed) -> Vec<usize> {
        let first = self.first_local_hour.div_euclid(24);
        match dates {
            Some(dates) => {
                let day = |when: &When| {
                    let day = when.micros().ok()?.0.div_euclid(Micros::DAY) - first;
                    usize::try_from(day).ok()
                };
                dates.iter().filter_map(day).collect()
            }
            None => (0..self.days() / every)
                .map(|n| n * every + seed.below(n as u64, every as u64) as usize)
                .collect(),
        }
    }

    fn shared_factors(&self, scenario: &Scenario, seed: Seed) -> [Vec<f32>; 5] {
        let life = &scenario.file.life;
        let holidays = self.special_days(life.holidays.as_deref(), 30, seed.child(1));
        let sales = self.special_days(life.sales.as_deref(), 60, seed.child(2));
        let common = AutoRegressive::new(seed.child(3), life.day_cv, life.day_ar);
        let noise = seed.child(4);
        let mut factors = Rhythm::ALL.map(|rhythm| {
            let by_hour = |hour: usize| {
                let day = self.day(hour);
                let holiday = match rhythm {
                    Rhythm::Office => life.holiday_level,
                    Rhythm::Support => (1.0 + life.holiday_level) / 2.0,
                    Rhythm::Customers => 1.0 + 0.2 * (1.0 - life.holiday_level),
                    Rhythm::Service => 0.9,
                    Rhythm::Batch => 1.0,
                };
                let sale = match rhythm {
                    Rhythm::Customers => life.sales_level,
                    Rhythm::Support | Rhythm::Service => 1.0 + (life.sales_level - 1.0) / 2.0,
                    Rhythm::Office | Rhythm::Batch => 1.0,
                };
                let mut factor = match rhythm {
                    // Machines follow the common day only half-heartedly.
                    Rhythm::Service | Rhythm::Batch => common.at(day).sqrt(),
                    _ => common.at(day),
                };
                if holidays.contains(&day) {
                    factor *= holiday;
                }
                if sales.contains(&day) {
                    factor *= sale;
                }
                (factor * noise.log_normal(hour as u64, 0.05)) as f32
            };
            (0..self.hours).map(by_hour).collect::<Vec<f32>>()
        });
        let outages = seed.child(5);
        for n in 0..u64::from(life.outages) {
            let length = 2 + outages.below(4 * n, 5) as usize;
            let begin = outages.below(4 * n + 1, self.hours as u64) as usize;
            for rhythm in Rhythm::ALL {
                let catch_up = match rhythm {
                    Rhythm::Batch | Rhythm::Service => 1.8,
                    Rhythm::Customers | Rhythm::Support => 1.3,
                    Rhythm::Office => 1.1,
                };
                let affected = factors[rhythm as usize].iter_mut().skip(begin).take(2 * length);
                for (since, factor) in affected.enumerate() {
                    *factor *= if since < length { 0.03 } else { catch_up };
                }
            }
        }
        factors
    }
}

/// A log-normal daily factor with mean 1 whose logarithm is a first-order autoregression, cut off after
/// sixteen days so that any day can be asked for alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AutoRegressive {
    seed: Seed,
    cv: f64,
    rho: f64,
}

impl AutoRegressive {
    const MEMORY_DAYS: u64 = 16;

    pub(crate) fn new(seed: Seed, cv: f64, rho: f64) -> Self {
        Self { seed, cv, rho }
    }

    pub(crate) fn at(self, day: usize) -> f64 {
        if self.cv <= 0.0 {
            return 1.0;
        }
        let (mut sum, mut power, mut squares) = (0.0, 1.0, 0.0);
        for back in 0..Self::MEMORY_DAYS {
            sum += power * self.seed.normal(day as u64 + Self::MEMORY_DAYS - back);
            squares += power * power;
            power *= self.rho;
            if power < 1e-3 {
                break;
            }
        }
        unit_log_normal(sum / f64::sqrt(squares), self.cv)
    }
}
