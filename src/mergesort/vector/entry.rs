//! What stands for a record while records are sorted: the first bytes of its key, and its place.

use bytemuck::{Pod, Zeroable};
use std::cmp::Ordering;

/// A record's key prefix and its place; ordered by both, so that an unstable sort of entries with
/// different places sorts the records stably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct Entry {
    /// The first eight bytes of the key as a big-endian number, or whatever orders the records.
    pub prefix: u64,
    /// Where the record is.
    pub index: u64,
}

impl Entry {
    /// Both words as one number: a comparison is then a subtraction with borrow, without a branch.
    fn number(self) -> u128 {
        u128::from(self.prefix) << 64 | u128::from(self.index)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
    fn lt(&self, other: &Self) -> bool {
        self.number() < other.number()
    }
    fn le(&self, other: &Self) -> bool {
        self.number() <= other.number()
    }
}
