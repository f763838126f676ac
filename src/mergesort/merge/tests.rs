//! Merges against the standard library's stable sort of everything together.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use super::*;
use crate::num::{mix64, to_u64};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cmp::Ordering;

/// A seeded key of one of many kinds of input.
fn key(kind: usize, index: u64) -> u64 {
    let random = mix64(index);
    match kind {
        0 => random,
        1 => 7,
        2 => index,
        3 => u64::MAX - index,
        4 => random % 3,
        5 => u64::MAX - random % 2,
        6 => index / 5,
        _ => 1 << (random % 64),
    }
}

const KINDS: usize = 8;

/// Sorted runs of the given lengths; keys of later runs go on where those of earlier ones end.
fn runs_of(kind: usize, lengths: &[usize]) -> Vec<Vec<u64>> {
    let mut from = 0;
    let run = |&length: &usize| {
        let mut run: Vec<u64> = (from..from + to_u64(length)).map(|i| key(kind, i)).collect();
        from += to_u64(length);
        run.sort_unstable();
        run
    };
    lengths.iter().map(run).collect()
}

fn check_merge<K: Key + std::fmt::Debug>(runs: &[Vec<K>]) {
    let slices: Vec<&[K]> = runs.iter().map(Vec::as_slice).collect();
    let mut expected = slices.concat();
    expected.sort();
    let mut out = vec![K::zeroed(); expected.len()];
    merge(&slices, &mut out);
    assert!(out == expected, "{:?}", runs.iter().map(Vec::len).collect::<Vec<_>>());
}

/// Both widths; narrow keys are the high halves, so that they stay sorted.
fn check_both(runs: &[Vec<u64>]) {
    check_merge(runs);
    let narrow = |run: &Vec<u64>| run.iter().map(|key| u32::try_from(key >> 32).unwrap()).collect();
    check_merge(&runs.iter().map(narrow).collect::<Vec<Vec<u32>>>());
}

const LENGTHS: [usize; 18] =
    [0, 1, 2, 3, 5, 31, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1021, 4096, 9973];

#[test]
fn two_runs_of_all_lengths_and_kinds() {
    for kind in 0..KINDS {
        for a in LENGTHS {
            for b in LENGTHS {
                check_both(&runs_of(kind, &[a, b]));
            }
        }
    }
}

#[test]
fn two_runs_that_interleave_at_one_place_only() {
    for (low, high) in [(0..300, 299..600), (0..300, 300..600), (100..200, 0..1000), (0..1, 0..500)]
    {
        for shift in [0, 1] {
            let [a, b]: [Vec<u64>; 2] = [
                low.clone().map(|k| 2 * k).collect(),
                high.clone().map(|k| 2 * k + shift).collect(),
            ];
            check_both(&[a.clone(), b.clone()]);
            check_both(&[b, a]);
        }
    }
}

#[test]
fn many_runs() {
    for kind in 0..KINDS {
        for count in [0, 1, 3, 4, 5, 7, 8, 9, 16, 17, 31, 64, 100] {
            let uneven: Vec<usize> =
                (0..count).map(|run| LENGTHS[run * 7 % LENGTHS.len()]).collect();
            check_both(&runs_of(kind, &uneven));
            check_both(&runs_of(kind, &vec![1000; count]));
        }
    }
    check_both(&runs_of(0, &vec![3; 5000]));
    check_both(&runs_of(2, &vec![1; 5000]));
    check_both(&runs_of(0, &[0, 0, 100_003, 0, 1, 99_991, 65_537, 0]));
}

#[test]
#[should_panic(expected = "room for all runs")]
fn too_little_room() {
    merge(&[&[1_u32, 2][..], &[3], &[4]], &mut [0; 3]);
}

/// Where a run is not sorted, the result is any or a panic, and never a read beyond a run.
#[test]
fn unsorted_runs_end_somehow() {
    for seed in 0..50 {
        let runs: Vec<Vec<u64>> = (0..3)
            .map(|run| (0..200).map(|i| mix64(seed << 20 | run << 10 | i)).collect())
            .collect();
        let slices: Vec<&[u64]> = runs.iter().map(Vec::as_slice).collect();
        let mut out = vec![0; 600];
        drop(std::panic::catch_unwind(move || merge(&slices, &mut out)));
    }
}

/// The first `rank` items of a stable sort, counted by run.
fn plain_select<T: Ord>(runs: &[Vec<T>], rank: usize) -> Vec<usize> {
    let place =
        |(run, items): (usize, &Vec<T>)| (0..items.len()).map(move |index| (run, index)).collect();
    let mut places: Vec<(usize, usize)> =
        runs.iter().enumerate().map(place).collect::<Vec<Vec<_>>>().concat();
    places.sort_by(|a, b| runs[a.0][a.1].cmp(&runs[b.0][b.1]));
    let mut counts = vec![0; runs.len()];
    places[..rank].iter().for_each(|place| counts[place.0] += 1);
    counts
}

fn by_key<T: Ord>(runs: &[Vec<T>]) -> impl Fn(Place, Place) -> Ordering {
    |a, b| runs[a.run][a.index].cmp(&runs[b.run][b.index])
}

#[test]
fn every_rank_of_small_runs() {
    for kind in 0..KINDS {
        for lengths in [&[][..], &[0], &[1], &[5, 0, 3], &[1, 1, 1, 1, 1], &[17, 1, 40, 2]] {
            let runs = runs_of(kind, lengths);
            for rank in 0..=lengths.iter().sum() {
                assert_eq!(select(lengths, rank, by_key(&runs)), plain_select(&runs, rank));
            }
        }
    }
}

#[test]
fn pieces_are_equal_and_make_the_whole() {
    for kind in 0..KINDS {
        let runs = runs_of(kind, &[1021, 0, 7, 4096, 333, 1]);
        let slices: Vec<&[u64]> = runs.iter().map(Vec::as_slice).collect();
        let mut expected = slices.concat();
        expected.sort_unstable();
        for parts in [1, 2, 3, 7, 64, 10_000] {
            let cuts = key_cuts(&slices, parts);
            assert_eq!(cuts.len(), parts + 1);
            let mut out = Vec::new();
            for pair in cuts.windows(2) {
                let piece: Vec<&[u64]> =
                    (0..runs.len()).map(|run| &slices[run][pair[0][run]..pair[1][run]]).collect();
                let size = piece.iter().map(|run| run.len()).sum::<usize>();
                let fair = expected.len() / parts;
                assert!(size == fair || size == fair + 1);
                let mut merged = vec![0; size];
                merge(&piece, &mut merged);
                out.extend(merged);
            }
            assert!(out == expected, "kind {kind}, {parts} parts");
        }
    }
}

#[test]
fn selection_takes_few_comparisons() {
    let runs = runs_of(0, &[1 << 14; 64]);
    let lengths = [1 << 14; 64];
    let mut asked = 0_u32;
    let order = by_key(&runs);
    select(&lengths, 1 << 19, |a, b| {
        asked += 1;
        order(a, b)
    });
    // k (log k + log n) log n = 64 * 20 * 14.
    assert!(asked < 17_920, "{asked} comparisons");
}

#[test]
#[should_panic(expected = "a rank within the runs")]
fn a_rank_too_large() {
    select(&[2, 1], 4, |_, _| Ordering::Equal);
}

/// A source of lines that fails before each item with the next number of `failures`.
struct Lines {
    items: Vec<Vec<u8>>,
    next: usize,
    failures: Vec<u8>,
}

impl Lines {
    fn new(items: Vec<Vec<u8>>, failures: Vec<u8>) -> Self {
        Self { items, next: 0, failures }
    }
}

impl Source for Lines {
    type Error = u8;

    fn advance(&mut self) -> Result<Option<u64>, u8> {
        if let Some(failure @ 1..) = self.failures.pop() {
            return Err(failure);
        }
        assert!(self.next <= self.items.len(), "never asked again after the end");
        self.next += 1;
        Ok(self.items.get(self.next - 1).map(|line| prefix(line)))
    }

    fn item(&self) -> &[u8] {
        &self.items[self.next - 1]
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.item().cmp(other.item())
    }
}

/// Everything that comes out in pieces of `size`; errors are counted and tried again.
fn drain(mut tree: LoserTree<Lines>, size: usize) -> (Vec<u8>, usize) {
    let (mut all, mut errors) = (Vec::new(), 0);
    let mut out = vec![0; size];
    loop {
        match tree.next_into(&mut out) {
            Ok(0) => return (all, errors),
            Ok(length) => all.extend_from_slice(&out[..length]),
            Err(_) => errors += 1,
        }
    }
}

fn sorted<T: Ord>(mut runs: Vec<Vec<T>>) -> Vec<Vec<T>> {
    for run in &mut runs {
        run.sort();
    }
    runs
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(b'a'), 1 => Just(0), 1 => Just(u8::MAX), 1 => any::<u8>()];
    vec(byte, 1..13)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn merges_of_any_runs(runs in vec(vec(prop_oneof![0..9_u64, any::<u64>()], 0..400), 0..9)) {
        let runs = sorted(runs);
        check_both(&runs);
    }

    #[test]
    fn selection_of_any_rank(runs in vec(vec(0..20_u8, 0..50), 0..9), part in 0..=100_usize) {
        let runs = sorted(runs);
        let lengths: Vec<usize> = runs.iter().map(Vec::len).collect();
        let rank = lengths.iter().sum::<usize>() * part / 100;
        prop_assert_eq!(select(&lengths, rank, by_key(&runs)), plain_select(&runs, rank));
    }

    #[test]
    fn lines_of_any_length_in_any_pieces(
        runs in vec(vec(line(), 0..20), 0..12),
        size in 1..40_usize,
        failures in vec(vec(0..3_u8, 0..5), 12),
    ) {
        let runs = sorted(runs);
        let mut expected = runs.concat();
        expected.sort();
        let failing = failures[..runs.len()].iter().flatten().filter(|&&failure| failure > 0).count();
        let sources = |runs: Vec<Vec<Vec<u8>>>| runs.into_iter().zip(&failures);
        let tree = LoserTree::new(sources(runs).map(|(run, f)| Lines::new(run, f.clone())).collect());
        let (all, errors) = drain(tree, size);
        prop_assert_eq!(all, expected.concat());
        prop_assert!(errors <= failing);
    }

    #[test]
    fn items_tell_their_source(runs in vec(vec(line(), 0..20), 0..12)) {
        let runs = sorted(runs);
        let mut expected: Vec<(usize, Vec<u8>)> = Vec::new();
        for (number, run) in runs.iter().enumerate() {
            expected.extend(run.iter().map(|line| (number, line.clone())));
        }
        expected.sort_by(|a, b| a.1.cmp(&b.1));
        let mut tree = LoserTree::new(runs.into_iter().map(|run| Lines::new(run, vec![])).collect());
        let mut found = Vec::new();
        while let Some((source, item)) = tree.next_item().unwrap() {
            found.push((source, item.to_vec()));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn prefixes_keep_the_order(a in line(), b in line()) {
        if prefix(&a) != prefix(&b) {
            prop_assert_eq!(prefix(&a).cmp(&prefix(&b)), a.cmp(&b));
        }
        let mut padded = a.clone();
        padded.resize(a.len().max(8), 0);
        prop_assert_eq!(prefix(&a), u64::from_be_bytes(*padded.first_chunk().unwrap()));
    }
}

#[test]
fn a_merge_without_sources_is_empty() {
    assert_eq!(drain(LoserTree::new(vec![]), 4), (vec![], 0));
}
