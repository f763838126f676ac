//! Sets of indices, kept as the ranges that they are made of.
//!
//! What is done of a long list is nearly always a few long ranges, however many ranks did it: a set of 10^9
//! indices then takes some bytes. A set of single indices takes 16 bytes each.

use std::ops::Range;

use crate::num::to_usize;

/// A set of indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Ascending, none empty, none adjacent to the next.
    parts: Vec<Range<u64>>,
}

impl From<Range<u64>> for Ranges {
    fn from(range: Range<u64>) -> Self {
        [range].into_iter().collect()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut all: Vec<Range<u64>> =
            ranges.into_iter().filter(|range| !range.is_empty()).collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut set = Self::default();
        for range in all {
            set.append(range);
        }
        set
    }
}

impl Ranges {
    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + Clone + '_ {
        self.parts.iter().cloned()
    }

    /// How many indices.
    pub fn count(&self) -> u64 {
        self.parts.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether an index is among them.
    pub fn contains(&self, index: u64) -> bool {
        let after = self.parts.partition_point(|range| range.start <= index);
        after > 0 && index < self.parts[after - 1].end
    }

    /// A range that begins at or after the last one's start.
    fn append(&mut self, range: Range<u64>) {
        match self.parts.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.parts.push(range),
        }
    }

    /// With those of another set.
    pub fn join(&mut self, other: &Self) {
        let follows = match (self.parts.last(), other.parts.first()) {
            (Some(last), Some(first)) => last.start <= first.start,
            _ => true,
        };
        if follows {
            for range in other.iter() {
                self.append(range);
            }
        } else {
            *self = self.iter().chain(other.iter()).collect();
        }
    }

    /// Those that are in both sets.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let (mut one, mut two) = (self.parts.iter().peekable(), other.parts.iter().peekable());
        let mut both = Self::default();
        while let (Some(a), Some(b)) = (one.peek(), two.peek()) {
            let (start, end) = (a.start.max(b.start), a.end.min(b.end));
            if start < end {
                both.append(start..end);
            }
            if a.end <= b.end {
                one.next()
            } else {
                two.next()
            };
        }
        both
    }

    /// Those that are not in the other set.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let (mut rest, mut others) = (Self::default(), other.parts.iter().peekable());
        for Range { mut start, end } in self.iter() {
            while let Some(taken) = others.peek().filter(|taken| taken.start < end) {
                if start < taken.start {
                    rest.append(start..taken.start);
                }
                start = start.max(taken.end);
                if taken.end > end {
                    break; // it reaches into the next range too
                }
                others.next();
            }
            if start < end {
                rest.append(start..end);
            }
        }
        rest
    }

    /// Those at these places, counted from the least index on.
    #[must_use]
    pub fn cut(&self, places: Range<u64>) -> Self {
        let (mut before, mut cut) = (0, Self::default());
        for Range { start, end } in self.iter() {
            let length = end - start;
            let from = places.start.clamp(before, before + length) - before;
            let to = places.end.clamp(before, before + length) - before;
            if from < to {
                cut.append(start + from..start + to);
            }
            before += length;
            if before >= places.end {
                break;
            }
        }
        cut
    }

    /// As bytes: how many ranges, then the ends of each.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let words = self.parts.iter().flat_map(|range| [range.start, range.end]);
        let count = crate::num::to_u64(self.parts.len());
        [count].into_iter().chain(words).for_each(|word| out.extend(word.to_le_bytes()));
    }

    /// Takes what [`encode`](Self::encode) wrote from the front of `bytes`; `None` when it is something else.
    pub fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut take = || -> Option<u64> {
            let (word, rest) = bytes.split_first_chunk::<8>()?;
            *bytes = rest;
            Some(u64::from_le_bytes(*word))
        };
        let count = take()?;
        let mut ranges = Vec::with_capacity(to_usize(count.min(1 << 16)));
        for _ in 0..count {
            ranges.push(take()?..take()?);
        }
        Some(ranges.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = (Ranges, BTreeSet<u64>)> {
        proptest::collection::vec((0_u64..60, 0_u64..9), 0..8).prop_map(|pairs| {
            let ranges = pairs.iter().map(|&(start, length)| start..start + length);
            (ranges.clone().collect(), ranges.flatten().collect())
        })
    }

    fn members(ranges: &Ranges) -> BTreeSet<u64> {
        for pair in ranges.parts.windows(2) {
            assert!(pair[0].end < pair[1].start, "{ranges:?}");
        }
        assert!(ranges.parts.iter().all(|range| range.start < range.end));
        ranges.iter().flatten().collect()
    }

    proptest! {
        #[test]
        fn ranges_are_sets(
            (one, set) in set(), (other, second) in set(), from in 0_u64..70, to in 0_u64..70,
        ) {
            prop_assert_eq!(members(&one), set.clone());
            prop_assert_eq!(one.count(), u64::try_from(set.len()).unwrap());
            let mut joined = one.clone();
            joined.join(&other);
            prop_assert_eq!(members(&joined), &set | &second);
            prop_assert_eq!(members(&one.minus(&other)), &set - &second);
            prop_assert_eq!(members(&one.common(&other)), &set & &second);
            for index in 0..70 {
                prop_assert_eq!(one.contains(index), set.contains(&index));
            }
            let places = from.min(to)..from.max(to);
            let (skip, take) = (to_usize(places.start), to_usize(places.end - places.start));
            let part: BTreeSet<u64> = set.iter().copied().skip(skip).take(take).collect();
            prop_assert_eq!(members(&one.cut(places)), part);
            let mut bytes = Vec::new();
            one.encode(&mut bytes);
            bytes.push(7);
            let mut rest = &bytes[..];
            prop_assert_eq!(Ranges::decode(&mut rest), Some(one));
            prop_assert_eq!(rest, &[7][..]);
            prop_assert_eq!(Ranges::decode(&mut &bytes[..bytes.len() - 2]), None);
        }
    }
}
