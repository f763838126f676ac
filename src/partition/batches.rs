//! Batches: consecutive tiles that are drawn together, and the ranges of batches that nodes draw.
//!
//! A draw from the shared counter costs a worker some waiting, and the counter some of its rate.
//! Each batch therefore takes a fixed part of what remains for each worker, so that batches shrink
//! towards the end: guided self-scheduling (Polychronopoulos & Kuck, IEEE Trans. Computers C-36
//! (1987)) with the smaller parts of factoring (Hummel, Schonberg & Flynn, CACM 35(8), 1992), in
//! predicted cost instead of iterations. A worker then draws about
//! `batch_cuts * ln(share / smallest batch)` times.
//!
//! On several nodes one counter would be asked by every worker. In two levels a node takes a range
//! of batches for its workers, at most one for each; the price is that a node may sit on work while
//! another idles, for at most about the time of one batch, because ranges shrink as well.

use crate::partition::costs::Load;
use crate::partition::model::{CostModel, Tuning};
use std::ops::Range;

/// Groups the ordered tiles with these loads; returns the batches and their expected costs.
///
/// # Panics
/// When there are more than `u32::MAX` tiles.
pub fn batches(
    tiles: impl Iterator<Item = Load> + Clone,
    workers: f64,
    model: &CostModel,
    tuning: &Tuning,
) -> (Vec<Range<u32>>, Vec<f64>) {
    let floor = model.draw * tuning.floor_draws;
    let limit = |remaining: f64| (remaining / workers / tuning.batch_cuts).max(floor);
    let mut remaining: f64 = tiles.clone().map(|load| load.expected).sum();
    let (mut ranges, mut predicted) = (Vec::new(), Vec::new());
    let (mut open, mut batch) = (0..0_u32, Load::default());
    for load in tiles {
        if !open.is_empty() && batch.careful + load.careful > limit(remaining) {
            remaining -= batch.expected;
            ranges.push(open.clone());
            predicted.push(batch.expected);
            (open, batch) = (open.end..open.end, Load::default());
        }
        batch.expected += load.expected;
        batch.careful += load.careful;
        open.end = open.end.checked_add(1).expect("fewer than 2^32 tiles");
    }
    if !open.is_empty() {
        ranges.push(open);
        predicted.push(batch.expected);
    }
    (ranges, predicted)
}

/// How many batches a node takes at once: half of its part of what remains, at most one for each
/// of its workers, at least one while there are any.
pub fn node_draw(remaining_batches: u64, nodes: u64, workers_on_node: u64) -> u64 {
    let half_part = remaining_batches / nodes.max(1).saturating_mul(2);
    half_part.clamp(1, workers_on_node.max(1)).min(remaining_batches)
}

/// The ranges of batches that [`node_draw`] leads to, in the order of drawing.
///
/// How much a draw takes depends only on what remains, so the ranges are known beforehand: a node
/// draws the number of a range by adding 1 to the global counter, and no draw needs to read first.
pub fn node_ranges(batches: u64, nodes: u64, workers_on_node: u64) -> Vec<Range<u64>> {
    let mut start = 0;
    std::iter::from_fn(|| {
        let end = start + node_draw(batches - start, nodes, workers_on_node);
        let range = start..end;
        start = end;
        (!range.is_empty()).then_some(range)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::{mix64, to_f64, to_u64, to_usize};
    use proptest::prelude::*;

    fn loads(costs: &[f64]) -> Vec<Load> {
        costs.iter().map(|&cost| Load { expected: cost, careful: cost }).collect()
    }

    fn equal(count: usize) -> Vec<Load> {
        loads(&vec![500.0; count])
    }

    fn grouped(loads: &[Load], workers: f64) -> (Vec<Range<u32>>, Vec<f64>) {
        batches(loads.iter().copied(), workers, &CostModel::default(), &Tuning::default())
    }

    #[test]
    fn batches_shrink_towards_the_end() {
        let (ranges, predicted) = grouped(&equal(10_000), 10.0);
        assert!(ranges[0].len() > 300, "{:?}", ranges[0]);
        assert!(predicted[predicted.len() - 1] <= 4000.0);
        assert!(predicted.is_sorted_by(|a, b| a >= b));
        assert!(ranges.len() < 10 * 3 * 8, "{} draws", ranges.len());
    }

    #[test]
    fn risky_tiles_travel_in_smaller_batches() {
        let mut tiles = equal(10_000);
        let safe = grouped(&tiles, 10.0).0[0].len();
        tiles.iter_mut().take(200).for_each(|load| load.careful = 5000.0);
        assert!(grouped(&tiles, 10.0).0[0].len() * 9 < safe);
    }

    #[test]
    fn no_tiles_no_batches() {
        assert_eq!(grouped(&[], 10.0), (vec![], vec![]));
        assert!(node_ranges(0, 0, 0).is_empty());
        assert_eq!(node_draw(0, 4, 4), 0);
        assert_eq!(node_draw(u64::MAX, u64::MAX, u64::MAX), 1);
    }

    proptest! {
        #[test]
        fn batches_cover_all_tiles(count in 0..500_u64, workers in 1..900_u64, seed in any::<u64>()) {
            let costs: Vec<f64> = (0..count).map(|i| to_f64(mix64(seed ^ i) >> 48)).collect();
            let (ranges, predicted) = grouped(&loads(&costs), to_f64(workers));
            let tiles: Vec<u32> = ranges.iter().flat_map(Range::clone).collect();
            prop_assert!(tiles.into_iter().map(u64::from).eq(0..count));
            for (range, cost) in ranges.into_iter().zip(predicted) {
                let range = to_usize(range.start.into())..to_usize(range.end.into());
                prop_assert!((costs[range].iter().sum::<f64>() - cost).abs() < 1.0);
            }
        }

        #[test]
        fn nodes_draw_everything(count in 0..5000_u64, nodes in 0..40_u64, workers in 0..80_u64) {
            let ranges = node_ranges(count, nodes, workers);
            prop_assert!(ranges.iter().cloned().flatten().eq(0..count));
            let sizes: Vec<u64> = ranges.iter().map(|range| range.end - range.start).collect();
            prop_assert!(sizes.is_sorted_by(|a, b| a >= b));
            prop_assert!(sizes.iter().all(|&size| 0 < size && size <= workers.max(1)));
            prop_assert!(to_u64(sizes.len()) <= count);
        }
    }
}
