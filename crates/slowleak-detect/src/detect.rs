//! The order of detection: rules, detectors, folding, ranking.

use slowleak_record::{Field, Registry};
use slowleak_rollup::{DayTable, Lookup};

use crate::birth::{self, Births};
use crate::burst::Bursts;
use crate::config::DetectConfig;
use crate::days::Log;
use crate::days::daily::Daily;
use crate::days::grid::Grid;
use crate::days::slices::Slices;
use crate::enumeration::{self, Enumeration};
use crate::finding::{Detection, Finding, Scope};
use crate::gap;
use crate::leak::Writer;
use crate::leak::evidence;
use crate::leak::fold::fold;
use crate::leak::phases::phases;
use crate::novelty::Novelty;
use crate::profile::{Exchanges, Parts, Profiles};
use crate::rate::Rates;
use crate::rate::share::Shares;
use crate::reconnaissance::{self, Reconnaissance};
use crate::rules::Rules;
use crate::rules::issues::Issues;
use crate::severity::rank;

/// What is known from outside the log.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Keys and people.
    pub registry: &'a Registry,
    /// What was issued, where there is a list of that.
    pub issues: Option<&'a Issues<'a>>,
}

impl<'a> From<&'a Registry> for Known<'a> {
    fn from(registry: &'a Registry) -> Self {
        Self { registry, issues: None }
    }
}

/// Finds the anomalous intervals of a rollup. Its days are all in memory; of its cells, which would not fit, `rollup` is
/// asked for those of the entities that findings name. Pure: the same rollup, knowledge and configuration give the same
/// findings, whatever the threads.
///
/// # Errors
/// The cells of such an entity can not be had.
pub fn detect<'k, L>(
    days: &[DayTable],
    rollup: &L,
    known: impl Into<Known<'k>>,
    config: &DetectConfig,
) -> Result<Detection, L::Error>
where
    L: Lookup + Sync,
    L::Error: Send,
{
    let Known { registry, issues } = known.into();
    let Some(grid) = Grid::of(days) else { return Ok(Detection::default()) };
    let events = finest(days.iter());
    let subjects = finest(days.iter().filter(|table| !table.subjects.is_empty()));
    let mut dailies: Vec<Daily<'_>> = events.iter().filter_map(|table| Daily::of(table, &grid)).collect();
    let spread: Vec<Daily<'_>> =
        events.iter().filter(spreads).filter_map(|table| Daily::spread(table, &grid, &dailies)).collect();
    dailies.extend(spread);
    let sketched: Vec<Daily<'_>> = subjects.iter().filter_map(|table| Daily::of(table, &grid)).collect();
    let slices = Slices::new(&dailies);
    let log = Log { grid: &grid, dailies: &dailies, sketched: &sketched, slices: &slices, registry, config };

    let rules = Rules { registry, issues, config, tables: &events, grid: &grid, slices: &slices };
    let (shares, parts) = rayon::join(|| Shares::of(&log), || Parts::of(&log));
    let numbered = finest(days.iter().filter(|table| !table.blocks.is_empty()));
    // None of them asks another, and each has stretches that one thread does alone.
    let amounts = || rayon::join(|| Rates::run(log, shares.as_ref()), || Births::run(log));
    let hours = || rayon::join(|| Bursts::run(log, rollup), || gap::gaps(&log, rollup));
    let habits = || rayon::join(|| Profiles::run(log, &parts), || Exchanges::read(log, rollup));
    let firsts = || rayon::join(|| Novelty::run(log, &events), || Reconnaissance::run(log));
    let accounts = || Enumeration::run(log, &numbered);
    let (((rates, births), (bursts, gaps)), ((profiles, exchanges), ((novelty, explorers), walkers))) =
        rayon::join(|| rayon::join(amounts, hours), || rayon::join(habits, || rayon::join(firsts, accounts)));
    let (bursts, mut gaps, exchanges) = (bursts?, gaps?, exchanges?);
    let of_novelty = novelty.as_ref().map_or(0, Novelty::tails);
    let tails = rates.tails()
        + births.tails()
        + bursts.tails()
        + profiles.tails()
        + exchanges.tails()
        + of_novelty
        + explorers.tails()
        + walkers.tails();
    let mut candidates = rules.candidates(rollup)?;
    candidates.extend(rates.candidates(tails));
    let born = births.candidates(tails);
    let rises = birth::unexcused(&mut candidates, &born);
    candidates.extend(born);
    candidates.extend(bursts.candidates(tails));
    candidates.extend(profiles.candidates(tails));
    candidates.extend(exchanges.candidates(tails));
    if let Some(novelty) = &novelty {
        candidates.extend(novelty.candidates(rollup, tails)?);
    }

    let writer = Writer { log, events: &events, subjects: &subjects, rollup };
    let mut folds = fold(candidates, &slices, |candidate, events| rates.outlives(candidate, events, tails));
    birth::join(&mut folds, rises);
    evidence::join(&mut folds, walkers.candidates(tails), &slices, enumeration::belongs);
    evidence::join(&mut folds, explorers.candidates(rollup, tails)?, &slices, reconnaissance::prepared);
    let leaks = phases(folds, &slices);
    let mut findings: Vec<Finding> =
        leaks.iter().map(|leak| writer.finding(leak)).collect::<Result<_, _>>()?;
    gap::name(&mut gaps, &mut findings);
    findings.extend(gaps);
    rank(&mut findings);
    let mut families = rates.examined();
    families.extend(novelty.as_ref().map(Novelty::examined));
    families.extend(explorers.examined());
    families.extend(walkers.examined());
    let scope = Scope { families, end: Some(grid.end()) };
    Ok(Detection { findings, scope, ..Detection::default() })
}

/// Whether days of a view are wanted whose windows are longer: who touched what from where is only added up.
fn spreads(table: &&&DayTable) -> bool {
    table.view.dimension.parts() != [Field::Source, Field::Object]
}

/// For each dimension the table with the finest window, which has the most to say about edges.
fn finest<'a>(tables: impl Iterator<Item = &'a DayTable>) -> Vec<&'a DayTable> {
    let mut tables: Vec<&DayTable> = tables.collect();
    tables.sort_by(|a, b| (&a.view.dimension, a.view.window).cmp(&(&b.view.dimension, b.view.window)));
    tables.dedup_by(|next, kept| next.view.dimension == kept.view.dimension);
    tables
}
