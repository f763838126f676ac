//! Few points, equal values, great and small numbers: no panic, no NaN, `None` where unknown.

use super::noisy;
use crate::scaling::models::{Analysis, Point, Settings, Study, analyse, laws};
use crate::scaling::report::{Metric, Mode};

/// Fails on a number that JSON cannot hold, anywhere. `Debug` prints every field.
fn finite(found: &Analysis) {
    let text = format!("{found:?}");
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

fn all_ways(points: &[Point]) -> Vec<Analysis> {
    let mut all = Vec::new();
    for mode in [Mode::Strong, Mode::Weak] {
        for metric in [Metric::Time, Metric::Throughput] {
            let study = Study { mode, metric, points: points.to_vec() };
            let found = analyse(&study, &Settings::default());
            finite(&found);
            all.push(found);
        }
    }
    all
}

fn points(of: &[(u64, &[f64])]) -> Vec<Point> {
    of.iter().map(|&(p, values)| Point { p, values: values.to_vec(), work: None }).collect()
}

#[test]
fn too_few_points_determine_nothing() {
    let three: &[(u64, &[f64])] = &[(1, &[4.0, 4.1]), (2, &[2.2, 2.1]), (4, &[1.2])];
    for count in 0..3 {
        for found in all_ways(&points(&three[..count])) {
            let models = found.models;
            assert!(models.amdahl.is_none() && models.gustafson.is_none() && models.usl.is_none());
            assert!(models.pmnf.is_none() && models.best.is_none() && found.holdout.is_none());
            assert!(found.curves.is_empty() && found.band.is_empty());
        }
    }
    let strong = &all_ways(&points(three))[0];
    let amdahl = strong.models.amdahl.as_ref().unwrap();
    assert!(amdahl.aicc.is_none() && amdahl.ci95[0] < amdahl.ci95[1]);
    assert!(strong.models.usl.is_none() && strong.models.best.is_none());
    assert_eq!(strong.curves.len(), 1);
}

#[test]
fn equal_values_at_all_ranks() {
    let flat: Vec<(u64, &[f64])> = [1, 2, 4, 8, 16, 32].map(|p| (p, &[3.0; 6][..])).to_vec();
    let found = &all_ways(&points(&flat))[0];
    let amdahl = found.models.amdahl.as_ref().unwrap();
    assert!((amdahl.serial_fraction - 1.0).abs() < 1e-12);
    assert!((amdahl.ci95[0] - 1.0).abs() < 1e-6);
    assert_eq!(found.models.best.as_deref(), Some("Amdahl"));
    let weak = &all_ways(&points(&flat))[2];
    let pmnf = weak.models.pmnf.as_ref().unwrap();
    assert_eq!((pmnf.formula.as_str(), pmnf.terms.len()), ("T(p) = 3.000", 1));
    assert!(weak.models.gustafson.as_ref().unwrap().serial_fraction < 1e-12);
}

#[test]
fn perfect_superlinear_and_slowing_series() {
    for power in [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0] {
        let exact = noisy(&[1, 2, 4, 8, 16, 32, 64], 6, 0.0, 1, |p| 5.0 * p.powf(power));
        let rough = noisy(&[1, 2, 4, 8, 16, 32, 64], 6, 0.3, 1, |p| 5.0 * p.powf(power));
        let late = noisy(&[512, 1024, 2048, 4096, 8192], 1, 0.02, 1, |p| 5.0 * p.powf(power));
        for series in [exact, rough, late] {
            all_ways(&series);
        }
    }
    let ideal = noisy(&[1, 2, 4, 8, 16], 6, 0.0, 1, |p| 5.0 / p);
    let models = all_ways(&ideal).swap_remove(0).models;
    let (amdahl, usl) = (models.amdahl.unwrap(), models.usl.unwrap());
    assert!(amdahl.serial_fraction < 1e-12 && amdahl.max_speedup.is_none());
    assert!(usl.peak_ranks.is_none() && usl.roof.is_none());
    let faster = noisy(&[1, 2, 4, 8, 16], 6, 0.0, 1, |p| 5.0 / p.powf(1.1));
    let amdahl = all_ways(&faster).swap_remove(0).models.amdahl.unwrap();
    assert_eq!((amdahl.serial_fraction, amdahl.max_speedup), (0.0, None));
    assert_eq!(amdahl.ci95[0], 0.0);
}

#[test]
fn magnitudes_do_not_matter() {
    let shape = |p: f64| 1.0 / laws::amdahl_speedup(0.05, p);
    let usual = noisy(&[1, 2, 4, 8, 16, 32], 5, 0.02, 1, shape);
    let expected = all_ways(&usual).swap_remove(0).models.amdahl.unwrap();
    for size in [1e-290, 1e-150, 1e-9, 1e9, 1e150, 1e290] {
        let scaled = noisy(&[1, 2, 4, 8, 16, 32], 5, 0.02, 1, |p| size * shape(p));
        let found = all_ways(&scaled).swap_remove(0).models.amdahl.unwrap();
        assert!((found.serial_fraction / expected.serial_fraction - 1.0).abs() < 1e-9);
        assert!((found.t1_s.unwrap() / size / expected.t1_s.unwrap() - 1.0).abs() < 1e-9);
    }
    // Beyond what squares can hold: nothing rather than nonsense.
    all_ways(&points(&[(1, &[1e-300]), (2, &[1e300]), (4, &[1.0]), (8, &[1e-300])]));
    let least = f64::from_bits(1);
    all_ways(&points(&[(1, &[least]), (2, &[least]), (4, &[least]), (8, &[f64::MAX])]));
    all_ways(&points(&[(1, &[1.0]), (2, &[1.0]), (u64::MAX, &[1.0]), (u64::MAX - 1, &[2.0])]));
}

#[test]
fn what_is_no_time_does_not_count() {
    let mut dirty = noisy(&[4, 1, 2, 8, 16, 32], 5, 0.02, 1, |p| 3.0 / p + 0.1);
    let clean = all_ways(&dirty);
    for point in &mut dirty {
        point.values.extend([f64::NAN, 0.0, -1.0, f64::INFINITY]);
    }
    dirty.push(Point { p: 0, values: vec![1.0], work: None });
    dirty.push(Point { p: 64, values: vec![f64::NAN], work: None });
    // Two records of one p are one point.
    let second = dirty[2].values.split_off(2);
    dirty.push(Point { p: 2, values: second, work: None });
    for (found, expected) in all_ways(&dirty).iter().zip(&clean) {
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }
}
