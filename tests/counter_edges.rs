//! What once went wrong in `counter-sort` and `generate`, kept from coming back.

use crate::util::Dir;

#[test]
fn a_file_that_hides_its_size_is_read_to_its_end() {
    let dir = Dir::new("cs-proc");
    // The system says 0 bytes; read in chunks, it once counted as an empty file.
    for (small, told) in [("16", "no integer"), ("65536", "no integer")] {
        let words = ["counter-sort", "/proc/version", "-o", "out"];
        dir.dcomp(&words).env("DCOMP_SMALL_BYTES", small).fails(65).says(told);
    }
}

#[test]
fn memory_is_obeyed_whatever_the_threads() {
    let dir = Dir::new("cs-memory");
    let (min, max) = (format!("--min={}", i64::MIN), format!("--max={}", i64::MAX));
    let words = ["generate", "numbers", "--packed", "-o", "many", "--per-file", "400", &min, &max];
    dir.dcomp(&words).ok();
    let mut sums = Vec::new();
    for threads in ["1", "2", "4"] {
        let words = ["counter-sort", "many", "--force", "--threads", threads, "--memory"];
        let fits = [&words[..], &["256M"]].concat();
        sums.push(dir.dcomp(&fits).ok().stdout.lines().next().unwrap().to_owned());
        let tight = [&words[..], &["1M"]].concat();
        dir.dcomp(&tight).fails(65).says("more distinct values than --memory allows");
    }
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    // The older output and its record stay; the failure is told beside them.
    assert_eq!(dir.json("sorted.txt.failed.json")["outcome"], "bad-input");
    assert_eq!(dir.json("sorted.txt.json")["outcome"], "ok");
}

/// 2^20 distinct values a rank, of 16 bytes: what stays with its rank is not copied to change ranks.
#[test]
fn sparse_values_are_held_once() {
    let dir = Dir::new("cs-once");
    let (min, max) = (format!("--min={}", i64::MIN), format!("--max={}", i64::MAX));
    let words = ["--packed", "-o", "many", "--files", "1024", "--per-file", "2048", &min, &max];
    dir.dcomp(&[&["generate", "numbers", "-q"], &words[..]].concat()).ok();
    let peak = |input: &str| {
        dir.dcomp(&["counter-sort", input, "--force", "--threads", "1"]).ranks(2).ok();
        dir.json("sorted.txt.json")["peak_rss_bytes"]["max"].as_u64().unwrap()
    };
    dir.write("one", "1\n");
    let taken = peak("many") - peak("one");
    assert!(taken < 48 << 20, "{taken} bytes for 2^20 values a rank");
    assert!(dir.read("sorted.txt") == b"1\n");
}

#[test]
fn nothing_that_is_read_is_written() {
    let dir = Dir::new("cs-apart");
    std::fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/a", "1\n");
    for index in 0..3 {
        dir.write(&format!("n{index}"), "7\n");
    }
    dir.write("list", "n0\nn1\n");
    let cases: [(&[&str], &str); 6] = [
        (&["in", "-o", "x", "--record", "in/a"], "lies in the input in"),
        (&["in", "-o", "x", "--record", "in/new.json"], "lies in the input in"),
        (&["n0", "-o", "x", "--record", "n0"], "lies in the input n0"),
        (&["--name", "n{}", "--count", "3", "-o", "n1"], "one of the inputs that --name n{} names"),
        (&["--files-from", "list", "-o", "n1"], "in the list and is an output too"),
        (&["--files-from", "list", "-o", "x", "--record", "list"], "lies in the input list"),
    ];
    for (words, told) in cases {
        let words = [&["counter-sort"], words, &["--force"]].concat();
        dir.dcomp(&words).fails(2).says(told);
    }
    // The template does not name these.
    dir.dcomp(&["counter-sort", "--name", "n{}", "--count", "3", "-o", "n3"]).ok();
    assert_eq!(dir.read("n3"), b"7\n7\n7\n");
    assert_eq!((dir.read("n1"), dir.read("list")), (b"7\n".to_vec(), b"n0\nn1\n".to_vec()));
    assert_eq!(dir.names(), ["in", "list", "n0", "n1", "n2", "n3", "n3.json"]);
}

#[test]
fn lists_end_their_names_in_one_way() {
    let dir = Dir::new("cs-lists");
    dir.write("a", "3\n");
    dir.write("b", "1\n");
    // A pipe that brings half a name first.
    let line =
        "(printf a; sleep 0.3; printf '\\0b\\0') | \"$0\" counter-sort --files-from - -o out";
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    dir.program("sh", &["-c", line, dcomp]).ok();
    assert_eq!(dir.read("out"), b"1\n3\n");
    let lines = "a\n".repeat(5000);
    dir.write("mixed", &format!("{lines}b\0\n"));
    let words = ["counter-sort", "--files-from", "mixed", "-o", "other"];
    dir.dcomp(&words).fails(65).says("a NUL inside a name");
}

#[test]
fn odd_records_are_refused_at_once() {
    let dir = Dir::new("cs-record");
    dir.write("a", "3\n");
    dir.program("mkfifo", &["x.json"]).ok();
    dir.dcomp(&["counter-sort", "a", "-o", "x"]).limit_s(10).fails(2);
    dir.write("bad", "x\n");
    dir.write("y.failed.json", "precious");
    dir.dcomp(&["counter-sort", "a", "-o", "y"]).ok();
    dir.dcomp(&["counter-sort", "bad", "-o", "y", "--force"]).fails(65);
    assert_eq!(dir.read("y.failed.json"), b"precious");
    assert_eq!(dir.read("y"), b"3\n");
}

#[test]
fn the_ends_of_64_bits_are_combined() {
    let dir = Dir::new("cs-ends");
    for (name, text) in [("least", i64::MIN.to_string()), ("most", i64::MAX.to_string())] {
        dir.write(name, &text);
        for combine in ["all-reduce", "reduce-scatter", "exchange"] {
            let words = ["counter-sort", name, "--combine", combine, "--force", "-o", "out"];
            dir.dcomp(&words).ranks(3).ok();
            assert_eq!(dir.read("out"), format!("{text}\n").into_bytes(), "{name} {combine}");
        }
    }
}

#[test]
fn an_interrupted_generator_leaves_nothing() {
    let dir = Dir::new("gen-int");
    let line = "\"$0\" generate numbers --files 3000000 -o many --quiet & sleep 0.6; kill -TERM $!; wait $!";
    let done = dir.program("bash", &["-c", line, env!("CARGO_BIN_EXE_dcomp")]).run();
    assert_ne!(done.code, 0, "{done:#?}");
    assert_eq!(dir.names(), [""; 0]);
}
