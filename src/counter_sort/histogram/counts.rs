//! What a histogram hands over when the counting is done.
//!
//! The table and the sorted runs keep their shapes instead of becoming one list of pairs: a dense
//! histogram of 10^8 values stays 800 MB instead of 1.6 GB, at the price of an iterator in three
//! parts. No value stands in both shapes.

use super::dense;
use super::{Limits, mix};
use crate::counter_sort::emit::Entry;
use crate::num::{to_u64, to_usize};
use std::ops::Range;

/// Counts of all values, ascending.
#[derive(Debug, Default)]
pub struct Counts {
    base: i64,
    slots: Vec<u64>,
    /// The slots from the first to the last that is not zero.
    used: Range<usize>,
    /// Sorted, disjoint from the table's range, counts not zero.
    sparse: Vec<Entry>,
    /// How many of `sparse` lie below the table.
    below: usize,
}

impl Counts {
    pub(super) fn new(base: i64, slots: Vec<u64>, sparse: Vec<Entry>) -> Self {
        let first = slots.iter().position(|&count| count > 0);
        let last = slots.iter().rposition(|&count| count > 0);
        let used = first.zip(last).map_or(0..0, |(first, last)| first..last + 1);
        let below = sparse.partition_point(|entry| entry.value < base);
        Self { base, slots, used, sparse, below }
    }

    /// Every value that occurs with its count, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.entries().map(|entry| (entry.value, entry.count))
    }

    /// The same as [`Counts::iter`] in the form that the emitter and the statistics take.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let (below, above) = self.sparse.split_at(self.below);
        let (base, slots) = self.window();
        below.iter().copied().chain(dense::entries(base, slots)).chain(above.iter().copied())
    }

    /// The same as a list; where no table is in use, the one that is there already.
    pub fn into_entries(self) -> Vec<Entry> {
        if self.used.is_empty() {
            return self.sparse;
        }
        let mut all = Vec::with_capacity(to_usize(self.distinct()));
        all.extend(self.entries());
        all
    }

    /// The least value.
    pub fn min(&self) -> Option<i64> {
        self.entries().next().map(|entry| entry.value)
    }

    /// The greatest value.
    pub fn max(&self) -> Option<i64> {
        let dense = self.used.clone().next_back().map(|index| dense::value_at(self.base, index));
        dense.max(self.sparse.last().map(|entry| entry.value))
    }

    /// The least and the greatest value.
    pub fn range(&self) -> Option<Limits> {
        Some(Limits { min: self.min()?, max: self.max()? })
    }

    /// How many different values occur. Walks the table.
    pub fn distinct(&self) -> u64 {
        dense::distinct(self.window().1) + to_u64(self.sparse.len())
    }

    /// The sum of the counts, to be compared with the histogram's own total.
    pub fn total(&self) -> u64 {
        self.entries().map(|entry| entry.count).sum()
    }

    /// The checksum that these counts imply, to be compared with the histogram's own.
    pub fn checksum(&self) -> u64 {
        let parts = self.entries().map(|entry| mix(entry.value).wrapping_mul(entry.count));
        parts.fold(0, u64::wrapping_add)
    }

    /// The part that is held as a table: the value of its first slot, and the slots from the first
    /// to the last that is not zero. None when no value lies there.
    pub fn dense_window(&self) -> Option<(i64, &[u64])> {
        let window = self.window();
        (!window.1.is_empty()).then_some(window)
    }

    /// The part that is held as a list, ascending; no value of it lies in the table.
    pub fn sparse(&self) -> &[Entry] {
        &self.sparse
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> u64 {
        let sparse = to_u64(self.sparse.capacity()) * super::sparse::ENTRY_BYTES;
        to_u64(self.slots.capacity()) * dense::SLOT_BYTES + sparse
    }

    fn window(&self) -> (i64, &[u64]) {
        let base = dense::value_at(self.base, self.used.start);
        (base, &self.slots[self.used.clone()])
    }
}
