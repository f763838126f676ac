//! A histogram as bytes, for a checkpoint: sorted values with counts, as differences in few bytes.
//!
//! Dense values take two or three bytes each instead of a slot of eight, random ones some nine instead of
//! sixteen. The table and each sorted run are written one after the other, so nothing is merged and no second
//! copy of the counters is made; a value that stands in several is counted in several.

use super::{Histogram, Kind};
use crate::counter_sort::emit::Entry;
use crate::num::{to_u64, to_usize};

/// Entries that are decoded at a time.
const CHUNK: usize = 1 << 16;

/// Copies of values altogether, at most: some such sums can be added up.
const MOST: u64 = 1 << 58;

/// Appends entries, ascending: how many, how many bytes, then each as its distance from the one before and
/// its count.
pub fn encode(entries: impl Iterator<Item = Entry>, out: &mut Vec<u8>) {
    let head = out.len();
    out.extend([0; 16]);
    let (mut count, mut before) = (0_u64, i64::MIN);
    for Entry { value, count: copies } in entries {
        number(value.abs_diff(before), out);
        number(copies, out);
        (count, before) = (count + 1, value);
    }
    let bytes = to_u64(out.len() - head - 16);
    out[head..head + 8].copy_from_slice(&count.to_le_bytes());
    out[head + 8..head + 16].copy_from_slice(&bytes.to_le_bytes());
}

/// Hands all that [`encode`] wrote, once or several times, to `take` in sorted runs of bounded length.
/// `None` when the bytes are something else.
pub fn decode(mut bytes: &[u8], mut take: impl FnMut(Vec<Entry>)) -> Option<()> {
    while !bytes.is_empty() {
        let (mut left, length) = (word(&mut bytes)?, to_usize(word(&mut bytes)?));
        let (mut rest, tail) = bytes.split_at_checked(length)?;
        bytes = tail;
        let (mut before, mut copies) = (None, 0_u64);
        while left > 0 {
            let some = CHUNK.min(to_usize(left));
            let mut run = Vec::with_capacity(some.min(rest.len()));
            for _ in 0..some {
                let value = match (before, take_number(&mut rest)?) {
                    (None, distance) => i64::MIN.checked_add_unsigned(distance)?,
                    (Some(_), 0) => return None,
                    (Some(before), distance) => i64::checked_add_unsigned(before, distance)?,
                };
                let count = take_number(&mut rest)?;
                copies = copies.checked_add(count).filter(|copies| *copies <= MOST)?;
                run.push(Entry { value, count });
                before = Some(value);
            }
            left -= to_u64(some);
            take(run);
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(())
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn word(rest: &mut &[u8]) -> Option<u64> {
    let (word, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_le_bytes(*word))
}

impl Histogram {
    /// Appends all that was counted. Values that were collected become a run, nothing else changes.
    pub fn store(&mut self, out: &mut Vec<u8>) {
        self.empty_buffer();
        encode(self.window.entries(), out);
        self.runs.iter().for_each(|run| encode(run.iter().copied(), out));
    }

    /// Counts what an earlier run had: values within the limits, ascending, each once.
    pub fn take(&mut self, run: Vec<Entry>) {
        let copies: u64 = run.iter().map(|entry| entry.count).sum();
        let checksums = run.iter().map(|entry| super::mix(entry.value).wrapping_mul(entry.count));
        self.checksum = checksums.fold(self.checksum, u64::wrapping_add);
        self.total += copies;
        self.missed += copies;
        if self.kind == Kind::Auto {
            self.reconsider(&run);
        }
        self.keep(run);
        self.check_memory();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Limits, Tuning};
    use super::*;

    const SMALL: Tuning = Tuning { window: 32, buffer: 16, slots_per_value: 8 };

    fn counted(values: &[i64], kind: Kind, limits: Limits) -> Histogram {
        let mut histogram = Histogram::with_tuning(kind, limits, 1 << 20, SMALL).unwrap();
        for &value in values {
            assert!(histogram.add(value));
        }
        histogram
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            Just(i64::MIN),
            Just(i64::MAX),
            any::<i64>(),
            -400_i64..400,
            1_000_000_i64..1_000_050
        ]
    }

    proptest! {
        #[test]
        fn stored_counts_are_counted_again(
            first in proptest::collection::vec(value(), 0..300),
            second in proptest::collection::vec(value(), 0..300),
            kinds in (any::<bool>(), any::<bool>()),
        ) {
            let kind = |sparse| if sparse { Kind::Sparse } else { Kind::Auto };
            let mut bytes = Vec::new();
            counted(&first, kind(kinds.0), Limits::ALL).store(&mut bytes);
            let mut other = counted(&second, kind(kinds.1), Limits::ALL);
            prop_assert_eq!(decode(&bytes, |run| other.take(run)), Some(()));
            let all = counted(&[first, second].concat(), Kind::Auto, Limits::ALL);
            prop_assert_eq!((other.total(), other.checksum()), (all.total(), all.checksum()));
            let (other, all) = (other.into_counts(), all.into_counts());
            prop_assert!(other.iter().eq(all.iter()));
            prop_assert_eq!(other.checksum(), all.checksum());
            for cut in [1, 9, 20] {
                if cut < bytes.len() {
                    prop_assert_eq!(decode(&bytes[..bytes.len() - cut], |_| ()), None);
                }
            }
        }
    }

    #[test]
    fn storing_changes_nothing() {
        let values: Vec<i64> = (0..100).map(|i| i * i % 37 - 5).collect();
        let mut histogram = counted(&values, Kind::Auto, Limits::ALL);
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        histogram.store(&mut once);
        histogram.store(&mut twice);
        assert_eq!(once, twice);
        assert!(
            histogram
                .into_counts()
                .iter()
                .eq(counted(&values, Kind::Auto, Limits::ALL).into_counts().iter())
        );
    }

    #[test]
    fn dense_counts_take_few_bytes() {
        let (mut bytes, values) = (Vec::new(), 10_000_i64);
        encode((0..values).map(|value| Entry { value, count: 100 }), &mut bytes);
        assert!(bytes.len() <= 20_000 + 32, "{}", bytes.len());
        let limits = Limits { min: 0, max: values };
        let mut dense = Histogram::new(Kind::Dense, limits, 1 << 20).unwrap();
        assert_eq!(decode(&bytes, |run| dense.take(run)), Some(()));
        assert_eq!(dense.total(), 1_000_000);
    }
}
