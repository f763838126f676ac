//! Vectors of eight lanes, AVX-512F.
//!
//! The structure, the seven vectors (56 lanes) and the mix of forms are those of the AVX2 kernel,
//! and so is the text of the steps. Where additions and multiplications share their pipes (Intel),
//! the fused form in every vector would be a little better still: 6 operations instead of 6.6.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use std::arch::x86_64::{
    __m512d, __m512i, __mmask8, _CMP_EQ_OQ, _CMP_LT_OQ, _mm512_add_pd, _mm512_cmp_pd_mask,
    _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_mask_add_epi64, _mm512_mask_blend_pd, _mm512_mul_pd,
    _mm512_set1_epi64, _mm512_set1_pd, _mm512_setzero_si512, _mm512_storeu_pd, _mm512_storeu_si512,
    _mm512_sub_pd,
};

use super::limit::{self, Mix};
use super::simd::{self, Advanced, BATCH, Complex, Kernel, Simd};
use super::x86::{block_steps, step_text, steps_function, x86_kernel};
use crate::num;

x86_kernel!(Avx512, 8, 7, "avx512f", ["avx512f"]);

block_steps!(__m512d, zmm_reg, "avx512f");

impl Simd<LANES> for Avx512 {
    type V = __m512d;
    type M = __mmask8;
    type I = __m512i;

    #[inline(always)]
    fn load(self, from: &[f64; LANES]) -> Self::V {
        // SAFETY: the token proves the features; the array holds as many numbers as are read.
        unsafe { _mm512_loadu_pd(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f64; LANES]) {
        // SAFETY: the token proves the features; the array holds as many numbers as are written.
        unsafe {
            _mm512_storeu_pd(to.as_mut_ptr(), v);
        }
    }
    #[inline(always)]
    fn splat(self, value: f64) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_set1_pd(value) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_add_pd(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_sub_pd(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_mul_pd(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    fn less(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn equal(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        a & b
    }
    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        a | b
    }
    #[inline(always)]
    fn bits(self, mask: Self::M) -> u64 {
        u64::from(mask)
    }
    #[inline(always)]
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_mask_blend_pd(mask, no, yes) }
    }
    #[inline(always)]
    fn zero(self) -> Self::I {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    fn tally(self, count: Self::I, mask: Self::M) -> Self::I {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_mask_add_epi64(count, mask, count, _mm512_set1_epi64(1)) }
    }
    #[inline(always)]
    fn store_counts(self, count: Self::I, to: &mut [u64; LANES]) {
        // SAFETY: the token proves the features; the array holds as many numbers as are written.
        unsafe {
            _mm512_storeu_si512(to.as_mut_ptr().cast(), count);
        }
    }

    #[inline(always)]
    fn steps<const V: usize, const N: usize>(
        self,
        zr: &mut [Self::V; V],
        zi: &mut [Self::V; V],
        c: &Complex<N>,
        block: u32,
    ) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { steps(zr, zi, self.splat(2.0), c, block) }
    }
}
