//! Who computes which tiles without drawing them: affinity between tiles and the ranks that keep
//! their rows.
//!
//! Tiles that anybody draws end up anywhere, so nearly all of their pixels travel; on two ranks half
//! of them did, and that cost more than all imbalance. Where each worker has many tiles the plan is
//! therefore cut in three, after the hybrid static / dynamic scheduling of Donfack, Grigori, Gropp &
//! Kale (IPDPS 2012), with costs known beforehand:
//!
//! 1. *hot*: the most urgent tiles, half of the work but few of the pixels, drawn by anybody;
//! 2. *own*: each rank's part of the tiles of its own rows, most of the pixels, cheap and therefore
//!    well predicted; nobody draws them;
//! 3. *tail*: the rest, drawn by anybody, which makes up for what the predictions missed.

use std::ops::Range;

use crate::num::{to_f64, to_u64, to_usize};
use crate::partition::batches::batches;
use crate::partition::costs::Load;
use crate::partition::model::{CostModel, Tuning};
use crate::partition::schedule::Plan;
use crate::partition::tiles::{Tile, cut_rows};

/// The part of the predicted work that is drawn first.
const HOT: f64 = 0.5;

/// The least part of it that is drawn last.
const TAIL: f64 = 0.2;

/// The least part of a worker's share that it draws from the tail at once. At the end of a batch the
/// kernel's lanes wait for the slowest of their pixels, so many small ones would cost more than the
/// imbalance that they avoid.
const LEAST_BATCH: f64 = 0.004;

/// A plan with one rank's own part taken out for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// The tiles to be drawn, in that order; with `own` of all ranks they cover the band.
    pub tiles: Vec<Tile>,
    /// Batch `i` is these consecutive tiles; the batches cover the list in order.
    pub batches: Vec<Range<u32>>,
    /// How many batches come before the own tiles.
    pub hot_batches: u32,
    /// This rank's own tiles.
    pub own: Vec<Tile>,
}

impl From<Plan> for Shares {
    /// Everything is drawn.
    fn from(plan: Plan) -> Self {
        let hot_batches = u32::try_from(plan.batches.len()).expect("at most as many as tiles");
        Self { tiles: plan.tiles, batches: plan.batches, hot_batches, own: Vec::new() }
    }
}

/// Who keeps which rows: owner `owners[i]` has the rows `boundaries[i]..boundaries[i + 1]`.
#[derive(Clone, Debug, Default)]
pub struct Keepers {
    /// First rows, ascending, and the end.
    pub boundaries: Vec<u32>,
    /// One rank for each.
    pub owners: Vec<u64>,
}

/// Cuts a plan for `ranks` of `threads` workers each, and the tiles that lie on rows of several
/// ranks between these. `loads` are the predicted costs of the plan's tiles.
///
/// # Panics
/// When there are not as many loads as tiles.
pub fn shares(
    plan: &Plan,
    loads: &[Load],
    (rank, ranks, threads): (u64, u64, u64),
    keepers: &Keepers,
    (model, tuning): (&CostModel, &Tuning),
) -> Shares {
    assert_eq!(plan.tiles.len(), loads.len(), "a load for each tile");
    let total: f64 = plan.predicted.iter().sum();
    let mut drawn = 0.0;
    let hot_batches = plan.predicted.iter().take_while(|&&cost| {
        drawn += cost;
        drawn <= HOT * total
    });
    let hot_batches = hot_batches.count();
    let hot_cost: f64 = plan.predicted[..hot_batches].iter().sum();
    let hot_tiles = hot_batches.checked_sub(1).map_or(0, |last| plan.batches[last].end);
    let first = to_usize(hot_tiles.into());
    let quota = (total - hot_cost - TAIL * total).max(0.0) / to_f64(ranks.max(1));
    let (mut tiles, mut own) = (plan.tiles[..first].to_vec(), Vec::new());
    let mut tail = Vec::new();
    let mut taken = vec![0.0; to_usize(ranks)];
    for (whole, load) in plan.tiles[first..].iter().zip(&loads[first..]) {
        for (at, tile) in cut_rows(*whole, &keepers.boundaries) {
            let part = to_f64(tile.area()) / to_f64(whole.area());
            let load = Load { expected: load.expected * part, careful: load.careful * part };
            let keeper = keepers.owners[at];
            let taken = &mut taken[to_usize(keeper)];
            if *taken + load.careful > quota {
                tiles.push(tile);
                tail.push(load);
                continue;
            }
            *taken += load.expected;
            if keeper == rank {
                own.push(tile);
            }
        }
    }
    let workers = to_f64(ranks.saturating_mul(threads).max(1));
    let least = LEAST_BATCH * total / workers / model.draw;
    let tuning = Tuning { floor_draws: tuning.floor_draws.max(least), ..*tuning };
    let (late, _) = batches(tail.iter().copied(), workers, model, &tuning);
    let mut all = plan.batches[..hot_batches].to_vec();
    all.extend(late.into_iter().map(|range| range.start + hot_tiles..range.end + hot_tiles));
    debug_assert_eq!(all.last().map_or(0, |range| range.end.into()), to_u64(tiles.len()));
    let hot_batches = u32::try_from(hot_batches).expect("at most as many as tiles");
    Shares { tiles, batches: all, hot_batches, own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::mix64;
    use crate::partition::costs::CostMap;
    use crate::partition::schedule::plan;
    use proptest::prelude::*;

    const MODEL: fn() -> CostModel = CostModel::default;

    fn cut(samples: &[u32], edge: u32, ranks: u64, threads: u64) -> (Plan, Vec<Load>, Vec<Shares>) {
        let map = CostMap::new(edge, 0..edge, samples);
        let (model, tuning) = (MODEL(), Tuning::default());
        let plan = plan(&map, ranks * threads, &model, &tuning, 64);
        let loads: Vec<Load> =
            plan.tiles.iter().map(|tile| map.load(tile, &model, &tuning)).collect();
        let keepers = Keepers {
            boundaries: (0..=edge.div_ceil(20)).map(|deal| (deal * 20).min(edge)).collect(),
            owners: (0..u64::from(edge.div_ceil(20))).map(|deal| deal % ranks).collect(),
        };
        let all = (0..ranks)
            .map(|rank| shares(&plan, &loads, (rank, ranks, threads), &keepers, (&model, &tuning)))
            .collect();
        (plan, loads, all)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_tile_is_drawn_or_owned_once(
            ranks in 1_u64..9, threads in 1_u64..4, seed: u64, shift in 40..62_u32,
        ) {
            let samples: Vec<u32> =
                (0..64 * 64).map(|at| u32::try_from(mix64(seed ^ at) >> shift).unwrap()).collect();
            let (plan, _, all) = cut(&samples, 512, ranks, threads);
            let mut seen: Vec<Tile> = all.iter().flat_map(|shares| shares.own.clone()).collect();
            for shares in &all {
                prop_assert_eq!(&shares.tiles, &all[0].tiles);
                prop_assert_eq!(&shares.batches, &all[0].batches);
                prop_assert_eq!(shares.hot_batches, all[0].hot_batches);
            }
            let drawn = all[0].batches.iter().flat_map(Range::clone).map(u64::from);
            prop_assert!(drawn.eq(0..to_u64(all[0].tiles.len())));
            prop_assert!(to_usize(all[0].hot_batches.into()) <= all[0].batches.len());
            for own in &seen {
                prop_assert_eq!(own.y0 / 20, (own.y0 + own.height - 1) / 20);
            }
            seen.extend(&all[0].tiles);
            let area = |tiles: &[Tile]| tiles.iter().map(Tile::area).sum::<u64>();
            prop_assert_eq!(area(&seen), area(&plan.tiles));
            // Cut where rows change hands, both lists are the same pieces.
            let rows: Vec<u32> = (0..=512).collect();
            let single = |tiles: &[Tile]| {
                let mut single: Vec<Tile> = tiles
                    .iter()
                    .flat_map(|tile| cut_rows(*tile, &rows).map(|(_, row)| row).collect::<Vec<_>>())
                    .collect();
                single.sort_unstable();
                single
            };
            prop_assert_eq!(single(&seen), single(&plan.tiles));
        }
    }

    #[test]
    fn owned_work_is_equal() {
        // A tenth of the picture costs a hundred times the rest.
        let samples: Vec<u32> =
            (0..128 * 128).map(|at| if at % 128 < 13 { 2000 } else { 20 }).collect();
        let (plan, _, all) = cut(&samples, 1024, 4, 1);
        let cost = |tile: &Tile| {
            let hot = 104_u32.saturating_sub(tile.x0).min(tile.width);
            (f64::from(hot) * 2000.0 + f64::from(tile.width - hot) * 20.0) * f64::from(tile.height)
        };
        let own: Vec<f64> = all.iter().map(|shares| shares.own.iter().map(cost).sum()).collect();
        let total: f64 = plan.tiles.iter().map(cost).sum();
        let (least, most) =
            (own.iter().copied().fold(total, f64::min), own.iter().copied().fold(0.0, f64::max));
        assert!(least * 20.0 > total, "{own:?} of {total}");
        assert!(most < least * 1.1, "{own:?}");
    }

    #[test]
    fn nothing_to_share_is_fine() {
        let (_, _, all) = cut(&[], 0, 3, 1);
        assert!(all.iter().all(|shares| shares.tiles.is_empty() && shares.own.is_empty()));
    }
}
