//! Gunther's universal scalability law: a rate that contention bends and coherency turns back.
//!
//! Three parameters within bounds; a fit at a bound is a fit, and then there may be no peak.

use super::fit::{Bounded, Points, bounded};

/// X(N) = g N / (1 + a (N - 1) + b N (N - 1)) (Gunther, Guerrilla Capacity Planning, 2007).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// a: contention, 0 to 1.
    pub alpha: f64,
    /// b: coherency, 0 or more.
    pub beta: f64,
    /// g: the rate of one.
    pub gamma: f64,
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Rates X.
    Rate,
    /// Times, 1 / X.
    Time,
}

impl Usl {
    /// The rate at n.
    pub fn rate(self, n: f64) -> f64 {
        self.gamma * n / self.drag(n)
    }

    /// 1 + a (n - 1) + b n (n - 1).
    fn drag(self, n: f64) -> f64 {
        1.0 + self.alpha * (n - 1.0) + self.beta * n * (n - 1.0)
    }

    /// Where the rate is greatest, sqrt((1 - a) / b), but at least 1; `None` when b is 0: it rises
    /// for ever.
    pub fn peak(self) -> Option<f64> {
        let peak = ((1.0 - self.alpha) / self.beta).sqrt().max(1.0);
        (self.beta > 0.0 && peak.is_finite()).then_some(peak)
    }

    /// Where a linear rise would reach the roof, 1 / a; `None` when a is 0.
    pub fn optimum(self) -> Option<f64> {
        (self.alpha > 0.0).then(|| 1.0 / self.alpha).filter(|optimum| optimum.is_finite())
    }

    /// g / a, the rate that contention alone would allow; `None` when a is 0.
    pub fn roof(self) -> Option<f64> {
        Some(self.gamma * self.optimum()?)
    }
}

/// Fits with a in 0..=1, b and g at least 0; the parameters are a, b, g, in this order. `None` with
/// fewer than three points.
pub fn fit(points: Points<'_>, scale: Scale) -> Option<Bounded<3>> {
    let greatest = points.p.iter().copied().fold(1.0, f64::max);
    if points.p.len() < 3 {
        return None;
    }
    let model = move |n: f64, &[alpha, beta, gamma]: &[f64; 3]| {
        let drag = Usl { alpha, beta, gamma }.drag(n);
        let by_beta = n * (n - 1.0);
        match scale {
            Scale::Rate => {
                let rate = gamma * n / drag;
                let slope = -rate / drag;
                (rate, [slope * (n - 1.0), slope * by_beta, n / drag])
            }
            Scale::Time => {
                let unit = 1.0 / (gamma * n);
                (drag * unit, [(n - 1.0) * unit, by_beta * unit, -drag * unit / gamma])
            }
        }
    };
    // The best of a coarse grid, each with its best gamma, is near enough to descend from.
    let cells = [0.0, 0.001, 0.01, 0.05, 0.2, 0.6].into_iter().flat_map(|alpha| {
        let betas = [0.0, 0.01, 0.1, 1.0, 10.0].into_iter();
        betas.map(move |drags| (alpha, drags / (greatest * greatest)))
    });
    let tried = cells.filter_map(|(alpha, beta)| {
        let shape = |n: f64| Usl { alpha, beta, gamma: 1.0 }.rate(n);
        let (factor, rss) = match scale {
            Scale::Rate => points.scale(shape),
            Scale::Time => points.scale(|n| 1.0 / shape(n)),
        };
        let gamma = if scale == Scale::Rate { factor } else { 1.0 / factor };
        (gamma > 0.0 && gamma.is_finite() && rss.is_finite()).then_some(([alpha, beta, gamma], rss))
    });
    let (start, _) = tried.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    let most = f64::INFINITY;
    bounded(points, model, start, [[0.0, 1.0], [0.0, most], [f64::MIN_POSITIVE, most]])
}
