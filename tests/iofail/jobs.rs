//! The small runs whose every I/O call is made to fail, three and more of each job.

use dcomp::num::mix64;

use crate::util::Dir;

/// A run, to be made in a directory that holds its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub name: &'static str,
    /// What follows `dcomp`, split at blanks.
    pub line: &'static str,
    pub variables: &'static [(&'static str, &'static str)],
    /// What it makes, the one after which its record is named first.
    pub outputs: &'static [&'static str],
    /// Whether what was there before is replaced.
    pub replaces: bool,
}

impl Job {
    const fn new(name: &'static str, line: &'static str, outputs: &'static [&'static str]) -> Self {
        Self { name, line, variables: &[], outputs, replaces: true }
    }

    const fn with(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }

    /// What it makes must be new.
    const fn new_only(self) -> Self {
        Self { replaces: false, ..self }
    }

    /// Where its record lies.
    pub fn record(&self) -> String {
        format!("{}.json", self.outputs[0])
    }
}

/// "Small" and "large" files are read in two ways; these have both.
const TINY: &[(&str, &str)] = &[("DCOMP_SMALL_BYTES", "40"), ("DCOMP_SPLIT_BYTES", "200")];

/// Sorts by runs of some bytes on the disk.
const RUNS: &[(&str, &str)] = &[("DCOMP_RUN_BYTES", "2048")];

/// The runs. `io_uring` is passed by: its calls are not the C library's.
pub const JOBS: [Job; 16] = [
    Job::new("mandelbrot-png", "mandelbrot -W 64 -H 48 -n 60 -o out.png", &["out.png"]),
    Job::new(
        "mandelbrot-hdf5",
        "mandelbrot -W 64 -H 48 -n 60 --palette viridis -o out.png --hdf5 raw.h5",
        &["out.png", "raw.h5"],
    ),
    Job::new("recolor", "recolor grid.h5 --palette viridis -o out.png", &["out.png"]),
    Job::new("counter-text", "counter-sort data --io openat -o sorted", &["sorted"]),
    Job::new(
        "counter-csv",
        "counter-sort --files-from list --io openat -o sorted --counts counts.csv",
        &["sorted", "counts.csv"],
    )
    .with(TINY),
    Job::new("counter-large", "counter-sort data --io openat -o sorted", &["sorted"]).with(TINY),
    Job::new(
        "counter-hdf5",
        "counter-sort data --name numbers_{}.txt --count 5 --io openat -o sorted.h5 \
         --output-format hdf5 --counts counts.h5",
        &["sorted.h5", "counts.h5"],
    ),
    Job::new("mergesort-memory", "mergesort keys --type u64 -o sorted", &["sorted"]),
    Job::new(
        "mergesort-disk",
        "mergesort keys --type u64 --scratch scratch -o sorted",
        &["sorted"],
    )
    .with(RUNS),
    Job::new(
        "mergesort-packed",
        "mergesort lines keys.txt --unique --compress-temp --scratch scratch -o sorted",
        &["sorted"],
    )
    .with(RUNS),
    Job::new("mergesort-hdf5", "mergesort keys.h5:/keys -o sorted.h5", &["sorted.h5"]),
    Job::new("mergesort-parts", "mergesort keys --type i64 --parts -o parts", &["parts"])
        .new_only(),
    Job::new("mergesort-lines", "mergesort lines keys.txt -o sorted", &["sorted"]),
    Job::new(
        "generate-files",
        "generate numbers --files 4 --per-file 9 --dirty 0.3 -o made",
        &["made", "made.planted.csv"],
    )
    .new_only(),
    Job::new(
        "generate-packed",
        "generate numbers --files 4 --per-file 9 --dirty 0.3 --packed -o made",
        &["made", "made.planted.csv"],
    ),
    Job::new("generate-keys", "generate keys --count 500 -o made", &["made"]),
];

/// Stops a run early, so that it leaves a checkpoint.
pub const STOP: (&str, &str) = ("DCOMP_STOP_AFTER", "3");

/// Runs with checkpoints, one at the first moment there is: a picture of several bands, counted files, and
/// sorts whose runs lie beside the checkpoints.
pub const SAVING: [Job; 4] = [
    Job::new(
        "saving-picture",
        "mandelbrot -W 64 -H 48 -n 60 -o out.png --hdf5 raw.h5 \
         --checkpoint saves --resume --checkpoint-every 1us",
        &["out.png", "raw.h5"],
    )
    .with(&[("DCOMP_BAND_PIXELS", "600")]),
    Job::new(
        "saving-counts",
        "counter-sort data --io openat -o sorted --checkpoint saves --resume --checkpoint-every 1us",
        &["sorted"],
    )
    .with(TINY),
    Job::new(
        "saving-keys",
        "mergesort keys --type u64 -o sorted --checkpoint saves --resume --checkpoint-every 1us",
        &["sorted"],
    )
    .with(RUNS),
    Job::new(
        "saving-lines",
        "mergesort lines keys.txt --unique --compress-temp -o sorted \
         --checkpoint saves --resume --checkpoint-every 1us",
        &["sorted"],
    )
    .with(RUNS),
];

/// Makes the inputs of all jobs.
pub fn inputs(dir: &Dir) {
    for folder in ["data", "data/deep", "scratch"] {
        std::fs::create_dir(dir.path(folder)).unwrap();
    }
    let number = |at: u64| (mix64(at) % 400).to_string();
    let text = |from: u64, count: u64| {
        (from..from + count).map(|at| number(at) + "\n").collect::<String>()
    };
    for file in 0..5 {
        dir.write(&format!("data/numbers_{file}.txt"), &text(100 * file, 3 + 30 * (file / 3)));
    }
    dir.write("data/deep/more", &text(900, 7));
    dir.write("list", "data/numbers_1.txt\ndata/numbers_4.txt\ndata/deep/more\n");
    dir.write("lines", &text(2000, 300));
    dir.write("keys.txt", "the last line does not end");
    let keys: Vec<u8> = (0..1500).flat_map(|at| mix64(at % 1000).to_le_bytes()).collect();
    std::fs::write(dir.path("keys"), keys).unwrap();
    for line in [
        "mandelbrot -W 64 -H 48 -n 60 --palette viridis --hdf5 grid.h5 --record r.json -q",
        "mergesort --generate uniform --count 700 -o keys.h5 --record r.json --force -q",
    ] {
        dir.dcomp(&line.split_whitespace().collect::<Vec<_>>()).ok();
    }
    for rest in ["mandelbrot.png", "r.json"] {
        std::fs::remove_file(dir.path(rest)).unwrap();
    }
}
