//! Splits keys by a pivot, in place, a vector at a time.
//!
//! A block of vectors is held back from each end, so that there is always room to write. A vector
//! is ordered by the pivot within its register and stored whole twice: where the keys below the
//! pivot grow from the left, and where the others grow from the right; what a store writes too much
//! is room that later stores fill. (Blacher, Giesen, Wassenberg, arXiv 2205.05982, section 2.1.)
//! So a key costs the store bandwidth of two, and no branch depends on it.
//!
//! The next block comes from the side with less room. It is loaded before the block in hand is
//! written, so that this choice, too, waits for no comparison that has just begun.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "without it the operations are compiled without the features"
)]

use super::simd::Simd;
use std::hint::select_unpredictable;

/// Vectors that are read together.
const BLOCK: usize = 4;
/// How far ahead of a read its memory is asked for: the processor does not foresee reads that jump
/// between two ends. With 2^22 `u64`, sixteen times the second-level cache of a Xeon core, a
/// partition took 1.5 ns a key without and 0.7 ns with this; the whole sort 13 ns and 8 to 9 ns.
const AHEAD_BYTES: usize = 4096;
const LINE_BYTES: usize = 64;
/// The fewest vectors of keys that can be partitioned.
pub(super) const LEAST: usize = 2 * BLOCK;

/// Moves the keys below the pivot to the front and returns their number.
///
/// # Panics
/// With fewer than `LEAST * N` keys.
#[inline(always)]
pub(super) fn partition<K: Copy + Ord, S: Simd<K, N>, const N: usize>(
    simd: S,
    keys: &mut [K],
    pivot: K,
) -> usize {
    assert!(keys.len() >= LEAST * N, "fewer keys than are held back");
    let mut split = Split {
        simd,
        pivot: simd.splat(pivot),
        keys: keys.as_mut_ptr(),
        unwritten: keys.len(),
        below: 0,
        left: 0,
        right: keys.len(),
    };
    // SAFETY: the assertion leaves a block on each side. From here two blocks are read and not
    // written whenever a side is chosen, see `Split`.
    unsafe {
        let mut block = split.read_left();
        let last = split.read_right();
        while split.right - split.left >= BLOCK * N {
            let next = split.read::<BLOCK>();
            split.write(block);
            block = next;
        }
        while split.right - split.left >= N {
            let next = split.read::<1>();
            split.write(next);
        }
        split.write_rest(pivot);
        split.write(block);
        split.write(last);
    }
    split.below
}

/// A partition under way: `keys[..below]` are below the pivot, the `unwritten` keys that follow are
/// room except for `keys[left..right]`, which are to be read, and the rest is not below the pivot.
///
/// Two blocks have always been read that are not written, so that the room on both sides of
/// `left..right` is two blocks in all. The side with less of it is read next: then either side has
/// room for all that was read, wherever it goes.
struct Split<K, S: Simd<K, N>, const N: usize> {
    simd: S,
    pivot: S::V,
    keys: *mut K,
    unwritten: usize,
    below: usize,
    left: usize,
    right: usize,
}

impl<K: Copy + Ord, S: Simd<K, N>, const N: usize> Split<K, S, N> {
    /// # Safety
    /// `at + N` keys or more.
    #[inline(always)]
    unsafe fn load(&self, at: usize) -> S::V {
        // SAFETY: the caller says that the keys are there; an array needs a key's alignment.
        self.simd.load(unsafe { &*self.keys.add(at).cast() })
    }

    /// # Safety
    /// `at + N` keys or more.
    #[inline(always)]
    unsafe fn store(&mut self, v: S::V, at: usize) {
        // SAFETY: as for `load`; `self` has the only pointer to the keys.
        self.simd.store(v, unsafe { &mut *self.keys.add(at).cast() });
    }

    /// # Safety
    /// `at + V * N` keys or more.
    #[inline(always)]
    unsafe fn load_block<const V: usize>(&self, at: usize) -> [S::V; V] {
        // Not `array::from_fn`: its closure is not always inlined, and then lacks the features.
        // SAFETY: the caller says that the keys are there.
        unsafe {
            let mut block = [self.load(at); V];
            for (i, v) in block.iter_mut().enumerate().skip(1) {
                *v = self.load(at + i * N);
            }
            block
        }
    }

    /// # Safety
    /// A block or more is to be read.
    #[inline(always)]
    unsafe fn read_left(&mut self) -> [S::V; BLOCK] {
        self.left += BLOCK * N;
        // SAFETY: the caller says that the keys are there.
        unsafe { self.load_block(self.left - BLOCK * N) }
    }

    /// # Safety
    /// A block or more is to be read.
    #[inline(always)]
    unsafe fn read_right(&mut self) -> [S::V; BLOCK] {
        self.right -= BLOCK * N;
        // SAFETY: the caller says that the keys are there.
        unsafe { self.load_block(self.right) }
    }

    /// Reads from the side with less room.
    ///
    /// # Safety
    /// `V` vectors or more are to be read.
    #[inline(always)]
    unsafe fn read<const V: usize>(&mut self) -> [S::V; V] {
        let is_left = self.left - self.below <= BLOCK * N;
        let (after, before) = (self.left + V * N, self.right - V * N);
        let at = select_unpredictable(is_left, self.left, before);
        self.prefetch::<V>(is_left, at);
        self.left = select_unpredictable(is_left, after, self.left);
        self.right = select_unpredictable(is_left, self.right, before);
        // SAFETY: the caller says that the keys are there.
        unsafe { self.load_block(at) }
    }

    /// Asks for what will be read some time after the `V` vectors at `at`. Where that is not even
    /// in the slice, nothing happens.
    #[inline(always)]
    fn prefetch<const V: usize>(&self, is_left: bool, at: usize) {
        let here = self.keys.wrapping_add(at);
        let ahead = select_unpredictable(
            is_left,
            here.wrapping_byte_add(AHEAD_BYTES),
            here.wrapping_byte_sub(AHEAD_BYTES),
        );
        for line in 0..(V * N * size_of::<K>()).div_ceil(LINE_BYTES) {
            self.simd.prefetch(ahead.wrapping_byte_add(line * LINE_BYTES));
        }
    }

    /// # Safety
    /// There is room for the vectors at both ends, or for exactly them and nothing is to be read.
    #[inline(always)]
    unsafe fn write<const V: usize>(&mut self, block: [S::V; V]) {
        for v in block {
            let (v, below) = self.simd.split(v, self.pivot);
            // SAFETY: the caller says that there is room. When it is that of one vector, both
            // stores write the same.
            unsafe {
                self.store(v, self.below);
                self.store(v, self.below + self.unwritten - N);
            }
            self.below += below;
            self.unwritten -= N;
        }
    }

    /// Reads what is too short for a vector and writes it.
    ///
    /// # Safety
    /// Fewer than `N` keys are to be read.
    #[inline(always)]
    unsafe fn write_rest(&mut self, pivot: K) {
        let mut rest = [pivot; N];
        let count = self.right - self.left;
        // SAFETY: the caller says that they fit; after this there is room for them at both ends.
        unsafe {
            self.keys.add(self.left).copy_to_nonoverlapping(rest.as_mut_ptr(), count);
        }
        for &key in &rest[..count] {
            let is_below = key < pivot;
            let at = if is_below { self.below } else { self.below + self.unwritten - 1 };
            // SAFETY: `at` is the first or the last key of the room.
            unsafe { self.keys.add(at).write(key) };
            self.below += usize::from(is_below);
            self.unwritten -= 1;
        }
    }
}
