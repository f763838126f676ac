//! Keys to sort, made from a seed: `dcomp generate keys`, and what `mergesort --generate` takes.
//!
//! A key is a function of pattern, seed, index, count and blocks alone, so ranks and threads make them in
//! any order and any split, and the bytes are the same. A batch costs one choice of its rule; most keys
//! then cost one draw of two mixings. `gaussian` draws four times, `two-dup` and `eight-dup` divide, and
//! `zipf` searches a table of 512 KiB.

mod pattern;
pub mod spec;
mod stretches;
#[cfg(test)]
mod tests;
mod types;

pub use pattern::Pattern;
pub use types::KeyType;

use super::random::{Stream, high};
use super::zipf::Zipf;
use crate::num::{to_u64, to_usize};
use crate::partition::{block, block_of};
use stretches::Stretches;

/// The most keys: 8 EiB, which is where files end.
pub const COUNT_MAX: u64 = 1 << 60;

/// The most blocks: more than any machine has ranks. A table of 8 MiB.
pub const BLOCKS_MAX: u64 = 1 << 20;

/// The most different values of `zipf`; with more, the table leaves the second-level cache.
const ZIPF_VALUES: u64 = 1 << 16;

/// `heavy`: this many of eight keys are one.
const HEAVY_OF_EIGHT: u64 = 5;

/// `narrow`: one of so many keys lies anywhere.
const OUTLIER_EVERY: u64 = 4096;

/// Keys that are made typed at once.
const BATCH: usize = 1024;

/// Makes the keys of one data set; threads share it as it is, nothing in it changes.
#[derive(Debug)]
pub struct KeySource {
    count: u64,
    key_type: KeyType,
    /// Whether the pattern speaks in floats' own bits.
    own_bits: bool,
    draw: Stream,
    /// A second choice for the same key.
    other: Stream,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Stretches(Stretches),
    AlmostSorted { sorted: Stretches, pieces: Pieces },
    Uniform,
    Gaussian([Stream; 4]),
    RootDup { root: u64, width: u64 },
    Powers { square_only: bool, width: u64 },
    Zipf { table: Zipf, width: u64 },
    Exponential { bits: u64 },
    Heavy { key: u64 },
    LastBit { base: u64, unit: u64 },
    Narrow { base: u64, unit: u64, mask: u64 },
    SpecialFloats,
    Extremes([u64; 8]),
}

impl KeySource {
    /// Keys of type u64.
    ///
    /// # Errors
    /// As [`typed`](Self::typed).
    pub fn new(
        pattern: Pattern,
        count: u64,
        blocks: u64,
        seed: u64,
    ) -> Result<Self, (&'static str, String)> {
        Self::typed(KeyType::U64, pattern, count, blocks, seed)
    }

    /// Keys of any type. Takes time and memory for `zipf` (half a MiB) and for 8 bytes a block.
    ///
    /// # Errors
    /// The parameter at fault and a sentence about it: a count above [`COUNT_MAX`], no blocks or more than
    /// [`BLOCKS_MAX`].
    pub fn typed(
        key_type: KeyType,
        pattern: Pattern,
        count: u64,
        blocks: u64,
        seed: u64,
    ) -> Result<Self, (&'static str, String)> {
        if count > COUNT_MAX {
            return Err((
                "count",
                format!("{count} keys are more than a file holds; at most 2^60"),
            ));
        }
        if !(1..=BLOCKS_MAX).contains(&blocks) {
            return Err(("blocks", format!("{blocks}; give 1 or more, at most {BLOCKS_MAX}")));
        }
        let (draw, other) = (Stream::new(seed, 11), Stream::new(seed, 12));
        let stretches = Stretches::new(pattern, key_type, count, blocks, draw);
        let shape = match stretches {
            Some(sorted) if pattern == Pattern::AlmostSorted => {
                Shape::AlmostSorted { sorted, pieces: Pieces::new(count, other) }
            }
            Some(stretches) => Shape::Stretches(stretches),
            None => Shape::by_index(pattern, key_type, count, seed, draw),
        };
        let own_bits =
            key_type.is_float() && matches!(pattern, Pattern::Specials | Pattern::LastBit);
        Ok(Self { count, key_type, own_bits, draw, other, shape })
    }

    /// How many keys there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their type.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The keys from index `first` on, as 64 bits whose order is that of the keys. For u64 they are the
    /// keys; the other types use the upper bits.
    ///
    /// # Panics
    /// When the data set has no such keys.
    pub fn fill(&self, first: u64, keys: &mut [u64]) {
        let end = first.checked_add(to_u64(keys.len()));
        assert!(end.is_some_and(|end| end <= self.count), "{first} + {} keys", keys.len());
        let (count, draw, other) = (self.count, self.draw, self.other);
        match &self.shape {
            Shape::Stretches(stretches) => stretches.fill(first, keys),
            Shape::AlmostSorted { sorted, pieces } => {
                sorted.fill(first, keys);
                pieces.swap(first, keys, |slot, index| sorted.within_slot(slot, index));
            }
            Shape::Uniform => each(first, keys, |index| draw.bits(index)),
            Shape::Gaussian(streams) => each(first, keys, |index| {
                streams.iter().map(|stream| stream.bits(index) >> 2).sum()
            }),
            Shape::RootDup { root, width } => each(first, keys, |index| index % root * width),
            Shape::Powers { square_only: true, width } => {
                each(first, keys, |index| (times(index, index, count) + count / 2) % count * width);
            }
            Shape::Powers { width, .. } => each(first, keys, |index| {
                let square = times(index, index, count);
                let fourth = times(square, square, count);
                (times(fourth, fourth, count) + count / 2) % count * width
            }),
            Shape::Zipf { table, width } => {
                each(first, keys, |index| to_u64(table.rank(index)) * width);
            }
            Shape::Exponential { bits } => each(first, keys, |index| {
                (draw.bits(index) | 1 << 63) >> high(other.bits(index), *bits)
            }),
            Shape::Heavy { key } => {
                let rule = |index| if index % 8 < HEAVY_OF_EIGHT { *key } else { draw.bits(index) };
                each(first, keys, rule);
            }
            Shape::LastBit { base, unit } => {
                each(first, keys, |index| base + unit * (draw.bits(index) & 1));
            }
            Shape::Narrow { base, unit, mask } => each(first, keys, |index| {
                let bits = draw.bits(index);
                if index % OUTLIER_EVERY == 0 { bits } else { base + unit * (bits & mask) }
            }),
            Shape::SpecialFloats => each(first, keys, |index| {
                self.key_type.special(other.bits(index), draw.bits(index))
            }),
            Shape::Extremes(extremes) => each(first, keys, |index| {
                let choice = other.bits(index);
                if choice >> 63 == 0 { draw.bits(index) } else { extremes[to_usize(choice & 7)] }
            }),
        }
    }

    /// The keys from index `first` on as they lie in a file: their type's bytes, little-endian.
    ///
    /// # Panics
    /// When the data set has no such keys, or `bytes` ends within one.
    pub fn fill_bytes(&self, first: u64, bytes: &mut [u8]) {
        let mut keys = [0; BATCH];
        let key_bytes = self.key_type.bytes();
        assert!(bytes.len().is_multiple_of(key_bytes), "{} bytes", bytes.len());
        for (at, bytes) in (first..).step_by(BATCH).zip(bytes.chunks_mut(BATCH * key_bytes)) {
            let keys = &mut keys[..bytes.len() / key_bytes];
            self.fill(at, keys);
            if self.own_bits {
                self.key_type.encode_ordered(keys, bytes);
            } else {
                self.key_type.encode(keys, bytes);
            }
        }
    }
}

impl Shape {
    /// Patterns in which each index stands for itself.
    fn by_index(pattern: Pattern, key_type: KeyType, count: u64, seed: u64, draw: Stream) -> Self {
        let (unit, width) = (key_type.unit(), key_type.width());
        let per_value = |values: u64| u64::MAX / values.max(1);
        // The draw that no index takes.
        let constant = draw.bits(u64::MAX);
        match pattern {
            Pattern::Gaussian => {
                Self::Gaussian([13, 14, 15, 16].map(|use_| Stream::new(seed, use_)))
            }
            Pattern::RootDup => {
                let root = count.isqrt().max(1);
                Self::RootDup { root, width: per_value(root) }
            }
            Pattern::TwoDup => Self::Powers { square_only: true, width: per_value(count) },
            Pattern::EightDup => Self::Powers { square_only: false, width: per_value(count) },
            Pattern::Zipf => {
                let values = count.clamp(1, ZIPF_VALUES);
                Self::Zipf { table: Zipf::new(values, draw), width: per_value(values) }
            }
            Pattern::Exponential => Self::Exponential { bits: width.into() },
            Pattern::Heavy => Self::Heavy { key: constant },
            Pattern::LastBit => {
                let unit = key_type.last_bit();
                // Floats in [1, 2): even steps would not be the last bit of smaller ones.
                let any =
                    if key_type.is_float() { key_type.special(7, constant) } else { constant };
                Self::LastBit { base: any & !(2 * unit - 1), unit }
            }
            Pattern::Narrow => {
                let values = 1 << (width / 4);
                Self::Narrow { base: constant & !(values * unit - 1), unit, mask: values - 1 }
            }
            Pattern::Specials if key_type.is_float() => Self::SpecialFloats,
            Pattern::Specials => {
                let (middle, greatest) = (1 << 63, !(unit - 1));
                let (low, high) = (middle - unit, middle + unit);
                Self::Extremes([0, unit, low, middle, high, greatest - unit, greatest, middle])
            }
            _ => Self::Uniform,
        }
    }
}

/// The pieces of an almost sorted set; two of them swap a key.
#[derive(Debug)]
struct Pieces {
    count: u64,
    number: u64,
    /// Pieces whose numbers add up to this, modulo their count, swap.
    sum: u64,
    choice: Stream,
}

impl Pieces {
    fn new(count: u64, choice: Stream) -> Self {
        let number = count.isqrt().max(1);
        // An odd sum pairs all pieces where they are even and leaves one alone where they are odd.
        let sum = (2 * choice.below(u64::MAX, number) + 1) % number;
        Self { count, number, sum, choice }
    }

    /// The index within a piece that is swapped.
    fn chosen(&self, piece: u64) -> u64 {
        let range = block(self.count, self.number, piece);
        range.start + self.choice.below(piece, range.end - range.start)
    }

    /// Gives the swapped ones of `keys`, which begin at `first`, what belongs to their partners' place.
    fn swap(&self, first: u64, keys: &mut [u64], key: impl Fn(u64, u64) -> u64) {
        let Some(last) = keys.len().checked_sub(1) else { return };
        let piece_of = |index| block_of(self.count, self.number, index);
        for piece in piece_of(first)..=piece_of(first + to_u64(last)) {
            let index = self.chosen(piece);
            let partner = (self.sum + self.number - piece) % self.number;
            let place = index.checked_sub(first).map(to_usize);
            if let Some(place) = place.and_then(|at| keys.get_mut(at)) {
                *place = key(self.chosen(partner), index);
            }
        }
    }
}

#[inline]
fn each(first: u64, keys: &mut [u64], rule: impl Fn(u64) -> u64) {
    for (index, key) in (first..).zip(keys) {
        *key = rule(index);
    }
}

/// `left * right mod modulus` of numbers below it, by the cheap division where the product fits.
#[inline]
fn times(left: u64, right: u64, modulus: u64) -> u64 {
    if modulus <= 1 << 32 {
        return left * right % modulus;
    }
    let product = u128::from(left) * u128::from(right) % u128::from(modulus);
    u64::try_from(product).expect("below the modulus")
}
