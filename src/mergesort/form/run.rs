//! A sorted piece, its items found by number.

use std::ops::Range;

use crate::mergesort::lines::Lines;

/// Where the items of a byte string begin.
#[derive(Debug)]
pub enum Index {
    /// All have the same size: bytes, items.
    Every(usize, usize),
    /// They differ.
    Lines(Lines),
}

impl Index {
    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Every(_, items) => *items,
            Self::Lines(lines) => lines.len(),
        }
    }

    /// No items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where an item begins; the end of all for the number of items.
    pub fn start(&self, item: usize) -> usize {
        match self {
            Self::Every(bytes, _) => bytes * item,
            Self::Lines(lines) => lines.start(item),
        }
    }

    /// The bytes of some items.
    pub fn bytes(&self, items: Range<usize>) -> Range<usize> {
        self.start(items.start)..self.start(items.end)
    }

    /// The item that begins at an offset; the number of items for the end of all.
    pub fn item_at(&self, offset: usize) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.start(middle) < offset { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Some items of a sorted byte string.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    bytes: &'a [u8],
    index: &'a Index,
    items: Range<usize>,
}

impl<'a> Run<'a> {
    /// The given items of `bytes`.
    ///
    /// # Panics
    /// When there are no such items.
    pub fn new(bytes: &'a [u8], index: &'a Index, items: Range<usize>) -> Self {
        assert!(items.start <= items.end && items.end <= index.len(), "items of the string");
        Self { bytes, index, items }
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// No items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// One item.
    pub fn item(&self, item: usize) -> &'a [u8] {
        let at = self.items.start + item;
        &self.bytes[self.index.bytes(at..at + 1)]
    }

    /// All items.
    pub fn bytes(&self) -> &'a [u8] {
        &self.bytes[self.index.bytes(self.items.clone())]
    }

    /// Some of its items, counted from its first.
    #[must_use]
    pub fn part(&self, items: Range<usize>) -> Self {
        let first = self.items.start;
        Self { items: first + items.start..first + items.end, ..self.clone() }
    }
}
