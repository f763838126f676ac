//! Statistics of parts against plain computation on the values written out.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use super::*;
use crate::num::{to_u64, to_usize};
use proptest::collection::vec;
use proptest::prelude::*;

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let value = prop_oneof![3 => -20..20_i64, 1 => any::<i64>(), 1 => Just(i64::MIN)];
    vec((value, 0..5_u64), 0..12).prop_map(|mut pairs| {
        pairs.sort_unstable();
        pairs.dedup_by_key(|pair| pair.0);
        pairs.into_iter().map(|(value, count)| Entry { value, count }).collect()
    })
}

fn written_out(entries: &[Entry]) -> Vec<i64> {
    let copies = |entry: &Entry| std::iter::repeat_n(entry.value, to_usize(entry.count));
    entries.iter().flat_map(copies).collect()
}

/// Cuts a list at two places.
fn three<T>(list: &[T], cuts: (usize, usize)) -> [&[T]; 3] {
    let (a, b) = (cuts.0.min(cuts.1).min(list.len()), cuts.0.max(cuts.1).min(list.len()));
    [&list[..a], &list[a..b], &list[b..]]
}

/// Whether no neighbour of `mean` is nearer to the true quotient, for multiples of 2^-20.
fn nearest(sum: i128, count: u64, mean: f64) -> bool {
    // The distance to the mean must not be greater than that to either neighbour. Everything is
    // scaled by 2^20, where the floats in question are integers.
    let scaled = |float: f64| {
        let integer = float * 1_048_576.0;
        assert!(integer.fract() == 0.0 && integer.abs() < 1e30, "a float that scales exactly");
        format!("{integer:.0}").parse::<i128>().unwrap()
    };
    let distance = |float| ((sum << 20) - scaled(float) * i128::from(count)).abs();
    let own = distance(mean);
    own <= distance(mean.next_up()) && own <= distance(mean.next_down())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn summaries_combine(entries in entries(), cuts in (0..12_usize, 0..12_usize)) {
        let values = written_out(&entries);
        let parts = three(&entries, cuts).map(|part| Summary::of(part.iter().copied()));
        let [a, b, c] = parts;
        let mut distinct = values.clone();
        distinct.dedup();
        let expected = Summary {
            count: to_u64(values.len()),
            distinct: to_u64(distinct.len()),
            min: values.first().copied(),
            max: values.last().copied(),
            sum: values.iter().map(|&value| i128::from(value)).sum(),
        };
        prop_assert_eq!(Summary::of(entries.iter().copied()), expected);
        prop_assert_eq!(a.combine(b).combine(c), expected);
        prop_assert_eq!(c.combine(a.combine(b)), expected);
    }

    #[test]
    fn means_of_small_numbers_are_quotients(
        sum in -1_000_000..1_000_000_i32, count in 1..100_000_u32,
    ) {
        let summary = Summary { count: count.into(), sum: sum.into(), ..Summary::default() };
        // Both are exact floats, so that IEEE division rounds the true quotient once.
        prop_assert_eq!(summary.mean(), Some(f64::from(sum) / f64::from(count)));
    }

    #[test]
    fn means_of_large_numbers_are_the_nearest(
        sum in (1_i128 << 90)..(1 << 104), count in (1_u64 << 40)..(1 << 44),
        negative in any::<bool>(),
    ) {
        let sum = if negative { -sum } else { sum };
        let mean = Summary { count, sum, ..Summary::default() }.mean().unwrap();
        prop_assert!(nearest(sum, count, mean));
    }

    #[test]
    fn positions_are_those_of_decimal_arithmetic(
        count in prop_oneof![1..2000_u64, 1..=u64::MAX], thousandths in 0..=1000_u32,
    ) {
        let quantile = f64::from(thousandths) / 1000.0;
        let exact = (u128::from(count) * u128::from(thousandths)).div_ceil(1000).max(1);
        prop_assert_eq!(quantile_positions(count, &[quantile]), [u64::try_from(exact).unwrap()]);
    }

    #[test]
    fn values_at_positions(
        entries in entries(), cuts in (0..12_usize, 0..12_usize), wanted in vec(1..50_u64, 0..9),
    ) {
        let values = written_out(&entries);
        let mut wanted: Vec<u64> =
            wanted.into_iter().filter(|&position| position <= to_u64(values.len())).collect();
        wanted.sort_unstable();
        let (mut first, mut found) = (1, Vec::new());
        for part in three(&entries, cuts) {
            found.extend(at_positions(part.iter().copied(), first, &wanted));
            first += Summary::of(part.iter().copied()).count;
        }
        let plain = wanted.iter().map(|&position| values[to_usize(position) - 1]);
        prop_assert_eq!(found, plain.enumerate().collect::<Vec<_>>());
    }

    #[test]
    fn tops_of_parts_make_the_top(
        entries in entries(), cuts in (0..12_usize, 0..12_usize), k in 0..14_usize,
    ) {
        let occurring = entries.iter().copied().filter(|entry| entry.count > 0);
        let mut plain: Vec<Entry> = occurring.collect();
        plain.sort_by_key(|entry| (Reverse(entry.count), entry.value));
        plain.truncate(k);
        prop_assert_eq!(&top(entries.iter().copied(), k), &plain);
        prop_assert_eq!(&top(entries.iter().rev().copied(), k), &plain);
        let parts = three(&entries, cuts).map(|part| top(part.iter().copied(), k));
        prop_assert_eq!(&merge_top(&parts, k), &plain);
    }
}

#[test]
fn extremes_fit() {
    let summary = Summary::of([Entry { value: i64::MIN, count: u64::MAX }]);
    assert_eq!(summary.mean(), Some(-9_223_372_036_854_775_808.0));
    let summary = Summary::of([Entry { value: 1, count: 1 << 53 }, Entry { value: 2, count: 1 }]);
    // 1 + 2^-53 to the nearest float, ties to even; one step further up it is 1 + 2^-52.
    assert_eq!(summary.mean(), Some(1.0));
    let summary = Summary { count: 1 << 53, sum: (1 << 53) + 2, ..Summary::default() };
    assert_eq!(summary.mean(), Some(1.0 + f64::EPSILON));
    // Above the tie by less than the 64 bits of a quotient show, with and without bits behind them.
    for (count, more) in [((1 << 63) - 1, 1 << 10), (u64::MAX, 1 << 11)] {
        let sum = i128::from(count) + more;
        let summary = Summary { count, sum, ..Summary::default() };
        assert_eq!(summary.mean(), Some(1.0 + f64::EPSILON));
    }
    assert_eq!(Summary::default().mean(), None);
    assert_eq!(Summary { count: 3, ..Summary::default() }.mean(), Some(0.0));
}

#[test]
fn quantiles_mean_what_is_written() {
    let at = |count, quantile: f64| quantile_positions(count, &[quantile])[0];
    assert_eq!([at(10, 0.1), at(100, 0.07), at(100, 0.55), at(1000, 0.999)], [1, 7, 55, 999]);
    assert_eq!([at(5, 0.0), at(5, -0.0), at(5, 1.0), at(5, 0.5), at(4, 0.5)], [1, 1, 5, 3, 2]);
    assert_eq!([at(1 << 63, 0.5), at(u64::MAX, 1.0)], [1 << 62, u64::MAX]);
    assert_eq!(at((1 << 63) - 1, 0.9), 8_301_034_833_169_298_227);
    assert_eq!([at(7, 5e-324), at(u64::MAX, 1e-19), at(u64::MAX, 1e-30)], [1, 2, 1]);
    assert_eq!(at(u64::MAX, 0.1 + 0.2), 5_534_023_222_112_866_223);
    assert_eq!(quantile_positions(0, &[0.5, 1.0]), Vec::<u64>::new());
}

#[test]
#[should_panic(expected = "a quantile from 0 to 1")]
fn a_quantile_beyond_one_is_a_mistake() {
    quantile_positions(1, &[1.01]);
}

#[test]
#[should_panic(expected = "fewer than 2^64 values")]
fn too_many_values_are_noticed() {
    let _ = Summary::of([Entry { value: 1, count: u64::MAX }, Entry { value: 2, count: 1 }]);
}
