//! A reading place in sorted text, with what a loser tree asks of it.
//!
//! The prefix of the current line's key is at hand, so that most matches of a merge compare two
//! numbers. Where the line is not its own key, the keys are encoded when the cursor comes to the
//! line, once, and kept: ties compare bytes, whatever the keys are. The last resort is not copied
//! with them; it compares the lines.

use std::cmp::Ordering;

use super::encode::prefix;
use super::entry::line_end;
use super::order::{Order, turned};

/// Lines of a text, one after the other.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    order: &'a Order,
    text: &'a [u8],
    /// The current line begins at `at`, with `at == text.len()` behind the last.
    at: usize,
    end: usize,
    prefix: u64,
    /// Empty where the line itself is compared.
    keys: Vec<u8>,
}

impl<'a> Cursor<'a> {
    /// At the first line of `text`, whose last line may lack its terminator.
    pub fn new(order: &'a Order, text: &'a [u8]) -> Self {
        let mut cursor = Self { order, text, at: 0, end: 0, prefix: 0, keys: Vec::new() };
        cursor.load();
        cursor
    }

    /// [`Order::prefix`] of the current line, `None` behind the last. Less means first; ties go to
    /// [`Cursor::cmp_full`].
    #[inline]
    pub fn peek(&self) -> Option<u64> {
        (self.at < self.text.len()).then_some(self.prefix)
    }

    /// The current line without its terminator; empty behind the last.
    #[inline]
    pub fn line(&self) -> &'a [u8] {
        &self.text[self.at..self.end]
    }

    /// The offset of the current line in the text, and the text's length behind the last.
    #[inline]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Steps to the next line; behind the last it stays.
    #[inline]
    pub fn advance(&mut self) {
        self.at = (self.end + 1).min(self.text.len());
        self.load();
    }

    /// How the current line stands to that of `other`, which must be of the same order. `Equal` is
    /// for the caller to settle by where the two come from.
    #[inline]
    pub fn cmp_full(&self, other: &Self) -> Ordering {
        if self.order.keys.is_empty() {
            return turned(self.line().cmp(other.line()), self.order.reverse);
        }
        let order = self.keys.cmp(&other.keys);
        if order.is_eq() && self.order.has_last_resort() {
            return turned(self.line().cmp(other.line()), self.order.reverse);
        }
        order
    }

    #[inline]
    fn load(&mut self) {
        if self.at == self.text.len() {
            self.end = self.at;
            return;
        }
        self.end = line_end(self.text, self.at, self.order.terminator);
        let line = &self.text[self.at..self.end];
        if self.order.is_plain() {
            self.prefix = prefix(line);
        } else if self.order.keys.is_empty() {
            self.prefix = self.order.prefix(line, &mut self.keys);
        } else {
            self.keys.clear();
            self.order.encode_keys(line, &mut self.keys);
            self.prefix = self.order.prefix_of_encoded(&mut self.keys, line);
        }
    }
}
