//! Any sorted lists and any cut, by the search that ranks make and by the one in memory, against a sort of
//! everything.
//!
//! The first byte of the input says how many lists there are, the second where to cut; of the rest, each
//! byte goes to the list that its lower half names, with its upper half as the key.
#![no_main]

use dcomp::mergesort::select::{Search, first, samples};
use libfuzzer_sys::fuzz_target;

fn plain(lists: &[Vec<u8>], target: usize) -> Vec<usize> {
    let of_list = |(list, keys): (usize, &Vec<u8>)| -> Vec<(u8, usize)> {
        keys.iter().map(|&key| (key, list)).collect()
    };
    let mut all: Vec<(u8, usize)> = lists.iter().enumerate().flat_map(of_list).collect();
    all.sort_unstable();
    let mut cut = vec![0; lists.len()];
    all[..target].iter().for_each(|(_, list)| cut[*list] += 1);
    cut
}

fn searched(lists: &[Vec<u8>], target: usize) -> Vec<usize> {
    let brackets = lists.iter().map(|list| 0..list.len() as u64).collect();
    let mut search = Search::new(target as u64, brackets);
    for round in 0.. {
        let step = search.step();
        if step == 0 {
            break;
        }
        assert!(round < 64, "no progress");
        let sample = |(list, bracket): (&Vec<u8>, _)| -> Vec<u8> {
            samples(bracket, step).places().map(|place| list[place as usize]).collect()
        };
        let keys: Vec<Vec<u8>> = lists.iter().zip(search.brackets()).map(sample).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        search.narrow(&keys, |a, b| a < b);
    }
    search.brackets().iter().map(|bracket| bracket.start as usize).collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((&[count, cut], keys)) = input.split_first_chunk() else { return };
    let mut lists = vec![Vec::new(); 1 + usize::from(count % 16)];
    for byte in keys {
        let list = usize::from(byte % 16) % lists.len();
        lists[list].push(byte >> 4);
    }
    lists.iter_mut().for_each(|list| list.sort_unstable());
    let target = keys.len() * usize::from(cut) / 255;
    let want = plain(&lists, target);
    assert_eq!(searched(&lists, target), want);
    let slices: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    assert_eq!(first(&slices, target, |a, b| a < b), want);
});
