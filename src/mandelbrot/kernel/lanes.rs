//! The driver of the vector kernels: keeps every lane busy until no point is left.
//!
//! Lanes run in lockstep, block after block, and nothing is tested inside a block: an escaped point
//! stays escaped (see [`Feed`]), so a test at the block's end finds it, and its exact step is
//! found by replaying that one block from the saved state. A lane whose point is finished gets
//! the next one. The costs: a point that escapes wastes half a block and the replay; a short block
//! pays for its test more often. The block length follows the rate of escapes; no result depends
//! on it.

use super::feed::{Entry, Feed, Retired, executed, lane_of};
use super::simd::{Complex, Kernel};
use super::{NOT_ESCAPED, Pixel, Skips};

/// Block lengths, doubling from the first to the last. All divide [`CHECK_INTERVAL`].
const SHORTEST: u32 = 10;
const LONGEST: u32 = 80;

/// Steps between two comparisons with the snapshots. A multiple of many small numbers, because an
/// orbit of period p is recognised only after a multiple of p steps.
const CHECK_INTERVAL: u64 = 240;

/// Runs all points through the lanes of one kernel.
pub(super) fn iterate<const N: usize, K: Kernel<N>>(
    kernel: K,
    points: impl Iterator<Item = (f64, f64)>,
    max: u32,
    skips: Skips,
    mut sink: impl FnMut(usize, Pixel),
) {
    let mut feed = Feed::new(kernel, points, max, skips);
    let mut retired = Retired::new();
    let mut lanes = Lanes::<N>::new(feed.age(), max);
    let mut pace = Pace::new();
    for lane in 0..N {
        let entry = feed.next(&mut sink);
        if entry.is_none() {
            break;
        }
        lanes.enter(lane, entry);
    }
    while lanes.busy != 0 {
        let escaped = lanes.run(kernel, &mut pace, skips.periodicity);
        for lane in ones(escaped & lanes.busy) {
            let age = lanes.age(lane);
            let before = Entry { z: lanes.saved.get(lane), ..lanes.entry(lane) };
            retired.push(before, age - u64::from(lanes.block), executed(age));
            if retired.is_full() {
                retired.settle(kernel, LONGEST, max, &mut sink);
            }
            let entry = feed.next(&mut sink);
            lanes.enter(lane, entry);
        }
        let mut stayed = 0;
        if lanes.step >= lanes.finish {
            stayed |= lanes.finished();
        }
        if skips.periodicity && lanes.step >= lanes.check {
            stayed |= kernel.repeats(&lanes.z, &lanes.snapshot) & lanes.busy;
            lanes.renew_snapshots();
        }
        for lane in ones(stayed) {
            let Entry { index, z: (zr, zi), c: (cr, ci) } = lanes.entry(lane);
            let executed = executed(lanes.age(lane));
            sink(index, Pixel { steps: NOT_ESCAPED, executed, zr, zi, cr, ci });
            let entry = feed.next(&mut sink);
            lanes.enter(lane, entry);
        }
    }
    retired.settle(kernel, LONGEST, max, &mut sink);
}

/// The lanes in flight. `step` counts the steps of all of them; a lane's age follows from the
/// step at which it was born, so nothing is counted per lane.
struct Lanes<const N: usize> {
    z: Complex<N>,
    saved: Complex<N>,
    c: Complex<N>,
    /// An earlier `z` of the same orbit, or no number.
    snapshot: Complex<N>,
    index: [usize; N],
    birth: [u64; N],
    /// Step from which on the snapshot is to be renewed.
    renewal: [u64; N],
    busy: u64,
    entry_age: u32,
    max: u32,
    /// Length of the last block.
    block: u32,
    step: u64,
    /// No lane completes `max` steps before this step.
    finish: u64,
    /// Step of the next comparison with the snapshots.
    check: u64,
}

impl<const N: usize> Lanes<N> {
    fn new(entry_age: u32, max: u32) -> Self {
        let step = u64::from(entry_age);
        Self {
            z: Complex::splat(0.0),
            saved: Complex::splat(0.0),
            c: Complex::splat(0.0),
            snapshot: Complex::splat(f64::NAN),
            index: [0; N],
            birth: [0; N],
            renewal: [u64::MAX; N],
            busy: 0,
            entry_age,
            max,
            block: SHORTEST,
            step,
            finish: u64::from(max),
            check: step + CHECK_INTERVAL,
        }
    }

    fn age(&self, lane: usize) -> u64 {
        self.step - self.birth[lane]
    }

    #[inline]
    fn entry(&self, lane: usize) -> Entry {
        Entry { index: self.index[lane], z: self.z.get(lane), c: self.c.get(lane) }
    }

    /// Puts a point into a lane. An idle lane keeps iterating 0, which goes nowhere.
    #[inline]
    fn enter(&mut self, lane: usize, entry: Option<Entry>) {
        let bit = 1 << lane;
        self.busy = if entry.is_some() { self.busy | bit } else { self.busy & !bit };
        let entry = entry.unwrap_or(Entry { index: 0, z: (0.0, 0.0), c: (0.0, 0.0) });
        self.z.set(lane, entry.z);
        self.c.set(lane, entry.c);
        self.snapshot.set(lane, (f64::NAN, f64::NAN));
        self.index[lane] = entry.index;
        self.birth[lane] = self.step - u64::from(self.entry_age);
        self.renewal[lane] = self.step;
    }

    /// Runs blocks until one has an escape or the next event is reached; returns the escapes.
    #[inline]
    fn run<K: Kernel<N>>(&mut self, kernel: K, pace: &mut Pace, periodicity: bool) -> u64 {
        let event = if periodicity { self.finish.min(self.check) } else { self.finish };
        let ahead = u32::try_from(event - self.step).unwrap_or(u32::MAX);
        self.block = pace.block;
        let blocks = ahead.div_ceil(self.block).clamp(1, Pace::MOST_BLOCKS);
        let advanced = kernel.advance(&mut self.z, &mut self.saved, &self.c, self.block, blocks);
        self.step += u64::from(advanced.blocks) * u64::from(self.block);
        pace.note(advanced.blocks, (advanced.escaped & self.busy).count_ones());
        advanced.escaped
    }

    /// The lanes that have completed `max` steps. Sets the time to look again: later lanes were
    /// born later, so the earliest birth decides.
    fn finished(&mut self) -> u64 {
        let mut mask = 0;
        let mut earliest = self.step - u64::from(self.entry_age);
        for lane in 0..N {
            let bit = 1 << lane;
            if self.busy & bit == 0 {
                continue;
            }
            if self.age(lane) >= u64::from(self.max) {
                mask |= bit;
            } else {
                earliest = earliest.min(self.birth[lane]);
            }
        }
        self.finish = earliest + u64::from(self.max);
        mask
    }

    /// Takes new snapshots where they are due, at ages that double (Brent): whatever the length of
    /// the orbit's tail and of its period, some snapshot is late enough and kept long enough.
    fn renew_snapshots(&mut self) {
        for lane in 0..N {
            if self.renewal[lane] <= self.step {
                self.snapshot.set(lane, self.z.get(lane));
                self.renewal[lane] = self.step + self.age(lane);
            }
        }
        self.check = self.step + CHECK_INTERVAL;
    }
}

/// Chooses the block length.
///
/// A longer block makes the test cheaper, a shorter one the replays. With e escapes a block of
/// length b the replays cost about e*b and the test a constant: the best is where e*b is a
/// constant, too.
struct Pace {
    block: u32,
    blocks: u32,
    escapes: u32,
}

impl Pace {
    /// Blocks between two looks at the rate; at most twice as many run in one go.
    const WINDOW: u32 = 16;
    const MOST_BLOCKS: u32 = 32;
    /// Limits of e*b. Twice or half as much makes no difference that could be measured.
    const HIGH: u32 = 20;
    const LOW: u32 = 5;

    fn new() -> Self {
        Self { block: SHORTEST, blocks: 0, escapes: 0 }
    }

    #[inline]
    fn note(&mut self, blocks: u32, escapes: u32) {
        self.blocks += blocks;
        self.escapes += escapes;
        if self.blocks < Self::WINDOW {
            return;
        }
        let load = self.escapes * self.block;
        if load > Self::HIGH * self.blocks && self.block > SHORTEST {
            self.block /= 2;
        } else if load < Self::LOW * self.blocks && self.block < LONGEST {
            self.block *= 2;
        }
        (self.blocks, self.escapes) = (0, 0);
    }
}

/// The positions of the ones of `mask`.
fn ones(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let lane = lane_of(mask);
            mask &= mask - 1;
            lane
        })
    })
}
