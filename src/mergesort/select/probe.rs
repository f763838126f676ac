//! The search for one cut where each look at a key has its price and nobody else is asked.
//!
//! In each step every sequence is looked at once, where the cut should be by proportion; the weighted median
//! of what is seen there is found in all sequences, and tells on which side of it the cut lies. To find
//! it, a model says how many items should lie between two keys. Where the sequences are like the model a cut
//! costs ten to fifteen looks at each; where guesses do not pay, middles are looked at instead, so that any
//! others cost three times a binary search of a binary search at most.

use std::ops::Range;

use crate::num::{floor_u64, to_f64};

/// Sequences that are looked at.
pub trait Sequences {
    /// A key.
    type Key: Ord;
    /// Why one cannot be had.
    type Error;

    /// The key of an item.
    ///
    /// # Errors
    /// When it cannot be had.
    fn key(&mut self, sequence: usize, place: u64) -> Result<Self::Key, Self::Error>;

    /// How many items of a sequence should lie between two keys; negative when the second is less.
    fn distance(&mut self, sequence: usize, from: &Self::Key, to: &Self::Key) -> f64;
}

/// Whether guesses pay: of each two a quarter may be left, else what is left is halved.
#[derive(Default)]
struct Patience {
    guesses: u32,
    due: u64,
}

impl Patience {
    /// So much is left; whether to halve it next.
    fn halve(&mut self, left: u64) -> bool {
        if self.guesses == 2 {
            self.guesses = 0;
            if left > self.due {
                return true;
            }
        }
        if self.guesses == 0 {
            self.due = left / 4;
        }
        self.guesses += 1;
        false
    }
}

/// What was seen in a sequence.
struct Seen<K> {
    sequence: usize,
    place: u64,
    key: K,
}

/// The cut after `target` items, which lies in these brackets, in the order (key, sequence, place), and which
/// should be at about `guess` in each of them.
///
/// # Errors
/// When a key cannot be had.
///
/// # Panics
/// When the brackets do not hold the cut.
pub fn cut<S: Sequences>(
    sequences: &mut S,
    target: u64,
    brackets: &[Range<u64>],
    guess: &[u64],
) -> Result<Vec<u64>, S::Error> {
    let mut low: Vec<u64> = brackets.iter().map(|bracket| bracket.start).collect();
    let mut high: Vec<u64> = brackets.iter().map(|bracket| bracket.end).collect();
    let before: u64 = low.iter().sum();
    assert!(before <= target && target <= high.iter().sum(), "the brackets hold the cut");
    let (mut wanted, mut patience, mut first) = (target - before, Patience::default(), true);
    loop {
        let inside = high.iter().sum::<u64>() - low.iter().sum::<u64>();
        if wanted == 0 {
            return Ok(low);
        }
        if wanted == inside {
            return Ok(high);
        }
        let part = if patience.halve(inside) { 0.5 } else { to_f64(wanted) / to_f64(inside) };
        let mut seen = Vec::new();
        for sequence in (0..low.len()).filter(|&sequence| low[sequence] < high[sequence]) {
            let Range { start, end } = low[sequence]..high[sequence];
            let place = start + floor_u64(to_f64(end - start) * part);
            let place = if first { guess[sequence] } else { place }.clamp(start, end - 1);
            seen.push(Seen { sequence, place, key: sequences.key(sequence, place)? });
        }
        first = false;
        let pivot = median(&mut seen, |sequence| high[sequence] - low[sequence]);
        let mut cuts = low.clone();
        for (at, one) in seen.iter().enumerate() {
            cuts[one.sequence] = if at == pivot {
                one.place
            } else {
                // Equal keys of earlier sequences come before the pivot, those of later ones behind.
                let equal = one.sequence < seen[pivot].sequence;
                let bracket = low[one.sequence]..high[one.sequence];
                find(sequences, bracket, one, &seen[pivot].key, equal)?
            };
        }
        let smaller: u64 = cuts.iter().zip(&low).map(|(cut, low)| cut - low).sum();
        if smaller < wanted {
            cuts[seen[pivot].sequence] += 1;
            wanted -= smaller + 1;
            low = cuts;
        } else {
            high = cuts;
        }
    }
}

/// The weighted median, after bringing all into the order (key, sequence).
fn median<K: Ord>(seen: &mut [Seen<K>], weight: impl Fn(usize) -> u64) -> usize {
    seen.sort_unstable_by(|a, b| (&a.key, a.sequence).cmp(&(&b.key, b.sequence)));
    let all: u64 = seen.iter().map(|one| weight(one.sequence)).sum();
    let mut sum = 0;
    let middle = seen.iter().position(|one| {
        sum += weight(one.sequence);
        2 * sum >= all
    });
    middle.expect("something is left")
}

/// The first place in a bracket whose key does not come before the pivot; equal ones do if so said.
fn find<S: Sequences>(
    sequences: &mut S,
    bracket: Range<u64>,
    first: &Seen<S::Key>,
    pivot: &S::Key,
    equal: bool,
) -> Result<u64, S::Error> {
    let (sequence, mut place) = (first.sequence, first.place);
    let Range { start: mut low, end: mut high } = bracket;
    let mut order = first.key.cmp(pivot);
    let mut ahead = sequences.distance(sequence, &first.key, pivot);
    let mut patience = Patience::default();
    loop {
        if order.is_lt() || (equal && order.is_eq()) {
            low = place + 1;
        } else {
            high = place;
        }
        if low == high {
            return Ok(low);
        }
        // Nothing tells how many equal ones follow.
        place = if patience.halve(high - low) || order.is_eq() {
            low.midpoint(high)
        } else {
            let steps = floor_u64(ahead.abs());
            let guess = if ahead > 0.0 { place + steps } else { place.saturating_sub(steps) };
            guess.clamp(low, high - 1)
        };
        let key = sequences.key(sequence, place)?;
        order = key.cmp(pivot);
        ahead = sequences.distance(sequence, &key, pivot);
    }
}
