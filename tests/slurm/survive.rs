//! A job that is stopped goes back to the queue and goes on, link after link.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::util::Dir;

/// Links of the chain, each ended by a signal to the job's step.
const STOPS: usize = 5;

pub fn requeued(cluster: &Cluster) {
    let dir = Dir::new("slurm-requeue");
    let deck = "job = \"mandelbrot\"\nwidth = 1200\nheight = 900\nmax_iterations = 8000\n\
                center = [-0.743, 0.131]\nzoom = 40.0\nkernel = \"reference\"\n\
                output = \"out.png\"\nquiet = true\n";
    dir.write("deck.toml", deck);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm/run.sbatch");
    let sbatch = ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=2", "-Jrequeue"];
    let words = [&sbatch[..], &[script, "deck.toml", "--checkpoint", "ck"]].concat();
    let job = cluster.run(&dir, &words).ok().stdout.trim().to_owned();
    for stop in 0..STOPS {
        // Past planning, so that it has something to go on with.
        wait_for(cluster, &dir, &job, |state| {
            state == "RUNNING" && dir.path("ck/lock").exists() && parts(&dir) == 1
        });
        std::thread::sleep(Duration::from_millis(300));
        cluster.run(&dir, &["scancel", "--signal=USR1", &job]).ok();
        wait_for(cluster, &dir, &job, |state| state == "PENDING");
        assert!(dir.path("ck").is_dir(), "stop {stop}");
        // A requeued job waits two minutes by itself; nodes know its last start by the second, and refuse one
        // that could be the same.
        std::thread::sleep(Duration::from_millis(2500));
        cluster.run(&dir, &["scontrol", "update", &format!("JobId={job}"), "StartTime=now"]).ok();
    }
    wait_for(cluster, &dir, &job, |state| state == "COMPLETED");
    dir.dcomp(&["run", "deck.toml", "-o", "one.png", "--kernel", "auto"]).ok();
    assert!(dir.read("out.png") == dir.read("one.png"), "the chain's picture differs");
    assert!(!dir.path("ck").exists() && parts(&dir) == 0, "{:?}", dir.names());
    let log = dir.read(&format!("requeue-{job}.log"));
    let log = String::from_utf8_lossy(&log);
    let stops = log.matches("stopped with a checkpoint in ck").count();
    assert_eq!(stops, STOPS, "the log tells of every link:\n{log}");
    assert_eq!(dir.json("out.png.json")["outcome"], "ok");
}

fn parts(dir: &Dir) -> usize {
    dir.names().iter().filter(|name| name.ends_with(".part")).count()
}

fn wait_for(cluster: &Cluster, dir: &Dir, job: &str, good: impl Fn(&str) -> bool) {
    let start = Instant::now();
    loop {
        let shown = cluster.run(dir, &["scontrol", "show", "job", job]).ok().stdout;
        let state = shown.split("JobState=").nth(1).unwrap().split_whitespace().next().unwrap();
        if good(state) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain:\n{shown}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
