//! What a sorted file is checked by: a checksum that no order changes, and one pass over its order.
//!
//! Items of bytes have the checksum of the sort benchmark's validator, the sum of the items' CRC-32
//! (that of zlib): permuting items leaves it, and losing, doubling or changing one does not. The
//! crate is crc32fast, because on 100-byte records in the cache it takes 9 ns each where crc-fast,
//! which is made for files, takes 44. Bare keys are too short for a CRC to keep up with memory; theirs
//! is the sum of a bijective mixer.

mod check;
mod wide;

pub use check::{Checked, check_items, check_keys, check_records};

use crate::mergesort::merge::Key;

use crate::mergesort::records::Layout;
use crate::num::share64;
use std::fmt;

/// Number and checksum of items of bytes, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many items.
    pub count: u64,
    /// The sum of their CRC-32.
    pub sum: u128,
}

impl Digest {
    /// The digest of whole records.
    ///
    /// # Panics
    /// When `records` are no whole number of records.
    pub fn of_records(layout: Layout, records: &[u8]) -> Self {
        layout.count(records);
        let mut digest = Self::default();
        records.chunks_exact(layout.record_bytes()).for_each(|record| digest.add(record));
        digest
    }

    /// Counts one more item.
    #[inline]
    pub fn add(&mut self, item: &[u8]) {
        self.count += 1;
        self.sum += u128::from(crc32fast::hash(item));
    }

    /// The digest of the items of both.
    #[must_use]
    pub fn combine(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + other.sum }
    }
}

/// The sum in hexadecimal, as the validator prints it.
impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}", self.sum)
    }
}

/// The sum, modulo 2^64, of [`share64`] of all keys, in any order.
///
/// A plain sum would miss two errors that cancel; mixed by a bijection of good diffusion, different
/// keys contribute numbers that have nothing to do with each other.
pub fn key_sum<K: Key>(keys: &[K]) -> u64 {
    let add = |sum: u64, &key: &K| sum.wrapping_add(share64(key.into()));
    wide::run(|| keys.iter().fold(0, add))
}

#[cfg(test)]
mod tests;
