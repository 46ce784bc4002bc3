//! What never rests, and once stood still. In: the hours of the largest keys, users, objects and sources. Out: those whose
//! records are missing for hours, and which came back.
//!
//! People go on leave, jobs pause, hosts are exchanged: that something falls silent says nothing, and what does not come
//! back was given up. But what has records in nearly every hour of its life does not pause for a day, and how long the
//! pauses of such entities are can be measured on all of them. A pause counts what is missing in it: the entity's usual
//! records of these hours, less what the whole log has fewer.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;
use slowleak_record::{Field, Window};
use slowleak_rollup::{Lookup, Metric, View};

use crate::days::Log;
use crate::days::daily::Daily;
use crate::finding::Severity;
use crate::gap::hours::{Hours, position};
use crate::gap::{Gap, length};
use crate::leak::wording::{count, minute};
use crate::rate::calibrate::Tail;

/// Fields whose values are asked; of those that stand still together, the first that has most of the records names them.
const ASKED: [Field; 4] = [Field::Key, Field::User, Field::Object, Field::Source];
/// Most of the missing records.
const MOST_MISSING: f64 = 0.8;
/// Values that are asked of a field, the largest.
const MOST: usize = 256;
/// Part of the hours of its life, its longest pause left out, in which something that never rests has records.
const NEVER_RESTS: f64 = 0.9;
/// Hours that a pause has at least: what is shorter is a restart.
const LEAST_HOURS: usize = 6;
/// ...and at most: what is longer was given up, and taken up again.
const MOST_HOURS: usize = 14 * 24;

/// A pause that was told.
struct Stop {
    field: Field,
    value: String,
    hours: Range<usize>,
    /// Records that are missing, at the level of the days around.
    missing: f64,
    score: f64,
    odds: f64,
    days: Vec<(f64, f64)>,
}

/// See the module.
///
/// # Errors
/// The cells of a view can not be read.
pub(super) fn gaps<L: Lookup>(log: &Log<'_>, whole: &Hours, rollup: &L) -> Result<Vec<Gap>, L::Error> {
    let logged: Vec<bool> = (0..log.grid.days()).map(|day| log.grid.logged(day)).collect();
    let mut stops = Vec::new();
    for field in ASKED {
        let asked = read(log, field, rollup)?;
        let pauses: Vec<Pause> =
            asked.into_par_iter().filter_map(|asked| Pause::of(asked, whole, &logged)).collect();
        let tail = Tail::fit(pauses.iter().map(|pause| pause.missing).collect());
        let (entities, families) = (pauses.len() as f64, ASKED.len() as f64);
        for pause in pauses {
            let Pause { value, hours, missing, days } = pause;
            let odds = tail.expected_false(missing, entities, families, whole.len() as f64, 1.0);
            let (Some(odds), Some(score)) = (odds, tail.calibrated(missing)) else { continue };
            let told = odds <= log.config.max_expected_false
                && missing >= log.config.min_events as f64
                && hours.len() >= LEAST_HOURS
                && tail.common(missing).is_none();
            if told {
                stops.push(Stop { field, value, hours, missing, score, odds, days });
            }
        }
    }
    Ok(together(stops).into_iter().map(|stops| gap(stops, whole)).collect())
}

/// A value of a field with its records by hour.
struct Asked {
    value: String,
    counts: Vec<u32>,
}

/// The largest values of a field, in their order, from the simplest view that has it by hours; none where no view has.
fn read<L: Lookup>(log: &Log<'_>, field: Field, rollup: &L) -> Result<Vec<Asked>, L::Error> {
    let has = |daily: &&Daily<'_>| {
        daily.table.view.window <= Window::HOUR && daily.table.view.dimension.parts().contains(&field)
    };
    let views = log.dailies.iter().filter(has);
    let Some(daily) = views.min_by_key(|daily| daily.table.view.dimension.parts().len()) else {
        return Ok(Vec::new());
    };
    let view = &daily.table.view;
    let place = view.dimension.parts().iter().position(|part| *part == field).unwrap_or_default();
    let value = |name: &str| view.dimension.split(name).into_iter().nth(place).unwrap_or_default();

    let mut totals: HashMap<String, f64> = HashMap::new();
    for (entity, name) in daily.table.entities.iter().enumerate() {
        *totals.entry(value(name)).or_default() += daily.total(entity);
    }
    let mut largest: Vec<(String, f64)> = totals.into_iter().collect();
    largest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    largest.truncate(MOST);
    largest.sort_by(|a, b| a.0.cmp(&b.0));
    let of = |name: &str| largest.binary_search_by(|(known, _)| known.as_str().cmp(&value(name))).ok();

    let names: Vec<&str> = daily.table.entities.iter().map(|name| &**name).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| of(name).is_some()).collect();
    let mut counts = vec![vec![0_u32; log.grid.days() * 24]; largest.len()];
    let hourly = View::new(view.dimension.clone(), view.window, [Metric::Events]);
    rollup.each(&hourly, &names, &mut |cells| {
        for (entity, name) in cells.entities.iter().enumerate() {
            let Some(counts) = of(name).map(|at| &mut counts[at]) else { continue };
            for cell in cells.cells(entity) {
                if let Some(hour) = position(log.grid, cells.windows[cell]) {
                    let events = u32::try_from(cells.count(Metric::Events)[cell]).unwrap_or(u32::MAX);
                    counts[hour] = counts[hour].saturating_add(events);
                }
            }
        }
    })?;
    let asked = largest.into_iter().zip(counts);
    Ok(asked.map(|((value, _), counts)| Asked { value, counts }).collect())
}

/// The longest pause of something that never rests.
struct Pause {
    value: String,
    hours: Range<usize>,
    missing: f64,
    days: Vec<(f64, f64)>,
}

impl Pause {
    /// `None` of what rests.
    fn of(Asked { value, counts }: Asked, whole: &Hours, logged: &[bool]) -> Option<Self> {
        let pauses = pauses(&counts, whole)?;
        let own = Hours::new(whole.time(0), counts.into_iter().map(f64::from).collect(), logged)?;
        let missing = |hours: &Range<usize>| own.expected_of(hours, |hour| whole.left(hour));
        let pauses = pauses.into_iter().map(|hours| (missing(&hours), hours));
        // Of several the first, so that later nights do not choose anew.
        let (missing, hours) = pauses.reduce(|a, b| if b.0 > a.0 { b } else { a }).unwrap_or((0.0, 0..0));
        let days = if hours.len() >= LEAST_HOURS { own.days().collect() } else { Vec::new() };
        Some(Self { value, hours, missing, days })
    }
}

/// The hours without records between those with records, if there is as much of a life before them as after them; `None`
/// of what rests. Hours without any record of the whole log are nobody's.
fn pauses(counts: &[u32], whole: &Hours) -> Option<Vec<Range<usize>>> {
    let busy: Vec<usize> = (0..counts.len()).filter(|hour| counts[*hour] > 0).collect();
    let (first, last) = (*busy.first()?, *busy.last()?);
    let heard = |hours: &Range<usize>| hours.clone().filter(|hour| whole.heard(*hour)).count();
    let between = busy.windows(2).map(|pair| pair[0] + 1..pair[1]);
    let pauses: Vec<Range<usize>> = between.filter(|hours| !hours.is_empty()).collect();
    let life = heard(&(first..last + 1));
    let longest = pauses.iter().map(heard).max().unwrap_or(0);
    if (busy.len() as f64) < NEVER_RESTS * (life - longest) as f64 {
        return None;
    }
    // What was tried for a day and begins a month later has not stood still, nor has what was used once more.
    let known =
        |hours: &Range<usize>| hours.len() <= MOST_HOURS.min(hours.start - first).min(last + 1 - hours.end);
    Some(pauses.into_iter().filter(known).collect())
}

/// Those that stand still in the same hours (half of the shorter pause), each with the one that names them apart.
fn together(mut stops: Vec<Stop>) -> Vec<(Stop, Vec<Stop>)> {
    let place = |stop: &Stop| ASKED.iter().position(|field| *field == stop.field);
    stops.sort_by(|a, b| {
        let order = b.missing.total_cmp(&a.missing);
        order.then_with(|| place(a).cmp(&place(b))).then_with(|| a.value.cmp(&b.value))
    });
    let mut groups: Vec<(Stop, Vec<Stop>)> = Vec::new();
    for mut stop in stops {
        let same = |(lead, _): &&mut (Stop, Vec<Stop>)| {
            let common =
                lead.hours.end.min(stop.hours.end).saturating_sub(lead.hours.start.max(stop.hours.start));
            2 * common >= lead.hours.len().min(stop.hours.len())
        };
        let Some((lead, others)) = groups.iter_mut().find(same) else {
            groups.push((stop, Vec::new()));
            continue;
        };
        if stop.missing >= MOST_MISSING * lead.missing && place(&stop) < place(lead) {
            std::mem::swap(lead, &mut stop);
        }
        others.push(stop);
    }
    groups
}

fn gap((stop, others): (Stop, Vec<Stop>), whole: &Hours) -> Gap {
    let so = match &others[..] {
        [] => String::new(),
        [one] => format!(", nor has {} {}", one.field, one.value),
        [one, rest @ ..] => format!(", nor have {} {} and {} more", one.field, one.value, rest.len()),
    };
    let summary = format!(
        "{} {} has no record at all for {}, from {} to {} UTC, where {} were expected, and otherwise never rests{so}: its \
         records were deleted or not written, or it stood still",
        stop.field,
        stop.value,
        length(&stop.hours),
        minute(whole.time(stop.hours.start)),
        minute(whole.time(stop.hours.end)),
        count(stop.missing),
    );
    Gap {
        of: Some((stop.field, stop.value)),
        hours: stop.hours,
        observed: 0.0,
        expected: stop.missing,
        dispersion: 0.0,
        raw_score: stop.missing,
        score: stop.score,
        odds: stop.odds,
        severity: Severity::Low,
        cause: None,
        summary,
        days: stop.days,
    }
}
