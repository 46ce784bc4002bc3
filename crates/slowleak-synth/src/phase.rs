//! One phase of a leak, resolved: how many accesses each hour has, and what the `n`-th of them touches. Every
//! access is a function of `n`, so that any hour can be made alone.

use slowleak_record::Micros;

use crate::calendar::Calendar;
use crate::chance::{Alias, Permutation, Seed, below};
use crate::leak_spec::{Pattern, Phase, Weekday};
use crate::objects::action_id;
use crate::scenario::When;
use crate::world::World;

/// One phase: when it is at work and what it touches.
#[derive(Debug)]
pub(crate) struct PhasePlan {
    pub(crate) volume: Volume,
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    pub(crate) in_truth: bool,
    /// First hour that the phase touches, and the relative pace from there on.
    pub(crate) first_hour: usize,
    pub(crate) pace: Vec<f64>,
    /// Accesses before each hour, from `first_hour` on; one entry more than hours.
    before: Vec<u64>,
    seed: Seed,
    pattern: Pattern,
    accounts: u64,
    order: Permutation,
    misses: f64,
    objects: Vec<u16>,
    main_object: u16,
    mix: Alias,
    action: Option<u16>,
    bulk: f32,
    pool: Option<Pool>,
}

/// Addresses of a phase's own.
#[derive(Debug, Clone, Copy)]
struct Pool {
    first: u32,
    size: u32,
    /// In use at a time.
    active: u32,
}

impl Pool {
    /// The address of the `n`-th of `total` accesses: the part in use slides through the pool.
    fn address(self, n: u64, total: u64, at: Seed) -> u32 {
        let slide = u64::from(self.size - self.active);
        let place = (slide as f64 * n as f64 / total as f64) as u64 + at.below(1, u64::from(self.active));
        self.first + place as u32
    }
}

/// How large a phase is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Volume {
    /// Share of the whole log's traffic in the phase.
    Share(f64),
    /// Multiple of what its key or insider does honestly in the phase.
    Lift(f64),
    /// Accesses in all.
    Accesses(u64),
}

/// One leaked access.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// When the record is written, in microseconds.
    pub(crate) arrival: i64,
    pub(crate) leak: u16,
    pub(crate) in_truth: bool,
    pub(crate) object: u16,
    pub(crate) action: Option<u16>,
    /// The actor's own address of the day where absent.
    pub(crate) source: Option<u32>,
    /// Account index, or the index near which an id without account was tried.
    pub(crate) account: u64,
    pub(crate) missing: bool,
    pub(crate) bulk: f32,
    /// Random bits for what else the record needs.
    pub(crate) random: u64,
}

impl PhasePlan {
    pub(crate) fn new(
        spec: &Phase,
        group: Option<usize>,
        calendar: &Calendar,
        world: &mut World,
        actions: &mut Vec<String>,
        seed: Seed,
        (home, abroad): (&str, &[String]),
    ) -> Self {
        let micros = |when: &When| when.micros().unwrap_or(calendar.start);
        let (start, end) = (micros(&spec.start), micros(&spec.end));
        let hour = |time: Micros| ((time.0 - calendar.start.0) / Micros::HOUR) as usize;
        let first_hour = hour(start);
        let last_hour = hour(Micros(end.0 - 1)).min(calendar.hours - 1);
        let pace = (first_hour..=last_hour).map(|at| pace(spec, calendar, at, (start, end), seed.child(1)));
        let days = (end.0 - start.0) as f64 / Micros::DAY as f64;
        let volume = match (spec.share, spec.lift, spec.per_day, spec.accesses) {
            (Some(share), ..) => Volume::Share(share),
            (_, Some(lift), ..) => Volume::Lift(lift),
            (.., Some(per_day), _) => Volume::Accesses((per_day * days).round() as u64),
            (.., accesses) => Volume::Accesses(accesses.unwrap_or(0)),
        };
        let region = spec.region.as_deref().filter(|&region| region != home).and_then(|wanted| {
            let index = abroad.iter().position(|region| region == wanted)?;
            Some(index as u16 + 1)
        });
        let pool = spec.addresses.map(|size| Pool {
            first: world.sources.extend_leak(size, region.unwrap_or(0)),
            size,
            active: spec.active.unwrap_or(size).min(size),
        });
        let mut weights: Vec<f32> = spec.objects.iter().map(|object| object.weight).collect();
        let accounts = spec.accounts.unwrap_or(world.subjects.count).min(world.subjects.count);
        let mut objects: Vec<u16> =
            spec.objects.iter().filter_map(|object| world.objects.id(&object.name)).collect();
        let unused = group.map(|group| world.objects.unused(group)).unwrap_or_default();
        let order = Permutation::new(seed.child(6), unused.len().max(1) as u64);
        let wanted = u64::from(spec.unused).min(unused.len() as u64);
        objects.extend((0..wanted).map(|nth| unused[order.at(nth) as usize]));
        weights.resize(objects.len(), 1.0);
        let main = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
        Self {
            main_object: objects.get(main).copied().unwrap_or(0),
            volume,
            start,
            end,
            in_truth: spec.in_truth,
            first_hour,
            pace: pace.collect(),
            before: Vec::new(),
            seed,
            pattern: spec.pattern,
            accounts,
            order: Permutation::new(seed.child(2), world.subjects.count),
            misses: spec.misses,
            objects,
            mix: Alias::new(&weights),
            action: spec.action.as_ref().map(|action| action_id(actions, action)),
            bulk: spec.bulk,
            pool,
        }
    }

    /// Spreads `total` accesses over the hours: a Poisson draw each, then single ones added or taken until
    /// the total is met, so that the share is exact and the hours still scatter.
    pub(crate) fn spread(&mut self, total: u64) {
        let sum: f64 = self.pace.iter().sum();
        if sum <= 0.0 {
            self.before = vec![0; self.pace.len() + 1];
            return;
        }
        let draws = self.seed.child(3);
        let mean = |pace: f64| total as f64 * pace / sum;
        let mut counts: Vec<u64> =
            self.pace.iter().enumerate().map(|(n, &pace)| draws.poisson(n as u64, mean(pace))).collect();
        let mut have: u64 = counts.iter().sum();
        let paces: Vec<f32> = self.pace.iter().map(|&pace| pace as f32).collect();
        let hours = Alias::new(&paces);
        let fixes = self.seed.child(4);
        let mut n = 0;
        while have != total {
            let hour = hours.draw(fixes.bits(n)) as usize;
            n += 1;
            if have < total {
                counts[hour] += 1;
                have += 1;
            } else if counts[hour] > 0 {
                counts[hour] -= 1;
                have -= 1;
            }
        }
        let mut before = 0;
        self.before = std::iter::once(0)
            .chain(counts.iter().map(|count| {
                before += count;
                before
            }))
            .collect();
    }

    /// Accesses in all.
    pub(crate) fn total(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// The object with the largest weight.
    pub(crate) fn main_object(&self) -> u16 {
        self.main_object
    }

    /// The first address of the pool, if there is one.
    pub(crate) fn first_source(&self) -> Option<u32> {
        self.pool.map(|pool| pool.first)
    }

    /// Accesses in an hour of the calendar.
    pub(crate) fn count_in(&self, hour: usize) -> u64 {
        let Some(at) = hour.checked_sub(self.first_hour) else { return 0 };
        match (self.before.get(at), self.before.get(at + 1)) {
            (Some(before), Some(after)) => after - before,
            _ => 0,
        }
    }

    /// Appends the accesses of an hour, in order of time.
    pub(crate) fn hour(&self, hour: usize, calendar: &Calendar, leak: u16, out: &mut Vec<Access>) {
        let count = self.count_in(hour);
        if count == 0 {
            return;
        }
        let first = self.before[hour - self.first_hour];
        let total = self.before.last().copied().unwrap_or(1).max(1);
        let from = calendar.hour_start(hour).0.max(self.start.0);
        let to = (calendar.hour_start(hour).0 + Micros::HOUR).min(self.end.0);
        let step = (to - from) as f64 / count as f64;
        for n in first..first + count {
            let at = self.seed.child(5).child(n);
            let (account, missing) = self.account(n, at);
            out.push(Access {
                arrival: from + (((n - first) as f64 + at.unit(0)) * step) as i64,
                leak,
                in_truth: self.in_truth,
                object: self.objects.get(self.mix.draw(at.bits(2)) as usize).copied().unwrap_or(0),
                action: self.action,
                source: self.pool.map(|pool| pool.address(n, total, at)),
                account,
                missing,
                bulk: self.bulk,
                random: at.bits(3),
            });
        }
    }

    /// The account of the `n`-th access. Misses are interleaved evenly, so that the accounts that exist are
    /// walked through without holes.
    fn account(&self, n: u64, at: Seed) -> (u64, bool) {
        let misses_before = (n as f64 * self.misses) as u64;
        let missing = ((n + 1) as f64 * self.misses) as u64 > misses_before;
        let hit = n - misses_before;
        let account = match self.pattern {
            Pattern::Ordered => hit % self.accounts,
            Pattern::Once => self.order.at(hit % self.accounts),
            Pattern::Random => self.order.at(below(at.bits(4), self.accounts)),
        };
        (account, missing)
    }
}

/// Relative pace of a phase in an hour: 0 when off duty.
fn pace(spec: &Phase, calendar: &Calendar, hour: usize, range: (Micros, Micros), seed: Seed) -> f64 {
    const WEEK: [Weekday; 7] =
        [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
    let duty = &spec.duty;
    let of_week = calendar.hour_of_week(hour);
    let of_day = (of_week % 24) as u8;
    let (from, to) = duty.hours;
    let on_hour = if from < to { (from..to).contains(&of_day) } else { of_day >= from || of_day < to };
    let on_weekday = duty.weekdays.is_empty() || duty.weekdays.contains(&WEEK[of_week / 24]);
    let first = calendar.hour_start(hour).0;
    let begin = first.max(range.0.0);
    let cycle = u64::from(duty.on_days) + u64::from(duty.off_days);
    let since = ((begin - range.0.0) / Micros::DAY) as u64;
    let on_cycle = duty.off_days == 0 || since % cycle.max(1) < u64::from(duty.on_days);
    if !(on_hour && on_weekday && on_cycle) {
        return 0.0;
    }
    let covered = (first + Micros::HOUR).min(range.1.0) - begin;
    covered as f64 / Micros::HOUR as f64 * seed.log_normal(calendar.day(hour) as u64, duty.cv)
}
