//! Merging of sorted runs: bare keys, anything with a prefix, and where to cut the work.
//!
//! Bare keys go through a tree of two-way merges without a branch on a key ([`keys`]); it moves
//! each key log2(k) times, all but the last time inside the second-level cache. Whatever is dear to
//! move or to compare goes through a loser tree ([`LoserTree`]), which moves each item once.
//! [`cuts`] finds exact places to cut all runs, so that threads merge pieces of equal size.

pub mod keys;
mod loser;
pub(super) mod prefetch;
mod select;
mod two;

pub use keys::merge;
pub use loser::{LoserTree, Source, prefix};
pub use select::{Place, cuts, key_cuts, select};

/// A bare key: an unsigned integer, ordered as such.
pub trait Key: Copy + Ord + Into<u64> + bytemuck::Pod {}

impl Key for u32 {}
impl Key for u64 {}

#[cfg(test)]
mod tests;
