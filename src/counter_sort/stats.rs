//! Exact statistics of (value, count) parts that lie on different ranges in value order.
//!
//! Everything is integer arithmetic until the last step, so that the result does not depend on how
//! the values were spread over the ranges; the sum costs 16 bytes and one wide multiplication per
//! distinct value for it.

use crate::counter_sort::emit::Entry;
use crate::num::to_f64;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one pass over a part yields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// How many different values.
    pub distinct: u64,
    /// The least value.
    pub min: Option<i64>,
    /// The greatest value.
    pub max: Option<i64>,
    /// The sum of all values; 2^64 times `i64::MIN` still fits.
    pub sum: i128,
}

impl Summary {
    /// The summary of a part. Entries without copies do not count.
    ///
    /// # Panics
    /// When there are 2^64 values or more.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let occurring = entries.into_iter().filter(|entry| entry.count > 0);
        occurring.fold(Self::default(), |all, Entry { value, count }| {
            let (min, max) = (Some(value), Some(value));
            let sum = i128::from(value) * i128::from(count);
            all.combine(Self { count, distinct: 1, min, max, sum })
        })
    }

    /// The summary of two parts that have no value in common, in any order.
    ///
    /// # Panics
    /// When there are 2^64 values or more.
    #[must_use]
    pub fn combine(self, other: Self) -> Self {
        Self {
            count: self.count.checked_add(other.count).expect("fewer than 2^64 values"),
            distinct: self.distinct + other.distinct,
            min: self.min.into_iter().chain(other.min).min(),
            max: self.max.max(other.max),
            sum: self.sum + other.sum,
        }
    }

    /// The mean, rounded once, to the nearest `f64` with ties to even; `None` of no values.
    pub fn mean(&self) -> Option<f64> {
        let divisor = u128::from(self.count);
        let magnitude = self.sum.unsigned_abs();
        if divisor == 0 {
            return None;
        }
        if magnitude == 0 {
            return Some(0.0);
        }
        // As a 128-bit fraction the quotient has at least 64 significant bits. The highest 64, with
        // the last one set if anything non-zero follows, round to 53 bits as the true quotient
        // does.
        let up = magnitude.leading_zeros();
        let dividend = magnitude << up;
        let quotient = dividend / divisor;
        let down = 64 - quotient.leading_zeros();
        let high = quotient >> down;
        let inexact = high << down != quotient || !dividend.is_multiple_of(divisor);
        let high = u64::try_from(high).expect("64 bits") | u64::from(inexact);
        let mean = to_f64(high) * power_of_two(down) / power_of_two(up);
        Some(if self.sum < 0 { -mean } else { mean })
    }
}

/// 2^exponent, exactly.
fn power_of_two(exponent: u32) -> f64 {
    const BIAS: u64 = 1023;
    f64::from_bits((BIAS + u64::from(exponent)) << 52)
}

/// The nearest-rank positions, counted from 1, of quantiles between 0 and 1 among `count` values:
/// the quantile times the count, rounded up, but at least 1. None at all among no values.
///
/// A quantile means the shortest decimal number that stands for its `f64`: 0.1 of ten values is
/// the first, although the `f64` nearest to 0.1 is a little greater, and 0.07 of a hundred is the
/// seventh, although the product of floats is a little more than 7. The product is exact for every
/// count.
///
/// # Panics
/// When a quantile is not within 0 and 1.
pub fn quantile_positions(count: u64, quantiles: &[f64]) -> Vec<u64> {
    let position = |&quantile: &f64| {
        assert!((0.0..=1.0).contains(&quantile), "a quantile from 0 to 1, not {quantile}");
        let (digits, places) = decimal(quantile);
        let product = u128::from(digits) * u128::from(count);
        // At most 17 digits times 20: less than 10^37. So beyond that the quotient is below 1.
        let rank = 10_u128.checked_pow(places).map_or(1, |unit| product.div_ceil(unit));
        u64::try_from(rank).expect("a position of at most count").max(1)
    };
    if count == 0 { Vec::new() } else { quantiles.iter().map(position).collect() }
}

/// A number from 0 to 1 as `digits / 10^places`, with as few digits as identify it.
fn decimal(number: f64) -> (u64, u32) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').expect("scientific notation");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").trim_start_matches('-').parse();
    let exponent: i64 = exponent.parse().expect("a small integer");
    let after_point = i64::try_from(fraction.len()).expect("at most 16 digits");
    let places = u32::try_from(after_point - exponent).expect("a number of at most 1");
    (digits.expect("at most 17 digits"), places)
}

/// Which of the global positions (counted from 1, ascending) lie in this part, whose first value
/// has `first_position`, and the values there, as (index into `positions`, value).
pub fn at_positions(
    entries: impl IntoIterator<Item = Entry>,
    first_position: u64,
    positions: &[u64],
) -> Vec<(usize, i64)> {
    debug_assert!(positions.is_sorted(), "positions in ascending order");
    let mut found = Vec::new();
    let mut next = positions.partition_point(|&position| position < first_position);
    let mut before = first_position.saturating_sub(1);
    for entry in entries {
        if next == positions.len() {
            break;
        }
        before += entry.count;
        while positions.get(next).is_some_and(|&position| position <= before) {
            found.push((next, entry.value));
            next += 1;
        }
    }
    found
}

/// The `k` entries of the greatest counts, greatest first, equal counts by smaller value. Keeps
/// only `k` entries at any time; those without copies do not count.
pub fn top(entries: impl IntoIterator<Item = Entry>, k: usize) -> Vec<Entry> {
    let mut best = BinaryHeap::new(); // the worst of the best on top
    for Entry { value, count } in entries {
        let key = Reverse((count, Reverse(value)));
        if count == 0 || k == 0 {
            continue;
        }
        if best.len() < k {
            best.push(key);
        } else if let Some(mut worst) = best.peek_mut()
            && key < *worst
        {
            *worst = key;
        }
    }
    let best = best.into_sorted_vec().into_iter();
    best.map(|Reverse((count, Reverse(value)))| Entry { value, count }).collect()
}

/// The top `k` of parts that have no value in common, from the top `k` of each.
pub fn merge_top(parts: &[Vec<Entry>], k: usize) -> Vec<Entry> {
    top(parts.iter().flatten().copied(), k)
}

#[cfg(test)]
mod tests;
