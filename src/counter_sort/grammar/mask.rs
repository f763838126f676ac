//! The two inner loops over a window of text: where its lines end, and what the short ones say.
//!
//! Both loops work on a fixed-size window and write arrays, so that no step waits for the one
//! before: the line ends are known before the first number is read. That costs an extra pass over
//! 12 kB of scratch memory in the first-level cache and gives the processor many lines to work on
//! at once. With AVX2 eight numbers are converted together; the portable version does the same with
//! eight-byte words and runs everywhere. This is the only file of the parser with `unsafe` in it:
//! three unaligned loads and stores through references, and the call that follows the check for
//! AVX2.
#![allow(unsafe_code)]

use super::digits;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Bytes of text in a window.
pub(super) const CHUNK: usize = 2048;
/// Bytes in front of the window's text, which hold the beginning of a line that began before it.
pub(super) const HISTORY: usize = 32;
/// Bytes that are read at once per number.
pub(super) const WORD: usize = 8;
/// What [`Found::places`] has on top of a position in the text.
pub(super) const AHEAD: usize = HISTORY - WORD;
/// Stands in [`Found::values`] for a line that is not 1..=8 digits; no such line has this value.
pub(super) const IRREGULAR: u32 = u32::MAX;

/// Bytes whose line feeds are found as one 64-bit mask.
const BLOCK: usize = 64;
/// Lines that are converted together; also the overshoot of the arrays.
const GROUP: usize = 8;

const _: () = assert!(CHUNK.is_multiple_of(BLOCK) && AHEAD > 2 * WORD);

/// A piece of text with the bytes before it: text byte `i` stands at `HISTORY + i`.
pub(super) type Window = [u8; HISTORY + CHUNK];

/// The lines that end in a window.
pub(super) struct Found {
    /// Number of line feeds.
    pub(super) count: usize,
    /// For line feed `i` at element `i + 1`, where in the window the eight bytes before it begin.
    /// Element 0 is the same for the line feed before the first line, or 0 if it lies further back,
    /// which makes that line longer than any that is read from the window.
    ///
    /// No other thread sees them. They are atomics because a relaxed access is a plain move of the
    /// processor that the compiler leaves as it stands; otherwise it gathers eight of them into a
    /// vector, element by element, which costs more than what is then done with the vector.
    places: Places,
    /// The value of each line, or [`IRREGULAR`].
    pub(super) values: [u32; CHUNK + GROUP],
}

type Places = [AtomicU16; CHUNK + 1 + GROUP];

impl Found {
    /// Nothing found yet.
    pub(super) fn new() -> Self {
        let places = [const { AtomicU16::new(0) }; CHUNK + 1 + GROUP];
        Self { count: 0, places, values: [0; CHUNK + GROUP] }
    }

    /// Element `index` of the places.
    #[inline]
    pub(super) fn place(&self, index: usize) -> usize {
        usize::from(self.places[index].load(Relaxed))
    }
}

/// Which version of the loops runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Plain Rust.
    Portable,
    /// 32-byte vectors. The field is private to this file, so that only [`Kernel::best`] makes one.
    #[cfg(target_arch = "x86_64")]
    Avx2(Checked),
}

/// Shows that the processor was asked for AVX2, BMI1 and POPCNT, and has them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked(());

impl Kernel {
    /// The fastest version that this processor runs.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
        {
            return Self::Avx2(Checked(()));
        }
        Self::Portable
    }

    /// Finds and reads the lines that end in the first `length` bytes of the window's text.
    ///
    /// Bytes behind `length`, up to a multiple of 64, must not be line feeds. `previous` is what
    /// belongs into element 0 of [`Found::places`].
    pub(super) fn run(self, window: &Window, length: usize, previous: u16, found: &mut Found) {
        found.places[0].store(previous, Relaxed);
        match self {
            Self::Portable => portable(window, length, found),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(Checked(())) => {
                // SAFETY: `avx2::run` needs the processor features that it is compiled for, and a
                // `Checked` exists only where `best` has found them all.
                unsafe { avx2::run(window, length, found) }
            }
        }
    }
}

fn portable(window: &Window, length: usize, found: &mut Found) {
    let (blocks, _) = window[HISTORY..].as_chunks::<BLOCK>();
    found.count = places(blocks.iter().take(length.div_ceil(BLOCK)).map(feeds), &found.places);
    let pairs = found.places.windows(2).take(found.count);
    for (value, pair) in found.values.iter_mut().zip(pairs) {
        let place = usize::from(pair[1].load(Relaxed));
        let length = place - usize::from(pair[0].load(Relaxed)) - 1;
        *value = digits::short(digits::word(window, place), length).unwrap_or(IRREGULAR);
    }
}

/// Bit `i` is set where byte `i` is a line feed.
fn feeds(block: &[u8; BLOCK]) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let (words, _) = block.as_chunks::<WORD>();
    words.iter().rev().fold(0, |mask, &word| {
        let zero_at_feed = u64::from_le_bytes(word) ^ 0x0A0A_0A0A_0A0A_0A0A;
        // The top bit of a byte survives unless the byte is zero; no carry leaves its byte.
        let top = !(((zero_at_feed & LOW) + LOW) | zero_at_feed | LOW);
        // The product moves bit 8i + 7 to bit 56 + i; no two of its terms meet.
        mask << 8 | (top >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// Writes the places of all set bits behind element 0, and counts them.
#[inline]
fn places(masks: impl Iterator<Item = u64>, places: &Places) -> usize {
    let mut count = 0;
    let mut base = u16::try_from(AHEAD).unwrap_or(0);
    for mask in masks {
        let here = usize::try_from(mask.count_ones()).unwrap_or(0);
        let mut rest = mask;
        let mut done = 0;
        // In groups whose number hardly ever changes from block to block, which a processor guesses
        // right, unlike the exact number of bits. What is written too much is overwritten next, or
        // stands behind the count; it is never above CHUNK + AHEAD, so it may be read as a place.
        while done < here {
            for place in &places[1 + count + done..][..GROUP] {
                let bit = u16::try_from(rest.trailing_zeros()).unwrap_or(0);
                place.store(base + bit, Relaxed);
                rest &= rest.wrapping_sub(1);
            }
            done += GROUP;
        }
        count += here;
        base += u16::try_from(BLOCK).unwrap_or(0);
    }
    count
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! The loops in 32-byte vectors.

    use super::{AtomicU16, BLOCK, Found, GROUP, HISTORY, Relaxed, Window, digits};
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi16, _mm_loadu_si128, _mm_min_epu16, _mm_set1_epi16,
        _mm_slli_epi16, _mm_srli_si128, _mm_sub_epi16, _mm256_and_si256, _mm256_cmpeq_epi8,
        _mm256_cmpeq_epi64, _mm256_cvtepi16_epi32, _mm256_cvtepu16_epi64, _mm256_loadu_si256,
        _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_packs_epi32, _mm256_packus_epi32, _mm256_permute4x64_epi64, _mm256_set_epi64x,
        _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_sllv_epi64, _mm256_storeu_si256, _mm256_subs_epu8, _mm256_xor_si256,
    };

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    pub(super) fn run(window: &Window, length: usize, found: &mut Found) {
        let (blocks, _) = window[HISTORY..].as_chunks::<BLOCK>();
        let masks = blocks.iter().take(length.div_ceil(BLOCK)).map(|block| feeds(block));
        found.count = super::places(masks, &found.places);
        let groups = found.count.div_ceil(GROUP);
        let (before, _) = found.places.as_chunks::<GROUP>();
        let (behind, _) = found.places[1..].as_chunks::<GROUP>();
        let (values, _) = found.values.as_chunks_mut::<GROUP>();
        for ((before, behind), values) in before.iter().zip(behind).zip(values).take(groups) {
            store(values, convert(window, before, behind));
        }
    }

    #[target_feature(enable = "avx2")]
    fn feeds(block: &[u8; BLOCK]) -> u64 {
        let feed = _mm256_set1_epi8(0x0A);
        let (halves, _) = block.as_chunks::<32>();
        halves.iter().rev().fold(0, |mask, half| {
            let equal = _mm256_cmpeq_epi8(bytes(half), feed);
            mask << 32 | u64::from(_mm256_movemask_epi8(equal).cast_unsigned())
        })
    }

    /// The values of eight lines, in order.
    #[target_feature(enable = "avx2")]
    fn convert(
        window: &Window,
        before: &[AtomicU16; GROUP],
        behind: &[AtomicU16; GROUP],
    ) -> __m256i {
        // From feed to feed, so one more than the line's length: 2..=9 for 1..=8 digits.
        let distance = _mm_sub_epi16(shorts(behind), shorts(before));
        let over = _mm_sub_epi16(distance, _mm_set1_epi16(2));
        let fits = _mm_cmpeq_epi16(_mm_min_epu16(over, _mm_set1_epi16(7)), over);
        // Bits to blank out in front of the number. For lengths that do not fit this is anything.
        let blank = _mm_sub_epi16(_mm_set1_epi16(72), _mm_slli_epi16::<3>(distance));

        let at = |index: usize| {
            digits::word(window, usize::from(behind[index].load(Relaxed))).cast_signed()
        };
        let first = _mm256_set_epi64x(at(3), at(2), at(1), at(0));
        let second = _mm256_set_epi64x(at(7), at(6), at(5), at(4));
        let first = last(first, _mm256_cvtepu16_epi64(blank));
        let second = last(second, _mm256_cvtepu16_epi64(_mm_srli_si128::<8>(blank)));

        // Both packs put the lines in the order 0 1 4 5 2 3 6 7, which the permutation undoes.
        let fours = _mm256_packus_epi32(fours(first), fours(second));
        let eights = _mm256_madd_epi16(fours, _mm256_set1_epi32(0x0001_2710)); // 10000 and 1
        let clean = _mm256_packs_epi32(clean(first), clean(second));
        let marked = _mm256_or_si256(eights, not(clean));
        let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(marked);
        _mm256_or_si256(ordered, not(_mm256_cvtepi16_epi32(fits)))
    }

    /// Digits as 0..=9, and 0 in each word's lowest `blank` bits; all 0 from 64 on.
    #[target_feature(enable = "avx2")]
    fn last(words: __m256i, blank: __m256i) -> __m256i {
        let keep = _mm256_sllv_epi64(_mm256_set1_epi8(-1), blank);
        _mm256_and_si256(_mm256_xor_si256(words, _mm256_set1_epi8(0x30)), keep)
    }

    /// The values of each word's first and last four digits, as two 32-bit numbers.
    #[target_feature(enable = "avx2")]
    fn fours(digits: __m256i) -> __m256i {
        let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010A)); // 10 and 1
        _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064)) // 100 and 1
    }

    /// All ones in the words whose bytes are all at most 9.
    #[target_feature(enable = "avx2")]
    fn clean(digits: __m256i) -> __m256i {
        let above = _mm256_subs_epu8(digits, _mm256_set1_epi8(9));
        _mm256_cmpeq_epi64(above, _mm256_setzero_si256())
    }

    #[target_feature(enable = "avx2")]
    fn not(bits: __m256i) -> __m256i {
        _mm256_xor_si256(bits, _mm256_set1_epi8(-1))
    }

    #[target_feature(enable = "avx2")]
    fn bytes(from: &[u8; 32]) -> __m256i {
        // SAFETY: the reference guarantees 32 readable bytes, and this load needs no alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn shorts(from: &[AtomicU16; GROUP]) -> __m128i {
        // SAFETY: the reference guarantees 16 readable bytes, and this load needs no alignment.
        // It is not atomic, but `run` holds the only reference, so that nobody writes meanwhile.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn store(to: &mut [u32; GROUP], values: __m256i) {
        // SAFETY: the reference guarantees 32 writable bytes that nobody else sees, and this store
        // needs no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), values) }
    }
}
