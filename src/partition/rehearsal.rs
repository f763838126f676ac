//! Rehearsals: a schedule played through with known costs, before or without a machine.
//!
//! Discrete events: whoever is free first draws next, as with a shared counter. One heap operation
//! a draw, so a million batches take a fraction of a second. The price is what is left out: waiting
//! of draws for each other, noise, and cores of unequal speed.
//!
//! Two levels follow the masterless schemes (Eleliemy & Ciorba, arXiv 1901.02773): no worker is
//! set apart to hand out work, whoever needs more fetches it.

use crate::num::{to_f64, to_u64, to_usize};
use crate::partition::batches::node_ranges;
use crate::partition::blocks::{block, cyclic};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

/// How a schedule played out. Times are in the unit of the costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rehearsal {
    /// Work of all workers together, without their draws.
    pub busy_total: u64,
    /// When the last worker finished.
    pub longest: u64,
    /// Mean work of a worker / `longest`: 1 is perfect, and so is having nothing to do.
    pub balance: f64,
    /// Draws of the only counter, or of the global one of two levels.
    pub draws: u64,
}

impl Rehearsal {
    fn new(workers: u64, busy_total: u64, longest: u64, draws: u64) -> Self {
        let mean = to_f64(busy_total) / to_f64(workers);
        let balance = if longest == 0 { 1.0 } else { mean / to_f64(longest) };
        Self { busy_total, longest, balance, draws }
    }
}

/// `workers` draw one batch after the other, each draw taking `draw`.
///
/// The last look at the empty counter is free: it delays nobody's work.
pub fn one_level(costs: &[u64], workers: u64, draw: u64) -> Rehearsal {
    let workers = workers.max(1);
    let mut free: BinaryHeap<_> = (0..workers).map(|_| Reverse(0_u64)).collect();
    let (mut busy, mut longest) = (0_u64, 0_u64);
    for &cost in costs {
        let mut earliest = free.peek_mut().expect("at least one worker");
        earliest.0 = earliest.0.saturating_add(draw).saturating_add(cost);
        longest = longest.max(earliest.0);
        busy = busy.saturating_add(cost);
    }
    Rehearsal::new(workers, busy, longest, to_u64(costs.len()))
}

/// As [`one_level`], for workers who do their `own` work, one cost each, when the first `hot_batches`
/// have been drawn and before the first of the others.
pub fn with_own(costs: &[u64], hot_batches: usize, own: &[u64], draw: u64) -> Rehearsal {
    let mut free: BinaryHeap<_> =
        (0..own.len().max(1)).map(|worker| Reverse((0_u64, worker))).collect();
    let (mut busy, mut longest) = (own.iter().fold(0, |sum: u64, &c| sum.saturating_add(c)), 0);
    let mut left = own.to_vec();
    let mut place = |end: u64| longest = longest.max(end);
    for (batch, &cost) in costs.iter().enumerate() {
        // Whoever is free first draws; beyond the hot batches that means own work first, after which
        // somebody else may be the first to be ready for the batch that was drawn.
        let mut earliest = free.peek_mut().expect("at least one worker");
        let Reverse((mut now, worker)) = *earliest;
        if batch >= hot_batches {
            let mine = left.get_mut(worker).map_or(0, std::mem::take);
            now = now.saturating_add(mine);
        }
        let end = now.saturating_add(draw).saturating_add(cost);
        *earliest = Reverse((end, worker));
        busy = busy.saturating_add(cost);
        place(end);
    }
    for Reverse((now, worker)) in free {
        place(now.saturating_add(left.get(worker).copied().unwrap_or(0)));
    }
    Rehearsal::new(to_u64(own.len().max(1)), busy, longest, to_u64(costs.len()))
}

/// The effort of drawing in two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawCosts {
    /// From the range of the own node.
    pub local: u64,
    /// From the global counter.
    pub global: u64,
}

/// The batches that a node has drawn and not yet handed to its workers.
#[derive(Clone, Debug, Default)]
struct Stock {
    open: Range<u64>,
    /// The next range, and when it arrives.
    coming: Option<(Range<u64>, u64)>,
}

/// `nodes` draw ranges of batches from the global counter, the workers of a node draw from its
/// range. The worker that leaves the range half empty fetches the next one first, while its
/// colleagues go on with what is there; who finds nothing waits for the fetch.
pub fn two_level(costs: &[u64], nodes: u64, workers_on_node: u64, draw: DrawCosts) -> Rehearsal {
    let (nodes, workers_on_node) = (nodes.max(1), workers_on_node.max(1));
    let ranges = node_ranges(to_u64(costs.len()), nodes, workers_on_node);
    let draws = to_u64(ranges.len());
    let mut ranges = ranges.into_iter();
    let mut stocks = vec![Stock::default(); to_usize(nodes)];
    // By worker first, so that at the start the nodes draw in turn.
    let mut free: BinaryHeap<_> =
        (0..workers_on_node).flat_map(|_| (0..nodes).map(|node| Reverse((0_u64, node)))).collect();
    let (mut busy, mut longest) = (0_u64, 0_u64);
    while let Some(mut earliest) = free.peek_mut() {
        let Reverse((mut now, node)) = *earliest;
        let stock = &mut stocks[to_usize(node)];
        let left = stock.open.end - stock.open.start;
        if stock.coming.is_none()
            && left <= workers_on_node / 2
            && let Some(range) = ranges.next()
        {
            now = now.saturating_add(draw.global);
            stock.coming = Some((range, now));
        }
        if stock.open.is_empty() {
            let Some((range, arrival)) = stock.coming.take() else {
                PeekMut::pop(earliest);
                continue;
            };
            stock.open = range;
            now = now.max(arrival);
        }
        let cost = costs[to_usize(stock.open.start)];
        stock.open.start += 1;
        let end = now.saturating_add(draw.local).saturating_add(cost);
        *earliest = Reverse((end, node));
        longest = longest.max(end);
        busy = busy.saturating_add(cost);
    }
    Rehearsal::new(nodes.saturating_mul(workers_on_node), busy, longest, draws)
}

/// Contiguous shares of the rows, without any draw.
pub fn block_rows(row_costs: &[u64], workers: u64) -> Rehearsal {
    let (rows, workers) = (to_u64(row_costs.len()), workers.max(1));
    fixed(row_costs, workers, |worker| block(rows, workers, worker))
}

/// Row `i` for worker `i % workers`, without any draw.
pub fn cyclic_rows(row_costs: &[u64], workers: u64) -> Rehearsal {
    let (rows, workers) = (to_u64(row_costs.len()), workers.max(1));
    fixed(row_costs, workers, |worker| cyclic(rows, workers, worker))
}

fn fixed<I: Iterator<Item = u64>>(
    row_costs: &[u64],
    workers: u64,
    share: impl Fn(u64) -> I,
) -> Rehearsal {
    let (mut busy, mut longest) = (0_u64, 0_u64);
    for worker in 0..workers {
        let costs = share(worker).map(|row| row_costs[to_usize(row)]);
        let load = costs.fold(0, u64::saturating_add);
        busy = busy.saturating_add(load);
        longest = longest.max(load);
    }
    Rehearsal::new(workers, busy, longest, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FREE: DrawCosts = DrawCosts { local: 0, global: 0 };

    #[test]
    fn the_first_free_worker_draws_next() {
        // One worker takes 9; the other takes 4, 4 and 3.
        let played = one_level(&[9, 4, 4, 3], 2, 0);
        assert_eq!((played.busy_total, played.longest, played.draws), (20, 11, 4));
        assert!((played.balance - 10.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn draws_take_time_but_are_no_work() {
        let played = one_level(&[5, 5], 1, 10);
        assert_eq!((played.busy_total, played.longest), (10, 30));
        let costs = DrawCosts { local: 1, global: 100 };
        // Two ranges of one batch: the second is fetched before the first is used up or after.
        assert_eq!(two_level(&[5, 5], 1, 1, costs).longest, 2 * (100 + 1 + 5));
    }

    #[test]
    fn colleagues_wait_for_the_fetch_and_share_it() {
        let costs = DrawCosts { local: 0, global: 100 };
        let played = two_level(&[5; 8], 1, 4, costs);
        // The first range has four batches; the other ranges are fetched on the way.
        assert!((200..=405).contains(&played.longest), "{played:?}");
        assert_eq!(played.busy_total, 40);
    }

    #[test]
    fn nothing_to_do_is_balanced() {
        for costs in [&[][..], &[0, 0]] {
            for played in [
                one_level(costs, 5, 0),
                two_level(costs, 2, 3, FREE),
                block_rows(costs, 5),
                cyclic_rows(costs, 0),
            ] {
                assert!(played.longest == 0 && played.balance >= 1.0, "{played:?}");
            }
        }
    }

    #[test]
    fn own_work_lies_between_hot_and_tail() {
        // The first draws 4 and has 2 of its own, the second draws 1 and has 4: both then end at 7.
        let played = with_own(&[4, 1, 2, 1], 2, &[2, 4], 0);
        assert_eq!((played.busy_total, played.longest, played.draws), (14, 7, 4));
        // Nothing to draw, or everything.
        assert_eq!(with_own(&[], 0, &[3, 9], 5).longest, 9);
        assert_eq!(with_own(&[9, 4, 4, 3], 4, &[0, 0], 0), one_level(&[9, 4, 4, 3], 2, 0));
    }

    #[test]
    fn static_shares_add_up() {
        let rows = [8, 1, 1, 0, 0, 2];
        assert_eq!(block_rows(&rows, 2).longest, 10);
        assert_eq!(cyclic_rows(&rows, 2).longest, 9);
        assert!((cyclic_rows(&rows, 3).balance - 4.0 / 8.0).abs() < 1e-12);
    }

    #[test]
    fn huge_costs_saturate() {
        let played = one_level(&[u64::MAX, u64::MAX, 1], 1, u64::MAX);
        assert_eq!((played.busy_total, played.longest), (u64::MAX, u64::MAX));
    }

    proptest! {
        #[test]
        fn finishes_lie_between_the_bounds(
            costs in prop::collection::vec(0..1000_u64, 0..200),
            (nodes, workers) in (1..6_u64, 1..9_u64),
        ) {
            let total: u64 = costs.iter().sum();
            let most = costs.iter().copied().max().unwrap_or(0);
            let all = nodes * workers;
            let one = one_level(&costs, all, 0);
            let two = two_level(&costs, nodes, workers, FREE);
            for played in [one, two, block_rows(&costs, all), cyclic_rows(&costs, all)] {
                prop_assert_eq!(played.busy_total, total);
                prop_assert!(played.longest >= most.max(total.div_ceil(all)));
                prop_assert!((0.0..=1.0 + 1e-12).contains(&played.balance));
            }
            // Graham's bound for any list schedule.
            prop_assert!(one.longest <= total / all + most + 1);
            prop_assert_eq!(two_level(&costs, 1, workers, FREE).longest,
                one_level(&costs, workers, 0).longest);
        }
    }
}
