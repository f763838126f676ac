//! Vectors of entries: one vector of prefixes and one of indices.
//!
//! In memory both alternate, so that each load unzips and each store zips two vectors. In between
//! the two words of an entry stand in the same lane, and comparing them needs no shuffle.
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use super::Entry;
use super::simd::Simd;
use bytemuck::{cast_slice, cast_slice_mut};

/// The operations on entries that need more than those on `u64`.
pub(super) trait Pairs<const N: usize>: Simd<u64, N> {
    /// A choice of lanes.
    type Mask: Copy;

    /// The lanes in which entry `a` is less than entry `b`, each given as prefixes and indices.
    fn less(self, a: Pair<Self, N>, b: Pair<Self, N>) -> Self::Mask;
    /// `yes` in the lanes of the mask and `no` in the others, and the other way round.
    fn choose(self, mask: Self::Mask, yes: Self::V, no: Self::V) -> (Self::V, Self::V);
    /// Moves the lanes of the mask to the bottom, the others to the top, and counts the former.
    fn gather(self, mask: Self::Mask, v: Pair<Self, N>) -> (Pair<Self, N>, usize);
}

/// Prefixes and indices.
type Pair<S, const N: usize> = (<S as Simd<u64, N>>::V, <S as Simd<u64, N>>::V);

impl<S: Pairs<N>, const N: usize> Simd<Entry, N> for S {
    type V = Pair<S, N>;
    /// Half as many as of one word, as each takes two registers.
    const ROWS: usize = 8;

    #[inline(always)]
    fn splat(self, key: Entry) -> Self::V {
        (self.splat(key.prefix), self.splat(key.index))
    }
    #[inline(always)]
    fn load(self, from: &[Entry; N]) -> Self::V {
        match cast_slice::<_, u64>(from).as_chunks() {
            ([a, b], []) => self.unzip(self.load(a), self.load(b)),
            _ => unreachable!("two words an entry"),
        }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [Entry; N]) {
        let v = self.zip(v.0, v.1);
        match cast_slice_mut::<_, u64>(to).as_chunks_mut() {
            ([a, b], []) => {
                self.store(v.0, a);
                self.store(v.1, b);
            }
            _ => unreachable!("two words an entry"),
        }
    }
    #[inline(always)]
    fn load_some(self, from: &[Entry], rest: Self::V) -> Self::V {
        let words: &[u64] = cast_slice::<_, u64>(from);
        let (a, b) = words.split_at(words.len().min(N));
        let rest = self.zip(rest.0, rest.1);
        self.unzip(self.load_some(a, rest.0), self.load_some(b, rest.1))
    }
    #[inline(always)]
    fn store_some(self, v: Self::V, to: &mut [Entry]) {
        let words: &mut [u64] = cast_slice_mut::<_, u64>(to);
        let (a, b) = words.split_at_mut(words.len().min(N));
        let v = self.zip(v.0, v.1);
        self.store_some(v.0, a);
        self.store_some(v.1, b);
    }
    #[inline(always)]
    fn order(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        let less = self.less(a, b);
        let prefix = self.choose(less, a.0, b.0);
        let index = self.choose(less, a.1, b.1);
        ((prefix.0, index.0), (prefix.1, index.1))
    }
    #[inline(always)]
    fn flip<const X: usize>(self, v: Self::V) -> Self::V {
        (self.flip::<X>(v.0), self.flip::<X>(v.1))
    }
    #[inline(always)]
    fn pick<const BIT: usize>(self, without: Self::V, with: Self::V) -> Self::V {
        (self.pick::<BIT>(without.0, with.0), self.pick::<BIT>(without.1, with.1))
    }
    #[inline(always)]
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        let (prefix, index) = (self.zip(a.0, b.0), self.zip(a.1, b.1));
        ((prefix.0, index.0), (prefix.1, index.1))
    }
    #[inline(always)]
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        let (prefix, index) = (self.unzip(a.0, b.0), self.unzip(a.1, b.1));
        ((prefix.0, index.0), (prefix.1, index.1))
    }
    #[inline(always)]
    fn split(self, v: Self::V, pivot: Self::V) -> (Self::V, usize) {
        self.gather(self.less(v, pivot), v)
    }
}
