//! What the benches share; they live in `benches/`.

/// A sequence of well-mixed numbers (SplitMix64), from its seed.
#[derive(Debug, Clone)]
pub struct Mixer(pub u64);

impl Mixer {
    /// The next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and no adapter is wanted")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `names`: few often, many seldom.
    pub fn skewed(&mut self, names: u64) -> u64 {
        (self.unit().powi(3) * names as f64) as u64
    }

    /// How many trials a success of probability `p` takes.
    pub fn geometric(&mut self, p: f64) -> i64 {
        1 + ((1.0 - self.unit()).ln() / (1.0 - p).ln()) as i64
    }

    /// exp(7 + a normal): the sum of twelve uniforms is nearly one.
    pub fn log_normal(&mut self) -> i64 {
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        (7.0 + normal).exp() as i64
    }
}

/// Entities of `records` records, drawn with Zipf's weights; ids are given in order of first sight, hours ago.
pub fn entities(names: usize, records: usize) -> Vec<u32> {
    let mut sum = 0.0;
    let shares: Vec<f64> = (1..=names)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut mixer = Mixer(names as u64);
    let drawn = (0..records).map(|_| {
        let drawn = mixer.unit() * sum;
        shares.partition_point(|share| *share < drawn).min(names - 1) as u32
    });
    drawn.collect()
}
