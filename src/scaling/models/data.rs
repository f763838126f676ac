//! What was measured, in the one form that all models are fitted to.
//!
//! Every value becomes a time per unit of work, relative to the first point, so that times and
//! rates of the same runs give the same models and no magnitude overflows a square.

use super::fit::Points;
use super::{Point, Study};
use crate::num::{len_f64, to_f64};
use crate::scaling::report::{Metric, Mode};
use crate::scaling::stats::median;

/// The points in ascending order of p, each p once.
#[derive(Clone, Debug)]
pub struct Data {
    /// Ranks or cores.
    pub p: Vec<f64>,
    /// The median time per unit of work, over `unit`.
    pub time: Vec<f64>,
    /// n / (mean of n) / time²: relative residuals; the relative spread of one run is taken to be
    /// the same at all p, so its value cancels.
    pub weight: Vec<f64>,
    /// The repeats behind `time`.
    pub repeats: Vec<Vec<f64>>,
    /// Seconds per unit of work that 1 in `time` stands for.
    pub unit: f64,
    /// Units of work at each p; 1 where the values are rates.
    pub work: Vec<f64>,
    /// The median of the values as they were given.
    pub median: Vec<f64>,
    /// What the values were.
    pub metric: Metric,
}

impl Data {
    /// From a study. Values that are not positive and finite, and points left without any or at
    /// p = 0, do not count; equal p are one point. The work of a weak series is p where not given.
    pub fn of(study: &Study) -> Self {
        let mut points: Vec<Point> = Vec::new();
        let mut sorted: Vec<&Point> = study.points.iter().filter(|point| point.p > 0).collect();
        sorted.sort_by_key(|point| point.p);
        for point in sorted {
            let usable = |value: &&f64| value.is_finite() && **value > 0.0;
            let values: Vec<f64> = point.values.iter().filter(usable).copied().collect();
            match points.last_mut() {
                Some(last) if last.p == point.p => last.values.extend(values),
                _ if values.is_empty() => {}
                _ => points.push(Point { values, ..*point }),
            }
        }
        let given = |point: &Point| point.work.filter(|work| work.is_finite() && *work > 0.0);
        let known = points.iter().all(|point| given(point).is_some());
        let work = |point: &Point| match (study.metric, study.mode) {
            (Metric::Time, _) if known => given(point).unwrap_or(1.0),
            (Metric::Time, Mode::Weak) => to_f64(point.p),
            _ => 1.0,
        };
        let mut data = Self {
            p: points.iter().map(|point| to_f64(point.p)).collect(),
            time: Vec::new(),
            weight: Vec::new(),
            repeats: Vec::new(),
            unit: 1.0,
            work: points.iter().map(work).collect(),
            median: points.iter().filter_map(|point| median(&point.values)).collect(),
            metric: study.metric,
        };
        let time = |value: f64, work: f64| match study.metric {
            Metric::Time => value / work,
            Metric::Throughput => 1.0 / value,
        };
        data.unit = data.median.first().map_or(1.0, |&first| time(first, data.work[0]));
        for (point, &work) in points.iter().zip(&data.work) {
            let repeats = point.values.iter().map(|&value| time(value, work) / data.unit);
            data.repeats.push(repeats.collect());
        }
        data.time = data.repeats.iter().filter_map(|repeats| median(repeats)).collect();
        let total: f64 = data.repeats.iter().map(|repeats| len_f64(repeats.len())).sum();
        let mean = total / len_f64(data.p.len());
        let weight =
            |(repeats, time): (&Vec<f64>, &f64)| len_f64(repeats.len()) / mean / (time * time);
        data.weight = data.repeats.iter().zip(&data.time).map(weight).collect();
        let usable = data.weight.iter().chain(&data.time).all(|x| x.is_finite() && *x > 0.0);
        if usable && data.unit.is_normal() { data } else { data.head(0) }
    }

    /// The points for a fit.
    pub fn points(&self) -> Points<'_> {
        Points { p: &self.p, y: &self.time, weight: &self.weight }
    }

    /// The points for a fit, of other times (one per point) at the same relative weights.
    pub fn weights_for(&self, times: &[f64]) -> Vec<f64> {
        let relative =
            self.weight.iter().zip(&self.time).map(|(weight, time)| weight * time * time);
        relative.zip(times).map(|(weight, time)| weight / (time * time)).collect()
    }

    /// The first `count` points.
    pub fn head(&self, count: usize) -> Self {
        self.only(|index| index < count)
    }

    /// All points but one.
    pub fn without(&self, out: usize) -> Self {
        self.only(|index| index != out)
    }

    fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let some = |of: &[f64]| {
            of.iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, x)| *x).collect()
        };
        let repeats = self.repeats.iter().enumerate().filter(|(index, _)| keep(*index));
        Self {
            p: some(&self.p),
            time: some(&self.time),
            weight: some(&self.weight),
            repeats: repeats.map(|(_, repeats)| repeats.clone()).collect(),
            unit: self.unit,
            work: some(&self.work),
            median: some(&self.median),
            metric: self.metric,
        }
    }

    /// Units of work at any p: a power law between neighbours, continued outside. The measured
    /// growth there, so exactly p where the work is p.
    pub fn work_at(&self, p: f64) -> f64 {
        let above = self.p.partition_point(|&known| known < p).clamp(1, self.p.len().max(2) - 1);
        match (self.p.get(above - 1..=above), self.work.get(above - 1..=above)) {
            (Some(&[p0, p1]), Some(&[w0, w1])) => {
                // Proportional work stays so to the last digit.
                let slope = (w1 / w0).ln() / (p1 / p0).ln();
                if (slope - 1.0).abs() < 1e-9 { w0 * (p / p0) } else { w0 * (p / p0).powf(slope) }
            }
            _ => self.work.first().copied().unwrap_or(1.0),
        }
    }

    /// A time per unit of work, relative to `unit`, at p as a value of the study's metric.
    pub fn value(&self, p: f64, time: f64) -> f64 {
        match self.metric {
            Metric::Time => time * self.unit * self.work_at(p),
            Metric::Throughput => 1.0 / (time * self.unit),
        }
    }

    /// Whether the work is proportional to p, to a thousandth.
    pub fn proportional(&self) -> bool {
        let per_rank = |(work, p): (&f64, &f64)| work / p;
        let first = self.work.first().zip(self.p.first()).map_or(1.0, per_rank);
        self.work.iter().zip(&self.p).map(per_rank).all(|each| (each / first - 1.0).abs() < 1e-3)
    }

    /// Whether the work is the same at all p, to a thousandth.
    pub fn constant_work(&self) -> bool {
        self.work.iter().all(|work| (work / self.work[0] - 1.0).abs() < 1e-3)
    }
}
