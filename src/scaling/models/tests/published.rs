//! Every published number that the models must reproduce, to its printed digits.

use super::close;
use crate::scaling::models::fit::{Points, equal_weights, relative_weights};
use crate::scaling::models::laws::{
    amdahl_speedup, gustafson_serial_fraction, gustafson_speedup, karp_flatt,
};
use crate::scaling::models::pmnf::{self, Candidate, Exponents};
use crate::scaling::models::usl::{self, Scale, Usl};
use crate::scaling::models::{Point, Settings, Study, amdahl, analyse, goodness};
use crate::scaling::report::{Metric, Mode};
use crate::scaling::stats::median;

#[test]
fn amdahl_and_gustafson_in_closed_form() {
    for (p, expected) in [(10.0, 9.17431), (100.0, 50.25126), (1000.0, 90.99181)] {
        close(amdahl_speedup(0.01, p), expected, 5e-6);
    }
    for (p, expected) in [(10.0, 9.91), (100.0, 99.01), (1000.0, 990.01)] {
        close(gustafson_speedup(0.01, p), expected, 1e-9);
    }
}

/// Gustafson 1988: wave mechanics, fluid dynamics and beam stress on 1024 processors.
#[test]
fn gustafson_1988() {
    for (speedup, s) in [(1021.0, 0.002_932_6), (1020.0, 0.003_910_1), (1016.0, 0.007_820_1)] {
        let found = gustafson_serial_fraction(1.0, 1024.0, speedup).unwrap();
        close(found, s, 5e-8);
        close(gustafson_speedup(found, 1024.0), speedup, 1e-9);
        // From any other baseline the fraction is the same.
        let over = speedup / gustafson_speedup(found, 16.0);
        close(gustafson_serial_fraction(16.0, 1024.0, over).unwrap(), found, 1e-12);
    }
}

/// The pi example of the `DiRAC` training material.
const PI: ([f64; 5], [f64; 5]) =
    ([1.0, 2.0, 4.0, 8.0, 16.0], [3.99667, 2.064_242, 1.075_068, 0.687_097, 0.349_366]);

#[test]
fn karp_flatt_of_pi() {
    let (p, t) = PI;
    let found: Vec<f64> =
        (1..5).map(|i| karp_flatt(1.0, p[i], t[0] / t[i]).unwrap() * 100.0).collect();
    let expected = [3.2981, 2.5321, 5.3620, 2.6575];
    let published = [3.30, 2.53, 5.36, 2.66];
    for i in 0..4 {
        close(found[i], expected[i], 5e-5);
        close(found[i], published[i], 6e-3);
    }
    close(found.iter().sum::<f64>() / 4.0, 3.4624, 5e-5);
    close(found.iter().sum::<f64>() / 4.0, 3.46, 5e-3);
    // With another baseline: the fraction of the exact law, from any pair of its points.
    let time = |p: f64| 0.07 + 0.93 / p;
    for (base, p) in [(1.0, 2.0), (4.0, 64.0), (32.0, 4096.0)] {
        close(karp_flatt(base, p, time(base) / time(p)).unwrap(), 0.07, 1e-10);
    }
    assert!(karp_flatt(1.0, 4.0, 5.0).unwrap() < 0.0);
    assert_eq!(karp_flatt(4.0, 4.0, 1.0), None);
    assert_eq!(karp_flatt(4.0, 8.0, f64::NAN), None);
}

#[test]
fn amdahl_of_pi() {
    let (p, y) = PI;
    let plain = amdahl::fit(Points { p: &p, y: &y, weight: &equal_weights(5) }).unwrap();
    close(plain.fit.value[0], 0.035_605, 5e-7);
    close(plain.fit.se.unwrap()[0], 0.007_761, 5e-7);
    let [lo, hi] = plain.ci95(0).unwrap();
    close(lo, 0.0109, 5e-5);
    close(hi, 0.0603, 5e-5);
    let relative = amdahl::fit(Points { p: &p, y: &y, weight: &relative_weights(&y) }).unwrap();
    close(relative.fit.value[0], 0.029_402, 5e-7);
    let [lo, hi] = relative.ci95(0).unwrap();
    close(lo, 0.0032, 5e-5);
    close(hi, 0.0556, 5e-5);
}

fn fit_rates(p: &[f64], y: &[f64]) -> (Usl, crate::scaling::models::fit::Bounded<3>) {
    let fitted = usl::fit(Points { p, y, weight: &equal_weights(p.len()) }, Scale::Rate).unwrap();
    let [alpha, beta, gamma] = fitted.fit.value;
    (Usl { alpha, beta, gamma }, fitted)
}

#[test]
fn usl_of_synthetic_rates() {
    let n = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    let (law, _) = fit_rates(&n, &[1.0, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557]);
    close(law.alpha, 0.02, 5e-5);
    close(law.beta, 0.02, 5e-5);
    close(law.gamma, 1.0, 5e-5);
    close(law.peak().unwrap(), 7.0, 0.01);
}

/// The R package usl's `specsdm91`.
#[test]
fn usl_of_specsdm91() {
    let n = [1.0, 18.0, 36.0, 72.0, 108.0, 144.0, 216.0];
    let x = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2];
    let (law, fitted) = fit_rates(&n, &x);
    close(law.alpha, 0.027_728_5, 5e-8);
    close(law.beta, 1.044e-4, 5e-8);
    close(law.gamma, 89.9952, 5e-5);
    let [alpha, beta, gamma] = fitted.fit.se.unwrap();
    close(alpha, 9.122e-3, 5e-7);
    close(beta, 1.988e-5, 5e-9);
    close(gamma, 14.2135, 5e-5);
    close(fitted.fit.rse().unwrap(), 82.85, 5e-3);
    assert_eq!(fitted.fit.dof, 4);
    close(law.peak().unwrap(), 96.51956, 5e-5);
    close(law.rate(law.peak().unwrap()), 1884.0, 0.5);
    close(law.optimum().unwrap(), 36.06401, 5e-5);
    close(law.rate(law.optimum().unwrap()), 1542.0, 0.5);
    close(law.roof().unwrap(), 3245.589, 5e-3);
    close(Usl { beta: 5e-5, ..law }.peak().unwrap(), 139.4, 0.05);
}

/// The R package usl's `raytracer`: the free fit has b < 0, so the bounded one has b = 0.
#[test]
fn usl_of_raytracer() {
    let n = [1.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0, 48.0, 64.0];
    let x = [20.0, 78.0, 130.0, 170.0, 190.0, 200.0, 210.0, 230.0, 260.0, 280.0, 310.0];
    let (law, fitted) = fit_rates(&n, &x);
    close(fitted.free.value[1], -2.01e-4, 5e-7);
    close(law.alpha, 0.057_771, 5e-7);
    assert_eq!(law.beta, 0.0);
    close(law.gamma, 21.848_843, 5e-7);
    close(fitted.fit.rse().unwrap(), 9.34, 5e-3);
    assert_eq!(law.peak(), None);
    close(law.optimum().unwrap(), 17.3, 0.05);
    close(law.rate(law.optimum().unwrap()), 195.0, 0.5);
    let [lo, hi] = fitted.ci95(1).unwrap();
    eprintln!("raytracer: b in {lo}..{hi}, a in {:?}", fitted.ci95(0).unwrap());
    assert_eq!(lo, 0.0);
    let (law, fitted) = fit_rates(&n[..6], &x[..6]);
    close(law.alpha, 0.02444, 5e-6);
    close(law.beta, 0.00163, 5e-6);
    close(law.gamma, 20.85605, 5e-6);
    // Student's t with n - 3 degrees of freedom; the package prints 90 % with n - 1.
    let [lo, hi] = fitted.free.ci95(0).unwrap();
    close(lo, -0.0023, 5e-5);
    close(hi, 0.0511, 5e-5);
    assert_eq!(fitted.ci95(0).unwrap()[0], 0.0);
}

/// PIERNIK in a PRACE proposal: strong scaling from 64 and from 32 to 4096 cores.
#[test]
fn usl_of_piernik_on_rates() {
    let first = [12816.5, 6862.0, 3665.0, 1980.0, 1060.0, 616.0, 440.0];
    let printed = [1.87, 3.50, 6.47, 12.1, 20.8, 29.1];
    let half = [0.005, 0.005, 0.005, 0.05, 0.05, 0.05];
    for i in 0..6 {
        close(first[0] / first[i + 1], printed[i], half[i]);
    }
    let n = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
    let t = [342.0, 173.3, 95.8, 50.0, 27.9, 15.8, 11.2, 11.4];
    let x: Vec<f64> = t.iter().map(|time| t[0] / time).collect();
    let (law, fitted) = fit_rates(&n, &x);
    close(law.alpha, 0.004_689_0, 5e-8);
    close(law.beta, 1.277_99e-4, 5e-10);
    close(law.gamma, 0.861_74, 5e-6);
    close(law.peak().unwrap(), 88.25, 5e-3);
    close(law.peak().unwrap() * 32.0, 2824.0, 0.5);
    // On the scale of the fit, unweighted residuals of the speedup; k counts the variance.
    close(goodness::aicc(fitted.fit.rss, 8, 3).unwrap(), -6.74, 5e-3);
    // Amdahl is USL without b: on rates, with a free scale.
    let weight = equal_weights(8);
    let points = Points { p: &n, y: &x, weight: &weight };
    let without = |alpha: f64| points.scale(|n| n / (1.0 + alpha * (n - 1.0))).1;
    let fine = (0_u32..100_000).map(|step| without(f64::from(step) * 1e-6));
    close(goodness::aicc(fine.fold(f64::MAX, f64::min), 8, 2).unwrap(), 20.90, 5e-3);
}

/// The same series as a report sees it: cores, times, relative residuals.
#[test]
fn piernik_as_a_series() {
    let t = [342.0, 173.3, 95.8, 50.0, 27.9, 15.8, 11.2, 11.4];
    let points =
        (5..13).zip(t).map(|(log, time)| Point { p: 1 << log, values: vec![time], work: None });
    let study = Study { mode: Mode::Strong, metric: Metric::Time, points: points.collect() };
    let found = analyse(&study, &Settings::default());
    // Exact rational arithmetic in Python: both are linear least squares in 1, p and 1 / p.
    let relative = |found: f64, exact: f64| close(found / exact, 1.0, 1e-9);
    let usl = found.models.usl.unwrap();
    relative(usl.alpha, 0.000_339_087_636_477_846_2);
    relative(usl.beta, 9.951_280_666_304_875e-8);
    relative(usl.gamma, 8.857_633_219_654_706e-5);
    relative(usl.peak_ranks.unwrap(), 3_169.471_624_060_679);
    close(usl.aicc.unwrap(), -31.426_701_526_6, 1e-9);
    let amdahl = found.models.amdahl.unwrap();
    relative(amdahl.serial_fraction, 0.000_658_479_569_322_726);
    relative(amdahl.t1_s.unwrap(), 10_670.636_036_748_067);
    close(amdahl.aicc.unwrap(), -29.032_187_134_9, 1e-9);
    // One run each: nothing to resample.
    assert_eq!(amdahl.ci95_bootstrap, None);
    assert_eq!(found.models.best.as_deref(), Some("USL"));
    // Amdahl, the best of the first seven points, cannot see the turn.
    let unseen = found.holdout.unwrap();
    assert_eq!((unseen.model.as_str(), unseen.ranks, unseen.measured_s), ("Amdahl", 4096, 11.4));
    assert!(unseen.error < -0.2);
}

fn chosen(p: &[f64], y: &[f64], weight: &[f64]) -> (Vec<Candidate>, usize) {
    let found = pmnf::candidates(Points { p, y, weight }).unwrap();
    let index = pmnf::least_smape(&found, None).unwrap();
    (found, index)
}

#[test]
fn pmnf_finds_each_of_the_42_default_pairs() {
    let p = [2.0, 4.0, 8.0, 16.0, 32.0];
    let mut returned = 0;
    for exponents in Exponents::all() {
        let y = p.map(|p| 200.0 + 10.0 * exponents.at(p));
        for weight in [equal_weights(5), relative_weights(&y)] {
            let (found, index) = chosen(&p, &y, &weight);
            let (factor, same) = found[index].term.unwrap();
            assert_eq!(same, exponents);
            close(factor, 10.0, 1e-5);
            close(found[index].constant, 200.0, 1e-4);
        }
        returned += 1;
    }
    eprintln!("PMNF: {returned}/42 pairs returned");
    assert_eq!(returned, 42);
}

#[test]
fn pmnf_drops_a_term_that_adds_nothing() {
    let p = [2.0, 4.0, 8.0, 16.0, 32.0];
    // At most 0.00003 of the value, then 0.003.
    for (growth, terms) in [(0.001, false), (0.1, true)] {
        let y = p.map(|p| 1000.0 + growth * p);
        let (found, index) = chosen(&p, &y, &equal_weights(5));
        assert_eq!(found[index].term.is_some(), terms);
    }
}

/// Extra-P's test data `one_parameter_1`: six repeats at five points, about 0.2 x².
#[test]
fn pmnf_of_the_extra_p_sample() {
    let data = [
        [
            82.008_485_189_487_44,
            81.420_231_987_595_63,
            81.989_845_012_172_01,
            80.760_198_355_803_21,
            82.542_528_924_057_95,
        ],
        [
            184.514_007_929_944_3,
            177.460_695_779_251_78,
            179.122_609_018_098_67,
            178.922_122_931_054_6,
            177.934_610_230_010_83,
        ],
        [
            315.268_459_925_237_44,
            314.876_921_884_313_8,
            315.716_566_047_719_5,
            324.223_299_448_805_16,
            323.271_916_378_212_6,
        ],
        [
            509.810_643_520_813_36,
            495.744_571_988_525_93,
            501.005_948_728_225_6,
            502.527_220_402_819_1,
            509.666_501_864_635_7,
        ],
        [
            725.388_698_318_330_1,
            727.862_849_304_499_7,
            727.051_700_528_413_6,
            729.528_435_562_420_6,
            721.061_618_679_000_7,
        ],
    ];
    // The sixth repeat is the fifth again.
    let mean = data.map(|values| (values.iter().sum::<f64>() + values[4]) / 6.0);
    let p = [20.0, 30.0, 40.0, 50.0, 60.0];
    let (found, index) = chosen(&p, &mean, &equal_weights(5));
    assert_eq!(found[index].formula(1.0), "-0.8898 + 0.2017 * p^2");
    close(found[index].constant, -0.8898, 5e-5);
    close(found[index].term.unwrap().0, 0.20168, 5e-6);
    close(found[index].smape, 1.544, 5e-4);
}

/// Extra-P's quick start: two models that nearly tie and part beyond the data.
#[test]
fn pmnf_of_the_extra_p_quick_start() {
    let data = [
        [8.31, 8.02, 8.14],
        [22.74, 22.66, 23.20],
        [65.79, 64.74, 66.62],
        [186.78, 184.68, 181.58],
        [528.86, 522.44, 531.78],
    ];
    let p = [4.0, 8.0, 16.0, 32.0, 64.0];
    let mean = data.map(|values| values.iter().sum::<f64>() / 3.0);
    let (found, first) = chosen(&p, &mean, &equal_weights(5));
    let second = pmnf::least_smape(&found, Some(first)).unwrap();
    close(found[first].smape, 2.19, 5e-3);
    close(found[second].smape, 2.96, 5e-3);
    assert_eq!(found[first].formula(1.0), "2.818 + 0.4827 * p^(5/4) * log2(p)");
    assert!(found[second].formula(1.0).ends_with(" * p^(3/2)"));
    close(found[second].at(1024.0) / found[first].at(1024.0) - 1.0, 0.21, 5e-3);
    // As a weak series of medians with relative residuals the order turns, and the report says so.
    let points = p.iter().zip([4, 8, 16, 32, 64]).zip(data).map(|((_, p), values)| Point {
        p,
        values: values.to_vec(),
        work: None,
    });
    let study = Study { mode: Mode::Weak, metric: Metric::Time, points: points.collect() };
    let report = analyse(&study, &Settings { reach: 16.0, ..Settings::default() });
    let law = report.models.pmnf.unwrap();
    eprintln!("quick start: {law:?}");
    assert_eq!(law.spread_at, 1024.0);
    assert!((0.15..0.25).contains(&law.spread), "{}", law.spread);
    let other = law.runner_up.unwrap();
    assert_eq!((law.terms[1].exponent, other.terms[1].exponent), (1.5, 1.25));
    // Python, closed form: constant and factor of the medians.
    close(law.terms[1].coefficient, 1.024_080_8, 5e-8);
    close(law.terms[0].coefficient, -0.091_228_7, 5e-8);
    close(law.smape, 2.011_436_6, 5e-8);
    let beyond = report.band.last().unwrap();
    assert_eq!(beyond.p, 1024.0);
    assert!(beyond.lo <= 28_195.7 && beyond.hi >= 33_556.9, "{beyond:?}");
    assert_eq!(median(&data[0]), Some(8.14));
}
