//! Scaling studies under the real Slurm: submitted, measured by steps, reported by a job of its own.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::util::Dir;

const PICTURE: [&str; 7] = ["--", "dcomp", "mandelbrot", "-W", "200", "-n", "300"];

/// The words of a small series; sizes of 2 and 4 ranks on one node, 8 on two.
fn words<'a>(head: &[&'a str], output: &'a str) -> Vec<&'a str> {
    let series = ["--ranks", "2,4,8", "--ranks-per-node", "4", "--repeats", "2", "--warmup", "0"];
    let rest = ["--time-per-run", "10s", "-o", output];
    [head, &series, &rest, &PICTURE].concat()
}

fn lines(dir: &Dir, file: &str) -> Vec<Value> {
    let text = String::from_utf8(dir.read(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for a file that a job writes.
fn wait_for(dir: &Dir, file: &str) {
    let start = Instant::now();
    while !dir.path(file).exists() {
        assert!(
            start.elapsed() < Duration::from_secs(100),
            "{file} does not come: {:?}",
            dir.names()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// From one command to a report: a job for each node count, and the report after them.
pub fn submitted(cluster: &Cluster) {
    let dir = Dir::new("slurm-study");
    let folder = "it's $HOME %j";
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    let done = cluster.run(&dir, &words(&[dcomp, "scaling", "submit"], folder)).ok();
    assert_eq!(done.stdout.lines().count(), 3, "two jobs and a report: {}", done.stdout);
    wait_for(&dir, &format!("{folder}/report/report.json"));
    for (file, sizes) in [("runs-1.jsonl", vec![2, 4]), ("runs-2.jsonl", vec![8])] {
        let runs = lines(&dir, &format!("{folder}/{file}"));
        assert_eq!(runs.len(), 2 * sizes.len(), "{file}");
        for run in &runs {
            assert_eq!(run["outcome"], "ok", "{run}");
            assert_eq!(run["command"][0], "srun");
            let ranks = run["ranks"].as_u64().unwrap();
            assert!(sizes.contains(&ranks), "{run}");
            assert_eq!(run["record"]["ranks"], ranks);
            assert_eq!(run["record"]["nodes"], ranks.div_ceil(4));
        }
    }
    let report = dir.json(&format!("{folder}/report/report.json"));
    let rows = report["series"][0]["rows"].as_array().unwrap();
    let sizes: Vec<_> =
        rows.iter().map(|row| (row["ranks"].as_u64(), row["nodes"].as_u64())).collect();
    let expected = [(2, 1), (4, 1), (8, 2)].map(|(ranks, nodes)| (Some(ranks), Some(nodes)));
    assert_eq!(sizes, expected);
    // The same study again is refused: its scripts are there.
    let again = cluster.run(&dir, &words(&[dcomp, "scaling", "submit"], folder));
    again.fails(2).says("the study was submitted before");
}

/// One allocation for all sizes, by the script that takes any study.
pub fn in_one_allocation(cluster: &Cluster) {
    let dir = Dir::new("slurm-strong");
    let study = "command = [\"dcomp\", \"mandelbrot\", \"-W\", \"200\"]\nranks = [1, 4, 8]\nrepeats = 2\n\
                 warmup = 0\n";
    dir.write("-my study.toml", study);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm/strong.sbatch");
    let sbatch = ["sbatch", "--wait", "--nodes=2", "--ntasks-per-node=4", "--cpus-per-task=4"];
    let flags = [script, "-my study.toml", "--ranks-per-node", "4", "-o", "runs"];
    cluster.run(&dir, &[sbatch.as_slice(), &flags].concat()).ok();
    let runs = lines(&dir, "runs/runs.jsonl");
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run["outcome"] == "ok"), "{runs:?}");
    let eight = runs.iter().find(|run| run["ranks"] == 8).unwrap();
    assert_eq!((&eight["nodes"], &eight["record"]["nodes"]), (&2.into(), &2.into()));
    // More nodes than the allocation has are refused before anything runs.
    let flags = [script, "-my study.toml", "--ranks", "16", "--ranks-per-node", "4", "-o", "more"];
    cluster.run(&dir, &[sbatch.as_slice(), &flags].concat()).fails(2);
    assert!(!dir.path("more").exists());
}

/// Debian's Open MPI has no one-sided access over plain TCP: the counter of work does without.
pub fn without_one_sided_access(cluster: &Cluster) {
    let dir = Dir::new("slurm-osc");
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    let size = ["-W", "1100", "-H", "900", "-n", "2000", "--quiet"];
    dir.dcomp(&[["mandelbrot", "-o", "one.png"].as_slice(), &size].concat()).ok();
    // The cluster's own setting allows the component; here the machine's default holds.
    let srun = ["env", "--unset=OMPI_MCA_osc", "srun", "-K1", "--nodes=4", "--ntasks-per-node=3"];
    let job = ["--mpi=pmix", dcomp, "mandelbrot", "-o", "many.png"];
    let done = cluster.run(&dir, &[srun.as_slice(), &job, &size].concat()).ok();
    assert!(dir.read("many.png") == dir.read("one.png"), "{}", done.stderr);
    assert_eq!(dir.json("many.png.json")["nodes"], 4);
}

/// One job that runs all sizes as steps, then the report.
pub fn submitted_as_one(cluster: &Cluster) {
    let dir = Dir::new("slurm-one");
    let dcomp = env!("CARGO_BIN_EXE_dcomp");
    let head = [dcomp, "scaling", "submit", "--one-allocation"];
    let done = cluster.run(&dir, &words(&head, "one")).ok();
    assert_eq!(done.stdout.lines().count(), 2, "a job and a report: {}", done.stdout);
    wait_for(&dir, "one/report/report.json");
    let runs = lines(&dir, "one/runs.jsonl");
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run["outcome"] == "ok"), "{runs:?}");
    let log = dir.program("sh", &["-c", "cat one/logs/slurm-*.log"]).ok().stdout;
    assert!(log.contains("6 runs of mandelbrot"), "{log}");
}
