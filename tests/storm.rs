//! Faults of all kinds in all jobs at moments that a seed chooses: every process ends in time, nothing
//! half-made stays, and an output is the old one or the whole new one.
//!
//! A failure names its seed and number; `DCOMP_TEST_SEED=S DCOMP_TEST_ONLY=N` replays it.

use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::sorting::Random;
use crate::util::{Dir, processes_in, signal};

/// From the fault to the last process, on a machine that does nothing else.
const END: Duration = Duration::from_secs(5);

/// How long a stopped rank may stay so.
const HANG: Duration = Duration::from_secs(2);

/// A job, the words that start it and the file or directory it makes.
#[derive(Clone, Copy, Debug)]
struct Task {
    words: &'static [&'static str],
    output: &'static str,
    variable: Option<(&'static str, &'static str)>,
}

const TASKS: [Task; 9] = [
    task(&["mandelbrot", "-W", "600", "-H", "2000", "--palette", "histogram"], "out.png"),
    task(&["mandelbrot", "-W", "700", "-H", "900", "--hdf5", "raw.h5"], "out.png"),
    task(&["recolor", "../fields.h5"], "out.png"),
    task(&["counter-sort", "../numbers"], "out.txt"),
    task(&["generate", "numbers", "--files", "300"], "made"),
    task(&["generate", "keys", "--count", "400000"], "out.bin"),
    task(&["generate", "records", "--count", "40000"], "out.dat"),
    task(&["mergesort", "--generate", "gaussian", "--count", "300000"], "out.bin"),
    Task {
        variable: Some(("DCOMP_RUN_BYTES", "200000")),
        ..task(&["mergesort", "../keys.bin", "--type", "u64"], "out.bin")
    },
];

const fn task(words: &'static [&'static str], output: &'static str) -> Task {
    Task { words, output, variable: None }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// By the program itself, at the end of a phase.
    Planned { kind: &'static str, rank: u32, phase: &'static str },
    /// From outside, after a part of the time that the whole run takes.
    Sent { to: Victim, signal: Signal, at: f64 },
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Rank(u64),
    Launcher,
}

/// Outside of the directories that are compared.
struct Storm {
    dir: Dir,
    /// What each task makes, and how long it takes.
    clean: Vec<(Vec<u8>, Duration)>,
    /// From a fault to the last process, at most.
    end: Duration,
}

impl Storm {
    fn new(end: Duration) -> Self {
        let dir = Dir::new("storm");
        let make = |words: &[&str]| dir.dcomp(words).ok();
        make(&["mandelbrot", "-W", "900", "-H", "900", "--hdf5", "fields.h5", "-q"]);
        make(&["generate", "numbers", "--files", "400", "-o", "numbers", "-q"]);
        make(&["generate", "keys", "--type", "u64", "--count", "200000", "-o", "keys.bin", "-q"]);
        let mut storm = Self { dir, clean: Vec::new(), end };
        for (at, task) in TASKS.iter().enumerate() {
            let here = storm.dir.path(&format!("clean-{at}"));
            std::fs::create_dir(&here).unwrap();
            let start = Instant::now();
            let mut launcher = storm.start(task, 3, &here, None);
            assert!(launcher.wait().unwrap().success(), "{task:?}");
            storm.clean.push((content(&here.join(task.output)), start.elapsed()));
        }
        storm
    }

    fn start(&self, task: &Task, ranks: u32, here: &Path, fault: Option<&str>) -> Child {
        let words = [task.words, &["-q", "--hang-timeout", "2s", "-o", task.output]].concat();
        let force: &[&str] = if here.join(task.output).exists() { &["--force"] } else { &[] };
        let mut run = self.dir.dcomp(&[&words[..], force].concat()).ranks(ranks);
        for (name, value) in
            task.variable.into_iter().chain(fault.map(|fault| ("DCOMP_FAULT", fault)))
        {
            run = run.env(name, value);
        }
        // No `timeout` in between: the launcher itself is to be killed.
        let whole = run.command();
        let words: Vec<_> = whole.get_args().skip(2).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(here);
        command.envs(whole.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let errors = std::fs::File::create(here.with_extension("stderr")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap()
    }

    /// One fault; whether it met a run, and how long the run then took to end.
    fn strike(&self, seed: u64, number: u64) -> (bool, Duration) {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number));
        let at = usize::try_from(random.below(TASKS.len() as u64)).unwrap();
        let (task, (whole, time)) = (&TASKS[at], &self.clean[at]);
        let ranks = u32::try_from(2 + random.below(7)).unwrap();
        let fault = choose(&mut random, ranks);
        let told = format!("seed {seed}, number {number}: {task:?} on {ranks} ranks, {fault:?}");
        let name = format!("strike-{number}");
        let here = self.dir.path(&name);
        std::fs::create_dir(&here).unwrap();
        let older = task.output != "made" && random.below(2) == 0;
        if older {
            std::fs::write(here.join(task.output), "older output").unwrap();
        }
        let planned = match fault {
            Fault::Planned { kind, rank, phase } => Some(format!("{kind}:{rank}:{phase}")),
            Fault::Sent { .. } => None,
        };
        let start = Instant::now();
        let mut launcher = self.start(task, ranks, &here, planned.as_deref());
        let mut struck = start;
        let mut limit = self.end + *time * 4;
        if let Fault::Sent { to, signal: sent, at } = fault {
            std::thread::sleep(time.mul_f64(at));
            struck = Instant::now();
            limit = self.end;
            match to {
                Victim::Launcher => launcher.kill().unwrap(),
                Victim::Rank(rank) => {
                    let all = ranks_in(&self.dir, &name);
                    let victim = all.get(usize::try_from(rank).unwrap() % all.len().max(1));
                    if let Some(&victim) = victim {
                        signal(victim, sent);
                    }
                }
            }
        }
        let stops = matches!(
            fault,
            Fault::Planned { kind: "stop", .. } | Fault::Sent { signal: Signal::SIGSTOP, .. }
        );
        // While MPI starts or is left, a stopped rank is looked for only after half of the time.
        limit += if stops { HANG * 2 } else { Duration::ZERO };
        let there = || shown(&ranks_in(&self.dir, &name), &here);
        let code = loop {
            if let Some(status) = launcher.try_wait().unwrap() {
                break status.code();
            }
            assert!(struck.elapsed() < limit, "not ended after {limit:?}: {told}\n{}", there());
            std::thread::sleep(Duration::from_millis(10));
        };
        while !ranks_in(&self.dir, &name).is_empty() {
            assert!(struck.elapsed() < limit, "there after {limit:?}: {told}\n{}", there());
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = struck.elapsed();
        left_whole(task, &here, (older, whole), code, &told);
        if let Fault::Planned { kind, .. } = fault {
            told_as_planned(task, &here, kind, code, &told);
        }
        std::fs::remove_dir_all(&here).unwrap();
        (code != Some(0), took)
    }
}

/// The output is the older one, none, or the whole new one; nothing half-made lies beside it.
fn left_whole(
    task: &Task,
    here: &Path,
    (older, whole): (bool, &[u8]),
    code: Option<i32>,
    told: &str,
) {
    let output = here.join(task.output);
    let new = output.exists() && content(&output) == whole;
    let old = older && std::fs::read(&output).is_ok_and(|bytes| bytes == b"older output");
    assert!(new || old || (!older && !output.exists()), "half an output: {told}");
    assert!(new || code != Some(0), "done, but not made: {told}");
    for entry in std::fs::read_dir(here).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = [task.output, "raw.h5"].iter().any(|known| name.starts_with(known));
        let record = Path::new(&name).extension().is_none_or(|ending| ending != "part");
        assert!(known && record && !name.starts_with('.'), "{name} is left: {told}");
    }
}

/// The exit code says what happened, and so does a record that names the rank.
fn told_as_planned(task: &Task, here: &Path, kind: &str, found: Option<i32>, told: &str) {
    let (expected, code) = match kind {
        "panic" => (70, 70),
        "io" | "stop" => (74, 74),
        "exit" => (3, 74),
        _ => (137, 74),
    };
    let errors = std::fs::read_to_string(here.with_extension("stderr")).unwrap();
    assert_eq!(found, Some(expected), "{told}\n{errors}");
    let places = ["json", "failed.json"].map(|end| here.join(format!("{}.{end}", task.output)));
    let found = places.iter().find_map(|path| {
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
        (record["exit_code"] == code).then_some(record)
    });
    let record = found.unwrap_or_else(|| panic!("no record of the fault: {told}"));
    assert!(record["message"].as_str().unwrap().contains("rank "), "{told}: {record}");
}

fn choose(random: &mut Random, ranks: u32) -> Fault {
    let rank = u32::try_from(random.below(ranks.into())).unwrap();
    let at = random.below(1100) as f64 / 1000.0;
    if random.below(2) == 0 {
        let kind = random.pick(&["panic", "exit", "kill", "stop", "io"]);
        let phase = random.pick(&["compute", "exchange", "verify", "write"]);
        return Fault::Planned { kind, rank, phase };
    }
    match random.below(3) {
        0 => Fault::Sent { to: Victim::Launcher, signal: Signal::SIGKILL, at },
        1 => Fault::Sent { to: Victim::Rank(rank.into()), signal: Signal::SIGSTOP, at },
        _ => Fault::Sent { to: Victim::Rank(rank.into()), signal: Signal::SIGKILL, at },
    }
}

/// What processes that should be gone are doing, and what was said.
fn shown(processes: &[i32], here: &Path) -> String {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let mut all = read(here.with_extension("stderr").display().to_string());
    for process in processes {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
        for task in tasks.flatten() {
            let [stat, waits] =
                ["stat", "wchan"].map(|name| read(task.path().join(name).display().to_string()));
            let stat: Vec<&str> = stat.split(' ').take(4).collect();
            writeln!(all, "{} waits in {waits}", stat.join(" ")).unwrap();
        }
    }
    all
}

fn ranks_in(dir: &Dir, name: &str) -> Vec<i32> {
    processes_in(&dir.path(name))
}

/// A file's bytes, or the names and bytes of a directory's files.
fn content(path: &Path) -> Vec<u8> {
    if !path.is_dir() {
        return std::fs::read(path).unwrap();
    }
    let mut names: Vec<_> =
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn storm(seed: u64, count: u64, end: Duration) {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let seed = number("DCOMP_TEST_SEED").unwrap_or(seed);
    let only = number("DCOMP_TEST_ONLY");
    let storm = Storm::new(end);
    let (mut met, mut longest) = (0, Duration::ZERO);
    for at in only.map_or(0..count, |only| only..only + 1) {
        let (ended_early, took) = storm.strike(seed, at);
        met += u64::from(ended_early);
        longest = longest.max(took);
    }
    eprintln!("seed {seed}: {count} faults, {met} met a run, the longest end {longest:?}");
    assert!(only.is_some() || met * 2 > count, "{met} of {count} faults met a run");
}

#[test]
fn faults_at_any_moment_end_in_time() {
    // Other tests take the cores meanwhile.
    storm(1, 10, 4 * END);
}

#[test]
#[ignore = "half an hour; make campaign"]
fn five_hundred_faults_end_in_time() {
    storm(20_261_121, 500, END);
}
