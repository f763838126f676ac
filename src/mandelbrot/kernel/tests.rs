//! Every kernel against the plain loop, and the plain loop against facts about the set.

use super::*;
use crate::num::{len_f64, mix64, to_f64, to_usize};

type Point = (f64, f64);

const VECTOR: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];
const SKIPS: [Skips; 4] = [
    Skips::NONE,
    Skips { bulbs: true, periodicity: false },
    Skips { bulbs: false, periodicity: true },
    Skips::ALL,
];

fn available() -> impl Iterator<Item = Isa> {
    VECTOR.into_iter().filter(|isa| isa.is_available())
}

/// All pixels in the order of the points; fails where one is missing or comes twice.
fn run(isa: Isa, points: &[Point], max: u32, skips: Skips) -> Vec<Pixel> {
    let mut pixels = vec![None; points.len()];
    iterate(isa, points.iter().copied(), max, skips, |index, pixel| {
        assert!(pixels[index].replace(pixel).is_none(), "{isa}: pixel {index} twice");
    });
    pixels.into_iter().map(|pixel| pixel.expect("every pixel once")).collect()
}

fn bits(pixel: &Pixel) -> (u64, u64) {
    (pixel.zr.to_bits(), pixel.zi.to_bits())
}

/// Every kernel and every choice of short cuts gives the counts of the plain loop, and its z.
fn agree(points: &[Point], max: u32) {
    let expected = run(Isa::Reference, points, max, Skips::NONE);
    for isa in available() {
        for skips in SKIPS {
            for (want, got) in expected.iter().zip(run(isa, points, max, skips)) {
                assert_eq!(want.steps, got.steps, "{isa} max {max} {skips:?}: {want:?} {got:?}");
                assert_eq!((want.cr, want.ci), (got.cr, got.ci), "{isa}");
                if want.steps == NOT_ESCAPED {
                    assert!(
                        got.executed <= max.saturating_add(80) || !skips.periodicity,
                        "{got:?}"
                    );
                } else {
                    assert_eq!(
                        bits(want),
                        bits(&got),
                        "{isa} max {max} {skips:?}: {want:?} {got:?}"
                    );
                    assert!(got.executed >= got.steps, "{isa}: {got:?}");
                }
            }
        }
    }
}

/// Uniform in [-1, 1), from a counter.
fn uniform(counter: u64) -> f64 {
    to_f64(mix64(counter) >> 11) / to_f64(1 << 52) - 1.0
}

fn random(count: u64, center: Point, radius: f64) -> Vec<Point> {
    (0..count)
        .map(|i| (center.0 + radius * uniform(2 * i), center.1 + radius * uniform(2 * i + 1)))
        .collect()
}

/// A square view of `side` by `side` points.
fn view(center: Point, radius: f64, side: u32) -> Vec<Point> {
    let step = 2.0 * radius / f64::from(side);
    let lattice =
        Lattice { re0: center.0 - radius, re_step: step, im0: center.1 - radius, im_step: step };
    Window::whole(side, side).points(lattice).collect()
}

fn default_view(columns: u32, rows: u32) -> Vec<Point> {
    let lattice = Lattice {
        re0: -2.5,
        re_step: 3.5 / f64::from(columns),
        im0: -1.0,
        im_step: 2.0 / f64::from(rows),
    };
    Window::whole(columns, rows).points(lattice).collect()
}

#[test]
fn random_points_agree() {
    agree(&random(20_000, (-0.5, 0.0), 2.0), 1000);
    agree(&random(3000, (0.0, 0.0), 1e3), 100);
}

#[test]
fn awkward_sizes_and_limits_agree() {
    let points = random(100, (-0.6, 0.3), 0.7);
    for size in [0, 1, 2, 3, 5, 7, 11, 12, 13, 23, 24, 25, 47, 48, 49, 63, 64, 65, 100] {
        for max in [0, 1, 2, 7, 8, 9, 15, 16, 17, 25, 26, 27, 63, 64, 65, 1000, 4097] {
            agree(&points[..size], max);
        }
    }
}

#[test]
fn default_view_agrees() {
    agree(&default_view(320, 240), 500);
    agree(&default_view(160, 120), 10_000);
}

#[test]
fn zooms_agree() {
    for (center, radius) in [
        ((-0.745, 0.113), 0.01),
        ((-0.743_643_887_037_151, 0.131_825_904_205_33), 1e-5),
        ((-0.743_643_887_037_151, 0.131_825_904_205_33), 1e-11),
        ((-1.754_877_6, 0.0), 0.03),
        ((-1.754_877_666, 0.0), 1e-7),
        ((-2.0, 0.0), 1e-3),
        ((-2.0, 0.0), 1e-12),
        ((-0.75, 0.0), 0.02),
        ((0.25, 0.0), 1e-4),
        ((0.0, 1.0), 1e-6),
    ] {
        agree(&view(center, radius, 40), 3000);
    }
}

#[test]
fn points_at_the_circle_agree() {
    let mut points =
        vec![(-2.0, 0.0), (2.0, 0.0), (0.0, 2.0), (0.0, -0.0), (-0.0, 0.0), (-0.0, -0.0)];
    for i in 0..720_u32 {
        let (sin, cos) = (f64::from(i) * std::f64::consts::TAU / 720.0).sin_cos();
        for radius in [
            2.0,
            2.0 - 1e-16,
            2.0 - 4e-16,
            2.0 - 1e-13,
            2.0 - 3e-13,
            2.0 - 1e-12,
            2.0 + 1e-15,
            1.99,
        ] {
            points.push((radius * cos, radius * sin));
        }
    }
    for ulps in 1..200 {
        points.push((-f64::from_bits(2.0_f64.to_bits() - ulps), 0.0));
        points.push((-f64::from_bits(2.0_f64.to_bits() - (ulps << 12)), 1e-13));
    }
    agree(&points, 2000);
}

#[test]
fn numbers_beyond_reason_agree() {
    let odd = [1e308, -1e308, 1e-320, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY];
    let mut points = vec![];
    for re in odd {
        for im in odd {
            points.extend([(re, im), (re, 0.0), (0.0, im), (-1.0, im)]);
        }
    }
    agree(&points, 300);
}

/// Inside and outside of the borders of both bulbs at many angles, down to the necks and the cusp.
#[test]
fn skips_at_the_borders_change_no_count() {
    let mut points = vec![(0.25, 0.0), (-0.75, 0.0), (-1.25, 0.0)];
    for i in 0..24_u32 {
        let turn = [0.0, 0.5, 1.0 / 3.0, 0.25, 0.4, 0.618_033_988_75, 1e-3, 1e-5];
        let angle =
            f64::from(i / 8) * 0.017 + turn[to_usize(u64::from(i % 8))] * std::f64::consts::TAU;
        let (sin, cos) = angle.sin_cos();
        let (sin2, cos2) = (2.0 * angle).sin_cos();
        for distance in [1e-3, 1e-5, 1e-6, 1.1e-6, 9e-7, 1e-7, 1e-9, -1e-9, -1e-7, -1e-5, -1e-3] {
            let scale = 1.0 - distance;
            points.push((scale * (cos / 2.0 - cos2 / 4.0), scale * (sin / 2.0 - sin2 / 4.0)));
            points.push((-1.0 + scale * cos / 4.0, scale * sin / 4.0));
        }
    }
    for exponent in 3..15 {
        let e = 10.0_f64.powi(-exponent);
        points.extend([(0.25 + e, 0.0), (0.25 - e, 0.0), (0.25, e), (0.25 + e, e), (-0.75, e)]);
    }
    agree(&points, 30_000);
}

#[test]
fn the_skips_skip() {
    for isa in available() {
        let pixels = run(isa, &default_view(160, 120), 20_000, Skips::ALL);
        let spent: u64 = pixels.iter().map(|pixel| u64::from(pixel.executed)).sum();
        let inside = pixels.iter().filter(|pixel| pixel.steps == NOT_ESCAPED).count();
        let skipped = pixels.iter().filter(|pixel| pixel.executed == 0).count();
        assert!(
            len_f64(skipped) > 0.9 * len_f64(inside),
            "{isa}: {skipped} of {inside} by the bulbs"
        );
        let pixels =
            run(isa, &default_view(160, 120), 20_000, Skips { bulbs: false, periodicity: true });
        let repeated: u64 = pixels.iter().map(|pixel| u64::from(pixel.executed)).sum();
        let all = 20_000 * crate::num::to_u64(inside);
        assert!(spent * 10 < all && repeated * 4 < all, "{isa}: {spent}, {repeated} of {all}");
    }
}

/// The number of steps times e is pi next to the neck, and its square root times it at the cusp.
#[test]
fn counts_spell_pi() {
    let neck = [33, 315, 3143, 31_417, 314_160, 3_141_593];
    let cusp = [(1e-2, 30), (1e-4, 312), (1e-6, 3140), (1e-8, 31_414)];
    let mut cases: Vec<_> =
        neck.into_iter().zip(1..).map(|(n, k)| ((-0.75, 10.0_f64.powi(-k)), n)).collect();
    cases.extend(cusp.map(|(e, n)| ((0.25 + e, 0.0), n)));
    let points: Vec<_> = cases.iter().map(|case| case.0).collect();
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for ((point, steps), pixel) in cases.iter().zip(run(isa, &points, 4_000_000, Skips::ALL)) {
            assert_eq!(pixel.steps, *steps, "{isa} at {point:?}");
        }
    }
}

#[test]
fn known_points() {
    let stay = [
        (0.0, 0.0),
        (-1.0, 0.0),
        (0.0, 1.0),
        (0.25, 0.0),
        (-0.75, 0.0),
        (-1.75, 0.0),
        (0.3, 0.5),
        (-1.401_155_189, 0.0),
    ];
    // At -2 and at 1 an orbit meets |z| = 2 exactly, where the test fires.
    let leave = [
        ((1.0, 0.0), 2),
        ((-2.0, 0.0), 1),
        ((0.5, 0.5), 5),
        ((-2.0 - 2.0_f64.powi(-51), 0.0), 1),
        ((1.0 + 2.0_f64.powi(-52), 0.0), 2),
    ];
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for skips in SKIPS {
            for pixel in run(isa, &stay, 100_000, skips) {
                assert_eq!(pixel.steps, NOT_ESCAPED, "{isa} {pixel:?}");
            }
            let points = leave.map(|case| case.0);
            for (case, pixel) in leave.iter().zip(run(isa, &points, 100, skips)) {
                assert_eq!(pixel.steps, case.1, "{isa} {pixel:?}");
            }
        }
    }
}

/// A limit near the end of u32, for which ages pass 2^32 within a block: nothing may wrap.
#[test]
fn the_largest_limit_works() {
    let points = [(0.1, 0.1), (0.3, 0.5), (0.4, 0.4), (-1.0, 0.0), (0.2, 0.3)];
    let expected = run(Isa::Reference, &points[2..3], u32::MAX - 1, Skips::ALL);
    for isa in available() {
        let pixels = run(isa, &points, u32::MAX - 1, Skips::ALL);
        assert_eq!(pixels[2].steps, expected[0].steps);
        assert_eq!(pixels[0].steps, NOT_ESCAPED);
    }
}

#[test]
fn a_window_is_the_part_of_its_picture() {
    let lattice = Lattice { re0: -2.5, re_step: 3.5 / 640.0, im0: -1.0, im_step: 2.0 / 480.0 };
    let window = Window { x0: 5, y0: 7, columns: 4, rows: 3, stride_x: 8, stride_y: 2 };
    let points: Vec<_> = window.points(lattice).collect();
    assert_eq!(points.len(), to_usize(window.len()));
    assert_eq!(
        points[6],
        (f64::from(21_u32) * (3.5 / 640.0) - 2.5, f64::from(9_u32) * (2.0 / 480.0) - 1.0)
    );
    for empty in [Window::whole(0, 5), Window::whole(5, 0)] {
        assert!(empty.is_empty() && empty.points(lattice).next().is_none());
    }
}

#[test]
fn names_are_read_back() {
    for isa in Isa::ALL {
        assert_eq!(isa.to_string().parse(), Ok(isa));
    }
    let error = "sse".parse::<Isa>().unwrap_err().to_string();
    assert!(error.contains("'sse'") && error.contains("avx2"), "{error}");
    assert!(Isa::best().is_available());
}
