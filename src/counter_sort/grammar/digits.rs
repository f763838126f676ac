//! Decimal digits to numbers, eight bytes at a time in a general register.
//!
//! Three multiplications for eight digits instead of eight steps that wait for each other. The
//! price is that bytes before the number are read too (and blanked out), so a line needs memory in
//! front of it; [`super::mask::HISTORY`] bytes of it are always there.

use super::line::signed;
use super::mask::{WORD, Window};

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Takes every byte value from 10 on to 128 or above, and no digit.
const ABOVE_NINE: u64 = 0x7676_7676_7676_7676;
const EVERY_FOURTH: u64 = 0x0000_00FF_0000_00FF;
const TEN_TO_8: u64 = 100_000_000;

/// The longest line that [`medium`] takes: a sign and 19 digits, which 64 bits always hold.
const LONGEST: usize = 20;

/// The eight bytes of `window` from `place` on, the first in the lowest byte.
#[inline]
pub(super) fn word(window: &Window, place: usize) -> u64 {
    let bytes: [u8; WORD] = window[place..place + WORD].try_into().expect("eight bytes");
    u64::from_le_bytes(bytes)
}

/// `word` with its digits as 0..=9, and 0 in place of all bytes but the last `keep` (0..=8).
#[inline]
fn last(word: u64, keep: usize) -> u64 {
    let drop = u32::try_from(8 * (WORD - keep)).unwrap_or(64);
    (word ^ ZEROS) & u64::MAX.checked_shl(drop).unwrap_or(0)
}

/// Nonzero when a byte is above 9. A carry cannot hide one: the byte that makes it shows itself.
#[inline]
fn stray(digits: u64) -> u64 {
    (digits | digits.wrapping_add(ABOVE_NINE)) & HIGH
}

/// The value of eight bytes 0..=9, the first (lowest) byte being the most significant digit.
#[inline]
fn join(digits: u64) -> u64 {
    // Bytes 0, 2, 4, 6 of `pairs` are two-digit numbers; the products add up in the upper half:
    // pairs 0 and 4 times 10^6 and 10^2, pairs 2 and 6 times 10^4 and 1.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let even = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let odd = ((pairs >> 16) & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    even.wrapping_add(odd) >> 32
}

/// The value of a line of 1..=8 digits and nothing else, of which `word` holds the last 8 bytes.
#[inline]
pub(super) fn short(word: u64, length: usize) -> Option<u32> {
    if length.wrapping_sub(1) >= WORD {
        return None;
    }
    let digits = last(word, length);
    if stray(digits) != 0 {
        return None;
    }
    u32::try_from(join(digits)).ok()
}

/// The value of a line of 1..=19 digits with or without a sign and a carriage return.
///
/// `place` is where the line's last eight bytes begin in `window`, at least
/// [`super::mask::AHEAD`], so that two more words and the carriage return fit in front.
/// `None` means only that the line needs the exact path, which then says what is wrong with it, if
/// anything.
#[inline]
pub(super) fn medium(window: &Window, place: usize, length: usize) -> Option<i64> {
    let returned = usize::from(length > 0 && window[place + WORD - 1] == b'\r');
    let (place, length) = (place - returned, length - returned);
    if length.wrapping_sub(1) >= LONGEST {
        return None;
    }
    let first = window[place + WORD - length];
    let negative = first == b'-';
    let count = length - usize::from(negative || first == b'+');
    if count.wrapping_sub(1) >= LONGEST - 1 {
        return None;
    }
    let low = last(word(window, place), count.min(WORD));
    if count <= WORD {
        return if stray(low) == 0 { signed(negative, join(low)) } else { None };
    }
    let middle = last(word(window, place - WORD), (count - WORD).min(WORD));
    let high = last(word(window, place - 2 * WORD), count.saturating_sub(2 * WORD));
    if stray(low) | stray(middle) | stray(high) != 0 {
        return None;
    }
    // At most 999 in `high`, so 10^19 bounds the sum and nothing wraps.
    let magnitude = (join(high) * TEN_TO_8 + join(middle)) * TEN_TO_8 + join(low);
    signed(negative, magnitude)
}
