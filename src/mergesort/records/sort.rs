//! The local sort of fixed-size records: sort words, then move each record once.
//!
//! A word of 64 bits holds the number of a record in its low bits and, above, as many bits of its
//! key as there is room for: 39 with 2^25 records. So the sort proper moves eight bytes a record and
//! never looks at one, equal bits fall in the order of the numbers, which makes it stable, and any
//! sort of bare `u64` will do. Records whose bits are equal are gone through again with the next
//! bits of their keys, small groups by comparing the rest of their keys. Costs 8 bytes a record
//! beside input and output, and less than one more for large groups of equal bits.

use super::Layout;
use crate::mergesort::merge::prefetch::prefetch;
use crate::mergesort::merge::prefix;
use crate::num::{to_u64, to_usize};

/// Largest group that is sorted by comparing keys. Filling words again looks at each key twice.
const COMPARE_MAX: usize = 32;

/// How many records before its turn one is asked for: enough to hide a miss to memory behind copies.
const AHEAD: usize = 16;

/// Fewest leading bits in common that are worth another look at every key.
const SKIP_MIN: u32 = 8;

/// Sorts the records of `input` into `out` by their keys, stable.
///
/// # Panics
/// When `input` is no whole number of records or `out` is not as long.
pub fn sort(input: &[u8], layout: Layout, out: &mut [u8]) {
    sort_with(input, layout, out, <[u64]>::sort_unstable);
}

/// [`sort`] with a given sort of words that are all different; it need not be stable.
///
/// # Panics
/// Like [`sort`].
pub fn sort_with(input: &[u8], layout: Layout, out: &mut [u8], sort_words: impl Fn(&mut [u64])) {
    assert_eq!(input.len(), out.len(), "room for all records");
    if is_sorted(input, layout) {
        out.copy_from_slice(input);
        return;
    }
    let words = order(input, layout, sort_words);
    permute(input, layout, &words, out);
}

/// Whether the records of `input` are in the order of their keys.
pub fn is_sorted(input: &[u8], layout: Layout) -> bool {
    (1..layout.count(input)).all(|index| layout.key(input, index - 1) <= layout.key(input, index))
}

/// The numbers of the records in the order of their keys.
fn order(input: &[u8], layout: Layout, sort_words: impl Fn(&mut [u64])) -> Vec<u64> {
    let count = layout.count(input);
    let number_bits = u64::BITS - to_u64(count.saturating_sub(1)).leading_zeros();
    let keys = Keys { input, layout, number_bits };
    let mut words: Vec<u64> = (0..to_u64(count)).collect();
    let mut groups = vec![Group { start: 0, end: count, bit: 0 }];
    while let Some(group) = groups.pop() {
        keys.refine(group, &mut words, &sort_words, &mut groups);
    }
    let mask = keys.number_mask();
    for word in &mut words {
        *word &= mask;
    }
    words
}

/// Records that lie together in the order so far, because their keys are equal up to a bit.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
    bit: usize,
}

struct Keys<'a> {
    input: &'a [u8],
    layout: Layout,
    /// Low bits of a word that are the number of its record.
    number_bits: u32,
}

impl Keys<'_> {
    /// Orders a group by the next bits of the keys; what they leave equal goes to `groups`.
    fn refine(
        &self,
        group: Group,
        words: &mut [u64],
        sort_words: impl Fn(&mut [u64]),
        groups: &mut Vec<Group>,
    ) {
        let Group { start, end, mut bit } = group;
        let words = &mut words[start..end];
        if words.len() <= COMPARE_MAX {
            self.sort_by_rest(words, bit / 8);
            return;
        }
        let differing = self.fill(words, bit);
        if differing.leading_zeros() >= SKIP_MIN {
            bit = self.skip(words, bit, differing);
            if bit >= 8 * self.layout.key_bytes() {
                return;
            }
            self.fill(words, bit);
        }
        sort_words(words);
        let next = bit + self.bits_at(bit);
        if next < 8 * self.layout.key_bytes() {
            self.refine_equal(words, start, next, groups);
        }
    }

    #[inline]
    fn number_mask(&self) -> u64 {
        (1 << self.number_bits) - 1
    }

    #[inline]
    fn number(&self, word: u64) -> usize {
        to_usize(word & self.number_mask())
    }

    /// How many bits of a key, from `bit` on, a word has room for.
    fn bits_at(&self, bit: usize) -> usize {
        to_usize(u64::from(u64::BITS - self.number_bits)).min(64 - bit % 8)
    }

    /// Puts the bits of the keys from `bit` on above the numbers; says which of 64 bits differ.
    fn fill(&self, words: &mut [u64], bit: usize) -> u64 {
        let first = self.window(self.number(words[0]), bit);
        let mut differing = 0;
        for at in 0..words.len() {
            if let Some(&later) = words.get(at + AHEAD) {
                prefetch(self.input, self.number(later) * self.layout.record_bytes() + bit / 8, 1);
            }
            let number = words[at] & self.number_mask();
            let window = self.window(to_usize(number), bit);
            differing |= window ^ first;
            words[at] = window & !self.number_mask() | number;
        }
        differing
    }

    /// Bits of a key from `bit` on, at the top of a word, with zeros behind them: 64, less those of
    /// the first byte before `bit` and those that are behind the key's end.
    #[inline]
    fn window(&self, number: usize, bit: usize) -> u64 {
        let key = self.layout.key(self.input, number);
        prefix(&key[bit / 8..]) << (bit % 8)
    }

    /// Where the keys of a group begin to differ, in whole bytes if they are equal in a window.
    fn skip(&self, words: &[u64], bit: usize, differing: u64) -> usize {
        if differing != 0 {
            return bit + to_usize(u64::from(differing.leading_zeros()));
        }
        if bit / 8 + 8 >= self.layout.key_bytes() {
            return 8 * self.layout.key_bytes();
        }
        let key = |word: &u64| self.layout.key(self.input, self.number(*word));
        let first = key(&words[0]);
        let common = |other: &[u8]| first.iter().zip(other).take_while(|(a, b)| a == b).count();
        8 * words.iter().map(|word| common(key(word))).min().unwrap_or(0)
    }

    fn sort_by_rest(&self, words: &mut [u64], from: usize) {
        let rest = |word: u64| &self.layout.key(self.input, self.number(word))[from..];
        words.sort_unstable_by(|&a, &b| {
            rest(a).cmp(rest(b)).then_with(|| self.number(a).cmp(&self.number(b)))
        });
    }

    /// Orders what is equal up to `bit`: small groups at once, so that few wait in `groups`.
    fn refine_equal(&self, words: &mut [u64], start: usize, bit: usize, groups: &mut Vec<Group>) {
        let mut at = start;
        let bits_equal = |a: &u64, b: &u64| a >> self.number_bits == b >> self.number_bits;
        for group in words.chunk_by_mut(bits_equal) {
            let end = at + group.len();
            match group.len() {
                0 | 1 => {}
                2..=COMPARE_MAX => self.sort_by_rest(group, bit / 8),
                _ => groups.push(Group { start: at, end, bit }),
            }
            at = end;
        }
    }
}

/// Moves each record to its place.
fn permute(input: &[u8], layout: Layout, order: &[u64], out: &mut [u8]) {
    let size = layout.record_bytes();
    let ahead = order.iter().skip(AHEAD).chain(std::iter::repeat(&0));
    for ((place, &number), &later) in out.chunks_exact_mut(size).zip(order).zip(ahead) {
        prefetch(input, to_usize(later) * size, size);
        place.copy_from_slice(&input[to_usize(number) * size..][..size]);
    }
}
