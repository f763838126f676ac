//! Weighted least squares of one to three bounded parameters.
//!
//! Levenberg and Marquardt's steps, projected on the bounds, by normal equations in scaled
//! parameters: with three parameters that keeps ten digits, needs no matrix library and no memory.
//! The libraries for it know no bounds, and USL cannot be fitted without.

use crate::num::len_f64;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A model at one p: its value and its derivatives by the parameters.
pub type Value<const K: usize> = (f64, [f64; K]);

/// Fitted parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit<const K: usize> {
    /// The parameters.
    pub value: [f64; K],
    /// Their standard errors from the Jacobian with n - K degrees of freedom, in the parameters'
    /// units; `None` when n <= K or the parameters cannot be told apart.
    pub se: Option<[f64; K]>,
    /// The weighted residual sum of squares.
    pub rss: f64,
    /// n - K, 0 when there are fewer points.
    pub dof: usize,
}

impl<const K: usize> Fit<K> {
    /// The residual standard error, of a residual of weight 1; `None` without degrees of freedom.
    pub fn rse(&self) -> Option<f64> {
        (self.dof > 0).then(|| (self.rss / len_f64(self.dof)).sqrt())
    }

    /// The 95 % interval of one parameter by Student's t, not cut to any bounds.
    pub fn ci95(&self, parameter: usize) -> Option<[f64; 2]> {
        let half = self.se?[parameter] * t_quantile(self.dof)?;
        let value = self.value[parameter];
        half.is_finite().then_some([value - half, value + half])
    }
}

/// The fit within bounds, and the same without them: an interval needs both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded<const K: usize> {
    /// The best parameters within the bounds.
    pub fit: Fit<K>,
    /// The best parameters anywhere; where there are none, the same as `fit`.
    pub free: Fit<K>,
    /// The least and greatest value of each parameter.
    pub bounds: [[f64; 2]; K],
}

impl<const K: usize> Bounded<K> {
    /// The 95 % interval of one parameter: that of the free fit, cut to the bounds.
    ///
    /// So it keeps its coverage where the true value is at a bound, which an interval around an
    /// estimate that was pushed back on the bound would not; the estimate always belongs to it.
    pub fn ci95(&self, parameter: usize) -> Option<[f64; 2]> {
        let [least, greatest] = self.bounds[parameter];
        let [lo, hi] = self.free.ci95(parameter)?;
        let estimate = self.fit.value[parameter];
        let cut = |end: f64| end.clamp(least, greatest);
        Some([cut(lo).min(estimate), cut(hi).max(estimate)])
    }
}

/// The 97.5 % quantile of Student's t; `None` without degrees of freedom.
fn t_quantile(dof: usize) -> Option<f64> {
    let student = StudentsT::new(0.0, 1.0, len_f64(dof)).ok()?;
    Some(student.inverse_cdf(0.975))
}

/// Points to fit: y at p, each with a weight (the inverse of its variance, up to a factor).
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    /// Ranks, ascending.
    pub p: &'a [f64],
    /// What was measured there, positive.
    pub y: &'a [f64],
    /// The weights.
    pub weight: &'a [f64],
}

impl<'a> Points<'a> {
    /// Every point with its weight; the three slices have the same length.
    fn iter(self) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
        let both = self.p.iter().zip(self.y);
        both.zip(self.weight).map(|((&p, &y), &weight)| (p, y, weight))
    }

    /// The weighted residual sum of squares.
    pub fn rss(self, model: impl Fn(f64) -> f64) -> f64 {
        self.iter().map(|(p, y, weight)| weight * (y - model(p)).powi(2)).sum()
    }

    /// The factor that fits `factor * shape(p)` best, and the residual sum of squares with it.
    pub fn scale(self, shape: impl Fn(f64) -> f64) -> (f64, f64) {
        let (mut product, mut square) = (0.0, 0.0);
        for (p, y, weight) in self.iter() {
            let at = shape(p);
            product += weight * at * y;
            square += weight * at * at;
        }
        let factor = product / square;
        (factor, self.rss(|p| factor * shape(p)))
    }

    /// The line `constant + slope * x(p)`; `None` when all x are the same.
    pub fn line(self, x: impl Fn(f64) -> f64) -> Option<[f64; 2]> {
        let total: f64 = self.weight.iter().sum();
        let mean = |of: &dyn Fn(f64, f64) -> f64| {
            self.iter().map(|(p, y, weight)| weight * of(p, y)).sum::<f64>() / total
        };
        let (mean_x, mean_y) = (mean(&|p, _| x(p)), mean(&|_, y| y));
        let square = mean(&|p, _| (x(p) - mean_x).powi(2));
        let slope = mean(&|p, y| (x(p) - mean_x) * (y - mean_y)) / square;
        let constant = mean_y - slope * mean_x;
        // Rounding leaves a trace of a spread even where all x are equal.
        let spread = square > mean_x * mean_x * 1e-24;
        (spread && slope.is_finite() && constant.is_finite()).then_some([constant, slope])
    }
}

/// Equal weights.
pub fn equal_weights(count: usize) -> Vec<f64> {
    vec![1.0; count]
}

/// 1 / y²: so that residuals are relative to what was measured.
pub fn relative_weights(y: &[f64]) -> Vec<f64> {
    y.iter().map(|y| 1.0 / (y * y)).collect()
}

/// Fits within bounds from a start within them, and freely from there.
pub fn bounded<const K: usize>(
    points: Points<'_>,
    model: impl Fn(f64, &[f64; K]) -> Value<K>,
    start: [f64; K],
    bounds: [[f64; 2]; K],
) -> Option<Bounded<K>> {
    let fit = least_squares(points, &model, start, bounds)?;
    let free = if (0..K).any(|i| bounds[i].contains(&fit.value[i])) {
        least_squares(points, &model, fit.value, [[f64::NEG_INFINITY, f64::INFINITY]; K])
    } else {
        Some(fit)
    };
    let free = free.filter(|free| free.ci95(0).is_some()).unwrap_or(fit);
    Some(Bounded { fit, free, bounds })
}

/// The minimum of the weighted residual sum of squares within bounds (Moré, The
/// Levenberg-Marquardt algorithm, 1978; a parameter at a bound rests while the gradient points
/// outside). `None` when the start has no finite residuals.
fn least_squares<const K: usize>(
    points: Points<'_>,
    model: &impl Fn(f64, &[f64; K]) -> Value<K>,
    start: [f64; K],
    bounds: [[f64; 2]; K],
) -> Option<Fit<K>> {
    const STEPS: usize = 200;
    let rss = |at: &[f64; K]| points.rss(|p| model(p, at).0);
    let (mut at, mut best) = (start, rss(&start));
    if !best.is_finite() {
        return None;
    }
    let mut damping = 1e-4;
    for _ in 0..STEPS {
        let (normal, gradient) = normal_equations(points, model, &at);
        let rests = |i: usize| {
            let [least, greatest] = bounds[i];
            let outside = if gradient[i] > 0.0 { at[i] >= greatest } else { at[i] <= least };
            normal[i][i] <= 0.0 || outside
        };
        let free: [bool; K] = std::array::from_fn(|i| !rests(i));
        let Some(step) = solve(&normal, &gradient, &free, damping) else { break };
        let next: [f64; K] =
            std::array::from_fn(|i| (at[i] + step[i]).clamp(bounds[i][0], bounds[i][1]));
        let moved = |i: usize| (next[i] - at[i]).abs() > 1e-12 * at[i].abs();
        let settled = !(0..K).any(moved);
        let reached = rss(&next);
        if reached <= best {
            (at, best) = (next, reached);
            damping *= 0.05;
        } else {
            damping = (damping * 10.0).max(1e-8);
        }
        if settled || damping > 1e12 {
            break;
        }
    }
    let dof = points.p.len().saturating_sub(K);
    let (normal, _) = normal_equations(points, model, &at);
    let se = (dof > 0).then(|| standard_errors(&normal, best / len_f64(dof))).flatten();
    at.iter().all(|value| value.is_finite()).then_some(Fit { value: at, se, rss: best, dof })
}

/// J' W J and J' W r.
fn normal_equations<const K: usize>(
    points: Points<'_>,
    model: &impl Fn(f64, &[f64; K]) -> Value<K>,
    at: &[f64; K],
) -> ([[f64; K]; K], [f64; K]) {
    let (mut normal, mut gradient) = ([[0.0; K]; K], [0.0; K]);
    for (p, y, weight) in points.iter() {
        let (value, slope) = model(p, at);
        for i in 0..K {
            gradient[i] += weight * slope[i] * (y - value);
            for j in 0..K {
                normal[i][j] += weight * slope[i] * slope[j];
            }
        }
    }
    (normal, gradient)
}

/// The damped step of the free parameters, 0 for the others; `None` when not finite.
fn solve<const K: usize>(
    normal: &[[f64; K]; K],
    gradient: &[f64; K],
    free: &[bool; K],
    damping: f64,
) -> Option<[f64; K]> {
    let scale = scales(normal);
    let mut matrix = [[0.0; K]; K];
    for i in 0..K {
        for j in 0..K {
            let both = free[i] && free[j];
            matrix[i][j] = if both { normal[i][j] / (scale[i] * scale[j]) } else { 0.0 };
        }
        matrix[i][i] = 1.0 + if free[i] { damping } else { 0.0 };
    }
    let right = |i: usize| if free[i] { gradient[i] / scale[i] } else { 0.0 };
    let step = cholesky_solve(&cholesky(&matrix)?, std::array::from_fn(right));
    let step: [f64; K] = std::array::from_fn(|i| step[i] / scale[i]);
    step.iter().all(|step| step.is_finite()).then_some(step)
}

/// The roots of the diagonal, 1 where it is 0.
fn scales<const K: usize>(normal: &[[f64; K]; K]) -> [f64; K] {
    std::array::from_fn(|i| if normal[i][i] > 0.0 { normal[i][i].sqrt() } else { 1.0 })
}

/// The roots of the diagonal of the covariance matrix; `None` when the parameters cannot be told
/// apart.
fn standard_errors<const K: usize>(normal: &[[f64; K]; K], variance: f64) -> Option<[f64; K]> {
    let scale = scales(normal);
    let scaled: [[f64; K]; K] =
        std::array::from_fn(|i| std::array::from_fn(|j| normal[i][j] / (scale[i] * scale[j])));
    let lower = cholesky(&scaled)?;
    let mut errors = [0.0; K];
    for (i, error) in errors.iter_mut().enumerate() {
        let unit = std::array::from_fn(|j| f64::from(u8::from(i == j)));
        *error = (cholesky_solve(&lower, unit)[i] * variance).sqrt() / scale[i];
    }
    errors.iter().all(|error| error.is_finite()).then_some(errors)
}

/// The lower triangle of Cholesky; `None` of a matrix that is singular to 13 digits.
fn cholesky<const K: usize>(matrix: &[[f64; K]; K]) -> Option<[[f64; K]; K]> {
    let mut lower = [[0.0; K]; K];
    for i in 0..K {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = matrix[i][j] - known;
            if i == j && (rest.is_nan() || rest <= 1e-13) {
                return None;
            }
            lower[i][j] = if i == j { rest.sqrt() } else { rest / lower[j][j] };
        }
    }
    Some(lower)
}

/// Solves L L' x = right.
fn cholesky_solve<const K: usize>(lower: &[[f64; K]; K], mut right: [f64; K]) -> [f64; K] {
    for i in 0..K {
        let known: f64 = (0..i).map(|k| lower[i][k] * right[k]).sum();
        right[i] = (right[i] - known) / lower[i][i];
    }
    for i in (0..K).rev() {
        let known: f64 = (i + 1..K).map(|k| lower[k][i] * right[k]).sum();
        right[i] = (right[i] - known) / lower[i][i];
    }
    right
}
