//! Against printed tables and the documented results of R and `SciPy`.

#![expect(clippy::float_cmp, reason = "where values are compared, the same bits are meant")]

use super::*;
use crate::num::{len_f64, mix64, to_f64};

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

/// n values 1, 2, ... n.
fn ranks(n: u32) -> Vec<f64> {
    (1..=n).map(f64::from).collect()
}

#[test]
fn medians_and_quantiles_by_definition_7() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    // R: quantile(c(1, 2, 4, 8), c(0, .1, .25, .5, .9, 1)) is 1 1.3 1.75 3 6.8 8.
    let expected = [(0.0, 1.0), (0.1, 1.3), (0.25, 1.75), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)];
    for (level, value) in expected {
        close(quantile(&[8.0, 1.0, 2.0, 4.0], level).unwrap(), value, 1e-12);
    }
    assert_eq!(quantile(&[1.0], 1.5), None);
}

#[test]
fn median_intervals_take_the_order_statistics_of_the_binomial_tables() {
    // n, lower rank, upper rank, coverage in %: binomial tables, e.g. 1 - 2 * 22 / 2^10 for n = 10.
    let table = [
        (2, 1.0, 2.0, 50.0),
        (5, 1.0, 5.0, 93.75),
        (6, 1.0, 6.0, 96.875),
        (8, 1.0, 8.0, 99.218_75),
        (9, 2.0, 8.0, 96.09375),
        (10, 2.0, 9.0, 97.851_562_5),
        (20, 6.0, 15.0, 95.861_053_466_8),
        (25, 8.0, 18.0, 95.671_474_933_6),
    ];
    for (n, lo, hi, percent) in table {
        let interval = median_interval(&ranks(n)).unwrap();
        assert_eq!((interval.lo, interval.hi), (lo, hi), "of {n}");
        close(interval.coverage * 100.0, percent, 1e-6);
    }
    close(median_interval(&[7.0]).unwrap().coverage, 0.0, 1e-12);
    assert_eq!(median_interval(&[]), None);
}

#[test]
fn outliers_are_those_of_iglewicz_and_hoaglin() {
    // Median 2.0, MAD 0.1: 2.0 + 3.5 * 0.1 / 0.6745 = 2.51891.
    let near = [1.8, 1.9, 1.9, 2.0, 2.0, 2.1, 2.1, 2.2, 2.51];
    assert!(outliers(&near).is_empty());
    assert_eq!(outliers(&[1.8, 1.9, 2.6, 2.0, 2.0, 2.1, 2.1, 1.9, 2.0]), vec![2]);
    assert!(outliers(&[1.0; 8]).is_empty());
    assert_eq!(outliers(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0]), vec![7]);
}

#[test]
fn mann_whitney_is_that_of_r_and_scipy() {
    // SciPy's documentation: exact p 0.11111111111111112, U 17; with ties the R manual's ozone
    // levels of May and August: W 127.5, p 0.0001208.
    let (males, females) = ([19.0, 22.0, 16.0, 29.0, 24.0], [20.0, 11.0, 17.0, 12.0]);
    let found = mann_whitney(&males, &females).unwrap();
    assert!(found.exact);
    assert_eq!(found.u, 17.0);
    close(found.p_value, 0.111_111_111_111_111, 1e-12);
    assert_eq!(mann_whitney(&females, &males).unwrap().p_value, found.p_value);
    let may = [
        41.0, 36.0, 12.0, 18.0, 28.0, 23.0, 19.0, 8.0, 7.0, 16.0, 11.0, 14.0, 18.0, 14.0, 34.0,
        6.0, 30.0, 11.0, 1.0, 11.0, 4.0, 32.0, 23.0, 45.0, 115.0, 37.0,
    ];
    let august = [
        39.0, 9.0, 16.0, 78.0, 35.0, 66.0, 122.0, 89.0, 110.0, 44.0, 28.0, 65.0, 22.0, 59.0, 23.0,
        31.0, 44.0, 21.0, 9.0, 45.0, 168.0, 73.0, 76.0, 118.0, 84.0, 85.0,
    ];
    let found = mann_whitney(&may, &august).unwrap();
    assert!(!found.exact);
    assert_eq!(found.u, 127.5);
    close(found.p_value, 0.000_120_8, 5e-8);
    // The least p-values of small samples: 2 / (2 n over n).
    for (n, least) in [(1, 1.0), (2, 2.0 / 6.0), (3, 0.1), (4, 2.0 / 70.0), (6, 2.0 / 924.0)] {
        let high: Vec<f64> = ranks(n).iter().map(|value| value + 100.0).collect();
        close(mann_whitney(&ranks(n), &high).unwrap().p_value, least, 1e-12);
    }
    assert_eq!(mann_whitney(&[1.0; 5], &[1.0; 6]).unwrap().p_value, 1.0);
    assert!(mann_whitney(&[], &[1.0]).is_none());
}

/// A number between 0 and 1, and a standard normal one by Box & Muller.
fn normal(counter: u64) -> f64 {
    let unit = |word: u64| (to_f64(word >> 11) + 0.5) / to_f64(1 << 53);
    let (u, v) = (unit(mix64(2 * counter)), unit(mix64(2 * counter + 1)));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[test]
fn the_bootstrap_is_deterministic_and_falls_back() {
    let sample: Vec<f64> = (0..12).map(|i| 10.0 + normal(i)).collect();
    let settings = Bootstrap::default();
    let identity = |medians: &[f64]| medians[0];
    let first = bootstrap(&[&sample], settings, identity).unwrap();
    assert_eq!(first, bootstrap(&[&sample], settings, identity).unwrap());
    assert_eq!(first.method, Method::Bca);
    let halves = [&sample[..6], &sample[6..]];
    let mean = |seed| bootstrap(&halves, Bootstrap { seed, ..settings }, |of| of[0] + of[1]);
    assert_eq!(mean(1), mean(1));
    assert_ne!(mean(1), mean(2));
    // The same resamples under a rising transformation: BCa respects it.
    let cubed = bootstrap(&[&sample], settings, |medians| 2.0 * medians[0] + 1.0).unwrap();
    close(cubed.lo, 2.0 * first.lo + 1.0, 1e-9);
    close(cubed.hi, 2.0 * first.hi + 1.0, 1e-9);
    let equal = bootstrap(&[[2.0; 6]], settings, identity).unwrap();
    assert_eq!((equal.lo, equal.hi, equal.method), (2.0, 2.0, Method::Percentile));
    assert!(bootstrap(&[[2.0]], settings, identity).is_none());
    assert!(bootstrap(&[[2.0, 3.0]], settings, |_| f64::NAN).is_none());
    assert!(bootstrap::<Vec<f64>>(&[vec![]], settings, |_| 1.0).is_none());
}

#[test]
fn the_correction_is_that_of_the_book() {
    // Efron & Tibshirani, equation 14.10, worked by Python's NormalDist: 60 % of the resamples
    // below the estimate and an acceleration of 0.05.
    let draws: Vec<f64> = ranks(1000);
    let [lo, hi] = bootstrap::corrected(&draws, 600.5, Some(0.05)).unwrap();
    close(lo, 0.093_569_144_440, 1e-9);
    close(hi, 0.996_947_376_285, 1e-9);
    assert!(bootstrap::corrected(&draws, 0.5, Some(0.05)).is_none());
    assert!(bootstrap::corrected(&draws, 600.5, None).is_none());
    assert!(bootstrap::corrected(&draws, 990.5, Some(0.5)).is_none());
    // Equation 14.15 by hand: without 0, 1 or 4 the median is 2.5, 2 or 0.5.
    let group = vec![vec![0.0, 1.0, 4.0]];
    let found = bootstrap::acceleration(&group, &mut [1.0], |medians| medians[0]).unwrap();
    close(found, (7.0_f64.powi(3) - 5.0_f64.powi(3) - 8.0) / (6.0 * 78.0_f64.powf(1.5)), 1e-12);
}

/// 400 times eight groups of nine normal values: how often the interval covers the mean of the
/// medians, 0. A single median of few values would show the steps of its distribution instead.
#[test]
fn the_bootstrap_covers_the_mean_of_medians() {
    let settings = Bootstrap { resamples: 1000, seed: 7 };
    let covered = (0..400_u64).filter(|sample| {
        let group = |group: u64| (0..9).map(|i| normal(sample * 72 + group * 9 + i)).collect();
        let groups: Vec<Vec<f64>> = (0..8).map(group).collect();
        let interval = bootstrap(&groups, settings, |medians| medians.iter().sum()).unwrap();
        interval.lo <= 0.0 && 0.0 <= interval.hi
    });
    let share = len_f64(covered.count()) / 400.0;
    eprintln!("BCa of the mean of eight medians of nine covers it in {:.1} %", share * 100.0);
    assert!((0.91..=0.98).contains(&share), "{share}");
}

#[test]
fn comparing_finds_a_planted_ratio() {
    let a: Vec<f64> = (0..10).map(|i| 10.0 + 0.1 * normal(i)).collect();
    let b: Vec<f64> = (10..20).map(|i| 8.0 + 0.1 * normal(i)).collect();
    let found = compare(&a, &b, Bootstrap::default()).unwrap();
    let [lo, hi] = found.ratio_ci95.unwrap();
    assert!(lo <= 0.8 && 0.8 <= hi && hi - lo < 0.03, "{lo} {hi}");
    close(found.shift, -2.0, 0.1);
    assert_eq!(hodges_lehmann(&[1.0, 2.0], &[4.0, 8.0]), Some(4.5));
    assert!(found.test.p_value < 1e-4);
    let same = compare(&a, &a, Bootstrap::default()).unwrap();
    assert_eq!((same.ratio, same.shift, same.test.p_value), (Some(1.0), 0.0, 1.0));
    assert_eq!(compare(&[0.0], &[1.0], Bootstrap::default()).unwrap().ratio, None);
}
