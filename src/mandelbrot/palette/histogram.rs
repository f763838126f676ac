//! Histogram equalisation: every colour covers the same area of the picture.
//!
//! The bins are plain sums, so that ranks add theirs by one all-reduce. Counts below 65536 have a
//! bin each; above, 1024 bins share an octave, which bounds the table at 640 KiB for any limit and
//! still keeps neighbouring bins within 0.1 % of each other.

use super::NOT_ESCAPED;
use crate::num::{floor_u64, to_f64, to_usize};

/// Counts below this have a bin of their own.
const EXACT: u32 = 1 << 16;
/// Binary digits of a count that a bin above [`EXACT`] distinguishes below the leading one.
const OCTAVE_BITS: u32 = 10;

/// How many pixels have which count. Pixels that never escaped are left out.
#[derive(Clone, Debug)]
pub struct Histogram {
    bins: Vec<u64>,
}

/// A bin's index.
#[inline]
fn bin_of(count: u32) -> usize {
    let bin = if count < EXACT {
        count
    } else {
        let octave = count.ilog2();
        let within = (count >> (octave - OCTAVE_BITS)) - (1 << OCTAVE_BITS);
        EXACT + ((octave - EXACT.ilog2()) << OCTAVE_BITS) + within
    };
    to_usize(u64::from(bin))
}

/// The bin's width in counts, as a power of two.
#[inline]
fn width_bits(count: u32) -> u32 {
    if count < EXACT { 0 } else { count.ilog2() - OCTAVE_BITS }
}

impl Histogram {
    /// An empty histogram for counts up to `max_iterations`.
    pub fn new(max_iterations: u32) -> Self {
        Histogram { bins: vec![0; bin_of(max_iterations.min(NOT_ESCAPED - 1)) + 1] }
    }

    /// Counts some pixels. A count above the limit, which only a damaged file holds, goes to the
    /// last bin.
    pub fn add(&mut self, counts: &[u32]) {
        let last = self.bins.len() - 1;
        for &count in counts {
            if count != NOT_ESCAPED {
                self.bins[bin_of(count).min(last)] += 1;
            }
        }
    }

    /// The sums, to be added up over all ranks; as many for the same limit everywhere.
    pub fn bins(&mut self) -> &mut [u64] {
        &mut self.bins
    }
}

/// The share of escaped pixels with a lower count, as a function of the count.
#[derive(Clone, Debug)]
pub struct Equalizer {
    /// `below[b]` is the share of pixels in the bins before `b`; one entry more than bins.
    below: Vec<f64>,
}

impl From<Histogram> for Equalizer {
    fn from(histogram: Histogram) -> Self {
        let total: u64 = histogram.bins.iter().sum();
        let share = if total == 0 { 0.0 } else { 1.0 / to_f64(total) };
        let mut seen = 0;
        let mut below = Vec::with_capacity(histogram.bins.len() + 1);
        below.push(0.0);
        for bin in histogram.bins {
            seen += bin;
            below.push(to_f64(seen) * share);
        }
        Equalizer { below }
    }
}

impl Equalizer {
    /// The position from 0 to 1 of the continuous count `count + fraction`: the share of pixels
    /// below it. Never falls as the continuous count grows.
    ///
    /// Straight lines between the bins would show as creases wherever two bands meet, so a
    /// quadratic B-spline through the same shares is taken: it is smooth and keeps the order.
    #[inline]
    pub fn position(&self, count: u32, fraction: f32) -> f64 {
        let mu = (f64::from(count) + f64::from(fraction)).max(0.0);
        let whole = u32::try_from(floor_u64(mu)).unwrap_or(NOT_ESCAPED);
        let (bin, bits) = (bin_of(whole), width_bits(whole));
        let start = whole >> bits << bits;
        // Most counts are low, and a division takes as long as all the rest.
        let past = mu - f64::from(start);
        let within = if bits == 0 { past } else { past / f64::from(1u32 << bits) };

        let late = within >= 0.5;
        let knot = bin + usize::from(late);
        let offset = if late { within - 1.0 } else { within };
        let last = self.below.len() - 1;
        let share = |index: usize| self.below[index.min(last)];
        let (before, here, after) = (share(knot.saturating_sub(1)), share(knot), share(knot + 1));
        let (to_before, to_after) = (0.5 - offset, 0.5 + offset);
        // As differences from the middle, so that three equal shares give exactly that share.
        here + (after - here) * (0.5 * to_after * to_after)
            - (here - before) * (0.5 * to_before * to_before)
    }
}
