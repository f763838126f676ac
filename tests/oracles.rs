//! Numbers from outside the program: published counts, published areas, a plain loop.

use crate::util::Dir;
use dcomp::mandelbrot::kernel::{Isa, NOT_ESCAPED, Skips, iterate};

/// The definition, written down once more and as plainly as possible.
pub fn steps(cr: f64, ci: f64, limit: u32) -> u32 {
    let (mut zr, mut zi) = (0.0_f64, 0.0_f64);
    for step in 0..limit {
        if zr * zr + zi * zi >= 4.0 {
            return step;
        }
        let (next_zr, next_zi) = (zr * zr - zi * zi + cr, 2.0 * zr * zi + ci);
        (zr, zi) = (next_zr, next_zi);
    }
    NOT_ESCAPED
}

fn count(isa: Isa, c: (f64, f64), limit: u32) -> u32 {
    let mut found = None;
    iterate(isa, std::iter::once(c), limit, Skips::ALL, |_, pixel| found = Some(pixel.steps));
    found.expect("one point in, one count out")
}

/// Steps beside the neck and the cusp of the set, times the distance (or its root), approach pi
/// (A. Klebanoff, "Pi in the Mandelbrot set", Fractals 9, 2001).
#[test]
fn pi_appears_in_the_neck_and_the_cusp() {
    let neck = [33, 315, 3143, 31_417, 314_160, 3_141_593, 31_415_927];
    let cusp = [30, 312, 3140, 31_414, 314_157];
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available() && *isa != Isa::Portable) {
        for (power, expected) in (1..).zip(neck) {
            let e = 10_f64.powi(-power);
            assert_eq!(count(isa, (-0.75, e), 40_000_000), expected, "{isa} -0.75 + {e} i");
        }
        for (power, expected) in (1..).zip(cusp) {
            let e = 100_f64.powi(-power);
            assert_eq!(count(isa, (0.25 + e, 0.0), 1_000_000), expected, "{isa} 0.25 + {e}");
        }
    }
}

/// Known counts of midpoints inside the set, on the real binary: re -2..0.5, im 0..1.25, 512 rows.
#[test]
fn published_area_counts() {
    let dir = Dir::new("area");
    let h = 1.25_f64 / 512.0;
    let region = format!("{},{},{},{}", -2.0 + h / 2.0, 0.5 + h / 2.0, h / 2.0, 1.25 + h / 2.0);
    for (limit, inside) in [("1000", 126_686), ("10000", 126_397)] {
        let record = format!("{limit}.json");
        dir.dcomp(&["mandelbrot", "-W", "1024", "-H", "512", "-n", limit, "--region", &region])
            .env("DCOMP_FORCE", "true")
            .env("DCOMP_RECORD", &record)
            .ranks(3)
            .ok();
        assert_eq!(dir.json(&record)["result"]["interior_pixels"], inside);
    }
}

/// The default picture, pixel by pixel, against the plain loop and the plain colour formula.
#[test]
fn default_picture_is_the_definition() {
    let dir = Dir::new("default");
    dir.dcomp(&["mandelbrot"]).ok();
    let picture = image::open(dir.path("mandelbrot.png")).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (640, 480));
    let (mut iterations, mut interior) = (0, 0);
    for (x, y, pixel) in picture.enumerate_pixels() {
        let re = f64::from(x) * (3.5 / 640.0) - 2.5;
        let im = f64::from(y) * (2.0 / 480.0) - 1.0;
        let steps = match steps(re, im, 1000) {
            NOT_ESCAPED => {
                interior += 1;
                1000
            }
            steps => steps,
        };
        iterations += u64::from(steps);
        let color = [steps % 8 * 32, steps % 16 * 16, steps % 32 * 8];
        assert_eq!(pixel.0.map(u32::from), color, "pixel ({x}, {y})");
    }
    let result = &dir.json("mandelbrot.png.json")["result"];
    assert_eq!(result["iterations_total"], iterations);
    assert_eq!(result["interior_pixels"], interior);
}

/// A larger limit changes only points that had not escaped; every second pixel of the picture at
/// twice the size is the picture.
#[test]
fn pictures_of_one_view_agree() {
    let dir = Dir::new("metamorphic");
    let view = ["--center", "-0.7436438870371587,0.1318259043091895", "--zoom", "500"];
    let counts = |name: &str, width: &str, height: &str, limit: &str| {
        let file = format!("{name}.h5");
        let output = format!("{name}.png");
        let size = ["mandelbrot", "-W", width, "-H", height, "-n", limit, "--hdf5", &file];
        dir.dcomp(&[&size[..], &view, &["-o", &output]].concat()).ok();
        crate::readers::h5dump_counts(&dir, &file)
    };
    let small = counts("small", "120", "90", "400");
    let longer = counts("longer", "120", "90", "4000");
    let double = counts("double", "240", "180", "400");
    let escaped = small.iter().filter(|&&count| count != NOT_ESCAPED).count();
    assert!(escaped > 1000 && small.len() - escaped > 10, "a view with both kinds");
    for (&short, &long) in small.iter().zip(&longer) {
        // The test comes before each step: the largest count under a limit is one less.
        assert!(short == long || (short == NOT_ESCAPED && long >= 400), "{short} {long}");
    }
    for (at, &count) in small.iter().enumerate() {
        let (x, y) = (at % 120, at / 120);
        assert_eq!(double[2 * y * 240 + 2 * x], count, "({x}, {y})");
    }
}
