//! Planted laws with noise: the intervals must cover the truth as often as they say.

use super::noisy;
use crate::num::{len_f64, to_f64};
use crate::scaling::models::{Analysis, Point, Settings, Study, analyse, laws};
use crate::scaling::report::{Metric, Mode};
use crate::scaling::stats::Bootstrap;

const RANKS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
const SEEDS: u64 = 200;

fn studies(mode: Mode, seed_base: u64, truth: impl Fn(f64) -> f64) -> Vec<Analysis> {
    let few = Bootstrap { resamples: 400, seed: 3 };
    let settings = Settings { bootstrap: few, ..Settings::default() };
    let study = |seed| {
        let points = noisy(&RANKS, 6, 0.02, seed_base * 1000 + seed, &truth);
        analyse(&Study { mode, metric: Metric::Time, points }, &settings)
    };
    (0..SEEDS).map(study).collect()
}

/// The share of intervals that cover the truth.
fn coverage(intervals: impl Iterator<Item = [f64; 2]>, truth: f64) -> f64 {
    let all: Vec<bool> = intervals.map(|[lo, hi]| lo <= truth && truth <= hi).collect();
    assert_eq!(len_f64(all.len()), to_f64(SEEDS));
    len_f64(all.iter().filter(|&&covered| covered).count()) / len_f64(all.len())
}

#[test]
fn amdahl_intervals_cover_the_planted_fraction() {
    for (base, s) in [(1, 0.001), (2, 0.01), (3, 0.05), (4, 0.2), (5, 0.5)] {
        let found = studies(Mode::Strong, base, |p| 12.0 / laws::amdahl_speedup(s, p));
        let fits = || found.iter().map(|found| found.models.amdahl.as_ref().unwrap());
        let share = coverage(fits().map(|fit| fit.ci95), s);
        let resampled = coverage(fits().map(|fit| fit.ci95_bootstrap.unwrap()), s);
        eprintln!("Amdahl s = {s}: t covers {share:.3}, BCa {resampled:.3}");
        assert!((0.90..=0.99).contains(&share), "{share} at s = {s}");
    }
}

/// At the boundary one side of the interval is cut, so it covers 0 in 97.5 %.
#[test]
fn a_program_without_serial_part_is_at_the_boundary() {
    let found = studies(Mode::Strong, 6, |p| 12.0 / p);
    let fits = || found.iter().map(|found| found.models.amdahl.as_ref().unwrap());
    let share = coverage(fits().map(|fit| fit.ci95), 0.0);
    let zero = fits().filter(|fit| fit.serial_fraction == 0.0).count();
    let unlimited = fits().filter(|fit| fit.max_speedup.is_none()).count();
    eprintln!("Amdahl s = 0: t covers {share:.3}, estimate exactly 0 in {zero} of {SEEDS}");
    assert!((0.94..=1.0).contains(&share), "{share}");
    assert!((70..=130).contains(&zero), "{zero}");
    assert_eq!(zero, unlimited);
}

#[test]
fn gustafson_intervals_cover_the_planted_fraction() {
    for (base, s) in [(11, 0.01), (12, 0.05), (13, 0.2), (14, 0.6)] {
        let found = studies(Mode::Weak, base, |p| 3.0 * p / laws::gustafson_speedup(s, p));
        let fits = || found.iter().map(|found| found.models.gustafson.as_ref().unwrap());
        let share = coverage(fits().map(|fit| fit.ci95), s);
        let resampled = coverage(fits().map(|fit| fit.ci95_bootstrap.unwrap()), s);
        eprintln!("Gustafson s = {s}: t covers {share:.3}, BCa {resampled:.3}");
        assert!((0.90..=0.99).contains(&share), "{share} at s = {s}");
    }
}

#[test]
fn usl_intervals_cover_the_planted_parameters() {
    let (alpha, beta) = (0.03, 0.0004);
    let time = |p: f64| (1.0 + alpha * (p - 1.0) + beta * p * (p - 1.0)) / p * 5.0;
    for (base, mode) in [(21, Mode::Strong), (22, Mode::Weak)] {
        let work = |p: f64| if mode == Mode::Weak { p } else { 1.0 };
        let found = studies(mode, base, |p| time(p) * work(p));
        let fits = || found.iter().map(|found| found.models.usl.as_ref().unwrap());
        let of_alpha = coverage(fits().map(|fit| fit.alpha_ci95), alpha);
        let of_beta = coverage(fits().map(|fit| fit.beta_ci95), beta);
        let best = found.iter().filter(|found| found.models.best.as_deref() == Some("USL"));
        eprintln!("USL {mode:?}: t covers a {of_alpha:.3}, b {of_beta:.3}; best {}", best.count());
        assert!((0.90..=0.99).contains(&of_alpha), "{of_alpha}");
        assert!((0.90..=0.99).contains(&of_beta), "{of_beta}");
        let peaks: Vec<f64> = fits().filter_map(|fit| fit.peak_ranks).collect();
        let truth = ((1.0 - alpha) / beta).sqrt();
        let near = peaks.iter().filter(|peak| (**peak / truth - 1.0).abs() < 0.2).count();
        assert!(near >= 190, "{near} of {}", peaks.len());
    }
}

/// Amdahl's law is found to be best, and the largest point is predicted within the noise.
#[test]
fn the_planted_law_wins_and_predicts() {
    let found = studies(Mode::Strong, 31, |p| 12.0 / laws::amdahl_speedup(0.05, p));
    let best = found.iter().filter(|found| found.models.best.as_deref() == Some("Amdahl")).count();
    let errors = found.iter().map(|found| found.holdout.as_ref().unwrap().error.abs());
    let within = errors.filter(|error| *error < 0.06).count();
    let truth = 12.0 / laws::amdahl_speedup(0.05, 256.0);
    let covered = found.iter().filter(|found| {
        let band = found.band.last().unwrap();
        assert_eq!(band.p, 256.0);
        band.lo * 0.96 <= truth && truth <= band.hi * 1.04
    });
    let covered = covered.count();
    eprintln!("Amdahl best in {best}, hold-out within 6 % in {within}, band at 256 in {covered}");
    assert!(best >= 150 && within >= 170 && covered >= 180, "{best} {within} {covered}");
}

/// The same runs as times, as rates and in another unit of work say the same.
#[test]
fn rates_are_times_upside_down() {
    // An odd number of repeats: the median of the inverse is the inverse of the median.
    let points = noisy(&RANKS, 7, 0.02, 5, |p| 12.0 / laws::amdahl_speedup(0.05, p));
    let rates = points.iter().map(|point| Point {
        values: point.values.iter().map(|value| 30.0 / value).collect(),
        ..point.clone()
    });
    let worked = points.iter().map(|point| Point { work: Some(30.0), ..point.clone() });
    let study = |metric, points| Study { mode: Mode::Strong, metric, points };
    let run = |study| analyse(&study, &Settings::default());
    let times = run(study(Metric::Time, worked.collect()));
    let rates = run(study(Metric::Throughput, rates.collect()));
    let (slow, fast) = (times.models.amdahl.unwrap(), rates.models.amdahl.unwrap());
    let relative = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
    relative(slow.serial_fraction, fast.serial_fraction);
    relative(slow.ci95_bootstrap.unwrap()[1], fast.ci95_bootstrap.unwrap()[1]);
    assert!((slow.t1_s.unwrap() / 12.0 - 1.0).abs() < 0.03 && fast.t1_s.is_none());
    let (slow, fast) = (times.models.usl.unwrap(), rates.models.usl.unwrap());
    relative(slow.gamma, fast.gamma);
    assert!((slow.gamma / (30.0 / 12.0) - 1.0).abs() < 0.05);
    let (slow, fast) = (times.holdout.unwrap(), rates.holdout.unwrap());
    relative(slow.predicted_s * fast.predicted_s, 30.0);
    assert_eq!(slow.model, fast.model);
    for (slow, fast) in times.curves.iter().zip(&rates.curves) {
        for (at, other) in slow.points.iter().zip(&fast.points) {
            relative(at[1] * other[1], 30.0);
        }
    }
    assert!(times.models.pmnf.unwrap().formula.ends_with(" / p"));
    assert!(rates.models.pmnf.unwrap().formula.starts_with("X(p) = p / ("));
}

/// A point of more repeats weighs more: variances of 1 / n of relative residuals.
#[test]
fn repeats_are_weights() {
    let [p, time] = [[1.0, 2.0, 4.0, 8.0], [10.0, 5.4, 3.4, 1.9]];
    let repeats = [1, 3, 25, 5];
    let points = (0..4).map(|i| Point { p: 1 << i, values: vec![time[i]; repeats[i]], work: None });
    let study = Study { mode: Mode::Strong, metric: Metric::Time, points: points.collect() };
    let found = analyse(&study, &Settings::default()).models.amdahl.unwrap();
    let weight: Vec<f64> = (0..4).map(|i| len_f64(repeats[i]) / (time[i] * time[i])).collect();
    let points = crate::scaling::models::fit::Points { p: &p, y: &time, weight: &weight };
    let expected = crate::scaling::models::amdahl::estimate(points).unwrap();
    assert!((found.serial_fraction / expected.serial_fraction - 1.0).abs() < 1e-9);
    assert!((found.t1_s.unwrap() / expected.t1 - 1.0).abs() < 1e-9);
}

/// Work that grows faster than p, given: the fit sees the time per unit of it.
#[test]
fn weak_scaling_with_its_own_growth() {
    let work = |p: f64| 7.0 * p.powf(1.2);
    let mut points = noisy(&RANKS, 6, 0.0, 1, |p| work(p) / laws::gustafson_speedup(0.1, p));
    for point in &mut points {
        point.work = Some(work(to_f64(point.p)));
    }
    let study = Study { mode: Mode::Weak, metric: Metric::Time, points };
    let found = analyse(&study, &Settings::default());
    let s = found.models.gustafson.unwrap().serial_fraction;
    assert!((s - 0.1).abs() < 1e-9, "{s}");
    assert!(found.holdout.unwrap().error.abs() < 1e-6);
    let [p, time] = *found.curves[0].points.last().unwrap();
    let truth = work(p) / laws::gustafson_speedup(0.1, p);
    assert!(p == 256.0 && (time / truth - 1.0).abs() < 1e-9, "{time} at {p}, not {truth}");
    assert!(found.models.pmnf.unwrap().formula.ends_with("W(p) / p"));
}

/// Ten series of ten points of ten repeats: what a large report costs.
#[test]
#[ignore = "prints a time, judges nothing"]
fn cost_of_a_report() {
    let ranks: Vec<u64> = (0..10).map(|log| 1 << log).collect();
    let start = std::time::Instant::now();
    for seed in 0..10 {
        let points = noisy(&ranks, 10, 0.02, seed, |p| 12.0 / laws::amdahl_speedup(0.05, p));
        let both = points.clone();
        let study = Study { mode: Mode::Strong, metric: Metric::Time, points };
        analyse(&study, &Settings::default());
        for point in &both[1..] {
            let groups = [&both[0].values, &point.values];
            let interval =
                crate::scaling::stats::bootstrap(&groups, Bootstrap::default(), |t| t[0] / t[1]);
            assert!(interval.is_some());
        }
    }
    eprintln!("1000 runs: {:?}", start.elapsed());
}
