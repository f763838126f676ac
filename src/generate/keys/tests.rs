//! Each pattern against its definition, by plain loops; all of them against other splits and types.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::num::to_f64;

fn all(key_type: KeyType, pattern: Pattern, count: u64, blocks: u64) -> Vec<u64> {
    let source = KeySource::typed(key_type, pattern, count, blocks, 7).unwrap();
    let mut keys = vec![0; to_usize(count)];
    source.fill(0, &mut keys);
    keys
}

fn keys(pattern: Pattern, count: u64, blocks: u64) -> Vec<u64> {
    all(KeyType::U64, pattern, count, blocks)
}

fn bytes_of(key_type: KeyType, pattern: Pattern, count: u64) -> Vec<u8> {
    let source = KeySource::typed(key_type, pattern, count, 8, 7).unwrap();
    let mut bytes = vec![0xEE; to_usize(count) * key_type.bytes()];
    source.fill_bytes(0, &mut bytes);
    bytes
}

/// Typed keys as numbers of the same order: integers as they are, floats by `total_cmp`.
fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|word| f64::from_le_bytes(word.try_into().unwrap())).collect()
}

fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn rises(keys: &[u64]) -> bool {
    keys.windows(2).all(|pair| pair[0] < pair[1])
}

fn distinct(keys: &[u64]) -> usize {
    keys.iter().collect::<BTreeSet<_>>().len()
}

/// Keys compare as the published numbers do, equal ones included.
fn ordered_as(published: impl Iterator<Item = u64>, keys: &[u64]) {
    let mut pairs: Vec<(u64, u64)> = published.zip(keys.iter().copied()).collect();
    assert_eq!(pairs.len(), keys.len());
    pairs.sort_unstable();
    for pair in pairs.windows(2) {
        assert_eq!(pair[0].0.cmp(&pair[1].0), pair[0].1.cmp(&pair[1].1), "{pair:?}");
    }
}

/// Which of `parts` equal ranges a key is in.
fn range_of(key: u64, parts: u64) -> u64 {
    let part = (u128::from(key) * u128::from(parts)) >> 64;
    u64::try_from(part).unwrap()
}

/// A change here is a change of every data set ever named by its seed. Checked against a second
/// implementation in another language.
#[test]
fn the_bytes_are_pinned() {
    let pinned = [
        (Pattern::Uniform, 0x468D_7E1D_8E7D_622F),
        (Pattern::Gaussian, 0x42C0_5983_A963_7EFB),
        (Pattern::TwoDup, 0xF90F_4AFB_542F_5235),
        (Pattern::Exponential, 0xDBC3_ABB2_C1C5_C1D4),
        (Pattern::Sorted, 0x2823_9306_6DB1_F7E5),
        (Pattern::Reverse, 0x55CE_A727_8A43_5164),
        (Pattern::Staggered, 0x3868_D753_3F6E_5448),
        (Pattern::Heavy, 0x1DB1_2797_4B01_DC47),
        (Pattern::Narrow, 0x5BB7_A920_911B_B24C),
    ];
    let fnv1a = |bytes: &[u8]| {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, mix)
    };
    let found = pinned.map(|(p, _)| (p, fnv1a(&bytes_of(KeyType::U64, p, 1_000))));
    assert_eq!(found, pinned, "{found:X?}");
}

#[test]
fn names_go_there_and_back() {
    for pattern in Pattern::ALL {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }
    for key_type in KeyType::ALL {
        assert_eq!(key_type.to_string().parse(), Ok(key_type));
    }
    assert_eq!(Pattern::ALL.map(Pattern::name).into_iter().collect::<BTreeSet<_>>().len(), 24);
    let error = "two-dupe".parse::<Pattern>().unwrap_err();
    assert_eq!(error, "no pattern is called `two-dupe`; did you mean two-dup?");
    let error = "q".parse::<KeyType>().unwrap_err();
    assert_eq!(error, "no type is called `q`; there are u32, u64, i32, i64, f32, f64");
}

#[test]
fn wrong_parameters_are_named() {
    let fault = |count, blocks| KeySource::new(Pattern::Zero, count, blocks, 1).err().unwrap().0;
    assert_eq!(fault(COUNT_MAX + 1, 1), "count");
    assert_eq!(fault(1, 0), "blocks");
    assert_eq!(fault(1, BLOCKS_MAX + 1), "blocks");
}

#[test]
fn uniform_is_even() {
    let mut buckets = [0_u64; 16];
    for key in keys(Pattern::Uniform, 160_000, 1) {
        buckets[to_usize(key >> 60)] += 1;
    }
    // Chi-square of 15 degrees of freedom stays below 44.3 but once in 10,000.
    let off = |n: &u64| (to_f64(*n) - 10_000.0) * (to_f64(*n) - 10_000.0) / 10_000.0;
    assert!(buckets.iter().map(off).sum::<f64>() < 44.3, "{buckets:?}");
}

/// The sum of four uniform draws of [0, 1) is below 1 with a probability of 1/4!.
#[test]
fn gaussian_has_the_tails_of_a_mean_of_four() {
    let keys = keys(Pattern::Gaussian, 240_000, 1);
    let quarter = |part| keys.iter().filter(|key| *key >> 62 == part).count().abs_diff(10_000);
    // Five sigma of a binomial with n = 240,000 and p = 1/24 are 489.
    assert!(quarter(0) < 489 && quarter(3) < 489, "{} {}", quarter(0), quarter(3));
    let below = keys.iter().filter(|key| **key < 1 << 63).count();
    assert!(below.abs_diff(120_000) < 1_225, "{below}");
}

#[test]
fn zero_is_zero_in_every_type() {
    for key_type in KeyType::ALL {
        assert!(bytes_of(key_type, Pattern::Zero, 100).iter().all(|byte| *byte == 0), "{key_type}");
    }
}

#[test]
fn duplicates_by_powers_and_roots() {
    for count in [1, 2, 3, 5, 100, 4_096, 9_973] {
        let root = (0..=count).find(|root| (root + 1) * (root + 1) > count).unwrap();
        ordered_as((0..count).map(|i| i % root), &keys(Pattern::RootDup, count, 1));
        let power = |k: u32| move |i: u64| (0..k).fold(1 % count, |x, _| x * i % count);
        let plus = |x: u64| (x + count / 2) % count;
        ordered_as((0..count).map(power(2)).map(plus), &keys(Pattern::TwoDup, count, 1));
        ordered_as((0..count).map(power(8)).map(plus), &keys(Pattern::EightDup, count, 1));
    }
    // Beyond 32 bits the other multiplication.
    let modulus = (1 << 40) + 15;
    let exact = u128::from(modulus - 2) * u128::from(modulus - 5) % u128::from(modulus);
    assert_eq!(u128::from(times(modulus - 2, modulus - 5, modulus)), exact);
}

#[test]
fn zipf_follows_one_over_k() {
    let total = 200_000;
    let mut counts = BTreeMap::new();
    for key in keys(Pattern::Zipf, total, 1) {
        *counts.entry(key).or_insert(0_u64) += 1;
    }
    let sum: f64 = (1..=65_536).map(|k| 1.0 / to_f64(k)).sum();
    for (k, count) in (1..=20).zip(counts.values()) {
        let p = 1.0 / to_f64(k) / sum;
        let sigma = (to_f64(total) * p * (1.0 - p)).sqrt();
        let off = (to_f64(*count) - to_f64(total) * p).abs();
        assert!(off < 5.0 * sigma, "value {k}: {count} is {} sigma off", off / sigma);
    }
}

#[test]
fn exponential_has_every_length() {
    for key_type in KeyType::ALL {
        let width = key_type.width();
        let mut lengths = [0_u64; 64];
        let total = 2_000 * u64::from(width);
        for key in all(key_type, Pattern::Exponential, total, 1) {
            lengths[usize::try_from(key.leading_zeros()).unwrap()] += 1;
        }
        let (used, unused) = lengths.split_at(usize::try_from(width).unwrap());
        // Five sigma of a binomial with a mean of 2,000.
        assert!(used.iter().all(|n| n.abs_diff(2_000) < 224), "{key_type} {lengths:?}");
        assert!(unused.iter().all(|n| *n == 0), "{key_type} {lengths:?}");
    }
}

#[test]
fn sorted_patterns_are() {
    for count in [1, 2, 3, 7, 1_000, 65_536] {
        let sorted = keys(Pattern::Sorted, count, 1);
        assert!(rises(&sorted));
        assert!(
            sorted[0] <= u64::MAX / count
                && sorted[to_usize(count - 1)] >= u64::MAX / count * (count - 1)
        );
        let mut reverse = keys(Pattern::Reverse, count, 1);
        reverse.reverse();
        assert!(rises(&reverse));
        let organ = keys(Pattern::PipeOrgan, count, 1);
        let (up, down) = organ.split_at(to_usize(count.div_ceil(2)));
        assert!(rises(up) && down.windows(2).all(|pair| pair[0] > pair[1]), "{count}");
        assert_eq!(distinct(&organ), organ.len());
        let saws = keys(Pattern::Saws, count, 1);
        let falls = saws.windows(2).filter(|pair| pair[0] > pair[1]).count();
        // Below four keys a run is one key.
        let runs = if count < 4 { 1 } else { saws.chunks(saws.len().isqrt()).len() };
        assert_eq!(falls + 1, runs, "{count}");
        assert_eq!(distinct(&saws), saws.len());
    }
    let saws = keys(Pattern::Saws, 10_000, 1);
    assert!(saws.chunks(100).all(|run| run[0] < 1 << 60 && run[99] > 15 << 60));
}

#[test]
fn almost_sorted_has_sqrt_n_keys_out_of_place() {
    for (count, out_of_place) in [(3, 0), (4, 2), (16, 4), (100, 10), (9_973, 98), (65_536, 256)] {
        let keys = keys(Pattern::AlmostSorted, count, 1);
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        let moved: Vec<u64> = (0..)
            .zip(keys.iter().zip(&sorted))
            .filter(|(_, (key, there))| key != there)
            .map(|(index, (key, _))| sorted.binary_search(key).unwrap().abs_diff(index))
            .map(to_u64)
            .collect();
        assert_eq!(moved.len(), out_of_place, "{count}");
        assert_eq!(distinct(&keys), keys.len());
        if count > 1_000 {
            assert!(
                moved.iter().any(|far| *far > count / 4)
                    && moved.iter().any(|far| *far < count / 20)
            );
        }
    }
}

#[test]
fn permuted_blocks_are_sorted_and_away() {
    for (count, blocks) in [(1_000, 8), (1_003, 7), (5, 64), (64, 64), (10, 1), (2, 2)] {
        let keys = keys(Pattern::BlockPermuted, count, blocks);
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert!(rises(&sorted));
        let mut lone = 0;
        for number in 0..blocks {
            let range = block(count, blocks, number);
            let part = &keys[to_usize(range.start)..to_usize(range.end)];
            let Some(first) = part.first() else { continue };
            let place = sorted.binary_search(first).unwrap();
            assert_eq!(part, &sorted[place..place + part.len()]);
            lone += usize::from(to_u64(place) == range.start);
        }
        // With blocks of equal length none may be where it was.
        assert!(count % blocks != 0 || lone == usize::from(blocks == 1), "{count} {blocks} {lone}");
    }
}

#[test]
fn published_ranges_of_blocks() {
    let (count, blocks) = (16 * 16 * 10, 16);
    let part = |index: u64| (index / 160, index % 160 / 10);
    let ranges = |pattern| {
        let keys = keys(pattern, count, blocks);
        keys.into_iter().map(move |key| range_of(key, blocks)).collect::<Vec<_>>()
    };
    let expect = |rule: fn((u64, u64)) -> u64| (0..count).map(part).map(rule).collect::<Vec<_>>();
    assert_eq!(ranges(Pattern::BucketSorted), expect(|(_, part)| part));
    assert_eq!(ranges(Pattern::GGroup), expect(|(b, part)| (b / 4 * 4 + 8 + part) % 16));
    assert_eq!(
        ranges(Pattern::Staggered),
        expect(|(b, _)| if b < 8 { 2 * b + 1 } else { 2 * b - 16 })
    );
    assert_eq!(
        ranges(Pattern::Mirrored),
        expect(|(b, _)| b % 2 * 8 + b / 2 % 2 * 4 + b / 4 % 2 * 2 + b / 8)
    );
    for blocks in 1..70 {
        for pattern in [Pattern::Staggered, Pattern::Mirrored] {
            let mut seen: Vec<_> = keys(pattern, blocks, blocks)
                .into_iter()
                .map(|key| range_of(key, blocks))
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..blocks).collect::<Vec<_>>(), "{pattern}");
        }
    }
}

#[test]
fn all_to_one_ends_each_block_with_its_number() {
    for key_type in KeyType::ALL {
        let (keys, unit) = (all(key_type, Pattern::AllToOne, 800, 8), key_type.unit());
        for (number, part) in (0..).zip(keys.chunks(100)) {
            assert_eq!(part[99], (7 - number) * unit, "{key_type}");
            assert!(
                part[..99].iter().all(|key| range_of(*key, 8) == 7 - number && *key >= 8 * unit)
            );
        }
    }
}

#[test]
fn deterministic_duplicates_halve() {
    let keys = keys(Pattern::DetDup, 4_096, 8);
    let lengths: Vec<_> = keys.chunk_by(|a, b| a == b).map(<[u64]>::len).collect();
    assert_eq!(lengths, [2_048, 1_024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1, 1]);
    assert!(keys.is_sorted_by(|a, b| a >= b));
}

#[test]
fn heavy_has_one_key_on_more_than_half() {
    for count in 1..200 {
        let keys = keys(Pattern::Heavy, count, 1);
        let heavy = keys.iter().filter(|key| **key == keys[0]).count();
        assert!(2 * heavy > keys.len(), "{count}");
        assert_eq!(distinct(&keys), keys.len() - heavy + 1);
    }
}

#[test]
fn last_bits_are_the_types_last() {
    for key_type in KeyType::ALL {
        let bytes = bytes_of(key_type, Pattern::LastBit, 1_000);
        let words: BTreeSet<&[u8]> = bytes.chunks(key_type.bytes()).collect();
        let [even, odd] = words.into_iter().collect::<Vec<_>>()[..] else { panic!("two values") };
        assert_eq!((even[0] ^ odd[0], &even[1..]), (1, &odd[1..]), "{key_type}");
    }
    assert!(
        doubles(&bytes_of(KeyType::F64, Pattern::LastBit, 9))
            .iter()
            .all(|x| (1.0..2.0).contains(x))
    );
}

#[test]
fn narrow_has_far_outliers_and_nothing_else() {
    for key_type in KeyType::ALL {
        let keys = all(key_type, Pattern::Narrow, 20_000, 1);
        let inside: Vec<_> =
            (0..).zip(&keys).filter(|(i, _)| i % 4_096 != 0).map(|(_, k)| *k).collect();
        let (least, most) = (inside.iter().min().unwrap(), inside.iter().max().unwrap());
        assert!((most - least) / key_type.unit() < 1 << (key_type.width() / 4));
        assert!(keys.iter().step_by(4_096).all(|key| key.abs_diff(*least) > 1 << 50), "{key_type}");
        assert!(distinct(&inside) > 10_000.min(1 << (key_type.width() / 4 - 1)), "{key_type}");
    }
}

#[test]
fn special_floats_are_all_there() {
    let doubles = doubles(&bytes_of(KeyType::F64, Pattern::Specials, 5_000));
    let singles = singles(&bytes_of(KeyType::F32, Pattern::Specials, 5_000));
    for sign in [false, true] {
        let has = |what: &dyn Fn(&f64) -> bool| {
            doubles.iter().any(|x| x.is_sign_negative() == sign && what(&x.abs()))
        };
        assert!(has(&|x| x.is_nan()) && has(&|x| x.is_infinite()) && has(&|x| *x == 0.0));
        assert!(
            has(&|x| x.is_subnormal())
                && has(&|x| x.to_bits() == f64::MAX.to_bits())
                && has(&|x| x.to_bits() == f64::MIN_POSITIVE.to_bits())
        );
        let has = |what: &dyn Fn(&f32) -> bool| {
            singles.iter().any(|x| x.is_sign_negative() == sign && what(&x.abs()))
        };
        assert!(has(&|x| x.is_nan()) && has(&|x| x.is_infinite()) && has(&|x| *x == 0.0));
        assert!(
            has(&|x| x.is_subnormal())
                && has(&|x| x.to_bits() == f32::MAX.to_bits())
                && has(&|x| x.to_bits() == f32::MIN_POSITIVE.to_bits())
        );
    }
    let payloads: BTreeSet<_> =
        doubles.iter().filter(|x| x.is_nan()).map(|x| x.to_bits()).collect();
    assert!(payloads.len() > 500, "{}", payloads.len());
    let payloads: BTreeSet<_> =
        singles.iter().filter(|x| x.is_nan()).map(|x| x.to_bits()).collect();
    assert!(payloads.len() > 500, "{}", payloads.len());
}

#[test]
fn special_integers_are_all_there() {
    let bytes = bytes_of(KeyType::I64, Pattern::Specials, 1_000);
    let seen: BTreeSet<_> =
        bytes.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().unwrap())).collect();
    assert!(
        [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX].iter().all(|x| seen.contains(x))
    );
    let bytes = bytes_of(KeyType::I32, Pattern::Specials, 1_000);
    let seen: BTreeSet<_> =
        bytes.chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().unwrap())).collect();
    assert!(
        [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX].iter().all(|x| seen.contains(x))
    );
}

/// The order of the 64 bits is that of the typed keys, whatever the type.
#[test]
fn types_keep_the_order() {
    for pattern in Pattern::ALL {
        for key_type in KeyType::ALL {
            let mut keys = all(key_type, pattern, 600, 8);
            let bytes = bytes_of(key_type, pattern, 600);
            let word = |at: usize| &bytes[at * key_type.bytes()..][..key_type.bytes()];
            let compare = |a: usize, b: usize| -> Ordering {
                let (a, b) = (word(a), word(b));
                macro_rules! of {
                    ($type:ty, $cmp:ident) => {{
                        let read = |x: &[u8]| <$type>::from_le_bytes(x.try_into().unwrap());
                        read(a).$cmp(&read(b))
                    }};
                }
                match key_type {
                    KeyType::U32 => of!(u32, cmp),
                    KeyType::U64 => of!(u64, cmp),
                    KeyType::I32 => of!(i32, cmp),
                    KeyType::I64 => of!(i64, cmp),
                    KeyType::F32 => of!(f32, total_cmp),
                    KeyType::F64 => of!(f64, total_cmp),
                }
            };
            let own =
                key_type.is_float() && matches!(pattern, Pattern::Specials | Pattern::LastBit);
            let shift = if own {
                64 - 8 * key_type.bytes()
            } else {
                (64 - key_type.width()).try_into().unwrap()
            };
            for key in &mut keys {
                *key >>= shift;
            }
            for at in 1..600 {
                for other in [0, at / 2, at - 1] {
                    assert_eq!(
                        compare(other, at),
                        keys[other].cmp(&keys[at]),
                        "{pattern} {key_type} {at}"
                    );
                }
            }
        }
    }
}

#[test]
fn floats_are_finite_unless_asked_for() {
    for pattern in
        Pattern::ALL.into_iter().filter(|p| !matches!(p, Pattern::Specials | Pattern::LastBit))
    {
        let doubles = doubles(&bytes_of(KeyType::F64, pattern, 3_000));
        assert!(doubles.iter().all(|x| (-1.0..1.0).contains(x)), "{pattern}");
        let singles = singles(&bytes_of(KeyType::F32, pattern, 3_000));
        assert!(singles.iter().all(|x| (-1.0..1.0).contains(x)), "{pattern}");
    }
}

/// Counts past any memory: keys at both ends of 2^60.
#[test]
fn the_greatest_count_works() {
    for pattern in Pattern::ALL {
        for count in [COUNT_MAX, COUNT_MAX - 1, (1 << 53) + 1] {
            let source = KeySource::new(pattern, count, BLOCKS_MAX, 3).unwrap();
            let mut keys = [0; 100];
            source.fill(0, &mut keys);
            source.fill(count / 2 - 50, &mut keys);
            source.fill(count - 100, &mut keys);
        }
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_bytes(
        pattern in prop::sample::select(Pattern::ALL.to_vec()),
        key_type in prop::sample::select(KeyType::ALL.to_vec()),
        count in prop_oneof![0_u64..5, 0_u64..3_000],
        blocks in prop_oneof![Just(64), 1_u64..5, 1_u64..200],
        seed: u64,
        cuts in prop::collection::vec(0.0..1.0, 0..5),
    ) {
        let source = KeySource::typed(key_type, pattern, count, blocks, seed).unwrap();
        let mut whole = vec![0; to_usize(count) * key_type.bytes()];
        source.fill_bytes(0, &mut whole);
        let mut cuts: Vec<u64> =
            cuts.into_iter().map(|cut: f64| crate::num::floor_u64(cut * to_f64(count))).collect();
        cuts.extend([0, count]);
        cuts.sort_unstable();
        let mut parts = Vec::new();
        for pair in cuts.windows(2) {
            let mut part = vec![0; to_usize(pair[1] - pair[0]) * key_type.bytes()];
            source.fill_bytes(pair[0], &mut part);
            parts.extend(part);
        }
        prop_assert_eq!(whole, parts);
    }
}
