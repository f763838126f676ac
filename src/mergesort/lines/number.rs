//! Numbers as `sort -n` reads them, of any length and exact: blanks, `-`, digits, `.`, digits.
//!
//! Nothing is converted to a machine number to be compared, so nothing is rounded. What is missing
//! is zero, what follows is ignored, `-0` is `0`, and there is no `+` and no exponent. One byte differs:
//! where C's `char` is signed, GNU sort 9.1 takes the byte 0x80 for a thousands separator and skips it
//! between integer digits (its "no such byte" is 128); here it ends the number, as everywhere else.
//!
//! As bytes, a positive number is the count of its integer digits and then all its digits without
//! trailing zeros, 16 to a group of 56 bits: twice the value, plus one if a group follows. So a
//! number of up to 16 digits is 8 bytes, one `u64`. A negative number has all bytes complemented.
//! No encoding is the beginning of another, which lets other keys follow and allows to complement
//! them for the reverse order.

use std::cmp::Ordering;

use super::fields::{is_blank, run};
use crate::num::to_u64;

/// Digits in a group: 2 * 10^16 is below 2^56.
const GROUP: usize = 16;
const GROUP_BITS: u32 = 56;
/// The first byte of zero; less is negative, more is positive.
const ZERO: u8 = 0x80;
/// The first byte of a positive number is this plus the count of its integer digits...
const POSITIVE: u64 = 0x81;
/// ...up to this many, because 0xF8 to 0xFF say that the count follows in 1 to 8 bytes.
const DIGITS_MAX: usize = 0xF7 - 0x81;
const COUNT_FOLLOWS: u8 = 0xF8;

const TEN_TO: [u64; GROUP + 1] = {
    let mut powers = [1; GROUP + 1];
    let mut at = 1;
    while at <= GROUP {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// A number in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<'a> {
    /// Below zero; never for zero.
    negative: bool,
    /// Digits without leading zeros.
    integer: &'a [u8],
    /// Digits without trailing zeros.
    fraction: &'a [u8],
}

impl<'a> Number<'a> {
    /// The number at the beginning of `key`.
    #[inline]
    pub(super) fn read(key: &'a [u8]) -> Self {
        let body = &key[run(key, is_blank)..];
        let (minus, body) = body.strip_prefix(b"-").map_or((false, body), |rest| (true, rest));
        let (integer, rest) = body.split_at(run(body, |byte| byte.is_ascii_digit()));
        let integer = &integer[run(integer, |byte| byte == b'0')..];
        let fraction = rest.strip_prefix(b".").map_or(&[][..], digits_without_trailing_zeros);
        let negative = minus && !(integer.is_empty() && fraction.is_empty());
        Self { negative, integer, fraction }
    }

    /// The encoding of a number of at most 16 digits, big-endian: all that there are in practice.
    #[inline]
    pub(super) fn short(&self) -> Option<u64> {
        let digits = self.integer.len() + self.fraction.len();
        if digits > GROUP {
            return None;
        }
        if digits == 0 {
            return Some(u64::from(ZERO) << GROUP_BITS);
        }
        let value = append(append(0, self.integer), self.fraction) * TEN_TO[GROUP - digits];
        let word = ((POSITIVE + to_u64(self.integer.len())) << GROUP_BITS) | (2 * value);
        Some(if self.negative { !word } else { word })
    }

    /// Appends the encoding, complemented if `reverse`.
    pub(super) fn encode(&self, reverse: bool, out: &mut Vec<u8>) {
        if let Some(word) = self.short() {
            out.extend(if reverse { !word } else { word }.to_be_bytes());
            return;
        }
        let from = out.len();
        encode_count(self.integer.len(), out);
        self.encode_digits(out);
        if reverse != self.negative {
            out[from..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }

    fn encode_digits(&self, out: &mut Vec<u8>) {
        let zeros = if self.fraction.is_empty() { trailing_zeros(self.integer) } else { 0 };
        let integer = &self.integer[..self.integer.len() - zeros];
        let count = integer.len() + self.fraction.len();
        for from in (0..count).step_by(GROUP) {
            let to = count.min(from + GROUP);
            let part = |digits: &'a [u8], before: usize| {
                let clip = |at: usize| at.saturating_sub(before).min(digits.len());
                &digits[clip(from)..clip(to)]
            };
            let value = append(append(0, part(integer, 0)), part(self.fraction, integer.len()));
            let word = 2 * value * TEN_TO[GROUP - (to - from)] + u64::from(to < count);
            out.extend(&word.to_be_bytes()[1..]);
        }
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        let by_length = self.integer.len().cmp(&other.integer.len());
        by_length.then_with(|| (self.integer, self.fraction).cmp(&(other.integer, other.fraction)))
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `value` with `digits` written behind it; the caller knows that 16 are not exceeded.
#[inline]
fn append(value: u64, digits: &[u8]) -> u64 {
    digits.iter().fold(value, |value, digit| value * 10 + u64::from(digit - b'0'))
}

fn digits_without_trailing_zeros(bytes: &[u8]) -> &[u8] {
    let digits = &bytes[..run(bytes, |byte| byte.is_ascii_digit())];
    &digits[..digits.len() - trailing_zeros(digits)]
}

fn trailing_zeros(digits: &[u8]) -> usize {
    digits.iter().rev().take_while(|&&digit| digit == b'0').count()
}

fn encode_count(integer_digits: usize, out: &mut Vec<u8>) {
    let bytes = to_u64(integer_digits).to_be_bytes();
    if integer_digits <= DIGITS_MAX {
        out.push(0x81 + bytes[7]);
        return;
    }
    let skip = run(&bytes, |byte| byte == 0);
    out.push(COUNT_FOLLOWS + u8::try_from(7 - skip).unwrap_or(7));
    out.extend(&bytes[skip..]);
}
