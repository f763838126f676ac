//! Gustafson's law fitted to times per unit of work, where the work grows with the ranks.
//!
//! The rate of one rank is fitted too, so no run on one rank is needed; that costs a degree of
//! freedom.

use super::fit::{Bounded, Points, bounded, relative_weights};

/// The rate X(p) = X1 (s + (1 - s) p), so that the scaled speedup is X(p) / X1 = p - s (p - 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gustafson {
    /// s, the serial share of the time on p ranks, 0 to 1.
    pub serial_fraction: f64,
    /// X1, units of work per second on one rank.
    pub rate: f64,
}

impl Gustafson {
    /// The time per unit of work on p ranks.
    pub fn time(self, p: f64) -> f64 {
        1.0 / (self.rate * (self.serial_fraction + (1.0 - self.serial_fraction) * p))
    }
}

/// The line through the rates, near enough to start from.
fn start(points: Points<'_>) -> Option<[f64; 2]> {
    let rates: Vec<f64> = points.y.iter().map(|time| 1.0 / time).collect();
    // A relative residual of a rate is, to first order, that of the time.
    let relative = relative_weights(&rates);
    let squares = points.weight.iter().zip(points.y).map(|(weight, time)| weight * time * time);
    let weight: Vec<f64> = relative.iter().zip(squares).map(|(a, b)| a * b).collect();
    let [constant, slope] = Points { y: &rates, weight: &weight, ..points }.line(|p| p)?;
    let s = (constant / (constant + slope)).clamp(0.0, 1.0);
    let s = if s.is_nan() { 0.5 } else { s };
    // The rate that goes with it, of times: 1 / rate is a factor.
    let (inverse, _) = points.scale(|p| 1.0 / (s + (1.0 - s) * p));
    Some([s, 1.0 / inverse])
}

/// Fits times per unit of work with 0 <= s <= 1; parameters are s and X1, in this order. `None`
/// with fewer than two different p.
pub fn fit(points: Points<'_>) -> Option<Bounded<2>> {
    let model = |p: f64, &[s, rate]: &[f64; 2]| {
        let speedup = s + (1.0 - s) * p;
        let time = 1.0 / (rate * speedup);
        (time, [time * (p - 1.0) / speedup, -time / rate])
    };
    bounded(points, model, start(points)?, [[0.0, 1.0], [f64::MIN_POSITIVE, f64::INFINITY]])
}

/// The parameters alone.
pub fn estimate(points: Points<'_>) -> Option<Gustafson> {
    let [serial_fraction, rate] = fit(points)?.fit.value;
    Some(Gustafson { serial_fraction, rate })
}
