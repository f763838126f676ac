//! `mergesort` of lines against sort(1), and what goes wrong: inputs that cannot be sorted, files that
//! change, ranks that fail. Nothing half-made stays.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::sorting::{Random, SOME, Sort, WAYS, Way, bytes_of, keys, sorted_items};
use crate::util::{Dir, is_root};

const SEED: u64 = 20_262;

/// What sort(1) makes of these files with these flags.
fn gnu(dir: &Dir, words: &[&str]) -> Vec<u8> {
    let words = [words, &["-o", "oracle"]].concat();
    dir.program("sort", &words).env("LC_ALL", "C").ok();
    dir.read("oracle")
}

/// A sort of one text; the flags are those of sort(1).
fn sort_of(name: &str, flags: &[&str], text: &[u8]) -> Sort {
    let dir = Dir::new(name);
    std::fs::write(dir.path("in"), text).unwrap();
    let words = [flags, &["in"]].concat();
    let oracle = gnu(&dir, &words);
    Sort::new(dir, &words, oracle)
}

/// Lines of a few awkward words.
fn words(count: u64, seed: u64) -> Vec<u8> {
    const WORDS: [&[u8]; 24] = [
        b"",
        b" ",
        b"\t",
        b"a",
        b"A",
        b"b",
        b",",
        b"0",
        b"-0",
        b"00",
        b"-1",
        b"1",
        b"9",
        b"10",
        b"+1",
        b"1.5",
        b"1.50",
        b"-.5",
        b"1e3",
        b"\xff",
        b"\xc3\xa4",
        b"123456789012345678901234567890",
        b"\r",
        b"\0",
    ];
    let mut random = Random(seed);
    let mut text = Vec::new();
    for _ in 0..count {
        for _ in 0..random.below(5) {
            text.extend_from_slice(random.pick(&WORDS));
            text.extend_from_slice(random.pick(&[b"", b" ", b",", b"  "]));
        }
        text.push(b'\n');
    }
    text
}

#[test]
fn lines_are_sorted_alike_by_every_number_of_ranks() {
    sort_of("ml-ways", &[], &words(2003, SEED)).check_all(&WAYS);
}

#[test]
fn flags_are_those_of_sort() {
    let flags: [&[&str]; 26] = [
        &["-r"],
        &["-u"],
        &["-n"],
        &["-n", "-u"],
        &["-n", "-r"],
        &["-n", "-s"],
        &["-n", "-s", "-r", "-u"],
        &["-k", "2"],
        &["-k", "2,2"],
        &["-k", "2,2", "-s"],
        &["-k", "2n,2"],
        &["-k", "2,2n", "-k", "1,1r"],
        &["-k", "1.2,1.3"],
        &["-k", "2b,2"],
        &["-k", "2,2b", "-u"],
        &["-k", "3nr", "-s"],
        &["-t", ",", "-k", "2,2"],
        &["-t", ",", "-k", "2n", "-r"],
        &["-t", " ", "-k", "2"],
        &["-t", "\\0", "-k", "2"],
        &["-z"],
        &["-z", "-u", "-r"],
        &["-z", "-k", "2,2n"],
        &["-r", "-s", "-k", "1,1"],
        &["-n", "-k", "2,2", "-k", "1r"],
        &["-t", "1", "-k", "2.2,3.1nb"],
    ];
    for (turn, flags) in flags.into_iter().enumerate() {
        let mut sort = sort_of("ml-flags", flags, &words(503, SEED + turn as u64));
        sort.check(WAYS[turn % (WAYS.len() - 1)]);
        sort.check(SOME[turn % SOME.len()]);
    }
}

#[test]
fn nasty_texts_are_sorted() {
    let huge = [&words(50, 1)[..], &b"huge ".repeat(60_000), b"\n", &words(50, 2)].concat();
    let prefix = "p".repeat(1024);
    let line = |at: u32| format!("{prefix}{}\n", (at * 7919) % 701);
    let shared: Vec<u8> = (0..700).flat_map(|at| line(at).into_bytes()).collect();
    let crlf = String::from_utf8(keys_text()).unwrap().replace('\n', "\r\n");
    let mut unended = words(301, 3);
    unended.pop();
    let texts: [(&str, &[u8]); 14] = [
        ("empty", b""),
        ("newline", b"\n"),
        ("newlines", &[b'\n'; 1000]),
        ("one byte", b"x"),
        ("one line", b"no newline at its end"),
        ("fewer lines than ranks", b"c\nb\na"),
        ("no last newline", &unended),
        ("CRLF", crlf.as_bytes()),
        ("NUL", &b"b\0b\nb\0a\nb\n\0\n".repeat(50)),
        ("only NUL", &[0; 300]),
        ("one huge line", &huge),
        ("huge lines", &[&b"z".repeat(100_000)[..], b"\n", &b"y".repeat(200_000)].concat()),
        ("a shared prefix", &shared),
        ("equal lines", &b"the same line\n".repeat(999)),
    ];
    for (turn, (name, text)) in texts.into_iter().enumerate() {
        for flags in [&[][..], &["-u"], &["-r"]] {
            let mut sort = sort_of(&format!("ml-{name}"), flags, text);
            // Rounds of a word would take long for a hundred thousand bytes.
            let way = if text.len() > 50_000 { 4 } else { turn + flags.len() * 3 };
            sort.check(WAYS[way % (WAYS.len() - 1)]);
            sort.check(Way(Some(7), "2", &[]));
        }
    }
    sort_of("ml-64", &[], b"c\nb\na").check(Way(Some(64), "1", &[]));
}

/// Numbers, one a line.
fn keys_text() -> Vec<u8> {
    let keys = keys("gaussian", 600, 3, SEED);
    keys.iter().flat_map(|key| format!("{}\n", key >> 50).into_bytes()).collect()
}

/// Each file's last line is a line of its own, also without a newline; equal keys stay in the order of
/// the files.
#[test]
fn texts_of_several_files_are_one_sequence() {
    for flags in [&["-s", "-n"][..], &["-u", "-k", "1,1"], &[]] {
        let dir = Dir::new("ml-files");
        let texts: [&[u8]; 7] = [b"", b"2 x", b"", b"1 y\n2 z\n", &words(211, 5), b"\n", b"2 w"];
        let mut words = flags.to_vec();
        for (name, text) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().zip(texts) {
            std::fs::write(dir.path(name), text).unwrap();
            words.push(name);
        }
        let oracle = gnu(&dir, &words);
        let mut sort = Sort::new(dir, &words, oracle);
        sort.check_all(&SOME);
        sort.check(Way(Some(8), "2", &[]));
    }
}

#[test]
fn what_cannot_be_sorted_is_told() {
    let dir = Dir::new("ms-refused");
    std::fs::write(dir.path("in"), [0; 1003]).unwrap();
    std::fs::create_dir(dir.path("folder")).unwrap();
    dir.program("mkfifo", &["pipe"]).ok();
    let cases: [(&[&str], i32, &str); 12] = [
        (&["in", "--type", "u64"], 65, "125 items of 8 bytes, and 3 bytes are left over"),
        (
            &["in", "--type", "record:100:10"],
            65,
            "10 items of 100 bytes, and 3 bytes are left over",
        ),
        (&["none", "--type", "u64"], 74, "none: No such file or directory"),
        (&["folder"], 65, "folder is a directory"),
        (&["pipe"], 65, "pipe is no regular file"),
        (&["in", "--type", "u16"], 2, "`u16` is no type; there are u32,"),
        (&["in", "--type", "record:4:5"], 2, "1 <= KEYLEN <= LEN"),
        (&["in", "--type", "u64", "-n"], 2, "--numeric"),
        (&["in", "-k", "0"], 2, "--key"),
        (&["in", "-t", "ab"], 2, "give one byte"),
        (&[], 2, "nothing to sort"),
        (&["-"], 2, "write it to a file first"),
    ];
    for (words, code, told) in cases {
        for ranks in [None, Some(3)] {
            let words = [&["mergesort", "-o", "out"], words].concat();
            dir.dcomp(&words).ranks_or_alone(ranks).limit_s(20).fails(code).says(told);
            std::fs::remove_file(dir.path("out.json")).ok();
            assert_eq!(dir.names(), ["folder", "in", "pipe"], "{words:?}");
        }
    }
}

#[test]
fn an_output_that_exists_is_kept_and_may_be_the_input() {
    let dir = Dir::new("ms-exists");
    let bytes = bytes_of(&keys("uniform", 1009, 3, SEED));
    std::fs::write(dir.path("in"), &bytes).unwrap();
    dir.write("out", "precious");
    let words = ["mergesort", "in", "--type", "u64", "-o"];
    for ranks in [None, Some(3)] {
        for out in ["out", "in"] {
            let run = dir.dcomp(&[&words[..], &[out]].concat()).ranks_or_alone(ranks);
            run.fails(2).says("exists; --force replaces it");
        }
        assert_eq!((dir.read("out"), dir.read("in")), (b"precious".to_vec(), bytes.clone()));
        assert_eq!(dir.names(), ["in", "out"]);
    }
    // As with sort -o, what is read whole before it is replaced may be replaced.
    let oracle = sorted_items(&bytes, 8, |a, b| a.iter().rev().cmp(b.iter().rev()));
    for ranks in [None, Some(3)] {
        std::fs::write(dir.path("in"), &bytes).unwrap();
        dir.dcomp(&[&words[..], &["in", "--force"]].concat()).ranks_or_alone(ranks).ok();
        assert!(dir.read("in") == oracle, "{ranks:?}");
    }
    for (record, told) in [("in", "in exists"), ("out", "one file")] {
        let more = ["out", "--record", record];
        dir.dcomp(&[&words[..], &more].concat()).fails(2);
        let done = dir.dcomp(&[&words[..], &more, &["--force"]].concat()).run();
        assert!(done.code == 2 || record == "in", "{done:#?}");
        assert!(done.code == 0 || done.stderr.contains(told), "{done:#?}");
    }
}

#[test]
fn directories_that_cannot_be_used_are_told() {
    let dir = Dir::new("ms-dirs");
    dir.write("in", "b\na\n");
    std::fs::create_dir(dir.path("locked")).unwrap();
    std::fs::set_permissions(dir.path("locked"), PermissionsExt::from_mode(0o555)).unwrap();
    for ranks in [None, Some(3)] {
        let run = dir.dcomp(&["mergesort", "in", "-o", "no/out"]).ranks_or_alone(ranks);
        run.fails(2).says("--output no/out: the directory no is not there");
        // Root may write everywhere; tests/disk.rs has a disk that refuses root too.
        if !is_root() {
            let run = dir.dcomp(&["mergesort", "in", "-o", "locked/out"]).ranks_or_alone(ranks);
            run.fails(74).says("Permission denied");
        }
    }
    assert_eq!(dir.names(), ["in", "locked"]);
}

/// A program that goes on as long as this is held.
struct Background(Child);

impl Background {
    fn shell(dir: &Dir, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(dir.path("")).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_told() {
    let dir = Dir::new("ms-changes");
    let bytes = bytes_of(&keys("uniform", 1 << 20, 3, SEED));
    let meddling = [
        "while :; do touch in; sleep 0.005; done",
        "while :; do printf 12345678 >> in; sleep 0.005; done",
        "while :; do truncate -s 800 in; sleep 0.005; truncate -s 8000000 in; sleep 0.005; done",
    ];
    for script in meddling {
        for ranks in [None, Some(3)] {
            std::fs::write(dir.path("in"), &bytes).unwrap();
            let _meddler = Background::shell(&dir, script);
            // A run may be over before the meddler has its turn; then there is nothing to be found.
            let words = ["mergesort", "in", "--type", "u64", "-o", "out", "--force"];
            let run = || dir.dcomp(&words).ranks_or_alone(ranks).run();
            let done =
                (0..50).map(|_| run()).find(|done| done.code != 0).expect("a change is seen");
            assert_eq!(done.code, 65, "{done:#?}");
            done.says("in was changed while it was read");
            for left in ["out", "out.failed.json"] {
                std::fs::remove_file(dir.path(left)).ok();
            }
            std::fs::remove_file(dir.path("out.json")).unwrap();
            assert_eq!(dir.names(), ["in"]);
        }
    }
}

/// An older output stays whatever happens to the sort that is to replace it.
fn with_older_output(name: &str) -> Dir {
    let dir = Dir::new(name);
    std::fs::write(dir.path("in"), bytes_of(&keys("uniform", 4001, 3, SEED))).unwrap();
    dir.write("out", "older output");
    dir
}

fn nothing_changed(dir: &Dir, extra: &[&str]) {
    assert_eq!(dir.names(), [&["in", "out"], extra].concat());
    assert_eq!(dir.read("out"), b"older output");
}

const FAULTY: [&str; 6] = ["mergesort", "in", "--type", "u64", "-o", "out"];

#[test]
fn a_rank_that_fails_ends_all_ranks() {
    for fault in ["io:0:compute", "io:3:exchange", "io:1:verify", "io:2:write"] {
        let dir = with_older_output("ms-io");
        let run = dir.dcomp(&[&FAULTY[..], &["--force", "-q"]].concat()).ranks(4).limit_s(30);
        let rank = fault.split(':').nth(1).unwrap();
        run.env("DCOMP_FAULT", fault).fails(74).says(&format!("(rank {rank} on "));
        nothing_changed(&dir, &["out.failed.json"]);
        assert_eq!(dir.json("out.failed.json")["outcome"], "io");
    }
    for fault in ["panic:2:compute", "exit:1:exchange"] {
        let dir = with_older_output("ms-panic");
        let run = dir.dcomp(&[&FAULTY[..], &["--force", "-q"]].concat()).ranks(4).limit_s(30);
        assert_ne!(run.env("DCOMP_FAULT", fault).run().code, 0, "{fault}");
        // Rank 0 takes its files away when the launcher tells it, which may be a moment later; the others
        // tell what happened when they saw it first.
        for _ in 0..500 {
            if dir.names().iter().all(|name| !name.starts_with('.')) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::fs::remove_file(dir.path("out.failed.json")).ok();
        nothing_changed(&dir, &[]);
    }
}

/// One bit that flips between reading and writing is found, in whatever form.
#[test]
fn a_spoiled_item_is_found() {
    for (rank, kind) in [(0, "u64"), (2, "f64"), (1, "record:1:1"), (3, "lines")] {
        let dir = with_older_output("ms-flip");
        if kind.starts_with("rec") || kind == "lines" {
            std::fs::write(dir.path("in"), words(500, 9)).unwrap();
        }
        let words = ["mergesort", "in", "--type", kind, "-o", "out", "--force", "-q"];
        let run = dir.dcomp(&words).ranks(4).env("DCOMP_FAULT", &format!("flip:{rank}:exchange"));
        let done = run.fails(1);
        assert!(
            done.stderr.contains("came out") || done.stderr.contains("stand behind"),
            "{done:?}"
        );
        nothing_changed(&dir, &["out.failed.json"]);
        assert_eq!(dir.json("out.failed.json")["outcome"], "verification-failed");
    }
}
