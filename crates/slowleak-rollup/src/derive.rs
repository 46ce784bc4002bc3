//! Views whose cells are sums of a finer view's. In: the views; then the closed cells of the finer one, and what its
//! entity ids are in the coarser one. Out: which view follows from which; the cells that follow.
//!
//! `key@1h` knows nothing that `key+object@1h` does not: its sums, sketches and sets of sources are those of the finer
//! cells, added up, exactly. There are far fewer cells than records, so that a worker counts the finer view alone, and into
//! the coarser one only what the finer one has no entity for: records whose object is null.

use rayon::prelude::*;
use slowleak_record::{Field, Micros};

use crate::block::{NONE, Shape};
use crate::closed::Closed;
use crate::entities::tuples;
use crate::open::OpenWindow;
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

/// The entities of records that a finer view has no entity for, [`NONE`] for the others; `false` if there are none.
pub(crate) fn rest(entities: &[u32], finer: &[u32], out: &mut Vec<u32>) -> bool {
    // The largest id of all.
    if finer.iter().fold(0, |most, id| most.max(*id)) != NONE {
        return false;
    }
    out.clear();
    out.extend(entities.iter().zip(finer).map(|(id, finer)| if *finer == NONE { *id } else { NONE }));
    true
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
    Some(coarse.resolve(&parts).to_vec())
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
        open.start(blocks.first().map_or(0, window));
        blocks.iter().for_each(|block| open.add_closed(block, &columns, rename.as_deref(), &shape));
        open.close(&shape)
    };
    of_window.par_iter().map_init(OpenWindow::default, add_up).collect()
}
