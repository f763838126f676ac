//! `make bench`: mergesort beside other ways to do the same, in turns, in one run; medians of five.
//!
//! `patterns`: the sort's own seconds (`sort_s`) for 2^23 u64 keys of every pattern on two ranks, as
//! multiples of those for uniform keys, with bytes sent over bytes that had to move, the ranks' imbalance
//! and peak memory over the rank's input. `local`: the vector sort beside the standard library's, in this
//! process. `merges`: sorted runs in a chunk as `mergesort` has them, merged by a tree and sorted again,
//! which is where the constants of `form/keys.rs` come from. `text` and `external`: whole processes beside
//! GNU sort with two threads, external with a quarter of the data as memory for either. `DCOMP_BENCH_PARTS`
//! names some of these; files of `DCOMP_BENCH_BYTES` (10^9) lie under `target/bench-files` or
//! `DCOMP_BENCH_DIR`.
#![expect(clippy::print_stdout, reason = "a table is its purpose")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use dcomp::generate::keys::{KeySource, Pattern};
use dcomp::mergesort::merge;
use dcomp::mergesort::vector::{self, Isa};
use dcomp::num::{len_f64, mix64, to_f64, to_u64, to_usize};
use serde_json::Value;

const TURNS: usize = 5;

/// Keys of the patterns: few enough for whole processes, too many for the caches.
const KEYS: u64 = 1 << 23;

/// Blocks of patterns that speak of processors.
const BLOCKS: u64 = 64;

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Bench {
    scratch: PathBuf,
    bytes: u64,
}

impl Bench {
    fn shell(&self, line: &str) {
        let status = Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.scratch)
            .env("DCOMP", env!("CARGO_BIN_EXE_dcomp"))
            .env("LC_ALL", "C")
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("a shell");
        assert!(status.success(), "{line}: {status}");
    }

    fn sort(&self, flags: &str) {
        self.shell(&format!("mpirun -n 2 \"$DCOMP\" mergesort {flags} -o out --force --quiet"));
    }

    fn record(&self) -> Value {
        let text = std::fs::read(self.scratch.join("out.json")).expect("the run's record");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Whole processes in turns: medians, and how many times as long as the last one they take.
    fn compare(&self, title: &str, ways: &[(&str, &str)]) {
        let mut seconds = vec![Vec::new(); ways.len()];
        for _ in 0..TURNS {
            for ((_, line), times) in ways.iter().zip(&mut seconds) {
                let start = Instant::now();
                self.shell(line);
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let medians: Vec<f64> = seconds.iter_mut().map(|times| median(times)).collect();
        let base = medians[medians.len() - 1];
        println!("\n{title}");
        for (((name, _), times), middle) in ways.iter().zip(&seconds).zip(&medians) {
            let (least, most) = (times[0], times[TURNS - 1]);
            let ratio = middle / base;
            println!("  {name:<44} {middle:8.3} s ({least:.3} .. {most:.3})  {ratio:6.2} x");
        }
    }
}

/// What one run's record tells about its pattern.
#[derive(Default)]
struct Seen {
    sort_s: Vec<f64>,
    sent: f64,
    needed: f64,
    imbalance: f64,
    peak: f64,
}

impl Seen {
    fn add(&mut self, record: &Value) {
        let number = |pointer: &str| record.pointer(pointer).and_then(Value::as_f64);
        let number = |pointer: &str| number(pointer).unwrap_or_else(|| panic!("{pointer}"));
        self.sort_s.push(number("/details/sort_s"));
        self.sent = number("/comm/bytes_sent");
        self.needed = number("/comm/bytes_needed");
        self.imbalance = self.imbalance.max(number("/details/imbalance_records"));
        self.peak = self.peak.max(number("/peak_rss_bytes/max"));
    }
}

fn patterns(bench: &Bench) {
    let mut all: Vec<(&str, Seen)> =
        Pattern::ALL.iter().map(|pattern| (pattern.name(), Seen::default())).collect();
    for _ in 0..TURNS {
        for (name, seen) in &mut all {
            bench.sort(&format!("--generate {name} --count {KEYS} --blocks {BLOCKS}"));
            seen.add(&bench.record());
        }
    }
    // A run of one key: what a rank takes before it has any input.
    bench.sort("--generate uniform --count 1");
    let mut nothing = Seen::default();
    nothing.add(&bench.record());
    println!(
        "\n2^23 u64 keys of each pattern, 2 ranks; rows: sort_s, its ratio to that of uniform keys,"
    );
    println!(
        "bytes sent over bytes that had to move, records between ranks, peak memory over input"
    );
    let uniform = median(&mut all[0].1.sort_s);
    let mut worst = ("", 0.0);
    for (name, seen) in &mut all {
        let sort_s = median(&mut seen.sort_s);
        let ratio = sort_s / uniform;
        if ratio > worst.1 {
            worst = (*name, ratio);
        }
        let wire = match seen.needed {
            0.0 => format!("{} B of none", seen.sent),
            needed => format!("{:.4}", seen.sent / needed),
        };
        let memory = (seen.peak - nothing.peak) / to_f64(KEYS * 8 / 2);
        println!(
            "  {name:<16} {sort_s:.4} s {ratio:6.2} x  wire {wire:<16} imbalance {}  memory {memory:.2}",
            seen.imbalance
        );
    }
    println!("  worst over uniform: {} with {:.2} x", worst.0, worst.1);
}

fn local() {
    println!("\n2^23 u64 keys of each pattern in one process, one core: million keys/s");
    let isa = Isa::best();
    let mut ratios = Vec::new();
    for pattern in Pattern::ALL {
        let source = KeySource::new(pattern, KEYS, BLOCKS, 1).expect("valid parameters");
        let mut keys = vec![0; to_usize(KEYS)];
        source.fill(0, &mut keys);
        let mut work = keys.clone();
        let mut time = |sort: &dyn Fn(&mut [u64])| {
            work.copy_from_slice(&keys);
            let start = Instant::now();
            sort(&mut work);
            start.elapsed().as_secs_f64()
        };
        let (mut ours, mut std) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(time(&|keys| vector::sort(isa, keys)));
            std.push(time(&|keys| keys.sort_unstable()));
        }
        let (ours, std) = (median(&mut ours), median(&mut std));
        ratios.push(std / ours);
        let rate = |seconds: f64| to_f64(KEYS) / seconds / 1e6;
        println!(
            "  {:<16} {isa} {:8.1}, sort_unstable {:8.1}: {:6.2} x",
            pattern.name(),
            rate(ours),
            rate(std),
            std / ours
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("  from {:.2} x to {:.2} x", ratios[0], ratios[ratios.len() - 1]);
}

/// Nanoseconds a key of a chunk of 1 MiB in so many sorted runs, by a tree and by sorting with each
/// instruction set.
fn merges_of<K: merge::Key + vector::Key>(key: impl Fn(u64) -> K) {
    const CHUNK_BYTES: usize = 1 << 20;
    let count = CHUNK_BYTES / size_of::<K>();
    println!("\n{} keys of {} bytes in sorted runs: ns a key", count, size_of::<K>());
    for runs in [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048] {
        let mut keys: Vec<K> = (0..to_u64(count)).map(&key).collect();
        let length = count.div_ceil(runs);
        keys.chunks_mut(length).for_each(<[K]>::sort_unstable);
        let runs: Vec<&[K]> = keys.chunks(length).collect();
        let mut out = keys.clone();
        let mut time = |work: &dyn Fn(&mut [K])| {
            let mut times: Vec<f64> = (0..4 * TURNS)
                .map(|_| {
                    let start = Instant::now();
                    work(&mut out);
                    start.elapsed().as_secs_f64() * 1e9 / len_f64(count)
                })
                .collect();
            median(&mut times)
        };
        print!("  {:5} runs: tree {:6.2}", runs.len(), time(&|out| merge::merge(&runs, out)));
        for isa in Isa::available() {
            let again = time(&|out| {
                out.copy_from_slice(&keys);
                vector::sort(isa, out);
            });
            print!("   {isa} {again:6.2}");
        }
        println!();
    }
}

fn merges() {
    merges_of::<u64>(mix64);
    merges_of::<u32>(|at| u32::try_from(mix64(at) >> 32).expect("32 bits"));
}

/// A text of random lines of 8 to 71 letters, made once.
fn text_file(path: &Path, bytes: u64) {
    if path.metadata().is_ok_and(|meta| meta.len() >= bytes) {
        return;
    }
    let mut file = BufWriter::new(File::create(path).expect("a text"));
    let mut written = 0;
    for line in 0.. {
        if written >= bytes {
            break;
        }
        let length = 8 + mix64(line << 8) % 64;
        let mut text = Vec::with_capacity(72);
        for at in 0..length {
            let word = mix64(line << 8 | (1 + at / 8));
            text.push(b'a' + word.to_le_bytes()[to_usize(at % 8)] % 26);
        }
        text.push(b'\n');
        file.write_all(&text).expect("room for a text");
        written += length + 1;
    }
    file.flush().expect("room for a text");
}

fn text(bench: &Bench) {
    let name = format!("text-{}", bench.bytes);
    text_file(&bench.scratch.join(&name), bench.bytes);
    let gnu = format!("sort --parallel=2 {name} -o sorted");
    let ours = format!("mpirun -n 2 \"$DCOMP\" mergesort {name} -o out --force --quiet");
    let ways = [("GNU sort --parallel=2", gnu.as_str()), ("dcomp, 2 ranks", ours.as_str())];
    bench.compare(&format!("{} bytes of lines", bench.bytes), &ways);
    bench.shell("cmp out sorted");
    println!("  the outputs are the same bytes; records/s by the run itself: {}", {
        bench.record()["details"]["records_per_s"].as_f64().map_or(0.0, f64::round)
    });
}

fn external(bench: &Bench) {
    let count = bench.bytes / 100;
    let name = format!("records-{count}");
    bench.shell(&format!(
        "[ -f {name} ] || \"$DCOMP\" generate records --ascii --count {count} -o {name} --quiet"
    ));
    let memory = bench.bytes / 4;
    let gnu = format!("sort --parallel=2 -S {memory}b -s -k 1.1,1.10 {name} -o sorted");
    let ours = format!(
        "mpirun -n 2 \"$DCOMP\" mergesort {name} --type record:100:10 --memory {} -o out --force \
         --quiet",
        memory / 2
    );
    let ways = [("GNU sort -S, --parallel=2", gnu.as_str()), ("dcomp, 2 ranks", ours.as_str())];
    bench.compare(&format!("{count} records of 100 bytes in a quarter of their memory"), &ways);
    bench.shell("cmp out sorted");
    let record = bench.record();
    let peak = record["peak_rss_bytes"]["max"].as_f64().unwrap_or(0.0);
    println!(
        "  the outputs are the same bytes; external: {}; peak {:.2} of --memory",
        record["details"]["external"],
        peak / to_f64(memory / 2)
    );
}

fn main() {
    // `cargo test --benches` asks for a test run; this program has none.
    if std::env::args().any(|word| word == "--test" || word == "--list") {
        return;
    }
    let scratch = std::env::var_os("DCOMP_BENCH_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-files"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&scratch).expect("a scratch directory");
    let bytes = std::env::var("DCOMP_BENCH_BYTES").ok().and_then(|text| text.parse().ok());
    let bench = Bench { scratch, bytes: bytes.unwrap_or(1_000_000_000) };
    let parts = std::env::var("DCOMP_BENCH_PARTS");
    let wanted =
        |part: &str| parts.as_ref().map_or(true, |parts| parts.split(',').any(|p| p == part));
    if wanted("patterns") {
        patterns(&bench);
    }
    if wanted("local") {
        local();
    }
    if wanted("merges") {
        merges();
    }
    if wanted("text") {
        text(&bench);
    }
    if wanted("external") {
        external(&bench);
    }
}
