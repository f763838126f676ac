//! What a user can type: help without MPI, and mistakes that are told by name.

use crate::util::Dir;

/// A launcher's variables without a launcher: `MPI_Init` would fail or hang here.
const NO_SERVER: [(&str, &str); 4] = [
    ("OMPI_COMM_WORLD_SIZE", "4"),
    ("OMPI_COMM_WORLD_RANK", "0"),
    ("PMIX_RANK", "0"),
    ("PMIX_NAMESPACE", "nobody"),
];

#[test]
fn help_version_dry_run_and_mistakes_never_start_mpi() {
    let dir = Dir::new("help");
    for (words, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["mandelbrot", "--help"], 0),
        (&["mandelbrot", "--dry-run"], 0),
        (&["mergesort", "--help"], 0),
        (&["mergesort", "--generate", "uniform", "--count", "9", "--dry-run"], 0),
        (&["mergesort", "in", "--type", "u63"], 2),
        (&["mandelbrot", "--palette", "nonesuch"], 2),
        (&["mandelbrot", "-W", "0"], 2),
        (&["nonesuch"], 2),
        (&[], 2),
    ] {
        let mut run = dir.dcomp(words).limit_s(10);
        for (name, value) in NO_SERVER {
            run = run.env(name, value);
        }
        run.fails(code);
    }
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn dry_run_tells_values_and_sources() {
    let dir = Dir::new("dry");
    dir.write("a.toml", "job = \"mandelbrot\"\nheight = 30\nwidth = 20\n");
    let said = dir
        .dcomp(&["mandelbrot", "--deck", "a.toml", "-W", "99", "--dry-run", "--hdf5", "raw.h5"])
        .env("DCOMP_PALETTE", "viridis")
        .ok()
        .stdout;
    for part in [
        "width = 99",
        "(flag)",
        "height = 30",
        "(deck a.toml)",
        "palette = \"viridis\"",
        "(environment)",
        "max_iterations = 1000",
        "(default)",
        "memory per rank",
        "fits",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert_eq!(dir.names(), ["a.toml"]);
}

/// Each mistake ends with code 2 and a sentence that names the flag and the next step, alone and
/// under a launcher, where one rank tells it.
#[test]
fn mistakes_are_named() {
    let dir = Dir::new("mistakes");
    for (words, named, next) in [
        (&["-W", "0"][..], "--width", "give 1 or more"),
        (&["-H", "0"], "--height", "give 1 or more"),
        (&["-W", "4000000000"], "--width", "give at most"),
        (&["-W", "99999999999"], "--width", "0..=4294967295"),
        (&["-W", "-5"], "--width", "0..=4294967295"),
        (&["-n", "0"], "--max-iterations", "give 1 to"),
        (&["-n", "4294967295"], "--max-iterations", "give 1 to"),
        (
            &["-W", "67108864", "-H", "2147483647", "-n", "4000000000"],
            "--max-iterations",
            "lower it",
        ),
        (&["--region", "1,-2,-1,1"], "--region", "re from, re to"),
        (&["--region", "NaN,1,-1,1"], "--region", "finite"),
        (&["--region", "1,2,3"], "--region", "4 are needed"),
        (&["--region", "a,2,3,4"], "--region", "`a` is not a number"),
        (&["--center", "0,0", "--zoom", "-1"], "--zoom", "above 0"),
        (&["--center", "0,0", "--zoom", "NaN"], "--zoom", "above 0"),
        (&["--center", "inf,0"], "--center", "finite"),
        (&["--zoom", "3"], "--zoom", "--center"),
        (&["--center", "0,0", "--region", "0,1,0,1"], "--region", "exclude"),
        (&["--center", "-0.75,0.1", "--zoom", "1e15"], "--zoom", "closer than f64 can tell apart"),
        (&["--palette", "virides"], "--palette", "viridis"),
        (&["--schedule", "magic"], "--schedule", "dynamic"),
        (&["--kernel", "mmx"], "--kernel", "portable"),
        (&["--depth", "12"], "--depth", "8 and 16"),
        (&["--threads", "0"], "--threads", "1..=1024"),
        (&["--hdf5", "./mandelbrot.png"], "--hdf5", "another name"),
        (&["--record", "./mandelbrot.png"], "--record", "another name"),
        (&["--hdf5", "mandelbrot.png.json"], "--hdf5", "another name"),
        (&["--region=-1e308,1e308,-1,1"], "--region", "finite"),
        (&["-o", "-"], "--output", "./-"),
        (&["-o", "new/"], "--output", "file name"),
        (&["-o", "/"], "--output", "file name"),
        (&["-o", "/dev/null", "--force"], "--output", "not a regular file"),
        (&["--record", "/dev/null", "--force"], "--record", "not a regular file"),
        (&["--widht", "3"], "--widht", "--width"),
    ] {
        let done = dir.dcomp(&[&["mandelbrot"], words].concat()).fails(2);
        assert!(done.stderr.contains(named) && done.stderr.contains(next), "{words:?}: {done:#?}");
    }
    dir.dcomp(&["mandelbrot", "-W", "0"]).ranks(4).fails(2).says("--width");
    dir.dcomp(&["mandelbrot", "--palette", "virides"]).ranks(4).fails(2).says("viridis`?");
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn mistakes_in_decks_are_named() {
    let dir = Dir::new("decks");
    for (text, named, next) in [
        ("widht = 3", "widht in a.toml", "did you mean width?"),
        ("width = 0", "width in a.toml", "give 1 or more"),
        ("width = -3", "width in a.toml", "u32"),
        ("width = \"x\"", "width in a.toml", "expected u32"),
        ("region = [1.0]", "region in a.toml", "4 are needed"),
        ("region = [0.0, nan, 0.0, 1.0]", "region in a.toml", "finite"),
        ("palette = \"nonesuch\"", "palette in a.toml", "classic"),
        ("this is not TOML", "a.toml is not TOML", "jobs/mandelbrot.toml"),
        ("job = \"mergesort\"", "a.toml", "mergesort"),
        ("output = \"no/x.png\"", "output in a.toml", "directory no"),
        ("threads = 0", "threads in a.toml", "1 or more"),
        ("threads = 5000", "threads in a.toml", "at most 1024"),
        ("max-iterations = 3\nmax_iterations = 4", "a.toml is given twice", "keep one"),
    ] {
        dir.write("a.toml", text);
        for ranks in [None, Some(2)] {
            let words = ["mandelbrot", "--deck", "a.toml"];
            let done = dir.dcomp(&words).ranks_or_alone(ranks).fails(2);
            done.says(named);
            assert!(done.stderr.contains(next), "{text}: {done:#?}");
        }
    }
    dir.write("a.toml", "width = 3");
    dir.dcomp(&["run", "a.toml"]).fails(2).says("names no job");
    dir.dcomp(&["run", "none.toml"]).ranks(2).fails(2).says("none.toml");
    dir.write("a.toml", "job = \"nonesuch\"");
    dir.dcomp(&["run", "a.toml"]).fails(2).says("nonesuch");
    assert_eq!(dir.names(), ["a.toml"]);
}

/// The help names every type and every flag that sort(1) has too; mistakes name flag and next step.
#[test]
fn mergesort_helps() {
    let dir = Dir::new("ms-usage");
    let said = dir.dcomp(&["mergesort", "--help"]).ok().stdout;
    for part in [
        "u32",
        "i64",
        "f64",
        "record:LEN:KEYLEN",
        "lines",
        "-r,",
        "-u,",
        "-n,",
        "-k,",
        "-t,",
        "-z,",
        "-s,",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    dir.write("in", "b\na\n");
    for (words, named, next) in [
        (&["in", "--type", "f16"][..], "--type", "f32, f64, record:LEN:KEYLEN and lines"),
        (&["in", "--type", "record:10"], "--type", "such as record:100:10"),
        (&["in", "--type", "record:0:0"], "--type", "1 <= KEYLEN"),
        (&["in", "--type", "record:8:4", "-k", "1"], "--key", "for --type lines"),
        (&["in", "--type", "u64", "-z"], "--zero-terminated", "for --type lines"),
        (&["in", "-k", "1d"], "--key", "1d"),
        (&["in", "-k", "2,x"], "--key", "2,x"),
        (&["in", "-t", ""], "--separator", "give one byte"),
        (&["in", "--memory", "1"], "--memory", "1M or more"),
        (&["in", "--generate", "uniform", "--count", "3"], "--generate", "exclude"),
        (&["--generate", "uniform"], "--generate", "--count"),
        (&["--count", "3"], "--count", "--generate"),
        (&["--generate", "unifrom", "--count", "3"], "--generate", "uniform"),
        (&["in", ""], "empty name", "remove it"),
    ] {
        let done = dir.dcomp(&[&["mergesort", "-o", "out"], words].concat()).fails(2);
        assert!(done.stderr.contains(named) && done.stderr.contains(next), "{words:?}: {done:#?}");
    }
    assert_eq!(dir.names(), ["in"]);
}

/// A lost output stream is no bug of dcomp and undoes no work.
#[test]
fn lost_streams_are_told_apart_from_bugs() {
    let dir = Dir::new("streams");
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    let shell = |script: &str| dir.program("bash", &["-c", script]);
    shell(&format!("{dcomp} mandelbrot --force > /dev/full")).fails(74).says("standard output");
    shell(&format!("set -o pipefail; {dcomp} mandelbrot --force | head -c 0")).ok();
    shell(&format!("{dcomp} mandelbrot -W 0 2> /dev/full")).fails(2);
}

/// What stands beside an output under its record's name, and is no record, is kept.
#[test]
fn files_that_are_no_records_are_kept() {
    let dir = Dir::new("precious");
    dir.write("mandelbrot.png.json", "precious");
    dir.dcomp(&["mandelbrot"]).fails(2).says("the record mandelbrot.png.json exists");
    assert_eq!(dir.read("mandelbrot.png.json"), b"precious");
    dir.dcomp(&["mandelbrot", "--hdf5", "raw.h5", "-o", "a.png"]).ok();
    for words in [["--record", "raw.h5", "-o", "b.png"], ["--record", "b.json", "-o", "./raw.h5"]] {
        let words = [&["recolor", "raw.h5", "--force"], &words[..]].concat();
        dir.dcomp(&words).fails(2).says("are one file");
    }
    dir.dcomp(&["verify", "raw.h5", "--record", "a.png.json"]).ok();
}

/// Outside a step, Slurm's task number is not a rank: nothing may be skipped.
#[test]
fn a_batch_task_is_no_rank() {
    let dir = Dir::new("task");
    let verify = dir.dcomp(&["verify", "nonesuch"]).env("SLURM_PROCID", "3");
    verify.fails(2).says("nonesuch");
}

/// `run DECK FLAGS...` takes the flags of the deck's job.
#[test]
fn flags_override_the_deck_of_run() {
    let dir = Dir::new("run");
    dir.write("a.toml", "job = \"mandelbrot\"\nheight = 30\nwidth = 20\n");
    dir.dcomp(&["run", "a.toml", "-W", "44", "--force"]).ranks(2).ok();
    let result = &dir.json("mandelbrot.png.json")["result"];
    assert_eq!((&result["width"], &result["height"]), (&44.into(), &30.into()));
    dir.dcomp(&["run", "a.toml", "--widht", "3"]).fails(2).says("--widht");
}

/// `srun` without an MPI plugin: eight programs that would write one file.
#[test]
fn srun_without_mpi_is_refused() {
    let dir = Dir::new("srun");
    let run = dir.dcomp(&["mandelbrot"]).env("SLURM_STEPID", "0");
    run.env("SLURM_STEP_NUM_TASKS", "8").fails(2).says("--mpi=pmix");
    assert_eq!(dir.names(), [""; 0]);
}

/// A log is not a terminal: no carriage return, no colour.
#[test]
fn logs_have_whole_lines_only() {
    let dir = Dir::new("log");
    let done = dir.dcomp(&["mandelbrot", "-W", "1000", "-H", "800", "-n", "50000"]).ok();
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    }
    assert!(done.stdout.contains("verified"));
}
