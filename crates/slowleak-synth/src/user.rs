//! A principal: the story of its level, when it is away, and what it habitually reads.

use crate::calendar::Calendar;
use crate::chance::{Alias, Seed};
use crate::scenario::{Group, Scenario, SeasonKind};
use crate::story::Story;

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

impl User {
    /// The factor on a day, 0 when away.
    pub(crate) fn at(&self, day: usize, weekday: usize) -> f64 {
        let away = self.leaves.iter().any(|&(from, to)| (from..to).contains(&day));
        let worked = self.weekdays >> weekday & 1 == 1
            && (self.presence >= 1.0 || self.seed.child(9).unit(day as u64) < self.presence);
        if away || !worked { 0.0 } else { self.story.at(day) }
    }
}

#[expect(clippy::too_many_arguments, reason = "one call each for settling and for launching a service")]
pub(crate) fn user_of(
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
