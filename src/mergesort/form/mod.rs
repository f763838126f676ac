//! What is sorted, in its three forms: bare keys, records of fixed size, lines of text.
//!
//! A form knows how bytes are cut into items and in which order items come; it knows no ranks, files or
//! threads. All that is above it handles byte strings of whole items: in *file form*, as they are read and
//! written, and in *sorting form*, in which bare keys are unsigned integers of the same order and all else
//! is as in the file.

mod again;
mod fixed;
mod keys;
mod lines;
mod records;
mod run;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use super::digest;
use crate::error::Result;
pub use crate::generate::keys::KeyType;
pub use keys::Keys;
pub use lines::Lines;
pub use records::Records;
pub use run::{Index, Run};

/// An order-independent summary of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many; a sum that wraps, as what is read from a file may say anything.
    pub items: u64,
    /// The sum of a checksum of each, modulo 2^128; sums modulo 2^64 stand in the upper half, where
    /// they wrap by themselves.
    #[serde(with = "decimal")]
    pub sum: u128,
}

impl Digest {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { items: self.items.wrapping_add(other.items), sum: self.sum.wrapping_add(other.sum) }
    }
}

/// Numbers that JSON has no room for, as text.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// What a look at neighbours found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Items that must not stand behind the one before.
    pub unordered: u64,
    /// Items whose key is that of the one before.
    pub duplicates: u64,
}

impl Checked {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            unordered: self.unordered + other.unordered,
            duplicates: self.duplicates + other.duplicates,
        }
    }

    /// Of a pair.
    pub fn pair(order: Pair) -> Self {
        Self { unordered: u64::from(order.unordered), duplicates: u64::from(order.equal_keys) }
    }
}

impl From<digest::Checked> for Checked {
    fn from(found: digest::Checked) -> Self {
        Self { unordered: found.unordered, duplicates: found.duplicates }
    }
}

/// How runs were merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through a tree.
    Tree,
    /// All of them were sorted again.
    Sort,
}

/// How an item stands to the one before it.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// It must not stand there.
    pub unordered: bool,
    /// Their keys are equal.
    pub equal_keys: bool,
}

/// A form of items. Byte strings hold whole items in sorting form, unless said otherwise.
pub trait Form: Sync + Send {
    /// Bytes of an item, when all have the same.
    fn item_bytes(&self) -> Option<usize>;

    /// The byte that ends an item, when they differ in size.
    fn terminator(&self) -> Option<u8> {
        None
    }

    /// Whether file form and sorting form are one.
    fn is_file_form(&self) -> bool {
        true
    }

    /// From file form to sorting form, in place.
    fn encode(&self, _items: &mut [u8]) {}

    /// From sorting form to file form, in place.
    fn decode(&self, _items: &mut [u8]) {}

    /// The same items in their order, equal ones as they were, and where they begin; a second buffer may
    /// be used for it.
    ///
    /// # Errors
    /// When there is no memory for it.
    fn sort(&self, items: Buffer) -> Result<(Buffer, Index)>;

    /// Where items begin.
    fn index(&self, items: &[u8]) -> Index;

    /// Bytes of a key, when all have the same.
    fn key_bytes(&self) -> Option<usize>;

    /// Appends an item's key, a byte string that orders as the items do.
    fn key(&self, item: &[u8], out: &mut Vec<u8>);

    /// How many items of each run are among the first `count` of their stable merge.
    fn first(&self, runs: &[Run<'_>], count: usize) -> Vec<usize>;

    /// The stable merge of sorted runs, into exactly as many bytes; how it was done.
    fn merge(&self, runs: &[&[u8]], out: &mut [u8]) -> Way;

    /// The summary of items in file form.
    fn digest(&self, items: &[u8]) -> Digest;

    /// The sum of a summary in hexadecimal digits.
    fn checksum(&self, digest: Digest) -> String {
        format!("{:016x}", digest.sum >> 64)
    }

    /// Looks at each pair of neighbours.
    fn check(&self, items: &[u8]) -> Checked;

    /// Looks at the last item of one piece and the first of the next.
    fn check_pair(&self, before: &[u8], item: &[u8]) -> Pair;

    /// Whether of equal neighbours only the first is kept.
    fn is_unique(&self) -> bool {
        false
    }

    /// Takes out what equals the item before it, `previous` for the first; the bytes that are left.
    fn dedupe(&self, items: Buffer, previous: Option<&[u8]>) -> Buffer;

    /// How two items compare, ties included.
    fn compare(&self, one: &[u8], other: &[u8]) -> Ordering;
}
