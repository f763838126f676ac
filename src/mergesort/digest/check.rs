//! Order and equal neighbours of what should be sorted, in one pass.

use super::wide;
use crate::mergesort::merge::Key;
use crate::mergesort::records::Layout;
use crate::num::to_u64;
use std::cmp::Ordering;

/// Keys looked at together: few enough to look again for the first unordered one.
const BLOCK: usize = 4096;

/// What the neighbours in a sequence look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many items are less than the one before them.
    pub unordered: u64,
    /// The position of the first of those.
    pub first_unordered: Option<u64>,
    /// How many items are equal to the one before them.
    pub duplicates: u64,
}

impl Checked {
    /// This sequence of `count` items followed by another; `border` is the order of the last item
    /// of this and the first of the next, equal keys or not, and `None` if either is empty.
    #[must_use]
    pub fn then(self, count: u64, border: Option<Ordering>, next: Self) -> Self {
        let mut both = self;
        if let Some(order) = border {
            both.add(count, order);
        }
        both.unordered += next.unordered;
        both.duplicates += next.duplicates;
        both.first_unordered = both.first_unordered.or(next.first_unordered.map(|at| count + at));
        both
    }

    /// Counts the item at `position`; `order` is that of the one before it to this.
    #[inline]
    fn add(&mut self, position: u64, order: Ordering) {
        match order {
            Ordering::Less => {}
            Ordering::Equal => self.duplicates += 1,
            Ordering::Greater => {
                self.unordered += 1;
                self.first_unordered.get_or_insert(position);
            }
        }
    }
}

/// Checks bare keys.
pub fn check_keys<K: Key>(keys: &[K]) -> Checked {
    let mut checked = Checked::default();
    let Some(next) = keys.get(1..) else { return checked };
    for (block, (before, after)) in keys.chunks(BLOCK).zip(next.chunks(BLOCK)).enumerate() {
        let (unordered, duplicates) = wide::run(|| count(before, after));
        if unordered > 0 && checked.first_unordered.is_none() {
            let inside = before.iter().zip(after).position(|(a, b)| b < a);
            checked.first_unordered = inside.map(|at| to_u64(block * BLOCK + at + 1));
        }
        checked.unordered += u64::from(unordered);
        checked.duplicates += u64::from(duplicates);
    }
    checked
}

/// How many of the pairs are in the wrong order, and how many equal.
#[inline]
fn count<K: Key>(before: &[K], after: &[K]) -> (u32, u32) {
    before.iter().zip(after).fold((0, 0), |(unordered, duplicates), (a, b)| {
        (unordered + u32::from(b < a), duplicates + u32::from(a == b))
    })
}

/// Checks the keys of whole records.
///
/// # Panics
/// When `records` are no whole number of records.
pub fn check_records(layout: Layout, records: &[u8]) -> Checked {
    layout.count(records);
    let keys =
        records.chunks_exact(layout.record_bytes()).map(|record| &record[..layout.key_bytes()]);
    check_items(keys)
}

/// Checks anything that comes one by one.
pub fn check_items<T: Ord>(items: impl IntoIterator<Item = T>) -> Checked {
    let mut checked = Checked::default();
    let mut items = items.into_iter();
    let Some(mut before) = items.next() else { return checked };
    for (item, position) in items.zip(1..) {
        checked.add(position, before.cmp(&item));
        before = item;
    }
    checked
}
