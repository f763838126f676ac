//! Every range of small files, in pieces of every size, against the file built by hand.

#![allow(clippy::unwrap_used, reason = "a test may fail this way")]

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::convert::Infallible;

fn entries(most: u64) -> impl Strategy<Value = Vec<Entry>> {
    let value = prop_oneof![
        4 => -1200..1200_i64,
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1), Just(99), Just(100)],
    ];
    let count = prop_oneof![3 => 0..4_u64, 1 => 0..=most];
    vec((value, count), 0..6).prop_map(|mut pairs| {
        pairs.sort_unstable();
        pairs.dedup_by_key(|pair| pair.0);
        pairs.into_iter().map(|(value, count)| Entry { value, count }).collect()
    })
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Text), Just(Form::I64)]
}

fn naive(form: Form, entries: &[Entry]) -> Vec<u8> {
    let mut file = Vec::new();
    for entry in entries {
        for _ in 0..entry.count {
            match form {
                Form::Text => file.extend_from_slice(format!("{}\n", entry.value).as_bytes()),
                Form::I64 => file.extend_from_slice(&entry.value.to_le_bytes()),
            }
        }
    }
    file
}

/// What `emit` writes; checks that the pieces follow each other and are full but for the last.
fn emitted(form: Form, slab: &Slab, range: Range<u64>, piece: usize) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), range.start);
    let done = emit(form, slab, range.clone(), piece, |offset, bytes| {
        assert_eq!(offset, at);
        assert!(!bytes.is_empty() && bytes.len() <= piece);
        at += to_u64(bytes.len());
        assert!(bytes.len() == piece || at == range.end, "only the last piece is short");
        out.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    assert!(done.is_ok());
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_range_is_a_slice_of_the_file(
        form in form(), entries in entries(20), start in prop_oneof![Just(0_u64), 0..1_u64 << 60],
        piece in 1..65_usize,
    ) {
        let file = naive(form, &entries);
        let (one, other) = entries.split_at(entries.len() / 2);
        let slab = Slab { start, runs: vec![one, &[], other] };
        let end = start + to_u64(file.len());
        prop_assert_eq!(slab.end(form), Some(end));
        for from in 0..=file.len() {
            // Ends: all near ones, then every seventh.
            let ends = (from..file.len().min(from + 30)).chain((from..=file.len()).step_by(7));
            for to in ends.chain([file.len()]) {
                let range = start + to_u64(from)..start + to_u64(to);
                prop_assert_eq!(&emitted(form, &slab, range.clone(), piece), &file[from..to]);
                let part = &parts(form, start, &entries, std::slice::from_ref(&range))[0];
                prop_assert!(part.start <= range.start);
                let slab = Slab { start: part.start, runs: vec![&entries[part.entries.clone()]] };
                prop_assert_eq!(&emitted(form, &slab, range, 1 << 16), &file[from..to]);
            }
        }
    }

    #[test]
    fn pieces_of_every_size(
        form in form(), entries in entries(900), ends in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let file = naive(form, &entries);
        let slab = Slab { start: 5, runs: vec![&entries] };
        let at = |share: f64| {
            to_usize(crate::num::floor_u64(share * crate::num::len_f64(file.len() + 1)))
        };
        let (from, to) = (at(ends.0.min(ends.1)), at(ends.0.max(ends.1)));
        let range = 5 + to_u64(from)..5 + to_u64(to);
        for piece in (1..=64).chain([255, 256, 257, 1000, 8 << 10, 1 << 20]) {
            prop_assert_eq!(&emitted(form, &slab, range.clone(), piece), &file[from..to]);
        }
    }

    #[test]
    fn parts_hold_what_they_need_and_no_more(
        form in form(), entries in entries(20), cuts in vec(0..600_u64, 0..6), start in 0..40_u64,
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        // Neighbours, gaps and empty ranges, also before and after the entries.
        let ranges: Vec<Range<u64>> =
            cuts.windows(2).enumerate().filter(|(at, _)| at % 3 < 2).map(|(_, c)| c[0]..c[1]).collect();
        let found = parts(form, start, &entries, &ranges);
        prop_assert_eq!(found.len(), ranges.len());
        for (part, range) in found.iter().zip(&ranges) {
            let (mut at, mut needed, mut first) = (start, Vec::new(), None);
            for &entry in &entries {
                let next = at + entry.bytes(form).unwrap();
                if (at..next).any(|byte| range.contains(&byte)) {
                    first = first.or(Some(at));
                    needed.push(entry);
                }
                at = next;
            }
            let mut held = entries[part.entries.clone()].to_vec();
            held.retain(|entry| entry.count > 0);
            prop_assert_eq!((part.start, held), (first.unwrap_or(range.start), needed));
        }
    }

    #[test]
    fn lengths_are_those_of_the_text(value in any::<i64>(), shift in 0..64_u32) {
        for value in [value >> shift, i64::MIN, i64::MAX, 0, 9, 10, -9, -10, 99, 100] {
            let text = format!("{value}\n");
            prop_assert_eq!(Form::Text.len(value), to_u64(text.len()));
            prop_assert_eq!(Form::I64.len(value), 8);
            let unit = Unit::new(Form::Text, value);
            prop_assert_eq!(&unit.bytes[..unit.len], text.as_bytes());
        }
    }
}

#[test]
fn long_runs_fill_many_pieces() {
    let entries: Vec<Entry> = [(-7, 3), (123, 70_001), (i64::MAX, 9_000)]
        .map(|(value, count)| Entry { value, count })
        .into();
    for form in [Form::Text, Form::I64] {
        let file = naive(form, &entries);
        let slab = Slab { start: 0, runs: vec![&entries] };
        for piece in [1000, 4096, 65_537, 1 << 20] {
            for (from, to) in [(0, file.len()), (1, file.len() - 1), (13, 200_003)] {
                let out = emitted(form, &slab, to_u64(from)..to_u64(to), piece);
                assert!(out == file[from..to], "{form:?} {piece} {from}..{to}");
            }
        }
    }
}

#[test]
fn a_huge_count_stays_one_entry() {
    let huge = Entry { value: 1, count: 1 << 62 };
    let entries = [huge, Entry { value: 2, count: 1 }];
    let middle = (1 << 62) + 1;
    let cuts = [middle..middle + 5, middle + 5..middle + 6];
    let cut = parts(Form::Text, 10, &entries, &cuts);
    assert_eq!(cut, vec![Part { start: 10, entries: 0..1 }; 2]);
    let slab = Slab { start: 10, runs: vec![&entries[..1]] };
    assert_eq!(emitted(Form::Text, &slab, middle..middle + 5, 2), b"\n1\n1\n");
}

#[test]
fn sizes_beyond_u64_are_noticed() {
    let total = |pairs: &[(i64, u64)]| {
        total_bytes(Form::I64, pairs.iter().map(|&(value, count)| Entry { value, count }))
    };
    assert_eq!(total(&[]), Some(0));
    assert_eq!(total(&[(1, 1 << 61)]), None);
    assert_eq!(total(&[(1, 1 << 60), (2, 1 << 60)]), None);
    assert_eq!(total(&[(1, 1 << 60), (2, (1 << 60) - 1)]), Some(u64::MAX - 7));
    let slab = Slab { start: 8, runs: vec![&[Entry { value: 0, count: (1 << 61) - 1 }]] };
    assert_eq!(slab.end(Form::I64), None);
}

#[test]
fn the_first_error_ends_it() {
    let slab = Slab { start: 0, runs: vec![&[Entry { value: 5, count: 1000 }]] };
    for fails in 0..5 {
        let mut calls = 0;
        let done = emit(Form::Text, &slab, 0..2000, 300, |_, _| {
            calls += 1;
            if calls > fails { Err("full") } else { Ok(()) }
        });
        assert_eq!((done, calls), (Err("full"), fails + 1));
    }
}

#[test]
#[should_panic(expected = "a range within the slab")]
fn a_range_beyond_the_slab_is_a_mistake() {
    let slab = Slab { start: 0, runs: vec![&[Entry { value: 5, count: 10 }]] };
    emitted(Form::Text, &slab, 0..21, 100);
}
