//! `keys.csv` and `people.csv`: who owns which key, when it was issued and withdrawn, who has left.
//!
//! All names are plain (checked when the scenario is read), so no cell needs quoting.

use std::fmt::Write;

use slowleak_record::Micros;

use crate::chance::{Permutation, Seed};
use crate::leak::LeakKey;
use crate::plan::Plan;
use crate::scenario::{Scenario, SeasonKind};

/// The two registry files as text.
pub(crate) struct Registries {
    pub(crate) keys: String,
    pub(crate) people: String,
}

impl Registries {
    pub(crate) fn new(plan: &Plan, scenario: &Scenario) -> Self {
        let mut keys = vec![];
        let mut people = vec![];
        let (world, calendar) = (&plan.world, &plan.calendar);
        let seed = plan.seed.child(9);
        let days_before = |seed: Seed, n: u64, from: f64, to: f64| {
            Micros(calendar.start.0 - (seed.between(n, from, to) * Micros::DAY as f64) as i64)
        };
        for user in &world.users {
            // The last access lies before the day of retirement begins; the paper is dated after it.
            let left = user.story.retired.map(|(day, _)| calendar.day_start(day));
            people.push((user.name.clone(), world.groups[user.group].name.clone(), left));
        }
        for (index, key) in world.keys.iter().enumerate().filter(|(_, key)| key.logged) {
            let at = seed.child(1).child(index as u64);
            let group = &world.groups[key.group];
            let issued = match key.story.born {
                // A key is issued before it is used: late records reach back two hours.
                Some((day, _)) => {
                    let days = at.between(0, 0.2, 3.0);
                    Micros(calendar.day_start(day).0 - (days * Micros::DAY as f64) as i64)
                }
                None => days_before(at, 1, 5.0, 900.0),
            };
            let revoked = key.story.retired.map(|(day, _)| {
                Micros(calendar.day_start(day).0 + (at.between(2, 0.0, 1.0) * Micros::DAY as f64) as i64)
            });
            let kind = match group.season {
                SeasonKind::Office | SeasonKind::Support => "access-key",
                SeasonKind::Customers => "signing-key",
                SeasonKind::Service => "api-key",
                SeasonKind::Batch => "job-key",
            };
            let inside = matches!(group.season, SeasonKind::Service | SeasonKind::Batch);
            let regions = if inside { scenario.file.population.home.as_str() } else { "" };
            let owner = key.owner.map(|user| world.users[user].name.clone());
            keys.push(key_line(&key.name, owner.as_deref(), kind, issued, revoked, regions));
        }
        let people_group = |office: bool| {
            let fit = |group: &crate::scenario::Group| {
                group.season == SeasonKind::Office || !office && group.season.is_people()
            };
            world.groups.iter().position(fit)
        };
        let office = people_group(true).or_else(|| people_group(false)).unwrap_or(0);
        let group = &world.groups[office].name;
        let names = Permutation::new(seed.child(3), 1 << 24);
        for n in 0..u64::from(scenario.file.population.departed) {
            let at = seed.child(2).child(n);
            let left = days_before(at, 0, 20.0, 700.0);
            let owner = format!("{group}.former-{n:03}");
            let issued = Micros(left.0 - (at.between(1, 30.0, 900.0) * Micros::DAY as f64) as i64);
            let revoked = Micros(left.0 - (at.between(2, 0.0, 1.0) * Micros::DAY as f64) as i64);
            let key = format!("{group}-old-{:06x}", names.at(n));
            keys.push(key_line(&key, Some(&owner), "access-key", issued, Some(revoked), ""));
            people.push((owner, group.clone(), Some(left)));
        }
        for leak in &plan.leaks {
            let Some(LeakKey::Own(_, own)) = &leak.key else { continue };
            let owner = own.owner.clone();
            keys.push(key_line(&own.name, owner.as_deref(), "signing-key", own.issued, None, ""));
            if let Some(owner) = owner.filter(|owner| people.iter().all(|(user, ..)| user != owner)) {
                people.push((owner, group.clone(), own.owner_left));
            }
        }
        keys.sort();
        people.sort();
        let mut text = "user,group,left_at\n".to_owned();
        for (user, group, left) in people {
            // Writing to a string can not fail.
            let _ = writeln!(text, "{user},{group},{}", left.map(seconds).unwrap_or_default());
        }
        let header = "key,owner,kind,issued_at,expires_at,revoked_at,rotated_at,regions\n".to_owned();
        Self { keys: header + &keys.concat(), people: text }
    }
}

/// A time to the second.
fn seconds(time: Micros) -> String {
    Micros(time.0 - time.0.rem_euclid(Micros::SECOND)).to_string()
}

fn key_line(
    key: &str,
    owner: Option<&str>,
    kind: &str,
    issued: Micros,
    revoked: Option<Micros>,
    regions: &str,
) -> String {
    let owner = owner.unwrap_or_default();
    let revoked = revoked.map(seconds).unwrap_or_default();
    format!("{key},{owner},{kind},{},,{revoked},,{regions}\n", seconds(issued))
}
