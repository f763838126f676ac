//! The continuous count, and the gradients that it runs along.

use std::array;

use colorgrad::{BlendMode, CatmullRomGradient, Color, Gradient as _, GradientBuilder, preset};

use super::{Palette, Rgb16};
use crate::num::{floor_u64, len_f64, to_f32, to_usize};

/// Iterating on stops at `|z|^2` above this. Near it `|z|` is squared by each step to a relative
/// error of `|c| / 2^32`, which moves the continuous count by less than 1e-10: below the rounding
/// of the `f32` that carries it.
const FAR: f64 = 4_294_967_296.0;

/// Iterating on stops after this many steps. Only the left tip of the set needs more than seven:
/// there `|z|` stays near 2 for `log4(1/distance)` steps, 27 at the nearest `f64`. At c = -2
/// itself it stays for ever.
const STEPS_ON: u8 = 64;

/// The part of the continuous count that the count `n` leaves out, from the first `z` with
/// `|z|^2 >= 4` and its `c`.
///
/// With `k` further steps up to a large `|z|`, the continuous count is
/// `mu = n + k + 2 - log2(log2(|z|^2))`, and the fraction is `mu - n`. The terms are chosen so that
/// `mu = n + 1` where `|z| = 2` would be squared for ever, hence the fraction runs from about 1 on
/// the outer border of a count's band to about 0 on the inner one. Because `c` is added
/// in each step, it leaves `0..=1` a little (-0.4 to 1.6 in most pictures), is below -1 only for
/// `|c| > 16`, and grows next to the left tip: to 6 at the pixel nearest to it in the default
/// picture, to 30 at the nearest `f64`, to 65 at c = -2 itself. It is always finite.
pub fn fraction(zr: f64, zi: f64, cr: f64, ci: f64) -> f32 {
    let (mut zr, mut zi) = (zr, zi);
    let mut steps = 0u8;
    let mut square = zr * zr + zi * zi;
    while square <= FAR && steps < STEPS_ON {
        let next = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = next;
        square = zr * zr + zi * zi;
        steps += 1;
    }
    // Rounding may leave |z| a hair below 2 at the left tip, and a distant c may overflow.
    let square = square.clamp(4.0, f64::MAX);
    to_f32(f64::from(steps) + 2.0 - libm::log2(libm::log2(square)))
}

/// Colours of a gradient's table: fine enough that the linear steps between them are below one
/// 8-bit level in every gradient here.
const TABLE_LEN: usize = 4096;
/// Binary digits of a position between two colours of the table.
const BETWEEN_BITS: u32 = 16;

/// The last position before 1, where a gradient starts again.
const END: f64 = 1.0 - f64::EPSILON;

/// Square roots of counts that one turn of a cyclic gradient spans.
const TURN: f64 = 6.0;

/// A closed or open run of colours.
pub(super) struct Gradient {
    /// One more than [`TABLE_LEN`]: the end repeats the start when the gradient is closed.
    table: Box<[Rgb16; TABLE_LEN + 1]>,
    /// Where the outermost counts stand, in turns.
    phase: f64,
}

impl Gradient {
    pub(super) fn of(palette: Palette) -> Self {
        let bake = |mirrored: bool, phase: f64, at: &dyn Fn(f32) -> Color| {
            let color = |index: usize| {
                let t = len_f64(index) / len_f64(TABLE_LEN);
                at(to_f32(if mirrored { 1.0 - (2.0 * t - 1.0).abs() } else { t }))
            };
            Gradient { table: Box::new(array::from_fn(|index| rgb16(&color(index)))), phase }
        };
        match palette {
            Palette::Dusk | Palette::Classic => {
                let dusk = dusk();
                bake(false, 0.0, &|t| dusk.at(t))
            }
            Palette::Viridis => bake(true, 0.0, &|t| preset::viridis().at(t)),
            Palette::Inferno => bake(true, 0.0, &|t| preset::inferno().at(t)),
            Palette::Magma => bake(true, 0.0, &|t| preset::magma().at(t)),
            Palette::Cividis => bake(true, 0.0, &|t| preset::cividis().at(t)),
            Palette::Turbo => bake(true, 0.0, &|t| preset::turbo().at(t)),
            Palette::Sinebow => bake(false, 0.6, &|t| preset::sinebow().at(t)),
            Palette::Histogram => bake(false, 0.0, &|t| preset::inferno().at(t)),
        }
    }

    /// The colour of a continuous count: its square root goes round the gradient, so that bands
    /// are narrow where counts are low and still part counts that differ by 1 % at 10 000.
    #[inline]
    pub(super) fn cyclic(&self, count: u32, fraction: f32) -> Rgb16 {
        let mu = (f64::from(count) + f64::from(fraction)).max(1.0);
        self.at((mu.sqrt() - 1.0) * (1.0 / TURN) + self.phase)
    }

    /// The colour at a position from 0 to 1, the end included.
    #[inline]
    pub(super) fn open(&self, position: f64) -> Rgb16 {
        self.at(position.min(END))
    }

    /// The colour at a position, of which only the part after the point matters.
    #[inline]
    fn at(&self, position: f64) -> Rgb16 {
        let fixed = floor_u64(position * (len_f64(TABLE_LEN) * f64::from(1u32 << BETWEEN_BITS)));
        let index = to_usize(fixed >> BETWEEN_BITS) % TABLE_LEN;
        let [low_bits, high_bits, ..] = fixed.to_le_bytes();
        let weight = u32::from(u16::from_le_bytes([low_bits, high_bits]));
        let (low, high) = (self.table[index], self.table[index + 1]);
        let blend = |channel: usize| {
            let (low, high) = (u32::from(low[channel]), u32::from(high[channel]));
            // At most 65535 * 2^16 + 2^15, which 32 bits hold.
            let sum =
                low * ((1 << BETWEEN_BITS) - weight) + high * weight + (1 << (BETWEEN_BITS - 1));
            let [_, _, first, second] = sum.to_le_bytes();
            u16::from_le_bytes([first, second])
        };
        [blend(0), blend(1), blend(2)]
    }
}

/// Deep blue, sky, ice, gold, embers and deep blue again.
fn dusk() -> CatmullRomGradient {
    let stops: [(f32, [u8; 3]); 6] = [
        (0.0, [4, 8, 60]),
        (0.2, [24, 92, 190]),
        (0.42, [232, 250, 252]),
        (0.62, [255, 176, 24]),
        (0.84, [58, 8, 16]),
        (1.0, [4, 8, 60]),
    ];
    let colors = stops.map(|(_, [r, g, b])| Color::from_rgba8(r, g, b, 255));
    let positions = stops.map(|(position, _)| position);
    GradientBuilder::new()
        .colors(&colors)
        .domain(&positions)
        .mode(BlendMode::Oklab)
        .build()
        .expect("colours and ascending positions in equal numbers")
}

fn rgb16(color: &Color) -> Rgb16 {
    [color.r, color.g, color.b].map(|part| {
        let level = floor_u64(f64::from(part.clamp(0.0, 1.0)) * 65_535.0 + 0.5);
        u16::try_from(level).expect("at most 65535")
    })
}
