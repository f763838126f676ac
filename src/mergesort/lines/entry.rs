//! What is sorted in place of lines: 16 bytes each, eight of text and the line's place.
//!
//! Offsets have 40 bits, so that text of up to 1 TiB is sorted in one piece, and lengths 24. Lines
//! of 16 MiB and more have their lengths in a list beside the entries; of those there are at most
//! 64 for each GiB, and a look at one of them costs more than the search in the list.

use memchr::{memchr, memchr_iter};

use crate::num::{to_u64, to_usize};

const LENGTH_BITS: u32 = 24;
/// Stands for all lengths from here on.
const LONG: usize = (1 << LENGTH_BITS) - 1;
const TEXT_MAX: usize = 1 << (64 - LENGTH_BITS);

/// A line: eight bytes that stand for it in comparisons, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Compared first.
    pub(super) prefix: u64,
    /// Offset and length; grows with the offset, so that sorting by it keeps the input's order.
    pub(super) place: u64,
}

impl Entry {
    /// Prefix and place as one number: sorting by it is sorting by prefix, stably. One comparison
    /// without a branch is what lets the sort partition without mispredictions.
    #[inline]
    pub(super) fn word(&self) -> u128 {
        (u128::from(self.prefix) << 64) | u128::from(self.place)
    }
}

/// Sorts by prefix, stably.
#[inline]
pub(super) fn sort_by_prefix(entries: &mut [Entry]) {
    entries.sort_unstable_by_key(Entry::word);
}

/// Bytes with the places of the pieces in them.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Offset and length of the long pieces, ascending.
    long: Vec<(usize, usize)>,
}

impl<'a> Text<'a> {
    /// # Panics
    /// From 1 TiB on.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        assert!(bytes.len() < TEXT_MAX, "text of a rank is below 1 TiB");
        Self { bytes, long: Vec::new() }
    }

    /// The lines of `bytes` in their order, each with the prefix that `prefix` gives it.
    pub(super) fn read(
        bytes: &'a [u8],
        terminator: u8,
        mut prefix: impl FnMut(&'a [u8]) -> u64,
    ) -> (Self, Vec<Entry>) {
        let mut text = Self::new(bytes);
        let count = memchr_iter(terminator, bytes).count();
        let mut entries = Vec::with_capacity(count + 1);
        let mut start = 0;
        for end in memchr_iter(terminator, bytes).chain(unterminated(bytes, terminator)) {
            let place = text.place(start, end - start);
            entries.push(Entry { prefix: prefix(&bytes[start..end]), place });
            start = end + 1;
        }
        (text, entries)
    }

    /// The place of a piece; ascending offsets only.
    #[inline]
    pub(super) fn place(&mut self, offset: usize, length: usize) -> u64 {
        if length >= LONG {
            self.long.push((offset, length));
        }
        (to_u64(offset) << LENGTH_BITS) | to_u64(length.min(LONG))
    }

    /// Where the piece at `place` begins.
    #[inline]
    pub(super) fn offset(place: u64) -> usize {
        to_usize(place >> LENGTH_BITS)
    }

    /// The length of the piece at `place`.
    #[inline]
    pub(super) fn length(&self, place: u64) -> usize {
        let length = to_usize(place) & LONG;
        if length == LONG { self.long_length(place) } else { length }
    }

    /// The piece at `place`.
    #[inline]
    pub(super) fn get(&self, place: u64) -> &'a [u8] {
        let offset = Self::offset(place);
        &self.bytes[offset..offset + self.length(place)]
    }

    #[cold]
    fn long_length(&self, place: u64) -> usize {
        let found = self.long.binary_search_by_key(&Self::offset(place), |&(offset, _)| offset);
        self.long[found.expect("every long piece is listed")].1
    }
}

/// The end of the last line if no terminator is there.
fn unterminated(bytes: &[u8], terminator: u8) -> Option<usize> {
    bytes.last().filter(|&&last| last != terminator).map(|_| bytes.len())
}

/// The end of the line that begins at `start`: its terminator or the end of the text.
pub(super) fn line_end(bytes: &[u8], start: usize, terminator: u8) -> usize {
    memchr(terminator, &bytes[start..]).map_or(bytes.len(), |length| start + length)
}
