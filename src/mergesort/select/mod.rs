//! Exact splitters: where sorted sequences are to be cut so that a given number of the items of their
//! merge lie before the cuts.
//!
//! Items are ordered by (key, sequence, index), which makes all of them different, so the cuts are unique
//! and a stable merge of what lies between two cuts needs nothing else. A [`Search`] narrows a bracket
//! per sequence by regular samples (Varman, Scheufler, Iyer & Ricard, J. Parallel Distrib. Comput. 12,
//! 1991, use them the same way): the samples of all sequences, taken every `step` items, bound the
//! position of the cut to three steps a sequence, whatever the keys are. So the number of rounds depends
//! on sizes alone: never on luck, never on how the keys are spread. The price: each round moves up to
//! [`Search::budget`] keys a cut.

pub mod aim;
#[cfg(test)]
mod aim_tests;
mod multiway;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::num::{to_u64, to_usize};
pub use multiway::first;

/// Samples of one round and one sequence, at the least; fewer would hardly narrow anything.
const SAMPLES_A_SEQUENCE: u64 = 32;

/// Samples of one round in all, when there are few sequences.
const SAMPLES: u64 = 4096;

/// The search for one cut through all sequences.
#[derive(Clone, Debug)]
pub struct Search {
    /// Items that belong before the cut, of those inside the brackets.
    wanted: u64,
    /// Where in each sequence the cut may be.
    brackets: Vec<Range<u64>>,
    /// Every how many items a key is had for nothing.
    coarse: u64,
}

impl Search {
    /// A cut after `target` items, of which all sequences together have as many; items before a
    /// bracket's start are known to lie before the cut, items from its end on behind it.
    ///
    /// # Panics
    /// When the brackets do not hold the cut.
    pub fn new(target: u64, brackets: Vec<Range<u64>>) -> Self {
        let before: u64 = brackets.iter().map(|bracket| bracket.start).sum();
        let ends: u64 = brackets.iter().map(|bracket| bracket.end).sum();
        assert!(before <= target && target <= ends, "a cut after {target} in {before}..={ends}");
        Self { wanted: target - before, brackets, coarse: 1 }
    }

    /// Where only the keys in front of multiples of `coarse`, a power of two, are had for nothing: these are
    /// looked at first, as long as they narrow anything.
    #[must_use]
    pub fn with_coarse(self, coarse: u64) -> Self {
        Self { coarse, ..self }
    }

    /// Most keys of one round: as many for few sequences as for a lot of them.
    pub fn budget(&self) -> u64 {
        SAMPLES.max(SAMPLES_A_SEQUENCE * to_u64(self.brackets.len()))
    }

    /// Where the cut may be.
    pub fn brackets(&self) -> &[Range<u64>] {
        &self.brackets
    }

    /// Every how many items of a sequence a sample is wanted next, a power of two; 0 when the cut is
    /// found: then each bracket is empty and stands at it.
    pub fn step(&self) -> u64 {
        let inside: u64 = self.brackets.iter().map(|bracket| bracket.end - bracket.start).sum();
        if inside == 0 {
            return 0;
        }
        let step = inside.div_ceil(self.budget()).next_power_of_two();
        // Samples leave three steps a sequence.
        let narrows = inside / 4 / self.coarse > to_u64(self.brackets.len());
        if narrows { step.max(self.coarse) } else { step }
    }

    /// Narrows the brackets by the keys at [`samples`] of every sequence, each list in its order;
    /// `before` tells whether one key comes before another.
    ///
    /// # Panics
    /// When a list has another length than its bracket asks for.
    pub fn narrow<K>(&mut self, keys: &[&[K]], before: impl Fn(&K, &K) -> bool) {
        let step = self.step();
        assert!(step > 0 && keys.len() == self.brackets.len(), "one list a sequence");
        let (mut hidden, mut missing, mut count) = (0, 0, 0);
        for (bracket, keys) in self.brackets.iter().zip(keys) {
            assert_eq!(to_u64(keys.len()), samples(bracket, step).count, "one key a sample");
            // Items between two samples: that many may lie before a key without being seen ...
            hidden += (bracket.end - bracket.start).min(step - 1);
            // ... and that many fewer than a step may lie before the first sample.
            missing += if keys.is_empty() { 0 } else { bracket.start % step };
            count += to_u64(keys.len());
        }
        let surely = (self.wanted.saturating_sub(hidden) / step).min(count);
        let enough = (self.wanted + missing).div_ceil(step);
        let lower = first(keys, to_usize(surely), &before);
        let upper = (enough <= count).then(|| first(keys, to_usize(enough), &before));
        for (at, bracket) in self.brackets.iter_mut().enumerate() {
            let places = samples(bracket, step);
            if let Some(upper) = &upper {
                // What lies before the next sample may still belong before the cut.
                bracket.end = bracket.end.min(places.place(to_u64(upper[at])));
            }
            if let Some(last) = lower[at].checked_sub(1) {
                let start = places.place(to_u64(last)) + 1;
                self.wanted -= start - bracket.start;
                bracket.start = start;
            }
        }
        self.close();
    }

    /// Nothing more is wanted, or all that is left: the cut is known without another look.
    fn close(&mut self) {
        let inside: u64 = self.brackets.iter().map(|bracket| bracket.end - bracket.start).sum();
        if self.wanted == 0 {
            self.brackets.iter_mut().for_each(|bracket| bracket.end = bracket.start);
        } else if self.wanted == inside {
            self.brackets.iter_mut().for_each(|bracket| bracket.start = bracket.end);
            self.wanted = 0;
        }
    }
}

/// The places of a bracket's samples: those whose successor is a multiple of the step, so that the
/// same places serve all brackets and an index of every so many items serves all larger steps.
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    first: u64,
    step: u64,
    /// How many there are.
    pub count: u64,
}

impl Samples {
    /// The place of one of them; also of the one that would follow the last.
    pub fn place(&self, index: u64) -> u64 {
        self.first + index * self.step
    }

    /// All places.
    pub fn places(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |index| self.place(index))
    }
}

/// Where samples are taken in a bracket.
pub fn samples(bracket: &Range<u64>, step: u64) -> Samples {
    let first = (bracket.start + 1).next_multiple_of(step) - 1;
    let count = if first < bracket.end { (bracket.end - 1 - first) / step + 1 } else { 0 };
    Samples { first, step, count }
}
