//! Medians, quantiles, distribution-free intervals and outliers of one sample.
//!
//! Everything sorts a copy: samples are repeats of a run, tens of values at most.

use crate::num::{len_f64, to_u64, to_usize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// The values in ascending order.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The middle of values in ascending order, the mean of both middles of an even number; `None` of
/// no values.
pub(super) fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let even = sorted.len().is_multiple_of(2);
    Some(if even { f64::midpoint(sorted[sorted.len() / 2 - 1], upper) } else { upper })
}

/// The median, the mean of both middle values of an even number; `None` of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted(values))
}

/// The quantile at `level` (0 to 1) by linear interpolation between order statistics: definition 7
/// of Hyndman & Fan (The American Statistician 50, 1996), the default of R and `NumPy`. `None` of no
/// values or of a level outside 0 and 1.
pub fn quantile(values: &[f64], level: f64) -> Option<f64> {
    quantile_of_sorted(&sorted(values), level)
}

/// [`quantile`] of values that are in ascending order already.
pub(super) fn quantile_of_sorted(sorted: &[f64], level: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&level) || sorted.is_empty() {
        return None;
    }
    let position = level * len_f64(sorted.len() - 1);
    let below = to_usize(crate::num::floor_u64(position)).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    let part = position - len_f64(below);
    // Exact at the order statistics, and no NaN between two equal infinities.
    let step = sorted[above] - sorted[below];
    Some(if part > 0.0 && step > 0.0 { step.mul_add(part, sorted[below]) } else { sorted[below] })
}

/// A distribution-free interval of a median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MedianInterval {
    /// Its lower end, one of the values.
    pub lo: f64,
    /// Its upper end, one of the values.
    pub hi: f64,
    /// The probability that it covers the true median, 0 to 1: at least 0.95 with six values or
    /// more; with fewer the range is all there is, and it covers less.
    pub coverage: f64,
}

/// The shortest symmetric pair of order statistics that covers the true median of a continuous
/// distribution with at least 95 %, by the exact binomial distribution (Hahn & Meeker, Statistical
/// Intervals, section 5.2); with fewer than six values the range with what it covers. `None` of no
/// values.
pub fn median_interval(values: &[f64]) -> Option<MedianInterval> {
    let sorted = sorted(values);
    let (&lo, &hi) = (sorted.first()?, sorted.last()?);
    // The true median lies outside when at most `below` values are on one side of it.
    let count = Binomial::new(0.5, to_u64(sorted.len())).ok()?;
    let coverage = |below: usize| 1.0 - 2.0 * count.cdf(to_u64(below));
    let mut best = MedianInterval { lo, hi, coverage: coverage(0).max(0.0) };
    for below in 1..sorted.len() / 2 {
        let covered = coverage(below);
        if covered < 0.95 {
            break;
        }
        let (lo, hi) = (sorted[below], sorted[sorted.len() - 1 - below]);
        best = MedianInterval { lo, hi, coverage: covered };
    }
    Some(best)
}

/// The indices of the outliers: modified Z, 0.6745 |x - median| / MAD, above 3.5 (Iglewicz &
/// Hoaglin, How to Detect and Handle Outliers, 1993, section 3.3).
///
/// Where more than half of the values are equal the MAD is 0 and the mean absolute deviation with
/// its factor 1.2533 takes its place, as IBM SPSS and NIST Dataplot do; equal values have none.
pub fn outliers(values: &[f64]) -> Vec<usize> {
    const LIMIT: f64 = 3.5;
    let Some(middle) = median(values) else { return Vec::new() };
    let deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let mad = median(&deviations).unwrap_or(0.0) / 0.6745;
    let mean = 1.2533 * deviations.iter().sum::<f64>() / len_f64(values.len());
    let spread = if mad > 0.0 { mad } else { mean };
    let far = |(_, deviation): &(usize, &f64)| **deviation > LIMIT * spread;
    deviations.iter().enumerate().filter(far).map(|(index, _)| index).collect()
}
