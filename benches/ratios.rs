//! `make bench`: how far the program is from its limits, measured in one run on one machine.
//!
//! Kernels take turns with each other and with the arithmetic limit; whole runs take turns too.
//! All figures are medians of at least five with the smallest and largest beside them; compare ratios, not
//! seconds, because machines are shared and noisy.
#![expect(clippy::print_stdout, reason = "a table is its purpose")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use dcomp::mandelbrot::kernel::limit::{Mix, iterations_per_s};
use dcomp::mandelbrot::kernel::{Isa, Lattice, NOT_ESCAPED, Skips, Window, iterate};
use dcomp::num::to_f64;
use serde_json::Value;

const TURNS: usize = 5;

/// Short runs on a shared machine: more turns for a steadier median.
const SCALING_TURNS: usize = 15;

/// The median, the smallest and the largest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1])
}

fn main() {
    // `cargo test --benches` asks for a test run; this program has none.
    if std::env::args().any(|word| word == "--test" || word == "--list") {
        return;
    }
    kernels();
    let scratch = std::env::temp_dir().join(format!("dcomp-ratios-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a scratch directory");
    processes(&scratch);
    scaling(&scratch);
    std::fs::remove_dir_all(&scratch).expect("the scratch directory goes");
}

/// Iterations per second and core on the default view, -n 10000, all skips off, and the limit.
fn kernels() {
    let window = Window::whole(640, 480);
    let lattice = Lattice { re0: -2.5, re_step: 3.5 / 640.0, im0: -1.0, im_step: 2.0 / 480.0 };
    let run = |isa: Isa| {
        let (start, mut total) = (Instant::now(), 0_u64);
        iterate(isa, window.points(lattice), 10_000, Skips::NONE, |_, pixel| {
            let steps = if pixel.steps == NOT_ESCAPED { 10_000 } else { pixel.steps };
            total += u64::from(steps);
        });
        to_f64(black_box(total)) / start.elapsed().as_secs_f64()
    };
    let isas: Vec<Isa> = Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect();
    let mut rates = vec![Vec::new(); isas.len()];
    let mut limits = vec![Vec::new(); isas.len()];
    for _ in 0..TURNS {
        for (at, &isa) in isas.iter().enumerate() {
            rates[at].push(run(isa));
            limits[at].extend(iterations_per_s(isa, Mix::Plain));
        }
    }
    println!("kernels: default view, 10000 iterations, no skips, one core");
    println!("kernel      Giter/s (min..max)       x reference   of the limit (Giter/s)");
    let reference = spread(&rates[0]).0;
    for (at, isa) in isas.iter().enumerate() {
        let (rate, least, most) = spread(&rates[at]);
        let limit = if limits[at].is_empty() {
            "-".into()
        } else {
            let limit = spread(&limits[at]).0;
            format!("{:.3} ({:.2})", rate / limit, limit * 1e-9)
        };
        println!(
            "{isa:<10} {:6.3} ({:.3}..{:.3})   {:8.2}        {limit}",
            rate * 1e-9,
            least * 1e-9,
            most * 1e-9,
            rate / reference
        );
    }
}

struct Whole {
    name: &'static str,
    ranks: Option<u32>,
    words: Vec<&'static str>,
}

impl Whole {
    fn new(name: &'static str, ranks: Option<u32>, words: &str) -> Self {
        let words = words.to_owned().leak().split_whitespace().collect();
        Self { name, ranks, words }
    }

    /// Seconds of the whole process, launcher included.
    fn run(&self, scratch: &Path) -> f64 {
        let dcomp = env!("CARGO_BIN_EXE_dcomp");
        let mut command = match self.ranks {
            None => Command::new(dcomp),
            Some(ranks) => {
                let mut command = Command::new("mpirun");
                command.args(["-n", &ranks.to_string(), dcomp]);
                command
            }
        };
        command
            .args(&self.words)
            .current_dir(scratch)
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
            .stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().expect("the program starts");
        assert!(status.success(), "{}: {status}", self.name);
        start.elapsed().as_secs_f64()
    }
}

/// Whole processes: what a user waits for.
fn processes(scratch: &Path) {
    let runs = [
        Whole::new("--help", None, "--help"),
        Whole::new("--version", None, "--version"),
        Whole::new("mandelbrot --dry-run", None, "mandelbrot --dry-run --force"),
        Whole::new("default picture, 2 threads", None, "mandelbrot --force --threads 2"),
        Whole::new("default picture, 64 ranks", Some(64), "mandelbrot --force -q"),
    ];
    let mut times = vec![Vec::new(); runs.len()];
    for _ in 0..TURNS {
        for (at, run) in runs.iter().enumerate() {
            times[at].push(run.run(scratch));
        }
    }
    println!("\nwhole processes, seconds");
    for (run, times) in runs.iter().zip(&times) {
        let (median, least, most) = spread(times);
        println!("{:<28} {median:8.4} ({least:.4}..{most:.4})", run.name);
    }
}

/// Efficiency of two ranks: 4096 x 3072, 10000 iterations, both under the launcher.
fn scaling(scratch: &Path) {
    let words = "mandelbrot -W 4096 -H 3072 -n 10000 --force -q --record run.json";
    let one = Whole::new("1 rank", Some(1), words);
    let two = Whole::new("2 ranks", Some(2), words);
    let record: PathBuf = scratch.join("run.json");
    let (mut ratios, mut process_ratios) = (Vec::new(), Vec::new());
    println!("\n4096 x 3072, 10000 iterations: busy / wall of each rank, and efficiency");
    for _ in 0..SCALING_TURNS {
        let whole_one = one.run(scratch);
        let (alone, _) = after_setup(&record);
        let whole_two = two.run(scratch);
        let (both, busy) = after_setup(&record);
        ratios.push(alone / (2.0 * both));
        process_ratios.push(whole_one / (2.0 * whole_two));
        println!(
            "1 rank {alone:.3} s, 2 ranks {both:.3} s, busy/wall {}",
            busy.iter().map(|share| format!("{share:.3}")).collect::<Vec<_>>().join(" ")
        );
    }
    for (what, values) in [("after MPI's start", &ratios), ("whole processes", &process_ratios)] {
        let (median, least, most) = spread(values);
        println!("efficiency T1 / (2 T2), {what}: {median:.3} ({least:.3}..{most:.3})");
    }
}

/// Seconds of all phases but setup, and each rank's busy share of them.
fn after_setup(record: &Path) -> (f64, Vec<f64>) {
    let text = std::fs::read(record).expect("the run's record");
    let record: Value = serde_json::from_slice(&text).expect("a record is JSON");
    let phases = record["phases"].as_array().expect("phases");
    let seconds: f64 =
        phases.iter().skip(1).map(|phase| phase["max_s"].as_f64().expect("seconds")).sum();
    let busy = record["per_rank"]["useful_s"].as_array().expect("ranks");
    (seconds, busy.iter().map(|rank| rank.as_f64().expect("seconds") / seconds).collect())
}
