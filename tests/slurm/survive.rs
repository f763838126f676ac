//! A job that is stopped goes back to the queue and goes on, link after link.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::util::Dir;

/// Links of the chain, each ended by a signal to the job's step after it has come further.
const LINKS: usize = 5;

/// Stops in all: some may meet a run that still reads its checkpoint, which then stays as it was.
const MOST_STOPS: usize = 12;

const FURTHER: &str = "stopped with a checkpoint in ck";

pub fn requeued(cluster: &Cluster) {
    let dir = Dir::new("slurm-requeue");
    let deck = "job = \"mandelbrot\"\nwidth = 1200\nheight = 900\nmax_iterations = 14000\n\
                center = [-0.743, 0.131]\nzoom = 40.0\nkernel = \"reference\"\n\
                output = \"out.png\"\nquiet = true\n";
    dir.write("deck.toml", deck);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm/run.sbatch");
    let sbatch = ["sbatch", "--parsable", "--nodes=2", "--ntasks-per-node=2", "-Jrequeue"];
    let words = [&sbatch[..], &[script, "deck.toml", "--checkpoint", "ck"]].concat();
    let job = cluster.run(&dir, &words).ok().stdout.trim().to_owned();
    let log = format!("requeue-{job}.log");
    let told = |sentence: &str| String::from_utf8_lossy(&dir.read(&log)).matches(sentence).count();
    let mut stops = 0;
    while stops < MOST_STOPS && (stops == 0 || told(FURTHER) < LINKS) {
        // Past planning, so that it has something to go on with.
        wait_for(cluster, &dir, &job, |state| {
            state == "RUNNING" && dir.path("ck/lock").exists() && parts(&dir) == 1
        });
        std::thread::sleep(Duration::from_millis(900));
        cluster.run(&dir, &["scancel", "--signal=USR1", &job]).ok();
        stops += 1;
        wait_for(cluster, &dir, &job, |state| state == "PENDING");
        assert!(dir.path("ck").is_dir(), "stop {stops}");
        // A requeued job waits two minutes by itself; nodes know its last start by the second, and refuse one
        // that could be the same.
        std::thread::sleep(Duration::from_millis(2500));
        cluster.run(&dir, &["scontrol", "update", &format!("JobId={job}"), "StartTime=now"]).ok();
    }
    wait_for(cluster, &dir, &job, |state| state == "COMPLETED");
    dir.dcomp(&["run", "deck.toml", "-o", "one.png", "--kernel", "auto"]).ok();
    assert!(dir.read("out.png") == dir.read("one.png"), "the chain's picture differs");
    assert!(!dir.path("ck").exists() && parts(&dir) == 0, "{:?}", dir.names());
    assert_eq!(told("asked to stop"), stops, "the log tells of every stop: {log}");
    assert!(told(FURTHER) >= LINKS, "{} links of {stops} stops", told(FURTHER));
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
