//! Zipf draws: rank `k` of `count`, counted from 0, with a weight of 1/(k + 1).
//!
//! A cumulative table of 8 bytes a value and a binary search for each draw, slower the further the table
//! outgrows the caches. The closed-form samplers need `ln` and `pow`, whose last bit differs between
//! machines; the table needs `+`, `*` and `/`, which IEEE 754 fixes to the bit, so all ranks of a mixed
//! cluster make the same data.

use super::random::{Stream, TWO_53};
use crate::num::{to_f64, to_usize};

/// Upper bits of a zipf draw that choose where its search starts. 8 KiB stay in the first-level
/// cache and find the common values without a search: half the time a line at 10,000 values. More
/// bits gain a few percent.
const GUIDE_BITS: u32 = 10;
/// What is left of 53 bits below them.
const GUIDE_SHIFT: u32 = 53 - GUIDE_BITS;

/// The cumulative weights, and where in them to start looking.
#[derive(Debug)]
pub(crate) struct Zipf {
    stream: Stream,
    /// `sums[k]` is 1/1 + 1/2 + ... + 1/(k + 1).
    sums: Box<[f64]>,
    /// The last sum over 2^53.
    scale: f64,
    /// Where the search of the least draw with these upper bits ends; it bounds all the others.
    guide: Box<[usize]>,
}

impl Zipf {
    /// Takes about 5 ns and 8 bytes a value.
    pub(crate) fn new(count: u64, stream: Stream) -> Self {
        let mut sum = 0.0;
        let add = |k| {
            sum += 1.0 / to_f64(k);
            sum
        };
        let sums: Box<[f64]> = (1..=count).map(add).collect();
        let scale = sum / TWO_53;
        let find = |upper: u64| {
            let wanted = to_f64(upper << GUIDE_SHIFT) * scale;
            sums.partition_point(|sum| *sum <= wanted)
        };
        let guide = (0..=1_u64 << GUIDE_BITS).map(find).collect();
        Self { stream, sums, scale, guide }
    }

    /// The first sum above a uniform draw from 0 to the last sum. A product with `scale` rises
    /// with the draw even when rounded, so the guide changes the time and never the answer.
    #[inline]
    pub(crate) fn rank(&self, index: u64) -> usize {
        let draw = self.stream.bits53(index);
        let upper = to_usize(draw >> GUIDE_SHIFT);
        let (from, to) = (self.guide[upper], self.guide[upper + 1]);
        let wanted = to_f64(draw) * self.scale;
        let rank = from + self.sums[from..to].partition_point(|sum| *sum <= wanted);
        // The draw is below 2^53, so `wanted` is below the last sum; `min` guards rounding.
        rank.min(self.sums.len() - 1)
    }
}
