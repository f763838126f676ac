//! How good a model is, in numbers that compare models of the same data.
//!
//! All residuals are relative, prediction over measurement minus one, whatever the model was fitted
//! to: only so does one `AICc` stand beside another.

use crate::num::len_f64;

/// The Akaike information criterion for few points: n ln(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1)
/// (Hurvich & Tsai, Biometrika 76, 1989; Burnham & Anderson, equation 2.4). `parameters` are those
/// fitted; k is one more, for the variance. `None` when n - k - 1 is not positive.
pub fn aicc(rss: f64, points: usize, parameters: usize) -> Option<f64> {
    let (n, k) = (len_f64(points), len_f64(parameters + 1));
    let spare = n - k - 1.0;
    let value = n * (rss / n).ln() + 2.0 * k + 2.0 * k * (k + 1.0) / spare;
    (spare > 0.0 && value.is_finite()).then_some(value)
}

/// The symmetric mean absolute percentage error of (predicted, measured), 0 to 200 %: 100 / n times
/// the sum of 2 |f - y| / (|f| + |y|).
pub fn smape(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (predicted, measured) in pairs {
        let size: f64 = predicted.abs() + measured.abs();
        sum += if size > 0.0 { 2.0 * (predicted - measured).abs() / size } else { 0.0 };
        count += 1.0;
    }
    if count > 0.0 { 100.0 * sum / count } else { 0.0 }
}
