//! `mergesort` of more than memory: the bytes of the sort in memory for every number of runs, ranks and
//! threads, an honest limit, nothing left on the scratch disk whatever happens.

use std::fmt::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::disk::{SmallDisk, can_mount};
use crate::util::Dir;

/// Ranks and threads that differ much.
const WAYS: [(Option<u32>, &str); 5] =
    [(None, "1"), (None, "3"), (Some(2), "1"), (Some(3), "2"), (Some(7), "1")];

/// Sorts `in` in memory, then by runs of some bytes in several ways; all must be the same.
fn by_runs(dir: &Dir, words: &[&str], run_bytes: &str) -> Vec<u8> {
    let common = [&["mergesort", "in", "-q", "--force", "--scratch", "scratch"], words].concat();
    std::fs::create_dir_all(dir.path("scratch")).unwrap();
    dir.dcomp(&[&common[..], &["-o", "memory"]].concat()).ok();
    let (memory, told) = (dir.read("memory"), dir.json("memory.json"));
    assert_eq!(told["details"]["external"], false);
    for (turn, (ranks, threads)) in WAYS.into_iter().enumerate() {
        let packed: &[&str] = if turn % 2 == 1 { &["--compress-temp"] } else { &[] };
        let words = [&common[..], &["-o", "disk", "--threads", threads], packed].concat();
        dir.dcomp(&words).ranks_or_alone(ranks).env("DCOMP_RUN_BYTES", run_bytes).ok();
        let (how, record) = (format!("{words:?}, {ranks:?} ranks"), dir.json("disk.json"));
        assert!(dir.read("disk") == memory, "not as in memory: {how}");
        assert_eq!(record["result"], told["result"], "{how}");
        let forced = memory.len() > 8 * run_bytes.parse::<usize>().unwrap();
        assert!(!forced || record["details"]["external"] == true, "{how}");
        let imbalance = &record["details"]["imbalance_records"];
        assert!(imbalance.as_u64().unwrap() <= 1, "{imbalance} records: {how}");
        assert_eq!(std::fs::read_dir(dir.path("scratch")).unwrap().count(), 0, "{how}");
    }
    memory
}

fn generate(dir: &Dir, pattern: &str, count: &str) {
    let words = ["generate", "keys", "-o", "in", "-q", "--blocks", "3"];
    dir.dcomp(&[&words[..], &["--pattern", pattern, "--count", count]].concat()).ok();
}

#[test]
fn runs_on_the_disk_sort_alike() {
    for pattern in ["uniform", "zero", "reverse", "block-permuted", "heavy", "root-dup"] {
        let dir = Dir::new("ms-disk");
        generate(&dir, pattern, "20011");
        by_runs(&dir, &["--type", "u64"], "16384");
        by_runs(&dir, &["--type", "i64", "--reverse"], "9000");
    }
}

#[test]
fn sizes_at_the_edges_of_runs() {
    for count in ["0", "1", "2", "127", "128", "129", "1025"] {
        let dir = Dir::new("ms-edges");
        generate(&dir, "uniform", count);
        by_runs(&dir, &["--type", "u64"], "1024");
    }
}

/// Two thousand runs and slices: no descriptor and no buffer per run.
#[test]
fn thousands_of_runs() {
    let dir = Dir::new("ms-thousands");
    generate(&dir, "uniform", "50021");
    let words = ["mergesort", "in", "--type", "u64", "-q", "-o"];
    dir.dcomp(&[&words[..], &["memory"]].concat()).ok();
    let run = dir.dcomp(&[&words[..], &["disk"]].concat());
    let script = "ulimit -n 64; exec \"$@\"";
    run.env("DCOMP_RUN_BYTES", "200").ranks(2).ok();
    assert!(dir.read("disk") == dir.read("memory"));
    assert!(dir.json("disk.json")["details"]["slices"].as_u64().unwrap() > 200);
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    let alone = ["-c", script, "sh", dcomp, "mergesort", "in", "--type", "u64", "-q", "-o", "few"];
    dir.program("bash", &alone).env("DCOMP_RUN_BYTES", "400").ok();
    assert!(dir.read("few") == dir.read("memory"));
}

/// The payload of a record is the number of its line, so that an unstable sort shows.
#[test]
fn records_are_stable() {
    let dir = Dir::new("ms-disk-records");
    let records: Vec<u8> = (0..3001_u32)
        .flat_map(|number| {
            [&[(number * 7 % 5).to_le_bytes()[0]], &number.to_be_bytes()[..]].concat()
        })
        .collect();
    std::fs::write(dir.path("in"), &records).unwrap();
    let mut plain: Vec<&[u8]> = records.chunks(5).collect();
    plain.sort_by_key(|record| record[0]);
    assert!(by_runs(&dir, &["--type", "record:5:1"], "333") == plain.concat());
    let first = by_runs(&dir, &["--type", "record:5:1", "--unique"], "333");
    plain.dedup_by_key(|record| record[0]);
    assert!(first == plain.concat());
}

#[test]
fn lines_are_those_of_sort() {
    let dir = Dir::new("ms-disk-lines");
    let mut text = String::new();
    for number in 0..1500_u64 {
        let word = number * 2_654_435_761 % 1000;
        let long = if number % 500 == 7 { "x".repeat(9000) } else { String::new() };
        writeln!(text, "{} {word} {}{long}", word % 30, number % 11).unwrap();
    }
    text += "last without its end";
    dir.write("in", &text);
    for flags in
        [&[][..], &["-n", "-r"], &["-u", "-k2,2"], &["-k1,1n", "-k3,3r", "-s"], &["-u", "-r"]]
    {
        let oracle = dir.program("sort", &[flags, &["in", "-o", "oracle"]].concat());
        oracle.env("LC_ALL", "C").ok();
        assert!(by_runs(&dir, flags, "5000") == dir.read("oracle"), "not as sort {flags:?}");
    }
}

/// The bytes of words as `12 MiB of sorted runs`.
fn of_size(words: &str) -> f64 {
    let words: Vec<&str> = words.split(' ').collect();
    let unit = ["B", "KiB", "MiB", "GiB"].iter().position(|unit| *unit == words[1]).unwrap();
    words[0].parse::<f64>().unwrap() * 1024_f64.powi(i32::try_from(unit).unwrap())
}

#[test]
fn the_limit_is_kept() {
    let dir = Dir::new("ms-limit");
    for (kind, name, words) in
        [("u64", "keys", "20000000"), ("record:100:10", "records", "1600000")]
    {
        dir.dcomp(&["generate", name, "--count", words, "-o", "in", "-q", "--force"]).ok();
        for ranks in [1, 2] {
            let words = ["mergesort", "in", "--type", kind, "--memory", "64M", "-o", "out"];
            dir.dcomp(&[&words[..], &["-q", "--force"]].concat()).ranks(ranks).ok();
            let record = dir.json("out.json");
            assert_eq!(record["details"]["external"], true);
            let peak = record["peak_rss_bytes"]["max"].as_u64().unwrap();
            assert!(peak <= (64 << 20) / 20 * 21, "{peak} bytes for {kind} on {ranks} ranks");
            let io = |key: &str| record["io"][key].as_f64().unwrap();
            let ratio = (io("bytes_read") + io("bytes_written")) / io("bytes_needed");
            assert!((0.99..1.02).contains(&ratio), "{ratio} of the bytes that are needed");
            // The least is that what exceeds memory goes to the disk once, and comes back.
            let (details, most) = (&record["details"], if ranks == 1 { 1.03 } else { 1.07 });
            let ratio = details["disk_ratio"].as_f64().unwrap();
            assert!((1.0..most).contains(&ratio), "{ratio} of the least on {ranks} ranks, {kind}");
            let runs = details["run_bytes"].as_u64().unwrap();
            let told =
                dir.dcomp(&[&words[..], &["--dry-run", "--force"]].concat()).ranks(ranks).ok();
            let line = told.stdout.lines().find(|line| line.contains("of sorted runs"));
            let told = of_size(line.unwrap().split(": ").nth(1).unwrap());
            let off = (told - runs as f64).abs() / runs as f64;
            assert!(off < 0.1, "{told} bytes of runs told, {runs} made");
        }
    }
}

#[test]
fn a_full_scratch_disk_is_told() {
    if !can_mount("a full scratch disk") {
        return;
    }
    let dir = Dir::new("ms-full");
    generate(&dir, "uniform", "500000");
    let disk = SmallDisk::mount(&dir, "size=2M");
    let words = ["mergesort", "in", "--type", "u64", "-q", "-o", "out", "--scratch", "disk"];
    for ranks in [None, Some(3)] {
        // Before anything is read, when the room can be reserved ...
        let run = dir.dcomp(&words).ranks_or_alone(ranks).env("DCOMP_RUN_BYTES", "100000");
        run.fails(74).says("sorted runs in disk").says("No space left on device");
        // ... in the middle, when nobody knows how much there will be.
        let packed = dir.dcomp(&[&words[..], &["--compress-temp"]].concat());
        let packed = packed.ranks_or_alone(ranks).env("DCOMP_RUN_BYTES", "100000");
        packed.fails(74).says("of a sorted run in disk").says("No space left on device");
        assert_eq!(disk.names(), Vec::<String>::new());
        assert_eq!(dir.names(), ["disk", "in", "in.json", "out.json"]);
    }
}

#[test]
fn a_missing_scratch_directory_is_told() {
    let dir = Dir::new("ms-nowhere");
    generate(&dir, "uniform", "5000");
    let words = ["mergesort", "in", "--type", "u64", "-o", "out", "--scratch", "nowhere"];
    let run = dir.dcomp(&words).ranks(2).env("DCOMP_RUN_BYTES", "1000");
    run.fails(74).says("scratch file in nowhere");
}

/// Jobs that share a scratch directory, and one that is killed there, leave each other alone.
#[test]
fn jobs_share_a_scratch_directory() {
    let dir = Dir::new("ms-shared");
    generate(&dir, "uniform", "300000");
    std::fs::create_dir(dir.path("scratch")).unwrap();
    let words = |out| ["mergesort", "in", "--type", "u64", "-q", "--scratch", "scratch", "-o", out];
    let start = |out: &'static str| {
        let run = dir.dcomp(&words(out)).ranks(2).env("DCOMP_RUN_BYTES", "50000");
        run.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut jobs = [start("a"), start("b"), start("killed")];
    std::thread::sleep(Duration::from_millis(400));
    let victim = nix::unistd::Pid::from_raw(i32::try_from(jobs[2].id()).unwrap());
    nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGTERM).ok();
    for (job, killed) in jobs.iter_mut().zip([false, false, true]) {
        let code = job.wait().unwrap();
        assert!(killed || code.success(), "{code}");
    }
    assert!(dir.read("a") == dir.read("b"));
    let record: Value = dir.json("a.json");
    assert_eq!(record["outcome"], "ok");
    assert_eq!(std::fs::read_dir(dir.path("scratch")).unwrap().count(), 0);
}
