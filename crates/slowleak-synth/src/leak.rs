//! Leaks, resolved against the population: which key and user the log will show, and the tally of what was
//! really written, from which the truth is taken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use slowleak_record::Micros;

use crate::calendar::Calendar;
use crate::chance::{Alias, Permutation, Seed};
use crate::leak_spec::{Credential, LeakSpec, LeakUser};
use crate::phase::PhasePlan;
use crate::scenario::{Scenario, When};
use crate::world::{Stream, World};

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

impl Leak {
    /// Whether a stream is honest work of the key, or of the insider, that the leak uses.
    pub(crate) fn is_carried_by(&self, stream: &Stream) -> bool {
        match (&self.user, &self.key) {
            (Who::One(user), _) => stream.user == *user,
            (_, Some(LeakKey::Honest(key))) => stream.key == *key,
            _ => false,
        }
    }
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
    let specs = scenario.file.leak.iter().enumerate();
    let copies = specs.flat_map(|(nth, spec)| (0..spec.copies).map(move |copy| (nth, spec, copy)));
    for (nth, spec, copy) in copies {
        let of_spec = seed.child(nth as u64);
        let seed = if copy == 0 { of_spec } else { of_spec.child(1 << 20 | u64::from(copy)) };
        let named = |name: &str| if spec.copies == 1 { name.to_owned() } else { format!("{name}-{copy:03}") };
        let group = spec.group().and_then(|name| world.groups.iter().position(|group| group.name == name));
        let phases: Vec<PhasePlan> = spec
            .phase
            .iter()
            .enumerate()
            .map(|(n, phase)| {
                let seed = seed.child(10 + n as u64);
                PhasePlan::new(
                    phase,
                    group,
                    calendar,
                    world,
                    &mut actions,
                    seed,
                    (&population.home, &population.abroad),
                )
            })
            .collect();
        let (mut key, mut user) =
            credential(spec, copy, &phases, scenario, calendar, world, of_spec, &mut own_keys);
        if let Some(LeakKey::Own(_, own)) = &mut key {
            own.name = named(&own.name);
        }
        if let LeakUser::New(name) = &spec.user {
            user = world.add_stranger(&named(name)).map_or(Who::Nobody, Who::One);
        }
        leaks.push(Leak {
            name: named(&spec.name),
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

#[expect(clippy::too_many_arguments, reason = "one call, with all that is known of the population")]
fn credential(
    spec: &LeakSpec,
    copy: u32,
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
    let active = |stream: &Stream| {
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
            let mut keys: Vec<usize> = (0..world.keys.len()).filter(fit).collect();
            keys.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
            keys.get(copy as usize).map(|&index| LeakKey::Honest(index as u32))
        }
        Credential::Own | Credential::None => None,
    };
    let user = match &spec.user {
        LeakUser::Victim => Who::Victim,
        // A stranger joins the population only when everything else is settled.
        LeakUser::Null | LeakUser::New(_) => Who::Nobody,
        LeakUser::OfKey => {
            let of_key = |stream: &Stream| matches!(key, Some(LeakKey::Honest(k)) if k == stream.key);
            let fit = world.streams.iter().zip(&levels).filter(|(s, _)| of_key(s) && active(s));
            let (users, weights): (Vec<u32>, Vec<f32>) =
                fit.map(|(s, &level)| (s.user, level as f32)).unzip();
            if users.is_empty() { Who::Nobody } else { Who::Among(users, Alias::new(&weights)) }
        }
        LeakUser::Insider(group) => {
            let of_group = |s: &Stream| world.groups[usize::from(s.group)].name == *group && active(s);
            let fit = world.streams.iter().zip(&levels).filter(|(stream, _)| of_group(stream));
            let people = busy_half(fit.map(|(stream, &level)| (stream, level)));
            let order = Permutation::new(seed.child(1), people.len().max(1) as u64);
            match people.get(order.at(u64::from(copy) % people.len().max(1) as u64) as usize) {
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

/// The main stream of each user, of the busier half of them.
fn busy_half<'a>(streams: impl Iterator<Item = (&'a Stream, f64)>) -> Vec<&'a Stream> {
    let mut by_user: BTreeMap<u32, (&Stream, f64)> = BTreeMap::new();
    for (stream, level) in streams {
        let main = by_user.entry(stream.user).or_insert((stream, level));
        if level > main.1 {
            *main = (stream, level);
        }
    }
    let mut people: Vec<(&Stream, f64)> = by_user.into_values().collect();
    people.sort_by(|a, b| b.1.total_cmp(&a.1));
    people.truncate(people.len().div_ceil(2));
    people.into_iter().map(|(stream, _)| stream).collect()
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
