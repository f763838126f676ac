//! The histogram against a plain map, with sizes so small that a few values grow the window, move
//! it, fill runs and merge them.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BIG: u64 = 1 << 40;

fn tuning() -> impl Strategy<Value = Tuning> {
    (0..12_u64, 1..7_u64, 1..9_u64).prop_map(|(window, buffer, slots_per_value)| Tuning {
        window,
        buffer,
        slots_per_value,
    })
}

/// Small ones, a cluster far away, a drift, extremes and anything, each often repeated.
fn value() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => -4..12_i64,
        4 => 1_000_000_000_000..1_000_000_000_030_i64,
        3 => 0..200_i64,
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(i64::MIN + 1), Just(0)],
        1 => i64::MAX - 20..=i64::MAX,
        1 => any::<i64>(),
    ]
}

fn values() -> impl Strategy<Value = Vec<i64>> {
    // Stretches of one kind make phases that the window follows.
    vec(prop_oneof![vec(value(), 0..12), vec(0..40_i64, 0..40), vec(-90..-50_i64, 0..40)], 0..8)
        .prop_map(|stretches| stretches.concat())
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![3 => Just(Kind::Auto), 1 => Just(Kind::Sparse)]
}

fn count(values: &[i64]) -> BTreeMap<i64, u64> {
    let mut map = BTreeMap::new();
    for &value in values {
        *map.entry(value).or_default() += 1;
    }
    map
}

fn small(window: u64, buffer: u64, slots_per_value: u64) -> Tuning {
    Tuning { window, buffer, slots_per_value }
}

fn auto(tuning: Tuning) -> Histogram {
    Histogram::with_tuning(Kind::Auto, Limits::ALL, BIG, tuning).unwrap()
}

fn fill(histogram: &mut Histogram, values: impl IntoIterator<Item = i64>) {
    for value in values {
        assert!(histogram.add(value));
    }
}

/// No value in two places of the live histogram, and the window within the limits.
fn check_invariants(histogram: &Histogram) {
    let Some(range) = histogram.window.range() else { return };
    assert!(histogram.limits.hull(range) == histogram.limits);
    assert_eq!(histogram.runs.entries_in(range), 0);
}

fn check(histogram: Histogram, values: &[i64]) {
    let map = count(values);
    check_invariants(&histogram);
    assert_eq!(histogram.total(), to_u64(values.len()));
    let checksum = values.iter().fold(0_u64, |sum, &value| sum.wrapping_add(mix(value)));
    assert_eq!(histogram.checksum(), checksum);

    let counts = histogram.into_counts();
    assert!(counts.iter().eq(map.iter().map(|(&value, &count)| (value, count))));
    assert_eq!(counts.total(), to_u64(values.len()));
    assert_eq!(counts.checksum(), checksum);
    assert_eq!(counts.distinct(), to_u64(map.len()));
    assert_eq!(counts.min(), map.keys().next().copied());
    assert_eq!(counts.max(), map.keys().next_back().copied());
    let mut listed = counts.sparse().to_vec();
    if let Some((base, slots)) = counts.dense_window() {
        assert!(slots[0] > 0 && slots[slots.len() - 1] > 0);
        for (value, &count) in (base..=base + i64::try_from(slots.len() - 1).unwrap()).zip(slots) {
            assert_eq!(count, map.get(&value).copied().unwrap_or(0));
            listed.extend((count > 0).then_some(Entry { value, count }));
        }
    }
    assert_eq!(listed.len(), map.len(), "table and list have no value in common");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn counts_like_a_map(kind in kind(), tuning in tuning(), values in values()) {
        let mut histogram = Histogram::with_tuning(kind, Limits::ALL, BIG, tuning).unwrap();
        for &value in &values {
            prop_assert!(histogram.add(value));
            check_invariants(&histogram);
        }
        prop_assert_eq!(histogram.overflow(), None);
        check(histogram, &values);
    }

    #[test]
    fn stays_right_beyond_its_memory(
        kind in kind(), tuning in tuning(), memory in 0..4000_u64, values in values(),
    ) {
        let mut histogram = Histogram::with_tuning(kind, Limits::ALL, memory, tuning).unwrap();
        for &value in &values {
            prop_assert!(histogram.add(value));
            if let Some(big) = histogram.overflow() {
                prop_assert!(big.needed_bytes > memory);
            } else if memory >= 1000 {
                prop_assert!(histogram.memory_bytes() <= memory);
            }
        }
        check(histogram, &values);
    }

    #[test]
    fn refuses_what_lies_outside(
        kind in prop_oneof![Just(Kind::Auto), Just(Kind::Dense), Just(Kind::Sparse)],
        tuning in tuning(),
        ends in (-120..100_i64, 0..120_u64),
        far in any::<bool>(),
        values in values(),
    ) {
        let base = if far { 1_000_000_000_000 } else { 0 };
        let min = base + ends.0;
        let limits = Limits { min, max: min.saturating_add_unsigned(ends.1) };
        let mut histogram = Histogram::with_tuning(kind, limits, BIG, tuning).unwrap();
        let mut counted = Vec::new();
        for &value in &values {
            let added = histogram.add(value);
            prop_assert_eq!(added, limits.min <= value && value <= limits.max);
            counted.extend(added.then_some(value));
        }
        check(histogram, &counted);
    }

    #[test]
    fn slices_count_like_single_values(
        kind in kind(), tuning in tuning(), values in values(), cut in 0..60_i64,
    ) {
        let limits = Limits { min: i64::MIN, max: cut };
        let mut histogram = Histogram::with_tuning(kind, limits, BIG, tuning).unwrap();
        let before_bad = values.iter().position(|&value| value > cut).unwrap_or(values.len());
        prop_assert_eq!(histogram.add_all(&values), before_bad);
        check(histogram, &values[..before_bad]);
    }

    #[test]
    fn merges(
        kinds in (kind(), kind()),
        tunings in (tuning(), tuning()),
        memory in prop_oneof![0..4000_u64, Just(BIG)],
        all in (values(), values(), values()),
    ) {
        let make =
            |kind, tun| Histogram::with_tuning(kind, Limits::ALL, memory, tun).unwrap();
        let mut one = make(kinds.0, tunings.0);
        let mut two = make(kinds.1, tunings.1);
        fill(&mut one, all.0.iter().copied());
        fill(&mut two, all.1.iter().copied());
        one.merge(two);
        check_invariants(&one);
        fill(&mut one, all.2.iter().copied()); // and goes on counting
        check(one, &[all.0, all.1, all.2].concat());
    }

    #[test]
    fn mix_is_a_bijection_that_is_not_linear(a in any::<i64>(), b in any::<i64>()) {
        prop_assert_eq!(mix(a) == mix(b), a == b);
        prop_assert_ne!(mix(0), 0);
        let pair = |a: i64, b: i64| mix(a).wrapping_add(mix(b));
        prop_assert_ne!(pair(1, 4), pair(2, 3));
    }
}

#[test]
fn a_rising_file_grows_the_window_a_few_times() {
    let mut histogram = auto(small(8, 4, 4));
    let mut lengths = vec![histogram.window.len()];
    for value in 0..4000 {
        assert!(histogram.add(value));
        lengths.push(histogram.window.len());
    }
    lengths.dedup();
    assert!((3..=12).contains(&lengths.len()), "{lengths:?}");
    assert!(lengths.is_sorted());
    assert_eq!(histogram.runs.entries(), 0, "runs went into the window");
    check(histogram, &(0..4000).collect::<Vec<_>>());
}

#[test]
fn the_window_grows_downwards_and_over_what_runs_hold() {
    let mut histogram = auto(small(4, 4, 2));
    // Too empty at first: four values in 400.
    fill(&mut histogram, [100, 200, 300, 400]);
    assert_eq!((histogram.window.len(), histogram.runs.entries()), (4, 4));
    let dense: Vec<i64> = (-20..404).rev().collect();
    fill(&mut histogram, dense.iter().copied());
    let window = histogram.window.range().unwrap();
    assert!(window.min <= -16 && window.max >= 400, "{window:?}");
    assert_eq!(histogram.runs.entries(), 0);
    check(histogram, &[vec![100, 200, 300, 400], dense].concat());
}

#[test]
fn the_window_moves_to_where_the_values_are() {
    let far = 1_000_000_000_000;
    let mut histogram = auto(small(16, 32, 8));
    let values: Vec<i64> =
        (0..64).map(|index| if index % 16 == 0 { -1 } else { far + index % 20 }).collect();
    fill(&mut histogram, std::iter::once(3).chain(values.iter().copied()));
    let window = histogram.window.range().unwrap();
    assert!(window.contains(far) && window.contains(far + 19), "{window:?}");
    assert!(window.slots() <= 64);
    assert_eq!(histogram.runs.entries_in(Limits { min: -1, max: 3 }), 3 - 1);
    check(histogram, &[vec![3], values].concat());
}

#[test]
fn a_window_that_is_hit_stays() {
    let mut histogram = auto(small(16, 8, 8));
    let values: Vec<i64> =
        (0..200).map(|i| if i % 2 == 0 { 5 } else { (1 << 40) | (i % 20) }).collect();
    fill(&mut histogram, values.iter().copied());
    assert_eq!(histogram.window.range(), Some(Limits { min: 0, max: 15 }));
    check(histogram, &values);
}

#[test]
fn scattered_values_become_runs_of_falling_length() {
    let mut histogram = auto(small(8, 4, 4));
    let values: Vec<i64> = (1..=4 * 11).map(|index| index * 1_000_003).collect();
    fill(&mut histogram, values.iter().copied());
    assert_eq!(histogram.window.len(), 8);
    // Eleven buffers of four: 8 + 2 + 1, like the bits of eleven.
    assert_eq!(histogram.runs.lengths(), [32, 8, 4]);
    check(histogram, &values);
}

#[test]
fn a_dense_table_must_fit() {
    let limits = Limits { min: -10, max: 89 };
    let made = Histogram::new(Kind::Dense, limits, 799);
    assert_eq!(made.unwrap_err(), TooBig { needed_bytes: 800 });
    let mut histogram = Histogram::new(Kind::Dense, limits, 800).unwrap();
    assert_eq!(histogram.memory_bytes(), 800);
    assert!(!histogram.add(-11) && !histogram.add(90));
    fill(&mut histogram, -10..90);
    assert_eq!(histogram.memory_bytes(), 800);
    assert_eq!(histogram.into_counts().dense_window(), Some((-10, [1; 100].as_slice())));
    let all = Histogram::new(Kind::Dense, Limits::ALL, u64::MAX);
    assert_eq!(all.unwrap_err(), TooBig { needed_bytes: u64::MAX });
}

#[test]
fn too_many_values_are_said_aloud_but_repeated_ones_are_not() {
    // A hundred values at twice 16 bytes and a fifth to spare; what runs repeat would not fit.
    let memory = 8 * 8 + 100 * 32 / 4 * 5;
    let new = || Histogram::with_tuning(Kind::Sparse, Limits::ALL, memory, small(0, 8, 4)).unwrap();
    let mut repeated = new();
    let values: Vec<i64> = (0..20_000).map(|index| index % 100 * 7_919).collect();
    fill(&mut repeated, values.iter().copied());
    assert_eq!(repeated.overflow(), None);
    check(repeated, &values);

    let mut distinct = new();
    let values: Vec<i64> = (0..400).map(|index| index * 7_919).collect();
    fill(&mut distinct, values.iter().copied());
    assert!(distinct.overflow().unwrap().needed_bytes > memory);
    check(distinct, &values);
}

#[test]
fn merging_makes_one_window_where_that_pays() {
    let (mut one, mut two) = (auto(small(64, 8, 2)), auto(small(8, 8, 2)));
    fill(&mut one, 0..60);
    fill(&mut two, 50..200);
    assert!(two.window.len() > one.window.len());
    one.merge(two);
    let window = one.window.range().unwrap();
    assert!(window.min <= 0 && window.max >= 199, "{window:?}");
    assert_eq!(one.runs.entries(), 0);
    check(one, &(0..60).chain(50..200).collect::<Vec<_>>());

    // Far apart: the second one's table becomes a run.
    let (mut one, mut two) = (auto(small(64, 8, 2)), auto(small(8, 8, 2)));
    fill(&mut one, 0..60);
    fill(&mut two, 1 << 40..(1 << 40) + 16);
    one.merge(two);
    assert_eq!(one.runs.entries(), 16);
    check(one, &(0..60).chain(1 << 40..(1 << 40) + 16).collect::<Vec<_>>());
}

#[test]
#[should_panic(expected = "one set of limits")]
fn merging_different_limits_is_a_mistake() {
    let new = |max| Histogram::new(Kind::Auto, Limits { min: 0, max }, BIG).unwrap();
    new(1).merge(new(2));
}
