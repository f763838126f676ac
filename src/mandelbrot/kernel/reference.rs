//! The plain loop: one pixel, one step at a time, one test before each step.
//!
//! It defines what every other kernel must return, bit for bit, and it is the baseline that
//! speeds are compared with. It is bound by latency: each step waits for the one before, so it
//! leaves most of the arithmetic units idle. It stays as it is; do not tune it.

use super::{NOT_ESCAPED, Pixel};

/// The orbit of one point from `z = 0`.
#[inline]
pub fn escape(cr: f64, ci: f64, max: u32) -> Pixel {
    resume((0.0, 0.0), (cr, ci), 0, max)
}

/// Goes on with an orbit that already stands at `z` after `age` steps.
///
/// `executed` counts all `steps` from 0, those before `age` included.
#[inline]
pub(super) fn resume(
    (mut zr, mut zi): (f64, f64),
    (cr, ci): (f64, f64),
    age: u32,
    max: u32,
) -> Pixel {
    let mut taken = age;
    while taken < max {
        let zr2 = zr * zr;
        let zi2 = zi * zi;
        if zr2 + zi2 >= 4.0 {
            return Pixel { steps: taken, executed: taken, zr, zi, cr, ci };
        }
        zi = 2.0 * (zr * zi) + ci;
        zr = zr2 - zi2 + cr;
        taken += 1;
    }
    Pixel { steps: NOT_ESCAPED, executed: taken, zr, zi, cr, ci }
}

/// Every point by [`escape`], in order.
pub fn iterate(
    points: impl Iterator<Item = (f64, f64)>,
    max: u32,
    mut sink: impl FnMut(usize, Pixel),
) {
    for (index, (cr, ci)) in points.enumerate() {
        sink(index, escape(cr, ci, max));
    }
}
