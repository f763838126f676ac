//! Vectors of 256 bits: four `u64` or eight `u32`. Needs AVX2.
//!
//! The instruction set compares signed numbers only and has no 64-bit minimum: `u64` are held with
//! their highest bit turned over, which costs an operation a load and one a store. It cannot
//! compress either; the order in which a split takes the lanes comes from tables.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use std::arch::x86_64::{
    __m256i, _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castsi256_pd,
    _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_cmpgt_epi64, _mm256_loadu_si256,
    _mm256_maskload_epi32, _mm256_maskload_epi64, _mm256_maskstore_epi32, _mm256_maskstore_epi64,
    _mm256_max_epu32, _mm256_min_epu32, _mm256_movemask_pd, _mm256_movemask_ps,
    _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_shuffle_epi32,
    _mm256_shuffle_ps, _mm256_srlv_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::simd::Simd;
use super::x86::{LANES_OF, x86_kernel, x86_token};

x86_token!(Avx2, ["avx2", "bmi2", "popcnt"]);
x86_kernel!(Avx2, u64, 4, "avx2,bmi2,popcnt");
x86_kernel!(Avx2, u32, 8, "avx2,bmi2,popcnt");

/// For 4 lanes and every mask: the 32-bit halves of the lanes in the mask, then of the others.
static HALVES_OF: [[u32; 8]; 16] = {
    let mut table = [[0; 8]; 16];
    let mut mask = 0;
    while mask < table.len() {
        let (mut place, mut pass) = (0, 0);
        while pass < 2 {
            let mut lane = 0;
            while lane < 4 {
                if ((mask >> lane) & 1 == 1) == (pass == 0) {
                    table[mask][place] = 2 * lane;
                    table[mask][place + 1] = 2 * lane + 1;
                    place += 2;
                }
                lane += 1;
            }
            pass += 1;
        }
        mask += 1;
    }
    table
};

/// From element `8 - n`: a mask of the first `n` of eight 32-bit lanes, `n` up to 8.
static FIRST: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Simd<u64, 4> for Avx2 {
    type V = __m256i;
    const ROWS: usize = 16;

    #[inline(always)]
    fn splat(self, key: u64) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { turn(_mm256_set1_epi64x(key.cast_signed())) }
    }
    #[inline(always)]
    fn load(self, from: &[u64; 4]) -> Self::V {
        // SAFETY: the token proves the features; the array holds as many keys as are read.
        unsafe { turn(_mm256_loadu_si256(from.as_ptr().cast())) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [u64; 4]) {
        // SAFETY: the token proves the features; the array holds as many keys as are written.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), turn(v)) }
    }
    #[inline(always)]
    fn load_some(self, from: &[u64], rest: Self::V) -> Self::V {
        if let Some(whole) = from.first_chunk() {
            return self.load(whole);
        }
        // SAFETY: the token proves the features; only lanes that the slice has are read.
        unsafe {
            let mask = first(2 * from.len());
            let keys = _mm256_maskload_epi64(from.as_ptr().cast(), mask);
            _mm256_blendv_epi8(rest, turn(keys), mask)
        }
    }
    #[inline(always)]
    fn store_some(self, v: Self::V, to: &mut [u64]) {
        if let Some(whole) = to.first_chunk_mut() {
            return self.store(v, whole);
        }
        // SAFETY: the token proves the features; only lanes that the slice has are written.
        unsafe {
            _mm256_maskstore_epi64(to.as_mut_ptr().cast(), first(2 * to.len()), turn(v));
        }
    }
    #[inline(always)]
    fn order(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let swap = _mm256_cmpgt_epi64(a, b);
            (_mm256_blendv_epi8(a, b, swap), _mm256_blendv_epi8(b, a, swap))
        }
    }
    #[inline(always)]
    fn flip<const X: usize>(self, v: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            match X {
                1 => _mm256_shuffle_epi32::<0b01_00_11_10>(v),
                2 => _mm256_permute4x64_epi64::<0b01_00_11_10>(v),
                3 => _mm256_permute4x64_epi64::<0b00_01_10_11>(v),
                _ => unreachable!("four lanes"),
            }
        }
    }
    #[inline(always)]
    fn pick<const BIT: usize>(self, without: Self::V, with: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            match BIT {
                1 => _mm256_blend_epi32::<0b1100_1100>(without, with),
                2 => _mm256_blend_epi32::<0b1111_0000>(without, with),
                _ => unreachable!("four lanes"),
            }
        }
    }
    #[inline(always)]
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { join_halves(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)) }
    }
    #[inline(always)]
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let (even, odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
            (
                _mm256_permute4x64_epi64::<0b11_01_10_00>(even),
                _mm256_permute4x64_epi64::<0b11_01_10_00>(odd),
            )
        }
    }
    #[inline(always)]
    fn split(self, v: Self::V, pivot: Self::V) -> (Self::V, usize) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let below = _mm256_castsi256_pd(_mm256_cmpgt_epi64(pivot, v));
            let mask = _mm256_movemask_pd(below).cast_unsigned() & 0b1111;
            let halves = _mm256_loadu_si256(HALVES_OF[index(mask)].as_ptr().cast());
            (_mm256_permutevar8x32_epi32(v, halves), index(mask.count_ones()))
        }
    }
}

impl Simd<u32, 8> for Avx2 {
    type V = __m256i;
    const ROWS: usize = 16;

    #[inline(always)]
    fn splat(self, key: u32) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm256_set1_epi32(key.cast_signed()) }
    }
    #[inline(always)]
    fn load(self, from: &[u32; 8]) -> Self::V {
        // SAFETY: the token proves the features; the array holds as many keys as are read.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [u32; 8]) {
        // SAFETY: the token proves the features; the array holds as many keys as are written.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn load_some(self, from: &[u32], rest: Self::V) -> Self::V {
        if let Some(whole) = from.first_chunk() {
            return self.load(whole);
        }
        // SAFETY: the token proves the features; only lanes that the slice has are read.
        unsafe {
            let mask = first(from.len());
            let keys = _mm256_maskload_epi32(from.as_ptr().cast(), mask);
            _mm256_blendv_epi8(rest, keys, mask)
        }
    }
    #[inline(always)]
    fn store_some(self, v: Self::V, to: &mut [u32]) {
        if let Some(whole) = to.first_chunk_mut() {
            return self.store(v, whole);
        }
        // SAFETY: the token proves the features; only lanes that the slice has are written.
        unsafe {
            _mm256_maskstore_epi32(to.as_mut_ptr().cast(), first(to.len()), v);
        }
    }
    #[inline(always)]
    fn order(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { (_mm256_min_epu32(a, b), _mm256_max_epu32(a, b)) }
    }
    #[inline(always)]
    fn flip<const X: usize>(self, v: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            match X {
                1 => _mm256_shuffle_epi32::<0b10_11_00_01>(v),
                2 => _mm256_shuffle_epi32::<0b01_00_11_10>(v),
                3 => _mm256_shuffle_epi32::<0b00_01_10_11>(v),
                4 => _mm256_permute4x64_epi64::<0b01_00_11_10>(v),
                7 => _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0)),
                _ => unreachable!("eight lanes"),
            }
        }
    }
    #[inline(always)]
    fn pick<const BIT: usize>(self, without: Self::V, with: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            match BIT {
                1 => _mm256_blend_epi32::<0b1010_1010>(without, with),
                2 => _mm256_blend_epi32::<0b1100_1100>(without, with),
                4 => _mm256_blend_epi32::<0b1111_0000>(without, with),
                _ => unreachable!("eight lanes"),
            }
        }
    }
    #[inline(always)]
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { join_halves(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)) }
    }
    #[inline(always)]
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
            let even = _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
            let odd = _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            (
                _mm256_permute4x64_epi64::<0b11_01_10_00>(even),
                _mm256_permute4x64_epi64::<0b11_01_10_00>(odd),
            )
        }
    }
    #[inline(always)]
    fn split(self, v: Self::V, pivot: Self::V) -> (Self::V, usize) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let others = _mm256_cmpeq_epi32(_mm256_max_epu32(v, pivot), v);
            let mask = !_mm256_movemask_ps(_mm256_castsi256_ps(others)).cast_unsigned() & 0xFF;
            let lanes = _mm256_set1_epi32(LANES_OF[index(mask)].cast_signed());
            // Each lane shifts its own four bits down; the shuffle looks at the lowest three.
            let places = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
            let split = _mm256_permutevar8x32_epi32(v, _mm256_srlv_epi32(lanes, places));
            (split, index(mask.count_ones()))
        }
    }
}

/// Turns the highest bit of each `u64` over, so that the signed order is the unsigned one.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn turn(v: __m256i) -> __m256i {
    // SAFETY: the caller says so.
    unsafe { _mm256_xor_si256(v, _mm256_set1_epi64x(i64::MIN)) }
}

/// The low halves of both vectors, and the high ones.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn join_halves(a: __m256i, b: __m256i) -> (__m256i, __m256i) {
    // SAFETY: the caller says so.
    unsafe { (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)) }
}

/// The mask of the first `count` of eight 32-bit lanes.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    let from: &[i32; 8] = FIRST[8 - count.min(8)..].first_chunk().expect("eight of sixteen");
    // SAFETY: the caller says so; the array holds as much as is read.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[inline(always)]
fn index(bits: u32) -> usize {
    usize::try_from(bits).unwrap_or(0)
}
