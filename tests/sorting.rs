//! Inputs for tests of `mergesort` and what is right for them: the field's patterns of keys, awkward
//! values and texts, sorted by the standard library or by sort(1).

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::util::Dir;

/// Random numbers that a seed chooses (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

pub const PATTERNS: [&str; 25] = [
    "uniform",
    "gaussian",
    "equal",
    "root-dup",
    "two-dup",
    "eight-dup",
    "zipf",
    "exponential",
    "sorted",
    "reverse",
    "almost-sorted",
    "block-permuted",
    "bucket-sorted",
    "g-group",
    "staggered",
    "mirrored",
    "all-to-one",
    "det-dup",
    "pipe-organ",
    "saws",
    "heavy",
    "last-bit",
    "outliers",
    "two-values",
    "high-bytes",
];

/// Where a key stands: its number, its block, and its number there.
struct Place {
    at: u64,
    block: u64,
    inside: u64,
    block_len: u64,
}

/// Keys of a pattern; `blocks` stand for the ranks of patterns that speak of them.
pub fn keys(pattern: &str, count: u64, blocks: u64, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let len = count.div_ceil(blocks).max(1);
    let place = |at| Place { at, block: at / len, inside: at % len, block_len: len };
    let mut keys: Vec<u64> =
        (0..count).map(|at| key(pattern, count, blocks, &place(at), &mut random)).collect();
    if pattern == "almost-sorted" {
        for _ in 0..count.isqrt() {
            let swap = [(); 2].map(|()| usize::try_from(random.below(count)).unwrap());
            keys.swap(swap[0], swap[1]);
        }
    }
    keys
}

fn key(pattern: &str, count: u64, blocks: u64, place: &Place, random: &mut Random) -> u64 {
    let &Place { at, block, inside, block_len } = place;
    // A random key that belongs to one of the blocks of the sorted whole.
    let width = u64::MAX / blocks;
    let mut within = |block: u64| (block % blocks) * width + random.next() % width;
    let power = |exponent| (0..exponent).fold(1, |all, _| all * (at % count) % count);
    match pattern {
        "uniform" => random.next(),
        "gaussian" => (0..4).map(|_| random.next() >> 2).sum(),
        "equal" => 7,
        "root-dup" => at % count.isqrt().max(1),
        "two-dup" => (power(2) + count / 2) % count,
        "eight-dup" => (power(8) + count / 2) % count,
        "zipf" => count / (1 + random.below(count)),
        "exponential" => random.next() >> random.below(64),
        "sorted" | "almost-sorted" => at,
        "reverse" => count - at,
        "block-permuted" => ((block * 5 + 3) % blocks) * block_len + inside,
        "bucket-sorted" => within(inside * blocks / block_len),
        "g-group" => {
            let group = blocks.isqrt().max(1);
            within(block / group * group + blocks / 2 + inside * group / block_len)
        }
        "staggered" => within(if block < blocks / 2 { 2 * block + 1 } else { 2 * block }),
        "mirrored" => within(block.reverse_bits() >> 58),
        "all-to-one" if inside + blocks < block_len => within(blocks - 1 - block % blocks),
        "all-to-one" => blocks - block,
        "det-dup" => u64::from((block + 1).leading_zeros()),
        "pipe-organ" => at.min(count - at),
        "saws" => at % (count / 7 + 1),
        "heavy" => {
            if random.below(8) == 0 {
                random.next()
            } else {
                1 << 40
            }
        }
        "last-bit" => 0xDEAD_BEEF_DEAD_BEEE | random.below(2),
        "outliers" => [0, u64::MAX]
            .get(usize::try_from(at % 97).unwrap())
            .copied()
            .unwrap_or(1 << 50 | random.below(16)),
        "two-values" => random.below(2) * u64::MAX,
        "high-bytes" => random.next() << 56,
        unknown => panic!("no pattern is called {unknown}"),
    }
}

pub fn bytes_of(keys: &[u64]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_le_bytes()).collect()
}

/// Items of one size, sorted by the standard library's stable sort.
pub fn sorted_items(
    bytes: &[u8],
    size: usize,
    order: impl Fn(&[u8], &[u8]) -> Ordering,
) -> Vec<u8> {
    let mut items: Vec<&[u8]> = bytes.chunks_exact(size).collect();
    items.sort_by(|a, b| order(a, b));
    items.concat()
}

/// The first of each group of equal neighbours.
pub fn unique_items(sorted: &[u8], size: usize, same: impl Fn(&[u8], &[u8]) -> bool) -> Vec<u8> {
    let mut items: Vec<&[u8]> = sorted.chunks_exact(size).collect();
    items.dedup_by(|next, kept| same(kept, next));
    items.concat()
}

/// How a sort is carried out: ranks under a launcher or none, threads, variables.
#[derive(Clone, Copy, Debug)]
pub struct Way(pub Option<u32>, pub &'static str, pub &'static [(&'static str, &'static str)]);

/// Messages of a word, and of a few: every loop over rounds is walked. Without these variables ranks of one
/// machine read each other's memory.
pub const WORDS: &[(&str, &str)] =
    &[("DCOMP_ROUND_BYTES", "8"), ("DCOMP_SPLITTERS", "central"), ("DCOMP_EXCHANGE", "messages")];
pub const ROUNDS: &[(&str, &str)] = &[
    ("DCOMP_ROUND_BYTES", "64"),
    ("DCOMP_SPLITTERS", "everywhere"),
    ("DCOMP_EXCHANGE", "messages"),
];

/// Every number of ranks and threads that is tested.
pub const WAYS: [Way; 14] = [
    Way(None, "1", &[]),
    Way(None, "2", &[]),
    Way(None, "5", &[]),
    Way(Some(1), "1", &[]),
    Way(Some(2), "1", &[]),
    Way(Some(2), "3", ROUNDS),
    Way(Some(3), "1", WORDS),
    Way(Some(3), "2", &[]),
    Way(Some(4), "1", ROUNDS),
    Way(Some(4), "2", &[]),
    Way(Some(7), "1", WORDS),
    Way(Some(8), "1", &[]),
    Way(Some(8), "3", ROUNDS),
    Way(Some(64), "1", &[]),
];

/// A few that differ much.
pub const SOME: [Way; 4] = [
    Way(None, "3", &[]),
    Way(Some(2), "1", &[]),
    Way(Some(3), "2", ROUNDS),
    Way(Some(7), "1", WORDS),
];

/// One input and what it must become, whatever the way.
pub struct Sort {
    pub dir: Dir,
    words: Vec<String>,
    oracle: Vec<u8>,
    result: Option<Value>,
}

impl Sort {
    /// The inputs lie in `dir`; `words` name them and say how they are sorted.
    pub fn new(dir: Dir, words: &[&str], oracle: Vec<u8>) -> Self {
        let words = words.iter().map(|&word| word.into()).collect();
        Self { dir, words, oracle, result: None }
    }

    /// Sorts; the bytes, the result and the balance must be right. The run's record.
    pub fn check(&mut self, way: Way) -> Value {
        let Way(ranks, threads, variables) = way;
        let mut words = vec!["mergesort", "-o", "out", "--force", "-q", "--threads", threads];
        words.extend(self.words.iter().map(String::as_str));
        self.dir.dcomp(&words).ranks_or_alone(ranks).envs(variables).ok();
        let how = format!("{} {way:?}", words.join(" "));
        let out = self.dir.read("out");
        let differs = out.iter().zip(&self.oracle).position(|(a, b)| a != b);
        assert!(out == self.oracle, "byte {differs:?} of {} is wrong: {how}", self.oracle.len());
        let record = self.dir.json("out.json");
        let result = self.result.get_or_insert_with(|| record["result"].clone());
        assert_eq!(*result, record["result"], "{how}");
        assert_eq!(result["bytes"], json!(out.len()), "{how}");
        assert_eq!(result["unordered"], json!(0), "{how}");
        let imbalance = record["details"]["imbalance_records"].as_u64().unwrap();
        let balanced = words.iter().any(|word| ["-u", "--unique"].contains(word)) || imbalance <= 1;
        assert!(balanced, "{imbalance} records between ranks: {how}");
        record
    }

    pub fn check_all(&mut self, ways: &[Way]) {
        for &way in ways {
            self.check(way);
        }
    }

    /// Some of all ways, others for each `turn`.
    pub fn check_in_turn(&mut self, turn: usize) {
        let ways = WAYS.len() - 1; // 64 ranks on few cores take seconds
        for step in [0, 5] {
            self.check(WAYS[(turn + step) % ways]);
        }
    }
}
