//! Axes: a range, a scale, and ticks that we choose, because p is measured at few places and those
//! are what a reader looks for. An [`Axis`] is a coordinate of the plotting library; positions are
//! computed with `libm`, not the machine's own logarithm, so that figures are the same everywhere.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::font;
use crate::num::{floor_u64, len_f64, round_i32};

/// How values become positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far.
    Linear,
    /// Equal ratios are equally far.
    Log,
}

/// A mark on an axis; an empty label is a mark without text.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, in the axis's unit.
    pub at: f64,
    /// Its text.
    pub label: String,
}

/// One axis of a figure.
#[derive(Clone, Debug)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// In rising order.
    pub ticks: Vec<Tick>,
}

impl Axis {
    /// p on a log axis: a tick at each measured p, and from `beyond`, if that is further, at
    /// doublings of the largest measured.
    pub fn ranks(measured: &[f64], beyond: Option<f64>) -> Self {
        let mut at = rising(measured);
        let largest = at.last().copied().unwrap_or(1.0);
        let end = beyond.filter(|&end| end > largest).unwrap_or(largest);
        let mut next = largest * 2.0;
        while next <= end * 1.001 && at.len() < 64 {
            at.push(next);
            next *= 2.0;
        }
        let low = at.first().copied().unwrap_or(1.0);
        let ticks = at.iter().map(|&at| tick(at)).collect();
        let margin = libm::pow(end / low, 0.04).max(1.08);
        Self { scale: Scale::Log, low: low / margin, high: end * margin, ticks }
    }

    /// Values on a log axis with ticks at round numbers, in steps of 1-2-5 or finer.
    pub fn log(values: &[f64]) -> Self {
        let (low, high) = log_range(values);
        let mut ticks = Vec::new();
        for steps in STEPS {
            ticks = decades(low, high, steps);
            if ticks.len() >= 4 {
                break;
            }
        }
        while ticks.len() > 10 {
            ticks = ticks.into_iter().step_by(2).collect();
        }
        Self { scale: Scale::Log, low, high, ticks: ticks.into_iter().map(tick).collect() }
    }

    /// Values on a log axis with ticks at powers of two: speedups.
    pub fn doublings(values: &[f64]) -> Self {
        let (low, high) = log_range(values);
        let mut at: Vec<f64> = (-40..64).map(|k| libm::exp2(f64::from(k))).collect();
        at.retain(|&at| low <= at && at <= high);
        while at.len() > 13 {
            at = at.into_iter().step_by(2).collect();
        }
        Self { scale: Scale::Log, low, high, ticks: at.into_iter().map(tick).collect() }
    }

    /// Values on a linear axis that also shows `must`, with ticks at round numbers.
    pub fn linear(values: &[f64], must: [f64; 2]) -> Self {
        let fold = |start: f64, pick: fn(f64, f64) -> f64| values.iter().copied().fold(start, pick);
        let (lowest, highest) = (fold(must[0], f64::min), fold(must[1], f64::max));
        let span = if highest > lowest { highest - lowest } else { 1.0 };
        let power = libm::exp10(libm::floor(libm::log10(span / 4.0)));
        // Multiple of the power of ten, and the decimals it needs more than the power.
        let multiples = [(1.0, 0), (2.0, 0), (2.5, 1), (5.0, 0), (10.0, -1)];
        let fits = |(multiple, _): &(f64, i32)| span / (multiple * power) <= 7.0;
        let (multiple, more) = multiples.into_iter().find(fits).unwrap_or((10.0, -1));
        let places = (more - round_i32(libm::log10(power))).clamp(0, 12);
        let (step, places) = (multiple * power, usize::try_from(places).unwrap_or(0));
        let low = if lowest < 0.0 { lowest - 0.03 * span } else { lowest };
        let high = highest + 0.03 * span;
        let first = libm::ceil(low / step - 1e-9);
        let count = floor_u64((high / step - first).clamp(0.0, 40.0));
        let tick = |k: u64| {
            let at = (first + crate::num::to_f64(k)) * step;
            let at = if at == 0.0 { 0.0 } else { at }; // no "-0"
            Tick { at, label: format!("{at:.places$}") }
        };
        Self { scale: Scale::Linear, low, high, ticks: (0..=count).map(tick).collect() }
    }

    /// Shares from 0 to 100 %.
    pub fn percent() -> Self {
        let tick = |k: i32| Tick { at: f64::from(k) / 5.0, label: format!("{} %", 20 * k) };
        Self { scale: Scale::Linear, low: 0.0, high: 1.0, ticks: (0..=5).map(tick).collect() }
    }

    /// Slots of width 1 from 0, each labelled in its middle.
    pub fn slots(labels: &[String]) -> Self {
        let tick =
            |(at, label): (usize, &String)| Tick { at: len_f64(at) + 0.5, label: label.clone() };
        let ticks = labels.iter().enumerate().map(tick).collect();
        Self { scale: Scale::Linear, low: 0.0, high: len_f64(labels.len()).max(1.0), ticks }
    }

    /// Places 0 to `count` - 1, each 1 wide, with ticks in the middle of round ones.
    pub fn positions(count: usize) -> Self {
        let high = len_f64(count).max(1.0);
        let mut axis = Self { high, ..Self::linear(&[high], [0.0, 0.0]) };
        axis.ticks.retain(|tick| tick.at < high && tick.at.fract() == 0.0);
        for tick in &mut axis.ticks {
            tick.at += 0.5;
        }
        axis
    }

    /// Takes away labels that would run into each other on a horizontal axis of this length, the
    /// ends first served, then powers of two. The ticks stay.
    pub fn thin_labels(&mut self, length: f64, size: f64) {
        let last = self.ticks.len().saturating_sub(1);
        let mut order: Vec<usize> = (0..self.ticks.len()).collect();
        let rank = |k: usize| (k != 0 && k != last, libm::log2(self.ticks[k].at).fract() != 0.0, k);
        order.sort_by_key(|&k| rank(k));
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let mut keep = vec![false; self.ticks.len()];
        for k in order {
            let half = font::width(&self.ticks[k].label, size) / 2.0 + 0.3 * size;
            let middle = self.share(self.ticks[k].at) * length;
            let span = (middle - half, middle + half);
            if taken.iter().all(|other| span.1 <= other.0 || other.1 <= span.0) {
                taken.push(span);
                keep[k] = true;
            }
        }
        for (tick, _) in self.ticks.iter_mut().zip(keep).filter(|(_, keep)| !keep) {
            tick.label.clear();
        }
    }

    /// Where a value lies between the ends: 0 to 1, and at the nearer end if it is outside.
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => libm::log2(value / self.low) / libm::log2(self.high / self.low),
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Its ends.
    pub fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }
}

/// Mantissas of ticks on a log axis, from coarse to fine.
const STEPS: [&[f64]; 4] = [
    &[1.0],
    &[1.0, 2.0, 5.0],
    &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
    &[
        1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0,
        8.0, 9.0,
    ],
];

/// Positive, finite, sorted, each once.
fn rising(values: &[f64]) -> Vec<f64> {
    let mut rising: Vec<f64> =
        values.iter().copied().filter(|value| value.is_finite() && *value > 0.0).collect();
    rising.sort_by(f64::total_cmp);
    rising.dedup();
    rising
}

/// The values' range with a little room at both ends, never less than a factor of 1.5.
fn log_range(values: &[f64]) -> (f64, f64) {
    let values = rising(values);
    let least = values.first().copied().unwrap_or(1.0);
    let most = values.last().copied().unwrap_or(1.0);
    let room = libm::pow(most / least, 0.05).max(if most / least < 1.2 { 1.25 } else { 1.06 });
    (least / room, most * room)
}

fn decades(low: f64, high: f64, steps: &[f64]) -> Vec<f64> {
    let first = round_i32(libm::floor(libm::log10(low)));
    let last = round_i32(libm::floor(libm::log10(high)));
    let decade = |k: i32| {
        // Division keeps 0.001 exact to print, where a product with 10^-3 is not.
        let power = libm::exp10(f64::from(k.abs()));
        steps.iter().map(move |step| if k < 0 { step / power } else { step * power })
    };
    (first..=last).flat_map(decade).filter(|&at| low <= at && at <= high).collect()
}

fn tick(at: f64) -> Tick {
    let usual = (1e-3..1e6).contains(&at);
    let label = if usual { format!("{at}") } else { format!("{at:e}") };
    Tick { at, label }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        limit.0 + round_i32(self.share(*value) * f64::from(limit.1 - limit.0))
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|tick| tick.at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let label = |tick: &Tick| (tick.at.total_cmp(value).is_eq()).then(|| tick.label.clone());
        self.ticks.iter().find_map(label).unwrap_or_default()
    }
}
