//! Leaks, resolved against the population: which key, user, addresses and accounts, how many accesses, and
//! in which hour. The `n`-th access of a phase is a function of `n`, so that any hour can be made alone.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use slowleak_record::Micros;

use crate::calendar::Calendar;
use crate::chance::{Alias, Permutation, Seed, below};
use crate::leak_spec::{Credential, LeakSpec, LeakUser, Pattern, Phase, Weekday};
use crate::objects::action_id;
use crate::scenario::{Scenario, When};
use crate::world::World;

/// A leak ready to be written.
#[derive(Debug)]
pub(crate) struct Leak {
    pub(crate) name: String,
    pub(crate) dimension: String,
    /// Where the log shows it.
    pub(crate) key: Option<LeakKey>,
    pub(crate) user: Who,
    pub(crate) phases: Vec<PhasePlan>,
    /// Filled while the log is written.
    pub(crate) tally: Tally,
}

/// The key that a leak uses.
#[derive(Debug, Clone)]
pub(crate) enum LeakKey {
    /// Index of an honest key.
    Honest(u32),
    /// A key of its own: its index behind the honest ones, and its registry entry.
    Own(u32, OwnKey),
}

/// Registry entry of a key that only a leak uses.
#[derive(Debug, Clone)]
pub(crate) struct OwnKey {
    pub(crate) name: String,
    pub(crate) owner: Option<String>,
    pub(crate) owner_left: Option<Micros>,
    pub(crate) issued: Micros,
}

/// Whom the log names as the actor.
#[derive(Debug)]
pub(crate) enum Who {
    /// One of these honest users, by weight.
    Among(Vec<u32>, Alias),
    Victim,
    Nobody,
    One(u32),
}

/// What the leak really did, as far as it counts in the truth.
#[derive(Debug)]
pub(crate) struct Tally {
    first: AtomicI64,
    last: AtomicI64,
    /// One bit an account.
    seen: Vec<AtomicU64>,
}

impl Tally {
    fn new(accounts: u64) -> Self {
        let words = accounts.div_ceil(64) as usize;
        Self {
            first: AtomicI64::new(i64::MAX),
            last: AtomicI64::new(i64::MIN),
            seen: std::iter::repeat_with(|| AtomicU64::new(0)).take(words).collect(),
        }
    }

    /// Counts an access at `time` to an account, or to none.
    pub(crate) fn count(&self, time: i64, account: Option<u64>) {
        self.first.fetch_min(time, Ordering::Relaxed);
        self.last.fetch_max(time, Ordering::Relaxed);
        if let Some(word) =
            account.and_then(|account| Some((account, self.seen.get((account / 64) as usize)?)))
        {
            word.1.fetch_or(1 << (word.0 % 64), Ordering::Relaxed);
        }
    }

    /// First access, end (exclusive) and distinct accounts; `None` if nothing was written.
    pub(crate) fn total(&self) -> Option<(Micros, Micros, u64)> {
        let (first, last) = (self.first.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        let subjects =
            self.seen.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum();
        (first <= last).then_some((Micros(first), Micros(last + 1), subjects))
    }
}

/// One phase: when it is at work and what it touches.
#[derive(Debug)]
pub(crate) struct PhasePlan {
    pub(crate) volume: Volume,
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    pub(crate) in_truth: bool,
    /// First hour that the phase touches, and the relative pace from there on.
    first_hour: usize,
    pace: Vec<f64>,
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
    first_source: u32,
    addresses: u32,
    active: u32,
}

/// How large a phase is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Volume {
    /// Share of the whole log's traffic in the phase.
    Share(f64),
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
    pub(crate) source: u32,
    /// Account index, or the index near which an id without account was tried.
    pub(crate) account: u64,
    pub(crate) missing: bool,
    /// Random bits for what else the record needs.
    pub(crate) random: u64,
}

impl PhasePlan {
    fn new(
        spec: &Phase,
        calendar: &Calendar,
        world: &mut World,
        actions: &mut Vec<String>,
        seed: Seed,
        home: &str,
        abroad: &[String],
    ) -> Self {
        let micros = |when: &When| when.micros().unwrap_or(calendar.start);
        let (start, end) = (micros(&spec.start), micros(&spec.end));
        let hour = |time: Micros| ((time.0 - calendar.start.0) / Micros::HOUR) as usize;
        let first_hour = hour(start);
        let last_hour = hour(Micros(end.0 - 1)).min(calendar.hours - 1);
        let pace = (first_hour..=last_hour).map(|at| pace(spec, calendar, at, (start, end), seed.child(1)));
        let days = (end.0 - start.0) as f64 / Micros::DAY as f64;
        let volume = match (spec.share, spec.per_day, spec.accesses) {
            (Some(share), ..) => Volume::Share(share),
            (_, Some(per_day), _) => Volume::Accesses((per_day * days).round() as u64),
            (.., accesses) => Volume::Accesses(accesses.unwrap_or(0)),
        };
        let region = if spec.region == home {
            0
        } else {
            abroad.iter().position(|region| *region == spec.region).map_or(0, |index| index as u16 + 1)
        };
        let weights: Vec<f32> = spec.objects.iter().map(|object| object.weight).collect();
        let accounts = spec.accounts.unwrap_or(world.subjects.count).min(world.subjects.count);
        let objects: Vec<u16> =
            spec.objects.iter().filter_map(|object| world.objects.id(&object.name)).collect();
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
            first_source: world.sources.extend_leak(spec.addresses, region),
            addresses: spec.addresses,
            active: spec.active.unwrap_or(spec.addresses).min(spec.addresses),
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

    /// The first address of the pool.
    pub(crate) fn first_source(&self) -> u32 {
        self.first_source
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
            let slide = u64::from(self.addresses - self.active);
            let address =
                (slide as f64 * n as f64 / total as f64) as u64 + at.below(1, u64::from(self.active));
            out.push(Access {
                arrival: from + (((n - first) as f64 + at.unit(0)) * step) as i64,
                leak,
                in_truth: self.in_truth,
                object: self.objects.get(self.mix.draw(at.bits(2)) as usize).copied().unwrap_or(0),
                action: self.action,
                source: self.first_source + address as u32,
                account,
                missing,
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

/// Resolves every leak of a scenario; adds their addresses and operations to the world.
pub(crate) fn resolve(scenario: &Scenario, calendar: &Calendar, world: &mut World, seed: Seed) -> Vec<Leak> {
    let population = &scenario.file.population;
    let mut own_keys = world.keys.len() as u32;
    let mut actions = std::mem::take(&mut world.objects.actions);
    let mut leaks = Vec::new();
    for (nth, spec) in scenario.file.leak.iter().enumerate() {
        let seed = seed.child(nth as u64);
        let phases: Vec<PhasePlan> = spec
            .phase
            .iter()
            .enumerate()
            .map(|(n, phase)| {
                let seed = seed.child(10 + n as u64);
                PhasePlan::new(
                    phase,
                    calendar,
                    world,
                    &mut actions,
                    seed,
                    &population.home,
                    &population.abroad,
                )
            })
            .collect();
        let (key, user) = credential(spec, &phases, scenario, calendar, world, seed, &mut own_keys);
        leaks.push(Leak {
            name: spec.name.clone(),
            dimension: spec.dimension.clone(),
            key,
            user,
            phases,
            tally: Tally::new(world.subjects.count),
        });
    }
    world.objects.actions = actions;
    leaks
}

fn credential(
    spec: &LeakSpec,
    phases: &[PhasePlan],
    scenario: &Scenario,
    calendar: &Calendar,
    world: &World,
    seed: Seed,
    own_keys: &mut u32,
) -> (Option<LeakKey>, Who) {
    let from = phases.iter().map(|phase| phase.first_hour).min().unwrap_or(0);
    let to = phases.iter().map(|phase| phase.first_hour + phase.pace.len()).max().unwrap_or(1);
    let days = calendar.day(from)..calendar.day(to - 1) + 1;
    let levels = mean_levels(world, calendar, days.clone());
    let active = |stream: &crate::world::Stream| {
        let (key, user) = (&world.keys[stream.key as usize], &world.users[stream.user as usize]);
        key.story.covers(days.start, days.end) && user.story.covers(days.start, days.end)
    };
    let mut key = match &spec.credential {
        Credential::Dedicated { key, owner, owner_left, issued } => {
            let micros = |when: &When| when.micros().ok();
            let own = OwnKey {
                name: key.clone(),
                owner: owner.clone(),
                owner_left: owner_left.as_ref().and_then(micros),
                issued: issued
                    .as_ref()
                    .and_then(micros)
                    .unwrap_or(Micros(scenario.start.0 - 365 * Micros::DAY)),
            };
            *own_keys += 1;
            Some(LeakKey::Own(*own_keys - 1, own))
        }
        Credential::Shared { share, group } => {
            let mut of_key = vec![0.0_f64; world.keys.len()];
            for (stream, level) in world.streams.iter().zip(&levels) {
                of_key[stream.key as usize] += level;
            }
            let total: f64 = of_key.iter().sum();
            let fit = |&index: &usize| {
                let key = &world.keys[index];
                key.logged
                    && key.story.covers(days.start, days.end)
                    && group.as_ref().is_none_or(|group| world.groups[key.group].name == *group)
            };
            let distance = |&index: &usize| (of_key[index] / total - share).abs();
            let best = (0..world.keys.len()).filter(fit).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            best.map(|index| LeakKey::Honest(index as u32))
        }
        Credential::Own | Credential::None => None,
    };
    let user = match &spec.user {
        LeakUser::Victim => Who::Victim,
        LeakUser::Null => Who::Nobody,
        LeakUser::OfKey => {
            let of_key =
                |stream: &crate::world::Stream| matches!(key, Some(LeakKey::Honest(k)) if k == stream.key);
            let fit = world.streams.iter().zip(&levels).filter(|(s, _)| of_key(s) && active(s));
            let (users, weights): (Vec<u32>, Vec<f32>) =
                fit.map(|(s, &level)| (s.user, level as f32)).unzip();
            if users.is_empty() { Who::Nobody } else { Who::Among(users, Alias::new(&weights)) }
        }
        LeakUser::Insider(group) => {
            let of_group =
                |s: &&crate::world::Stream| world.groups[usize::from(s.group)].name == *group && active(s);
            let streams: Vec<_> = world.streams.iter().filter(of_group).collect();
            match streams.get(seed.below(1, streams.len().max(1) as u64) as usize) {
                Some(stream) => {
                    key = Some(LeakKey::Honest(stream.key));
                    Who::One(stream.user)
                }
                None => Who::Nobody,
            }
        }
    };
    (key, user)
}

/// Each stream's level, averaged over up to twenty days of a range.
fn mean_levels(world: &World, calendar: &Calendar, days: std::ops::Range<usize>) -> Vec<f64> {
    let mut sums = vec![0.0; world.streams.len()];
    let mut levels = Vec::new();
    for day in days.clone().step_by(days.len().div_ceil(20).max(1)) {
        world.levels(day, calendar.weekday(day), &mut levels);
        sums.iter_mut().zip(&levels).for_each(|(sum, &level)| *sum += f64::from(level));
    }
    sums
}
