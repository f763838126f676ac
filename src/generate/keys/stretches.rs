//! Patterns whose keys follow one rule over a stretch of neighbouring indices: sorted runs and blocks.
//!
//! Where a stretch begins and ends takes a few divisions, its keys then take none. Blocks shorter than
//! some tens of keys pay those divisions often.

use super::Pattern;
use super::types::KeyType;
use crate::generate::random::{Stream, high};
use crate::num::{to_u64, to_usize};
use crate::partition::{block, block_of};

/// Indices up to `end` whose keys follow one rule.
struct Stretch {
    end: u64,
    rule: Rule,
}

#[derive(Clone, Copy)]
enum Rule {
    /// Uniform in `low..low + width`; `low` when the width is 0.
    Range { low: u64, width: u64 },
    /// In slot `slot`, then `step` slots further for each next index, modulo 2^64.
    Slots { slot: u64, step: u64 },
}

/// Downward by one and by two slots.
const DOWN: u64 = u64::MAX;
const DOWN_TWO: u64 = u64::MAX - 1;

/// A pattern of stretches made ready to be asked.
#[derive(Debug)]
pub(super) struct Stretches {
    count: u64,
    blocks: u64,
    draw: Stream,
    /// Values in a slot.
    slot_width: u64,
    /// Values in one of as many equal ranges as there are blocks.
    range_width: u64,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    Constant {
        key: u64,
    },
    Rising,
    Falling,
    PipeOrgan,
    /// Runs of `length`, of which there are `runs`.
    Saws {
        length: u64,
        runs: u64,
    },
    /// The first slot of each block.
    Permuted {
        first_slots: Vec<u64>,
    },
    BucketSorted,
    Groups {
        size: u64,
    },
    /// The range of each block.
    Ranges {
        ranges: Vec<u64>,
    },
    /// The last key of each block is small: a multiple of `unit`; the ranges begin at `low`.
    AllToOne {
        unit: u64,
        low: u64,
    },
    /// Where each value ends; the first is the greatest.
    Halving {
        ends: Vec<u64>,
        width: u64,
    },
}

impl Stretches {
    /// `None` when the pattern goes by single indices.
    pub(super) fn new(
        pattern: Pattern,
        key_type: KeyType,
        count: u64,
        blocks: u64,
        draw: Stream,
    ) -> Option<Self> {
        let length = count.isqrt().max(1);
        let runs = count.div_ceil(length);
        let unit = key_type.unit();
        let (mut slots, mut range_width) = (count, u64::MAX / blocks);
        let layout = match pattern {
            Pattern::Zero => Layout::Constant { key: key_type.zero() },
            Pattern::Sorted | Pattern::AlmostSorted => Layout::Rising,
            Pattern::Reverse => Layout::Falling,
            Pattern::PipeOrgan => Layout::PipeOrgan,
            Pattern::Saws => {
                slots = length * runs;
                Layout::Saws { length, runs }
            }
            Pattern::BlockPermuted => {
                Layout::Permuted { first_slots: permuted(count, blocks, draw) }
            }
            Pattern::BucketSorted => Layout::BucketSorted,
            Pattern::GGroup => Layout::Groups { size: blocks.isqrt() },
            Pattern::Staggered => Layout::Ranges { ranges: staggered(blocks) },
            Pattern::Mirrored => Layout::Ranges { ranges: mirrored(blocks) },
            Pattern::AllToOne => {
                let low = unit * blocks;
                range_width = (u64::MAX - low) / blocks;
                Layout::AllToOne { unit, low }
            }
            Pattern::DetDup => {
                let ends = halving(count, blocks);
                let width = u64::MAX / to_u64(ends.len()).max(1);
                Layout::Halving { ends, width }
            }
            _ => return None,
        };
        let slot_width = u64::MAX / slots.max(1);
        Some(Self { count, blocks, draw, slot_width, range_width, layout })
    }

    /// The keys from index `first` on, which the caller has checked to be there.
    pub(super) fn fill(&self, first: u64, mut keys: &mut [u64]) {
        let mut at = first;
        while !keys.is_empty() {
            let Stretch { end, rule } = self.stretch(at);
            debug_assert!(at < end && end <= self.count, "{at} in a stretch to {end}");
            let length = keys.len().min(to_usize(end - at));
            let (now, rest) = keys.split_at_mut(length);
            self.obey(rule, at, now);
            at = end;
            keys = rest;
        }
    }

    fn obey(&self, rule: Rule, first: u64, keys: &mut [u64]) {
        let draw = self.draw;
        match rule {
            Rule::Range { low, width: 0 } => keys.fill(low),
            Rule::Range { low, width } => {
                for (index, key) in (first..).zip(keys) {
                    *key = low + high(draw.bits(index), width);
                }
            }
            Rule::Slots { mut slot, step } => {
                for (index, key) in (first..).zip(keys) {
                    *key = self.within_slot(slot, index);
                    slot = slot.wrapping_add(step);
                }
            }
        }
    }

    /// The key of index `index` when it stands in `slot`.
    #[inline]
    pub(super) fn within_slot(&self, slot: u64, index: u64) -> u64 {
        slot * self.slot_width + high(self.draw.bits(index), self.slot_width)
    }

    /// The stretch that index `at` is in, with its rule from there on.
    fn stretch(&self, at: u64) -> Stretch {
        let &Self { count, blocks, .. } = self;
        let until = |end, rule| Stretch { end, rule };
        let slots = |slot, step| Rule::Slots { slot, step };
        match &self.layout {
            Layout::Constant { key } => until(count, Rule::Range { low: *key, width: 0 }),
            Layout::Rising => until(count, slots(at, 1)),
            Layout::Falling => until(count, slots(count - 1 - at, DOWN)),
            Layout::PipeOrgan => match count.div_ceil(2) {
                top if at < top => until(top, slots(2 * at, 2)),
                _ => until(count, slots(2 * (count - 1 - at) + 1, DOWN_TWO)),
            },
            Layout::Saws { length, runs } => {
                let run = at / length;
                let slot = (at - run * length) * runs + run;
                until(((run + 1) * length).min(count), slots(slot, *runs))
            }
            Layout::Permuted { first_slots } => {
                let (number, range) = self.block(at);
                until(range.end, slots(first_slots[to_usize(number)] + at - range.start, 1))
            }
            Layout::BucketSorted => {
                let (_, part, end) = self.part(at);
                until(end, self.range(part))
            }
            Layout::Groups { size } => {
                let (number, part, end) = self.part(at);
                until(end, self.range((number / size * size + blocks / 2 + part) % blocks))
            }
            Layout::Ranges { ranges } => {
                let (number, range) = self.block(at);
                until(range.end, self.range(ranges[to_usize(number)]))
            }
            Layout::AllToOne { unit, low } => {
                let (number, range) = self.block(at);
                let place = blocks - 1 - number;
                if at + 1 == range.end {
                    return until(range.end, Rule::Range { low: unit * place, width: 0 });
                }
                let (low, width) = (low + place * self.range_width, self.range_width);
                until(range.end - 1, Rule::Range { low, width })
            }
            Layout::Halving { ends, width } => {
                let level = ends.partition_point(|end| *end <= at);
                let low = to_u64(ends.len() - 1 - level) * width;
                until(ends[level], Rule::Range { low, width: 0 })
            }
        }
    }

    fn range(&self, number: u64) -> Rule {
        Rule::Range { low: number * self.range_width, width: self.range_width }
    }

    /// The block that `at` is in.
    fn block(&self, at: u64) -> (u64, std::ops::Range<u64>) {
        let number = block_of(self.count, self.blocks, at);
        (number, block(self.count, self.blocks, number))
    }

    /// The block, and which of as many parts of it as there are blocks `at` is in, with that one's end.
    fn part(&self, at: u64) -> (u64, u64, u64) {
        let (number, range) = self.block(at);
        let length = range.end - range.start;
        let part = block_of(length, self.blocks, at - range.start);
        (number, part, range.start + block(length, self.blocks, part).end)
    }
}

/// The first slot of each block in a random order in which none but a lone one keeps its place (Sattolo,
/// 1986). Draws beyond the last index are free for it.
fn permuted(count: u64, blocks: u64, draw: Stream) -> Vec<u64> {
    let mut order: Vec<u64> = (0..blocks).collect();
    for last in (1..blocks).rev() {
        order.swap(to_usize(last), to_usize(draw.below(u64::MAX - last, last)));
    }
    let (mut first_slots, mut next) = (vec![0; order.len()], 0);
    for number in order {
        let range = block(count, blocks, number);
        first_slots[to_usize(number)] = next;
        next += range.end - range.start;
    }
    first_slots
}

/// The odd ranges for the first half of the blocks, the even ones for the second.
fn staggered(blocks: u64) -> Vec<u64> {
    let half = blocks / 2;
    (0..blocks).map(|b| if b < half { 2 * b + 1 } else { 2 * (b - half) }).collect()
}

/// The place of each block in the order of their reversed bits, which is the reversed number itself where
/// the blocks are a power of two.
fn mirrored(blocks: u64) -> Vec<u64> {
    let mut order: Vec<u64> = (0..blocks).collect();
    order.sort_by_key(|number| number.reverse_bits());
    let mut places = vec![0; order.len()];
    for (place, number) in (0..).zip(order) {
        places[to_usize(number)] = place;
    }
    places
}

/// Where the values of deterministic duplicates end: half of what is left of the blocks each, then half of
/// what is left of the last block.
fn halving(count: u64, blocks: u64) -> Vec<u64> {
    let (mut ends, mut done) = (Vec::new(), 0);
    while blocks - done > 1 {
        done += (blocks - done).div_ceil(2);
        ends.push(block(count, blocks, done - 1).end);
    }
    let mut at = block(count, blocks, blocks - 1).start;
    while at < count {
        at += (count - at).div_ceil(2);
        ends.push(at);
    }
    ends
}
