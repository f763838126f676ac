//! The check of every run: a seeded sample of pixels, recomputed by the reference kernel.
//!
//! The sample depends on the picture and the seed alone. Half of it is moved to the edges of the
//! 8x8 cells that tiles are made of, where a wrong cut would show. The reference kernel is twenty
//! times slower than the fast ones, so the sample is small and long orbits are followed to a limit
//! only: up to there the counts must agree.

use super::bands::Band;
use super::kernel::{NOT_ESCAPED, Skips, iterate};
use super::palette::fraction;
use super::pieces::Rows;
use super::spec::Spec;
use super::{Isa, kernel::Lattice};
use crate::num::{mix64, to_usize};
use crate::partition::CELL;

/// One pixel in this many is recomputed, within the bounds below.
const PIXELS_PER_SAMPLE: u64 = 2048;
/// So few pixels are always worth it.
const SAMPLES_MIN: u64 = 64;
/// So many suffice to see an error in one pixel of a few hundred with certainty.
const SAMPLES_MAX: u64 = 1024;
/// Steps of one recomputed orbit: 0.7 ms of the reference kernel.
const STEPS_MAX: u32 = 1 << 18;

/// How many pixels of the picture are recomputed.
pub fn sample_count(width: u32, height: u32) -> u64 {
    let pixels = u64::from(width) * u64::from(height);
    (pixels / PIXELS_PER_SAMPLE).clamp(SAMPLES_MIN, SAMPLES_MAX)
}

/// Pixel `index` of the sample.
pub fn sample(seed: u64, index: u64, width: u32, height: u32) -> (u32, u32) {
    let bits = mix64(mix64(seed) ^ index);
    let below = |bits: u64, size: u32| {
        let scaled = (u128::from(bits) * u128::from(size)) >> 64;
        u32::try_from(scaled).expect("below size")
    };
    let (x, y) = (below(bits, width), below(mix64(bits), height));
    let edge = |at: u32, size: u32, last: bool| {
        let first = at / CELL * CELL;
        if last { (first + CELL - 1).min(size - 1) } else { first }
    };
    match index % 4 {
        0 | 1 => (x, y),
        2 => (edge(x, width, bits & 1 == 1), edge(y, height, bits & 2 == 2)),
        _ => (edge(x, width, bits & 1 == 1), y),
    }
}

/// Recomputes the sampled pixels of a band that `rank` keeps. Returns how many there were.
///
/// # Errors
/// A sentence about the first pixel that differs.
pub fn check_rows(spec: &Spec, band: &Band, rank: u64, rows: &Rows) -> Result<u64, String> {
    let lattice = spec.lattice();
    let mut checked = 0;
    for index in 0..sample_count(spec.width, spec.height) {
        let (x, y) = sample(spec.seed, index, spec.width, spec.height);
        if band.rows.contains(&y) && band.place_of(y).0 == rank {
            let at = rows.start_of(band, y) + to_usize(x.into());
            let fraction = rows.fractions.get(at).copied();
            check_pixel(spec, lattice, x, y, rows.counts[at], fraction)?;
            checked += 1;
        }
    }
    Ok(checked)
}

fn check_pixel(
    spec: &Spec,
    lattice: Lattice,
    x: u32,
    y: u32,
    count: u32,
    found_fraction: Option<f32>,
) -> Result<(), String> {
    let limit = spec.max_iterations.min(STEPS_MAX);
    let point = std::iter::once((lattice.re(x), lattice.im(y)));
    let mut reference = None;
    iterate(Isa::Reference, point, limit, Skips::NONE, |_, pixel| reference = Some(pixel));
    let reference = reference.expect("one point in, one pixel out");
    // Beyond the limit all that is known is that the orbit has not escaped so far.
    let known = if count > limit { NOT_ESCAPED } else { count };
    if known != reference.steps {
        return Err(format!(
            "pixel ({x}, {y}) has count {count}, the reference kernel finds {} within {limit} steps",
            reference.steps
        ));
    }
    let expected = if known == NOT_ESCAPED {
        None
    } else {
        Some(fraction(reference.zr, reference.zi, reference.cr, reference.ci))
    };
    match (found_fraction, expected) {
        (Some(found), Some(expected)) if found.to_bits() != expected.to_bits() => Err(format!(
            "pixel ({x}, {y}) has fraction {found}, the reference kernel finds {expected}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_in_the_picture_and_on_edges() {
        for (width, height) in [(1, 1), (7, 5), (640, 480), (3, 100_000)] {
            let mut on_edge = 0;
            for index in 0..400 {
                let (x, y) = sample(9, index, width, height);
                assert!(x < width && y < height);
                on_edge += u32::from(x % CELL == 0 || x % CELL == 7 || x == width - 1);
            }
            assert!(on_edge >= 200);
        }
        assert_ne!(sample(1, 0, 640, 480), sample(2, 0, 640, 480));
    }
}
