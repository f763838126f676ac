//! One line as a plain state machine that takes its bytes in any number of pieces.
//!
//! It serves every line that the vector path leaves over: lines cut between two buffers, signs and
//! blanks in odd places, very long lines, and everything that is refused. It costs a branch or two
//! per byte (some 0.3 GB/s), and 64 bytes of memory however long the line is.

use super::{PIECE, Why};
use crate::num::{to_u64, to_usize};

/// Where in the grammar the line stands after the bytes seen so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Only blanks so far.
    Lead,
    /// A sign, which needs a digit next.
    Sign,
    /// Inside the digits.
    Digits,
    /// Blanks behind the digits.
    Trail,
    /// A carriage return behind nothing but blanks; only the line's end may follow.
    LeadReturn,
    /// A carriage return behind a number; only the line's end may follow.
    NumberReturn,
    /// No continuation makes this a number.
    Bad,
}

/// What a complete line turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A number that fits 64 bits.
    Number(i64),
    /// Nothing but blanks.
    Blank,
    /// Not to be counted.
    Refused(Why),
}

/// A line of which the end has not been seen yet.
#[derive(Clone)]
pub(super) struct Pending {
    phase: Phase,
    negative: bool,
    overflow: bool,
    magnitude: u64,
    length: u64,
    head: [u8; PIECE],
}

impl Pending {
    /// A line of which no byte has been seen.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Lead,
            negative: false,
            overflow: false,
            magnitude: 0,
            length: 0,
            head: [0; PIECE],
        }
    }

    /// No byte of the line has been seen: at the end of the file there is no line here.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the line's next bytes, which hold no line feed.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let kept = self.kept();
        let room = (PIECE - kept).min(bytes.len());
        self.head[kept..kept + room].copy_from_slice(&bytes[..room]);
        self.length += to_u64(bytes.len());
        for &byte in bytes {
            self.step(byte);
        }
    }

    fn step(&mut self, byte: u8) {
        self.phase = match (self.phase, byte) {
            (Phase::Lead, b' ' | b'\t') => Phase::Lead,
            (Phase::Lead, b'+' | b'-') => {
                self.negative = byte == b'-';
                Phase::Sign
            }
            (Phase::Lead | Phase::Sign | Phase::Digits, b'0'..=b'9') => {
                self.digit(u64::from(byte - b'0'));
                Phase::Digits
            }
            (Phase::Digits | Phase::Trail, b' ' | b'\t') => Phase::Trail,
            (Phase::Lead, b'\r') => Phase::LeadReturn,
            (Phase::Digits | Phase::Trail, b'\r') => Phase::NumberReturn,
            _ => Phase::Bad,
        };
    }

    fn digit(&mut self, digit: u64) {
        match self.magnitude.checked_mul(10).and_then(|tens| tens.checked_add(digit)) {
            Some(magnitude) => self.magnitude = magnitude,
            None => self.overflow = true,
        }
    }

    /// What the line is, given that it ends here.
    pub(super) fn end(&self) -> Reading {
        match self.phase {
            Phase::Lead | Phase::LeadReturn => Reading::Blank,
            Phase::Sign | Phase::Bad => Reading::Refused(Why::NotANumber),
            Phase::Digits | Phase::Trail | Phase::NumberReturn => {
                let value =
                    if self.overflow { None } else { signed(self.negative, self.magnitude) };
                value.map_or(Reading::Refused(Why::TooLarge), Reading::Number)
            }
        }
    }

    /// The line's first bytes for a message, without the carriage return of its end.
    pub(super) fn piece(&self) -> Vec<u8> {
        let head = &self.head[..self.kept()];
        // A return among the kept bytes belongs to the line's end only when nothing follows it.
        let whole = self.length <= to_u64(PIECE);
        let head = if whole { head.strip_suffix(b"\r").unwrap_or(head) } else { head };
        head.to_vec()
    }

    fn kept(&self) -> usize {
        to_usize(self.length.min(to_u64(PIECE)))
    }
}

/// Sign and magnitude as one number, or `None` when 64 bits do not hold it.
#[inline]
pub(super) fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    // i64::MIN has a magnitude one above that of i64::MAX.
    let limit = i64::MAX.cast_unsigned() + u64::from(negative);
    if magnitude > limit {
        return None;
    }
    let bits = if negative { magnitude.wrapping_neg() } else { magnitude };
    Some(bits.cast_signed())
}
