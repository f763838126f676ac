//! Escape-time kernels: how many steps each point takes until `|z|^2 >= 4`.
//!
//! The arithmetic is defined, so that every kernel gives the same bits: `z = 0`; before each step
//! the test `zr*zr + zi*zi >= 4`; the step is `zi' = 2*(zr*zi) + ci`, `zr' = (zr*zr - zi*zi) + cr`,
//! every operation rounded once. A point that takes `max` steps without the test firing is
//! [`NOT_ESCAPED`].
//!
//! [`reference`](mod@reference) is that sentence as code. The vector kernels share one driver
//! (`lanes`), one entry stage (`feed`) and one set of loops (`simd`), and differ only in their
//! operations. The price for the speed is that pixels come back in any order.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod feed;
mod lanes;
pub mod limit;
mod portable;
pub mod reference;
mod simd;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_width;
mod window;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::str::FromStr;

pub use window::{Lattice, Points, Window};

/// The count of a point that has not escaped; no count reaches it, as `max` is below it.
pub const NOT_ESCAPED: u32 = u32::MAX;

/// What a kernel says about one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixel {
    /// Steps taken when the test fired, or [`NOT_ESCAPED`].
    pub steps: u32,
    /// Steps really spent: more than `steps` where a block ran on after the escape, fewer than
    /// the limit where the orbit was seen to repeat, 0 where the point needed no iteration.
    pub executed: u32,
    /// Real part of `z`: for an escaped point exactly where the test fired, else unspecified.
    pub zr: f64,
    /// Imaginary part of `z`, likewise.
    pub zi: f64,
    /// Real part of the point.
    pub cr: f64,
    /// Imaginary part of the point.
    pub ci: f64,
}

/// Which exact short cuts are taken. None of them changes a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skips {
    /// Points of the main cardioid and the period-2 disc are known not to escape.
    pub bulbs: bool,
    /// An orbit that returns to an earlier `z` never escapes.
    pub periodicity: bool,
}

impl Skips {
    /// Every short cut.
    pub const ALL: Self = Self { bulbs: true, periodicity: true };
    /// Every point is iterated to the end.
    pub const NONE: Self = Self { bulbs: false, periodicity: false };
}

/// The instruction set, that is, the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// The plain scalar loop; ignores [`Skips`].
    Reference,
    /// Arrays, vectorised by the compiler for the target it was given.
    Portable,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

impl Isa {
    /// From the slowest to the fastest.
    pub const ALL: [Self; 4] = [Self::Reference, Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Reference | Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The fastest that this machine can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().rfind(|isa| isa.is_available()).unwrap_or(Self::Reference)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name belongs to no instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownIsa(String);

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Isa::ALL.map(Isa::name).join(", ");
        write!(f, "unknown instruction set '{}'; use one of: {names}", self.0)
    }
}

impl std::error::Error for UnknownIsa {}

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(text: &str) -> Result<Self, UnknownIsa> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.name() == text)
            .ok_or_else(|| UnknownIsa(text.to_owned()))
    }
}

/// Iterates every point and hands each to `sink` once, with its position in `points`, in any order.
///
/// The points must be numbers; infinity is one.
///
/// # Panics
/// When `max` is [`NOT_ESCAPED`], or this machine cannot run `isa` ([`Isa::is_available`]).
pub fn iterate(
    isa: Isa,
    points: impl Iterator<Item = (f64, f64)>,
    max: u32,
    skips: Skips,
    sink: impl FnMut(usize, Pixel),
) {
    assert!(max < NOT_ESCAPED, "a limit of {max} steps leaves no count for points that stay");
    match isa {
        Isa::Reference => reference::iterate(points, max, sink),
        Isa::Portable => {
            lanes::iterate::<{ portable::WIDTH }, _>(portable::Portable, points, max, skips, sink);
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            let token = avx2::Avx2::new().expect("avx2 and fma on this machine");
            lanes::iterate::<{ avx2::WIDTH }, _>(token, points, max, skips, sink);
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            let token = avx512::Avx512::new().expect("avx512f on this machine");
            lanes::iterate::<{ avx512::WIDTH }, _>(token, points, max, skips, sink);
        }
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => panic!("{isa} is not available on this machine"),
    }
}
