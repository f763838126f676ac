//! Vectors of 512 bits: eight `u64` or sixteen `u32`. Needs AVX-512F.
//!
//! Eight lanes are split by one shuffle whose order comes from a table of 1 KiB. For sixteen the
//! table would not fit, so they are compressed twice, in registers: compressing to memory is
//! microcode on Zen 4.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use std::arch::x86_64::{
    __m512i, __mmask8, __mmask16, _mm512_cmpeq_epu64_mask, _mm512_cmplt_epu32_mask,
    _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_mask_blend_epi32, _mm512_mask_blend_epi64,
    _mm512_mask_cmplt_epu64_mask, _mm512_mask_compress_epi32, _mm512_mask_loadu_epi32,
    _mm512_mask_loadu_epi64, _mm512_mask_storeu_epi32, _mm512_mask_storeu_epi64,
    _mm512_maskz_compress_epi32, _mm512_min_epu32, _mm512_min_epu64, _mm512_permutex_epi64,
    _mm512_permutex2var_epi32, _mm512_permutex2var_epi64, _mm512_permutexvar_epi32,
    _mm512_permutexvar_epi64, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi32,
    _mm512_setr_epi64, _mm512_shuffle_epi32, _mm512_shuffle_i64x2, _mm512_srlv_epi64,
    _mm512_storeu_si512, _mm512_ternarylogic_epi64,
};

use super::Entry;
use super::pairs::Pairs;
use super::simd::Simd;
use super::x86::{LANES_OF, x86_kernel, x86_token};

x86_token!(Avx512, ["avx512f", "bmi2", "popcnt"]);
x86_kernel!(Avx512, u64, 8, "avx512f,bmi2,popcnt");
x86_kernel!(Avx512, u32, 16, "avx512f,bmi2,popcnt");
x86_kernel!(Avx512, Entry, 8, "avx512f,bmi2,popcnt");

/// From element `16 - n`: the numbers that rotate sixteen lanes up by `n`.
static ROTATE: [u32; 32] = {
    let mut table = [0; 32];
    let (mut i, mut lane) = (0, 0);
    while i < table.len() {
        table[i] = lane % 16;
        i += 1;
        lane += 1;
    }
    table
};

impl Simd<u64, 8> for Avx512 {
    type V = __m512i;
    const ROWS: usize = 16;

    #[inline(always)]
    fn splat(self, key: u64) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_set1_epi64(key.cast_signed()) }
    }
    #[inline(always)]
    fn load(self, from: &[u64; 8]) -> Self::V {
        // SAFETY: the token proves the features; the array holds as many keys as are read.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [u64; 8]) {
        // SAFETY: the token proves the features; the array holds as many keys as are written.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn load_some(self, from: &[u64], rest: Self::V) -> Self::V {
        // SAFETY: the token proves the features; only lanes that the slice has are read.
        unsafe { _mm512_mask_loadu_epi64(rest, first8(from.len()), from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_some(self, v: Self::V, to: &mut [u64]) {
        // SAFETY: the token proves the features; only lanes that the slice has are written.
        unsafe { _mm512_mask_storeu_epi64(to.as_mut_ptr().cast(), first8(to.len()), v) }
    }
    #[inline(always)]
    fn order(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let low = _mm512_min_epu64(a, b);
            (low, other(a, b, low))
        }
    }
    #[inline(always)]
    fn flip<const X: usize>(self, v: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            match X {
                1 => _mm512_shuffle_epi32::<0b01_00_11_10>(v),
                2 => _mm512_permutex_epi64::<0b01_00_11_10>(v),
                3 => _mm512_permutex_epi64::<0b00_01_10_11>(v),
                4 => _mm512_shuffle_i64x2::<0b01_00_11_10>(v, v),
                7 => _mm512_permutexvar_epi64(_mm512_setr_epi64(7, 6, 5, 4, 3, 2, 1, 0), v),
                _ => unreachable!("eight lanes"),
            }
        }
    }
    #[inline(always)]
    fn pick<const BIT: usize>(self, without: Self::V, with: Self::V) -> Self::V {
        let mask = match BIT {
            1 => 0b1010_1010,
            2 => 0b1100_1100,
            4 => 0b1111_0000,
            _ => unreachable!("eight lanes"),
        };
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_mask_blend_epi64(mask, without, with) }
    }
    #[inline(always)]
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
            let high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
            (_mm512_permutex2var_epi64(a, low, b), _mm512_permutex2var_epi64(a, high, b))
        }
    }
    #[inline(always)]
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
            let odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
            (_mm512_permutex2var_epi64(a, even, b), _mm512_permutex2var_epi64(a, odd, b))
        }
    }
    #[inline(always)]
    fn split(self, v: Self::V, pivot: Self::V) -> (Self::V, usize) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let below = _mm512_cmplt_epu64_mask(v, pivot);
            (_mm512_permutexvar_epi64(lanes_of(below), v), count(below.into()))
        }
    }
}

impl Pairs<8> for Avx512 {
    type Mask = __mmask8;

    #[inline(always)]
    fn less(self, a: (__m512i, __m512i), b: (__m512i, __m512i)) -> __mmask8 {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let tie = _mm512_cmpeq_epu64_mask(a.0, b.0);
            _mm512_cmplt_epu64_mask(a.0, b.0) | _mm512_mask_cmplt_epu64_mask(tie, a.1, b.1)
        }
    }
    #[inline(always)]
    fn choose(self, mask: __mmask8, yes: __m512i, no: __m512i) -> (__m512i, __m512i) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let chosen = _mm512_mask_blend_epi64(mask, no, yes);
            (chosen, other(yes, no, chosen))
        }
    }
    #[inline(always)]
    fn gather(self, mask: __mmask8, v: (__m512i, __m512i)) -> ((__m512i, __m512i), usize) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let lanes = lanes_of(mask);
            let prefix = _mm512_permutexvar_epi64(lanes, v.0);
            let index = _mm512_permutexvar_epi64(lanes, v.1);
            ((prefix, index), count(mask.into()))
        }
    }
}

impl Simd<u32, 16> for Avx512 {
    type V = __m512i;
    const ROWS: usize = 16;

    #[inline(always)]
    fn splat(self, key: u32) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_set1_epi32(key.cast_signed()) }
    }
    #[inline(always)]
    fn load(self, from: &[u32; 16]) -> Self::V {
        // SAFETY: the token proves the features; the array holds as many keys as are read.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [u32; 16]) {
        // SAFETY: the token proves the features; the array holds as many keys as are written.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn load_some(self, from: &[u32], rest: Self::V) -> Self::V {
        // SAFETY: the token proves the features; only lanes that the slice has are read.
        unsafe { _mm512_mask_loadu_epi32(rest, first16(from.len()), from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_some(self, v: Self::V, to: &mut [u32]) {
        // SAFETY: the token proves the features; only lanes that the slice has are written.
        unsafe { _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), first16(to.len()), v) }
    }
    #[inline(always)]
    fn order(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let low = _mm512_min_epu32(a, b);
            (low, other(a, b, low))
        }
    }
    #[inline(always)]
    fn flip<const X: usize>(self, v: Self::V) -> Self::V {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            match X {
                1 => _mm512_shuffle_epi32::<0b10_11_00_01>(v),
                2 => _mm512_shuffle_epi32::<0b01_00_11_10>(v),
                3 => _mm512_shuffle_epi32::<0b00_01_10_11>(v),
                4 => _mm512_permutex_epi64::<0b01_00_11_10>(v),
                7 => {
                    let lanes =
                        _mm512_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
                    _mm512_permutexvar_epi32(lanes, v)
                }
                8 => _mm512_shuffle_i64x2::<0b01_00_11_10>(v, v),
                15 => {
                    let lanes =
                        _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
                    _mm512_permutexvar_epi32(lanes, v)
                }
                _ => unreachable!("sixteen lanes"),
            }
        }
    }
    #[inline(always)]
    fn pick<const BIT: usize>(self, without: Self::V, with: Self::V) -> Self::V {
        let mask = match BIT {
            1 => 0xAAAA,
            2 => 0xCCCC,
            4 => 0xF0F0,
            8 => 0xFF00,
            _ => unreachable!("sixteen lanes"),
        };
        // SAFETY: the token proves that the CPU has the features.
        unsafe { _mm512_mask_blend_epi32(mask, without, with) }
    }
    #[inline(always)]
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high =
                _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            (_mm512_permutex2var_epi32(a, low, b), _mm512_permutex2var_epi32(a, high, b))
        }
    }
    #[inline(always)]
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        // SAFETY: the token proves that the CPU has the features.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            (_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b))
        }
    }
    #[inline(always)]
    fn split(self, v: Self::V, pivot: Self::V) -> (Self::V, usize) {
        // SAFETY: the token proves the features; at most 16 lanes are below, so that the sixteen
        // numbers from there are in the table.
        unsafe {
            let below = _mm512_cmplt_epu32_mask(v, pivot);
            let count = count(below.into());
            let rotate = _mm512_loadu_si512(ROTATE.as_ptr().add(16 - count).cast());
            let others = _mm512_permutexvar_epi32(rotate, _mm512_maskz_compress_epi32(!below, v));
            (_mm512_mask_compress_epi32(others, below, v), count)
        }
    }
}

/// The numbers of the lanes in the mask, then of the others.
///
/// # Safety
/// The CPU has AVX-512F.
#[inline(always)]
unsafe fn lanes_of(mask: __mmask8) -> __m512i {
    let lanes = LANES_OF[usize::from(mask)].cast_signed();
    // Each lane shifts its own four bits down; a shuffle looks at the lowest three.
    // SAFETY: the caller says so.
    unsafe {
        let places = _mm512_setr_epi64(0, 4, 8, 12, 16, 20, 24, 28);
        _mm512_srlv_epi64(_mm512_set1_epi32(lanes), places)
    }
}

/// The mask of the first `count` lanes.
#[inline(always)]
fn first8(count: usize) -> __mmask8 {
    if count >= 8 { !0 } else { (1 << count) - 1 }
}

/// The mask of the first `count` lanes.
#[inline(always)]
fn first16(count: usize) -> __mmask16 {
    if count >= 16 { !0 } else { (1 << count) - 1 }
}

#[inline(always)]
fn count(mask: u64) -> usize {
    usize::try_from(mask.count_ones()).unwrap_or(0)
}

/// Lane by lane the one of `a` and `b` that `one` is not: all three exclusive-ored. Intel has one
/// port for 512-bit minima and maxima, but two for logic.
///
/// # Safety
/// The CPU has AVX-512F.
#[inline(always)]
unsafe fn other(a: __m512i, b: __m512i, one: __m512i) -> __m512i {
    // SAFETY: the caller says so.
    unsafe { _mm512_ternarylogic_epi64::<0b1001_0110>(a, b, one) }
}
