//! `make bench`: counter-sort beside other ways to do the same, in turns, in one run.
//!
//! The files are made once under `target/bench-files`, or the directory `DCOMP_BENCH_DIR`
//! (`DCOMP_BENCH_FILES` of them, 100 000 unless told).
//! Compared are whole processes on two ranks with: a loop that only opens, reads and closes the same
//! files on two threads; a Python program that counts lines in a dictionary, plain and with a pool of
//! two; `find | xargs cat | sort -n`. Then one packed file, random 64-bit values, and, where the
//! system lets root drop its caches, cold files. Medians of five, ratios of them. With
//! `DCOMP_BENCH_ALONE` set, the slow peers are left out; `DCOMP_BENCH_PARTS` names some of small, packed,
//! sparse and cold.
#![expect(clippy::print_stdout, reason = "a table is its purpose")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

const TURNS: usize = 5;

const PYTHON: &str = r#"
import collections, multiprocessing, os, sys

def count(paths):
    counts = collections.Counter()
    for path in paths:
        with open(path) as lines:
            counts.update(lines)
    return counts

if __name__ == "__main__":
    folder, workers, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    paths = [entry.path for entry in os.scandir(folder)]
    if workers == 1:
        counts = count(paths)
    else:
        step = len(paths) // (8 * workers) + 1
        parts = [paths[at:at + step] for at in range(0, len(paths), step)]
        counts = collections.Counter()
        with multiprocessing.Pool(workers) as pool:
            for part in pool.imap_unordered(count, parts):
                counts.update(part)
    with open(out, "w") as file:
        for line in sorted(counts, key=int):
            file.write(line * counts[line])
"#;

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Bench {
    scratch: PathBuf,
}

/// A way to do it: its name, and what runs it.
type Way<'a> = (&'a str, Box<dyn Fn() + 'a>);

impl Bench {
    fn shell(&self, line: &str) {
        let status = Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.scratch)
            .env("DCOMP", env!("CARGO_BIN_EXE_dcomp"))
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("a shell");
        assert!(status.success(), "{line}: {status}");
    }

    fn record(&self) -> Value {
        let text = std::fs::read(self.scratch.join("out.txt.json")).expect("the run's record");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn phase(&self, name: &str) -> f64 {
        let record = self.record();
        let phases = record["phases"].as_array().expect("phases").clone();
        phases.iter().find(|phase| phase["name"] == name).expect("listed")["max_s"]
            .as_f64()
            .expect("seconds")
    }
}

/// Runs all ways in turns; prints medians and how many times as long as the last one they take.
fn compare(title: &str, ways: &[Way<'_>]) {
    let mut seconds = vec![Vec::new(); ways.len()];
    for _ in 0..TURNS {
        for ((_, run), times) in ways.iter().zip(&mut seconds) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let medians: Vec<f64> = seconds.iter_mut().map(|times| median(times)).collect();
    let base = *medians.last().expect("at least one way");
    println!("\n{title}");
    for (((name, _), seconds), times) in ways.iter().zip(&medians).zip(&seconds) {
        println!(
            "  {name:<52} {seconds:9.3} s ({:.3} .. {:.3})  {:7.2} x",
            times[0],
            times[times.len() - 1],
            seconds / base
        );
    }
}

/// Opens, reads and closes files on two threads, and nothing else.
fn only_read(folder: &Path, files: u64) {
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                for file in (files * thread / 2)..(files * (thread + 1) / 2) {
                    let path = folder.join(format!("numbers_{file}.txt"));
                    let read = File::open(path).and_then(|mut file| file.read(&mut buffer));
                    assert!(read.expect("a file of the set") > 0);
                }
            });
        }
    });
}

fn main() {
    // `cargo test --benches` asks for a test run; this program has none.
    if std::env::args().any(|word| word == "--test" || word == "--list") {
        return;
    }
    let wanted = std::env::var("DCOMP_BENCH_FILES").ok().and_then(|text| text.parse().ok());
    let files: u64 = wanted.unwrap_or(100_000);
    let scratch = std::env::var_os("DCOMP_BENCH_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-files"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&scratch).expect("a scratch directory");
    std::fs::write(scratch.join("count.py"), PYTHON).expect("a script");
    let bench = Bench { scratch };
    let folder = format!("f{files}");
    if !bench.scratch.join(&folder).is_dir() {
        bench.shell(&format!("\"$DCOMP\" generate numbers --files {files} -o {folder} --quiet"));
    }
    let parts = std::env::var("DCOMP_BENCH_PARTS");
    let wanted =
        |part: &str| parts.as_ref().map_or(true, |parts| parts.split(',').any(|p| p == part));
    if wanted("small") {
        small_files(&bench, &folder, files);
    }
    if wanted("packed") {
        packed(&bench, files);
    }
    if wanted("sparse") {
        sparse(&bench);
    }
    if wanted("cold") {
        cold(&bench);
    }
}

fn small_files(bench: &Bench, folder: &str, files: u64) {
    let sort = |flags: &str| {
        format!("mpirun -n 2 \"$DCOMP\" counter-sort {flags} -o out.txt --force --quiet")
    };
    let named = sort(&format!("{folder} --name 'numbers_{{}}.txt' --count {files}"));
    let ring = sort(&format!("{folder} --io uring"));
    let plain = sort(folder);
    let alone = format!("\"$DCOMP\" counter-sort {folder} -o out.txt --force --quiet");
    let find = format!(
        "find {folder} -type f -print0 | xargs -0 cat | LC_ALL=C sort -n --parallel=2 > sorted.txt"
    );
    let place = bench.scratch.join(folder);
    let peers = std::env::var_os("DCOMP_BENCH_ALONE").is_none();
    let mut ways: Vec<Way<'_>> = Vec::new();
    if peers {
        ways.push(("find | xargs cat | sort -n --parallel=2", Box::new(|| bench.shell(&find))));
        let python = |workers| bench.shell(&format!("python3 count.py {folder} {workers} py.txt"));
        ways.push(("Python, lines in a dictionary", Box::new(move || python(1))));
        ways.push(("Python, pool of 2", Box::new(move || python(2))));
    }
    let own: Vec<Way<'_>> = vec![
        ("dcomp, 2 ranks, directory", Box::new(|| bench.shell(&plain))),
        ("dcomp, 2 ranks, names by a template", Box::new(|| bench.shell(&named))),
        ("dcomp, 2 ranks, directory, --io uring", Box::new(|| bench.shell(&ring))),
        ("dcomp, 2 threads, no launcher", Box::new(|| bench.shell(&alone))),
        ("mpirun -n 2 true", Box::new(|| bench.shell("mpirun -n 2 true"))),
        ("only open, read, close: 2 threads", Box::new(|| only_read(&place, files))),
    ];
    ways.extend(own);
    compare(&format!("{files} files of 100 integers, warm, whole processes"), &ways);
    if peers {
        bench.shell("cmp out.txt sorted.txt && cmp out.txt py.txt");
        println!("  all outputs are the same bytes");
    }
    let (mut read, mut compute, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        let start = Instant::now();
        only_read(&place, files);
        read.push(start.elapsed().as_secs_f64());
        bench.shell(&named);
        compute.push(bench.phase("compute"));
        peak = peak.max(bench.record()["peak_rss_bytes"]["max"].as_u64().unwrap_or(0));
    }
    let (read, compute) = (median(&mut read), median(&mut compute));
    #[expect(clippy::cast_precision_loss, reason = "a count of files")]
    let count = files as f64;
    println!(
        "  reading and counting alone: {:.2} us a file, the loop {:.2}: {:.2} x; peak {} MB a rank",
        1e6 * compute / count,
        1e6 * read / count,
        compute / read,
        peak >> 20
    );
}

fn packed(bench: &Bench, files: u64) {
    bench.shell(&format!(
        "[ -f packed{files}.txt ] || \"$DCOMP\" generate numbers --files {files} --packed -o \
         packed{files}.txt --quiet"
    ));
    let line =
        format!("mpirun -n 2 \"$DCOMP\" counter-sort packed{files}.txt -o out.txt --force --quiet");
    let mut rates: Vec<f64> = (0..TURNS)
        .map(|_| {
            bench.shell(&line);
            let bytes = bench.record()["input"][0]["bytes"].as_f64().expect("bytes");
            bytes / 1e9 / 2.0 / bench.phase("compute")
        })
        .collect();
    println!(
        "\none packed text file, 2 ranks: {:.2} GB/s a rank, parsed and counted",
        median(&mut rates)
    );
}

fn sparse(bench: &Bench) {
    let (min, max) = (i64::MIN, i64::MAX);
    bench.shell(&format!(
        "[ -f sparse.txt ] || \"$DCOMP\" generate numbers --files 1000 --per-file 10000 --min={min} \
         --max={max} --packed -o sparse.txt --quiet"
    ));
    let sort = "mpirun -n 2 \"$DCOMP\" counter-sort sparse.txt -o out.txt --force --quiet";
    let gnu = "LC_ALL=C sort -n --parallel=2 sparse.txt > sorted.txt";
    let ways: Vec<Way<'_>> = vec![
        ("GNU sort -n --parallel=2", Box::new(|| bench.shell(gnu))),
        ("dcomp, 2 ranks", Box::new(|| bench.shell(sort))),
    ];
    compare("10^7 random 64-bit integers in one file", &ways);
    bench.shell("cmp out.txt sorted.txt");
}

fn cold(bench: &Bench) {
    let drop = || std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok();
    if !drop() {
        println!("\ncold files: not measured, caches cannot be dropped here");
        return;
    }
    bench.shell("[ -d cold ] || \"$DCOMP\" generate numbers --files 10000 -o cold --quiet; sync");
    let run = |flags: &str| {
        drop();
        bench.shell(&format!(
            "\"$DCOMP\" counter-sort cold --threads 1 {flags} -o out.txt --force --quiet"
        ));
    };
    let ways: Vec<Way<'_>> = vec![
        ("--io openat, 1 thread", Box::new(|| run(""))),
        ("--io uring, 1 thread", Box::new(|| run("--io uring"))),
    ];
    compare("10 000 cold files (this system's cache dropped before each run)", &ways);
}
