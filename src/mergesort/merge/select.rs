//! Exact places to cut sorted runs, so that pieces of equal size can be merged side by side.
//!
//! Multiway selection by a pivot: the weighted median of the middles of what is left of each run
//! splits off at least a quarter of the candidates, and a binary search per run says on which side
//! of it the rest lie. Order is (item, run, position), so the places are exact whatever the number
//! of equal items, and pieces merged apart are what one stable merge would give. With k runs of n
//! items it costs about k (log k + log n) log n comparisons and touches as many items; finding the
//! same place with fewer (Varman, Scheufler, Iyer, Ricard, J. Parallel Distrib. Comput. 1991) costs
//! a heap and needs runs of equal length.

use super::Key;
use std::cmp::Ordering;

/// An item, by the run that it is in and its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which run.
    pub run: usize,
    /// The position in the run.
    pub index: usize,
}

/// How many items of each run are among the first `rank` of the stable merge of all runs.
///
/// `lengths` are the runs' lengths in items; `compare` tells the order of two items and is never
/// asked about a position beyond a run's end. Equal items of different runs are in the order of the
/// runs.
///
/// # Panics
/// When there are fewer than `rank` items.
pub fn select(
    lengths: &[usize],
    rank: usize,
    compare: impl FnMut(Place, Place) -> Ordering,
) -> Vec<usize> {
    select_from(vec![0; lengths.len()], lengths, rank, compare)
}

/// Cuts runs into `parts` pieces whose sizes differ by one item at most, the larger ones first.
///
/// Row `p` of the result says where piece `p` begins in each run and row `p + 1` where it ends;
/// there are `parts + 1` rows, the first all zero and the last equal to `lengths`.
///
/// # Panics
/// When `parts` is 0.
pub fn cuts(
    lengths: &[usize],
    parts: usize,
    mut compare: impl FnMut(Place, Place) -> Ordering,
) -> Vec<Vec<usize>> {
    assert!(parts > 0, "at least one piece");
    let total: usize = lengths.iter().sum();
    let mut rows = vec![vec![0; lengths.len()]];
    for part in 1..=parts {
        let rank = total / parts * part + part.min(total % parts);
        let before = rows[part - 1].clone();
        rows.push(select_from(before, lengths, rank, &mut compare));
    }
    rows
}

/// [`cuts`] of runs of bare keys.
pub fn key_cuts<K: Key>(runs: &[&[K]], parts: usize) -> Vec<Vec<usize>> {
    let lengths: Vec<usize> = runs.iter().map(|run| run.len()).collect();
    cuts(&lengths, parts, |a, b| runs[a.run][a.index].cmp(&runs[b.run][b.index]))
}

/// [`select`] where the first `low[r]` items of each run are known to be among the first `rank`.
fn select_from(
    mut low: Vec<usize>,
    lengths: &[usize],
    rank: usize,
    mut compare: impl FnMut(Place, Place) -> Ordering,
) -> Vec<usize> {
    let mut high = lengths.to_vec();
    let mut order = |a: Place, b: Place| compare(a, b).then(a.cmp(&b));
    loop {
        let below: usize = low.iter().sum();
        let candidates = high.iter().sum::<usize>() - below;
        let wanted = rank.checked_sub(below).expect("a rank that is not below the known items");
        assert!(wanted <= candidates, "a rank within the runs");
        if wanted == 0 {
            return low;
        }
        if wanted == candidates {
            return high;
        }
        let pivot = pivot(&low, &high, &mut order);
        let split = split(&low, &high, pivot, &mut order);
        // The split counts the pivot itself, so either side loses something.
        if split.iter().sum::<usize>() <= rank {
            low = split;
        } else {
            high = split;
            high[pivot.run] = pivot.index;
        }
    }
}

/// The weighted median of the middles of the ranges between `low` and `high`.
fn pivot(low: &[usize], high: &[usize], order: &mut impl FnMut(Place, Place) -> Ordering) -> Place {
    let ranges = low.iter().zip(high).enumerate().filter(|(_, (low, high))| low < high);
    let mut middles: Vec<(Place, usize)> = ranges
        .map(|(run, (&low, &high))| (Place { run, index: low.midpoint(high) }, high - low))
        .collect();
    middles.sort_unstable_by(|a, b| order(a.0, b.0));
    let half = middles.iter().map(|middle| middle.1).sum::<usize>().div_ceil(2);
    let mut weight = 0;
    let median = middles.iter().find(|middle| {
        weight += middle.1;
        weight >= half
    });
    median.expect("candidates to choose from").0
}

/// For each run, the end of the items up to and including the pivot.
fn split(
    low: &[usize],
    high: &[usize],
    pivot: Place,
    order: &mut impl FnMut(Place, Place) -> Ordering,
) -> Vec<usize> {
    let end = |(run, (&low, &high)): (usize, (&usize, &usize))| {
        if run == pivot.run {
            return pivot.index + 1;
        }
        let (mut low, mut high) = (low, high);
        while low < high {
            let index = low.midpoint(high);
            if order(Place { run, index }, pivot).is_lt() {
                low = index + 1;
            } else {
                high = index;
            }
        }
        low
    };
    low.iter().zip(high).enumerate().map(end).collect()
}
