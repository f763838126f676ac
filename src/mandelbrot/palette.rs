//! From counts to colours.
//!
//! Pure and exact: the bytes of a picture follow from the counts and fractions alone. Only IEEE
//! operations that round one way (add, multiply, square root) and the `libm` crate are used,
//! because the transcendental functions of `std` differ from one C library to the next.
//!
//! Every palette is a table of 16-bit colours, and 8 bits are the rounded 16, so that the two
//! depths of one picture never disagree. The choice of palette is made once, in
//! [`Colorer::new`]; the loops over pixels are straight.

mod histogram;
mod smooth;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::num::to_usize;
use crate::store::png::Depth;
pub use histogram::{Equalizer, Histogram};
use smooth::Gradient;
pub use smooth::fraction;

/// The count of a point that never escaped.
pub const NOT_ESCAPED: u32 = u32::MAX;

/// How counts become colours. Points that never escape are black in all but `Classic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Palette {
    /// `(i % 8 * 32, i % 16 * 16, i % 32 * 8)`; never escaped counts as the limit.
    Classic,
    /// Deep blue, ice, gold and back: cyclic.
    Dusk,
    /// Dark violet to yellow by way of green, mirrored.
    Viridis,
    /// Black to pale yellow by way of red, mirrored.
    Inferno,
    /// Black to cream by way of purple, mirrored.
    Magma,
    /// Blue to yellow, safe for colour-blind eyes, mirrored.
    Cividis,
    /// A rainbow of even lightness, mirrored.
    Turbo,
    /// All hues, cyclic.
    Sinebow,
    /// Equal areas get equal shares of one run from dark to light.
    Histogram,
}

/// A palette's name that is not known.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no palette is named `{name}`; did you mean `{nearest}`? The palettes are {}", names())]
pub struct UnknownPalette {
    name: String,
    nearest: Palette,
}

fn names() -> String {
    Palette::ALL.map(Palette::name).join(", ")
}

impl Palette {
    /// Every palette, in the order in which help texts name them.
    pub const ALL: [Palette; 9] = [
        Palette::Classic,
        Palette::Dusk,
        Palette::Viridis,
        Palette::Inferno,
        Palette::Magma,
        Palette::Cividis,
        Palette::Turbo,
        Palette::Sinebow,
        Palette::Histogram,
    ];

    /// The name on the command line, in decks and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Palette::Classic => "classic",
            Palette::Dusk => "dusk",
            Palette::Viridis => "viridis",
            Palette::Inferno => "inferno",
            Palette::Magma => "magma",
            Palette::Cividis => "cividis",
            Palette::Turbo => "turbo",
            Palette::Sinebow => "sinebow",
            Palette::Histogram => "histogram",
        }
    }

    /// Whether the fractions of [`fraction`] are used. Without them the colours form bands.
    pub const fn needs_fraction(self) -> bool {
        !matches!(self, Palette::Classic)
    }

    /// Whether an [`Equalizer`] over the whole picture is needed before the first pixel.
    pub const fn needs_histogram(self) -> bool {
        matches!(self, Palette::Histogram)
    }
}

impl fmt::Display for Palette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Palette {
    type Err = UnknownPalette;

    fn from_str(text: &str) -> Result<Self, UnknownPalette> {
        let wanted = text.to_lowercase();
        if let Some(found) = Palette::ALL.into_iter().find(|palette| palette.name() == wanted) {
            return Ok(found);
        }
        let distance = |palette: &Palette| strsim::damerau_levenshtein(palette.name(), &wanted);
        let nearest = Palette::ALL.into_iter().min_by_key(distance).unwrap_or(Palette::Classic);
        Err(UnknownPalette { name: text.to_owned(), nearest })
    }
}

/// A 16-bit red, green, blue.
type Rgb16 = [u16; 3];

const BLACK: Rgb16 = [0; 3];

enum Method {
    Classic(Box<[Rgb16; 32]>),
    Cyclic(Gradient),
    Equalized(Gradient, Equalizer),
}

/// Colours rows of counts by one palette.
pub struct Colorer {
    method: Method,
    max_iterations: u32,
}

impl Colorer {
    /// The colours of `palette` for counts up to `max_iterations`.
    ///
    /// # Panics
    /// When the palette [needs a histogram](Palette::needs_histogram) and `equalizer` is `None`.
    pub fn new(palette: Palette, max_iterations: u32, equalizer: Option<Equalizer>) -> Self {
        let method = match palette {
            Palette::Classic => Method::Classic(Box::new(classic_table())),
            Palette::Histogram => {
                let equalizer = equalizer.expect("Palette::needs_histogram says so beforehand");
                Method::Equalized(Gradient::of(palette), equalizer)
            }
            _ => Method::Cyclic(Gradient::of(palette)),
        };
        Colorer { method, max_iterations }
    }

    /// Fills `out` with the colours of `counts`, three samples a pixel in PNG's byte order.
    ///
    /// `fractions` are as many as `counts`, or none: then each count has one flat colour.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn color_row(&self, counts: &[u32], fractions: &[f32], depth: Depth, out: &mut [u8]) {
        assert_eq!(out.len(), counts.len() * depth.pixel_bytes(), "room for exactly these pixels");
        assert!(
            fractions.is_empty() || fractions.len() == counts.len(),
            "a fraction for each count"
        );
        match &self.method {
            Method::Classic(table) => {
                let at_limit = self.max_iterations;
                let color = |count: u32, _: f32| {
                    let steps = if count == NOT_ESCAPED { at_limit } else { count };
                    table[to_usize(u64::from(steps % 32))]
                };
                paint(counts, &[], depth, out, color);
            }
            Method::Cyclic(gradient) => {
                paint(counts, fractions, depth, out, |count, part| {
                    if count == NOT_ESCAPED { BLACK } else { gradient.cyclic(count, part) }
                });
            }
            Method::Equalized(gradient, equalizer) => {
                paint(counts, fractions, depth, out, |count, part| {
                    if count == NOT_ESCAPED {
                        BLACK
                    } else {
                        gradient.open(equalizer.position(count, part))
                    }
                });
            }
        }
    }
}

/// The modulo colours repeat after 32 counts. 8 bits stretch to 16 by a factor of 257, which
/// rounds back to the same byte.
fn classic_table() -> [Rgb16; 32] {
    let mut table = [BLACK; 32];
    for (steps, color) in (0u16..).zip(table.iter_mut()) {
        *color = [steps % 8 * 32 * 257, steps % 16 * 16 * 257, steps * 8 * 257];
    }
    table
}

/// The inner loop, made anew for every method and depth so that neither is asked for a pixel.
#[inline]
fn paint(
    counts: &[u32],
    fractions: &[f32],
    depth: Depth,
    out: &mut [u8],
    color: impl Fn(u32, f32) -> Rgb16,
) {
    match depth {
        Depth::Eight => {
            let pixels = out.as_chunks_mut::<3>().0;
            each(counts, fractions, pixels, |count, part| color(count, part).map(narrow));
        }
        Depth::Sixteen => {
            let pixels = out.as_chunks_mut::<6>().0;
            each(counts, fractions, pixels, |count, part| {
                let [[r0, r1], [g0, g1], [b0, b1]] = color(count, part).map(u16::to_be_bytes);
                [r0, r1, g0, g1, b0, b1]
            });
        }
    }
}

#[inline]
fn each<P>(counts: &[u32], fractions: &[f32], out: &mut [P], color: impl Fn(u32, f32) -> P) {
    if fractions.is_empty() {
        for (pixel, &count) in out.iter_mut().zip(counts) {
            *pixel = color(count, 0.0);
        }
    } else {
        for ((pixel, &count), &part) in out.iter_mut().zip(counts).zip(fractions) {
            *pixel = color(count, part);
        }
    }
}

/// `round(value / 257)` without a division: the nearest of 256 levels.
#[inline]
fn narrow(value: u16) -> u8 {
    let [level, ..] = ((u32::from(value) * 255 + 32_895) >> 16).to_le_bytes();
    level
}
