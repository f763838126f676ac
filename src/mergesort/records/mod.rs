//! Fixed-size records with a key at their beginning: a stable local sort, and runs to merge.
//!
//! Keys are compared byte by byte, as memcmp does.

mod run;
mod sort;

pub use run::{RecordRun, record_cuts};
pub use sort::{is_sorted, sort, sort_with};

/// What a record looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    record_bytes: usize,
    key_bytes: usize,
}

impl Layout {
    /// Records of `record_bytes`, of which the first `key_bytes` are the key; `None` unless
    /// 1 <= `key_bytes` <= `record_bytes`.
    pub fn new(record_bytes: usize, key_bytes: usize) -> Option<Self> {
        (1..=record_bytes).contains(&key_bytes).then_some(Self { record_bytes, key_bytes })
    }

    /// Bytes of a record, at least 1.
    #[inline]
    pub fn record_bytes(self) -> usize {
        self.record_bytes
    }

    /// Bytes of its key, at least 1.
    #[inline]
    pub fn key_bytes(self) -> usize {
        self.key_bytes
    }

    /// How many records these bytes are.
    ///
    /// # Panics
    /// When they are no whole number of records.
    pub fn count(self, bytes: &[u8]) -> usize {
        assert!(bytes.len().is_multiple_of(self.record_bytes), "whole records");
        bytes.len() / self.record_bytes
    }

    /// The key of a record.
    #[inline]
    pub fn key(self, records: &[u8], index: usize) -> &[u8] {
        &records[index * self.record_bytes..][..self.key_bytes]
    }
}

#[cfg(test)]
mod tests;
