//! Lines of text, in the order of sort(1).

use std::cmp::Ordering;
use std::convert::Infallible;

use super::{Checked, Digest, Form, Index, Pair, Run, Way};
use crate::error::Result;
use crate::mergesort::buffer::{self, Buffer};
use crate::mergesort::lines::{self, Cursor, Order};
use crate::mergesort::merge::{self, LoserTree, Place, Source};
use crate::num::to_u64;

/// Lines, each with its terminator.
#[derive(Clone, Debug)]
pub struct Lines {
    order: Order,
}

impl Lines {
    /// Lines in this order.
    pub fn new(order: Order) -> Self {
        Self { order }
    }
}

/// A line without its terminator.
fn bare(item: &[u8]) -> &[u8] {
    &item[..item.len() - 1]
}

impl Form for Lines {
    fn item_bytes(&self) -> Option<usize> {
        None
    }

    fn terminator(&self) -> Option<u8> {
        Some(self.order.terminator())
    }

    fn sort(&self, items: Buffer) -> Result<(Buffer, Index)> {
        let mut sorted = Vec::new();
        buffer::reserve(&mut sorted, to_u64(items.len()))?;
        let lines = lines::sort(&self.order, &items, &mut sorted);
        Ok((Buffer::text(sorted), Index::Lines(lines)))
    }

    fn index(&self, items: &[u8]) -> Index {
        Index::Lines(lines::Lines::find(items, self.order.terminator()))
    }

    fn key_bytes(&self) -> Option<usize> {
        None
    }

    fn key(&self, item: &[u8], out: &mut Vec<u8>) {
        let mut scratch = Vec::new();
        out.extend_from_slice(self.order.key(bare(item), &mut scratch));
    }

    fn first(&self, runs: &[Run<'_>], count: usize) -> Vec<usize> {
        let lengths: Vec<usize> = runs.iter().map(Run::len).collect();
        let line = |at: Place| bare(runs[at.run].item(at.index));
        merge::select(&lengths, count, |a, b| self.order.cmp_lines(line(a), line(b)))
    }

    fn merge(&self, runs: &[&[u8]], out: &mut [u8]) -> Way {
        let sources = runs.iter().map(|run| LineRun::new(&self.order, run)).collect();
        let Ok(written) = LoserTree::new(sources).next_into(out);
        assert_eq!(written, out.len(), "as many bytes as the runs have");
        Way::Tree
    }

    fn digest(&self, items: &[u8]) -> Digest {
        let digest = self.order.digest(items);
        Digest { items: digest.lines, sum: u128::from(digest.sum) << 64 }
    }

    fn check(&self, items: &[u8]) -> Checked {
        let checked = self.order.check(items, None);
        Checked { unordered: checked.unordered, duplicates: checked.duplicates }
    }

    fn check_pair(&self, before: &[u8], item: &[u8]) -> Pair {
        let checked = self.order.check(item, Some(bare(before)));
        Pair { unordered: checked.unordered > 0, equal_keys: checked.duplicates > 0 }
    }

    fn is_unique(&self) -> bool {
        self.order.is_unique()
    }

    fn dedupe(&self, items: Buffer, previous: Option<&[u8]>) -> Buffer {
        let mut text = items.into_text();
        lines::unique(&self.order, &mut text, previous.map(bare));
        Buffer::text(text)
    }

    fn compare(&self, one: &[u8], other: &[u8]) -> Ordering {
        self.order.cmp_lines(bare(one), bare(other))
    }
}

/// Sorted lines as a source of a merge.
struct LineRun<'a> {
    cursor: Cursor<'a>,
    started: bool,
    text: &'a [u8],
}

impl<'a> LineRun<'a> {
    fn new(order: &'a Order, text: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(order, text), started: false, text }
    }
}

impl Source for LineRun<'_> {
    type Error = Infallible;

    fn advance(&mut self) -> std::result::Result<Option<u64>, Infallible> {
        if self.started {
            self.cursor.advance();
        }
        self.started = true;
        Ok(self.cursor.peek())
    }

    fn item(&self) -> &[u8] {
        let start = self.cursor.offset();
        &self.text[start..=start + self.cursor.line().len()]
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.cursor.cmp_full(&other.cursor)
    }
}
