//! New sources of one key that are devoted to the same object at the same time, and the candidates that say so.

use slowleak_record::{Field, Micros};
use slowleak_rollup::{Dimension, Lookup, Metric, View};

use crate::candidate::Candidate;
use crate::days::parts;
use crate::finding::Detector;
use crate::novelty::Novelty;
use crate::novelty::habits::Devotion;
use crate::novelty::sources::Source;

/// Sources whose times lie further apart than this, in days, are two groups.
const GAP_DAYS: usize = 3;

/// Sources of one key that are devoted to one object; the first is the one that came first.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) key: usize,
    pub(crate) members: Vec<Member>,
}

/// One source of a group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    source: usize,
    first: usize,
    end: usize,
    devotion: Devotion,
    odds: f64,
}

impl Group {
    /// One source alone.
    pub(crate) fn of(at: usize, source: &Source, key: usize, devotion: Devotion, odds: f64) -> Self {
        let member = Member { source: at, first: source.first, end: source.end, devotion, odds };
        Self { key, members: vec![member] }
    }

    fn object(&self) -> usize {
        self.members[0].devotion.object
    }

    fn end(&self) -> usize {
        self.members.iter().map(|member| member.end).max().unwrap_or(0)
    }

    fn first(&self) -> usize {
        self.members[0].first
    }
}

/// Joins groups of one key and object whose times touch.
pub(crate) fn groups(mut found: Vec<Group>) -> Vec<Group> {
    found.sort_by_key(|group| (group.key, group.object(), group.first(), group.members[0].source));
    let mut joined: Vec<Group> = Vec::new();
    for group in found {
        match joined.last_mut() {
            Some(last)
                if (last.key, last.object()) == (group.key, group.object())
                    && group.first() <= last.end() + GAP_DAYS =>
            {
                last.members.extend(group.members);
            }
            _ => joined.push(group),
        }
    }
    joined
}

impl Novelty<'_> {
    /// The candidate of the group as a whole, and one a source.
    pub(crate) fn described<L: Lookup>(&self, group: &Group, rollup: &L) -> Result<Vec<Candidate>, L::Error> {
        let object = (Field::Object, self.sources.objects[group.object()].clone());
        let keyless = group.key == self.sources.keyless();
        let key = (Field::Key, self.sources.keys[group.key].clone());
        let fixed: Vec<(Field, String)> = if keyless { vec![object] } else { vec![key, object] };
        let mut members = Vec::new();
        for member in &group.members {
            members.push(self.member(member, &fixed, keyless, rollup)?);
        }
        let Ok(dimension) = Dimension::new(fixed.iter().map(|(field, _)| *field)) else { return Ok(members) };
        let sum = |of: &dyn Fn(&Candidate) -> f64| members.iter().map(of).sum::<f64>();
        let best = members.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        let edges = members.iter().filter_map(|member| member.edges);
        let edges = edges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some(best) = best.cloned() else { return Ok(members) };
        let mut timeline = vec![(0.0, 0.0); self.log.grid.days()];
        for member in &members {
            timeline
                .iter_mut()
                .zip(&member.timeline)
                .for_each(|(sum, of)| *sum = (sum.0 + of.0, sum.1 + of.1));
        }
        let whole = Candidate {
            entity: dimension.join(fixed.iter().map(|(_, value)| value.as_str())),
            dimension,
            who: fixed,
            days: group.first()..group.end(),
            anchor: group.first(),
            observed: sum(&|member| member.observed),
            expected: sum(&|member| member.expected),
            // A little more than the sources by themselves, so that these are compared with it.
            excess_events: sum(&|member| member.excess_events) * (1.0 + 1e-9),
            edges,
            timeline,
            ..best
        };
        members.insert(0, whole);
        Ok(members)
    }

    fn member<L: Lookup>(
        &self,
        member: &Member,
        fixed: &[(Field, String)],
        keyless: bool,
        rollup: &L,
    ) -> Result<Candidate, L::Error> {
        let source = &self.sources.all[member.source];
        let devotion = member.devotion;
        let pairs =
            self.log.slices.view(&[Field::Key, Field::Source]).map(|daily| (daily, &daily.table.view));
        let mut timeline = vec![(0.0, 0.0); self.log.grid.days()];
        let mut edges =
            (self.log.grid.start(member.first), self.log.grid.start(member.end).min(self.log.grid.end()));
        let mut named =
            (self.pairs.view.dimension.clone(), [source.name.as_str(), fixed[fixed.len() - 1].1.as_str()]);
        if let (Some((daily, view)), false) = (pairs, keyless) {
            named = (view.dimension.clone(), [fixed[0].1.as_str(), source.name.as_str()]);
            let entity = view.dimension.join(named.1);
            if let Some(entity) = daily.find(&entity) {
                daily.active(entity).for_each(|(day, events)| timeline[day].0 = events);
            }
            let view = View::new(view.dimension.clone(), view.window, [Metric::Events]);
            let cells = rollup.entity(&view, &entity)?;
            if let (Some(first), Some(last)) = (cells.windows.first(), cells.windows.last()) {
                edges = (*first, Micros(last.0 + view.window.micros()).min(self.log.grid.end()));
            }
        }
        let (dimension, values) = named;
        let entity = dimension.join(values);
        let mut who = parts(&dimension, &entity);
        who.extend(fixed.iter().filter(|(field, _)| !dimension.parts().contains(field)).cloned());
        Ok(Candidate {
            detector: Detector::Novelty,
            dimension,
            entity,
            who,
            metric: Metric::Events,
            days: member.first..member.end,
            anchor: member.first,
            observed: devotion.hits,
            expected: devotion.expected,
            excess_events: devotion.hits - devotion.expected,
            level_per_day: 0.0,
            dispersion: devotion.correlation,
            raw_score: devotion.score,
            score: self.tail.calibrated(devotion.score).unwrap_or(0.0),
            expected_false: Some(member.odds),
            cause: None,
            fact: None,
            seen: None,
            partner: None,
            edges: Some(edges),
            timeline,
        })
    }
}
