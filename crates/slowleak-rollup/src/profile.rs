//! Where the time of a pass goes. In: how long each step took, batch by batch, on every thread. Out: totals and
//! quantiles by step. It never reaches a result: times differ from run to run.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// One step of the work. Per batch of records unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Finding records that repeat others; once, where the log tells.
    Duplicates,
    /// Fetching, decompressing and decoding times, counts and statuses.
    ReadTimes,
    /// The same for names, and their ids.
    ReadNames,
    /// The same for subjects, and their hashes.
    ReadSubjects,
    /// Keeping the records that count, and telling their windows apart.
    Select,
    /// Ids of compounds.
    Compounds,
    /// Adding records to the cells of one view; per batch and view.
    Count,
    /// Setting aside cells that exceed the memory, and merging the runs where there are too many; once a run.
    Spill,
    /// Sorting names, and laying down the cells of all threads; once a view and once for some of its row groups.
    Assemble,
    /// Encoding the rollup; once for some row groups.
    Write,
    /// Appending what is encoded to its file; once for some row groups, and once a file for its footer. More threads than
    /// one do this and the next step beside those before.
    Append,
    /// Handing cells that are written on to detection, or freeing them; once for some row groups.
    HandOn,
}

impl Step {
    /// Every step, in the order of the work.
    pub const ALL: [Self; 12] = [
        Self::Duplicates,
        Self::ReadTimes,
        Self::ReadNames,
        Self::ReadSubjects,
        Self::Select,
        Self::Compounds,
        Self::Count,
        Self::Spill,
        Self::Assemble,
        Self::Write,
        Self::Append,
        Self::HandOn,
    ];

    /// The step in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Duplicates => "find duplicates",
            Self::ReadTimes => "read times and counts",
            Self::ReadNames => "read names to ids",
            Self::ReadSubjects => "read subjects to hashes",
            Self::Select => "select records",
            Self::Compounds => "compound ids",
            Self::Count => "count into cells",
            Self::Spill => "set cells aside",
            Self::Assemble => "assemble tables",
            Self::Write => "encode rollup",
            Self::Append => "append to files",
            Self::HandOn => "hand cells on",
        }
    }

    /// Whether a single thread's time is recorded, many times over; else the wall time of all threads together.
    const fn is_per_batch(self) -> bool {
        !matches!(self, Self::Duplicates | Self::Assemble | Self::Write | Self::Append | Self::HandOn)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Nanoseconds, by step.
    steps: Vec<Histogram<u64>>,
    /// Exact sums, nanoseconds.
    totals: [u64; Step::ALL.len()],
    /// Records that went through.
    pub records: u64,
}

impl Default for Profile {
    fn default() -> Self {
        // Two digits of every quantile; the range grows with what is recorded.
        let histogram = || Histogram::new(2).ok();
        Self {
            steps: Step::ALL.iter().filter_map(|_| histogram()).collect(),
            totals: [0; Step::ALL.len()],
            records: 0,
        }
    }
}

impl Profile {
    /// Records that `step` took so long, once.
    pub fn record(&mut self, step: Step, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.totals[step as usize] += nanos;
        if let Some(histogram) = self.steps.get_mut(step as usize) {
            // Fails only where the range can not grow, and it can.
            let _ = histogram.record(nanos);
        }
    }

    /// Adds what another thread recorded.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.steps.iter_mut().zip(&other.steps) {
            // Fails only where the range can not grow, and it can.
            let _ = mine.add(theirs);
        }
        for (mine, theirs) in self.totals.iter_mut().zip(other.totals) {
            *mine += theirs;
        }
        self.records += other.records;
    }

    /// Total time of a step, over all threads where it is counted by batch.
    pub fn total(&self, step: Step) -> Duration {
        Duration::from_nanos(self.totals[step as usize])
    }

    /// How often a step was recorded.
    pub fn count(&self, step: Step) -> u64 {
        self.steps.get(step as usize).map_or(0, Histogram::len)
    }

    /// The time that a share `quantile` of a step's occurrences stayed within.
    pub fn quantile(&self, step: Step, quantile: f64) -> Duration {
        let nanos =
            self.steps.get(step as usize).map_or(0, |histogram| histogram.value_at_quantile(quantile));
        Duration::from_nanos(nanos)
    }
}

impl fmt::Display for Profile {
    /// A table of the steps that were taken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<25}{:>9}{:>11}{:>9}{:>11}{:>11}{:>11}",
            "step", "seconds", "ns/record", "times", "median", "p99", "longest"
        )?;
        for step in Step::ALL.into_iter().filter(|step| self.count(*step) > 0) {
            let seconds = self.total(step).as_secs_f64();
            let each = seconds * 1e9 / self.records.max(1) as f64;
            write!(f, "{:<25}{seconds:>9.3}{each:>11.2}{:>9}", step.name(), self.count(step))?;
            for quantile in [0.5, 0.99, 1.0] {
                write!(f, "{:>8.0} us", self.quantile(step, quantile).as_secs_f64() * 1e6)?;
            }
            writeln!(f, "{}", if step.is_per_batch() { "" } else { "  wall" })?;
        }
        write!(f, "{} records; seconds are those of all threads together unless marked wall", self.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let mut one = Profile { records: 10, ..Profile::default() };
        one.record(Step::Count, Duration::from_micros(5));
        let mut two = Profile { records: 20, ..Profile::default() };
        two.record(Step::Count, Duration::from_micros(500));
        two.record(Step::Write, Duration::from_secs(3));
        one.merge(&two);
        assert_eq!(one.total(Step::Count), Duration::from_micros(505));
        assert_eq!(one.count(Step::Count), 2);
        let half = one.quantile(Step::Count, 0.5).as_nanos();
        assert!((4_950..=5_050).contains(&half), "{half}");
        assert_eq!(one.quantile(Step::Write, 1.0).as_secs(), 3);
        let text = one.to_string();
        assert!(text.contains("count into cells") && text.contains("30 records"), "{text}");
        assert!(!text.contains("compound ids"), "{text}");
    }
}
