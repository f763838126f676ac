//! The entry stage: takes points in batches, settles the easy ones, queues the rest for the lanes.
//!
//! Most pixels of most pictures escape within a few steps, or lie in the two big bulbs. Both kinds
//! are settled here for a whole batch at once, so they never pay for entering and leaving a lane.
//! A test before each step nearly doubles the cost of a step, so only few steps are taken here.

use super::simd::{BATCH, Complex, Kernel};
use super::{NOT_ESCAPED, Pixel, Skips, reference};
use crate::num;

/// Steps taken here at most. Tuned on the default picture: 16 and 24 are alike, 8 is 10 % slower.
const SIEVE: u32 = 24;

/// Above this `|c|^2` the block loop's premise fails, see [`Feed`].
const NORM_LIMIT: f64 = 4.0 - 1e-12;

/// A point on its way into a lane: `z` after [`Feed::age`] steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) index: usize,
    pub(super) z: (f64, f64),
    pub(super) c: (f64, f64),
}

/// Source of the points that need many steps.
///
/// Every entry has `|c|^2 <= 4 - 1e-12`, for which escaped means escaped for good, also in rounded
/// arithmetic, and that is what allows testing only now and then. Let the computed `|z|^2` be at
/// least 4. Then `|z|^2 >= 4 - 2e-15` in truth, and with `|c| <= 2 - 2.4e-13` the next `|z|` is at
/// least `|z|^2 - |c| >= 2 + 2.3e-13`, less rounding errors of the order of 1e-15: again escaped,
/// and by more than before, until the numbers overflow to infinity and then to no number, from
/// where no way leads back. A survivor nearer to the circle `|c| = 2`, if there is one, is left to
/// the reference loop.
pub(super) struct Feed<K, P> {
    kernel: K,
    points: P,
    taken: usize,
    max: u32,
    bulbs: bool,
    queue: [Entry; BATCH],
    head: usize,
    tail: usize,
    drained: bool,
}

impl<K, P: Iterator<Item = (f64, f64)>> Feed<K, P> {
    pub(super) fn new(kernel: K, points: P, max: u32, skips: Skips) -> Self {
        let nothing = Entry { index: 0, z: (0.0, 0.0), c: (0.0, 0.0) };
        let queue = [nothing; BATCH];
        Self {
            kernel,
            points,
            taken: 0,
            max,
            bulbs: skips.bulbs,
            queue,
            head: 0,
            tail: 0,
            drained: false,
        }
    }

    /// Steps that every entry has behind it.
    pub(super) fn age(&self) -> u32 {
        SIEVE.min(self.max)
    }

    /// The next point for a lane; points that are settled on the way go to `sink`.
    #[inline]
    pub(super) fn next<const N: usize>(
        &mut self,
        sink: &mut impl FnMut(usize, Pixel),
    ) -> Option<Entry>
    where
        K: Kernel<N>,
    {
        while self.head == self.tail {
            if self.drained || !self.refill(sink) {
                self.drained = true;
                return None;
            }
        }
        self.head += 1;
        Some(self.queue[self.head - 1])
    }

    /// Settles or queues the next batch; false at the end of the points.
    #[inline(never)]
    fn refill<const N: usize>(&mut self, sink: &mut impl FnMut(usize, Pixel)) -> bool
    where
        K: Kernel<N>,
    {
        let mut c = Complex::<BATCH>::splat(0.0);
        let mut used = 0;
        for (slot, point) in self.points.by_ref().take(BATCH).enumerate() {
            c.set(slot, point);
            used = slot + 1;
        }
        if used == 0 {
            return false;
        }
        let first = self.taken;
        self.taken += used;
        let members = u64::MAX >> (BATCH - used);
        let skipped = if self.bulbs { self.kernel.inside(&c) & members } else { 0 };
        (self.head, self.tail) = (0, 0);

        // A slot without work gets a z that has escaped, so that it does not keep others waiting.
        let mut z = Complex::<BATCH>::splat(0.0);
        for slot in 0..BATCH {
            if (members & !skipped) >> slot & 1 == 0 {
                z.re[slot] = 4.0;
            }
        }
        let limit = self.age();
        let counts = if skipped == members {
            [0; BATCH]
        } else {
            self.kernel.count(&mut z, &c, used, limit)
        };
        for (slot, &count) in counts[..used].iter().enumerate() {
            let index = first + slot;
            let ((zr, zi), (cr, ci)) = (z.get(slot), c.get(slot));
            let steps = u32::try_from(count).expect("at most the limit");
            if skipped >> slot & 1 == 1 {
                sink(index, Pixel { steps: NOT_ESCAPED, executed: 0, zr, zi, cr, ci });
            } else if steps < limit {
                sink(index, Pixel { steps, executed: limit, zr, zi, cr, ci });
            } else if steps == self.max {
                sink(index, Pixel { steps: NOT_ESCAPED, executed: limit, zr, zi, cr, ci });
            } else if cr * cr + ci * ci <= NORM_LIMIT {
                self.queue[self.tail] = Entry { index, z: (zr, zi), c: (cr, ci) };
                self.tail += 1;
            } else {
                sink(index, reference::resume((zr, zi), (cr, ci), steps, self.max));
            }
        }
        true
    }
}

/// Escaped points whose exact step is not known yet, counted together when a batch is full.
///
/// One by one each would wait for its own chain of steps, 9 cycles a step.
pub(super) struct Retired {
    entries: [Entry; BATCH],
    ages: [u64; BATCH],
    executed: [u32; BATCH],
    len: usize,
}

impl Retired {
    pub(super) fn new() -> Self {
        let nothing = Entry { index: 0, z: (0.0, 0.0), c: (0.0, 0.0) };
        Self { entries: [nothing; BATCH], ages: [0; BATCH], executed: [0; BATCH], len: 0 }
    }

    /// Adds a point that stood at `entry.z` after `age` steps and escaped at most a block later.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry, age: u64, executed: u32) {
        self.entries[self.len] = entry;
        self.ages[self.len] = age;
        self.executed[self.len] = executed;
        self.len += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Finds the exact steps; `longest` is the length of the longest block.
    #[inline(never)]
    pub(super) fn settle<const N: usize>(
        &mut self,
        kernel: impl Kernel<N>,
        longest: u32,
        max: u32,
        sink: &mut impl FnMut(usize, Pixel),
    ) {
        if self.len == 0 {
            return;
        }
        let mut z = Complex::<BATCH>::splat(4.0);
        let mut c = Complex::<BATCH>::splat(0.0);
        for (slot, entry) in self.entries[..self.len].iter().enumerate() {
            z.set(slot, entry.z);
            c.set(slot, entry.c);
        }
        let counts = kernel.count(&mut z, &c, self.len, longest + 1);
        for (slot, &count) in counts[..self.len].iter().enumerate() {
            assert!(count <= u64::from(longest), "escaped within its block");
            let age = self.ages[slot] + count;
            let steps = u32::try_from(age).ok().filter(|&steps| steps < max).unwrap_or(NOT_ESCAPED);
            let ((zr, zi), (cr, ci)) = (z.get(slot), c.get(slot));
            let pixel = Pixel { steps, executed: self.executed[slot], zr, zi, cr, ci };
            sink(self.entries[slot].index, pixel);
        }
        self.len = 0;
    }
}

/// The age of a point as a count of steps, clamped: a block may run past `u32::MAX`.
pub(super) fn executed(age: u64) -> u32 {
    u32::try_from(age).unwrap_or(u32::MAX)
}

/// A lane's number from a bit's position.
#[inline]
pub(super) fn lane_of(mask: u64) -> usize {
    num::to_usize(u64::from(mask.trailing_zeros()))
}
