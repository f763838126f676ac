//! `counter-sort` and `generate`: the same right bytes for every way of computing, every input that
//! is no number told, nothing half-made left. What is right comes from `sort -n` or from plain Rust.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::util::{Dir, h5dump, is_root, numbers_of, sorted, text_of};

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Files of 33 bytes and more go the way of large ones.
const LARGE: Variables<'static> = &[("DCOMP_SMALL_BYTES", "32")];
/// Nearly every file is cut over all ranks.
const SPLIT: Variables<'static> = &[("DCOMP_SMALL_BYTES", "16"), ("DCOMP_SPLIT_BYTES", "64")];
const ROUNDS: Variables<'static> = &[("DCOMP_ROUND_BYTES", "64")];

/// Makes numbers; alone, so that this does not take the tests' time.
fn generate(dir: &Dir, name: &str, words: &[&str]) {
    dir.dcomp(&[&["generate", "numbers", "-q", "-o", name], words].concat()).ok();
}

/// Sorts one input in many ways; all make the oracle's bytes and one result.
struct Sort {
    dir: Dir,
    oracle: Vec<u8>,
    result: Option<Value>,
    combinations: u32,
}

impl Sort {
    fn new(dir: Dir) -> Self {
        let oracle = sorted(&dir, "data");
        Self { dir, oracle, result: None, combinations: 0 }
    }

    fn generated(name: &str, words: &[&str]) -> Self {
        let dir = Dir::new(name);
        generate(&dir, "data", words);
        Self::new(dir)
    }

    fn check(&mut self, ranks: Option<u32>, words: &[&str], variables: Variables<'_>) {
        let common = ["counter-sort", "data", "-o", "out.txt", "--force", "-q"];
        let run = self.dir.dcomp(&[&common, words].concat());
        run.ranks_or_alone(ranks).envs(variables).ok();
        let how = format!("{ranks:?} ranks, {words:?}, {variables:?}");
        assert!(self.dir.read("out.txt") == self.oracle, "not as sort -n: {how}");
        let record = self.dir.json("out.txt.json");
        let result = self.result.get_or_insert_with(|| record["result"].clone());
        assert_eq!(*result, record["result"], "{how}");
        let lines = self.oracle.split(|byte| *byte == b'\n').count() - 1;
        let (result, lines) = (&record["result"], json!(lines));
        assert_eq!([&result["numbers_in"], &result["numbers_out"]], [&lines; 2], "{how}");
        self.combinations += 1;
    }

    /// A few ways that differ much.
    fn check_some(&mut self) {
        self.check(None, &["--threads", "3"], &[]);
        self.check(Some(1), &["--io", "uring"], LARGE);
        self.check(Some(3), &["--combine", "exchange", "--histogram", "sparse"], SPLIT);
        self.check(Some(7), &["--combine", "exchange", "--threads", "2"], ROUNDS);
        self.check(Some(8), &[], &[]);
    }
}

#[test]
fn generated_numbers_do_not_depend_on_ranks() {
    let dir = Dir::new("generate");
    let mut made: BTreeMap<(&str, &str), (String, Value)> = BTreeMap::new();
    let uniform = [1, 2, 3, 4, 7, 8, 64].map(|ranks| ("uniform", Some(ranks), "1"));
    let others = ["zipf", "one", "sorted"].map(|name| [(name, None, "1"), (name, Some(3), "2")]);
    let alone = [("uniform", None, "1"), ("uniform", None, "2"), ("uniform", Some(2), "2")];
    for (pattern, ranks, threads) in [&uniform[..], &alone, &others.concat()].concat() {
        for form in ["--packed", "--quiet"] {
            let words = ["generate", "numbers", "-o", "t", "--files", "70", "--per-file", "30"];
            let how = ["--dirty", "0.05", "--pattern", pattern, "--threads", threads, form];
            dir.dcomp(&[&words[..], &how].concat()).ranks_or_alone(ranks).ok();
            let mut record = dir.json("t.json");
            let all = json!([record["result"].take(), record["outputs"].take()]);
            for output in all[1].as_array().unwrap() {
                assert_eq!(output["crc64"].as_str().unwrap().len(), 16, "{output}");
            }
            // All names and all bytes.
            let script = "rm t.json; find t* -type f | sort | xargs sha256sum; rm -r t*";
            let sums = dir.program("bash", &["-c", script]).ok().stdout;
            assert_eq!(sums.lines().count(), if form == "--packed" { 2 } else { 71 }, "{sums}");
            let first = made.entry((pattern, form)).or_insert_with(|| (sums.clone(), all.clone()));
            assert_eq!(*first, (sums, all), "{pattern} {ranks:?} {threads} {form}");
        }
    }
}

#[test]
fn every_number_of_ranks_sorts_alike() {
    let words = ["--files", "40", "--per-file", "60", "--min=-3000", "--max", "3000"];
    let mut sort = Sort::generated("cs-ranks", &words);
    for ranks in [None, Some(1), Some(2), Some(3), Some(4), Some(7), Some(8), Some(64)] {
        sort.check(ranks, &[], &[]);
    }
    for variables in [LARGE, SPLIT, ROUNDS] {
        sort.check(Some(4), &[], variables);
    }
    assert_eq!(sort.combinations, 11);
}

#[test]
fn every_way_to_count_and_combine_sorts_alike() {
    let mut sort = Sort::generated("cs-ways", &["--files", "30", "--per-file", "50"]);
    let mut ranks = [2, 3, 7].into_iter().cycle();
    for combine in ["all-reduce", "reduce-scatter", "exchange"] {
        for histogram in ["dense", "sparse", "auto"] {
            // A dense table needs limits, or memory for all of 64 bits.
            let limits = ["--min-int", "1", "--max-int", "10000"];
            let words = ["--combine", combine, "--histogram", histogram];
            sort.check(ranks.next(), &[&words[..], &limits].concat(), &[]);
        }
        sort.check(Some(4), &["--combine", combine], ROUNDS);
        sort.check(None, &["--combine", combine], &[]);
    }
    for (ranks, threads) in [(None, "1"), (None, "3"), (Some(1), "3"), (Some(3), "1")] {
        sort.check(ranks, &["--io", "uring", "--threads", threads], &[]);
        sort.check(ranks, &["--io", "openat", "--threads", threads], LARGE);
    }
    assert_eq!(sort.combinations, 23);
}

#[test]
fn every_distribution_is_sorted() {
    for pattern in ["zipf", "one", "sorted"] {
        let words = ["--files", "11", "--per-file", "70", "--pattern", pattern];
        Sort::generated("cs-pattern", &words).check_some();
    }
}

#[test]
fn all_of_64_bits_is_sorted() {
    let (min, max) = (format!("--min={}", i64::MIN), format!("--max={}", i64::MAX));
    let mut sort = Sort::generated("cs-wide", &["--files", "9", "--per-file", "80", &min, &max]);
    let ends = format!("{}\n{}\n-1\n0\n0\n1\n{}\n", i64::MAX, i64::MIN, i64::MAX);
    sort.dir.write("data/ends", &ends);
    sort.oracle = sorted(&sort.dir, "data");
    sort.check_some();
    for how in ["all-reduce", "reduce-scatter"] {
        let words = ["counter-sort", "data", "-o", "no.txt", "--combine", how];
        sort.dir.dcomp(&words).ranks(2).fails(65).says("--combine exchange");
    }
    let words = ["counter-sort", "data", "-o", "no.txt", "--histogram", "dense"];
    sort.dir.dcomp(&words).fails(2).says("--histogram auto");
}

#[test]
fn no_number_and_one_number() {
    for files in [&["", "", ""][..], &["", "-17\n", ""], &[]] {
        let dir = Dir::new("cs-few");
        std::fs::create_dir(dir.path("data")).unwrap();
        for (index, text) in files.iter().enumerate() {
            dir.write(&format!("data/{index}"), text);
        }
        let mut sort = Sort::new(dir);
        sort.check_some();
        let result = sort.result.as_ref().unwrap();
        assert_eq!(result["files"], json!(files.len()));
        assert_eq!(result["min"], if files.concat().is_empty() { json!(null) } else { json!(-17) });
    }
}

#[test]
fn other_outputs_are_those_of_the_numbers() {
    let dir = Dir::new("cs-outputs");
    let words = ["--files", "20", "--per-file", "90", "--min=-400", "--pattern", "zipf"];
    generate(&dir, "data", &words);
    let oracle = numbers_of(&sorted(&dir, "data"));
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for number in &oracle {
        *counts.entry(*number).or_default() += 1;
    }
    let csv = counts.iter().flat_map(|(value, count)| format!("{value},{count}\n").into_bytes());
    let csv: Vec<u8> = b"value,count\n".iter().copied().chain(csv).collect();
    let binary: Vec<u8> = oracle.iter().flat_map(|number| number.to_le_bytes()).collect();
    let (top, times) = counts.iter().max_by_key(|(value, count)| (**count, -**value)).unwrap();
    let mean = oracle.iter().sum::<i64>() as f64 / oracle.len() as f64;
    // The least value that so many percent of all numbers do not exceed.
    let quantile = |percent: usize| oracle[(oracle.len() * percent).div_ceil(100) - 1];
    let mut first = None;
    for (ranks, how) in
        [(None, "auto"), (Some(1), "auto"), (Some(3), "exchange"), (Some(8), "auto")]
    {
        let sort = |words: &[&str]| {
            let common = ["counter-sort", "data", "--force", "-q", "--combine", how];
            dir.dcomp(&[&common, words].concat()).ranks_or_alone(ranks).ok().stdout
        };
        let stats = ["-o", "a.i64", "--output-format", "i64", "--counts", "a.csv", "--stats"];
        let told = sort(&[&stats[..], &["--top", "3"]].concat());
        assert!(dir.read("a.i64") == binary && dir.read("a.csv") == csv, "{ranks:?}");
        sort(&["-o", "a.h5", "--output-format", "hdf5", "--counts", "counts.h5"]);
        let both = (dir.read("a.h5"), dir.read("counts.h5"));
        assert!(*first.get_or_insert_with(|| both.clone()) == both, "{ranks:?}");

        let told = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let told: Vec<String> = told.collect();
        let has = |line: String| assert!(told.contains(&line), "{line} in {told:#?}");
        has(format!("count {}", oracle.len()));
        has(format!("distinct {}", counts.len()));
        has(format!("least {}", oracle[0]));
        has(format!("greatest {}", oracle[oracle.len() - 1]));
        has(format!("mean {mean}"));
        for (name, percent) in [("0.01", 1), ("0.25", 25), ("0.5", 50), ("0.9", 90), ("0.99", 99)] {
            has(format!("quantile {name} {}", quantile(percent)));
        }
        has(format!("value {top} occurs {times} times"));
        assert_eq!(told.iter().filter(|line| line.contains("occurs")).count(), 3, "{told:#?}");
    }
    assert_eq!(h5dump(&dir, "a.h5", "numbers"), oracle);
    let (values, counts): (Vec<i64>, Vec<i64>) = counts.into_iter().unzip();
    assert_eq!(h5dump(&dir, "counts.h5", "value"), values);
    assert_eq!(h5dump(&dir, "counts.h5", "count"), counts);
}

#[test]
fn names_of_any_bytes_and_links() {
    let dir = Dir::new("cs-names");
    let long = "n".repeat(255);
    let names: [&[u8]; 6] =
        [b"with space", b"new\nline", b"\xff\xfe", long.as_bytes(), b"deep/er/a", b"-q"];
    std::fs::create_dir_all(dir.path("data/deep/er/empty")).unwrap();
    let mut list = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let path = dir.path("data").join(OsStr::from_bytes(name));
        std::fs::write(path, format!("{number}\n{number}")).unwrap();
        list.extend([b"data/", *name, b"\0"].concat());
    }
    std::fs::write(dir.path("list"), &list).unwrap();
    dir.write("outside", "77\n");
    symlink("../outside", dir.path("data/link")).unwrap();
    symlink(".", dir.path("data/deep/loop")).unwrap();
    let all = text_of(&[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    for (ranks, io) in [(None, "openat"), (Some(3), "openat"), (Some(2), "uring")] {
        for (input, links) in [(&["data"][..], 2), (&["--files-from", "list"], 0)] {
            let words = ["counter-sort", "-o", "out.txt", "--force", "--io", io];
            dir.dcomp(&[&words, input].concat()).ranks_or_alone(ranks).ok();
            assert_eq!(dir.read("out.txt"), all, "{ranks:?} {input:?}");
            let result = &dir.json("out.txt.json")["result"];
            assert_eq!(
                [&result["links_not_followed"], &result["files"]],
                [&json!(links), &json!(6)]
            );
        }
        // The launcher gives its standard input to rank 0.
        let words = ["counter-sort", "-o", "out.txt", "--force", "-q", "--files-from", "-"];
        let mut command = dir.dcomp(&words).ranks_or_alone(ranks).command();
        command.stdin(File::open(dir.path("list")).unwrap());
        assert!(command.output().unwrap().status.success());
        assert_eq!(dir.read("out.txt"), all, "{ranks:?} standard input");
    }
    // Links that the user names are followed; a list by lines; several inputs, in any mixture.
    dir.write("lines", "data/link\n\noutside");
    let words = ["counter-sort", "data/deep", "outside", "data/link", "data/deep", "--files-from"];
    dir.dcomp(&[&words[..], &["lines"]].concat()).ranks(2).ok();
    assert_eq!(dir.read("sorted.txt"), text_of(&[4, 4, 4, 4, 77, 77, 77, 77]));
}

#[test]
fn names_by_a_template() {
    let dir = Dir::new("cs-template");
    std::fs::create_dir(dir.path("data")).unwrap();
    for index in 0..20 {
        dir.write(&format!("data/numbers_{index}.txt"), &format!("{index}\n"));
    }
    let words = ["counter-sort", "data", "--name", "numbers_{}.txt", "--force", "--count"];
    for ranks in [None, Some(3)] {
        let first = ["5", "--first", "7"];
        dir.dcomp(&[&words[..], &first].concat()).ranks_or_alone(ranks).ok();
        assert_eq!(dir.read("sorted.txt"), text_of(&[7, 8, 9, 10, 11]));
        let done = dir.dcomp(&[&words[..], &["21"]].concat()).ranks_or_alone(ranks).fails(65);
        done.says("data/numbers_20.txt: No such file or directory");
        let skip = ["21", "--on-error", "skip"];
        dir.dcomp(&[&words[..], &skip].concat()).ranks_or_alone(ranks).ok();
        assert_eq!(dir.json("sorted.txt.json")["result"]["files_refused"], json!(1));
        assert_eq!(dir.read("sorted.txt"), text_of(&(0..20).collect::<Vec<_>>()));
    }
}

/// What a right reader does with the lines that were planted, by file and line.
fn planted(dir: &Dir) -> BTreeMap<(String, u64), String> {
    let text = String::from_utf8(dir.read("dirty.planted.csv")).unwrap();
    let row = |line: &str| {
        let [file, line, _, verdict] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        ((format!("/{file}").trim_end_matches('/').into(), line.parse().unwrap()), verdict.into())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn what_was_planted_is_what_is_refused() {
    for packed in [&[][..], &["--packed"]] {
        let dir = Dir::new("cs-dirty");
        let words = [&["--files", "25", "--per-file", "60", "--min=-99"], packed].concat();
        generate(&dir, "dirty", &[&words[..], &["--dirty", "0.05"]].concat());
        generate(&dir, "clean", &words);
        let planted = planted(&dir);
        // The clean numbers but for the lines where something else stands.
        let names = (0..25).map(|file| format!("/numbers_{file}.txt")).collect();
        let names: Vec<String> = if packed.is_empty() { names } else { vec![String::new()] };
        let mut numbers = Vec::new();
        for name in names {
            for (line, number) in (1..).zip(numbers_of(&dir.read(&format!("clean{name}")))) {
                let verdict = planted.get(&(name.clone(), line));
                numbers.extend(verdict.is_none_or(|word| word == "accepted").then_some(number));
            }
        }
        numbers.sort_unstable();
        let blank = planted.values().filter(|verdict| *verdict == "ignored").count();
        let refused = planted.iter().filter(|(_, verdict)| *verdict == "refused");
        let places: Vec<String> =
            refused.map(|((name, line), _)| format!("dirty{name}:{line}: ")).collect();
        assert!(places.len() > 20 && blank > 2 && numbers.len() > 1400);
        let ways = [(None, "3", SPLIT), (Some(1), "1", LARGE), (Some(3), "2", ROUNDS)];
        let ways = [&ways[..], &[(Some(7), "1", SPLIT)]].concat();
        for (ranks, threads, variables) in ways {
            let words = ["counter-sort", "dirty", "-o", "o", "--force", "-q", "--threads", threads];
            let sort = |words: &[&str]| dir.dcomp(words).ranks_or_alone(ranks).envs(variables);
            let done = sort(&words).fails(65);
            done.says(&format!("{} pieces of the input are no accepted numbers", places.len()));
            let told = done.stderr.lines().filter(|line| line.starts_with("  dirty"));
            assert!(told.clone().zip(&places).all(|(told, place)| told[2..].starts_with(place)));
            assert_eq!(told.count(), 10, "{}", done.stderr);
            done.says(&format!("and {} more", places.len() - 10));
            assert!(!dir.path("o").exists());

            sort(&[&words[..], &["--on-error", "skip"]].concat()).ok();
            assert!(dir.read("o") == text_of(&numbers), "{ranks:?} {variables:?}");
            let result = &dir.json("o.json")["result"];
            let told = result["refused"].as_array().unwrap();
            assert_eq!(told.len(), places.len());
            for (told, place) in told.iter().zip(&places) {
                assert!(told.as_str().unwrap().starts_with(place), "{ranks:?}: {told} at {place}");
            }
            let (wrong, right) = (places.len(), numbers.len());
            let found = ["rejected", "blank_lines", "numbers_out", "numbers_in"];
            let found = found.map(|key| result[key].clone());
            assert_eq!(found, [wrong, blank, right, wrong + right].map(|count| json!(count)));
            std::fs::remove_file(dir.path("o")).unwrap();
        }
        let limits = ["--min-int", "-9", "--max-int", "5000", "--on-error", "skip", "-o", "few"];
        dir.dcomp(&[&["counter-sort", "dirty"], &limits[..]].concat()).ranks(3).ok();
        let count = numbers.len();
        numbers.retain(|number| (-9..=5000).contains(number));
        assert_eq!(dir.read("few"), text_of(&numbers));
        let rejected = places.len() + count - numbers.len();
        assert_eq!(dir.json("few.json")["result"]["rejected"], json!(rejected));
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let dir = Dir::new("cs-bad");
    std::fs::create_dir(dir.path("data")).unwrap();
    dir.write("data/good", "3\n1\n");
    dir.write("past", "9223372036854775807\n9223372036854775808\n");
    dir.write("nul", "1\n2\x003\n");
    dir.write("digits", &"7".repeat(20_000_000));
    dir.write("zeros", &format!("{}5\n4", "0".repeat(20_000_000)));
    dir.write("secret", "1\n");
    std::fs::set_permissions(dir.path("secret"), PermissionsExt::from_mode(0o0)).unwrap();
    dir.program("mkfifo", &["data/fifo"]).ok();
    let mut bad = vec![
        ("absent", "absent: No such file or directory"),
        ("data", "data/fifo: it is a FIFO, not a regular file"),
        ("data/fifo", "data/fifo: it is a FIFO, not a regular file"),
        ("/dev/null", "/dev/null: it is a character device, not a regular file"),
        ("/dev/zero", "/dev/zero: it is a character device, not a regular file"),
        ("past", "past:2: 9223372036854775808 does not fit 64 bits"),
        ("nul", "nul:2: \"2\\x003\" is no integer"),
        ("digits", "digits:1: 7777777777777777777777777777777777777777 does not fit 64 bits"),
        (env!("CARGO_BIN_EXE_dcomp"), "dcomp:1: \"\\x7fELF"),
    ];
    if !is_root() {
        bad.push(("secret", "secret: Permission denied"));
    }
    for ranks in [None, Some(3)] {
        for (input, told) in bad.iter().skip(if ranks.is_some() { 6 } else { 0 }) {
            let words = ["counter-sort", input, "data/good", "-o", "out"];
            dir.dcomp(&words).ranks_or_alone(ranks).limit_s(20).fails(65).says(told);
            assert!(!dir.path("out").exists());
        }
        let words = ["counter-sort", "zeros", "data", "-o", "out", "--force", "--on-error", "skip"];
        dir.dcomp(&words).ranks_or_alone(ranks).ok();
        assert_eq!(dir.read("out"), text_of(&[1, 3, 4, 5]));
        std::fs::remove_file(dir.path("out")).unwrap();
    }
    let script =
        "ulimit -n 16; exec \"$0\" counter-sort data/good past -o out --on-error skip --io";
    for io in ["openat", "uring"] {
        let script = format!("{script} {io} --force --threads 1");
        dir.program("bash", &["-c", &script, env!("CARGO_BIN_EXE_dcomp")]).ok();
        assert_eq!(dir.read("out"), text_of(&[1, 3, i64::MAX]));
    }
}

#[test]
fn wrong_words_are_refused_before_anything_is_read() {
    let dir = Dir::new("cs-words");
    std::fs::create_dir(dir.path("data")).unwrap();
    dir.write("data/a", "1\n");
    dir.write("old", "precious");
    let wrong: [(&[&str], &str); 13] = [
        (&["data", "-o", "data/out"], "--output data/out lies in the input data"),
        (&["data", "--counts", "data/c.csv"], "--counts data/c.csv lies in the input data"),
        (&["data/a", "-o", "data/a", "--force"], "--output data/a lies in the input data/a"),
        (&["data", "-o", "old"], "--output old exists; --force replaces it"),
        (&["data", "--counts", "c.txt"], "--counts: c.txt: end it with .csv or .h5"),
        (&["data", "--io", "mmap"], "--io: unknown variant `mmap`"),
        (&["data", "--combine", "x"], "--combine: unknown variant `x`"),
        (&["data", "--histogram", "x"], "--histogram: unknown variant `x`"),
        (&["data", "--on-error", "x"], "--on-error: unknown variant `x`"),
        (&["data", "--output-format", "x"], "--output-format: unknown variant `x`"),
        (&["data", "--count", "3"], "--count: of what? add --name"),
        (&["data", "--name", "n{}"], "--name: how many? add --count"),
        (&["data", "--min-int", "2", "--max-int", "1"], "--max-int: 1 is below --min-int 2"),
    ];
    for (index, (words, told)) in (0..).zip(wrong) {
        let ranks = (index % 4 == 0).then_some(2);
        let words = [&["counter-sort"], words].concat();
        dir.dcomp(&words).ranks_or_alone(ranks).fails(2).says(told);
    }
    assert_eq!(dir.names(), ["data", "old"]);
    assert_eq!((dir.read("old"), dir.read("data/a")), (b"precious".to_vec(), b"1\n".to_vec()));
}

#[test]
fn faults_leave_no_output() {
    let flips = [(None, "flip:0:exchange", 1), (Some(3), "flip:0:exchange", 1)];
    let errors = [(Some(3), "io:1:compute", 74), (Some(3), "io:2:write", 74)];
    for (ranks, fault, code) in [flips, errors].concat() {
        let dir = Dir::new("cs-fault");
        dir.write("data", "5\n3\n9\n5\n");
        let words = ["counter-sort", "data", "--counts", "c.csv"];
        dir.dcomp(&words).ranks_or_alone(ranks).env("DCOMP_FAULT", fault).fails(code);
        assert_eq!(dir.names(), ["data", "sorted.txt.json"], "{fault}");
        assert_eq!(dir.json("sorted.txt.json")["exit_code"], json!(code));
    }
}
