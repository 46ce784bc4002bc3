//! What happens to a whole company during the span: keys that are replaced by new ones with the same users,
//! and services that are born late.

use crate::calendar::Calendar;
use crate::chance::Alias;
use crate::scenario::{Scenario, SeasonKind};
use crate::story::Story;
use crate::user::user_of;
use crate::world::{Key, Stream, World};

impl World {
    /// Moves some keys' traffic, with their users, to new keys over a few days to weeks.
    pub(crate) fn migrate(&mut self, scenario: &Scenario, calendar: &Calendar) {
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
    pub(crate) fn launch(&mut self, scenario: &Scenario, calendar: &Calendar) {
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
}
