//! Cuts by single looks, against a plain sort of everything, and how many looks they take.

use std::convert::Infallible;

use proptest::prelude::*;

use super::aim::{Known, brackets, spread};
use super::probe::{Sequences, cut};
use super::tests::plain;
use crate::num::{len_f64, mix64, to_u64, to_usize};

/// Lists, one of which is the model of all.
struct Lists<'a> {
    all: &'a [Vec<u64>],
    model: usize,
    looks: u64,
}

impl Sequences for Lists<'_> {
    type Key = u64;
    type Error = Infallible;

    fn key(&mut self, sequence: usize, place: u64) -> Result<u64, Infallible> {
        self.looks += 1;
        Ok(self.all[sequence][to_usize(place)])
    }

    fn distance(&mut self, sequence: usize, from: &u64, to: &u64) -> f64 {
        let model = &self.all[self.model];
        let rank = |key: &u64| len_f64(model.partition_point(|other| other < key));
        let scale = len_f64(self.all[sequence].len()) / len_f64(model.len()).max(1.0);
        (rank(to) - rank(from)) * scale
    }
}

/// The cut, from what samples every `gap` items tell, and looks a list.
fn search(lists: &[Vec<u64>], target: u64, gap: u64, model: usize) -> (Vec<u64>, f64) {
    let whole: Vec<_> = lists.iter().map(|list| 0..to_u64(list.len())).collect();
    let mut known = Vec::new();
    for (sequence, list) in lists.iter().enumerate() {
        known.extend(spread(whole[sequence].clone(), gap, sequence).map(|place| Known {
            key: list[to_usize(place)],
            sequence,
            place,
        }));
    }
    known.sort_unstable_by_key(|item| (item.key, item.sequence, item.place));
    let total: u64 = whole.iter().map(|one| one.end).sum();
    let mut found = brackets(&whole, &known, &[0, target, total]);
    let guess: Vec<u64> = whole.iter().map(|one| one.end * target / total.max(1)).collect();
    let mut sequences = Lists { all: lists, model, looks: 0 };
    let Ok(cut) = cut(&mut sequences, target, &found.swap_remove(1), &guess);
    (cut, len_f64(to_usize(sequences.looks)) / len_f64(lists.len()))
}

fn sorted_lists() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let keys = prop_oneof![Just(1_u64), Just(3), Just(1000), Just(u64::MAX)];
    keys.prop_flat_map(|most| {
        let list = prop::collection::vec(0..=most, 0..200).prop_map(|mut list| {
            list.sort_unstable();
            list
        });
        prop::collection::vec(list, 1..9)
    })
}

proptest! {
    #[test]
    fn any_cut_is_that_of_a_plain_sort(
        lists in sorted_lists(),
        target in 0_u64..2000,
        gap in 1_u64..300,
        model in 0_usize..9,
    ) {
        let total: usize = lists.iter().map(Vec::len).sum();
        let target = target.min(to_u64(total));
        let expected = plain(&lists, to_usize(target));
        prop_assert_eq!(search(&lists, target, gap, model % lists.len()).0, expected);
    }
}

/// The key of a number.
type Key = fn(u64) -> u64;

/// Kinds of keys: spread, equal, few, skewed, clustered, different in each list; and the most looks a list.
const KEYS: [(Key, f64); 7] = [
    (mix64, 16.0),
    (|_| 7, 32.0),
    (|i| mix64(i) & 1, 40.0),
    (|i| mix64(i) % 1000, 40.0),
    (|i| 1 << (mix64(i) % 64), 40.0),
    (|i| if i % 1000 == 0 { mix64(i) } else { u64::MAX / 2 + i % 3 }, 40.0),
    (|i| i, 40.0),
];

#[test]
fn looks_are_few_whatever_the_keys() {
    for (kind, (key, most)) in KEYS.into_iter().enumerate() {
        let list = |list: u64| {
            let mut keys: Vec<u64> = (0..20_000).map(|at| key(list << 20 | at)).collect();
            keys.sort_unstable();
            keys
        };
        let lists: Vec<Vec<u64>> = (0..32).map(list).collect();
        for (rank, target) in [(1, 20_000), (9, 180_001), (16, 320_000), (31, 639_999)] {
            let (cut, looks) = search(&lists, target, 20_000 / 64, rank);
            assert_eq!(cut, plain(&lists, to_usize(target)), "kind {kind}, target {target}");
            assert!(looks <= most, "kind {kind}, target {target}: {looks} looks a list");
        }
    }
}
