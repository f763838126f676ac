//! The sorts against the standard library's, on every pattern, awkward size and place in memory;
//! the networks by the zero-one principle; and the quicksort with pivots that are no good.

use super::quicksort;
use super::simd::Kernel;
use super::tests_patterns::PATTERNS;
use super::{Entry, Isa, Key, Order, UnknownIsa, ordered, sort};
use crate::num::{mix64, to_u64};
use proptest::prelude::*;
use std::cell::Cell;
use std::fmt::Debug;

/// All short ones, then around powers of two and some primes.
fn sizes() -> impl Iterator<Item = usize> {
    let long = [1 << 10, 1 << 12, 1 << 14].into_iter().flat_map(|n| [n - 1, n, n + 1]);
    (0..=300).chain((301..1200).step_by(37)).chain(long).chain([2053, 5003, 40_009])
}

fn narrow(key: u64) -> u32 {
    u32::try_from(key >> 32).unwrap()
}

/// Like a record's: places that decide where prefixes are equal, not in the order of the input.
fn entry(prefix: u64, place: u64) -> Entry {
    Entry { prefix, index: mix64(place) }
}

/// Sorts a slice with other keys on both sides, so that a write beside it shows.
fn check<K: Key + Debug>(isa: Isa, keys: &[K], offset: usize, guard: K, what: &str) {
    const GUARDS: usize = 64;
    let mut memory = vec![guard; keys.len() + 2 * GUARDS];
    let range = GUARDS + offset..GUARDS + offset + keys.len();
    memory[range.clone()].copy_from_slice(keys);
    sort(isa, &mut memory[range.clone()]);
    let mut expected = vec![guard; memory.len()];
    expected[range.clone()].copy_from_slice(keys);
    expected[range].sort_unstable();
    assert!(memory == expected, "{isa}, {} keys, {what}, offset {offset}", keys.len());
}

fn check_patterns(isa: Isa) {
    if !isa.is_available() {
        return;
    }
    for (name, make) in PATTERNS {
        for n in sizes() {
            let wide = make(n, to_u64(n));
            let small: Vec<u32> = wide.iter().map(|&key| narrow(key)).collect();
            let entries: Vec<Entry> = wide.iter().zip(0..).map(|(&key, i)| entry(key, i)).collect();
            check(isa, &wide, n % 17, 1 << 40, name);
            check(isa, &small, n % 17, 1 << 8, name);
            check(isa, &entries, n % 17, entry(1 << 40, 1), name);
        }
    }
}

#[test]
fn portable_sorts_every_pattern() {
    check_patterns(Isa::Portable);
}

#[test]
fn avx2_sorts_every_pattern() {
    check_patterns(Isa::Avx2);
}

#[test]
fn avx512_sorts_every_pattern() {
    check_patterns(Isa::Avx512);
}

#[test]
fn a_slice_may_begin_and_end_anywhere() {
    for isa in Isa::available() {
        for n in [21, 64, 100, 129, 257, 1000] {
            for offset in 0..=32 {
                let keys: Vec<u64> = (0..to_u64(n)).map(mix64).collect();
                check(isa, &keys, offset, u64::MAX, "largest around");
                check(isa, &keys, offset, 0, "smallest around");
                let keys: Vec<u32> = keys.into_iter().map(narrow).collect();
                check(isa, &keys, offset, u32::MAX, "largest around");
                check(isa, &keys, offset, 0, "smallest around");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_of_any_width_are_sorted(
        keys in proptest::collection::vec(any::<u64>(), 0..3000),
        shift in 0..64u32,
        offset in 0..32usize,
    ) {
        let keys: Vec<u64> = keys.into_iter().map(|key| key >> shift).collect();
        let low: Vec<u32> = keys.iter().map(|&key| narrow(key << 32)).collect();
        let entries: Vec<Entry> = keys.iter().map(|&key| entry(key >> 58, key)).collect();
        for isa in Isa::available() {
            check(isa, &keys, offset, 3, "any keys");
            check(isa, &low, offset, 3, "any keys");
            check(isa, &entries, offset, entry(3, 3), "any entries");
        }
    }

    #[test]
    fn order_is_what_the_standard_library_says(
        mut keys in proptest::collection::vec(0..1000u64, 0..200),
        arrangement in 0..5,
        at in any::<prop::sample::Index>(),
        value in 0..1000u64,
    ) {
        if arrangement > 0 {
            keys.sort_unstable();
        }
        if arrangement > 1 {
            keys.reverse();
        }
        if arrangement > 2 {
            keys.dedup();
        }
        if arrangement > 3 && !keys.is_empty() {
            let at = at.index(keys.len());
            keys[at] = value;
        }
        let expected = if keys.is_sorted() {
            Order::Ascending
        } else if keys.is_sorted_by(|a, b| a > b) {
            Order::Descending
        } else {
            Order::Neither
        };
        prop_assert_eq!(ordered(&keys), expected);
    }
}

/// A network that sorts all zeros and ones sorts everything (Knuth 5.3.4, theorem Z). A column in
/// the middle of the network is given by its number of ones. Four columns of sixteen rows can be
/// tried completely.
#[test]
fn sorted_columns_are_merged() {
    const ROWS: usize = 16;
    const LANES: usize = 4;
    if !Isa::Avx2.is_available() {
        return;
    }
    for case in 0..(ROWS + 1).pow(4) {
        let ones = [1, 17, 17 * 17, 17 * 17 * 17].map(|unit| case / unit % (ROWS + 1));
        let mut keys = [0u64; ROWS * LANES];
        for (i, key) in keys.iter_mut().enumerate() {
            *key = u64::from(i / LANES + ones[i % LANES] >= ROWS);
        }
        sort(Isa::Avx2, &mut keys);
        assert!(keys.is_sorted(), "{ones:?}");
        assert_eq!(keys.iter().sum::<u64>(), to_u64(ones.iter().sum()));
    }
}

/// The network of sixteen rows, on each of its 65 536 inputs of zeros and ones, which all lanes get.
#[test]
fn columns_are_sorted() {
    if !Isa::Avx2.is_available() {
        return;
    }
    for case in 0..1u64 << 16 {
        let mut keys: [u64; 64] = std::array::from_fn(|i| case >> (i / 4) & 1);
        sort(Isa::Avx2, &mut keys);
        assert!(keys.is_sorted(), "{case:b}");
        assert_eq!(keys.iter().sum::<u64>(), 4 * u64::from(case.count_ones()));
    }
}

/// Plain loops. The sample, which is asked for its order just before it is sorted, gets its least
/// key into the middle.
struct Misled {
    is_sample: Cell<bool>,
    partitioned: Cell<usize>,
}

impl Kernel<u64> for &Misled {
    const SMALL: usize = 16;

    fn sort_small(self, keys: &mut [u64]) {
        keys.sort_unstable();
        if self.is_sample.take() {
            keys.swap(0, keys.len() / 2);
        }
    }
    fn partition(self, keys: &mut [u64], pivot: u64) -> usize {
        self.partitioned.set(self.partitioned.get() + keys.len());
        keys.sort_unstable_by_key(|&key| key >= pivot);
        keys.iter().filter(|&&key| key < pivot).count()
    }
    fn ordered(self, keys: &[u64]) -> Order {
        self.is_sample.set(keys.len() <= Self::SMALL);
        ordered(keys)
    }
}

#[test]
fn bad_pivots_end_in_the_standard_library() {
    let kernel = Misled { is_sample: Cell::new(false), partitioned: Cell::new(0) };
    let mut keys: Vec<u64> = (0..10_000).map(mix64).collect();
    let mut expected = keys.clone();
    expected.sort_unstable();
    quicksort::sort(&kernel, &mut keys);
    assert!(keys == expected);
    // Log2(n) < 14, and a split is one pass over the keys, or two where nothing is below the pivot.
    let passes = kernel.partitioned.get() / keys.len();
    assert!((14..=29).contains(&passes), "{passes}");
}

#[test]
fn names_are_read_back() {
    for isa in Isa::ALL {
        assert_eq!(isa.to_string().parse(), Ok(isa));
    }
    let error: UnknownIsa = "sse9".parse::<Isa>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown instruction set 'sse9'; use one of: portable, avx2, avx512"
    );
    assert!(Isa::best().is_available());
}
