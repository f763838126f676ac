//! What a dry run says an output will have is what it has.

use crate::util::Dir;

/// The bytes that a dry run names for `output`.
fn told(dry: &str, output: &str) -> u64 {
    let line = dry.lines().find_map(|line| line.strip_prefix(&format!("{output}: "))).unwrap();
    let number = line.split_once(" bytes").unwrap_or_else(|| panic!("no bytes in `{line}`")).0;
    number.rsplit(['(', ' ']).next().unwrap().parse().unwrap()
}

#[test]
fn bytes_of_raw_outputs_are_exact() {
    let dir = Dir::new("estimate");
    for (count, ranks) in [("0", None), ("7", Some(2)), ("70001", None), ("1300000", Some(3))] {
        dir.dcomp(&[
            "generate", "keys", "--count", count, "--type", "u32", "-q", "-o", "in", "--force",
        ])
        .ok();
        for words in [
            &["generate", "keys", "--type", "f64", "--count", count][..],
            &["generate", "records", "--count", count],
            &["mergesort", "--generate", "uniform", "--count", count],
            &["mergesort", "in", "--type", "u32"],
        ] {
            let words = [words, &["-o", "out", "--force", "-q"]].concat();
            let dry = dir.dcomp(&[&words[..], &["--dry-run"]].concat()).ranks_or_alone(ranks).ok();
            dir.dcomp(&words).ranks_or_alone(ranks).ok();
            assert_eq!(told(&dry.stdout, "out"), dir.read("out").len() as u64, "{words:?}");
        }
    }
    // What only reading tells is not promised.
    let unique =
        ["mergesort", "in", "--type", "u32", "--unique", "-o", "out", "--dry-run", "--force"];
    assert!(dir.dcomp(&unique).ok().stdout.contains("out: at most "));
}
