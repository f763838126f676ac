//! Vectors of four lanes, AVX2 and FMA.
//!
//! Seven vectors, 28 lanes, are in flight; `x86` says why. The cost of many lanes is that a small
//! tile ends with many of them idle: 64 hard pixels take three rounds where 2.3 would do.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use std::arch::x86_64::{
    __m256d, __m256i, _CMP_EQ_OQ, _CMP_LT_OQ, _mm256_add_pd, _mm256_and_pd, _mm256_blendv_pd,
    _mm256_castpd_si256, _mm256_cmp_pd, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_movemask_pd,
    _mm256_mul_pd, _mm256_or_pd, _mm256_set1_pd, _mm256_setzero_si256, _mm256_storeu_pd,
    _mm256_storeu_si256, _mm256_sub_epi64, _mm256_sub_pd,
};

use super::limit::{self, Mix};
use super::simd::{self, Advanced, BATCH, Complex, Kernel, Simd};
use super::x86::{block_steps, step_text, steps_function, x86_kernel};
use crate::num;

x86_kernel!(Avx2, 4, 7, "avx2,fma", ["avx2", "fma"]);

block_steps!(__m256d, ymm_reg, "avx2,fma");

impl Simd<LANES> for Avx2 {
    type V = __m256d;
    type M = __m256d;
    type I = __m256i;

    #[inline(always)]
    fn load(self, from: &[f64; LANES]) -> Self::V {
        // SAFETY: the token proves the features; the array holds as many numbers as are read.
        unsafe { _mm256_loadu_pd(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f64; LANES]) {
        // SAFETY: the token proves the features; the array holds as many numbers as are written.
        unsafe {
            _mm256_storeu_pd(to.as_mut_ptr(), v);
        }
    }
    #[inline(always)]
    fn splat(self, value: f64) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_set1_pd(value) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_add_pd(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_sub_pd(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_mul_pd(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    fn less(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_cmp_pd::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    fn equal(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_cmp_pd::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn and(self, a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_and_pd(a, b) }
    }
    #[inline(always)]
    fn or(self, a: Self::M, b: Self::M) -> Self::M {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_or_pd(a, b) }
    }
    #[inline(always)]
    fn bits(self, mask: Self::M) -> u64 {
        // SAFETY: the token proves that the CPU has the features.
        let bits = unsafe { _mm256_movemask_pd(mask) };
        u64::from(bits.cast_unsigned())
    }
    #[inline(always)]
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_blendv_pd(no, yes, mask) }
    }
    #[inline(always)]
    fn zero(self) -> Self::I {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    fn tally(self, count: Self::I, mask: Self::M) -> Self::I {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_sub_epi64(count, _mm256_castpd_si256(mask)) }
    }
    #[inline(always)]
    fn store_counts(self, count: Self::I, to: &mut [u64; LANES]) {
        // SAFETY: the token proves the features; the array holds as many numbers as are written.
        unsafe {
            _mm256_storeu_si256(to.as_mut_ptr().cast(), count);
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
