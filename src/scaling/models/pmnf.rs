//! The performance model normal form with one term, c0 + c1 p^i log2(p)^j, found by search.
//!
//! The candidates, the choice by leave-one-out SMAPE and the thresholds are those of Extra-P
//! (Calotoiu et al., SC13; Extra-P 4.2 for the 42 pairs), so that both tools name the same model.
//! All candidates are tried: 42 lines through n points, n + 1 times.

use super::fit::Points;
use super::goodness::smape;
use std::fmt::Write;

/// (numerator and denominator of i, j).
const PAIRS: [(u32, u32, u32); 42] = [
    (0, 1, 1),
    (0, 1, 2),
    (1, 4, 0),
    (1, 3, 0),
    (1, 4, 1),
    (1, 3, 1),
    (1, 4, 2),
    (1, 3, 2),
    (1, 2, 0),
    (1, 2, 1),
    (1, 2, 2),
    (2, 3, 0),
    (3, 4, 0),
    (2, 3, 1),
    (3, 4, 1),
    (4, 5, 0),
    (2, 3, 2),
    (3, 4, 2),
    (1, 1, 0),
    (1, 1, 1),
    (1, 1, 2),
    (5, 4, 0),
    (5, 4, 1),
    (4, 3, 0),
    (4, 3, 1),
    (3, 2, 0),
    (3, 2, 1),
    (3, 2, 2),
    (5, 3, 0),
    (7, 4, 0),
    (2, 1, 0),
    (2, 1, 1),
    (2, 1, 2),
    (9, 4, 0),
    (7, 3, 0),
    (5, 2, 0),
    (5, 2, 1),
    (5, 2, 2),
    (8, 3, 0),
    (11, 4, 0),
    (3, 1, 0),
    (3, 1, 1),
];

/// The fewest points that a search is worth.
pub const LEAST_POINTS: usize = 5;

/// A constant below this share of the least value, or a term that never reaches it, is noise.
const CONTRIBUTION: f64 = 0.0005;

/// The exponents of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exponents {
    /// i as a fraction in lowest terms.
    pub power: (u32, u32),
    /// j.
    pub log: u32,
}

impl Exponents {
    /// All 42 pairs, in Extra-P's order.
    pub fn all() -> impl Iterator<Item = Self> {
        PAIRS.into_iter().map(|(over, under, log)| Self { power: (over, under), log })
    }

    /// i.
    pub fn exponent(self) -> f64 {
        f64::from(self.power.0) / f64::from(self.power.1)
    }

    /// p^i log2(p)^j.
    pub fn at(self, p: f64) -> f64 {
        let logs = (0..self.log).map(|_| p.log2()).product::<f64>();
        p.powf(self.exponent()) * logs
    }
}

/// One model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// c0.
    pub constant: f64,
    /// c1 and its exponents; `None` of the constant model.
    pub term: Option<(f64, Exponents)>,
    /// Percent: leave-one-out, but of the constant model in-sample, as Extra-P does; so it is kept
    /// unless a term predicts what it has not seen better than the mean describes what it has.
    pub smape: f64,
}

impl Candidate {
    /// c0 + c1 p^i log2(p)^j.
    pub fn at(self, p: f64) -> f64 {
        self.constant + self.term.map_or(0.0, |(factor, exponents)| factor * exponents.at(p))
    }

    /// Fitted parameters, for `AICc`. The exponents are fitted too: one of 42 pairs counts as one.
    pub fn parameters(self) -> usize {
        if self.term.is_some() { 3 } else { 1 }
    }

    /// The formula, with four digits, of values in units of `unit`.
    pub fn formula(self, unit: f64) -> String {
        let mut text = String::new();
        if self.constant != 0.0 || self.term.is_none() {
            text = digits(self.constant * unit);
        }
        if let Some((factor, Exponents { power, log })) = self.term {
            match (text.is_empty(), factor < 0.0) {
                (true, true) => text.push('-'),
                (false, true) => text.push_str(" - "),
                (false, false) => text.push_str(" + "),
                (true, false) => {}
            }
            text += &digits((factor * unit).abs());
            match power {
                (0, _) => {}
                (1, 1) => text.push_str(" * p"),
                (over, 1) => _ = write!(text, " * p^{over}"),
                (over, under) => _ = write!(text, " * p^({over}/{under})"),
            }
            match log {
                0 => {}
                1 => text.push_str(" * log2(p)"),
                log => _ = write!(text, " * log2(p)^{log}"),
            }
        }
        text
    }
}

/// Four significant digits, plain where that is short.
fn digits(value: f64) -> String {
    let scientific = format!("{value:.3e}");
    let exponent = scientific.split_once('e').and_then(|(_, after)| after.parse::<i32>().ok());
    match exponent {
        Some(exponent @ -4..=3) => {
            let places = usize::try_from(3 - exponent).unwrap_or(0);
            format!("{value:.places$}")
        }
        _ => scientific,
    }
}

/// All models that are positive at every point, the constant one first, each term that matters
/// after it in Extra-P's order; `None` with fewer than five points.
pub fn candidates(points: Points<'_>) -> Option<Vec<Candidate>> {
    if points.p.len() < LEAST_POINTS {
        return None;
    }
    let (constant, _) = points.scale(|_| 1.0);
    let error = smape(points.y.iter().map(|&y| (constant, y)));
    let flat = Candidate { constant, term: None, smape: error };
    let terms = Exponents::all().filter_map(|exponents| candidate(points, exponents));
    Some(std::iter::once(flat).chain(terms).collect())
}

/// The model with these exponents; `None` where the term does not matter or the model is not
/// positive.
fn candidate(points: Points<'_>, exponents: Exponents) -> Option<Candidate> {
    let x: Vec<f64> = points.p.iter().map(|&p| exponents.at(p)).collect();
    let mut predicted = Vec::with_capacity(x.len());
    for out in 0..x.len() {
        let without = |of: &[f64]| [&of[..out], &of[out + 1..]].concat();
        let (rest, y, weight) = (without(&x), without(points.y), without(points.weight));
        let [constant, factor] = line(Points { p: &rest, y: &y, weight: &weight })?;
        predicted.push(constant + factor * x[out]);
    }
    let [constant, factor] = line(Points { p: &x, ..points })?;
    let share = |(x, y): (&f64, &f64)| (factor * x / y).abs();
    let largest = x.iter().zip(points.y).map(share).fold(0.0, f64::max);
    let smape = smape(predicted.into_iter().zip(points.y.iter().copied()));
    let positive = x.iter().all(|x| constant + factor * x > 0.0);
    let found = Candidate { constant, term: Some((factor, exponents)), smape };
    (largest >= CONTRIBUTION && positive && smape.is_finite()).then_some(found)
}

/// The line through points whose p is the term's value already; its constant is 0 where it is a
/// trace of rounding.
fn line(points: Points<'_>) -> Option<[f64; 2]> {
    let [constant, factor] = points.line(|x| x)?;
    let least = points.y.iter().copied().fold(f64::INFINITY, f64::min);
    let trace = (constant / least).abs() < CONTRIBUTION;
    Some([if trace { 0.0 } else { constant }, factor])
}

/// The index of the model with the least SMAPE, the earlier of equals, without those in `but`.
pub fn least_smape(candidates: &[Candidate], but: Option<usize>) -> Option<usize> {
    let others = (0..candidates.len()).filter(|&index| Some(index) != but);
    others.min_by(|&a, &b| candidates[a].smape.total_cmp(&candidates[b].smape))
}
