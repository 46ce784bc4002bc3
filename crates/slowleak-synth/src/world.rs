//! Who there is: keys, users and the streams between them (a stream is one user acting through one key),
//! with their life stories. Everything here depends on the scenario and the seed alone.

use std::collections::BTreeSet;

use crate::calendar::{Calendar, Season};
use crate::chance::{Alias, Permutation, Seed};
use crate::objects::Objects;
use crate::scenario::{Group, Scenario, SeasonKind};
use crate::sources::Sources;
use crate::story::Story;
use crate::subjects::Subjects;
use crate::user::{User, user_of};

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
    pub(crate) fn name_of(&self, group_name: &str, group: usize, key: usize) -> String {
        let scatter = Permutation::new(self.seed.child(5).child(group as u64), 1 << 24);
        format!("{group_name}-{:06x}", scatter.at(key as u64))
    }

    /// Adds a user of whom the honest traffic knows nothing; returns its index.
    pub(crate) fn add_stranger(&mut self, name: &str) -> Option<u32> {
        let mut stranger = self.users.first()?.clone();
        name.clone_into(&mut stranger.name);
        (stranger.story.born, stranger.story.retired) = (None, None);
        self.users.push(stranger);
        Some(self.users.len() as u32 - 1)
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
