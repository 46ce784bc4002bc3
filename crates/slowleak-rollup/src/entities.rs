//! Entities of a dimension in their final order. In: what each worker's entity ids stand for. Out: the
//! entities' names, ascending by bytes, and each worker's ids renamed to positions among them.

use std::borrow::Cow;

use rayon::prelude::*;
use slowleak_scan::Names;

use crate::Dimension;
use crate::block::NONE;
use crate::closed::Closed;
use crate::compound::{PairIds, pair};

/// Ranks of the parts of a compound.
pub(crate) type Parts = [u32; Dimension::MAX_PARTS];

/// The names of a field over all workers: each worker has its own ids for them.
pub(crate) struct FieldNames<'a> {
    /// Ascending by bytes, each once.
    sorted: Vec<&'a str>,
    /// For each worker, the position of each of its ids among the names.
    ranks: Vec<Vec<u32>>,
}

impl<'a> FieldNames<'a> {
    pub(crate) fn new(workers: &[&'a Names]) -> Self {
        let named = workers.iter().enumerate().flat_map(|(worker, names)| {
            (0..names.len() as u32).map(move |id| (names.name(id), worker as u32, id))
        });
        let mut named: Vec<(&str, u32, u32)> = named.collect();
        named.par_sort_unstable();
        let mut ranks: Vec<Vec<u32>> = workers.iter().map(|names| vec![NONE; names.len()]).collect();
        let mut sorted: Vec<&str> = Vec::new();
        for (name, worker, id) in named {
            if sorted.last() != Some(&name) {
                sorted.push(name);
            }
            ranks[worker as usize][id as usize] = sorted.len() as u32 - 1;
        }
        Self { sorted, ranks }
    }

    /// The position among the names of what `worker` calls `id`.
    pub(crate) fn rank(&self, worker: usize, id: u32) -> u32 {
        self.ranks[worker][id as usize]
    }

    /// The name at a position.
    pub(crate) fn name(&self, rank: u32) -> &'a str {
        self.sorted[rank as usize]
    }
}

/// See the module.
pub(crate) struct Entities<'a> {
    names: EntityNames<'a>,
    /// For each worker, the position of each of its ids among the names.
    pub(crate) ranks: Vec<Vec<u32>>,
}

/// Ascending by bytes.
enum EntityNames<'a> {
    Field(Vec<&'a str>),
    /// Compounds are spelled out when they are asked for: there may be many more of them than of their parts.
    Compound {
        keys: Vec<Parts>,
        /// For each part, the texts by rank.
        texts: Vec<Vec<String>>,
    },
}

impl<'a> Entities<'a> {
    /// The entities of a dimension of one field: the names of those that have a cell in the workers' `blocks`.
    pub(crate) fn of_field(field: &FieldNames<'a>, blocks: &[Vec<Closed>]) -> Self {
        // Each worker's cells are many against its names.
        let by_worker = field.ranks.par_iter().zip(blocks).map(|(ranks, blocks)| {
            let mut used = vec![false; ranks.len()];
            blocks.iter().flat_map(|block| &block.entities).for_each(|id| used[*id as usize] = true);
            (ranks, used)
        });
        let mut used = vec![false; field.sorted.len()];
        for (ranks, of_worker) in by_worker.collect::<Vec<_>>() {
            let ranks = ranks.iter().zip(of_worker).filter_map(|(rank, used)| used.then_some(*rank));
            ranks.for_each(|rank| used[rank as usize] = true);
        }
        let mut next = 0;
        let places: Vec<u32> = used
            .iter()
            .map(|used| {
                next += u32::from(*used);
                if *used { next - 1 } else { NONE }
            })
            .collect();
        let names = field.sorted.iter().zip(&used).filter(|(_, used)| **used);
        let names = names.map(|(name, _)| *name).collect();
        let rename = |ranks: &Vec<u32>| ranks.iter().map(|rank| places[*rank as usize]).collect();
        Self { names: EntityNames::Field(names), ranks: field.ranks.iter().map(rename).collect() }
    }

    /// The entities of a compound of `fields`; `workers` are each one's pairs: of the first and the second part,
    /// then of that pair and the third.
    ///
    /// Parts are sorted before they are joined. All but the last are sorted with the joiner behind them: with
    /// it, no part is the beginning of another (a joiner inside a part is escaped), so that sorting by the
    /// parts' positions is sorting by the bytes of the whole.
    pub(crate) fn of_compound(fields: &[&FieldNames<'_>], workers: &[&[PairIds]]) -> Self {
        let last = fields.len().saturating_sub(1);
        let (texts, ranks): (Vec<Vec<String>>, Vec<Vec<u32>>) = fields
            .par_iter()
            .enumerate()
            .map(|(at, field)| {
                let joiner = if at == last { "" } else { Dimension::JOINER };
                let text = |name: &&str| format!("{}{joiner}", Dimension::escaped(name));
                let mut texts: Vec<(String, u32)> = field.sorted.iter().map(text).zip(0..).collect();
                texts.par_sort_unstable();
                let mut ranks = vec![NONE; texts.len()];
                for (rank, (_, id)) in (0..).zip(&texts) {
                    ranks[*id as usize] = rank;
                }
                (texts.into_iter().map(|(text, _)| text).collect::<Vec<_>>(), ranks)
            })
            .unzip();

        let (all, ids) = unite(fields, workers);
        let tuples = tuples(&all);
        drop(all);
        let mut keyed: Vec<(Parts, u32)> = tuples
            .into_par_iter()
            .enumerate()
            .map(|(id, tuple)| {
                let mut key = [0; Dimension::MAX_PARTS];
                for ((key, part), ranks) in key.iter_mut().zip(tuple).zip(&ranks) {
                    *key = ranks[part as usize];
                }
                (key, id as u32)
            })
            .collect();
        keyed.par_sort_unstable();
        let mut ranks = vec![NONE; keyed.len()];
        for (rank, (_, id)) in (0..).zip(&keyed) {
            ranks[*id as usize] = rank;
        }
        let keys = keyed.into_iter().map(|(key, _)| key).collect();
        let rename = |ids: Vec<u32>| ids.into_iter().map(|id| ranks[id as usize]).collect();
        Self { names: EntityNames::Compound { keys, texts }, ranks: ids.into_iter().map(rename).collect() }
    }

    /// Entities of these names, which ascend.
    #[cfg(test)]
    pub(crate) fn named(names: Vec<&'a str>, ranks: Vec<Vec<u32>>) -> Self {
        Self { names: EntityNames::Field(names), ranks }
    }

    /// Number of entities.
    pub(crate) fn len(&self) -> usize {
        match &self.names {
            EntityNames::Field(names) => names.len(),
            EntityNames::Compound { keys, .. } => keys.len(),
        }
    }

    /// The name of the entity at a position.
    pub(crate) fn name(&self, at: usize) -> Cow<'_, str> {
        match &self.names {
            EntityNames::Field(names) => names[at].into(),
            EntityNames::Compound { keys, texts } => {
                let parts = texts.iter().zip(keys[at]);
                parts.map(|(texts, rank)| texts[rank as usize].as_str()).collect::<String>().into()
            }
        }
    }

    /// The length of a name in bytes.
    pub(crate) fn name_bytes(&self, at: usize) -> usize {
        match &self.names {
            EntityNames::Field(names) => names[at].len(),
            EntityNames::Compound { keys, texts } => {
                texts.iter().zip(keys[at]).map(|(texts, rank)| texts[rank as usize].len()).sum()
            }
        }
    }
}

/// The pairs of all workers as one set, level by level, and each worker's ids of the last level renamed to it. Parts
/// are named by their places in the fields' sorted names.
fn unite(fields: &[&FieldNames<'_>], workers: &[&[PairIds]]) -> (Vec<PairIds>, Vec<Vec<u32>>) {
    let levels = workers.iter().map(|levels| levels.len()).max().unwrap_or(0);
    let mut all: Vec<PairIds> = (0..levels).map(|_| PairIds::default()).collect();
    let mut renamed = Vec::with_capacity(workers.len());
    for (worker, pairs) in workers.iter().enumerate() {
        let rank = |field: usize, id: u32| fields[field].rank(worker, id);
        let mut ids: Vec<u32> = Vec::new();
        for (level, (mine, all)) in pairs.iter().zip(&mut all).enumerate() {
            let left = |left: u32| if level == 0 { rank(0, left) } else { ids[left as usize] };
            let keys: Vec<u64> = mine.pairs().map(|(a, b)| pair(left(a), rank(level + 1, b))).collect();
            let mut next = Vec::new();
            all.resolve(&keys, &mut next);
            ids = next;
        }
        renamed.push(ids);
    }
    (all, renamed)
}

/// The parts of each compound, by id of the last level.
pub(crate) fn tuples(levels: &[PairIds]) -> Vec<Parts> {
    let mut tuples: Vec<Parts> = Vec::new();
    for (level, pairs) in levels.iter().enumerate() {
        let tuple = |(left, right): (u32, u32)| {
            let mut tuple = if level == 0 { [left; Dimension::MAX_PARTS] } else { tuples[left as usize] };
            tuple[level + 1] = right;
            tuple
        };
        tuples = pairs.pairs().map(tuple).collect();
    }
    tuples
}
