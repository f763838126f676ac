//! How fast this machine sorts these items: a little of a rank's input, sorted apart.
//!
//! What all of it would take at that rate is what the run record holds the run against. Costs less than a
//! hundredth of the local sort; of an input of some thousand items nothing is learnt.

use serde::{Deserialize, Serialize};

use super::buffer::Buffer;
use super::form::Form;
use crate::error::Result;
use crate::measure::clock::Stopwatch;
use crate::num::{to_f64, to_u64};

/// The part of the input that is sorted apart, each of two times.
const PART: usize = 256;

/// Most bytes of it: less than a core's second-level cache.
const BYTES_MAX: usize = 512 << 10;

/// Fewest items of it that tell anything.
const ITEMS_MIN: u64 = 1000;

/// A sort of a few items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How many.
    pub items: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Comparisons of a sort, about.
fn work(items: f64) -> f64 {
    items * items.max(2.0).log2()
}

impl Sample {
    /// Of items in file form, from the middle of them; none when they are too few. Local.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn take(form: &dyn Form, items: &[u8]) -> Result<Option<Self>> {
        let bytes = (items.len() / PART).min(BYTES_MAX);
        let (start, end) = match (form.item_bytes(), form.terminator()) {
            (Some(item), _) => {
                let start = items.len() / 2 / item * item;
                (start, start + bytes / item * item)
            }
            (None, Some(end)) => {
                let line = |at: usize| memchr::memchr(end, &items[at..]).map(|to| at + to + 1);
                let start = line(items.len() / 2).unwrap_or(items.len());
                (start, line((start + bytes).min(items.len())).unwrap_or(start))
            }
            (None, None) => return Ok(None),
        };
        let few = &items[start..end.max(start)];
        if form.digest(few).items < ITEMS_MIN {
            return Ok(None);
        }
        let (first, second) = (Self::sort(form, few)?, Self::sort(form, few)?);
        Ok(Some(if second.seconds < first.seconds { second } else { first }))
    }

    fn sort(form: &dyn Form, items: &[u8]) -> Result<Self> {
        let mut copy = Buffer::zeroed(to_u64(items.len()))?;
        copy.copy_from_slice(items);
        let clock = Stopwatch::start();
        form.encode(&mut copy);
        let (_, index) = form.sort(copy)?;
        Ok(Self { items: to_u64(index.len()), seconds: clock.seconds() })
    }

    /// Seconds for so many items at this rate, one of whose sort grows as the logarithm of their number.
    pub fn seconds(&self, items: u64) -> f64 {
        self.seconds * work(to_f64(items)) / work(to_f64(self.items))
    }

    /// The faster of two.
    #[must_use]
    pub fn faster(self, other: Self) -> Self {
        if other.seconds(self.items) < self.seconds { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::keys::KeyType;
    use crate::mergesort::form::{Keys, Lines, Records};
    use crate::mergesort::lines::{Flags, Order};
    use crate::mergesort::records::Layout;
    use crate::num::mix64;

    #[test]
    fn a_part_of_enough_items_is_sorted() {
        let bytes: Vec<u8> = (0..1 << 18).flat_map(|at| mix64(at).to_le_bytes()).collect();
        let keys = Keys::new(KeyType::U64, false, false);
        let sample = Sample::take(&keys, &bytes).unwrap().unwrap();
        assert_eq!(sample.items, 1024);
        assert!(sample.seconds > 0.0 && sample.seconds < 0.1, "{sample:?}");
        assert_eq!(Sample::take(&keys, &bytes[..8 * 255_000]).unwrap(), None);
        let records = Records::new(Layout::new(16, 3).unwrap(), false, false);
        assert_eq!(Sample::take(&records, &bytes).unwrap(), None);
        let records = Sample::take(&records, &bytes.repeat(2)).unwrap().unwrap();
        assert_eq!(records.items, 1024);
        let lines = Lines::new(Order::parse(&Flags::default()).unwrap());
        let text = b"some\nlines\n".repeat(200_000);
        let found = Sample::take(&lines, &text).unwrap().unwrap();
        assert!((1500..1700).contains(&found.items), "{found:?}");
        assert_eq!(Sample::take(&lines, b"").unwrap(), None);
        assert_eq!(Sample::take(&lines, &b"x".repeat(1 << 20)).unwrap(), None);
    }

    #[test]
    fn more_items_take_longer_and_the_faster_wins() {
        let slow = Sample { items: 1 << 10, seconds: 1.0 };
        assert!((slow.seconds(1 << 20) - 2048.0).abs() < 1e-9);
        let fast = Sample { items: 1 << 20, seconds: 2000.0 };
        assert_eq!(slow.faster(fast), fast);
        assert_eq!(fast.faster(slow), fast);
    }
}
