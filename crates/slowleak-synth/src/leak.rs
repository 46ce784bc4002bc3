//! Leaks, resolved against the population: which key and user the log will show, and the tally of what was
//! really written, from which the truth is taken.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use slowleak_record::Micros;

use crate::calendar::Calendar;
use crate::chance::{Alias, Seed};
use crate::leak_spec::{Credential, LeakSpec, LeakUser};
use crate::phase::PhasePlan;
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
