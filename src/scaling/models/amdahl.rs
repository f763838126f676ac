//! Amdahl's law fitted to times at rising rank counts of one problem.
//!
//! The time of one rank is fitted too, so no run on one rank is needed; that costs a degree of
//! freedom.

use super::fit::{Bounded, Points, bounded};

/// T(p) = T1 (s + (1 - s) / p).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amdahl {
    /// s, the share of the one-rank run that more ranks do not shorten, 0 to 1.
    pub serial_fraction: f64,
    /// T1, in the unit of the times.
    pub t1: f64,
}

impl Amdahl {
    /// The time on p ranks.
    pub fn time(self, p: f64) -> f64 {
        self.t1 * (self.serial_fraction + (1.0 - self.serial_fraction) / p)
    }
}

/// Fits times with 0 <= s <= 1; `None` with fewer than two different p. It is a line in 1 / p, so
/// this is a closed form and as cheap as one pass: the bootstrap repeats it thousands of times.
pub fn estimate(points: Points<'_>) -> Option<Amdahl> {
    let [serial, parallel] = points.line(|p| 1.0 / p)?;
    let (serial, parallel) = if serial < 0.0 {
        (0.0, points.scale(|p| 1.0 / p).0)
    } else if parallel < 0.0 {
        (points.scale(|_| 1.0).0, 0.0)
    } else {
        (serial, parallel)
    };
    let t1 = serial + parallel;
    let serial_fraction = serial / t1;
    (t1 > 0.0 && serial_fraction.is_finite()).then_some(Amdahl { serial_fraction, t1 })
}

/// The same with standard errors; parameters are s and T1, in this order.
pub fn fit(points: Points<'_>) -> Option<Bounded<2>> {
    let start = estimate(points)?;
    let model = |p: f64, &[s, t1]: &[f64; 2]| {
        let share = s + (1.0 - s) / p;
        (t1 * share, [t1 * (1.0 - 1.0 / p), share])
    };
    let bounds = [[0.0, 1.0], [0.0, f64::INFINITY]];
    bounded(points, model, [start.serial_fraction, start.t1], bounds)
}
