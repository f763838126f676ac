//! Runs that are stopped or killed and go on: the bytes are those of a run that nobody touched.

use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::{Dir, Run, processes_in, signal, wait_for};

/// Numbers that follow from a seed (splitmix64: Steele, Lea & Flood, OOPSLA 2014), so that a failure replays.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// A computation that is interrupted.
pub struct Work {
    pub name: &'static str,
    pub words: &'static [&'static str],
    pub variables: &'static [(&'static str, &'static str)],
    pub outputs: &'static [&'static str],
    /// Makes the inputs.
    pub prepare: fn(&Dir),
    /// What a run without a launcher takes, about, in milliseconds.
    pub takes_ms: u64,
}

const NOTHING: fn(&Dir) = |_| {};

/// Every job. Pictures take the plain kernel, which skips nothing and so takes its time: one that is one
/// band, and one of many.
pub const WORKS: &[Work] = &[
    Work {
        name: "picture",
        words: &[
            "mandelbrot",
            "-W",
            "600",
            "-H",
            "401",
            "-n",
            "3000",
            "--center",
            "-0.743,0.131",
            "--zoom",
            "40",
            "-o",
            "out.png",
            "--hdf5",
            "out.h5",
        ],
        variables: &[("DCOMP_KERNEL", "reference")],
        outputs: &["out.png", "out.h5"],
        prepare: NOTHING,
        takes_ms: 900,
    },
    Work {
        name: "histogram",
        words: &[
            "mandelbrot",
            "-W",
            "300",
            "-H",
            "2001",
            "-n",
            "700",
            "--palette",
            "histogram",
            "--schedule",
            "cyclic",
            "-o",
            "out.png",
        ],
        variables: &[("DCOMP_BAND_PIXELS", "30000"), ("DCOMP_KERNEL", "reference")],
        outputs: &["out.png"],
        prepare: NOTHING,
        takes_ms: 700,
    },
    Work {
        name: "numbers",
        words: &[
            "counter-sort",
            "in",
            "-o",
            "out.txt",
            "--counts",
            "out.csv",
            "--on-error",
            "skip",
        ],
        variables: &[("DCOMP_SMALL_BYTES", "64"), ("DCOMP_SPLIT_BYTES", "3000")],
        outputs: &["out.txt", "out.csv"],
        prepare: |dir| {
            let make = ["generate", "numbers", "--files", "3000", "--dirty", "0.01", "-q"];
            dir.dcomp(&[&make[..], &["-o", "in", "--seed", "5"]].concat()).ok();
        },
        takes_ms: 300,
    },
    Work {
        name: "records",
        words: &["mergesort", "in.dat", "-o", "out.dat", "--type", "record:100:10"],
        variables: &[("DCOMP_RUN_BYTES", "40000")],
        outputs: &["out.dat"],
        prepare: |dir| {
            let make = ["generate", "records", "--count", "40000", "--seed", "5", "-q"];
            dir.dcomp(&[&make[..], &["-o", "in.dat"]].concat()).ok();
        },
        takes_ms: 400,
    },
];

/// A directory with inputs, and what an undisturbed run makes of them.
pub struct Scene {
    pub dir: Dir,
    expected: Vec<Vec<u8>>,
    /// Its record.
    pub record: Value,
}

impl Scene {
    pub fn new(work: &Work) -> Self {
        let reference = Dir::new(&format!("{}-reference", work.name));
        (work.prepare)(&reference);
        reference.dcomp(work.words).envs(work.variables).ok();
        let expected = work.outputs.iter().map(|name| reference.read(name)).collect();
        let record = reference.json(&format!("{}.json", work.outputs[0]));
        let dir = Dir::new(work.name);
        (work.prepare)(&dir);
        Self { dir, expected, record }
    }

    pub fn run(&self, work: &Work, more: &[&str], ranks: Option<u32>) -> Run {
        let words: Vec<&str> = work.words.iter().chain(more).copied().collect();
        self.dir.dcomp(&words).ranks_or_alone(ranks).envs(work.variables)
    }

    /// The outputs are right and nothing else is left.
    pub fn check(&self, work: &Work, context: &str) {
        for (name, expected) in work.outputs.iter().zip(&self.expected) {
            assert!(self.dir.read(name) == *expected, "{name} differs after {context}");
        }
        let left: Vec<String> = self
            .dir
            .names()
            .into_iter()
            .filter(|name| name.starts_with('.') || name == "ck")
            .collect();
        assert!(left.is_empty(), "{left:?} left after {context}");
    }

    /// Whether the last run went on from a checkpoint.
    pub fn resumed(&self, work: &Work) -> bool {
        let record = self.dir.json(&format!("{}.json", work.outputs[0]));
        !record["checkpoints"]["resumed_from"].is_null()
    }

    pub fn forget(&self, work: &Work) {
        for name in work.outputs {
            std::fs::remove_file(self.dir.path(name)).unwrap();
        }
    }
}

pub const SAVING: [&str; 3] = ["--checkpoint", "ck", "--resume"];

pub fn start(run: &Run) -> Child {
    run.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// After a kill everything ends within five seconds.
pub fn wait_for_the_end(dir: &Dir, child: &mut Child, context: &str) {
    let start = Instant::now();
    child.wait().unwrap();
    while !processes_in(&dir.path("")).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5), "still running after {context}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What kills came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kills {
    /// Kills that met a process.
    pub met: u64,
    /// Last runs that went on from a checkpoint.
    pub resumed: u64,
}

/// Kills a rank or the launcher at a random moment, some times over, then lets the run come to its end with
/// other ranks. Everything follows from the seed.
pub fn killed_in(scene: &Scene, work: &Work, seed: u64) -> Kills {
    let mut kills = Kills::default();
    let mut random = Random::new(seed);
    let counts = [None, Some(1), Some(2), Some(3), Some(4), Some(7), Some(8)];
    let mut context = format!("seed {seed} of {}:", work.name);
    for _ in 0..=random.below(3) {
        let ranks = counts[usize::try_from(random.below(7)).unwrap()];
        let delay = random.below(work.takes_ms + 400);
        let more = [&SAVING[..], &["--checkpoint-every", "20ms"]].concat();
        let mut child = start(&scene.run(work, &more, ranks));
        std::thread::sleep(Duration::from_millis(delay));
        let mut victims = processes_in(&scene.dir.path(""));
        if ranks.is_some() {
            victims.extend(launcher_of(&scene.dir));
        }
        let victim = victims.get(usize::try_from(random.below(9)).unwrap() % victims.len().max(1));
        write!(context, " {ranks:?} ranks killed after {delay} ms;").unwrap();
        if let Some(victim) = victim {
            signal(*victim, Signal::SIGKILL);
            kills.met += 1;
        }
        wait_for_the_end(&scene.dir, &mut child, &context);
    }
    let ranks = counts[usize::try_from(random.below(7)).unwrap()];
    let done = scene.run(work, &SAVING, ranks).run();
    assert_eq!(done.code, 0, "{context} resumed on {ranks:?} ranks: {done:#?}");
    scene.check(work, &context);
    kills.resumed += u64::from(scene.resumed(work));
    kills
}

/// The `mpirun` that works in this directory.
pub fn launcher_of(dir: &Dir) -> Vec<i32> {
    let here = dir.path("").canonicalize().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ours = entries.filter(|entry| {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let works_in = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        matches!(name.trim(), "mpirun" | "orterun" | "mpiexec") && works_in == here
    });
    ours.map(|entry| entry.file_name().to_string_lossy().parse().unwrap()).collect()
}

#[test]
fn a_run_killed_at_any_moment_goes_on() {
    for work in WORKS {
        let scene = Scene::new(work);
        for seed in 1..=15 {
            killed_in(&scene, work, seed);
            scene.forget(work);
        }
    }
}

/// Stops again and again, each time after a little longer, at other ranks and threads.
#[test]
fn a_chain_of_stops_ends_with_the_same_bytes() {
    for work in &WORKS[..2] {
        let scene = Scene::new(work);
        let mut stops = 0;
        for link in 0..40_u64 {
            let ranks =
                [None, Some(3), Some(1), Some(4), Some(2)][usize::try_from(link % 5).unwrap()];
            let time = format!("{}ms", work.takes_ms / 8 + 60 * link);
            let threads = ["1", "2", "3"][usize::try_from(link % 3).unwrap()];
            // The first two whatever the machine, the others when their time is over.
            let run = if link < 2 {
                let more = [&SAVING[..], &["--threads", threads]].concat();
                scene.run(work, &more, ranks).env("DCOMP_STOP_AFTER_PIECES", "2")
            } else {
                let more = [&SAVING[..], &["--max-time", &time, "--threads", threads]].concat();
                scene.run(work, &more, ranks)
            };
            let done = run.run();
            if done.code == 0 {
                break;
            }
            assert_eq!(done.code, 75, "link {link}: {done:#?}");
            // Its time may be over while it still reads the checkpoint.
            let known = ["asked to stop", "--max-time is over", "while a checkpoint was read"];
            assert!(known.iter().any(|part| done.stderr.contains(part)), "{done:#?}");
            stops += 1;
        }
        assert!(stops >= 2, "{} was stopped {stops} times", work.name);
        scene.check(work, &format!("{stops} stops"));
    }
}

/// A signal to one rank, to all, or to the launcher, which passes it on.
#[test]
fn a_signal_stops_all_ranks_in_time() {
    let work = &WORKS[0];
    for (sent, ranks, whom) in [
        (Signal::SIGUSR1, Some(4), "one"),
        (Signal::SIGTERM, Some(3), "all"),
        (Signal::SIGUSR1, Some(2), "launcher"),
        (Signal::SIGINT, None, "all"),
        (Signal::SIGTERM, None, "all"),
    ] {
        let scene = Scene::new(work);
        let mut long = work.words.to_vec();
        long.extend(["-n", "200000", "--checkpoint", "ck", "-q"]);
        long.retain(|word| *word != "3000");
        let at = long.iter().position(|word| *word == "-n").unwrap();
        long.remove(at);
        let run = scene.dir.dcomp(&long).ranks_or_alone(ranks).envs(work.variables);
        let mut child = start(&run);
        let begun = || scene.dir.path(".out.h5.checkpoint.part").exists().then_some(());
        wait_for(30, begun);
        std::thread::sleep(Duration::from_millis(300));
        let all = processes_in(&scene.dir.path(""));
        assert_eq!(all.len(), usize::try_from(ranks.unwrap_or(1)).unwrap(), "{sent} {ranks:?}");
        let victims = match whom {
            "one" => all[all.len() - 1..].to_vec(),
            "all" => all,
            _ => launcher_of(&scene.dir),
        };
        let begin = Instant::now();
        for victim in &victims {
            signal(*victim, sent);
        }
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(75), "{sent} to {whom} of {ranks:?}");
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(4), "{sent} to {whom} of {ranks:?}: {took:?}");
        assert!(scene.dir.path("ck/ckpt-000001").is_dir());
        let record = scene.dir.json("out.png.json");
        assert_eq!((&record["outcome"], &record["exit_code"]), (&"stopped".into(), &75.into()));
        assert_eq!(record["checkpoints"]["written"], 1);
    }
}

#[test]
fn what_does_not_fit_a_checkpoint_is_refused() {
    let work = &WORKS[0];
    let scene = Scene::new(work);
    let stop = scene.run(work, &[&SAVING[..2], &["-q"]].concat(), Some(2));
    stop.env("DCOMP_STOP_AFTER_PIECES", "2").fails(75);
    let again = scene.run(work, &SAVING[..2], None).fails(2);
    again.says("a checkpoint of an earlier run is there; --resume goes on from it");
    let other = scene.run(work, &[&SAVING[..], &["--palette", "dusk"]].concat(), None).fails(2);
    other.says("made with palette \"classic\", now it is \"dusk\"");
    for key in ["--resume", "--max-time=1s", "--checkpoint-every=1s"] {
        scene.run(work, &[key], None).fails(2).says("give --checkpoint DIR");
    }
    let text = scene.run(work, &["--checkpoint", "ck", "--max-time", "soon"], None).fails(2);
    text.says("`soon` is no time");
    scene.run(work, &["--checkpoint", "none/ck"], None).fails(74).says("checkpoint directory");
    // How it is computed may differ.
    let how = ["--schedule", "block", "--kernel", "portable", "--threads", "3"];
    scene.run(work, &[&SAVING[..], &how].concat(), Some(3)).ok();
    scene.check(work, "another schedule");
    // The output is there now, and complete.
    let done = scene.run(work, &SAVING, Some(2)).ok();
    assert!(done.stdout.contains("nothing is left to do"), "{done:#?}");
    let other = scene.run(work, &[&SAVING[..], &["--seed", "7"]].concat(), None).fails(2);
    other.says("out.png exists; --force replaces it");
    let mut random = Random::new(5);
    flip(&scene.dir.path("out.h5"), &mut random);
    scene.run(work, &SAVING, None).fails(2).says("out.png exists; --force replaces it");
}

/// Two runs with checkpoints of their own do not take each other's part file.
#[test]
fn two_runs_to_one_output_do_not_mix() {
    let work = &WORKS[0];
    let scene = Scene::new(work);
    let first = scene.run(work, &["--checkpoint", "one", "-q"], Some(2));
    let mut first = start(&first.env("DCOMP_FAULT", "nap:1:compute"));
    wait_for(30, || scene.dir.path(".out.h5.checkpoint.part").exists().then_some(()));
    let second = scene.run(work, &["--checkpoint", "two", "-q"], None).fails(2);
    second.says("is being made by another run with checkpoints");
    assert!(first.wait().unwrap().success());
    scene.check(work, "another run to the same output");
}

/// A checkpoint of which a bit has changed gives way to the one before, and a part file too.
#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let work = &WORKS[0];
    let scene = Scene::new(work);
    let mut random = Random::new(11);
    for _ in 0..2 {
        let run = scene.run(work, &[&SAVING[..], &["-q"]].concat(), Some(2));
        run.env("DCOMP_STOP_AFTER_PIECES", "2").fails(75);
    }
    let mut numbers: Vec<_> = std::fs::read_dir(scene.dir.path("ck"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    numbers.sort();
    assert_eq!(numbers.len(), 2, "{numbers:?}");
    // Which rank computed anything before the other's stop is up to the machine.
    let size = |name: &&str| std::fs::metadata(numbers[1].join(name)).unwrap().len();
    let largest = ["part-00000", "part-00001"].into_iter().max_by_key(size).unwrap();
    flip(&numbers[1].join(largest), &mut random);
    let done = scene.run(work, &SAVING, Some(3)).ok();
    done.says(&format!("is damaged: {largest} has a wrong length or checksum"));
    done.says("goes on from checkpoint");
    scene.check(work, "a flipped bit");
}

pub fn flip(path: &Path, random: &mut Random) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = usize::try_from(random.below(bytes.len().try_into().unwrap())).unwrap();
    bytes[at] ^= 1 << random.below(8);
    std::fs::write(path, bytes).unwrap();
}
