//! The hot loop: draws the records of one hour in the order in which they are written, honest and leaked
//! merged, without allocating.

use rand_pcg::rand_core::Rng;
use slowleak_record::Micros;

use crate::batch::Columns;
use crate::chance::{Alias, Quantiles, Seed, below};
use crate::leak::{LeakKey, Who};
use crate::life::Life;
use crate::phase::Access;
use crate::plan::Plan;
use crate::scenario::SeasonKind;
use crate::sources::{of_person, of_service};
use crate::text_chunk::NULL;

/// What is fixed for a local day.
#[derive(Debug, Default)]
struct Day {
    day: Option<usize>,
    /// Level of each stream.
    levels: Vec<f32>,
    /// Failure threshold of each stream, in 2^-16, cumulated: denied, missing, error.
    failures: Vec<[u16; 3]>,
    /// Addresses of each user.
    sources: Vec<[u32; 8]>,
}

/// Draws the records of any hours of a plan; keeps its tables from one hour to the next.
#[derive(Debug)]
pub(crate) struct Drawer<'a> {
    plan: &'a Plan,
    life: &'a Life,
    day: Day,
    streams: Alias,
    weights: Vec<f32>,
    /// Spread of a stream's level from hour to hour: people, customers and machines.
    bursts: [Quantiles; 3],
    /// Ordinary delay between access and record, in microseconds.
    delays: Quantiles,
    failing: Quantiles,
    accesses: Vec<Access>,
    home_regions: u64,
    event_ids: bool,
}

/// Chance in 2^-bits as an integer threshold.
fn threshold(share: f64, bits: u32) -> u64 {
    (share * 2_f64.powi(bits as i32)).round() as u64
}

const OK: i32 = 0;
const DENIED: i32 = 1;
const MISSING: i32 = 2;
const ERROR: i32 = 3;

impl<'a> Drawer<'a> {
    pub(crate) fn new(plan: &'a Plan, life: &'a Life, event_ids: bool) -> Self {
        let longest = life.disorder_seconds * Micros::SECOND as f64;
        let delay = move |z: f64| {
            // An exponential delay by the normal's own quantile, cut at the longest.
            let u = 0.5 * (1.0 + (z * 0.797_884_56 * (1.0 + 0.044_715 * z * z)).tanh());
            (-(1.0 - u.min(0.999_999)).ln() * longest / 5.0).min(longest)
        };
        Self {
            plan,
            life,
            day: Day::default(),
            streams: Alias::default(),
            weights: Vec::new(),
            bursts: [Quantiles::log_normal(1.0), Quantiles::log_normal(0.1), Quantiles::log_normal(0.25)],
            delays: Quantiles::of_normal(delay),
            failing: Quantiles::log_normal(0.6),
            accesses: Vec::new(),
            home_regions: plan.world.sources.abroad.len() as u64,
            event_ids,
        }
    }

    /// Settles what is fixed for a local day.
    fn enter(&mut self, day: usize) {
        if self.day.day == Some(day) {
            return;
        }
        let world = &self.plan.world;
        world.levels(day, self.plan.calendar.weekday(day), &mut self.day.levels);
        let seed = self.plan.seed.child(1).child(day as u64);
        let life = self.life;
        self.day.failures.clear();
        self.day.failures.extend((0..world.streams.len()).map(|stream| {
            let factor = f64::from(self.failing.draw(seed.bits(stream as u64)));
            let cut = |share: f64| (share * factor * 65_536.0).min(20_000.0) as u16;
            let (denied, missing, error) = (cut(life.denied), cut(life.missing), cut(life.error));
            [denied, denied + missing, denied + missing + error]
        }));
        self.day.sources.clear();
        self.day.sources.extend(world.users.iter().map(|user| {
            if world.groups[user.group].season.is_people() {
                of_person(&world.sources, user.seed.child(3), day, life)
            } else {
                of_service(&world.sources, user.seed.child(3), day)
            }
        }));
        self.day.day = Some(day);
    }

    /// Rebuilds the table of streams for an hour.
    fn weigh(&mut self, hour: usize) {
        let (world, calendar) = (&self.plan.world, &self.plan.calendar);
        let of_week = calendar.hour_of_week(hour);
        let seasons: Vec<f32> = world
            .seasons
            .iter()
            .map(|season| season.hours[of_week] * calendar.factor(season.rhythm, hour))
            .collect();
        let mut rng = self.plan.seed.child(2).child(hour as u64).running();
        self.weights.clear();
        let (bursts, levels) = (&self.bursts, &self.day.levels);
        self.weights.extend(world.streams.iter().zip(levels).map(|(stream, level)| {
            let burst = match world.habits[usize::from(stream.group)].season {
                SeasonKind::Office | SeasonKind::Support => &bursts[0],
                SeasonKind::Customers => &bursts[1],
                SeasonKind::Service | SeasonKind::Batch => &bursts[2],
            };
            level * seasons[usize::from(stream.season)] * burst.draw(rng.next_u64())
        }));
        self.streams.rebuild(&self.weights);
    }

    /// Draws an hour's records into `columns`; `full` is called whenever they hold `limit` records.
    pub(crate) fn hour<E>(
        &mut self,
        hour: usize,
        columns: &mut Columns,
        limit: usize,
        full: &mut impl FnMut(&mut Columns) -> Result<(), E>,
    ) -> Result<(), E> {
        let plan = self.plan;
        let day = plan.calendar.day(hour);
        self.accesses.clear();
        for (nth, leak) in plan.leaks.iter().enumerate() {
            for phase in &leak.phases {
                phase.hour(hour, &plan.calendar, nth as u16, &mut self.accesses);
            }
        }
        self.accesses.sort_by_key(|access| access.arrival);
        let count = plan.honest[hour];
        if count > 0 || self.accesses.iter().any(|access| access.source.is_none()) {
            self.enter(day);
        }
        if count > 0 {
            self.weigh(hour);
        }
        let mut leaked = 0;
        let seed = plan.seed.child(3).child(hour as u64);
        let mut rng = seed.running();
        let start = plan.calendar.hour_start(hour).0;
        let since_start = start - plan.calendar.start.0;
        let step = Micros::HOUR as f64 / count.max(1) as f64;
        let late = threshold(self.life.late, 32);
        let null_key = threshold(self.life.null_keys, 16);
        let null_user = threshold(self.life.null_users, 16);
        let foreign = threshold(self.life.foreign, 16);
        let world = &plan.world;
        for n in 0..count {
            let timing = rng.next_u64();
            let within = ((n as f64 + (timing >> 40) as f64 * (1.0 / 16_777_216.0)) * step) as i64;
            while let Some(access) =
                self.accesses.get(leaked).filter(|access| access.arrival <= start + within)
            {
                self.leak(access, columns, seed.child(1).bits(leaked as u64));
                leaked += 1;
                if columns.len() >= limit {
                    full(columns)?;
                }
            }
            let which = rng.next_u64();
            let stream_id = self.streams.draw(which) as usize;
            let stream = &world.streams[stream_id];
            let habits = &world.habits[usize::from(stream.group)];
            let user = &world.users[stream.user as usize];

            let mut delay = self.delays.draw(timing << 24) as i64;
            if timing & 0xffff_ffff < late {
                delay = below(mixed(timing), 2 * Micros::HOUR as u64) as i64;
            }
            columns.time.push(start + within - delay.min(since_start + within));

            let what = rng.next_u64();
            let object = if what as u16 <= habits.favourites && habits.favourites > 0 {
                user.favourites[(what >> 61) as usize]
            } else {
                // The high half picks the cell, so the low bits that chose the branch do not matter twice.
                world.mixes[usize::from(stream.mix)].draw(what.rotate_right(16)) as u16
            };

            let whose = rng.next_u64();
            let account = if habits.season == SeasonKind::Batch {
                // A job walks through the accounts by id.
                let base = below(mixed(u64::from(stream.key) << 20 | day as u64), world.subjects.count);
                (base + n) % world.subjects.count
            } else if ((whose & 0xffff) as u16) < habits.returning {
                world.subjects.returning(user.seed.bits(7), user.working_set, day, whose)
            } else {
                world.subjects.popular(whose)
            };

            let rest = rng.next_u64();
            let source = if habits.season == SeasonKind::Customers {
                let place = rng.next_u64();
                if place & 0xffff < foreign {
                    let region = below(place, below(place << 16, self.home_regions) + 1) as usize;
                    let pool = world.sources.abroad[region];
                    pool.at(pool.popular(mixed(place)), day)
                } else {
                    world.sources.customers.at(world.sources.customers.popular(place), day)
                }
            } else {
                self.day.sources[stream.user as usize][(rest & 7) as usize]
            };
            columns.source.push(source as i32);
            columns.region.push(i32::from(world.sources.regions[source as usize]));

            let shape = world.objects.shapes[usize::from(object)];
            let action = if rest >> 3 & 7 == 0 { shape.other_action } else { shape.action };
            columns.action.push(i32::from(action));
            columns.object.push(i32::from(object));

            let fate = (rest >> 6) as u16;
            let [denied, missing, error] = self.day.failures[stream_id];
            let status = if fate >= error {
                OK
            } else if fate < denied {
                DENIED
            } else if fate < missing {
                MISSING
            } else {
                ERROR
            };
            let subject = if status == MISSING {
                world.subjects.missing_id(account)
            } else {
                world.subjects.id(account)
            };
            columns.subject.push(subject);
            columns.status.push(status);
            let (rows, bytes) = if status == OK {
                let (rows, bytes) = world.objects.size(object, mixed(rest));
                if habits.season == SeasonKind::Batch { (rows * 20, bytes * 20) } else { (rows, bytes) }
            } else {
                (0, 150 + (rest >> 57) as i64)
            };
            columns.rows.push(rows);
            columns.bytes.push(bytes);

            let blank_key = (rest >> 22 & 0xffff) < null_key;
            let blank_user = (rest >> 38 & 0xffff) < null_user && !blank_key;
            let logged = world.keys[stream.key as usize].logged;
            columns.key.push(if logged && !blank_key { stream.key as i32 } else { NULL });
            let user = if habits.members {
                member(columns, world.users.len(), subject)
            } else if blank_user && logged {
                NULL
            } else {
                stream.user as i32
            };
            columns.user.push(user);
            if self.event_ids {
                columns.event_id.push(mixed(rng.next_u64()));
            }
            if columns.len() >= limit {
                full(columns)?;
            }
        }
        while let Some(access) = self.accesses.get(leaked) {
            self.leak(access, columns, seed.child(1).bits(leaked as u64));
            leaked += 1;
            if columns.len() >= limit {
                full(columns)?;
            }
        }
        Ok(())
    }

    /// Adds a leaked record.
    fn leak(&self, access: &Access, columns: &mut Columns, event_id: u64) {
        let world = &self.plan.world;
        let leak = &self.plan.leaks[usize::from(access.leak)];
        let seed = Seed::new(access.random);
        let delay = self.delays.draw(seed.bits(0)) as i64;
        let time = (access.arrival - delay).max(self.plan.calendar.start.0);
        let subject = if access.missing {
            world.subjects.missing_id(access.account)
        } else {
            world.subjects.id(access.account)
        };
        let (rows, bytes) = if access.missing {
            (0, 150 + seed.below(1, 128) as i64)
        } else {
            let (rows, bytes) = world.objects.size(access.object, seed.bits(1));
            let bulk = |count: i64| (count as f64 * f64::from(access.bulk)) as i64;
            (bulk(rows), bulk(bytes))
        };
        let shape = world.objects.shapes[usize::from(access.object)];
        columns.time.push(time);
        columns.key.push(match &leak.key {
            Some(LeakKey::Honest(key) | LeakKey::Own(key, _)) => *key as i32,
            None => NULL,
        });
        let user = match &leak.user {
            Who::Among(users, weights) => users[weights.draw(seed.bits(2)) as usize] as i32,
            Who::Victim => member(columns, world.users.len(), subject),
            Who::Nobody => NULL,
            Who::One(user) => *user as i32,
        };
        columns.user.push(user);
        let source = match (access.source, &leak.user) {
            (Some(source), _) => source,
            (None, Who::One(user)) => self.day.sources[*user as usize][(seed.bits(3) & 7) as usize],
            // Refused when the scenario is read.
            (None, _) => 0,
        };
        columns.source.push(source as i32);
        columns.region.push(i32::from(world.sources.regions[source as usize]));
        columns.action.push(i32::from(access.action.unwrap_or(shape.action)));
        columns.object.push(i32::from(access.object));
        columns.subject.push(subject);
        columns.rows.push(rows);
        columns.bytes.push(bytes);
        columns.status.push(if access.missing { MISSING } else { OK });
        if self.event_ids {
            columns.event_id.push(event_id);
        }
        if access.in_truth {
            leak.tally.count(time, (!access.missing).then_some(access.account));
        }
    }
}

/// Puts an account into the user column and returns its id there.
fn member(columns: &mut Columns, users: usize, subject: i64) -> i32 {
    columns.members.push(subject);
    (users + columns.members.len() - 1) as i32
}

#[inline]
fn mixed(random: u64) -> u64 {
    crate::chance::mix(random)
}
