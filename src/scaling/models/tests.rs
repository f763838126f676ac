//! Published numbers, planted truths and odd inputs.

#![expect(clippy::float_cmp, reason = "where values are compared, the same bits are meant")]

mod odd;
mod planted;
mod published;

use super::Point;
use crate::num::{mix64, to_f64};

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

/// A standard normal number by Box & Muller, a function of its counter.
fn normal(counter: u64) -> f64 {
    let unit = |word: u64| (to_f64(word >> 11) + 0.5) / to_f64(1 << 53);
    let (u, v) = (unit(mix64(2 * counter)), unit(mix64(2 * counter + 1)));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// `repeats` values around `truth(p)` at each p, with relative normal noise.
fn noisy(
    ps: &[u64],
    repeats: u64,
    noise: f64,
    seed: u64,
    truth: impl Fn(f64) -> f64,
) -> Vec<Point> {
    let point = |(index, &p): (u64, &u64)| {
        let value = |repeat| {
            let counter = seed * 10_000 + index * 100 + repeat;
            truth(to_f64(p)) * (1.0 + noise * normal(counter))
        };
        Point { p, values: (0..repeats).map(value).collect(), work: None }
    };
    (0..).zip(ps).map(point).collect()
}
