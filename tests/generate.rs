//! `generate keys` and `generate records`: the same bytes for any number of ranks, and those that others
//! know.

use crate::util::Dir;

fn keys<'a>(count: &'a str, pattern: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["generate", "keys", "-q", "--count", count, "--pattern", pattern, "--blocks", "5"];
    [&words[..], more].concat()
}

/// Sizes around the ranks, each with another pattern, and one of many pieces.
#[test]
fn ranks_do_not_change_a_byte() {
    let dir = Dir::new("generate-ranks");
    let patterns = ["uniform", "almost-sorted", "g-group", "all-to-one", "det-dup", "specials"];
    for (ranks, p) in [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (8, 8), (64, 64)] {
        let sizes = [0, 1, p - 1, p, p + 1, 300_007_u64];
        for (size, pattern) in sizes.into_iter().zip(patterns) {
            // Nothing, one and some are enough of the small ones where starting takes the time.
            if ranks == 64 && size == 1 {
                continue;
            }
            let count = size.to_string();
            let words = keys(&count, pattern, &["--type", "f64", "--force"]);
            dir.dcomp(&[&words[..], &["-o", "one", "--threads", "1"]].concat()).ok();
            dir.dcomp(&[&words[..], &["-o", "many"]].concat()).ranks(ranks).ok();
            assert!(dir.read("one") == dir.read("many"), "{ranks} ranks, {size} keys");
            assert_eq!(dir.read("one").len() as u64, 8 * size);
            let (one, many) = (dir.json("one.json"), dir.json("many.json"));
            assert_eq!(one["result"], many["result"], "{ranks} ranks, {size} keys");
        }
    }
    for ranks in [2, 7] {
        for more in [&["--ascii"][..], &["--skewed"], &["--seed", "5", "--ascii", "--skewed"]] {
            let words = ["generate", "records", "-q", "--count", "30011", "--force"];
            let words = [&words[..], more].concat();
            dir.dcomp(&[&words[..], &["-o", "one", "--threads", "1"]].concat()).ok();
            dir.dcomp(&[&words[..], &["-o", "many", "--threads", "2"]].concat()).ranks(ranks).ok();
            assert!(dir.read("one") == dir.read("many"), "{ranks} ranks, {more:?}");
            assert_eq!(dir.json("one.json")["result"], dir.json("many.json")["result"]);
        }
    }
}

/// What valsort printed for gensort's file, and gensort's own example of parts.
#[test]
fn records_are_gensorts() {
    let dir = Dir::new("generate-records");
    let records = |words: &[&str]| dir.dcomp(&[&["generate", "records"], words].concat());
    let done = records(&["--ascii", "--count", "163840", "-o", "ascii"]).ranks(3).ok();
    assert!(done.stdout.contains("163840 records, gensort's, checksum 1400fed7bb2c2"), "{done:#?}");
    let result = &dir.json("ascii.json")["result"];
    assert_eq!(result["checksum"], "1400fed7bb2c2");
    assert_eq!((&result["records"], &result["bytes"]), (&163_840.into(), &16_384_000.into()));
    records(&["--count", "1000", "-o", "part0"]).ok();
    records(&["--count", "1000", "--start", "1000", "-o", "part1"]).ok();
    records(&["--count", "2000", "-o", "whole"]).ok();
    assert_eq!([dir.read("part0"), dir.read("part1")].concat(), dir.read("whole"));
    let done = records(&["--count", "10", "--seed", "3", "-o", "other"]).ok();
    assert!(!done.stdout.contains("gensort"), "{done:#?}");
    dir.dcomp(&["verify", "whole"]).ok();
}

/// GNU od and sort read what was made.
#[test]
fn other_programs_read_the_types() {
    let dir = Dir::new("generate-types");
    for (key_type, format, order) in [
        ("u32", "u4", "-n"),
        ("u64", "u8", "-n"),
        ("i32", "d4", "-n"),
        ("i64", "d8", "-n"),
        ("f32", "f4", "-g"),
        ("f64", "f8", "-g"),
    ] {
        let words = keys("20000", "sorted", &["--type", key_type, "-o", key_type]);
        dir.dcomp(&words).ranks(2).ok();
        let script = format!(
            "od -An -v -w{0} -t {format} {key_type} | LC_ALL=C sort -c -u {order} && wc -c < {key_type}",
            &format[1..]
        );
        let done = dir.program("bash", &["-o", "pipefail", "-c", &script]).ok();
        let bytes: u64 = done.stdout.trim().parse().unwrap();
        assert_eq!(bytes.to_string(), (20_000 * format[1..].parse::<u64>().unwrap()).to_string());
    }
}

/// Two outputs of one run of counter-sort and of this have one checksum when they hold the same bits.
#[test]
fn the_checksum_is_that_of_counter_sort() {
    let dir = Dir::new("generate-checksum");
    dir.dcomp(&keys("5000", "gaussian", &["--type", "i64", "-o", "keys"])).ok();
    let script = "od -An -v -w8 -t d8 keys > text";
    dir.program("bash", &["-c", script]).ok();
    dir.dcomp(&["counter-sort", "text", "-o", "sorted"]).ok();
    let (made, sorted) = (dir.json("keys.json"), dir.json("sorted.json"));
    assert_eq!(made["result"]["checksum"], sorted["result"]["checksum"]);
}

#[test]
fn mistakes_are_named() {
    let dir = Dir::new("generate-mistakes");
    for (words, named, next) in [
        (&["keys", "--pattern", "stagered"][..], "--pattern", "did you mean staggered?"),
        (&["keys", "--pattern", "42"], "--pattern", "there are uniform, gaussian"),
        (&["keys", "--type", "i46"], "--type", "there are u32, u64, i32"),
        (&["keys", "--blocks", "0"], "--blocks", "give 1 or more"),
        (&["keys", "--blocks", "9999999"], "--blocks", "at most 1048576"),
        (&["keys", "--count", "-1"], "--count", "not in 0.."),
        (&["keys", "--count", "9000000000000000000"], "--count", "at most 2^60"),
        (&["records", "--count", "9000000000000000000"], "--count", "at most 2^56"),
        (&["records", "--pattern", "zipf"], "--pattern", "unexpected"),
        (&["keys", "-o", "no/keys"], "--output", "directory no is not there"),
    ] {
        let done = dir.dcomp(&[&["generate"], words].concat()).fails(2);
        assert!(done.stderr.contains(named) && done.stderr.contains(next), "{words:?}: {done:#?}");
    }
    let words = ["generate", "keys", "--pattern", "stagered"];
    dir.dcomp(&words).ranks(4).fails(2).says("did you mean staggered?");
    dir.write("a.toml", "job = \"generate-keys\"\npattern = \"saw\"");
    dir.dcomp(&["run", "a.toml"])
        .ranks(2)
        .fails(2)
        .says("pattern in a.toml")
        .says("did you mean saws?");
    assert_eq!(dir.names(), ["a.toml"]);
}

#[test]
fn decks_run_and_memory_has_a_bound() {
    let dir = Dir::new("generate-decks");
    dir.write(
        "k.toml",
        "job = \"generate-keys\"\ncount = 20000000\ntype = \"u64\"\noutput = \"k\"",
    );
    dir.dcomp(&["run", "k.toml", "-q"]).ranks(2).ok();
    let record = dir.json("k.json");
    assert_eq!(
        (&record["job"], &record["result"]["bytes"]),
        (&"generate-keys".into(), &160_000_000.into())
    );
    let most = record["peak_rss_bytes"]["max"].as_u64().unwrap();
    assert!(most < 120_000_000, "{most} bytes for 80 MB of keys a rank");
    dir.write("r.toml", "job = \"generate-records\"\ncount = 3\nascii = true\noutput = \"r\"");
    dir.dcomp(&["run", "r.toml", "--seed", "0"]).ok();
    assert!(dir.read("r").starts_with(b"AsfAGHM5om  "));
    // Far more than any memory, and told so before anything is made.
    let words = ["generate", "keys", "--count", "1000000000000000", "--dry-run"];
    let said = dir.dcomp(&words).fails(0).stdout;
    assert!(said.contains("DOES NOT FIT") && said.contains("memory per rank"), "{said}");
}
