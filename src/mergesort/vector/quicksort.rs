//! The quicksort around the vector loops: which pivot, which side, when to stop.
//!
//! Keys equal to the pivot go right. So the pivot of a range is the least key of the range to its
//! right; when it comes up there again, or when nothing is below it, all keys equal to it are split
//! off and never touched again. `k` distinct keys thus cost about `log2(k) + 1` passes.

use super::order::Order;
use super::simd::{Kernel, Number};
use crate::num::{mix64, to_u64};

/// Keys in the sample of a long range. Short ones get fewer: a sample should cost little beside the
/// partition, and how even the split is matters less there.
const SAMPLE: usize = 64;

/// Sorts ascending.
#[inline]
pub(super) fn sort<K: Number, S: Kernel<K>>(simd: S, keys: &mut [K]) {
    if put_in_order(simd, keys) {
        return;
    }
    // Halving ends after log2(n) steps; a pivot is nearly always better than the worse of two.
    let budget = 2 * (usize::BITS - keys.len().leading_zeros());
    sort_range(simd, keys, None, budget);
}

/// Sorts keys none of which is below `least`, if that is known. After `budget` splits on one path
/// the pivots are no good, and the standard library, which has its own limit, does the rest.
fn sort_range<K, S>(simd: S, mut keys: &mut [K], mut least: Option<K>, mut budget: u32)
where
    K: Number,
    S: Kernel<K>,
{
    while keys.len() > S::SMALL {
        if budget == 0 {
            return keys.sort_unstable();
        }
        budget -= 1;
        let sample = Sample::new(simd, keys);
        if sample.looks_ordered && put_in_order(simd, keys) {
            return;
        }
        let pivot = sample.median;
        let below = if least == Some(pivot) { 0 } else { simd.partition(keys, pivot) };
        if below == 0 {
            let Some(next) = pivot.successor() else { return };
            let equal = simd.partition(keys, next);
            keys = &mut keys[equal..];
            least = None;
        } else {
            let (left, right) = keys.split_at_mut(below);
            sort_range(simd, left, least, budget);
            keys = right;
            least = Some(pivot);
        }
    }
    simd.sort_small(keys);
}

/// Sorts keys that are in order one way or the other; `false` if they are not.
fn put_in_order<K, S: Kernel<K>>(simd: S, keys: &mut [K]) -> bool {
    match simd.ordered(keys) {
        Order::Ascending => true,
        Order::Descending => {
            keys.reverse();
            true
        }
        Order::Neither => false,
    }
}

/// What a few keys say about a range.
struct Sample<K> {
    median: K,
    looks_ordered: bool,
}

impl<K: Number> Sample<K> {
    /// Draws one key from each of as many equal pieces, at a place that depends on the length of
    /// the range only, so that the same input always takes the same path.
    fn new<S: Kernel<K>>(simd: S, keys: &[K]) -> Self {
        let mut buffer = [K::MAX; SAMPLE];
        let count = match keys.len() {
            0..1024 => 16,
            1024..16_384 => 32,
            _ => SAMPLE,
        };
        let count = S::SMALL.min(count);
        let sample = &mut buffer[..count];
        let piece = keys.len() / count;
        let mut random = mix64(to_u64(keys.len()));
        for (i, key) in sample.iter_mut().enumerate() {
            let offset = (u128::from(random) * u128::from(to_u64(piece))) >> 64;
            *key = keys[i * piece + usize::try_from(offset).unwrap_or(0)];
            random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
        let looks_ordered = simd.ordered(sample) != Order::Neither;
        simd.sort_small(sample);
        Self { median: sample[count / 2], looks_ordered }
    }
}
