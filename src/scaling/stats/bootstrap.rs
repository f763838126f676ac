//! Bootstrap intervals of any function of the medians of several groups of repeats.
//!
//! Only medians are resampled, because every number of a report is a function of them; so one
//! resample costs a sort of a few values per group, and 2,000 of them a few milliseconds. With few
//! repeats a bootstrap is too narrow (of six values by about a tenth): it stands beside the
//! Student-t interval and does not replace it.

use super::order::{median_of_sorted, quantile_of_sorted, sorted};
use crate::num::{len_f64, mix64, to_u64, to_usize};
use statrs::distribution::{ContinuousCDF, Normal};

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many resamples; 2,000 leave 50 in each tail of a 95 % interval.
    pub resamples: usize,
    /// The same seed gives the same interval, digit for digit.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0x5CA1_AB1E }
    }
}

/// How the ends of an interval were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Bias-corrected and accelerated.
    Bca,
    /// Plain percentiles, where the correction is undefined.
    Percentile,
}

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// How the ends were chosen.
    pub method: Method,
}

/// The 95 % `BCa` interval (Efron & Tibshirani, An Introduction to the Bootstrap, section 14.3; the
/// acceleration over several groups as in Davison & Hinkley, Bootstrap Methods, equation 5.24) of
/// `statistic`, which sees one median per group, in the order of the groups.
///
/// `None` when a group is empty, no group has two values, or the statistic is not finite, at the
/// sample or at more than a twentieth of the resamples.
pub fn bootstrap<G: AsRef<[f64]>>(
    groups: &[G],
    settings: Bootstrap,
    statistic: impl Fn(&[f64]) -> f64,
) -> Option<Interval> {
    let groups: Vec<Vec<f64>> = groups.iter().map(|group| sorted(group.as_ref())).collect();
    let medians: Option<Vec<f64>> = groups.iter().map(|group| median_of_sorted(group)).collect();
    let mut medians = medians?;
    let estimate = statistic(&medians);
    if !estimate.is_finite() || groups.iter().all(|group| group.len() < 2) {
        return None;
    }
    let acceleration = acceleration(&groups, &mut medians, &statistic);
    let mut random = Draws { seed: mix64(settings.seed), drawn: 0 };
    let mut resample = Vec::new();
    let mut draws = Vec::with_capacity(settings.resamples);
    for _ in 0..settings.resamples {
        for (median, group) in medians.iter_mut().zip(&groups) {
            resample.clear();
            resample.extend((0..group.len()).map(|_| group[random.below(group.len())]));
            resample.sort_unstable_by(f64::total_cmp);
            *median = median_of_sorted(&resample)?;
        }
        draws.push(statistic(&medians));
    }
    draws.retain(|draw| draw.is_finite());
    if draws.is_empty() || draws.len() < settings.resamples - settings.resamples / 20 {
        return None;
    }
    draws.sort_unstable_by(f64::total_cmp);
    let at = |level| quantile_of_sorted(&draws, level);
    let (method, levels) = match corrected(&draws, estimate, acceleration) {
        Some(levels) => (Method::Bca, levels),
        None => (Method::Percentile, [0.025, 0.975]),
    };
    Some(Interval { lo: at(levels[0])?, hi: at(levels[1])?, method })
}

/// The percentiles that `BCa` takes instead of 2.5 % and 97.5 %; `None` when it is undefined: no
/// resample on one side of the estimate, no jackknife, or an acceleration that folds the scale.
pub(super) fn corrected(
    draws: &[f64],
    estimate: f64,
    acceleration: Option<f64>,
) -> Option<[f64; 2]> {
    let acceleration = acceleration?;
    let below = draws.partition_point(|&draw| draw < estimate);
    let equal = draws.partition_point(|&draw| draw <= estimate) - below;
    // Medians of few values tie often; half of the ties count as below.
    let share = (len_f64(below) + 0.5 * len_f64(equal)) / len_f64(draws.len());
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share);
    let level = |tail: f64| {
        let shifted = bias + normal.inverse_cdf(tail);
        let stretch = 1.0 - acceleration * shifted;
        let level = normal.cdf(bias + shifted / stretch);
        (bias.is_finite() && stretch > 0.0 && level.is_finite()).then_some(level)
    };
    Some([level(0.025)?, level(0.975)?])
}

/// The jackknife's third moment over all groups; `None` when leaving a value out changes nothing.
pub(super) fn acceleration(
    groups: &[Vec<f64>],
    medians: &mut [f64],
    statistic: impl Fn(&[f64]) -> f64,
) -> Option<f64> {
    let (mut squares, mut cubes) = (0.0, 0.0);
    for (index, group) in groups.iter().enumerate().filter(|(_, group)| group.len() > 1) {
        let whole = medians[index];
        let mut left_out = Vec::with_capacity(group.len());
        for out in 0..group.len() {
            let mut rest = group.clone();
            rest.remove(out);
            medians[index] = median_of_sorted(&rest)?;
            left_out.push(statistic(medians));
        }
        medians[index] = whole;
        let mean = left_out.iter().sum::<f64>() / len_f64(group.len());
        let influence = left_out.iter().map(|value| mean - value);
        let factor = len_f64(group.len() - 1) / len_f64(group.len());
        for value in influence.map(|value| value * factor) {
            squares += value * value;
            cubes += value * value * value;
        }
    }
    let acceleration = cubes / (6.0 * squares.powf(1.5));
    acceleration.is_finite().then_some(acceleration)
}

/// Random draws by counting: the n-th draw depends on the seed and n alone.
struct Draws {
    seed: u64,
    drawn: u64,
}

impl Draws {
    /// A number below `count`, at a bias below `count` / 2^64.
    fn below(&mut self, count: usize) -> usize {
        let word = mix64(self.seed.wrapping_add(self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        self.drawn += 1;
        let product = u128::from(word) * u128::from(to_u64(count));
        to_usize(u64::try_from(product >> 64).expect("64 bits"))
    }
}
