//! Whole searches without ranks: any keys, any lengths, against a plain sort, with rounds counted.

use super::aim::{Aim, Known, Levels, Ranks, Segment, Told, spread};
use super::tests::plain;
use crate::num::{mix64, to_u64, to_usize};

/// Rounds, keys that came, and the cut.
struct Searched {
    rounds: u32,
    keys: usize,
    cut: Vec<u64>,
}

fn search(lists: &[Vec<u64>], target: u64, first_step: u64) -> Searched {
    let brackets: Vec<_> = lists.iter().map(|list| 0..to_u64(list.len())).collect();
    let known_at = |sequence: usize, places: &mut dyn Iterator<Item = u64>| -> Vec<Known<u64>> {
        places
            .map(|place| Known { key: lists[sequence][to_usize(place)], sequence, place })
            .collect()
    };
    let every = |sequence: usize| {
        let whole = &brackets[sequence];
        known_at(sequence, &mut spread(whole.clone(), first_step, sequence))
    };
    let mut known: Vec<_> = (0..lists.len()).flat_map(every).collect();
    let mut aim = Aim::new(target, brackets.clone());
    let mut searched = Searched { rounds: 1, keys: 0, cut: Vec::new() };
    loop {
        known.sort_unstable_by_key(|item| (item.key, item.sequence, item.place));
        if let Some(cut) = aim.end(&known) {
            return Searched { cut, ..searched };
        }
        let ranks = Ranks::of(&aim.brackets, &known);
        let probes = aim.probes(&ranks);
        let gap = aim.gap(&ranks, probes);
        let levels: Vec<Levels> = lists
            .iter()
            .zip(&aim.brackets)
            .map(|(list, bracket)| {
                let place = |probe: Option<usize>, other: u64, equal: bool| match probe {
                    None => other,
                    Some(at) => to_u64(list.partition_point(|key| {
                        *key < known[at].key || (equal && *key == known[at].key)
                    }))
                    .clamp(bracket.start, bracket.end),
                };
                let [low, high] = probes;
                [
                    place(low, bracket.start, false),
                    place(low, bracket.start, true),
                    place(high, bracket.end, false),
                    place(high, bracket.end, true),
                ]
            })
            .collect();
        searched.rounds += 1;
        assert!(searched.rounds < 200, "no end");
        let came: Vec<_> = (0..lists.len())
            .flat_map(|sequence| {
                let between = levels[sequence][1]..levels[sequence][2].max(levels[sequence][1]);
                known_at(sequence, &mut spread(between, gap, sequence))
            })
            .collect();
        searched.keys += came.len();
        match aim.narrow(&levels) {
            Told::Found(cut) => return Searched { cut, ..searched },
            Told::Within(Segment::Between) => known = came,
            Told::Within(_) => {
                known.retain(|item| aim.brackets[item.sequence].contains(&item.place));
            }
        }
    }
}

fn lists(count: u64, length: impl Fn(u64) -> u64, key: impl Fn(u64) -> u64) -> Vec<Vec<u64>> {
    let list = |list: u64| {
        let mut keys: Vec<u64> = (0..length(list)).map(|at| key(list << 32 | at)).collect();
        keys.sort_unstable();
        keys
    };
    (0..count).map(list).collect()
}

/// Kinds of keys: spread, equal, few, skewed, clustered, different in each list.
const KEYS: [fn(u64) -> u64; 8] = [
    mix64,
    |_| 7,
    |i| mix64(i) & 1,
    |i| mix64(i) % 1000,
    |i| 1 << (mix64(i) % 64),
    |i| if i % 1000 == 0 { mix64(i) } else { u64::MAX / 2 + i % 3 },
    |i| i,
    |i| (i & 0xFFFF_FFFF) << 8 | i >> 32,
];

/// The length of each list.
type Length = fn(u64) -> u64;

#[test]
fn any_cut_is_that_of_a_plain_sort_after_few_rounds() {
    let lengths: [(u64, Length); 5] = [
        (1, |_| 40_000),
        (2, |_| 30_000),
        (5, |list| if list == 3 { 50_000 } else { list * 10 }),
        (16, |_| 4096),
        (64, |list| 700 * (list % 3)),
    ];
    for (count, length) in lengths {
        for (kind, key) in KEYS.iter().enumerate() {
            let lists = lists(count, length, key);
            let total: u64 = lists.iter().map(|list| to_u64(list.len())).sum();
            for target in [0, 1, total / 3, total / 2, total - 1, total] {
                let found = search(&lists, target, 256);
                assert_eq!(
                    found.cut,
                    plain(&lists, to_usize(target)),
                    "{count} lists, kind {kind}"
                );
                assert!(found.rounds <= 8, "{} rounds: {count} lists, kind {kind}", found.rounds);
            }
        }
    }
}
