//! The ways to find the cuts between ranks, by root or by all ranks, and to move items, by messages or by
//! reading each other's memory. The same bytes, those of the standard library's sort.

use std::io::IoSliceMut;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use serde_json::{Value, json};

use crate::sorting::{Sort, Way, bytes_of, keys, sorted_items};
use crate::util::Dir;

const SEED: u64 = 41;

const PATTERNS: [&str; 6] = ["uniform", "zipf", "equal", "sorted", "last-bit", "bucket-sorted"];

const CENTRAL: &[(&str, &str)] = &[("DCOMP_SPLITTERS", "central"), ("DCOMP_EXCHANGE", "messages")];
const EVERYWHERE: &[(&str, &str)] =
    &[("DCOMP_SPLITTERS", "everywhere"), ("DCOMP_EXCHANGE", "messages")];
const EVERYWHERE_BY_MEMORY: &[(&str, &str)] = &[("DCOMP_SPLITTERS", "everywhere")];

/// Whether processes of one user may read each other's memory here; else dcomp does without.
fn may_read_memory() -> bool {
    let mut other = Command::new("sleep").arg("5").spawn().unwrap();
    let process = nix::unistd::Pid::from_raw(i32::try_from(other.id()).unwrap());
    let there = RemoteIoVec { base: 8, len: 1 };
    let seen = process_vm_readv(process, &mut [IoSliceMut::new(&mut [0])], &[there]);
    other.kill().unwrap();
    other.wait().unwrap();
    let may = seen == Err(Errno::EFAULT);
    if !may {
        eprintln!("SKIPPED in part: this system forbids reading other processes' memory");
    }
    may
}

fn sort_u64(keys: &[u64]) -> Sort {
    let dir = Dir::new("ms-splitters");
    let bytes = bytes_of(keys);
    std::fs::write(dir.path("in"), &bytes).unwrap();
    let of = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let oracle = sorted_items(&bytes, 8, |a, b| of(a).cmp(&of(b)));
    Sort::new(dir, &["--type", "u64", "in"], oracle)
}

/// Every pattern at every number of ranks, and every size at some of both.
#[test]
fn all_ways_to_split_give_the_same_bytes() {
    let direct = if may_read_memory() { "memory" } else { "messages" };
    for (row, ranks) in [2, 3, 7, 8].into_iter().enumerate() {
        let of_ranks = u64::from(ranks);
        let sizes = [1000, 0, 1013, of_ranks - 1, of_ranks, 1, of_ranks + 1, 9973];
        for (column, pattern) in PATTERNS.into_iter().enumerate() {
            // Every pattern and every number of ranks has several sizes and both ways of messages.
            let count = sizes[(5 * (7 * row + column)) % sizes.len()];
            let messages = if (row / 2 + column) % 2 == 0 { CENTRAL } else { EVERYWHERE };
            let keys = if count == 0 { Vec::new() } else { keys(pattern, count, of_ranks, SEED) };
            let mut sort = sort_u64(&keys);
            let by_memory = if column % 2 == 0 { &[][..] } else { EVERYWHERE_BY_MEMORY };
            for (way, exchange) in [(by_memory, direct), (messages, "messages")] {
                let record = sort.check(Way(Some(ranks), "1", way));
                assert_eq!(record["details"]["exchange"], exchange, "{pattern} {count} {ranks}");
                let (sent, needed) = traffic(&record);
                assert!(sent >= needed, "{sent} bytes sent, {needed} needed: {pattern} {count}");
            }
        }
    }
}

fn traffic(record: &Value) -> (u64, u64) {
    let bytes = |name: &str| record["comm"][name].as_u64().unwrap();
    (bytes("bytes_sent"), bytes("bytes_needed"))
}

/// All ways move the same items, and none but those.
#[test]
fn all_ways_move_the_same_items() {
    let mut sort = sort_u64(&keys("uniform", 30_011, 3, SEED));
    let mut needed: Vec<u64> = Vec::new();
    for way in [&[][..], CENTRAL, EVERYWHERE, EVERYWHERE_BY_MEMORY] {
        let record = sort.check(Way(Some(3), "2", way));
        needed.push(traffic(&record).1);
        assert!(record["details"]["splitter_rounds"].as_u64().unwrap() >= 1);
        assert!(record["details"]["wire_ratio"].as_f64().unwrap() >= 1.0);
    }
    // About two thirds of the keys belong to another rank.
    assert!((150_000..170_000).contains(&needed[0]), "{needed:?}");
    assert!(needed.iter().all(|&bytes| bytes == needed[0]), "{needed:?}");
}

/// Records are read by their keys and moved whole; pretended nodes have nothing to read, nor have lines.
#[test]
fn records_go_by_memory_and_other_nodes_by_messages() {
    let direct = if may_read_memory() { "memory" } else { "messages" };
    let dir = Dir::new("ms-splitters-records");
    let bytes: Vec<u8> = keys("eight-dup", 2003, 3, SEED)
        .into_iter()
        .zip(0_u64..)
        .flat_map(|(key, at)| {
            [key.to_be_bytes(), at.to_le_bytes()].concat().into_iter().chain([7; 5])
        })
        .collect();
    std::fs::write(dir.path("in"), &bytes).unwrap();
    let oracle = sorted_items(&bytes, 21, |a, b| a[..8].cmp(&b[..8]));
    let mut sort = Sort::new(dir, &["--type", "record:21:8", "in"], oracle);
    for (ranks, threads, variables, exchange) in [
        (3, "1", &[][..], direct),
        (5, "3", EVERYWHERE_BY_MEMORY, direct),
        (5, "2", CENTRAL, "messages"),
        (4, "1", &[("DCOMP_RANKS_PER_NODE", "2")], "messages"),
    ] {
        let record = sort.check(Way(Some(ranks), threads, variables));
        assert_eq!(record["details"]["exchange"], exchange, "{ranks} {variables:?}");
    }
    let alone = sort.check(Way(None, "2", &[]));
    assert_eq!(alone["details"]["exchange"], json!(null));
}
