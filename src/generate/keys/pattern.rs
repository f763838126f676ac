//! The names of the patterns, and what each one means.
//!
//! `n` is the count of keys, `B` that of the blocks that stand for a paper's processors: a file must not
//! depend on the ranks that make it, so `B` is a parameter of the data. Published ranges of small numbers
//! are stretched over the type's whole range, which keeps order and duplicates. Sources: HBJ is Helman,
//! Bader and Jaja, "A Randomized Parallel Sorting Algorithm with an Experimental Study" (JPDC 52, 1998);
//! AS is Axtmann and Sanders, "Robust Massively Parallel Sorting" (arXiv 1606.08766); AWFS is Axtmann,
//! Witt, Ferizovic and Sanders, "In-Place Parallel Super Scalar Samplesort" (ESA 2017).

use std::fmt;
use std::str::FromStr;

use crate::deck::nearest;

/// How keys follow from their index, the seed, the count and the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every value equally often.
    Uniform,
    /// The mean of four uniform draws (HBJ).
    Gaussian,
    /// All keys are the type's 0 (HBJ).
    Zero,
    /// Key `i` is `i mod floor(sqrt n)` (AWFS).
    RootDup,
    /// Key `i` is `(i^2 + n / 2) mod n` (AWFS).
    TwoDup,
    /// Key `i` is `(i^8 + n / 2) mod n` (AWFS).
    EightDup,
    /// Value `k` of 1 to min(n, 65536) with a weight of 1/k.
    Zipf,
    /// Every length in bits equally often, uniform within it: the upper half of the range gets as many
    /// keys as the quarter below it, and so on (AWFS).
    Exponential,
    /// Rising and all different: key `i` is random within the `i`-th of n equal slots.
    Sorted,
    /// Falling and all different: `sorted` from its end.
    Reverse,
    /// `sorted` with some sqrt(n) keys out of place: of as many pieces, each swaps one key with another
    /// piece, near or far.
    AlmostSorted,
    /// `sorted` cut into B blocks, none of which stays at its place.
    BlockPermuted,
    /// Each block has n/B^2 keys for the first of B equal ranges, then as many for the next (HBJ).
    BucketSorted,
    /// Groups of g = floor(sqrt B) blocks send all they have to the same g ranges in the same order: part
    /// `t` of each block of group `j` lies in range `(j g + B/2 + t) mod B` (HBJ).
    GGroup,
    /// Block `b` of the first half lies in range `2b + 1`, the others in the even ranges (HBJ).
    Staggered,
    /// Block `b` lies in the range whose number is `b` with its bits reversed (AS).
    Mirrored,
    /// Block `b` lies in range `B - 1 - b`, but its last key is `B - 1 - b` itself: naive splitters send
    /// one message of each rank to rank 0 (AS).
    AllToOne,
    /// The first half of the blocks has one value, the next quarter a lesser one, and so on; the last
    /// block is divided likewise (HBJ).
    DetDup,
    /// Up through every second slot, then down through the others.
    PipeOrgan,
    /// Some sqrt(n) rising runs, each over the whole range.
    Saws,
    /// Five of eight keys are one key: more than n/p for any number of ranks p above one.
    Heavy,
    /// Two values that differ in the type's last bit only; floats lie in [1, 2).
    LastBit,
    /// One of 4096 keys is anywhere; the others lie within a range as narrow as the fourth root of the
    /// type's (2^16 values of u64), so that brackets of splitters hardly shrink by sampling or bisection.
    Narrow,
    /// Floats: NaN of all payloads, infinities, zeros of both signs, subnormals, the greatest and least.
    /// Integers: every second key at or beside MIN, MAX or 0.
    Specials,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Uniform,
        Self::Gaussian,
        Self::Zero,
        Self::RootDup,
        Self::TwoDup,
        Self::EightDup,
        Self::Zipf,
        Self::Exponential,
        Self::Sorted,
        Self::Reverse,
        Self::AlmostSorted,
        Self::BlockPermuted,
        Self::BucketSorted,
        Self::GGroup,
        Self::Staggered,
        Self::Mirrored,
        Self::AllToOne,
        Self::DetDup,
        Self::PipeOrgan,
        Self::Saws,
        Self::Heavy,
        Self::LastBit,
        Self::Narrow,
        Self::Specials,
    ];

    /// As decks and flags have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Gaussian => "gaussian",
            Self::Zero => "zero",
            Self::RootDup => "root-dup",
            Self::TwoDup => "two-dup",
            Self::EightDup => "eight-dup",
            Self::Zipf => "zipf",
            Self::Exponential => "exponential",
            Self::Sorted => "sorted",
            Self::Reverse => "reverse",
            Self::AlmostSorted => "almost-sorted",
            Self::BlockPermuted => "block-permuted",
            Self::BucketSorted => "bucket-sorted",
            Self::GGroup => "g-group",
            Self::Staggered => "staggered",
            Self::Mirrored => "mirrored",
            Self::AllToOne => "all-to-one",
            Self::DetDup => "det-dup",
            Self::PipeOrgan => "pipe-organ",
            Self::Saws => "saws",
            Self::Heavy => "heavy",
            Self::LastBit => "last-bit",
            Self::Narrow => "narrow",
            Self::Specials => "specials",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named("pattern", text, &Self::ALL, Self::name)
    }
}

/// The one of `all` that is called `text`.
pub(super) fn named<T: Copy>(
    what: &str,
    text: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter().copied().find(|&one| name(one) == text).ok_or_else(|| {
        let names = || all.iter().map(|&one| name(one));
        let help = nearest(text, names()).map_or_else(
            || format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        format!("no {what} is called `{text}`; {help}")
    })
}
