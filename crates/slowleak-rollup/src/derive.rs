//! Views whose cells are sums of a finer view's. In: the views; then the closed cells of the finer one, and what its
//! entity ids are in the coarser one. Out: which view follows from which; the cells that follow.
//!
//! `key@1h` knows nothing that `key+object@1h` does not: its sums, sketches and sets of sources are those of the finer
//! cells, added up, exactly. (Counts are never negative, so that it does not matter where a sum saturates.) In a dense log
//! there are far fewer cells than records: a worker counts the finer view alone, and into the coarser one only what the
//! finer one has no entity for, records whose object is null.

use rayon::prelude::*;
use slowleak_record::{Field, Micros, Status};
use slowleak_scan::Subjects;

use crate::block::Shape;
use crate::closed::Closed;
use crate::counter::Columns;
use crate::entities::tuples;
use crate::open::{EntityIds, OpenWindow};
use crate::worker::DimensionIds;
use crate::{Dimension, View};

/// For each view the position of the one it follows from, if any: that with the fewest parts and the longest window.
pub(crate) fn finer(views: &[View]) -> Vec<Option<usize>> {
    let coarseness = |at: &usize| (views[*at].dimension.parts().len(), -views[*at].window.micros());
    let of = |coarse| (0..views.len()).filter(|fine| follows(coarse, &views[*fine])).min_by_key(coarseness);
    views.iter().map(of).collect()
}

/// Whether the cells of `fine` add up to those of `coarse`, and are likely to be few against its records.
fn follows(coarse: &View, fine: &View) -> bool {
    let (parts, finer_parts) = (coarse.dimension.parts(), fine.dimension.parts());
    let more = |part: &&Field| !parts.contains(part);
    // Every other record comes from another address.
    let few = !finer_parts.iter().filter(more).any(|part| *part == Field::Source);
    let finer = finer_parts.len() > parts.len() || fine.window.micros() < coarse.window.micros();
    few && finer
        && parts.iter().all(|part| finer_parts.contains(part))
        && coarse.window.micros() % fine.window.micros() == 0
        && coarse.metrics().iter().all(|metric| fine.metrics().contains(metric))
}

/// Records that a finer view has no entity for, side by side.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    ids: Vec<u32>,
    keys: Vec<u64>,
    rows: Vec<i64>,
    bytes: Vec<i64>,
    status: Vec<Status>,
    hashes: Vec<u64>,
    blocks: Vec<u64>,
    valid: Vec<bool>,
    sources: Vec<u32>,
}

impl Rest {
    /// Picks the records at `places` of a batch.
    pub(crate) fn pick<'a>(
        &'a mut self,
        places: &[u32],
        entities: EntityIds<'_>,
        columns: &Columns<'_>,
    ) -> (EntityIds<'a>, Columns<'a>) {
        // Nothing of a column that is empty.
        fn pick<'a, T: Copy>(places: &[u32], from: &[T], out: &'a mut Vec<T>) -> &'a [T] {
            out.clear();
            out.extend(places.iter().filter_map(|place| from.get(*place as usize)));
            out
        }
        let Subjects { hashes, blocks, valid } = columns.subjects;
        let columns = Columns {
            rows: pick(places, columns.rows, &mut self.rows),
            bytes: pick(places, columns.bytes, &mut self.bytes),
            status: pick(places, columns.status, &mut self.status),
            subjects: Subjects {
                hashes: pick(places, hashes, &mut self.hashes),
                blocks: pick(places, blocks, &mut self.blocks),
                valid: pick(places, valid, &mut self.valid),
            },
            sources: pick(places, columns.sources, &mut self.sources),
        };
        let entities = match entities {
            EntityIds::Field { ids, known } => {
                EntityIds::Field { ids: pick(places, ids, &mut self.ids), known }
            }
            EntityIds::Compound(keys) => EntityIds::Compound(pick(places, keys, &mut self.keys)),
        };
        (entities, columns)
    }
}

/// What each id of a finer dimension is in a coarser one of the same worker; `None` where they are the same.
fn renamed(coarse: &Dimension, fine: &Dimension, ids: &mut [DimensionIds]) -> Option<Vec<u32>> {
    if coarse == fine {
        return None;
    }
    let place = |part: &Field| fine.parts().iter().position(|other| other == part).unwrap_or_default();
    let tuples =
        ids.iter().find(|ids| ids.dimension == *fine).map(|ids| tuples(&ids.pairs)).unwrap_or_default();
    let coarse = ids.iter_mut().find(|ids| ids.dimension == *coarse)?;
    let ids = |part: &Field| tuples.iter().map(|tuple| tuple[place(part)]).collect();
    let parts: Vec<Vec<u32>> = coarse.dimension.parts().iter().map(ids).collect();
    let parts: Vec<&[u32]> = parts.iter().map(Vec::as_slice).collect();
    if let [ids] = parts.as_slice() {
        return Some(ids.to_vec());
    }
    let (mut keys, mut ids) = (Vec::new(), Vec::new());
    coarse.pair_up(&parts, &mut keys, &mut ids);
    coarse.pairs.last_mut()?.resolve(&keys, &mut ids);
    Some(ids)
}

/// The cells of `coarse` that follow from those of `fine` in one worker, given its ids.
pub(crate) fn derived(
    coarse: &View,
    fine: &View,
    blocks: &[Closed],
    ids: &mut [DimensionIds],
) -> Vec<Closed> {
    let rename = renamed(&coarse.dimension, &fine.dimension, ids);
    let shape = Shape::of(coarse);
    let fine_sums = Shape::of(fine).sums;
    let from = |metric| fine_sums.iter().position(|other| other == metric);
    // Every metric of the coarser view is one of the finer.
    let columns: Vec<usize> = shape.sums.iter().filter_map(from).collect();
    let window = |block: &&Closed| coarse.window.floor(Micros(block.window)).0;
    let mut blocks: Vec<&Closed> = blocks.iter().collect();
    blocks.sort_by_key(|block| block.window);
    let of_window: Vec<&[&Closed]> = blocks.chunk_by(|a, b| window(a) == window(b)).collect();
    let add_up = |open: &mut OpenWindow, blocks: &&[&Closed]| {
        open.start(blocks.first().map_or(0, window), false);
        blocks.iter().for_each(|block| open.add_closed(block, &columns, rename.as_deref(), &shape));
        open.close(&mut [], &shape)
    };
    of_window.par_iter().map_init(OpenWindow::default, add_up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finer_of(views: &[&str]) -> Vec<Option<usize>> {
        finer(&views.iter().map(|view| view.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn defaults_follow_from_each_other() {
        let views = View::defaults();
        let named = |at: Option<usize>| at.map(|at| views[at].folder());
        let follows: Vec<(String, String)> = views
            .iter()
            .zip(finer(&views))
            .filter_map(|(view, finer)| Some((view.folder(), named(finer)?)))
            .collect();
        let want = [("key@1h", "key+object@1h"), ("object@1h", "key+object@1h")];
        assert_eq!(follows, want.map(|(view, finer)| (view.to_owned(), finer.to_owned())));
    }

    #[test]
    fn a_view_follows_from_the_coarsest_that_knows_all_of_it() {
        assert_eq!(finer_of(&["key@1h:rows", "key@1d:rows", "key+object@1h:rows"]), [Some(2), Some(0), None]);
        // Windows that do not nest, metrics that are not known, addresses.
        assert_eq!(finer_of(&["key@3h:events", "key@2h:events"]), [None, None]);
        assert_eq!(finer_of(&["key@1d:rows", "key@1h:bytes"]), [None, None]);
        assert_eq!(finer_of(&["key@1h:events", "key+source@1h:events"]), [None, None]);
        // The same parts in another order: neither knows more.
        assert_eq!(finer_of(&["key+object@1h:rows", "object+key@1h:rows"]), [None, None]);
        assert_eq!(finer_of(&["key+object@1d:rows", "object+key@1h:rows"]), [Some(1), None]);
    }
}
