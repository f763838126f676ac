//! A rank that is stopped, a launcher that is killed, a job that is suspended: no process waits for ever,
//! and none is ended that could go on.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::util::{Dir, Run, processes_in, signal, signal_all, wait_for};

/// From the fault to the last process.
const END: Duration = Duration::from_secs(5);

/// What a start may take on a busy machine.
const START_S: u32 = 30;

fn picture(dir: &Dir, ranks: u32, more: &[&str]) -> Run {
    let words = ["mandelbrot", "-W", "400", "-H", "1000", "--force", "--hdf5", "raw.h5", "-q"];
    dir.dcomp(&[&words[..], more].concat()).ranks(ranks)
}

/// Starts the launcher itself, with no `timeout` between it and this test.
fn spawn(run: &Run) -> Child {
    let whole = run.command();
    let words: Vec<_> = whole.get_args().skip(2).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(whole.get_current_dir().unwrap());
    command.envs(whole.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Both part files are there: planning is over.
fn computing(dir: &Dir) -> Option<()> {
    let parts = dir.names().iter().filter(|name| name.ends_with(".part")).count();
    (parts == 2).then_some(())
}

fn message(dir: &Dir, record: &str) -> String {
    let record = dir.json(record);
    assert_eq!((&record["outcome"], &record["exit_code"]), (&"io".into(), &74.into()));
    record["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_stopped_rank_ends_the_run_within_the_timeout() {
    for (ranks, rank, phase) in [(4, 0, "compute"), (3, 2, "write"), (2, 1, "verify")] {
        let dir = Dir::new("stopped");
        dir.write("mandelbrot.png", "older output");
        let run = picture(&dir, ranks, &["--hang-timeout", "2s"]);
        let done =
            run.env("DCOMP_FAULT", &format!("stop:{rank}:{phase}")).limit_s(START_S).fails(74);
        let told = format!("rank {rank} (process ");
        done.says(&told).says("has been stopped for 2 s");
        wait_for(5, || processes_in(&dir.path("")).is_empty().then_some(()));
        assert_eq!(dir.names(), ["mandelbrot.png", "mandelbrot.png.failed.json"]);
        assert_eq!(dir.read("mandelbrot.png"), b"older output");
        assert!(message(&dir, "mandelbrot.png.failed.json").contains(&told));
    }
}

/// While MPI starts there is no memory that ranks share.
#[test]
fn a_rank_that_is_stopped_while_mpi_starts_ends_the_run() {
    let dir = Dir::new("stopped-early");
    let mut child = spawn(&picture(&dir, 3, &["--hang-timeout", "2s"]));
    let victim = wait_for(START_S, || processes_in(&dir.path("")).first().copied());
    signal(victim, Signal::SIGSTOP);
    let stopped = Instant::now();
    let status = child.wait().unwrap();
    assert!(!status.success());
    assert!(stopped.elapsed() < 2 * Duration::from_secs(2) + END, "{:?}", stopped.elapsed());
    wait_for(START_S, || processes_in(&dir.path("")).is_empty().then_some(()));
    assert!(dir.names().iter().all(|name| name == "mandelbrot.png.json"), "{:?}", dir.names());
}

#[test]
fn a_lost_launcher_leaves_no_process_and_no_half_made_file() {
    let script = "#!/bin/sh\n# Stays between the launcher and its rank.\n\"$@\"\nexit $?\n";
    for (ranks, wrapped) in [(1, false), (4, false), (3, true)] {
        let dir = Dir::new("launcher");
        let mut run = picture(&dir, ranks, &[]).env("DCOMP_FAULT", "stall:0:compute");
        if wrapped {
            dir.write("wrapper", script);
            run = run.through(&["/bin/sh", "wrapper"]);
        }
        let mut launcher = spawn(&run);
        wait_for(START_S, || computing(&dir));
        launcher.kill().unwrap();
        let killed = Instant::now();
        wait_for(START_S, || processes_in(&dir.path("")).is_empty().then_some(()));
        assert!(killed.elapsed() < END, "{:?}", killed.elapsed());
        launcher.wait().unwrap();
        std::fs::remove_file(dir.path("wrapper")).ok();
        assert_eq!(dir.names(), ["mandelbrot.png.json"], "{ranks} ranks, wrapped: {wrapped}");
        assert!(message(&dir, "mandelbrot.png.json").starts_with("the launcher (mpirun, process "));
    }
}

/// Suspended as a whole for longer than the timeout, and resumed: nobody was lost.
#[test]
fn a_suspended_job_goes_on_when_it_is_resumed() {
    let dir = Dir::new("suspended");
    // One rank sleeps, the others wait for it; all are stopped meanwhile.
    let run = picture(&dir, 3, &["--hang-timeout", "1s"]).env("DCOMP_FAULT", "nap:1:compute");
    let mut child = spawn(&run);
    wait_for(START_S, || computing(&dir));
    let ranks = processes_in(&dir.path(""));
    assert_eq!(ranks.len(), 3);
    signal_all(&ranks, Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(processes_in(&dir.path("")).len(), 3, "stopped, not ended");
    signal_all(&ranks, Signal::SIGCONT);
    assert!(child.wait().unwrap().success());
    dir.dcomp(&["verify", "mandelbrot.png"]).ok();
}

/// 0 is never, not at once.
#[test]
fn without_a_timeout_a_stopped_rank_may_be_resumed() {
    let dir = Dir::new("patient");
    let run = picture(&dir, 2, &["--hang-timeout", "0"]).env("DCOMP_FAULT", "stop:1:compute");
    let mut child = spawn(&run);
    wait_for(START_S, || computing(&dir));
    let ranks = processes_in(&dir.path(""));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(processes_in(&dir.path("")).len(), 2);
    signal_all(&ranks, Signal::SIGCONT);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_timeout_that_cannot_be_kept_is_refused() {
    let dir = Dir::new("timeouts");
    for (given, told) in [
        ("100ms", "--hang-timeout: 100ms; give 1s or more"),
        ("soon", "--hang-timeout: `soon` is no time"),
        ("400days", "at most a year"),
    ] {
        dir.dcomp(&["mandelbrot", "--hang-timeout", given]).fails(2).says(told);
        dir.dcomp(&["recolor", "x.h5", "-o", "y.png", "--hang-timeout", given]).fails(2).says(told);
    }
    dir.write("a.toml", "job = \"mandelbrot\"\nhang_timeout = \"2m\"\n");
    let told = dir.dcomp(&["run", "a.toml", "--dry-run"]).ok().stdout;
    assert!(told.contains("hang_timeout = \"2m\""), "{told}");
    let told = dir.dcomp(&["mandelbrot", "--dry-run"]).env("DCOMP_HANG_TIMEOUT", "90").ok().stdout;
    assert!(told.contains("hang_timeout = \"90\"") && told.contains("(environment)"), "{told}");
}
