//! Where the lines of a text begin.
//!
//! Four bytes a line below 4 GiB of text, eight above: the lines of a rank are looked at in any
//! order by those who search splitters, and an array is the only structure that answers at once.

use std::ops::Range;

use memchr::memchr_iter;

use crate::num::{to_u64, to_usize};

/// The places of all lines of a text whose every line has its terminator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    starts: Starts,
}

/// The begins of the lines and, last, the end of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Starts {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Lines {
    /// The lines of `text`, which is empty or ends with `terminator`.
    ///
    /// # Panics
    /// When the last line has no terminator.
    pub fn find(text: &[u8], terminator: u8) -> Self {
        assert!(text.last().is_none_or(|&last| last == terminator), "the last line is terminated");
        let mut lines = Self::room(memchr_iter(terminator, text).count(), text.len());
        for end in memchr_iter(terminator, text) {
            lines.push(end + 1);
        }
        lines
    }

    /// No lines yet, but room for `count` of them in `bytes` of text.
    pub(super) fn room(count: usize, bytes: usize) -> Self {
        let starts = if u32::try_from(bytes).is_ok() {
            Starts::Narrow(Vec::with_capacity(count + 1))
        } else {
            Starts::Wide(Vec::with_capacity(count + 1))
        };
        let mut lines = Self { starts };
        lines.push(0);
        lines
    }

    /// Adds the line that ends, with its terminator, in front of `end`.
    #[inline]
    pub(super) fn push(&mut self, end: usize) {
        match &mut self.starts {
            Starts::Narrow(starts) => starts.push(u32::try_from(end).expect("room was for less")),
            Starts::Wide(starts) => starts.push(to_u64(end)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.starts {
            Starts::Narrow(starts) => starts.len() - 1,
            Starts::Wide(starts) => starts.len() - 1,
        }
    }

    /// There is no line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offset of the first byte of line `index`; of the text's end for `index == len()`.
    #[inline]
    pub fn start(&self, index: usize) -> usize {
        match &self.starts {
            Starts::Narrow(starts) => to_usize(u64::from(starts[index])),
            Starts::Wide(starts) => to_usize(starts[index]),
        }
    }

    /// The bytes of line `index`, without its terminator.
    #[inline]
    pub fn range(&self, index: usize) -> Range<usize> {
        self.start(index)..self.start(index + 1) - 1
    }

    /// Line `index` of the text that these are the lines of, without its terminator.
    #[inline]
    pub fn line<'a>(&self, text: &'a [u8], index: usize) -> &'a [u8] {
        &text[self.range(index)]
    }

    /// Bytes of memory.
    pub fn heap_bytes(&self) -> usize {
        match &self.starts {
            Starts::Narrow(starts) => 4 * starts.capacity(),
            Starts::Wide(starts) => 8 * starts.capacity(),
        }
    }
}
