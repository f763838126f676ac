//! Cuts against a plain sort of everything, and how many rounds they take.

use proptest::prelude::*;

use super::*;

/// The cut by sorting everything.
pub(super) fn plain(lists: &[Vec<u64>], target: usize) -> Vec<u64> {
    let mut all: Vec<(u64, usize, usize)> = Vec::new();
    for (list, keys) in lists.iter().enumerate() {
        all.extend(keys.iter().enumerate().map(|(index, &key)| (key, list, index)));
    }
    all.sort_unstable();
    let mut cut = vec![0; lists.len()];
    for (_, list, _) in &all[..target] {
        cut[*list] += 1;
    }
    cut
}

fn search(lists: &[Vec<u64>], target: usize) -> (Vec<u64>, u32) {
    search_by(lists, target, 1)
}

fn search_by(lists: &[Vec<u64>], target: usize, coarse: u64) -> (Vec<u64>, u32) {
    let brackets = lists.iter().map(|list| 0..to_u64(list.len())).collect();
    let mut search = Search::new(to_u64(target), brackets).with_coarse(coarse);
    let mut rounds = 0;
    while search.step() > 0 {
        let step = search.step();
        let keys: Vec<Vec<u64>> = lists
            .iter()
            .zip(search.brackets())
            .map(|(list, bracket)| {
                samples(bracket, step).places().map(|place| list[to_usize(place)]).collect()
            })
            .collect();
        let keys: Vec<&[u64]> = keys.iter().map(Vec::as_slice).collect();
        search.narrow(&keys, |a, b| a < b);
        rounds += 1;
        assert!(rounds < 64, "no progress");
    }
    (search.brackets().iter().map(|bracket| bracket.start).collect(), rounds)
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
    fn any_cut_of_any_lists_is_that_of_a_plain_sort(lists in sorted_lists(), part in 0.0..=1.0) {
        let total: usize = lists.iter().map(Vec::len).sum();
        let target = to_usize(crate::num::floor_u64(crate::num::len_f64(total) * part)).min(total);
        let expected = plain(&lists, target);
        let slices: Vec<&[u64]> = lists.iter().map(Vec::as_slice).collect();
        let found: Vec<u64> =
            first(&slices, target, |a, b| a < b).into_iter().map(to_u64).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(&search(&lists, target).0, &expected);
        prop_assert_eq!(search_by(&lists, target, 8).0, expected);
    }
}

/// Sequences far larger than the budget, so that brackets are narrowed several times.
#[test]
fn rounds_depend_on_sizes_alone() {
    let length = 300_000_usize;
    let keys: [fn(u64) -> u64; 5] = [
        |i| crate::num::mix64(i),
        |_| 7,
        |i| crate::num::mix64(i) & 1,
        |i| 1 << (i % 64),
        |i| if i % 1000 == 0 { crate::num::mix64(i) } else { u64::MAX / 2 + i % 3 },
    ];
    for key in keys {
        let lists: Vec<Vec<u64>> = (0..3)
            .map(|list| {
                let first = list * to_u64(length);
                let mut keys: Vec<u64> = (first..first + to_u64(length)).map(key).collect();
                keys.sort_unstable();
                keys
            })
            .collect();
        for target in [0, 1, length - 1, length, 2 * length + 1, 3 * length] {
            let (found, rounds) = search(&lists, target);
            assert_eq!(found, plain(&lists, target), "target {target}");
            assert!(rounds <= 3, "{rounds} rounds for {target}");
            // A round more at most, in which nothing but those keys is looked at.
            let (coarse, rounds) = search_by(&lists, target, 1024);
            assert_eq!(coarse, found, "target {target}");
            assert!(rounds <= 4, "{rounds} rounds for {target}");
        }
    }
}

#[test]
fn empty_and_lonely_sequences() {
    assert_eq!(search(&[vec![], vec![]], 0).0, [0, 0]);
    assert_eq!(search(&[vec![], vec![5], vec![]], 1).0, [0, 1, 0]);
    assert_eq!(search(&[vec![2], vec![2], vec![2]], 2).0, [1, 1, 0]);
    assert_eq!(search(&[(0..100_000).collect()], 77_777).0, [77_777]);
}

#[test]
#[should_panic(expected = "a cut after 4")]
fn a_cut_beyond_the_end_is_refused() {
    let _ = Search::new(4, vec![0..2, 0..1]);
}
