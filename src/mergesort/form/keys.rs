//! Bare keys: numbers that are nothing but their value.
//!
//! In sorting form a key is an unsigned integer of the same order: the sign bit of integers is turned,
//! floating-point numbers are in the total order of IEEE 754 (section 5.10: -NaN < -inf < -0 < +0 < inf <
//! NaN), and with `reverse` all bits are turned. Equal keys are identical, so nothing need be stable.

use std::cmp::Ordering;

use super::again::sorts_again;
use super::{Checked, Digest, Form, Index, Pair, Run, Way, fixed};
use crate::error::Result;
use crate::generate::keys::KeyType;
use crate::mergesort::buffer::Buffer;
use crate::mergesort::digest;
use crate::mergesort::merge;
use crate::mergesort::select;
use crate::mergesort::vector::{self, Isa};
use crate::num::to_u64;

/// Keys of one type.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    kind: KeyType,
    reverse: bool,
    unique: bool,
    isa: Isa,
}

/// Runs the same code for keys of four and of eight bytes; `$view` makes a slice of them.
macro_rules! by_width {
    ($self:ident, $K:ident => $work:expr) => {
        match $self.kind.bytes() {
            4 => {
                type $K = u32;
                $work
            }
            _ => {
                type $K = u64;
                $work
            }
        }
    };
}

/// No items lie anywhere: an empty string need not begin where a number may.
fn of<K: bytemuck::Pod>(items: &[u8]) -> &[K] {
    if items.is_empty() { &[] } else { bytemuck::cast_slice(items) }
}

fn of_mut<K: bytemuck::Pod>(items: &mut [u8]) -> &mut [K] {
    if items.is_empty() { &mut [] } else { bytemuck::cast_slice_mut(items) }
}

impl Keys {
    /// Keys of a type, from the least to the greatest or in `reverse`, each once if `unique`.
    pub fn new(kind: KeyType, reverse: bool, unique: bool) -> Self {
        Self { kind, reverse, unique, isa: Isa::best() }
    }

    /// The bits that turn a number of four bytes into its place in the order, given its bits.
    fn place32(self, bits: u32, decode: bool) -> u32 {
        let all = if self.reverse { u32::MAX } else { 0 };
        let bits = if decode { bits ^ all } else { bits };
        let negative = (bits >> 31 == 1) != decode;
        let turned = match self.kind {
            KeyType::F32 if negative => !bits,
            KeyType::F32 | KeyType::I32 => bits ^ (1 << 31),
            _ => bits,
        };
        if decode { turned } else { turned ^ all }
    }

    /// The same for eight bytes.
    fn place64(self, bits: u64, decode: bool) -> u64 {
        let all = if self.reverse { u64::MAX } else { 0 };
        let bits = if decode { bits ^ all } else { bits };
        let negative = (bits >> 63 == 1) != decode;
        let turned = match self.kind {
            KeyType::F64 if negative => !bits,
            KeyType::F64 | KeyType::I64 => bits ^ (1 << 63),
            _ => bits,
        };
        if decode { turned } else { turned ^ all }
    }

    /// Merges runs in one of the ways, into exactly as many bytes.
    pub(super) fn merge_by(self, way: Way, runs: &[&[u8]], out: &mut [u8]) {
        by_width!(self, K => {
            let runs: Vec<&[K]> = runs.iter().map(|run| of(run)).collect();
            let out: &mut [K] = of_mut(out);
            if way == Way::Tree {
                return merge::merge(&runs, out);
            }
            let mut rest = &mut *out;
            for run in runs {
                let (place, behind) = rest.split_at_mut(run.len());
                place.copy_from_slice(run);
                rest = behind;
            }
            assert!(rest.is_empty(), "room for all runs and no more");
            vector::sort(self.isa, out);
        });
    }

    fn turn(self, items: &mut [u8], decode: bool) {
        if self.is_file_form() {
            return;
        }
        if self.kind.bytes() == 4 {
            for key in of_mut::<u32>(items) {
                *key = self.place32(*key, decode);
            }
        } else {
            for key in of_mut::<u64>(items) {
                *key = self.place64(*key, decode);
            }
        }
    }
}

impl Form for Keys {
    fn item_bytes(&self) -> Option<usize> {
        Some(self.kind.bytes())
    }

    fn is_file_form(&self) -> bool {
        !self.reverse && matches!(self.kind, KeyType::U32 | KeyType::U64)
    }

    fn encode(&self, items: &mut [u8]) {
        self.turn(items, false);
    }

    fn decode(&self, items: &mut [u8]) {
        self.turn(items, true);
    }

    fn sort(&self, mut items: Buffer) -> Result<(Buffer, Index)> {
        by_width!(self, K => vector::sort::<K>(self.isa, of_mut(&mut items)));
        let index = self.index(&items);
        Ok((items, index))
    }

    fn index(&self, items: &[u8]) -> Index {
        Index::Every(self.kind.bytes(), items.len() / self.kind.bytes())
    }

    fn key_bytes(&self) -> Option<usize> {
        Some(self.kind.bytes())
    }

    fn key(&self, item: &[u8], out: &mut Vec<u8>) {
        by_width!(self, K => out.extend(bytemuck::pod_read_unaligned::<K>(item).to_be_bytes()));
    }

    fn first(&self, runs: &[Run<'_>], count: usize) -> Vec<usize> {
        by_width!(self, K => {
            let runs: Vec<&[K]> = runs.iter().map(|run| of(run.bytes())).collect();
            select::first(&runs, count, |a, b| a < b)
        })
    }

    fn merge(&self, runs: &[&[u8]], out: &mut [u8]) -> Way {
        let (bytes, full) = (self.kind.bytes(), runs.iter().filter(|run| !run.is_empty()).count());
        let again = sorts_again(self.isa, bytes, full, out.len() / bytes);
        let way = if again { Way::Sort } else { Way::Tree };
        self.merge_by(way, runs, out);
        way
    }

    fn digest(&self, items: &[u8]) -> Digest {
        let sum = by_width!(self, K => digest::key_sum(of::<K>(items)));
        Digest { items: to_u64(items.len() / self.kind.bytes()), sum: u128::from(sum) << 64 }
    }

    fn check(&self, items: &[u8]) -> Checked {
        Checked::from(by_width!(self, K => digest::check_keys(of::<K>(items))))
    }

    fn check_pair(&self, before: &[u8], item: &[u8]) -> Pair {
        let order = self.compare(before, item);
        Pair { unordered: order.is_gt(), equal_keys: order.is_eq() }
    }

    fn is_unique(&self) -> bool {
        self.unique
    }

    fn dedupe(&self, items: Buffer, previous: Option<&[u8]>) -> Buffer {
        fixed::dedupe(items, self.kind.bytes(), previous, |a, b| a == b)
    }

    fn compare(&self, one: &[u8], other: &[u8]) -> Ordering {
        by_width!(self, K => {
            let key = |item| bytemuck::pod_read_unaligned::<K>(item);
            key(one).cmp(&key(other))
        })
    }
}
