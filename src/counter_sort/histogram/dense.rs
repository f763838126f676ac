//! A table of counters for consecutive values: the fast half of the histogram.
//!
//! A slot costs eight bytes whether its value occurs or not; in return an addition is one
//! subtraction, one comparison and one increment. There is one table, not two used in turn:
//! `Histogram::add` is bound by its checksum's way through memory (about 2 ns, 495 M adds/s on
//! 1..10000, 460 M on one value), and two tables lifted that to 529 M and 491 M only. In a loop
//! that keeps the checksum in a register (`add_all`) two tables gave 863 M instead of 482 M on one
//! value but 890 M instead of 1200 M on 1..10000, and twice the memory at every size.

use super::Limits;
use crate::counter_sort::emit::Entry;
use crate::num::{to_u64, to_usize};

/// Bytes of one counter.
pub(super) const SLOT_BYTES: u64 = 8;

/// Counters for `base ..= base + slots.len() - 1`, which never leaves `i64`.
#[derive(Debug, Default)]
pub(super) struct Window {
    base: i64,
    slots: Vec<u64>,
}

impl Window {
    /// Zeroed counters for all of `range`; the caller has checked that they fit the memory. Pages
    /// that no value touches cost address space only, as the allocator hands them out zeroed.
    pub fn new(range: Limits) -> Self {
        let len = u64::try_from(range.slots()).expect("a window that was checked against memory");
        Self { base: range.min, slots: vec![0; to_usize(len)] }
    }

    /// Counts one value if the window covers it.
    #[inline]
    pub fn hit(&mut self, value: i64) -> bool {
        // Values below the base wrap to offsets beyond any table, so one comparison does for both
        // ends.
        match self.slots.get_mut(offset(self.base, value)) {
            Some(slot) => {
                *slot += 1;
                true
            }
            None => false,
        }
    }

    /// Adds `count` copies of a value that the window covers.
    pub fn add(&mut self, entry: Entry) {
        self.slots[offset(self.base, entry.value)] += entry.count;
    }

    /// How many counters there are.
    pub fn len(&self) -> u64 {
        to_u64(self.slots.len())
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        to_u64(self.slots.capacity()) * SLOT_BYTES
    }

    /// The values covered.
    pub fn range(&self) -> Option<Limits> {
        let last = self.len().checked_sub(1)?;
        Some(Limits { min: self.base, max: self.base.wrapping_add_unsigned(last) })
    }

    /// The covered values from the first to the last that occurs.
    pub fn used(&self) -> Option<Limits> {
        let first = self.slots.iter().position(|&count| count > 0)?;
        let last = self.slots.iter().rposition(|&count| count > 0)?;
        Some(Limits { min: value_at(self.base, first), max: value_at(self.base, last) })
    }

    /// How many covered values occur.
    pub fn distinct(&self) -> u64 {
        distinct(&self.slots)
    }

    /// Values that occur, ascending, with their counts.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        entries(self.base, &self.slots)
    }

    /// Adds those counters of `other` whose values both windows cover.
    pub fn add_common(&mut self, other: &Self) {
        let (Some(own), Some(theirs)) = (self.range(), other.range()) else { return };
        let common = Limits { min: own.min.max(theirs.min), max: own.max.min(theirs.max) };
        if common.min > common.max {
            return;
        }
        let to = offset(self.base, common.min)..=offset(self.base, common.max);
        let from = offset(other.base, common.min)..=offset(other.base, common.max);
        for (slot, &count) in self.slots[to].iter_mut().zip(&other.slots[from]) {
            *slot += count;
        }
    }

    /// Takes what lies in the window out of a sorted run and counts it here, so that a value is
    /// never held in both places.
    pub fn absorb(&mut self, run: &mut Vec<Entry>) {
        let Some(range) = self.range() else { return };
        for entry in run.drain(super::sparse::bounds(run, range)) {
            self.add(entry);
        }
    }

    /// The base and the counters.
    pub fn into_parts(self) -> (i64, Vec<u64>) {
        (self.base, self.slots)
    }
}

/// Values that occur in a table, ascending, with their counts.
pub(super) fn entries(base: i64, slots: &[u64]) -> impl Iterator<Item = Entry> + '_ {
    let slots = slots.iter().enumerate().filter(|&(_, &count)| count > 0);
    slots.map(move |(index, &count)| Entry { value: value_at(base, index), count })
}

/// How many counters are not zero.
pub(super) fn distinct(slots: &[u64]) -> u64 {
    slots.iter().map(|&count| u64::from(count > 0)).sum()
}

/// The value of a slot; the slot exists, so that nothing wraps.
pub(super) fn value_at(base: i64, index: usize) -> i64 {
    base.wrapping_add_unsigned(to_u64(index))
}

#[inline]
fn offset(base: i64, value: i64) -> usize {
    to_usize(value.wrapping_sub(base).cast_unsigned())
}
