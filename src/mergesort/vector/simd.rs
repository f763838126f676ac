//! The operations that the loops are written in, and the loops as the quicksort sees them.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use super::entry::Entry;
use super::order::Order;
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// An unsigned integer, or what behaves like one: what the loops need to know of a key besides its order.
pub(super) trait Number: Copy + Ord {
    /// The largest value, which fills up vectors.
    const MAX: Self;
    /// The next larger value.
    fn successor(self) -> Option<Self>;
}

impl Number for u32 {
    const MAX: Self = Self::MAX;
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for u64 {
    const MAX: Self = Self::MAX;
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for Entry {
    const MAX: Self = Self { prefix: u64::MAX, index: u64::MAX };
    fn successor(self) -> Option<Self> {
        match self.index.checked_add(1) {
            Some(index) => Some(Self { index, ..self }),
            None => self.prefix.checked_add(1).map(|prefix| Self { prefix, index: 0 }),
        }
    }
}

/// Operations on vectors of `N` keys. Whoever has a value of this type may execute them.
pub(super) trait Simd<K, const N: usize>: Copy {
    /// `N` keys.
    type V: Copy;
    /// Vectors that are sorted together: what leaves some registers free.
    const ROWS: usize;

    /// Asks for the memory at an address, which may be any.
    #[inline(always)]
    fn prefetch(self, at: *const K) {
        // SAFETY: every x86-64 processor has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    fn splat(self, key: K) -> Self::V;
    fn load(self, from: &[K; N]) -> Self::V;
    fn store(self, v: Self::V, to: &mut [K; N]);
    /// The first `N` keys of the slice; where it has fewer, those of `rest` in the other lanes.
    fn load_some(self, from: &[K], rest: Self::V) -> Self::V;
    /// Writes as many lanes as the slice takes.
    fn store_some(self, v: Self::V, to: &mut [K]);
    /// The smaller keys of each lane and the larger ones.
    fn order(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Lane `i` gets the key of lane `i ^ X`; `X` is a power of two or one less.
    fn flip<const X: usize>(self, v: Self::V) -> Self::V;
    /// Lanes whose number has the bit `BIT` come from `with`, the others from `without`.
    fn pick<const BIT: usize>(self, without: Self::V, with: Self::V) -> Self::V;
    /// `a0 b0 a1 b1 ...` in two vectors.
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// The even lanes of `a` and then of `b`, and the odd ones.
    fn unzip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Moves the keys below the pivot to the lowest lanes, the others to the highest, and says how
    /// many are below.
    fn split(self, v: Self::V, pivot: Self::V) -> (Self::V, usize);
}

/// The loops, compiled for an instruction set and a key.
pub(super) trait Kernel<K>: Copy {
    /// Keys that [`Kernel::sort_small`] takes at most; [`Kernel::partition`] takes no fewer.
    const SMALL: usize;

    /// Sorts up to [`Kernel::SMALL`] keys.
    fn sort_small(self, keys: &mut [K]);
    /// Moves the keys below the pivot to the front and returns their number.
    fn partition(self, keys: &mut [K], pivot: K) -> usize;
    /// See [`ordered`](super::ordered).
    fn ordered(self, keys: &[K]) -> Order;
}
