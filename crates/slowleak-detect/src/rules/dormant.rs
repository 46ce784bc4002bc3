//! A key that was silent for long and is used again.
//!
//! Silence must be shown: by as many days on which the log has records and the key has none, after a day on which the
//! key was used or on which the registry says that it existed. A new or rotated secret begins its silence anew. A key
//! that was never used before in the log was perhaps only put to use late: that is worth less than one that slept.

use slowleak_record::{Field, Micros};

use super::{FOR_GOOD, Rules, Suspect, date};
use crate::candidate::{Fact, Grade};
use crate::finding::Detector;

pub(super) fn suspects<'a>(rules: &'a Rules<'_>) -> Vec<Suspect<'a>> {
    let enough = rules.config.dormant_days;
    let Some(table) = rules.table(&[Field::Key]).filter(|_| enough <= rules.grid.days()) else {
        return Vec::new();
    };
    let Some(daily) = rules.slices.view(&[Field::Key]) else { return Vec::new() };
    let logged = logged_before(rules);
    let of_key = |entity: usize| {
        let entry = rules.registry.keys.get(&table.entities[entity]);
        // The newest day on which the key is known to have been made, as a day of the log.
        let made = entry.and_then(|entry| entry.issued_at.max(entry.rotated_at));
        let mut awake_since = made.filter(|made| *made <= rules.grid.start(0)).map(|_| 0);
        let mut used = false;
        // Of every silence that is long enough: the day after it, and what to say of it.
        let mut wakings: Vec<(usize, Fact)> = Vec::new();
        for (day, _) in daily.active(entity) {
            let born =
                made.and_then(|made| rules.grid.day(made)).filter(|born| *born < day).map(|born| born + 1);
            if let Some(since) = awake_since.max(born) {
                let silent = logged[day] - logged[since];
                if silent >= enough {
                    wakings.push((day, fact(silent, made.filter(|_| !used))));
                }
            }
            used = true;
            awake_since = Some(day + 1);
        }
        let starts: Vec<Micros> = wakings.iter().map(|(day, _)| rules.grid.start(*day)).collect();
        let ends = starts.clone().into_iter().skip(1).chain([FOR_GOOD]);
        let suspect = |((start, end), (_, fact))| Suspect {
            detector: Detector::DormantKey,
            table,
            entity,
            during: start..end,
            fact,
        };
        starts.into_iter().zip(ends).zip(wakings).map(suspect).collect::<Vec<_>>()
    };
    (0..table.entities.len()).flat_map(of_key).collect()
}

/// What to say of a silence. `only_made` is when a key was made that was not used before in the log.
fn fact(silent: usize, only_made: Option<Micros>) -> Fact {
    match only_made {
        None => Fact { why: format!("after {silent} days without any use"), grade: Grade::Odd },
        Some(made) => {
            let made = date(made);
            let why =
                format!("after {silent} days without any use, and none before in this log (made {made})");
            Fact { why, grade: Grade::Minor }
        }
    }
}

/// For each day of the log the number of earlier ones with any record.
fn logged_before(rules: &Rules<'_>) -> Vec<usize> {
    let count = |sum: &mut usize, day: usize| {
        let before = *sum;
        *sum += usize::from(rules.grid.logged(day));
        Some(before)
    };
    (0..rules.grid.days()).scan(0, count).collect()
}
