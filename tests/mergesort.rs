//! `mergesort` of keys and records: the same right bytes for every number of ranks and threads, the
//! parts of all ranks as large within one record, nothing moved that need not be. What is right comes
//! from the standard library's stable sort.

use std::cmp::Ordering;

use serde_json::json;

use crate::sorting::{
    PATTERNS, Random, SOME, Sort, WAYS, Way, bytes_of, keys, sorted_items, unique_items,
};
use crate::util::Dir;

const SEED: u64 = 20_261;

fn u64s(a: &[u8], b: &[u8]) -> Ordering {
    let of = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    of(a).cmp(&of(b))
}

/// A sort of one file of items of one size.
fn sort_of(name: &str, words: &[&str], bytes: &[u8], oracle: Vec<u8>) -> Sort {
    let dir = Dir::new(name);
    std::fs::write(dir.path("in"), bytes).unwrap();
    Sort::new(dir, &[words, &["in"]].concat(), oracle)
}

fn sort_u64(name: &str, keys: &[u64]) -> Sort {
    let bytes = bytes_of(keys);
    let oracle = sorted_items(&bytes, 8, u64s);
    sort_of(name, &["--type", "u64"], &bytes, oracle)
}

#[test]
fn every_number_of_ranks_and_threads_sorts_alike() {
    sort_u64("ms-ways", &keys("uniform", 4001, 7, SEED)).check_all(&WAYS);
}

#[test]
fn every_pattern_is_sorted() {
    for (turn, pattern) in PATTERNS.into_iter().enumerate() {
        for (blocks, count) in [(7, 1009), (3, 64)] {
            let keys = keys(pattern, count, blocks, SEED);
            let mut sort = sort_u64(&format!("ms-{pattern}"), &keys);
            if count > 64 {
                sort.check_in_turn(turn);
            }
            sort.check(SOME[turn % SOME.len()]);
        }
    }
}

#[test]
fn hard_patterns_are_sorted_by_64_ranks() {
    for pattern in ["g-group", "all-to-one", "heavy", "root-dup"] {
        let mut sort = sort_u64("ms-64", &keys(pattern, 5003, 64, SEED));
        sort.check(Way(Some(64), "1", &[]));
    }
}

#[test]
fn few_items_are_sorted_by_many_ranks() {
    for count in [0, 1, 2, 3, 4, 6, 7, 8, 9, 13, 97] {
        let mut sort = sort_u64("ms-few", &keys("uniform", count, 3, SEED));
        sort.check(Way(None, "5", &[]));
        sort.check(Way(Some(3), "1", &[]));
        sort.check(Way(Some(7), "2", &[]));
    }
    for count in [0, 1, 63, 65] {
        let mut sort = sort_u64("ms-few64", &keys("eight-dup", count.max(1), 3, SEED)[..to(count)]);
        sort.check(Way(Some(64), "1", &[]));
    }
}

fn to(count: u64) -> usize {
    usize::try_from(count).unwrap()
}

/// Nothing moves when what is there is in order already, whatever the number of threads.
#[test]
fn sorted_and_equal_keys_stay_where_they_are() {
    for pattern in ["sorted", "equal"] {
        for count in [1009, 1010, 1011, 1024] {
            let mut sort = sort_u64("ms-still", &keys(pattern, count, 3, SEED));
            for way in [Way(Some(2), "1", &[]), Way(Some(3), "2", &[]), Way(Some(4), "3", &[])] {
                let record = sort.check(way);
                assert_eq!(record["comm"]["bytes_needed"], 0, "{pattern} {count} {way:?}");
                assert_eq!(record["details"]["splitter_rounds"], 0, "{pattern} {count} {way:?}");
            }
        }
    }
    // Each rank has as many keys of the other half: those move, and little is said about it.
    let mut sort = sort_u64("ms-half", &keys("staggered", 1 << 17, 2, SEED));
    let record = sort.check(Way(Some(2), "1", &[]));
    let bytes = |name: &str| record["comm"][name].as_u64().unwrap();
    let (needed, sent) = (bytes("bytes_needed"), bytes("bytes_sent"));
    assert!((1..=1 << 20).contains(&needed), "{needed} bytes of 2^20 moved");
    assert!(sent < needed + (128 << 10), "{sent} bytes sent, {needed} needed");
}

#[test]
fn several_files_are_one_sequence() {
    let dir = Dir::new("ms-files");
    let keys = keys("uniform", 2003, 3, SEED);
    let mut rest = &keys[..];
    let mut words = vec!["--type".to_owned(), "u64".into()];
    for (index, size) in [0, 1, 997, 0, 0, 2, 1000, 3, 0].into_iter().enumerate() {
        let (file, behind) = rest.split_at(size);
        std::fs::write(dir.path(&format!("f{index}")), bytes_of(file)).unwrap();
        words.push(format!("f{index}"));
        rest = behind;
    }
    assert!(rest.is_empty());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut sort = Sort::new(dir, &words, sorted_items(&bytes_of(&keys), 8, u64s));
    sort.check_all(&SOME);
    let record = sort.check(Way(Some(8), "1", &[]));
    let sizes: Vec<u64> =
        record["input"].as_array().unwrap().iter().map(|f| f["bytes"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [0, 8, 997 * 8, 0, 0, 16, 8000, 24, 0]);
}

/// The same file named twice is there twice.
#[test]
fn a_file_named_twice_is_sorted_twice() {
    let dir = Dir::new("ms-twice");
    let bytes = bytes_of(&keys("uniform", 101, 3, SEED));
    std::fs::write(dir.path("in"), &bytes).unwrap();
    let oracle = sorted_items(&[&bytes[..], &bytes[..]].concat(), 8, u64s);
    Sort::new(dir, &["--type", "u64", "in", "in"], oracle).check_all(&SOME[1..3]);
}

type Order = fn(&[u8], &[u8]) -> Ordering;

fn number<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> T {
    read(bytes.try_into().unwrap())
}

/// Each type and its order by the standard library.
const TYPES: [(&str, usize, Order); 6] = [
    ("u32", 4, |a, b| number(a, u32::from_le_bytes).cmp(&number(b, u32::from_le_bytes))),
    ("i32", 4, |a, b| number(a, i32::from_le_bytes).cmp(&number(b, i32::from_le_bytes))),
    ("f32", 4, |a, b| number(a, f32::from_le_bytes).total_cmp(&number(b, f32::from_le_bytes))),
    ("u64", 8, u64s),
    ("i64", 8, |a, b| number(a, i64::from_le_bytes).cmp(&number(b, i64::from_le_bytes))),
    ("f64", 8, |a, b| number(a, f64::from_le_bytes).total_cmp(&number(b, f64::from_le_bytes))),
];

/// Both ends of each type, both zeros, infinities, quiet and signalling NaNs with payloads, subnormals.
fn awkward(size: usize) -> Vec<u8> {
    let mut random = Random(SEED);
    let (sign, fraction) = if size == 4 { (1 << 31, 23) } else { (1 << 63, 52) };
    let (infinity, quiet) = ((sign - 1) >> fraction << fraction, 1 << (fraction - 1));
    let magnitudes =
        [0, 1, 2, quiet, infinity - 1, infinity, infinity + 1, infinity | quiet, sign - 1];
    let mut bytes = Vec::new();
    for _ in 0..701 {
        let magnitude = match random.below(3) {
            0 => infinity | random.below(quiet),
            1 => random.below(sign),
            _ => random.pick(&magnitudes),
        };
        bytes.extend_from_slice(&(magnitude | random.pick(&[0, sign])).to_le_bytes()[..size]);
    }
    bytes
}

#[test]
fn every_type_has_its_order() {
    for (turn, (kind, size, order)) in TYPES.into_iter().enumerate() {
        let bytes = awkward(size);
        let sorted = sorted_items(&bytes, size, order);
        let reversed = sorted_items(&bytes, size, |a, b| order(b, a));
        let unique = unique_items(&sorted, size, |a, b| a == b);
        assert!(unique.len() < sorted.len());
        let words = ["--type", kind];
        sort_of("ms-type", &words, &bytes, sorted).check_in_turn(turn);
        let words = ["--type", kind, "--reverse"];
        sort_of("ms-type-r", &words, &bytes, reversed).check_in_turn(turn);
        let words = ["--type", kind, "--unique"];
        sort_of("ms-type-u", &words, &bytes, unique.clone()).check_in_turn(turn);
        let backwards = unique.chunks_exact(size).rev().collect::<Vec<_>>().concat();
        let words = ["--type", kind, "--unique", "--reverse"];
        sort_of("ms-type-ur", &words, &bytes, backwards).check(SOME[turn % SOME.len()]);
    }
}

/// Records whose keys are few values, with the number of the record behind the key where there is room.
fn records(count: u32, size: usize, key: usize) -> Vec<u8> {
    let mut random = Random(SEED);
    let mut bytes = Vec::new();
    for index in 0..count {
        let mut record = vec![0; size];
        let tail = [0, 1, 127, 128, 255];
        record[..key].fill(random.pick(&tail[..2]));
        record[key - 1] = random.pick(&tail);
        let payload = size - key;
        let index = index.to_be_bytes();
        let room = payload.min(4);
        record[key..key + room].copy_from_slice(&index[4 - room..]);
        record[size - room..].copy_from_slice(&index[4 - room..]);
        bytes.extend_from_slice(&record);
    }
    bytes
}

#[test]
fn records_with_equal_keys_stay_in_their_order() {
    let layouts = [(1, 1), (3, 1), (8, 4), (8, 8), (16, 9), (100, 10), (100, 100), (4096, 8)];
    for (turn, (size, key)) in layouts.into_iter().enumerate() {
        let count = if size > 1000 { 211 } else { 1009 };
        let bytes = records(count, size, key);
        let kind = format!("record:{size}:{key}");
        let order = |a: &[u8], b: &[u8]| a[..key].cmp(&b[..key]);
        let sorted = sorted_items(&bytes, size, order);
        let reversed = sorted_items(&bytes, size, |a, b| order(b, a));
        let unique = unique_items(&sorted, size, |a, b| a[..key] == b[..key]);
        let words = ["--type", kind.as_str()];
        sort_of("ms-rec", &words, &bytes, sorted).check_in_turn(turn);
        let words = ["--type", kind.as_str(), "-r"];
        sort_of("ms-rec-r", &words, &bytes, reversed).check_in_turn(turn);
        let words = ["--type", kind.as_str(), "-u"];
        sort_of("ms-rec-u", &words, &bytes, unique).check_in_turn(turn);
    }
}

/// What the result tells is true of the file.
#[test]
fn the_result_is_that_of_the_items() {
    let keys = keys("eight-dup", 1009, 3, SEED);
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let duplicates = sorted.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let record = sort_u64("ms-result", &keys).check(Way(Some(3), "2", &[]));
    let result = &record["result"];
    assert_eq!([&result["records"], &result["records_in"]], [&json!(1009); 2]);
    assert_eq!(result["duplicates"], json!(duplicates));
    let mut sort = sort_of("ms-sums", &["--type", "record:8:1"], &bytes_of(&keys), {
        sorted_items(&bytes_of(&keys), 8, |a, b| a[0].cmp(&b[0]))
    });
    // The sum of the CRC-32 of all records, from another library.
    let record = sort.check(Way(Some(2), "1", &[]));
    let script = "import sys, zlib\nd = open('in', 'rb').read()\n\
                  print('%x' % sum(zlib.crc32(d[i:i+8]) for i in range(0, len(d), 8)))";
    let sum = sort.dir.program("python3", &["-c", &script.replace("\\n", "\n")]).ok().stdout;
    assert_eq!(record["result"]["checksum"], json!(sum.trim()));
}
