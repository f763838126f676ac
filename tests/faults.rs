//! One rank goes wrong: all ranks end in time, nothing half-made stays, the old output is intact.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::util::{Dir, Run, processes_in, signal, signal_all, variable_of, wait_for};

/// Five seconds from the fault, plus what a start of the launcher takes on a busy machine.
const END_S: u32 = 5;
const START_S: u32 = 15;

fn picture(dir: &Dir, fault: &str) -> Run {
    let words = ["mandelbrot", "-W", "400", "-H", "1000", "--force", "--hdf5", "raw.h5", "-q"];
    dir.dcomp(&words).ranks(4).env("DCOMP_FAULT", fault).limit_s(END_S + START_S)
}

/// The directory holds what it held, and the older output is what it was.
fn nothing_changed(dir: &Dir, extra: &[&str]) {
    let mut expected = vec!["mandelbrot.png"];
    expected.extend(extra);
    expected.sort_unstable();
    assert_eq!(dir.names(), expected);
    assert_eq!(dir.read("mandelbrot.png"), b"older output");
}

fn with_older_output(name: &str) -> Dir {
    let dir = Dir::new(name);
    dir.write("mandelbrot.png", "older output");
    dir
}

#[test]
fn an_error_on_one_rank_is_everybodys() {
    for (rank, phase) in [(0, "compute"), (3, "exchange"), (1, "verify"), (2, "write")] {
        let dir = with_older_output("io");
        let done = picture(&dir, &format!("io:{rank}:{phase}")).fails(74);
        done.says(&format!("(rank {rank} on "));
        nothing_changed(&dir, &["mandelbrot.png.failed.json"]);
        let record = dir.json("mandelbrot.png.failed.json");
        assert_eq!(record["outcome"], "io");
        assert_eq!(record["exit_code"], 74);
        assert!(record["message"].as_str().unwrap().contains("Input/output error"));
    }
}

#[test]
fn a_wrong_result_is_found_and_told() {
    for rank in 0..4 {
        let dir = with_older_output("flip");
        let done = picture(&dir, &format!("flip:{rank}:exchange")).run();
        // The spoiled pixel may lie outside the sample; then the sums across ranks differ.
        assert_eq!(done.code, 1, "{done:#?}");
        nothing_changed(&dir, &["mandelbrot.png.failed.json"]);
        assert_eq!(dir.json("mandelbrot.png.failed.json")["outcome"], "verification-failed");
    }
}

#[test]
fn a_panic_ends_all_ranks() {
    let dir = with_older_output("panic");
    let start = Instant::now();
    let done = picture(&dir, "panic:2:compute").run();
    assert!(done.code != 0);
    done.says("internal error on rank 2 (");
    assert!(start.elapsed() < Duration::from_secs((END_S + START_S).into()));
    wait_for(START_S, || processes_in(&dir.path("")).is_empty().then_some(()));
    told_by_the_others(&dir, 70, "internal error on rank 2 (");
    std::fs::remove_file(dir.path("mandelbrot.png.failed.json")).unwrap();
    let alone = dir.dcomp(&["mandelbrot", "--force"]).env("DCOMP_FAULT", "panic:0:compute");
    alone.fails(70).says("internal error (");
    told_by_the_others(&dir, 70, "internal error (");
}

#[test]
fn a_rank_that_leaves_ends_all_ranks() {
    let dir = with_older_output("exit");
    let done = picture(&dir, "exit:1:compute").run();
    assert!(done.code != 0);
    wait_for(START_S, || processes_in(&dir.path("")).is_empty().then_some(()));
    told_by_the_others(&dir, 74, "rank 1 (process ");
}

/// A user's interrupt, a batch system's end: the half-made files go.
#[test]
fn a_signal_leaves_nothing_half_made() {
    for (sent, ranks) in
        [(Signal::SIGINT, None), (Signal::SIGTERM, None), (Signal::SIGTERM, Some(2))]
    {
        let dir = with_older_output("signal");
        let words = ["mandelbrot", "-W", "400", "-H", "1000", "--force", "--hdf5", "raw.h5", "-q"];
        let run = dir.dcomp(&words).ranks_or_alone(ranks).env("DCOMP_FAULT", "stall:0:compute");
        let mut child = run.limit_s(END_S + START_S).command().spawn().unwrap();
        let count = ranks.map_or(1, |ranks| usize::try_from(ranks).unwrap());
        let victims = wait_for(START_S, || {
            let parts = dir.names().iter().filter(|name| name.ends_with(".part")).count();
            let processes = processes_in(&dir.path(""));
            (parts == 2 && processes.len() == count).then_some(processes)
        });
        signal_all(&victims, sent);
        assert!(!child.wait().unwrap().success());
        // A rank that is ended a moment later than another may have seen that one go, and tells it.
        std::fs::remove_file(dir.path("mandelbrot.png.failed.json")).ok();
        nothing_changed(&dir, &[]);
    }
}

/// A rank stalls; then it is killed from outside, as the kernel does when memory runs out.
#[test]
fn a_killed_rank_ends_all_ranks() {
    let dir = with_older_output("kill");
    let mut child = picture(&dir, "stall:3:compute").command().spawn().unwrap();
    let victim = wait_for(START_S, || stalled_rank(&dir));
    let killed = Instant::now();
    signal(victim, Signal::SIGKILL);
    let status = child.wait().unwrap();
    assert!(!status.success());
    assert!(killed.elapsed() < Duration::from_secs(END_S.into()), "{:?}", killed.elapsed());
    wait_for(START_S, || processes_in(&dir.path("")).is_empty().then_some(()));
    told_by_the_others(&dir, 74, "rank 3 (process ");
}

/// Nothing but the record of what happened is new.
fn told_by_the_others(dir: &Dir, code: i32, message: &str) {
    nothing_changed(dir, &["mandelbrot.png.failed.json"]);
    let record = dir.json("mandelbrot.png.failed.json");
    assert_eq!(record["exit_code"], code);
    assert!(record["message"].as_str().unwrap().contains(message), "{}", record["message"]);
    let phase = record["told_by"]["phase"].as_str().unwrap();
    // Root may not have left planning when another rank has.
    assert!(phase == "compute" || phase == "plan", "{phase}");
}

/// Once all four ranks are there and the part file says that they are past planning: rank 3.
fn stalled_rank(dir: &Dir) -> Option<i32> {
    let computing = dir.names().iter().filter(|name| name.ends_with(".part")).count() == 2;
    let ranks = processes_in(&dir.path(""));
    if !computing || ranks.len() != 4 {
        return None;
    }
    ranks.into_iter().find(|&pid| {
        let told = |name| variable_of(pid, name).is_some_and(|rank| rank == "3");
        told("OMPI_COMM_WORLD_RANK") || told("PMI_RANK")
    })
}
