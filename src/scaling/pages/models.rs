//! The fitted models in words and numbers: parameters with intervals, what they imply, and how well
//! the largest point was predicted from the others.

use serde::Serialize;

use super::format::{UNKNOWN, interval_like, number, percent};
use crate::scaling::report::{Holdout, Metric, Models, Series};

/// One line of the table of models.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    /// Its name and form.
    pub name: &'static str,
    /// Parameters with their 95 % intervals.
    pub parameters: String,
    /// What follows from them.
    pub implies: String,
    /// Its `AICc`; lower is better.
    pub aicc: String,
    /// Whether it has the lowest.
    pub best: bool,
}

fn optional(value: Option<f64>, digits: i32) -> String {
    value.map_or_else(|| UNKNOWN.into(), |value| number(value, digits))
}

/// A parameter, its interval, and the bootstrap's interval where there is one. The decimals are those
/// of the interval's wider end: more of them would be noise.
fn parameter(name: &str, value: f64, ends: [f64; 2], bootstrap: Option<[f64; 2]>) -> String {
    let scale = value.abs().max(ends[0].abs()).max(ends[1].abs());
    let scale = if scale.is_finite() { scale } else { value };
    let digits = if value == 0.0 || !value.is_finite() { 3 } else { digits_of(value, scale) };
    let mut text =
        format!("{name} = {} {}", number(value, digits), interval_like(value, ends, digits));
    if let Some(ends) = bootstrap {
        text = format!("{text}, bootstrap {}", interval_like(value, ends, digits));
    }
    text
}

/// Digits of `value` so that `scale` has three.
fn digits_of(value: f64, scale: f64) -> i32 {
    let exponent = |value: f64| crate::num::round_i32(libm::floor(libm::log10(value.abs())));
    (3 - (exponent(scale) - exponent(value))).clamp(1, 5)
}

/// The models that were fitted.
pub fn models(models: &Models, metric: Metric) -> Vec<Model> {
    let best = models.best.as_deref().unwrap_or_default().to_lowercase();
    let unit = if metric == Metric::Time { "s" } else { "work/s" };
    let mut lines = Vec::new();
    if let Some(fit) = &models.amdahl {
        let t1 = fit.t1_s.map(|t1| format!("; T1 = {} s", number(t1, 4))).unwrap_or_default();
        let limit = match fit.max_speedup {
            Some(limit) => format!("speedup never above {}", number(limit, 3)),
            None => "no limit to the speedup".into(),
        };
        lines.push(Model {
            name: "Amdahl: T = T1 (s + (1 - s) / p)",
            parameters: parameter("s", fit.serial_fraction, fit.ci95, fit.ci95_bootstrap) + &t1,
            implies: limit,
            aicc: optional(fit.aicc, 3),
            best: best.starts_with("amdahl"),
        });
    }
    if let Some(fit) = &models.gustafson {
        lines.push(Model {
            name: "Gustafson: S = p - s (p - 1)",
            parameters: parameter("s", fit.serial_fraction, fit.ci95, fit.ci95_bootstrap),
            implies: "speedup of a problem that grows with p".into(),
            aicc: optional(fit.aicc, 3),
            best: best.starts_with("gustafson"),
        });
    }
    if let Some(fit) = &models.usl {
        let peak = match (fit.peak_ranks, fit.peak_throughput) {
            (Some(p), Some(rate)) => {
                format!("peak at p = {}: {}", number(p, 3), number(rate, 4))
            }
            (Some(p), None) => format!("peak at p = {}", number(p, 3)),
            _ => "no peak".into(),
        };
        let roof = fit.roof.map(|roof| format!("; never above {}", number(roof, 4)));
        lines.push(Model {
            name: "USL: X = g p / (1 + a (p - 1) + b p (p - 1))",
            parameters: format!(
                "{}; {}; g = {}",
                parameter("a", fit.alpha, fit.alpha_ci95, None),
                parameter("b", fit.beta, fit.beta_ci95, None),
                number(fit.gamma, 4),
            ),
            implies: peak + &roof.unwrap_or_default(),
            aicc: optional(fit.aicc, 3),
            best: best.starts_with("usl"),
        });
    }
    if let Some(fit) = &models.pmnf {
        let runner_up = fit.runner_up.as_ref().map(|second| {
            format!("; next best: {} (SMAPE {} %)", second.formula, number(second.smape, 3))
        });
        lines.push(Model {
            name: "PMNF: c0 + c1 p^i log2(p)^j",
            parameters: format!("{} ({unit}; SMAPE {} %)", fit.formula, number(fit.smape, 3)),
            implies: format!(
                "its own near-tied forms lie {} apart at p = {}{}",
                percent(fit.spread),
                number(fit.spread_at, 4),
                runner_up.unwrap_or_default(),
            ),
            aicc: optional(fit.aicc, 3),
            best: best.starts_with("pmnf"),
        });
    }
    lines
}

/// How far the prediction of the largest point was off.
pub fn holdout(series: &Series) -> Option<String> {
    let Holdout { model, ranks, measured_s, predicted_s, error } = series.holdout.as_ref()?;
    let unit = if series.metric == Metric::Time { "s" } else { "work/s" };
    Some(format!(
        "Held out: {model}, fitted without the largest point, predicts {} {unit} at p = {ranks}; \
         measured were {} {unit} ({}{}).",
        number(*predicted_s, 4),
        number(*measured_s, 4),
        if *error >= 0.0 { "+" } else { "" },
        percent(*error),
    ))
}
