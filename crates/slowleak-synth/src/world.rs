//! Who there is: keys, users and the streams between them (a stream is one user acting through one key),
//! with their life stories. Everything here depends on the scenario and the seed alone.

use std::collections::BTreeSet;

use crate::calendar::{AutoRegressive, Calendar, Season};
use crate::chance::{Alias, Permutation, Seed};
use crate::objects::Objects;
use crate::scenario::{Group, Scenario, SeasonKind};
use crate::sources::Sources;
use crate::subjects::Subjects;

/// A key of the honest background.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) group: usize,
    /// Index of the user who owns it.
    pub(crate) owner: Option<usize>,
    pub(crate) story: Story,
    /// Whether the log shows it.
    pub(crate) logged: bool,
}

/// A principal of the honest background.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) group: usize,
    pub(crate) seed: Seed,
    pub(crate) story: Story,
    /// Objects favoured, the first ones more; drawn with three random bits.
    pub(crate) favourites: [u16; 8],
    pub(crate) working_set: u32,
    /// Weekdays worked, as bits from Monday.
    weekdays: u8,
    /// Chance of working on such a day.
    presence: f64,
    /// First day and day after each leave.
    leaves: Vec<(usize, usize)>,
}

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
    change: Option<(usize, f64)>,
    own: AutoRegressive,
    days: usize,
}

impl Story {
    /// The factor on a day, 0 outside the life.
    fn at(&self, day: usize) -> f64 {
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

/// One user acting through one key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) key: u32,
    pub(crate) user: u32,
    pub(crate) group: u16,
    pub(crate) season: u16,
    /// Index into the world's mixes.
    pub(crate) mix: u16,
    /// Share of the honest traffic at level 1.
    pub(crate) share: f32,
}

/// Habits of a group, in the form of the hot loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Chance of a favourite object, in 2^-16.
    pub(crate) favourites: u16,
    /// Chance of a subject of the working set, in 2^-16.
    pub(crate) returning: u16,
    pub(crate) season: SeasonKind,
    pub(crate) members: bool,
}

/// The whole population.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) groups: Vec<Group>,
    pub(crate) habits: Vec<Habits>,
    pub(crate) seasons: Vec<Season>,
    pub(crate) keys: Vec<Key>,
    pub(crate) users: Vec<User>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) objects: Objects,
    pub(crate) mixes: Vec<Alias>,
    pub(crate) sources: Sources,
    pub(crate) subjects: Subjects,
    pub(crate) seed: Seed,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, calendar: &Calendar, seed: Seed) -> Self {
        let file = &scenario.file;
        let objects = Objects::new(scenario, seed.child(1));
        let people = file.group.iter().filter(|g| g.season.is_people()).map(|g| g.users).sum();
        let mut seasons = Vec::new();
        let mut first_season = Vec::new();
        for group in &file.group {
            first_season.push(seasons.len());
            seasons.extend(Season::variants(group.season));
        }
        let mut world = Self {
            groups: file.group.clone(),
            habits: file.group.iter().map(habits).collect(),
            seasons,
            keys: Vec::new(),
            users: Vec::new(),
            streams: Vec::new(),
            mixes: objects.mixes(),
            objects,
            sources: Sources::new(scenario, seed.child(2), calendar.days(), people),
            subjects: Subjects::new(&file.population, seed.child(3)),
            seed,
        };
        let total: f64 = file.group.iter().map(|group| group.share).sum();
        for (group, &season) in first_season.iter().enumerate() {
            world.settle(scenario, calendar, group, season, total);
        }
        world.migrate(scenario, calendar);
        world.launch(scenario, calendar);
        world.name_owners();
        world
    }

    /// Adds one group's keys, users and streams.
    fn settle(&mut self, scenario: &Scenario, calendar: &Calendar, group: usize, season: usize, total: f64) {
        let life = &scenario.file.life;
        let spec = self.groups[group].clone();
        let seed = self.seed.child(100 + group as u64);
        let days = calendar.days();
        let (first_key, first_user) = (self.keys.len(), self.users.len());
        let cv = spec.cv.unwrap_or(match spec.season {
            SeasonKind::Office => 0.45,
            SeasonKind::Support => 0.3,
            SeasonKind::Customers => 0.08,
            SeasonKind::Service => 0.15,
            SeasonKind::Batch => 0.1,
        });
        let key_share = zipf(spec.keys as usize, spec.key_zipf);
        let key_seed = seed.child(1);
        for (key, &share) in key_share.iter().enumerate() {
            let at = key_seed.child(key as u64);
            let mut story = Story::quiet(at.child(1), (cv / 2.0).min(0.15), spec.ar, days);
            // A key that carries much of the company is neither new nor about to go.
            if share * spec.share / total < 0.02 {
                story.live(at, life, days);
            }
            self.keys.push(Key {
                name: self.name_of(&spec.name, group, key),
                group,
                owner: None,
                story,
                logged: spec.key_logged,
            });
        }
        let mut rates = Vec::new();
        let favourites = Alias::new(&self.objects.weights[group]);
        for user in 0..spec.users as usize {
            let at = seed.child(2).child(user as u64);
            rates.push(at.log_normal(0, (f64::exp(spec.user_sigma.powi(2)) - 1.0).sqrt()).max(0.02));
            self.users.push(user_of(&spec, group, user, at, cv, scenario, calendar, &favourites));
        }
        let pairs = pairs(seed.child(3), &key_share, spec.users as usize);
        let mut sums = vec![0.0; spec.keys as usize];
        for &(key, user) in &pairs {
            sums[key] += rates[user];
        }
        let variants = Season::variants(spec.season).len() as u64;
        for &(key, user) in &pairs {
            let by = if spec.season == SeasonKind::Batch { key } else { user };
            let variant = seed.child(4).below(by as u64, variants) as usize;
            let share = spec.share / total * key_share[key] * rates[user] / sums[key];
            self.streams.push(Stream {
                key: (first_key + key) as u32,
                user: (first_user + user) as u32,
                group: group as u16,
                season: (season + variant) as u16,
                mix: group as u16,
                share: share as f32,
            });
        }
    }

    /// A key id that tells the group and nothing else.
    fn name_of(&self, group_name: &str, group: usize, key: usize) -> String {
        let scatter = Permutation::new(self.seed.child(5).child(group as u64), 1 << 24);
        format!("{group_name}-{:06x}", scatter.at(key as u64))
    }

    /// Moves some keys' traffic, with their users, to new keys over a few days to weeks.
    fn migrate(&mut self, scenario: &Scenario, calendar: &Calendar) {
        let seed = self.seed.child(6);
        let days = calendar.days();
        let mut users_of = vec![0_u32; self.keys.len()];
        let mut share_of = vec![0.0_f32; self.keys.len()];
        for stream in &self.streams {
            users_of[stream.key as usize] += 1;
            share_of[stream.key as usize] += stream.share;
        }
        let fit = |&key: &usize| {
            let key_of = &self.keys[key];
            users_of[key] >= 3 && share_of[key] < 0.03 && key_of.story.covers(0, days) && key_of.logged
        };
        let mut candidates: Vec<usize> = (0..self.keys.len()).filter(fit).collect();
        candidates.sort_by(|&a, &b| share_of[b].total_cmp(&share_of[a]));
        candidates.truncate(candidates.len().div_ceil(2));
        if days < 30 {
            return;
        }
        for n in 0..u64::from(scenario.file.life.migrations) {
            if candidates.is_empty() {
                return;
            }
            let old = candidates.swap_remove(seed.below(3 * n, candidates.len() as u64) as usize);
            let from = (days as f64 * seed.between(3 * n + 1, 0.2, 0.75)) as usize;
            let length = 3 + seed.below(3 * n + 2, 19) as usize;
            let group = self.keys[old].group;
            let mut story = self.keys[old].story.clone();
            story.born = Some((from, length));
            self.keys[old].story.retired = Some((from + length, length));
            let name = self.name_of(&self.groups[group].name, group, 1_000_000 + n as usize);
            let new = self.keys.len() as u32;
            self.keys.push(Key { name, group, owner: None, story, logged: true });
            let moved: Vec<Stream> = self.streams.iter().filter(|s| s.key as usize == old).copied().collect();
            self.streams.extend(moved.iter().map(|stream| Stream { key: new, ..*stream }));
        }
    }

    /// Adds services born late that lift two tables by tens of percent.
    fn launch(&mut self, scenario: &Scenario, calendar: &Calendar) {
        let seed = self.seed.child(7);
        let days = calendar.days();
        let Some(group) = self.groups.iter().position(|group| group.season == SeasonKind::Service) else {
            return;
        };
        let Some(season) = self.streams.iter().find(|s| usize::from(s.group) == group).map(|s| s.season)
        else {
            return;
        };
        let mut traffic = vec![0.0_f32; self.objects.names.len()];
        let mut of_group = vec![0.0_f32; self.groups.len()];
        for stream in &self.streams {
            of_group[usize::from(stream.group)] += stream.share;
        }
        for (weights, &share) in self.objects.weights.iter().zip(&of_group) {
            traffic.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight * share);
        }
        let named = scenario.file.object.len();
        let mut tables: Vec<usize> = (named..traffic.len()).collect();
        tables.sort_by(|&a, &b| traffic[b].total_cmp(&traffic[a]));
        let (first, last) = (tables.len() / 6, tables.len() / 2);
        for n in 0..u64::from(scenario.file.life.services) {
            if days < 30 || last < first + 2 {
                return;
            }
            let at = seed.child(n);
            let one = first + at.below(0, (last - first) as u64) as usize;
            let two =
                first + (one - first + 1 + at.below(1, (last - first - 1) as u64) as usize) % (last - first);
            let mut weights = vec![0.0_f32; traffic.len()];
            for table in [tables[one], tables[two]] {
                weights[table] = traffic[table];
            }
            let share =
                (traffic[tables[one]] + traffic[tables[two]]) * scenario.file.life.service_lift as f32;
            let from = (days as f64 * at.between(2, 0.35, 0.75)) as usize;
            let mut story = Story::quiet(at.child(1), 0.1, 0.6, days);
            story.born = Some((from, 3));
            let spec = self.groups[group].clone();
            let key = self.keys.len() as u32;
            let name = self.name_of(&spec.name, group, 2_000_000 + n as usize);
            self.keys.push(Key { name, group, owner: None, story, logged: true });
            let mix = self.mixes.len() as u16;
            self.mixes.push(Alias::new(&weights));
            let favourites = Alias::new(&weights);
            let users = 8 + at.below(3, 12);
            for user in 0..users {
                let number = spec.users as usize + 100 * (n as usize + 1) + user as usize;
                let of_user = at.child(10 + user);
                let mut user_of =
                    user_of(&spec, group, number, of_user, 0.15, scenario, calendar, &favourites);
                user_of.story = Story::quiet(of_user.child(1), 0.15, 0.6, days);
                user_of.story.born = Some((from, 1));
                let id = self.users.len() as u32;
                self.users.push(user_of);
                let share = share / users as f32;
                self.streams.push(Stream { key, user: id, group: group as u16, season, mix, share });
            }
        }
    }

    /// Gives every key an owner: its only user where that is a person, else someone who stays.
    fn name_owners(&mut self) {
        let mut only_user = vec![None; self.keys.len()];
        let mut users_of = vec![0_u32; self.keys.len()];
        for stream in &self.streams {
            users_of[stream.key as usize] += 1;
            only_user[stream.key as usize] = Some(stream.user as usize);
        }
        let is_people = |user: &User| self.groups[user.group].season.is_people();
        let days = self.users.first().map_or(0, |user| user.story.days);
        let stayers: Vec<usize> = (0..self.users.len())
            .filter(|&user| is_people(&self.users[user]) && self.users[user].story.covers(0, days))
            .collect();
        for index in 0..self.keys.len() {
            let person =
                only_user[index].filter(|&user| users_of[index] == 1 && is_people(&self.users[user]));
            self.keys[index].owner = match person {
                Some(user) => {
                    self.keys[index].story.born = self.users[user].story.born;
                    self.keys[index].story.retired = self.users[user].story.retired;
                    Some(user)
                }
                None if stayers.is_empty() => None,
                None => {
                    let pick = self.seed.child(8).below(index as u64, stayers.len() as u64);
                    Some(stayers[pick as usize])
                }
            };
        }
    }

    /// Fills `levels` with each stream's weight on a day, seasons and shared factors left out.
    pub(crate) fn levels(&self, day: usize, weekday: usize, levels: &mut Vec<f32>) {
        let keys: Vec<f64> = self.keys.iter().map(|key| key.story.at(day)).collect();
        let users: Vec<f64> = self.users.iter().map(|user| user.at(day, weekday)).collect();
        levels.clear();
        levels.extend(self.streams.iter().map(|stream| {
            (f64::from(stream.share) * keys[stream.key as usize] * users[stream.user as usize]) as f32
        }));
    }
}

impl User {
    fn at(&self, day: usize, weekday: usize) -> f64 {
        let away = self.leaves.iter().any(|&(from, to)| (from..to).contains(&day));
        let worked = self.weekdays >> weekday & 1 == 1
            && (self.presence >= 1.0 || self.seed.child(9).unit(day as u64) < self.presence);
        if away || !worked { 0.0 } else { self.story.at(day) }
    }
}

impl Story {
    /// A life without events: only the daily factor.
    fn quiet(seed: Seed, cv: f64, ar: f64, days: usize) -> Self {
        let own = AutoRegressive::new(seed, cv, ar);
        Self { born: None, retired: None, growth: 0.0, change: None, own, days }
    }

    /// Draws births, retirement and growth.
    fn live(&mut self, seed: Seed, life: &crate::life::Life, days: usize) {
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

#[expect(clippy::too_many_arguments, reason = "one call each for settling and for launching a service")]
fn user_of(
    spec: &Group,
    group: usize,
    number: usize,
    seed: Seed,
    cv: f64,
    scenario: &Scenario,
    calendar: &Calendar,
    favourites: &Alias,
) -> User {
    let life = &scenario.file.life;
    let days = calendar.days();
    let mut story = Story::quiet(seed.child(1), cv, spec.ar, days);
    story.live(seed, life, days);
    let (mut weekdays, mut presence, mut leaves) = (0x7f, 1.0, Vec::new());
    if spec.season.is_people() {
        if seed.unit(20) < life.role_changes && days > 30 {
            let from = (days as f64 * seed.between(21, 0.15, 0.85)) as usize;
            story.change = Some((from, seed.between(22, f64::ln(0.35), f64::ln(2.2)).exp()));
        }
        match seed.unit(23) {
            u if u < life.part_time => {
                weekdays = 0;
                for n in 0..3 {
                    weekdays |= 1 << seed.below(24 + n, 7);
                }
            }
            u if u < life.part_time + life.irregular => presence = seed.between(28, 0.15, 0.6),
            // A day is missed now and then.
            _ => presence = 0.96,
        }
        let expected = life.leaves_a_year * days as f64 / 365.0;
        for n in 0..seed.poisson(29, expected) {
            let from = seed.below(40 + 2 * n, days as u64) as usize;
            leaves.push((from, from + 7 + seed.below(41 + 2 * n, 22) as usize));
        }
    }
    // A service reads two or three tables, a person has more on the desk.
    let distinct = if spec.season == SeasonKind::Batch { 1 + seed.below(30, 3) } else { 5 };
    let order = [0, 0, 0, 1, 1, 2, 3, 4];
    let favourites = std::array::from_fn(|slot| {
        let which = order[slot].min(distinct - 1);
        favourites.draw(seed.child(2).bits(which)) as u16
    });
    User {
        name: format!("{}.{number:04}", spec.name),
        group,
        seed,
        story,
        favourites,
        working_set: (spec.working_set as f64 * seed.log_normal(31, 1.2)).clamp(5.0, 1e8) as u32,
        weekdays,
        presence,
        leaves,
    }
}

fn habits(group: &Group) -> Habits {
    let (favourites, returning) = match group.season {
        SeasonKind::Office => (0.6, 0.6),
        SeasonKind::Support => (0.5, 0.35),
        SeasonKind::Customers => (0.0, 0.0),
        SeasonKind::Service => (0.5, 0.1),
        SeasonKind::Batch => (1.0, 0.0),
    };
    let threshold = |share: f64| (share * 65_535.0).round() as u16;
    Habits {
        favourites: threshold(group.favourites.unwrap_or(favourites)),
        returning: threshold(group.returning.unwrap_or(returning)),
        season: group.season,
        members: group.members,
    }
}

/// Zipf shares that sum to 1.
fn zipf(count: usize, exponent: f64) -> Vec<f64> {
    let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Who uses which key: every key has a user, every user one to three keys, large keys have many users.
fn pairs(seed: Seed, key_share: &[f64], users: usize) -> BTreeSet<(usize, usize)> {
    let order = Permutation::new(seed.child(1), users as u64);
    let mut pairs: BTreeSet<(usize, usize)> =
        (0..key_share.len()).map(|key| (key, order.at(key as u64) as usize)).collect();
    let busy: BTreeSet<usize> = pairs.iter().map(|&(_, user)| user).collect();
    let shares: Vec<f32> = key_share.iter().map(|&share| share as f32).collect();
    let keys = Alias::new(&shares);
    for user in 0..users {
        let at = seed.child(2).child(user as u64);
        let wanted = match at.unit(0) {
            u if u < 0.6 => 1,
            u if u < 0.9 => 2,
            _ => 3,
        };
        for n in u64::from(busy.contains(&user))..wanted {
            pairs.insert((keys.draw(at.bits(1 + n)) as usize, user));
        }
    }
    pairs
}
