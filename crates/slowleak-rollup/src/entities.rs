//! Entities of a dimension in their final order. In: what each worker's entity ids stand for. Out: the
//! entities' names, ascending by bytes, and each worker's ids renamed to positions among them.

use rayon::prelude::*;
use slowleak_scan::Names;

use crate::Dimension;
use crate::block::NONE;
use crate::compound::{PairIds, pair};

/// Ids of the parts of a compound, or their ranks.
type Parts = [u32; Dimension::MAX_PARTS];

/// See the module.
pub(crate) struct Entities {
    /// Ascending by bytes.
    pub(crate) names: Vec<String>,
    /// For each worker, the position of each of its ids among the names.
    pub(crate) ranks: Vec<Vec<u32>>,
}

impl Entities {
    /// The entities of a dimension of one field. Every worker has the shared ids of `names`; those that are
    /// not `used` get no position.
    pub(crate) fn of_field(names: &Names, used: &[bool], workers: usize) -> Self {
        let of_id = |id: u32| names.name(id);
        let ids = (0..names.len() as u32).filter(|id| used[*id as usize]);
        let sorted = sorted(ids, of_id);
        let mut ranks = vec![NONE; names.len()];
        for (rank, id) in sorted.iter().enumerate() {
            ranks[*id as usize] = rank as u32;
        }
        let names = sorted.into_iter().map(|id| of_id(id).to_owned()).collect();
        Self { names, ranks: vec![ranks; workers] }
    }

    /// The entities of a compound; `names` are those of its parts, `workers` each one's pairs: of the first
    /// and the second part, then of that pair and the third.
    ///
    /// Parts are sorted before they are joined. All but the last are sorted with the joiner behind them: with
    /// it, no part is the beginning of another (a joiner inside a part is escaped), so that sorting by the
    /// parts' positions is sorting by the bytes of the whole.
    pub(crate) fn of_compound(names: &[&Names], workers: &[&[PairIds]]) -> Self {
        let last = names.len() - 1;
        let parts: Vec<(Vec<String>, Vec<u32>)> = names
            .par_iter()
            .enumerate()
            .map(|(at, names)| {
                let joiner = if at == last { "" } else { Dimension::JOINER };
                let text = |id: u32| format!("{}{joiner}", Dimension::escaped(names.name(id)));
                let texts: Vec<String> = (0..names.len() as u32).map(text).collect();
                let sorted = sorted(0..texts.len() as u32, |id| texts[id as usize].as_str());
                let mut ranks = vec![NONE; texts.len()];
                for (rank, id) in sorted.iter().enumerate() {
                    ranks[*id as usize] = rank as u32;
                }
                (texts, ranks)
            })
            .collect();

        let (all, ids) = unite(workers);
        let mut keyed: Vec<(Parts, u32)> = Vec::new();
        let count = all.last().map_or(0, PairIds::len);
        let tuples = tuples(&all);
        keyed.extend((0..count as u32).map(|id| {
            let mut key = [0; Dimension::MAX_PARTS];
            for ((key, part), (_, ranks)) in key.iter_mut().zip(&tuples[id as usize]).zip(&parts) {
                *key = ranks[*part as usize];
            }
            (key, id)
        }));
        keyed.par_sort_unstable();
        let mut ranks = vec![NONE; count];
        for (rank, (_, id)) in keyed.iter().enumerate() {
            ranks[*id as usize] = rank as u32;
        }
        let name = |(_, id): &(Parts, u32)| {
            let pieces = tuples[*id as usize].iter().zip(&parts);
            pieces.map(|(part, (texts, _))| texts[*part as usize].as_str()).collect::<String>()
        };
        let names = keyed.par_iter().map(name).collect();
        let rename = |ids: Vec<u32>| ids.into_iter().map(|id| ranks[id as usize]).collect();
        Self { names, ranks: ids.into_iter().map(rename).collect() }
    }
}

/// Ids in ascending order of their names' bytes.
fn sorted<'a>(ids: impl Iterator<Item = u32>, name: impl Fn(u32) -> &'a str) -> Vec<u32> {
    let mut named: Vec<(&str, u32)> = ids.map(|id| (name(id), id)).collect();
    named.par_sort_unstable();
    named.into_iter().map(|(_, id)| id).collect()
}

/// The pairs of all workers as one set, level by level, and each worker's ids of the last level renamed to it.
fn unite(workers: &[&[PairIds]]) -> (Vec<PairIds>, Vec<Vec<u32>>) {
    let levels = workers.iter().map(|levels| levels.len()).max().unwrap_or(0);
    let mut all: Vec<PairIds> = (0..levels).map(|_| PairIds::default()).collect();
    let mut renamed = Vec::with_capacity(workers.len());
    for worker in workers {
        let mut ids: Vec<u32> = Vec::new();
        for (level, (mine, all)) in worker.iter().zip(&mut all).enumerate() {
            // On the first level the left ids are shared ones.
            let left = |left: u32| if level == 0 { left } else { ids[left as usize] };
            let keys: Vec<u64> = mine.pairs().map(|(a, b)| pair(left(a), b)).collect();
            let mut next = Vec::new();
            all.resolve(&keys, &mut next);
            ids = next;
        }
        renamed.push(ids);
    }
    (all, renamed)
}

/// The parts of each compound, by id of the last level.
fn tuples(levels: &[PairIds]) -> Vec<Parts> {
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
