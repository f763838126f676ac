//! The sort against the standard library's stable sort, and records through a loser tree.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use super::*;
use crate::mergesort::merge::LoserTree;
use crate::num::{mix64, to_u64};
use proptest::collection::vec;
use proptest::prelude::*;

/// (record bytes, key bytes)
const LAYOUTS: [(usize, usize); 15] = [
    (1, 1),
    (3, 1),
    (3, 3),
    (7, 7),
    (8, 8),
    (8, 3),
    (9, 9),
    (16, 8),
    (16, 12),
    (33, 17),
    (100, 10),
    (100, 100),
    (100, 1),
    (300, 256),
    (4096, 4096),
];

fn plain_sort(input: &[u8], layout: Layout) -> Vec<u8> {
    let mut records: Vec<&[u8]> = input.chunks(layout.record_bytes()).collect();
    records.sort_by_key(|record| &record[..layout.key_bytes()]);
    records.concat()
}

fn sorted(input: &[u8], layout: Layout) -> Vec<u8> {
    let mut out = vec![0xEE; input.len()];
    sort(input, layout, &mut out);
    out
}

/// `count` seeded records of one of many kinds.
fn records(kind: usize, count: usize, layout: Layout) -> Vec<u8> {
    let size = layout.record_bytes();
    let byte = |record: usize, at: usize| {
        let (index, place) = (to_u64(record), to_u64(at));
        let random = mix64(index << 16 | place).to_le_bytes()[0];
        let number = |value: u64| value.to_be_bytes()[at % 8];
        match kind {
            0 => random,
            1 => 42,
            2 => {
                if at < 8 {
                    number(index)
                } else {
                    random
                }
            }
            3 => {
                if at < 8 {
                    number(to_u64(count - record))
                } else {
                    random
                }
            }
            4 => random % 2,
            5 => {
                if at + 3 < layout.key_bytes() {
                    b'x'
                } else {
                    random
                }
            }
            6 => {
                if mix64(index) & 3 > 0 {
                    0
                } else {
                    random
                }
            }
            7 => {
                if at < 9 {
                    b'k'
                } else {
                    random & 3
                }
            }
            _ => {
                if at == layout.key_bytes() - 1 {
                    random & 1
                } else {
                    255
                }
            }
        }
    };
    (0..count * size).map(|i| byte(i / size, i % size)).collect()
}

const KINDS: usize = 9;

#[test]
fn all_layouts_kinds_and_sizes() {
    for (record, key) in LAYOUTS {
        let layout = Layout::new(record, key).unwrap();
        let most = if record > 1000 { 129 } else { 2049 };
        for count in [0, 1, 2, 3, 31, 32, 33, 64, 127, 129, 509, 1024, 2049] {
            for kind in (0..KINDS).filter(|_| count <= most) {
                let input = records(kind, count, layout);
                let expected = plain_sort(&input, layout);
                assert!(sorted(&input, layout) == expected, "{layout:?} {count} of kind {kind}");
            }
        }
    }
}

#[test]
fn many_records() {
    let layout = Layout::new(12, 10).unwrap();
    for kind in 0..KINDS {
        let input = records(kind, 70_001, layout);
        assert!(sorted(&input, layout) == plain_sort(&input, layout), "kind {kind}");
    }
}

#[test]
fn a_sort_of_words_may_be_given() {
    let layout = Layout::new(24, 20).unwrap();
    let input = records(4, 1000, layout);
    let mut out = vec![0; input.len()];
    sort_with(&input, layout, &mut out, |words| {
        words.sort_unstable_by(|a, b| b.cmp(a));
        words.reverse();
    });
    assert!(out == plain_sort(&input, layout));
}

#[test]
fn layouts_that_make_no_sense() {
    assert!(Layout::new(0, 0).is_none() && Layout::new(8, 0).is_none());
    assert!(Layout::new(8, 9).is_none() && Layout::new(8, 8).is_some());
}

#[test]
#[should_panic(expected = "whole records")]
fn half_a_record() {
    sort(&[0; 15], Layout::new(10, 1).unwrap(), &mut [0; 15]);
}

fn drain(sources: Vec<RecordRun>, buffer: usize) -> Vec<u8> {
    let mut tree = LoserTree::new(sources);
    let (mut all, mut out) = (Vec::new(), vec![0; buffer]);
    loop {
        let length = tree.next_into(&mut out).unwrap();
        if length == 0 {
            return all;
        }
        all.extend_from_slice(&out[..length]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_records(
        bytes in vec(prop_oneof![4 => 0..2_u8, 1 => any::<u8>()], 0..3000),
        record in 1..30_usize,
        key in 1..30_usize,
    ) {
        let layout = Layout::new(record, key.min(record)).unwrap();
        let input = &bytes[..bytes.len() / record * record];
        prop_assert_eq!(sorted(input, layout), plain_sort(input, layout));
    }

    #[test]
    fn pieces_sorted_apart_and_merged(
        bytes in vec(0..3_u8, 0..2000),
        record in 1..20_usize,
        key in 1..20_usize,
        runs in 1..20_usize,
        buffer in 1..100_usize,
        parts in 1..6_usize,
    ) {
        let layout = Layout::new(record, key.min(record)).unwrap();
        let input = &bytes[..bytes.len() / record * record];
        let piece = (input.len() / record).div_ceil(runs).max(1) * record;
        let pieces: Vec<Vec<u8>> = input.chunks(piece).map(|piece| sorted(piece, layout)).collect();
        let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let cuts = record_cuts(layout, &slices, parts);
        let mut all = Vec::new();
        for ends in cuts.windows(2) {
            let part = |run: usize| {
                let bytes = ends[0][run] * record..ends[1][run] * record;
                RecordRun::new(layout, &slices[run][bytes])
            };
            let merged = drain((0..slices.len()).map(part).collect(), buffer);
            let fair = input.len() / record / parts;
            prop_assert!([fair, fair + 1].contains(&(merged.len() / record)));
            all.extend(merged);
        }
        prop_assert_eq!(all, plain_sort(input, layout));
    }
}
