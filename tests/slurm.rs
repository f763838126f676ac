//! The real batch scripts under a real Slurm of four nodes: same bytes, exit codes, faults, hostile names.
//!
//! A program of its own, after the other tests: it says SKIPPED where libtest could only say ok, starts one
//! cluster for all checks and surely stops it. `DCOMP_NEED_SLURM=1` makes a machine without Slurm a failure.
//! Takes under two minutes on two cores. Arguments choose checks by parts of their names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "dcomp's own names")]
#![expect(clippy::print_stdout, reason = "the lines of a test program")]

#[path = "slurm/cluster.rs"]
mod cluster;
#[path = "slurm/studies.rs"]
mod studies;
#[path = "slurm/survive.rs"]
mod survive;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "util.rs"]
mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use cluster::{CANNOT, Cluster, SCRIPT, Traces, traces};
use serde_json::Value;
use util::{Dir, Run};

/// A check's name and what it does.
type Check = (&'static str, fn(&Cluster));

/// Checks by name; each gets the running cluster.
const CHECKS: [Check; 18] = [
    // The first one runs beside the others.
    ("a job near its time limit leaves nothing half made", time_limit),
    ("a machine that cannot is told what it lacks", cannot),
    ("pictures have the bytes of one rank", pictures),
    ("counter-sort and generate have the bytes of one rank", numbers),
    ("mergesort has the bytes of one rank", keys),
    ("an agreed error keeps its exit code", agreed_errors),
    ("a rank that dies ends the job and leaves nothing half made", dead_ranks),
    ("a job that is told to go leaves nothing half made", told_to_go),
    ("a stopped job requeues itself and ends with the bytes of one run", survive::requeued),
    ("srun without MPI is refused", no_mpi),
    ("hostile names arrive unharmed", hostile_names),
    ("scripts start what they say", command_lines),
    ("a study is submitted, measured and reported", studies::submitted),
    ("a study is submitted as one job", studies::submitted_as_one),
    ("a study runs in one allocation", studies::in_one_allocation),
    ("nodes without one-sided access share the work", studies::without_one_sided_access),
    ("clusters live side by side and leave nothing", side_by_side),
    ("a cluster ends with its keeper and its caller", orphans),
];

fn main() -> ExitCode {
    // Words for other test programs reach this one too.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list" || word == "--ignored") {
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let fits = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(*part));
    let checks: Vec<_> = CHECKS.iter().filter(|(name, _)| fits(name)).collect();
    if checks.is_empty() {
        return ExitCode::SUCCESS;
    }
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(done) if done.code == CANNOT && std::env::var_os("DCOMP_NEED_SLURM").is_none() => {
            println!("slurm: SKIPPED, none of {} checks was made:\n{}", checks.len(), done.stderr);
            return ExitCode::SUCCESS;
        }
        Err(done) => {
            println!("slurm: FAILED, no cluster (exit code {}):\n{}", done.code, done.stderr);
            return ExitCode::FAILURE;
        }
    };
    // What waits for Slurm's clock runs beside the others.
    let failed = std::thread::scope(|scope| {
        let (slow, others) = checks.split_at(usize::from(checks[0].0 == CHECKS[0].0));
        let slow = scope.spawn(|| slow.iter().filter(|check| !passes(&cluster, check)).count());
        let failed = others.iter().filter(|check| !passes(&cluster, check)).count();
        failed + slow.join().unwrap()
    });
    if failed > 0 {
        println!("{}", cluster.logs());
    }
    println!("slurm: {} passed, {failed} failed", checks.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(cluster: &Cluster, (name, check): &Check) -> bool {
    let start = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(|| check(cluster))).is_ok();
    let verdict = if passed { "ok" } else { "FAILED" };
    println!("slurm: {name} ... {verdict} ({:.1} s)", start.elapsed().as_secs_f64());
    passed
}

const SMOKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/smoke");

fn cannot(_: &Cluster) {
    let dir = Dir::new("cannot");
    let start = ["--reuid=65534", "--clear-groups", "bash", SCRIPT, "start", "/tmp/dcomp-never"];
    dir.program("setpriv", &start).limit_s(20).fails(CANNOT).says("this machine lacks: root");
    let no_path = ["PATH=/usr/bin:/bin", "/bin/bash", SCRIPT, "start", "relative name"];
    dir.program("env", &no_path).limit_s(20).fails(2).says("letters, digits");
}

/// The record says where the run was: four nodes with their own names, four ranks on each.
fn spread(record: &Value) {
    assert_eq!((&record["nodes"], &record["ranks"]), (&4.into(), &16.into()));
    let hosts = record["hosts"].as_array().unwrap().iter();
    let hosts: Vec<_> =
        hosts.map(|host| (host["name"].as_str().unwrap(), &host["ranks"])).collect();
    let four = Value::from(4);
    assert_eq!(hosts, [("n0", &four), ("n1", &four), ("n2", &four), ("n3", &four)]);
    assert_eq!((&record["outcome"], &record["exit_code"]), (&"ok".into(), &0.into()));
}

/// The text of the only log of a script's jobs.
fn log(dir: &Dir, script: &str) -> String {
    let names = dir.names();
    let ours =
        |name: &&String| name.starts_with(&format!("dcomp-{script}-")) && name.ends_with(".log");
    let logs: Vec<_> = names.iter().filter(ours).collect();
    assert_eq!(logs.len(), 1, "{names:?}");
    String::from_utf8_lossy(&dir.read(logs[0])).into_owned()
}

fn pictures(cluster: &Cluster) {
    let dir = Dir::new("slurm-pictures");
    let deck = format!("{SMOKE}/mandelbrot.toml");
    cluster.submit(&dir, "run", &[&deck]).ok();
    cluster.submit(&dir, "mandelbrot", &[&deck, "-o", "b.png", "--hdf5", "b.h5"]).ok();
    dir.dcomp(&["run", &deck, "-o", "one.png", "--hdf5", "one.h5"]).ok();
    for name in ["smoke.png", "b.png"] {
        assert!(dir.read(name) == dir.read("one.png"), "{name}");
        spread(&dir.json(&format!("{name}.json")));
    }
    for name in ["smoke.h5", "b.h5"] {
        assert!(dir.read(name) == dir.read("one.h5"), "{name}");
    }
    for script in ["run", "mandelbrot"] {
        let log = log(&dir, script);
        assert!(log.contains("verified in") && log.contains("on 16 ranks"), "{log}");
    }
    dir.dcomp(&["verify", "smoke.png"]).ok();
}

fn numbers(cluster: &Cluster) {
    let dir = Dir::new("slurm-numbers");
    cluster.submit(&dir, "generate", &[&format!("{SMOKE}/generate.toml")]).ok();
    cluster.submit(&dir, "counter-sort", &[&format!("{SMOKE}/sort.toml")]).ok();
    spread(&dir.json("numbers.txt.json"));
    spread(&dir.json("numbers.sorted.txt.json"));
    let one = Dir::new("slurm-numbers-one");
    one.dcomp(&["run", &format!("{SMOKE}/generate.toml")]).ok();
    one.dcomp(&["run", &format!("{SMOKE}/sort.toml")]).ok();
    for name in ["numbers.txt", "numbers.sorted.txt", "numbers.counts.csv"] {
        assert!(dir.read(name) == one.read(name) && !one.read(name).is_empty(), "{name}");
    }
    assert!(log(&dir, "counter-sort").contains("numbers in "));
}

fn keys(cluster: &Cluster) {
    let dir = Dir::new("slurm-keys");
    let deck = format!("{SMOKE}/mergesort.toml");
    cluster.submit(&dir, "mergesort", &[&deck]).ok();
    let record = dir.json("keys.sorted.json");
    spread(&record);
    dir.dcomp(&["run", &deck, "-o", "one"]).ok();
    assert!(dir.read("keys.sorted") == dir.read("one") && dir.read("one").len() == 8 * 100_003);
    assert_eq!(record["result"], dir.json("one.json")["result"]);
    assert!(log(&dir, "mergesort").contains("sorted in "));
}

/// Nothing is there but the older output, its failed record and logs.
fn nothing_half_made(dir: &Dir) {
    let fine = |name: &String| {
        name.ends_with(".log") || name.ends_with(".failed.json") || name == "old.png"
    };
    assert!(dir.names().iter().all(fine), "{:?}", dir.names());
    assert_eq!(dir.read("old.png"), b"older output");
}

fn faulty(cluster: &Cluster, dir: &Dir, fault: &str) -> Run {
    dir.write("old.png", "older output");
    let words = [&format!("{SMOKE}/mandelbrot.toml"), "-o", "old.png", "--force"];
    cluster.submit(dir, "run", &words).env("DCOMP_FAULT", fault)
}

/// The run's own code, though srun ends the other ranks when the first one leaves.
fn agreed_errors(cluster: &Cluster) {
    for (fault, code) in [("io:7:write", 74), ("io:0:compute", 74), ("io:15:exchange", 74)] {
        let dir = Dir::new("slurm-agreed");
        faulty(cluster, &dir, fault).fails(code);
        nothing_half_made(&dir);
        assert_eq!(dir.json("old.png.failed.json")["exit_code"], code);
    }
    let dir = Dir::new("slurm-deck");
    dir.write("bad.toml", "job = \"mandelbrot\"\nwidth = 0\n");
    cluster.submit(&dir, "run", &["bad.toml"]).fails(2);
    assert_eq!(log(&dir, "run").matches("width in bad.toml").count(), 1);
    cluster.submit(&dir, "run", &[]).fails(2);
}

fn dead_ranks(cluster: &Cluster) {
    for fault in ["exit:9:write", "panic:5:compute"] {
        let dir = Dir::new("slurm-dead");
        let start = Instant::now();
        assert_ne!(faulty(cluster, &dir, fault).limit_s(30).run().code, 0);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        nothing_half_made(&dir);
    }
    let dir = Dir::new("slurm-killed");
    let run = faulty(cluster, &dir, "stall:6:compute").limit_s(30);
    let mut child = run.command().spawn().unwrap();
    let rank = wait_for(|| half_made(&dir).then(|| rank_in(&dir, 6)).flatten());
    let killed = Instant::now();
    assert!(Command::new("kill").args(["-9", &rank]).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    nothing_half_made(&dir);
}

fn told_to_go(cluster: &Cluster) {
    let dir = Dir::new("slurm-cancel");
    let mut child = faulty(cluster, &dir, "stall:6:compute").command().spawn().unwrap();
    wait_for(|| half_made(&dir).then_some(()));
    cluster.run(&dir, &["scancel", "--name=dcomp-run"]).ok();
    assert!(!child.wait().unwrap().success());
    nothing_half_made(&dir);
}

/// By `--signal`: with a limit of a minute, the script's 60 s before its end are at once; Slurm looks now
/// and then.
fn time_limit(cluster: &Cluster) {
    let dir = Dir::new("slurm-limit");
    dir.write("old.png", "older output");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm/run.sbatch");
    let deck = format!("{SMOKE}/mandelbrot.toml");
    // One rank, which stalls without using a core: the checks beside need them.
    let sbatch = ["sbatch", "--wait", "--time=1", "--nodes=1", "--ntasks-per-node=1", "-Jlimit"];
    let words = [&sbatch[..], &[script, &deck, "-o", "old.png", "--force"]].concat();
    let start = Instant::now();
    let run = cluster.run(&dir, &words).env("DCOMP_FAULT", "stall:0:compute").limit_s(100);
    assert_ne!(run.run().code, 0);
    assert!(start.elapsed() < Duration::from_secs(55), "by the signal, not by the limit");
    nothing_half_made(&dir);
}

fn no_mpi(cluster: &Cluster) {
    let dir = Dir::new("slurm-none");
    let words = ["srun", "--mpi=none", "-n", "8", env!("CARGO_BIN_EXE_dcomp"), "mandelbrot"];
    let done = cluster.run(&dir, &words).fails(2);
    assert!(done.stderr.contains("use srun --mpi=pmix"), "{}", done.stderr);
    assert_eq!(dir.names(), [""; 0]);
}

fn hostile_names(cluster: &Cluster) {
    let dir = Dir::new("slurm-hostile");
    let text = "job = \"mandelbrot\"\nwidth = 20\nheight = 10\nquiet = true\n";
    let name = " a  'b' \"c\" $(touch d) `touch e` *;&|<>\\ \nf\u{fc} ";
    for (at, deck) in ["-W".to_owned(), format!("{name}.toml"), "--force".into()].iter().enumerate()
    {
        let output = format!("{name}{at}.png");
        dir.write(deck, text);
        cluster.submit(&dir, "run", &[deck, "--output", &output]).ok();
        assert_eq!(dir.json(&format!("{output}.json"))["ranks"], 16);
        dir.dcomp(&["verify", &output]).ok();
    }
    let expected = 3 + 3 * 2 + 3; // decks, outputs with records, logs
    assert_eq!(dir.names().len(), expected, "{:?}", dir.names());
}

/// What each script starts, told by a stand-in for dcomp: words in order, and which rank it takes itself for.
fn command_lines(cluster: &Cluster) {
    let dir = Dir::new("slurm-words");
    let told = "#!/bin/bash\nprintf '<%s>' \"$@\"; echo \" rank ${PMIX_RANK-none} step ${SLURM_STEPID-none} \
                cpus ${SRUN_CPUS_PER_TASK-none} site ${SITE-none}\"\n";
    std::fs::create_dir_all(dir.path("home/slurm")).unwrap();
    dir.write("home/dcomp", told);
    dir.write(
        "home/slurm/site.sh",
        "[ -n \"$unset\" ] || export SITE=here DCOMP=\"$home/dcomp\"\n",
    );
    Command::new("chmod").arg("755").arg(dir.path("home/dcomp")).status().unwrap();
    let home = dir.path("home").to_str().unwrap().to_owned();
    let rank = " rank 0 step 0 cpus 1 site here\n";
    let alone = " rank none step none cpus 1 site here\n";
    let report = " rank none step none cpus none site here\n";
    for (script, words, started, ends) in [
        ("run", &["a.toml", "-W", "3"][..], "<run><a.toml><-W><3>", rank),
        ("mandelbrot", &[], "<run><HOME/jobs/poster.toml>", rank),
        ("counter-sort", &["-x"], "<run><./-x>", rank),
        ("generate", &[], "<run><HOME/jobs/generate-numbers.toml>", rank),
        ("mergesort", &[], "<run><HOME/jobs/mergesort-records.toml>", rank),
        ("strong", &[], "<scaling><run><HOME/benches/scaling/strong.toml>", alone),
        ("weak", &["a  b", "--x"], "<scaling><run><a  b><--x>", alone),
        ("report", &[], "<scaling><report><runs.jsonl><-o><report>", report),
        ("report", &["-a", "-b", "c d"], "<scaling><report><./-a><-o><./-b><c d>", report),
    ] {
        let script_file = format!("{}/slurm/{script}.sbatch", env!("CARGO_MANIFEST_DIR"));
        // Submitted from within a step, whose variables would make a program believe to be a rank.
        let step = ["srun", "--mpi=pmix", "--nodes=1", "--ntasks=1"];
        let sbatch = ["sbatch", "--wait", "--nodes=1", "--ntasks-per-node=1", &script_file];
        let run = cluster.run(&dir, &[&step[..], &sbatch, words].concat()).env("DCOMP_HOME", &home);
        run.limit_s(30).ok();
        let log_text = log(&dir, script);
        let expected = format!("{}{}", started.replace("HOME", &home), ends);
        assert!(log_text.contains(&expected), "{script}: {expected}\nis not in\n{log_text}");
        dir.program("bash", &["-c", "rm dcomp-*.log"]).ok();
    }
}

const GONE: Traces = Traces { processes: 0, sockets: 0, listens: false, files: false };

fn side_by_side(cluster: &Cluster) {
    let starts: Vec<_> = (0..2).map(|_| std::thread::spawn(|| Cluster::start().unwrap())).collect();
    let others: Vec<Cluster> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    let dir = Dir::new("slurm-two");
    for one in others.iter().chain([cluster]) {
        let done = cluster_hosts(one, &dir);
        assert_eq!(done, ["n0", "n1", "n2", "n3"]);
        let there = traces(&one.dir, one.port());
        // Keeper, unshare, its first process, munged, slurmctld and four slurmd at the least.
        assert!(
            there.processes >= 9 && there.sockets >= 1 && there.listens && there.files,
            "{there:?}"
        );
    }
    for one in &others {
        let port = one.port();
        assert_eq!(one.stop(), 0);
        assert_eq!(traces(&one.dir, port), GONE);
        assert_eq!(one.stop(), 0, "a second stop has nothing to do");
    }
    assert_eq!(cluster_hosts(cluster, &dir), ["n0", "n1", "n2", "n3"]);
}

fn cluster_hosts(cluster: &Cluster, dir: &Dir) -> Vec<String> {
    let done = cluster.run(dir, &["srun", "-N4", "-n4", "hostname"]).ok();
    let mut names: Vec<String> = done.stdout.lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn orphans(_: &Cluster) {
    // Nobody can end more than the keeper: everything else goes with it, but for files.
    let killed = Cluster::start().unwrap();
    let port = killed.port();
    assert!(Command::new("kill").args(["-9", &killed.keeper()]).status().unwrap().success());
    let files_only = Traces { files: true, ..GONE };
    wait_for(|| (traces(&killed.dir, port) == files_only).then_some(()));
    assert_eq!(killed.stop(), 0);
    assert_eq!(traces(&killed.dir, port), GONE);

    // A caller that is killed once the cluster runs, and one that is killed while it starts.
    for wait_s in ["60", "0.15"] {
        let dir = std::env::temp_dir().join(format!("dcomp-slurm-{}-orphan", std::process::id()));
        let script = "\"$0\" start \"$1\" --with $$ >/dev/null; exec sleep 60";
        let mut caller =
            Command::new("bash").args(["-c", script, SCRIPT]).arg(&dir).spawn().unwrap();
        if wait_s == "60" {
            wait_for(|| dir.join("ready").exists().then_some(()));
        } else {
            std::thread::sleep(Duration::from_secs_f64(wait_s.parse().unwrap()));
        }
        caller.kill().unwrap();
        caller.wait().unwrap();
        wait_for(|| (traces(&dir, 0) == GONE).then_some(()));
    }
}

/// Waits for something to be there.
fn wait_for<T>(look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn half_made(dir: &Dir) -> bool {
    dir.names().iter().filter(|name| name.ends_with(".part")).count() == 2
}

/// The process id of a rank that works in this directory.
fn rank_in(dir: &Dir, rank: u32) -> Option<String> {
    let here = dir.path("").canonicalize().unwrap();
    let wanted = format!("PMIX_RANK={rank}");
    let found = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let path = entry.path();
        let is_dcomp =
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "dcomp");
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        is_dcomp
            && std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == here)
            && environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
    });
    found.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
