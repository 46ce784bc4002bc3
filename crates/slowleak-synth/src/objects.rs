//! Objects: names, usual operations, sizes of answers, and which group reads which how often.

use crate::chance::{Alias, Permutation, Quantiles, Seed};
use crate::scenario::{Scenario, SeasonKind};

/// Operations by id; scenarios may add to them.
const ACTIONS: [&str; 8] = ["read", "list", "query", "export", "update", "create", "delete", "search"];

/// All objects.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) names: Vec<String>,
    pub(crate) actions: Vec<String>,
    pub(crate) shapes: Vec<Shape>,
    /// Weight of each object in each group, by group.
    pub(crate) weights: Vec<Vec<f32>>,
    /// Spread of the records returned, times the object's median.
    pub(crate) rows: Quantiles,
    /// Spread of the bytes a record.
    pub(crate) bytes: Quantiles,
}

/// What an access to an object looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The usual operation; taken seven times in eight.
    pub(crate) action: u16,
    /// The other operation.
    pub(crate) other_action: u16,
    pub(crate) rows_median: f32,
    pub(crate) bytes_a_row: f32,
}

impl Objects {
    pub(crate) fn new(scenario: &Scenario, seed: Seed) -> Self {
        let file = &scenario.file;
        let total = file.population.objects as usize;
        let mut names: Vec<String> = file.object.iter().map(|object| object.name.clone()).collect();
        let mut number = 1;
        while names.len() < total {
            let name = format!("table-{number:02}");
            if !names.contains(&name) {
                names.push(name);
            }
            number += 1;
        }
        let mut actions: Vec<String> = ACTIONS.map(str::to_owned).to_vec();
        let mut shapes = Vec::with_capacity(total);
        for (index, _) in names.iter().enumerate() {
            let at = seed.child(index as u64);
            let mut shape = Shape {
                action: [0, 0, 1, 2][at.below(0, 4) as usize],
                other_action: [3, 4, 5, 6, 7][at.below(1, 5) as usize],
                rows_median: at.between(2, 0.0, 3.0).exp() as f32,
                bytes_a_row: (120.0 * at.between(3, 0.0, 2.5).exp()) as f32,
            };
            if let Some(object) = file.object.get(index) {
                if let Some(rows) = object.rows {
                    shape.rows_median = rows as f32;
                }
                if let Some(action) = &object.action {
                    shape.action = action_id(&mut actions, action);
                }
            }
            shapes.push(shape);
        }
        let weights = file
            .group
            .iter()
            .enumerate()
            .map(|(group, spec)| {
                // Each group has its own order of the unnamed objects and leaves a third of them alone.
                let unnamed = total - file.object.len();
                let order = Permutation::new(seed.child(1 << 20).child(group as u64), unnamed as u64);
                let exponent = if spec.season == SeasonKind::Customers { 1.1 } else { 0.8 };
                let in_use = (unnamed * 2).div_ceil(3);
                let mut weights = vec![0.0_f32; total];
                for rank in 0..in_use {
                    let object = file.object.len() + order.at(rank as u64) as usize;
                    weights[object] = (1.0 / (rank as f64 + 1.0).powf(exponent)) as f32;
                }
                let of_group = |object: &crate::scenario::Object| {
                    object.groups.is_empty() || object.groups.contains(&spec.name)
                };
                let named: f64 = file.object.iter().filter(|o| of_group(o)).map(|o| o.share).sum();
                let sum: f32 = weights.iter().sum();
                let scale = if sum > 0.0 { (1.0 - named) as f32 / sum } else { 0.0 };
                weights.iter_mut().for_each(|weight| *weight *= scale);
                for (index, object) in file.object.iter().enumerate().filter(|(_, o)| of_group(o)) {
                    weights[index] = object.share as f32;
                }
                weights
            })
            .collect();
        let rows = Quantiles::of_normal(|z| (1.1 * z).exp());
        let bytes = Quantiles::of_normal(|z| (0.5 * z).exp());
        Self { names, actions, shapes, weights, rows, bytes }
    }

    /// The objects that a group leaves alone, in order.
    pub(crate) fn unused(&self, group: usize) -> Vec<u16> {
        let weights = self.weights.get(group).map_or(&[][..], Vec::as_slice);
        (0..).zip(weights).filter(|(_, weight)| **weight == 0.0).map(|(object, _)| object).collect()
    }

    /// The id of an object by name.
    pub(crate) fn id(&self, name: &str) -> Option<u16> {
        self.names.iter().position(|known| known == name).map(|index| index as u16)
    }

    /// The tables for drawing, one a group.
    pub(crate) fn mixes(&self) -> Vec<Alias> {
        self.weights.iter().map(|weights| Alias::new(weights)).collect()
    }

    /// Records and bytes returned by one successful access.
    #[inline]
    pub(crate) fn size(&self, object: u16, random: u64) -> (i64, i64) {
        let shape = self.shapes[usize::from(object)];
        let rows = (shape.rows_median * self.rows.draw(random)).max(1.0) as i64;
        let bytes = rows as f32 * shape.bytes_a_row * self.bytes.draw(random << 20) + 180.0;
        (rows, bytes as i64)
    }
}

/// The id of an operation, added where new.
pub(crate) fn action_id(actions: &mut Vec<String>, action: &str) -> u16 {
    let known = actions.iter().position(|known| known == action);
    known.unwrap_or_else(|| {
        actions.push(action.to_owned());
        actions.len() - 1
    }) as u16
}
