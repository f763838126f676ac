//! How the values are spread over `min..=max`: uniform, zipf, one, sorted.
//!
//! Only zipf costs memory: its table of 8 bytes a value.

use crate::generate::random::Stream;
use crate::generate::zipf::Zipf;
use crate::num::to_u64;
use std::fmt;
use std::str::FromStr;

/// The most different values that zipf takes: a table of 128 MiB.
pub const ZIPF_VALUES: u64 = 1 << 24;

/// How the values are spread over `min..=max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every value equally often.
    Uniform,
    /// Value `min + k - 1` with a weight of 1/k: few values make up most lines.
    Zipf,
    /// Every value is `max`: the longest run of equal keys.
    One,
    /// Rising over the whole data set in even steps from `min`; `max` is reached when there are at
    /// least as many lines as values.
    Sorted,
}

impl Pattern {
    /// All of them, in the order in which the help lists them.
    pub const ALL: [Self; 4] = [Self::Uniform, Self::Zipf, Self::One, Self::Sorted];

    fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::One => "one",
            Self::Sorted => "sorted",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|pattern| pattern.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no pattern is called \"{text}\"; there are {names}.")
        })
    }
}

/// A pattern made ready to be asked for values.
#[derive(Debug)]
pub(super) struct Source {
    min: i64,
    shape: Shape,
}

/// What a value's distance from `min` follows from.
#[derive(Debug)]
enum Shape {
    /// `count` values; `None` stands for the 2^64 of all of `i64`.
    Uniform { stream: Stream, count: Option<u64> },
    /// By table.
    Zipf(Zipf),
    /// Always the same.
    One { offset: u64 },
    /// `index * count / total`; `count` may be 2^64.
    Sorted { count: u128, total: u64 },
}

impl Source {
    /// The spec has been checked. Takes about 5 ns a value for zipf, else nothing.
    pub(super) fn new(pattern: Pattern, min: i64, max: i64, total: u64, stream: Stream) -> Self {
        let spread = max.abs_diff(min);
        let shape = match pattern {
            Pattern::Uniform => Shape::Uniform { stream, count: spread.checked_add(1) },
            Pattern::Zipf => Shape::Zipf(Zipf::new(spread + 1, stream)),
            Pattern::One => Shape::One { offset: spread },
            Pattern::Sorted => Shape::Sorted { count: u128::from(spread) + 1, total },
        };
        Self { min, shape }
    }

    /// The value of line `index`, which is below the total.
    #[inline]
    pub(super) fn value(&self, index: u64) -> i64 {
        let offset = match &self.shape {
            Shape::Uniform { stream, count: Some(count) } => stream.below(index, *count),
            Shape::Uniform { stream, count: None } => stream.bits(index),
            Shape::Zipf(zipf) => to_u64(zipf.rank(index)),
            Shape::One { offset } => *offset,
            Shape::Sorted { count, total } => sorted(index, *count, *total),
        };
        // The offset may be above i64::MAX, the result is not: wrapping lands on it.
        self.min.wrapping_add_unsigned(offset)
    }
}

/// `index * count / total`, by the cheap division when the product fits in 64 bits. It cannot
/// overflow 128: `index` is below 2^64 and `count` at most 2^64.
#[inline]
fn sorted(index: u64, count: u128, total: u64) -> u64 {
    let product = u128::from(index) * count;
    match u64::try_from(product) {
        Ok(product) => product / total,
        Err(_) => {
            u64::try_from(product / u128::from(total)).expect("below count, as index < total")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::numbers::{Generator, NumbersSpec};
    use crate::num::to_f64;

    fn generator(pattern: Pattern, total: u64, min: i64, max: i64) -> Generator {
        let (files, per_file, seed, dirty) = (1, total, 7, 0.0);
        Generator::new(NumbersSpec { files, per_file, min, max, pattern, seed, dirty })
    }

    fn values(pattern: Pattern, total: u64, min: i64, max: i64) -> impl Iterator<Item = i64> {
        let generator = generator(pattern, total, min, max);
        (0..total).map(move |index| generator.value(index))
    }

    /// Chi-square over the buckets; 15 degrees of freedom stay below 44.3 but once in 10,000.
    fn chi_square(buckets: [u64; 16], total: u64) -> f64 {
        let expected = to_f64(total) / 16.0;
        buckets.iter().map(|n| (to_f64(*n) - expected) * (to_f64(*n) - expected) / expected).sum()
    }

    #[test]
    fn names_go_there_and_back() {
        for pattern in Pattern::ALL {
            assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
        let error = "Zipf".parse::<Pattern>().expect_err("names are lower case");
        assert_eq!(error, "no pattern is called \"Zipf\"; there are uniform, zipf, one, sorted.");
    }

    #[test]
    fn uniform_is_even_and_reaches_both_ends() {
        let mut buckets = [0; 16];
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for value in values(Pattern::Uniform, 160_000, -8_000, 7_999) {
            buckets[usize::try_from((value + 8_000) / 1_000).expect("in range")] += 1;
            (least, most) = (least.min(value), most.max(value));
        }
        assert_eq!((least, most), (-8_000, 7_999));
        assert!(chi_square(buckets, 160_000) < 44.3, "{buckets:?}");
    }

    #[test]
    fn uniform_spans_all_of_i64() {
        // All 2^64 values, and 2^64 - 1, where the product method is at its limit.
        for min in [i64::MIN, i64::MIN + 1] {
            let mut buckets = [0; 16];
            for value in values(Pattern::Uniform, 160_000, min, i64::MAX) {
                buckets[usize::try_from((value >> 60) + 8).expect("0 to 15")] += 1;
            }
            assert!(chi_square(buckets, 160_000) < 44.3, "{buckets:?}");
        }
    }

    #[test]
    fn uniform_of_one_value_and_at_the_ends() {
        for end in [i64::MIN, -1, 0, i64::MAX] {
            for pattern in Pattern::ALL {
                assert!(values(pattern, 50, end, end).all(|value| value == end));
            }
        }
    }

    #[test]
    fn zipf_follows_one_over_k() {
        let total = 200_000_u64;
        let mut seen = [0_u64; 20];
        for value in values(Pattern::Zipf, total, -5, 994) {
            assert!((-5..=994).contains(&value));
            if let Some(count) = usize::try_from(value + 5).ok().and_then(|at| seen.get_mut(at)) {
                *count += 1;
            }
        }
        let h: f64 = (1..=1_000).map(|k| 1.0 / to_f64(k)).sum();
        for (k, count) in (1..).zip(seen) {
            let p = 1.0 / to_f64(k) / h;
            let sigma = (to_f64(total) * p * (1.0 - p)).sqrt();
            let off = (to_f64(count) - to_f64(total) * p).abs();
            assert!(off < 5.0 * sigma, "value {k}: {count} is {} sigma off", off / sigma);
        }
    }

    #[test]
    fn zipf_of_two_reaches_the_last() {
        let twos = values(Pattern::Zipf, 30_000, 1, 2).filter(|value| *value == 2).count();
        assert!(to_u64(twos).abs_diff(10_000) < 408, "{twos}");
    }

    #[test]
    fn the_largest_zipf_table_works() {
        let largest = values(Pattern::Zipf, 2_000, 1, 1 << 24).max().expect("2,000 values");
        assert!(largest > 1 << 22, "{largest}");
    }

    #[test]
    fn one_is_max() {
        assert!(values(Pattern::One, 100, 1, 10_000).all(|value| value == 10_000));
        assert!(values(Pattern::One, 9, i64::MIN, i64::MAX).all(|value| value == i64::MAX));
    }

    #[test]
    fn sorted_rises_and_covers_the_range() {
        let list: Vec<_> = values(Pattern::Sorted, 30_000, -2, 9_997).collect();
        let thrice: Vec<_> = (-2..=9_997).flat_map(|value| [value; 3]).collect();
        assert_eq!(list, thrice);
        let list: Vec<_> = values(Pattern::Sorted, 5, i64::MIN, i64::MAX).collect();
        assert!(list.is_sorted() && list[0] == i64::MIN && list[4] > i64::MAX / 2, "{list:?}");
    }

    #[test]
    fn sorted_is_exact_where_the_product_is_large() {
        let (min, max, total) = (i64::MIN, i64::MAX, u64::MAX);
        let generator = generator(Pattern::Sorted, total, min, max);
        assert_eq!(generator.value(0), min);
        assert_eq!(generator.value(total - 1), max - 1);
        // Both divisions agree around the switch at 2^64.
        for (index, count, total) in [(1 << 40, 1 << 24, 3 << 41), ((1 << 40) - 1, 1 << 24, 3)] {
            let exact = u128::from(index) * count / u128::from(total);
            assert_eq!(u128::from(sorted(index, count, total)), exact);
        }
    }
}
