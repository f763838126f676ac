//! Orders and distributions of keys that sorts are known to do badly or well on.

use super::num::{floor_u64, len_f64, mix64, to_f64, to_u64, to_usize};

/// Makes the keys of a pattern: how many, from which seed.
pub(crate) type Pattern = fn(usize, u64) -> Vec<u64>;

/// All patterns, by name. Values fit in 31 bits unless the whole word is used, so that they keep
/// their order as `u32` after a shift.
pub(crate) const PATTERNS: [(&str, Pattern); 20] = [
    ("uniform", |n, seed| each(n, |i| random(seed, i))),
    ("sorted", |n, _| each(n, |i| i << 33)),
    ("reverse", |n, _| each(n, |i| (to_u64(n) - i) << 33)),
    ("almost sorted", |n, seed| swapped((0..n).map(to_word).collect(), n / 100, seed)),
    ("one at the end", |n, seed| {
        let mut keys = each(n, |i| i << 33);
        if let Some(last) = keys.last_mut() {
            *last = below(seed, 0, to_u64(n)) << 33;
        }
        keys
    }),
    ("all equal", |n, _| vec![7 << 32; n]),
    ("all largest", |n, _| vec![u64::MAX; n]),
    ("2 distinct", |n, seed| each(n, |i| below(seed, i, 2) << 33)),
    ("8 distinct", |n, seed| each(n, |i| below(seed, i, 8) << 33)),
    ("sqrt distinct", |n, seed| each(n, |i| below(seed, i, to_u64(n.isqrt().max(1))) << 33)),
    ("root dup", |n, _| each(n, |i| (i % (to_u64(n.isqrt().max(1)))) << 33)),
    ("two-dup", |n, _| {
        each(n, |i| (((i * i) % to_u64(n.max(1)) + to_u64(n) / 2) % to_u64(n.max(1))) << 33)
    }),
    ("zipf", |n, seed| {
        each(n, |i| floor_u64(len_f64(n.max(1)).powf(unit(seed, i))).min(1 << 30) << 33)
    }),
    ("exponential", |n, seed| each(n, |i| floor_u64(-(-unit(seed, i)).ln_1p() * 1e7) << 33)),
    ("gaussian", |n, seed| each(n, |i| (0..4).map(|j| random(seed, 4 * i + j) >> 2).sum())),
    ("saws", |n, _| each(n, |i| (i % (to_u64(n) / 32).max(3)) << 33)),
    ("saws up and down", |n, _| each(n, |i| wave(i, (to_u64(n) / 16).max(3)) << 33)),
    ("pipe organ", |n, _| each(n, |i| wave(i, to_u64(n)) << 33)),
    ("noisy organ", |n, seed| {
        swapped((0..n).map(|i| wave(to_u64(i), to_u64(n)) << 33).collect(), n / 10, seed)
    }),
    ("halves swapped", |n, _| each(n, |i| ((i + to_u64(n / 2)) % to_u64(n.max(1))) << 33)),
];

fn each(n: usize, key: impl Fn(u64) -> u64) -> Vec<u64> {
    (0..to_u64(n)).map(key).collect()
}

fn to_word(i: usize) -> u64 {
    to_u64(i) << 33
}

fn random(seed: u64, i: u64) -> u64 {
    mix64(mix64(seed) ^ i)
}

fn below(seed: u64, i: u64, bound: u64) -> u64 {
    (random(seed, i) >> 32) % bound
}

/// A number from 0 up to 1.
fn unit(seed: u64, i: u64) -> f64 {
    to_f64(random(seed, i) >> 12) / to_f64(1 << 52)
}

/// Up and down again in `period` steps.
fn wave(i: u64, period: u64) -> u64 {
    (i % period).min(period - i % period)
}

fn swapped(mut keys: Vec<u64>, times: usize, seed: u64) -> Vec<u64> {
    let n = to_u64(keys.len());
    for i in 0..to_u64(times) {
        keys.swap(to_usize(below(seed, 2 * i, n)), to_usize(below(seed, 2 * i + 1, n)));
    }
    keys
}
