//! Vectors as small arrays that any compiler turns into whatever the target offers.
//!
//! No intrinsics and no `unsafe`, so it runs everywhere. On x86-64 without further target features
//! this is SSE2, two lanes a vector: half the width of AVX2.
#![allow(clippy::inline_always, reason = "the operations must vanish into the loops")]

use std::array::from_fn;

use super::limit::{self, Mix};
use super::simd::{self, Advanced, BATCH, Complex, Kernel, Simd};

use crate::num;

const LANES: usize = 2;
const VECTORS: usize = 6;
/// Lanes in flight.
pub(super) const WIDTH: usize = LANES * VECTORS;

/// No proof is needed: arrays exist everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Simd<LANES> for Portable {
    type V = [f64; LANES];
    type M = [u64; LANES];
    type I = [u64; LANES];

    #[inline(always)]
    fn load(self, from: &[f64; LANES]) -> Self::V {
        *from
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f64; LANES]) {
        *to = v;
    }
    #[inline(always)]
    fn splat(self, value: f64) -> Self::V {
        [value; LANES]
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn less(self, a: Self::V, b: Self::V) -> Self::M {
        from_fn(|i| if a[i] < b[i] { u64::MAX } else { 0 })
    }
    #[expect(clippy::float_cmp, reason = "exact repetition is the question")]
    #[inline(always)]
    fn equal(self, a: Self::V, b: Self::V) -> Self::M {
        from_fn(|i| if a[i] == b[i] { u64::MAX } else { 0 })
    }
    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        from_fn(|i| a[i] & b[i])
    }
    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        from_fn(|i| a[i] | b[i])
    }
    #[inline(always)]
    fn bits(self, mask: Self::M) -> u64 {
        (mask[0] & 1) | (mask[1] & 2)
    }
    #[inline(always)]
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        from_fn(|i| f64::from_bits((mask[i] & yes[i].to_bits()) | (!mask[i] & no[i].to_bits())))
    }
    #[inline(always)]
    fn zero(self) -> Self::I {
        [0; LANES]
    }
    #[inline(always)]
    fn tally(self, count: Self::I, mask: Self::M) -> Self::I {
        from_fn(|i| count[i].wrapping_sub(mask[i]))
    }
    #[inline(always)]
    fn store_counts(self, count: Self::I, to: &mut [u64; LANES]) {
        *to = count;
    }
}

impl Kernel<WIDTH> for Portable {
    #[inline(never)]
    fn advance(
        self,
        z: &mut Complex<WIDTH>,
        saved: &mut Complex<WIDTH>,
        c: &Complex<WIDTH>,
        block: u32,
        blocks: u32,
    ) -> Advanced {
        simd::advance::<Self, LANES, VECTORS, WIDTH>(self, z, saved, c, block, blocks)
    }
    #[inline(never)]
    fn repeats(self, a: &Complex<WIDTH>, b: &Complex<WIDTH>) -> u64 {
        simd::repeats(self, a, b)
    }
    #[inline(never)]
    fn count(
        self,
        z: &mut Complex<BATCH>,
        c: &Complex<BATCH>,
        used: usize,
        limit: u32,
    ) -> [u64; BATCH] {
        simd::count(self, z, c, used, limit)
    }
    #[inline(never)]
    fn inside(self, c: &Complex<BATCH>) -> u64 {
        simd::inside(self, c)
    }
}

impl Portable {
    /// The limit's arithmetic, see [`limit`].
    #[inline(never)]
    pub(super) fn rate(self, passes: u64) -> u64 {
        limit::run(self, Mix::Plain, passes);
        passes * limit::vectors_per_pass(Mix::Plain) * num::to_u64(LANES)
    }
}
