//! Checks a parsed scenario for values that contradict each other, and finds the line to blame.

use std::collections::BTreeSet;

use slowleak_record::Micros;

use crate::SynthError;
use crate::leak_spec::{Credential, LeakSpec, LeakUser, Phase};
use crate::scenario::{Object, Scenario, ScenarioFile, When};

/// A scenario's text, to name lines in messages.
struct Text<'a> {
    text: &'a str,
    name: &'a str,
}

/// A table of the file: its header as written, and which of several equal headers, from 0.
#[derive(Clone, Copy)]
struct Table<'a> {
    header: &'a str,
    nth: usize,
}

impl Text<'_> {
    /// The 1-based line of `field` in `table`: its own line, else the table's header, else the first.
    fn line(&self, table: Table<'_>, field: &str) -> usize {
        let mut inside = table.header.is_empty();
        let (mut seen, mut header_line) = (0, 1);
        for (index, line) in self.text.lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with('[') {
                let here = line.starts_with(table.header) && !table.header.is_empty();
                inside = here && seen == table.nth;
                seen += usize::from(here);
                if inside {
                    header_line = index + 1;
                }
            } else if inside
                && line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='))
            {
                return index + 1;
            }
        }
        header_line
    }

    fn error(&self, table: Table<'_>, field: &str, cause: impl Into<String>, remedy: &str) -> SynthError {
        SynthError::Scenario {
            name: self.name.to_owned(),
            line: self.line(table, field),
            cause: cause.into(),
            remedy: remedy.to_owned(),
        }
    }

    fn time(&self, table: Table<'_>, field: &str, when: &When) -> Result<Micros, SynthError> {
        when.micros().map_err(|cause| {
            self.error(table, field, format!("{field}: {cause}"), "write a date such as 2025-06-24")
        })
    }

    /// Requires `value` to be a number inside the closed range.
    fn within(
        &self,
        table: Table<'_>,
        field: &str,
        value: f64,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<(), SynthError> {
        if range.contains(&value) {
            return Ok(());
        }
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        Err(self.error(table, field, format!("{field} = {value} is out of range"), &remedy))
    }
}

const TOP: Table<'static> = Table { header: "", nth: 0 };
const SPAN: Table<'static> = Table { header: "[span]", nth: 0 };
const POPULATION: Table<'static> = Table { header: "[population]", nth: 0 };
const LIFE: Table<'static> = Table { header: "[life]", nth: 0 };

/// Checks everything and turns the file into a scenario.
pub(crate) fn checked(file: ScenarioFile, text: &str, name: &str) -> Result<Scenario, SynthError> {
    let text = Text { text, name };
    let start = text.time(SPAN, "start", &file.span.start)?;
    let end = text.time(SPAN, "end", &file.span.end)?;
    for (field, time) in [("start", start), ("end", end)] {
        if time.0.rem_euclid(Micros::DAY) != 0 {
            let cause = format!("{field} = {time} is not midnight UTC");
            return Err(text.error(SPAN, field, cause, "write a date without a time"));
        }
    }
    let days = (end.0 - start.0) / Micros::DAY;
    if !(1..=4000).contains(&days) {
        let cause = format!("the span has {days} days");
        return Err(text.error(SPAN, "end", cause, "let end be 1 to 4000 days after start"));
    }
    text.within(SPAN, "utc_offset_hours", file.span.utc_offset_hours as f64, -12.0..=14.0)?;
    text.within(TOP, "rows", file.rows as f64, 1.0..=1e12)?;
    population(&file, &text)?;
    groups(&file, &text)?;
    objects(&file, &text)?;
    life(&file, &text)?;
    let mut names = BTreeSet::new();
    for (nth, leak) in file.leak.iter().enumerate() {
        let table = Table { header: "[[leak]]", nth };
        if !names.insert(&leak.name) {
            let cause = format!("two leaks are named {:?}", leak.name);
            return Err(text.error(table, "name", cause, "name each leak differently"));
        }
        leak_spec(&file, leak, table, (start, end), &text)?;
    }
    let stem = std::path::Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = file.name.clone().or(stem).unwrap_or_else(|| "scenario".to_owned());
    Ok(Scenario { name, start, end, file })
}

fn population(file: &ScenarioFile, text: &Text<'_>) -> Result<(), SynthError> {
    let population = &file.population;
    text.within(POPULATION, "subjects", population.subjects as f64, 10.0..=2e9)?;
    text.within(POPULATION, "first_subject", population.first_subject as f64, 0.0..=1e15)?;
    text.within(POPULATION, "unassigned", population.unassigned, 0.0..=0.9)?;
    text.within(POPULATION, "objects", f64::from(population.objects), 4.0..=60_000.0)?;
    text.within(POPULATION, "sources", f64::from(population.sources), 100.0..=1e7)?;
    text.within(POPULATION, "departed", f64::from(population.departed), 0.0..=1e6)?;
    if population.abroad.is_empty() {
        let cause = "abroad names no region";
        return Err(text.error(POPULATION, "abroad", cause, "name at least one foreign region"));
    }
    for region in std::iter::once(&population.home).chain(&population.abroad) {
        plain(text, POPULATION, "abroad", region)?;
    }
    Ok(())
}

/// Names go into file names and CSV cells as they are.
fn plain(text: &Text<'_>, table: Table<'_>, field: &str, name: &str) -> Result<(), SynthError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !name.is_empty() && name.len() <= 100 && name.chars().all(fine) {
        return Ok(());
    }
    let cause = format!("{field}: {name:?} is not a plain name");
    Err(text.error(table, field, cause, "use letters, digits and - _ . / : @"))
}

fn groups(file: &ScenarioFile, text: &Text<'_>) -> Result<(), SynthError> {
    if file.group.is_empty() {
        let cause = "no group";
        return Err(text.error(
            TOP,
            "group",
            cause,
            "leave `group` out for the default ones, or write [[group]]",
        ));
    }
    let mut names = BTreeSet::new();
    for (nth, group) in file.group.iter().enumerate() {
        let table = Table { header: "[[group]]", nth };
        plain(text, table, "name", &group.name)?;
        if !names.insert(&group.name) {
            let cause = format!("two groups are named {:?}", group.name);
            return Err(text.error(table, "name", cause, "name each group differently"));
        }
        text.within(table, "share", group.share, 1e-9..=1e9)?;
        text.within(table, "keys", f64::from(group.keys), 1.0..=1e6)?;
        text.within(table, "users", f64::from(group.users), 1.0..=2e6)?;
        text.within(table, "key_zipf", group.key_zipf, 0.0..=3.0)?;
        text.within(table, "user_sigma", group.user_sigma, 0.0..=3.0)?;
        text.within(table, "cv", group.cv.unwrap_or(0.0), 0.0..=3.0)?;
        text.within(table, "ar", group.ar, 0.0..=0.95)?;
        text.within(table, "favourites", group.favourites.unwrap_or(0.0), 0.0..=1.0)?;
        text.within(table, "returning", group.returning.unwrap_or(0.0), 0.0..=1.0)?;
        text.within(table, "working_set", group.working_set as f64, 1.0..=1e8)?;
    }
    Ok(())
}

fn objects(file: &ScenarioFile, text: &Text<'_>) -> Result<(), SynthError> {
    let mut names = BTreeSet::new();
    for (nth, object) in file.object.iter().enumerate() {
        let table = Table { header: "[[object]]", nth };
        plain(text, table, "name", &object.name)?;
        if !names.insert(&object.name) {
            let cause = format!("two objects are named {:?}", object.name);
            return Err(text.error(table, "name", cause, "name each object differently"));
        }
        text.within(table, "share", object.share, 0.0..=0.9)?;
        text.within(table, "rows", object.rows.unwrap_or(1.0), 0.1..=1e6)?;
        if let Some(action) = &object.action {
            plain(text, table, "action", action)?;
        }
        for group in &object.groups {
            if !file.group.iter().any(|known| known.name == *group) {
                let cause = format!("groups names {group:?}, which is not a group");
                return Err(text.error(table, "groups", cause, "use the name of a [[group]]"));
            }
        }
    }
    if file.object.len() as u64 > u64::from(file.population.objects) {
        let cause = "more [[object]] tables than population.objects";
        return Err(text.error(POPULATION, "objects", cause, "raise objects"));
    }
    for group in &file.group {
        let of_group = |object: &&crate::scenario::Object| {
            object.groups.is_empty() || object.groups.contains(&group.name)
        };
        let share: f64 = file.object.iter().filter(of_group).map(|object| object.share).sum();
        if share > 0.95 {
            let cause = format!("the named objects take {share} of group {:?}", group.name);
            let table = Table { header: "[[object]]", nth: 0 };
            return Err(text.error(table, "share", cause, "let the shares sum to 0.95 at most"));
        }
    }
    Ok(())
}

fn life(file: &ScenarioFile, text: &Text<'_>) -> Result<(), SynthError> {
    let life = &file.life;
    for (field, value) in [("day_cv", life.day_cv), ("holiday_level", life.holiday_level)] {
        text.within(LIFE, field, value, 0.0..=2.0)?;
    }
    text.within(LIFE, "sales_level", life.sales_level, 0.0..=20.0)?;
    text.within(LIFE, "day_ar", life.day_ar, 0.0..=0.95)?;
    text.within(LIFE, "growth", life.growth.0, -0.9..=10.0)?;
    text.within(LIFE, "growth", life.growth.1, life.growth.0..=10.0)?;
    text.within(LIFE, "leaves_a_year", life.leaves_a_year, 0.0..=12.0)?;
    text.within(LIFE, "service_lift", life.service_lift, 0.0..=5.0)?;
    text.within(LIFE, "address_days", life.address_days, 1.0..=4000.0)?;
    text.within(LIFE, "disorder_seconds", life.disorder_seconds, 0.0..=3600.0)?;
    text.within(LIFE, "migrations", f64::from(life.migrations), 0.0..=1000.0)?;
    text.within(LIFE, "services", f64::from(life.services), 0.0..=1000.0)?;
    text.within(LIFE, "outages", f64::from(life.outages), 0.0..=1000.0)?;
    let shares = [
        ("growing", life.growing),
        ("role_changes", life.role_changes),
        ("born", life.born),
        ("retired", life.retired),
        ("part_time", life.part_time),
        ("irregular", life.irregular),
        ("trips", life.trips),
        ("foreign", life.foreign),
        ("roaming", life.roaming),
    ];
    for (field, value) in shares {
        text.within(LIFE, field, value, 0.0..=1.0)?;
    }
    let rare = [
        ("late", life.late),
        ("null_keys", life.null_keys),
        ("null_users", life.null_users),
        ("denied", life.denied),
        ("missing", life.missing),
        ("error", life.error),
    ];
    for (field, value) in rare {
        text.within(LIFE, field, value, 0.0..=0.3)?;
    }
    for (field, days) in [("holidays", &life.holidays), ("sales", &life.sales)] {
        for day in days.iter().flatten() {
            text.time(LIFE, field, day)?;
        }
    }
    Ok(())
}

const DIMENSIONS: [&str; 5] = ["key", "user", "object", "region", "source"];

fn leak_spec(
    file: &ScenarioFile,
    leak: &LeakSpec,
    table: Table<'_>,
    span: (Micros, Micros),
    text: &Text<'_>,
) -> Result<(), SynthError> {
    plain(text, table, "name", &leak.name)?;
    for part in leak.dimension.split('+') {
        let unknown = !DIMENSIONS.contains(&part);
        let hidden = (part == "key" && matches!(leak.credential, Credential::None))
            || (part == "user" && !matches!(leak.user, LeakUser::Insider(_) | LeakUser::New(_)))
            || (part == "region" && leak.phase.iter().any(|phase| phase.addresses.is_none()))
            || (part == "source" && leak.phase.iter().any(|phase| phase.addresses != Some(1)));
        if unknown || hidden {
            let cause = format!("dimension {part:?} can not name this leak");
            let remedy = "use key with a logged key, user with an insider or a new one, source with one address, object or region";
            return Err(text.error(table, "dimension", cause, remedy));
        }
    }
    let insider = matches!(leak.user, LeakUser::Insider(_));
    if matches!(leak.credential, Credential::Own) != insider {
        let cause = "credential \"own\" and user = { insider = GROUP } need each other";
        return Err(text.error(table, "credential", cause, "write both or neither"));
    }
    if matches!((&leak.credential, &leak.user), (Credential::None, LeakUser::OfKey | LeakUser::Null)) {
        let cause = "without a key the record needs a user";
        return Err(text.error(table, "user", cause, "write user = \"victim\""));
    }
    text.within(table, "copies", f64::from(leak.copies), 1.0..=10_000.0)?;
    let known = |name: &String| file.group.iter().any(|group| group.name == *name);
    match &leak.credential {
        Credential::Dedicated { key, owner, owner_left, issued } => {
            plain(text, table, "credential", key)?;
            if let Some(owner) = owner {
                plain(text, table, "credential", owner)?;
            }
            for when in [owner_left, issued].into_iter().flatten() {
                text.time(table, "credential", when)?;
            }
            if owner_left.is_some() && owner.is_none() {
                let cause = "owner_left without owner";
                return Err(text.error(table, "credential", cause, "name the owner who left"));
            }
        }
        Credential::Shared { share, group } => {
            text.within(table, "credential", *share, 0.0..=1.0)?;
            if let Some(group) = group.as_ref().filter(|group| !known(group)) {
                let cause = format!("credential: {group:?} is not a group");
                return Err(text.error(table, "credential", cause, "use the name of a [[group]]"));
            }
        }
        Credential::Own | Credential::None => {}
    }
    if let LeakUser::Insider(group) = &leak.user
        && !known(group)
    {
        let cause = format!("user: {group:?} is not a group");
        return Err(text.error(table, "user", cause, "use the name of a [[group]]"));
    }
    if let LeakUser::New(name) = &leak.user {
        plain(text, table, "user", name)?;
        if matches!(leak.credential, Credential::Shared { .. }) {
            let cause = "a new user on a key that others use";
            return Err(text.error(table, "user", cause, "give the new user a dedicated key, or none"));
        }
    }
    if leak.phase.is_empty() || leak.phase.iter().all(|phase| !phase.in_truth) {
        let cause = "no phase that counts in truth.json";
        return Err(text.error(table, "phase", cause, "write a [[leak.phase]] with in_truth = true"));
    }
    let before: usize = file.leak.iter().take(table.nth).map(|earlier| earlier.phase.len()).sum();
    for (nth, one) in leak.phase.iter().enumerate() {
        let table = Table { header: "[[leak.phase]]", nth: before + nth };
        phase(file, leak, one, table, span, text)?;
    }
    Ok(())
}

fn addresses(
    file: &ScenarioFile,
    leak: &LeakSpec,
    phase: &Phase,
    table: Table<'_>,
    text: &Text<'_>,
) -> Result<(), SynthError> {
    let Some(size) = phase.addresses else {
        if !matches!(leak.user, LeakUser::Insider(_)) {
            let cause = "no addresses, and no insider who has some";
            return Err(text.error(table, "addresses", cause, "write how many addresses the leak uses"));
        }
        if phase.region.is_some() || phase.active.is_some() {
            let cause = "region and active belong to a pool of addresses";
            return Err(text.error(table, "region", cause, "write addresses too, or neither"));
        }
        return Ok(());
    };
    text.within(table, "addresses", f64::from(size), 1.0..=1e6)?;
    text.within(table, "active", f64::from(phase.active.unwrap_or(1)), 1.0..=f64::from(size))?;
    let (home, abroad) = (&file.population.home, &file.population.abroad);
    match &phase.region {
        Some(region) if region == home || abroad.contains(region) => Ok(()),
        Some(region) => {
            let cause = format!("region {region:?} is neither home nor abroad");
            Err(text.error(table, "region", cause, "use a region of [population]"))
        }
        None => {
            let cause = "no region for the addresses";
            Err(text.error(table, "region", cause, "use a region of [population]"))
        }
    }
}

fn phase(
    file: &ScenarioFile,
    leak: &LeakSpec,
    phase: &Phase,
    table: Table<'_>,
    span: (Micros, Micros),
    text: &Text<'_>,
) -> Result<(), SynthError> {
    let start = text.time(table, "start", &phase.start)?;
    let end = text.time(table, "end", &phase.end)?;
    if start >= end || start < span.0 || end > span.1 {
        let cause = format!("the phase from {start} to {end} is empty or leaves the span");
        return Err(text.error(table, "end", cause, "keep start < end, both inside [span]"));
    }
    let volumes =
        [phase.share.is_some(), phase.lift.is_some(), phase.per_day.is_some(), phase.accesses.is_some()];
    if volumes.iter().filter(|&&given| given).count() != 1 {
        let cause = "the volume is given never or twice";
        return Err(text.error(table, "share", cause, "write exactly one of share, lift, per_day, accesses"));
    }
    text.within(table, "share", phase.share.unwrap_or(0.0), 0.0..=0.5)?;
    text.within(table, "per_day", phase.per_day.unwrap_or(0.0), 0.0..=1e11)?;
    text.within(table, "misses", phase.misses, 0.0..=0.99)?;
    text.within(table, "lift", phase.lift.unwrap_or(1.0), 1e-6..=1e6)?;
    let carried = matches!(leak.credential, Credential::Shared { .. } | Credential::Own);
    if phase.lift.is_some() && !carried {
        let cause = "lift is a multiple of honest traffic, and this leak's key and user have none";
        return Err(text.error(table, "lift", cause, "use a shared key or an insider, or per_day"));
    }
    text.within(table, "bulk", f64::from(phase.bulk), 1e-3..=1e9)?;
    addresses(file, leak, phase, table, text)?;
    let subjects = file.population.subjects;
    text.within(table, "accounts", phase.accounts.unwrap_or(1) as f64, 1.0..=subjects as f64)?;
    unused(file, leak, phase, table, text)?;
    let none = phase.objects.is_empty() && phase.unused == 0;
    if none || phase.objects.iter().any(|object| !(0.0..=1e6).contains(&object.weight)) {
        let cause = "no objects, or a weight below zero";
        return Err(text.error(
            table,
            "objects",
            cause,
            "write objects = [{ name = \"...\", weight = 1.0 }]",
        ));
    }
    for object in &phase.objects {
        if !file.object.iter().any(|known| known.name == object.name) {
            let cause = format!("objects: {:?} is not an object", object.name);
            return Err(text.error(table, "objects", cause, "declare it with [[object]]"));
        }
    }
    if let Some(action) = &phase.action {
        plain(text, table, "action", action)?;
    }
    let (from, to) = phase.duty.hours;
    if from > 24 || to > 24 || from == to {
        let cause = format!("duty: hours [{from}, {to}] are none");
        return Err(text.error(table, "duty", cause, "write two different hours from 0 to 24"));
    }
    text.within(table, "duty", phase.duty.cv, 0.0..=3.0)
}

/// Objects that the group of the leak leaves alone: there must be a group, and as many.
fn unused(
    file: &ScenarioFile,
    leak: &LeakSpec,
    phase: &Phase,
    table: Table<'_>,
    text: &Text<'_>,
) -> Result<(), SynthError> {
    if phase.unused == 0 {
        return Ok(());
    }
    let Some(group) = leak.group() else {
        let cause = "unused: whose objects these are not is unknown";
        return Err(text.error(table, "unused", cause, "name the group of the shared key, or an insider"));
    };
    let of_others =
        |object: &&Object| !object.groups.is_empty() && !object.groups.iter().any(|one| one == group);
    let unnamed = file.population.objects as usize - file.object.len();
    let left_alone = unnamed - (unnamed * 2).div_ceil(3) + file.object.iter().filter(of_others).count();
    if phase.unused as usize > left_alone {
        let cause = format!("unused: group {group:?} leaves {left_alone} objects alone");
        return Err(text.error(table, "unused", cause, "write no more, or raise population.objects"));
    }
    Ok(())
}
