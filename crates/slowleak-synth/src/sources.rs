//! Addresses: how many of which kind there are, what they are called, which region they belong to, and
//! which a person or customer uses on a given day.
//!
//! Internal addresses are private (10.0.0.0/8); all others lie in 240.0.0.0/4, which belongs to nobody.

use crate::chance::{Seed, below, mix};
use crate::scenario::Scenario;

/// Source ids are dense: first the honest ones, pool by pool, then the leaks'.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Region id by source id; 0 is home.
    pub(crate) regions: Vec<u16>,
    pub(crate) names: Vec<String>,
    pub(crate) office: Fixed,
    pub(crate) servers: Fixed,
    pub(crate) homes: Fixed,
    pub(crate) mobile: Fixed,
    pub(crate) vpn: Fixed,
    pub(crate) customers: Turnover,
    /// By foreign region.
    pub(crate) abroad: Vec<Turnover>,
    seed: Seed,
}

/// A pool whose addresses stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed {
    first: u32,
    size: u32,
}

impl Fixed {
    /// The address that belongs to `random`.
    #[inline]
    pub(crate) fn pick(self, random: u64) -> u32 {
        self.first + below(random, u64::from(self.size)) as u32
    }
}

/// A pool whose odd slots change address every few weeks, always to one never seen before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turnover {
    first: u32,
    /// Addresses in use at a time.
    slots: u32,
    life_days: f32,
}

impl Turnover {
    fn new(first: u32, size: u32, days: usize, life_days: f64) -> Self {
        let epochs = (days as f64 / life_days).floor() as u32 + 2;
        Self { first, slots: (2 * size / (1 + epochs)).max(1), life_days: life_days as f32 }
    }

    /// The address at `slot` on `day`.
    #[inline]
    pub(crate) fn at(self, slot: u32, day: usize) -> u32 {
        if slot & 1 == 0 {
            return self.first + slot / 2;
        }
        let phase = (mix(u64::from(slot)) >> 40) as f32 / (1_u64 << 24) as f32;
        let epoch = (day as f32 / self.life_days + phase) as u32;
        self.first + self.slots.div_ceil(2) + epoch * (self.slots / 2) + slot / 2
    }

    /// A slot by popularity: the density falls as the inverse square root of the slot's rank.
    #[inline]
    pub(crate) fn popular(self, random: u64) -> u32 {
        let once = below(random, u64::from(self.slots));
        below(random << 32, once + 1) as u32
    }
}

impl Sources {
    pub(crate) fn new(scenario: &Scenario, seed: Seed, days: usize, people: u32) -> Self {
        let total = scenario.file.population.sources;
        let share = |share: f64| ((f64::from(total) * share) as u32).max(4);
        let mut sources = Self {
            regions: Vec::new(),
            names: Vec::new(),
            office: Fixed { first: 0, size: 0 },
            servers: Fixed { first: 0, size: 0 },
            homes: Fixed { first: 0, size: 0 },
            mobile: Fixed { first: 0, size: 0 },
            vpn: Fixed { first: 0, size: 0 },
            customers: Turnover { first: 0, slots: 1, life_days: 1.0 },
            abroad: Vec::new(),
            seed,
        };
        let life_days = scenario.file.life.address_days;
        // Office networks share few addresses; homes get what people can use up, customers the rest.
        sources.office = sources.fixed(10, (people / 15).clamp(4, share(0.01)), 0);
        sources.servers = sources.fixed(10, share(0.01), 0);
        sources.mobile = sources.fixed(241, share(0.04), 0);
        sources.vpn = sources.fixed(242, share(0.01), 0);
        sources.homes = sources.fixed(243, share(0.3).min(people.saturating_mul(8).max(4)), 0);
        let regions = scenario.file.population.abroad.len();
        let harmonic: f64 = (1..=regions).map(|rank| 1.0 / rank as f64).sum();
        for rank in 1..=regions {
            let size = share(0.12 / (rank as f64 * harmonic));
            let first = sources.extend(243 + rank.min(11) as u8, size, rank as u16);
            sources.abroad.push(Turnover::new(first, size, days, life_days));
        }
        let rest = total.saturating_sub(sources.names.len() as u32).max(16);
        let first = sources.extend(240, rest, 0);
        sources.customers = Turnover::new(first, rest, days, life_days);
        sources
    }

    fn fixed(&mut self, network: u8, size: u32, region: u16) -> Fixed {
        Fixed { first: self.extend(network, size, region), size }
    }

    /// Adds `size` addresses in `network`/8, scattered and without repeats; returns the first's id.
    pub(crate) fn extend(&mut self, network: u8, size: u32, region: u16) -> u32 {
        let first = self.names.len() as u32;
        let scatter = crate::chance::Permutation::new(self.seed.child(u64::from(network)), 1 << 24);
        for id in first..first + size {
            let [_, b, c, d] = (scatter.at(u64::from(id)) as u32).to_be_bytes();
            self.names.push(format!("{network}.{b}.{c}.{d}"));
            self.regions.push(region);
        }
        first
    }

    /// Adds a leak's pool: addresses of the region's own network, so that nothing but use tells them apart.
    pub(crate) fn extend_leak(&mut self, size: u32, region: u16) -> u32 {
        let network = if region == 0 { 243 } else { 243 + region.min(11) as u8 };
        self.extend(network, size, region)
    }
}

/// A person's addresses on one day, each of the eight equally likely.
pub(crate) fn of_person(sources: &Sources, seed: Seed, day: usize, life: &crate::life::Life) -> [u32; 8] {
    let week = (day / 7) as u64;
    let today = seed.child(1000 + day as u64);
    let this_week = seed.child(500_000 + week);
    if this_week.unit(0) < life.trips {
        let region = this_week.below(1, this_week.below(2, sources.abroad.len() as u64) + 1) as usize;
        let pool = sources.abroad[region];
        let hotel = pool.at(this_week.below(3, u64::from(pool.slots)) as u32, day);
        return [hotel; 8];
    }
    let office = sources.office.pick(seed.bits(0));
    let phase = seed.unit(1);
    let moves = (day as f64 / (life.address_days * seed.between(2, 0.4, 2.5)) + phase) as u64;
    let home = sources.homes.pick(seed.child(2).bits(moves));
    // Some work at the office, some at home, most on some days here and on some there.
    let at_office = today.unit(0) < seed.between(3, -0.2, 1.2);
    let main = if at_office { office } else { home };
    let mut slots = [main, main, main, main, main, main, main, if at_office { home } else { main }];
    if today.unit(1) < life.roaming {
        let elsewhere = match today.below(2, 10) {
            0..6 => sources.mobile.pick(today.bits(3)),
            6..9 => sources.vpn.pick(today.bits(3)),
            _ => sources.homes.pick(today.bits(3)),
        };
        let many = 1 + today.below(4, 6) as usize;
        slots[..many].fill(elsewhere);
    }
    slots
}

/// A service's addresses on one day: four internal ones that change with a deployment now and then.
pub(crate) fn of_service(sources: &Sources, seed: Seed, day: usize) -> [u32; 8] {
    std::array::from_fn(|slot| {
        let slot = (slot % 4) as u64;
        let deployments = (day as f64 / seed.between(slot, 40.0, 150.0) + seed.unit(4)) as u64;
        sources.servers.pick(seed.child(slot).bits(deployments))
    })
}
