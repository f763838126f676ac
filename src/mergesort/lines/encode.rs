//! Lines as byte strings whose order by `memcmp` is the order of the lines.
//!
//! Keys stand one behind the other. A number is encoded as in `number.rs`. Bytes get NUL as 00 FF and
//! end with 00 00, and all of that is complemented for the reverse order; so no key is the beginning
//! of another of its kind, and what follows decides only between equals. The last resort, the line as
//! a whole, comes last and therefore needs no end unless it is reversed. A line whose order is that
//! of its bytes is its own key. Others are copied: field by field, by `memchr` from NUL to NUL.

use memchr::memchr;

use super::fields::extent;
use super::number::Number;
use super::order::Order;

/// Bytes in a prefix.
pub(super) const PREFIX: usize = 8;

/// The first eight bytes of `key` as a number, zeros in place of those that are missing.
///
/// Different prefixes stand as their keys do. Equal ones say nothing: a key of less than eight bytes
/// looks like one with NULs behind it, so ties go to the keys, of which then the shorter is less.
#[inline]
pub fn prefix(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk::<PREFIX>() {
        return u64::from_be_bytes(*first);
    }
    let bits = 8 * u32::try_from(key.len()).unwrap_or(8);
    if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        // The two overlap where they have the same bytes.
        let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
        return (u64::from(first) << 32) | (u64::from(last) << (64 - bits));
    }
    let word = key.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte));
    word.checked_shl(64 - bits).unwrap_or(0)
}

/// None of the eight bytes is NUL.
#[inline]
fn has_no_nul(word: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    word.wrapping_sub(LOW) & !word & (LOW << 7) == 0
}

impl Order {
    /// The key of `line` (without terminator): keys stand by `memcmp` as their lines do, and are
    /// equal where lines are. It is the line itself if [`Order::is_plain`], else made in `scratch`.
    pub fn key<'a>(&self, line: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if self.is_plain() {
            return line;
        }
        scratch.clear();
        self.encode_keys(line, scratch);
        self.encode_last_resort(line, scratch);
        scratch
    }

    /// [`prefix`] of [`Order::key`], for less: only what reaches into it is made.
    #[inline]
    pub fn prefix(&self, line: &[u8], scratch: &mut Vec<u8>) -> u64 {
        if self.is_plain() {
            return prefix(line);
        }
        if let Some(word) = self.first_word(line) {
            return word;
        }
        scratch.clear();
        self.encode_keys(&line[..self.enough(line)], scratch);
        self.prefix_of_encoded(scratch, line)
    }

    /// The prefix of the key whose part from [`Order::encode_keys`] is at hand.
    pub(super) fn prefix_of_encoded(&self, keys: &mut Vec<u8>, line: &[u8]) -> u64 {
        let length = keys.len();
        if length < PREFIX {
            self.encode_last_resort(&line[..line.len().min(PREFIX)], keys);
        }
        let word = prefix(keys);
        keys.truncate(length);
        word
    }

    /// How many bytes of the line decide about the first eight of its key.
    fn enough(&self, line: &[u8]) -> usize {
        if self.keys.is_empty() { line.len().min(PREFIX) } else { line.len() }
    }

    /// The prefix of the keys alone, if the first of them fills it.
    #[inline]
    pub(super) fn first_word(&self, line: &[u8]) -> Option<u64> {
        let (bytes, reverse) = match self.keys.first() {
            None => (line, self.reverse),
            Some(key) if key.numeric => {
                let word = Number::read(extent(key, self.separator, line)).short()?;
                return Some(if key.reverse { !word } else { word });
            }
            Some(key) => (extent(key, self.separator, line), key.reverse),
        };
        let word = u64::from_be_bytes(*bytes.first_chunk::<PREFIX>()?);
        has_no_nul(word).then_some(if reverse { !word } else { word })
    }

    /// Appends the encoded keys, or the encoded line if it is the only key.
    pub(super) fn encode_keys(&self, line: &[u8], out: &mut Vec<u8>) {
        if self.keys.is_empty() {
            encode_bytes(line, self.reverse, out);
        }
        for key in &self.keys {
            let bytes = extent(key, self.separator, line);
            if key.numeric {
                Number::read(bytes).encode(key.reverse, out);
            } else {
                encode_bytes(bytes, key.reverse, out);
            }
        }
    }

    fn encode_last_resort(&self, line: &[u8], out: &mut Vec<u8>) {
        if !self.has_last_resort() {
            return;
        }
        if self.reverse {
            encode_bytes(line, true, out);
        } else {
            out.extend_from_slice(line);
        }
    }
}

fn encode_bytes(bytes: &[u8], reverse: bool, out: &mut Vec<u8>) {
    let from = out.len();
    let mut rest = bytes;
    while let Some(nul) = memchr(0, rest) {
        out.extend_from_slice(&rest[..nul]);
        out.extend_from_slice(&[0, 0xFF]);
        rest = &rest[nul + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
    if reverse {
        out[from..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}
