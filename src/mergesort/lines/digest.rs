//! A checksum of lines that does not depend on their order: are these the lines that came in?
//!
//! Each line gives a 64-bit hash, and the hashes are added. Two different collections of lines, made
//! by accident, agree with a chance of 2^-64; an adversary who knows the hash can do better, as it is
//! for speed: one wide multiplication for 16 bytes (the step of wyhash, Wang Yi, 2019).

use serde::{Deserialize, Serialize};

use super::entry::line_end;
use super::order::Order;
use crate::num::{mix64, to_u64};

/// Odd constants with as many ones as zeros, about: the first digits of pi behind the point.
const FIRST: u64 = 0x243F_6A88_85A3_08D3;
const SECOND: u64 = 0x1319_8A2E_0370_7345;

/// What a collection of lines amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many.
    pub lines: u64,
    /// Their bytes with one terminator each.
    pub bytes: u64,
    /// The sum of their hashes, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// Adds a line, without terminator.
    #[inline]
    pub fn add_line(&mut self, line: &[u8]) {
        self.lines += 1;
        self.bytes += to_u64(line.len()) + 1;
        self.sum = self.sum.wrapping_add(hash(line));
    }

    /// Adds another collection.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl Order {
    /// The digest of the lines of `text`, of which the last may lack its terminator.
    pub fn digest(&self, text: &[u8]) -> Digest {
        let mut digest = Digest::default();
        let mut at = 0;
        while at < text.len() {
            let end = line_end(text, at, self.terminator);
            digest.add_line(&text[at..end]);
            at = end + 1;
        }
        digest
    }
}

/// The low half of the product with the high half.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let low = u64::try_from(product & u128::from(u64::MAX)).expect("64 bits");
    low ^ u64::try_from(product >> 64).expect("64 bits")
}

/// A hash of the line's bytes and length.
#[inline]
fn hash(line: &[u8]) -> u64 {
    let (pairs, rest) = line.as_chunks::<16>();
    let mut state = FIRST ^ to_u64(line.len());
    for pair in pairs {
        let (low, high) = halves(pair);
        state = fold(low ^ SECOND, high ^ state);
    }
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let (low, high) = halves(&last);
    mix64(fold(low ^ SECOND, high ^ state) ^ state)
}

#[inline]
fn halves(pair: &[u8; 16]) -> (u64, u64) {
    let (words, _) = pair.as_chunks::<8>();
    (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
}
