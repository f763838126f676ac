//! What a dry run says an output will have is what it has.

use crate::util::Dir;

/// The bytes that a dry run names for `output`.
fn told(dry: &str, output: &str) -> u64 {
    let line = dry.lines().find_map(|line| line.strip_prefix(&format!("{output}: "))).unwrap();
    let number = line.split_once(" bytes").unwrap_or_else(|| panic!("no bytes in `{line}`")).0;
    number.rsplit(['(', ' ']).next().unwrap().parse().unwrap()
}

/// MiB that a dry run says a rank will take, the last number of them.
fn told_mib(dry: &str) -> f64 {
    let line = dry.lines().find_map(|line| line.strip_prefix("memory per rank: ")).unwrap();
    let line = line.split(';').next().unwrap().split(", of ").next().unwrap();
    let mut words = line.split_whitespace().rev();
    assert_eq!(words.next(), Some("MiB"), "{line}");
    words.next().unwrap().parse().unwrap()
}

/// What the fullest rank took.
fn peak_mib(dir: &Dir, output: &str) -> f64 {
    dir.json(&format!("{output}.json"))["peak_rss_bytes"]["max"].as_f64().unwrap()
        / f64::from(1 << 20)
}

#[test]
fn memory_of_sorts_is_told() {
    let dir = Dir::new("estimate-memory");
    dir.dcomp(&["generate", "keys", "--type", "u64", "--count", "8000000", "-q", "-o", "keys"])
        .ok();
    dir.dcomp(&["generate", "records", "--count", "600000", "-q", "-o", "records"]).ok();
    for ranks in [None, Some(2), Some(4)] {
        for words in [
            &["generate", "keys", "--count", "8000000"][..],
            &["mergesort", "keys", "--type", "u64"],
            &["mergesort", "--generate", "uniform", "--count", "8000000"],
            &["mergesort", "records", "--type", "record:100:10"],
        ] {
            // Two threads may take their second places at once or one after the other.
            let words = [words, &["-o", "out", "--force", "-q", "--threads", "1"]].concat();
            let dry = dir.dcomp(&[&words[..], &["--dry-run"]].concat()).ranks_or_alone(ranks).ok();
            dir.dcomp(&words).ranks_or_alone(ranks).ok();
            let (told, peak) = (told_mib(&dry.stdout), peak_mib(&dir, "out"));
            // A dry run tells whole MiB.
            let fits = peak <= told + 0.5 && told <= 1.1 * peak + 0.5;
            assert!(fits, "{ranks:?} {words:?}: {told} MiB told, {peak} MiB taken");
        }
    }
}

/// Whoever holds what before it changes ranks is not known before; the most is.
#[test]
fn pictures_and_sorts_on_the_disk_stay_within_what_is_told() {
    let dir = Dir::new("estimate-bound");
    dir.dcomp(&["generate", "records", "--count", "1500000", "-q", "-o", "records"]).ok();
    for ranks in [None, Some(2), Some(4)] {
        for words in [
            &["mandelbrot", "-W", "3000", "-H", "2000", "--palette", "histogram"][..],
            &["mandelbrot", "-W", "2000", "-H", "6000", "-n", "100", "--hdf5", "grid.h5"],
            &["mergesort", "records", "--type", "record:100:10", "--memory", "90M"],
            &["mergesort", "records", "--type", "lines", "--memory", "90M"],
        ] {
            let words = [words, &["-o", "out", "--force", "-q"]].concat();
            let dry = dir.dcomp(&[&words[..], &["--dry-run"]].concat()).ranks_or_alone(ranks).ok();
            dir.dcomp(&words).ranks_or_alone(ranks).ok();
            let (told, peak) = (told_mib(&dry.stdout), peak_mib(&dir, "out"));
            assert!(peak <= told + 0.5, "{ranks:?} {words:?}: {told} MiB told, {peak} MiB taken");
        }
    }
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
