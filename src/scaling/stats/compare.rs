//! Whether two samples of the same measurement differ, and by how much.
//!
//! By ranks, so a few slow runs cost little. The fewest repeats that can show anything at 5 % are
//! four against four: of three against three no p-value lies below 0.1.

use super::bootstrap::{Bootstrap, bootstrap};
use super::order::{median, sorted};
use crate::num::len_f64;
use statrs::function::erf::erfc;
use std::cmp::Ordering;
use std::f64::consts::SQRT_2;

/// The rank-sum test of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// How often a value of the first sample is above one of the second; a tie counts a half.
    pub u: f64,
    /// The two-sided p-value.
    pub p_value: f64,
    /// Whether from the exact distribution, else from the normal approximation.
    pub exact: bool,
}

/// Two samples side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The median of the first.
    pub median_a: f64,
    /// The median of the second.
    pub median_b: f64,
    /// The second median over the first; `None` when the first is 0.
    pub ratio: Option<f64>,
    /// Its 95 % bootstrap interval; `None` with a single value in each sample.
    pub ratio_ci95: Option<[f64; 2]>,
    /// The second minus the first by Hodges & Lehmann, in the unit of the values.
    pub shift: f64,
    /// Whether they differ.
    pub test: MannWhitney,
}

/// Compares two samples; `None` when one has no value.
pub fn compare(a: &[f64], b: &[f64], settings: Bootstrap) -> Option<Comparison> {
    let (median_a, median_b) = (median(a)?, median(b)?);
    let quotient = median_b / median_a;
    let interval = bootstrap(&[a, b], settings, |medians| medians[1] / medians[0]);
    Some(Comparison {
        median_a,
        median_b,
        ratio: quotient.is_finite().then_some(quotient),
        ratio_ci95: interval.map(|interval| [interval.lo, interval.hi]),
        shift: hodges_lehmann(a, b)?,
        test: mann_whitney(a, b)?,
    })
}

/// The median of all differences b - a (Hodges & Lehmann, Annals of Mathematical Statistics 34,
/// 1963); `None` when a sample is empty. Costs the product of both sizes.
pub fn hodges_lehmann(a: &[f64], b: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = b.iter().flat_map(|y| a.iter().map(move |x| y - x)).collect();
    median(&differences)
}

/// The test of Mann & Whitney (Annals of Mathematical Statistics 18, 1947), two-sided: exact when
/// no two values are equal and both samples have fewer than 50, else the normal approximation with
/// the corrections for ties and continuity; the same rule as R's `wilcox.test`. `None` when a
/// sample is empty.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<MannWhitney> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let versus = |x: f64, y: f64| match x.partial_cmp(&y) {
        Some(Ordering::Greater) => 1.0,
        Some(Ordering::Equal) => 0.5,
        _ => 0.0,
    };
    let u: f64 = a.iter().map(|&x| b.iter().map(|&y| versus(x, y)).sum::<f64>()).sum();
    let pairs = len_f64(a.len()) * len_f64(b.len());
    let smaller = u.min(pairs - u);
    let all = sorted(&[a, b].concat());
    // In ascending order, so that not below means equal.
    let ties: Vec<f64> = all.chunk_by(|x, y| x >= y).map(|equal| len_f64(equal.len())).collect();
    let exact = ties.len() == all.len() && a.len() < 50 && b.len() < 50;
    let p_value = if exact {
        let ways = rank_sum_ways(a.len(), b.len());
        let total: f64 = ways.iter().sum();
        let tail = ways.iter().zip(0_u32..).take_while(|&(_, count)| f64::from(count) <= smaller);
        2.0 * tail.map(|(ways, _)| ways).sum::<f64>() / total
    } else {
        let count = len_f64(all.len());
        let correction: f64 = ties.iter().map(|tie| tie * tie * tie - tie).sum();
        let variance = pairs / 12.0 * (count + 1.0 - correction / (count * (count - 1.0)));
        let distance = (0.5 * pairs - smaller - 0.5).max(0.0);
        // All values equal: nothing can be told apart.
        if variance > 0.0 { erfc(distance / variance.sqrt() / SQRT_2) } else { 1.0 }
    };
    Some(MannWhitney { u, p_value: p_value.min(1.0), exact })
}

/// In how many of the orders of `m` and `n` values each U from 0 to m n occurs, by the recursion
/// of Mann & Whitney: the greatest value is of the first sample (and beats all n) or of the other.
/// Exact below 2^53 ways, to 16 digits above.
fn rank_sum_ways(m: usize, n: usize) -> Vec<f64> {
    // ways[i][u] of i values against as many of the second sample as were added so far.
    let mut ways = vec![vec![0.0; m * n + 1]; m + 1];
    for row in &mut ways {
        row[0] = 1.0;
    }
    for second in 1..=n {
        for first in 1..=m {
            let (before, now) = ways.split_at_mut(first);
            for u in second..=first * second {
                now[0][u] += before[first - 1][u - second];
            }
        }
    }
    ways.swap_remove(m)
}
