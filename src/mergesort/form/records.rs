//! Records of fixed size, ordered by the bytes of the key at their beginning.

use std::cmp::Ordering;

use super::{Checked, Digest, Form, Index, Pair, Run, Way, fixed};
use crate::error::Result;
use crate::mergesort::buffer::Buffer;
use crate::mergesort::digest;
use crate::mergesort::merge::{self, LoserTree, Place};
use crate::mergesort::records::{self, Layout, RecordRun};
use crate::mergesort::vector::{self, Isa};
use crate::num::to_u64;

/// Records of one layout.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    layout: Layout,
    reverse: bool,
    unique: bool,
    isa: Isa,
}

impl Records {
    /// From the least to the greatest key or in `reverse`, the first of each key if `unique`.
    pub fn new(layout: Layout, reverse: bool, unique: bool) -> Self {
        Self { layout, reverse, unique, isa: Isa::best() }
    }

    fn key_of<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        &record[..self.layout.key_bytes()]
    }
}

impl Form for Records {
    fn item_bytes(&self) -> Option<usize> {
        Some(self.layout.record_bytes())
    }

    fn is_file_form(&self) -> bool {
        !self.reverse
    }

    /// In sorting form the keys of a reversed order are complemented.
    fn encode(&self, items: &mut [u8]) {
        if self.reverse {
            for record in items.chunks_exact_mut(self.layout.record_bytes()) {
                record[..self.layout.key_bytes()].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
    }

    fn decode(&self, items: &mut [u8]) {
        self.encode(items);
    }

    fn sort(&self, items: Buffer) -> Result<(Buffer, Index)> {
        let index = self.index(&items);
        if records::is_sorted(&items, self.layout) {
            return Ok((items, index));
        }
        let mut sorted = Buffer::zeroed(to_u64(items.len()))?;
        let isa = self.isa;
        records::sort_with(&items, self.layout, &mut sorted, |words| vector::sort(isa, words));
        Ok((sorted, index))
    }

    fn index(&self, items: &[u8]) -> Index {
        Index::Every(self.layout.record_bytes(), self.layout.count(items))
    }

    fn key_bytes(&self) -> Option<usize> {
        Some(self.layout.key_bytes())
    }

    fn key(&self, item: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.key_of(item));
    }

    fn first(&self, runs: &[Run<'_>], count: usize) -> Vec<usize> {
        let lengths: Vec<usize> = runs.iter().map(Run::len).collect();
        let key = |at: Place| self.key_of(runs[at.run].item(at.index));
        merge::select(&lengths, count, |a, b| key(a).cmp(key(b)))
    }

    fn merge(&self, runs: &[&[u8]], out: &mut [u8]) -> Way {
        let sources = runs.iter().map(|run| RecordRun::new(self.layout, run)).collect();
        let Ok(written) = LoserTree::new(sources).next_into(out);
        assert_eq!(written, out.len(), "as many bytes as the runs have");
        Way::Tree
    }

    fn digest(&self, items: &[u8]) -> Digest {
        let digest = digest::Digest::of_records(self.layout, items);
        Digest { items: digest.count, sum: digest.sum }
    }

    /// The sum of the CRC-32 of all records, as the sort benchmark's validator prints it.
    fn checksum(&self, digest: Digest) -> String {
        format!("{:x}", digest.sum)
    }

    fn check(&self, items: &[u8]) -> Checked {
        Checked::from(digest::check_records(self.layout, items))
    }

    fn check_pair(&self, before: &[u8], item: &[u8]) -> Pair {
        let order = self.compare(before, item);
        Pair { unordered: order.is_gt(), equal_keys: order.is_eq() }
    }

    fn is_unique(&self) -> bool {
        self.unique
    }

    fn dedupe(&self, items: Buffer, previous: Option<&[u8]>) -> Buffer {
        let same = |a: &[u8], b: &[u8]| self.key_of(a) == self.key_of(b);
        fixed::dedupe(items, self.layout.record_bytes(), previous, same)
    }

    fn compare(&self, one: &[u8], other: &[u8]) -> Ordering {
        self.key_of(one).cmp(self.key_of(other))
    }
}
