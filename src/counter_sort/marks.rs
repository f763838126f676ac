//! A list of names, remembered by a few hashes: whether another list begins in the same way, and where not.
//!
//! A running hash of all names is kept after each name, until that would be too many hashes; then after each
//! second, and so on. A list of a billion names is 128 KiB; of up to some ten thousand the first other name
//! is known exactly. Pure.

use crate::num::{mix64, to_u64, to_usize};
use crate::store::crc;

/// Most hashes that are kept.
const MOST: usize = 1 << 14;

/// What is remembered of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Names in the list.
    count: u64,
    /// The hash of all of them.
    whole: u64,
    /// Names from one mark to the next.
    step: u64,
    kept: Vec<u64>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { count: 0, whole: 0, step: 1, kept: Vec::new() }
    }
}

/// A directory's share of the hashes of its names.
pub fn directory_hash(directory: &[u8]) -> u64 {
    mix64(crc::checksum(directory))
}

impl Marks {
    /// Names so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a name, given what [`directory_hash`] made of its directory.
    pub fn add(&mut self, directory: u64, name: &[u8]) {
        self.whole = mix64(self.whole ^ directory.wrapping_add(crc::checksum(name)));
        self.count += 1;
        if !self.count.is_multiple_of(self.step) {
            return;
        }
        self.kept.push(self.whole);
        if self.kept.len() > MOST {
            self.step *= 2;
            self.kept = self.kept.chunks_exact(2).map(|pair| pair[1]).collect();
        }
    }

    /// Whether a list that is being made looks as this one did, as far as can be told after its last name.
    /// With a count past the end of this one there is nothing to tell.
    pub fn agree_with(&self, other: &Self) -> bool {
        let index = other.count / self.step;
        let mark = match other.count {
            0 => None,
            count if count == self.count => Some(self.whole),
            count if count.is_multiple_of(self.step) => self.kept.get(to_usize(index) - 1).copied(),
            _ => None,
        };
        mark.is_none_or(|mark| mark == other.whole)
    }

    /// As bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let head = [self.count, self.whole, self.step, to_u64(self.kept.len())];
        head.iter().chain(&self.kept).for_each(|word| out.extend(word.to_le_bytes()));
    }

    /// Takes what [`encode`](Self::encode) wrote from the front of `bytes`; `None` when it is something else.
    pub fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut take = || -> Option<u64> {
            let (word, rest) = bytes.split_first_chunk::<8>()?;
            *bytes = rest;
            Some(u64::from_le_bytes(*word))
        };
        let (count, whole, step, length) = (take()?, take()?, take()?, take()?);
        let is_sound = step > 0 && length <= to_u64(MOST) && length <= count / step;
        let kept = (0..length).map(|_| take()).collect::<Option<_>>()?;
        is_sound.then_some(Self { count, whole, step, kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: impl Iterator<Item = u32>) -> Marks {
        let mut marks = Marks::default();
        names.for_each(|name| marks.add(7, &name.to_le_bytes()));
        marks
    }

    /// The count at which a list is first seen to differ from `marks`.
    fn differs_at(marks: &Marks, names: impl Iterator<Item = u32>) -> Option<u64> {
        let mut other = Marks::default();
        for name in names {
            other.add(7, &name.to_le_bytes());
            if !marks.agree_with(&other) {
                return Some(other.count());
            }
        }
        None
    }

    #[test]
    fn the_first_other_name_is_found() {
        for count in [1, 2, 77, 5000] {
            let marks = list(0..count);
            assert_eq!(differs_at(&marks, 0..count + 9), None, "more names may follow");
            for odd in [0, count / 2, count - 1] {
                let removed = (0..=count).filter(|name| *name != odd);
                assert_eq!(differs_at(&marks, removed), Some(u64::from(odd) + 1));
                let swapped = (0..count).map(|name| if name == odd { 1 << 20 } else { name });
                assert_eq!(differs_at(&marks, swapped), Some(u64::from(odd) + 1));
            }
        }
    }

    #[test]
    fn a_long_list_takes_few_hashes() {
        let count = 100_000;
        let marks = list(0..count);
        assert!(marks.kept.len() <= MOST && marks.step == 8, "{} {}", marks.kept.len(), marks.step);
        assert_eq!(differs_at(&marks, 0..count), None);
        let swapped = (0..count).map(|name| if name == 70_001 { 70_002 } else { name });
        assert_eq!(differs_at(&marks, swapped), Some(70_008));
        let last = (0..count).map(|name| if name == count - 1 { 5 } else { name });
        assert_eq!(differs_at(&marks, last), Some(u64::from(count)));
    }

    #[test]
    fn bytes_give_the_same_marks() {
        for count in [0, 1, 40_000] {
            let marks = list(0..count);
            let mut bytes = Vec::new();
            marks.encode(&mut bytes);
            assert_eq!(Marks::decode(&mut &bytes[..]), Some(marks));
            assert_eq!(Marks::decode(&mut &bytes[..bytes.len() - 1]), None);
        }
    }
}
