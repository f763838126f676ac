//! A sorted run of records in memory, as a source of a merge.

use super::Layout;
use crate::mergesort::merge::prefetch::prefetch;
use crate::mergesort::merge::{Place, Source, cuts, prefix};
use std::cmp::Ordering;
use std::convert::Infallible;

/// [`cuts`] of sorted runs of records, each as bytes; positions are records, not bytes.
///
/// # Panics
/// When `parts` is 0 or a run is no whole number of records.
pub fn record_cuts(layout: Layout, runs: &[&[u8]], parts: usize) -> Vec<Vec<usize>> {
    let lengths: Vec<usize> = runs.iter().map(|run| layout.count(run)).collect();
    let key = |place: Place| layout.key(runs[place.run], place.index);
    cuts(&lengths, parts, |a, b| key(a).cmp(key(b)))
}

/// How far ahead of the current record memory is asked for, in bytes. A merge of two runs is there
/// after some hundred nanoseconds; many runs are more than the processor follows by itself.
const AHEAD: usize = 256;

/// Sorted records in memory.
#[derive(Clone, Debug)]
pub struct RecordRun<'a> {
    layout: Layout,
    records: &'a [u8],
    /// Where the current record ends.
    end: usize,
}

impl<'a> RecordRun<'a> {
    /// A run of whole records.
    ///
    /// # Panics
    /// When `records` are no whole number of records.
    pub fn new(layout: Layout, records: &'a [u8]) -> Self {
        layout.count(records);
        Self { layout, records, end: 0 }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        &self.item()[..self.layout.key_bytes()]
    }
}

impl Source for RecordRun<'_> {
    type Error = Infallible;

    #[inline]
    fn advance(&mut self) -> Result<Option<u64>, Infallible> {
        if self.end == self.records.len() {
            return Ok(None);
        }
        self.end += self.layout.record_bytes();
        prefetch(self.records, self.end + AHEAD, self.layout.record_bytes());
        Ok(Some(prefix(self.key())))
    }

    #[inline]
    fn item(&self) -> &[u8] {
        &self.records[self.end - self.layout.record_bytes()..self.end]
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}
