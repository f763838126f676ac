//! Checkpoints that are not what a run left: changed, cut, exchanged, forged.
//!
//! A run of each job is stopped twice, so that there are two checkpoints. Each case begins with a copy of
//! what they left, changes some of it and goes on with `--resume`: either the bytes are those of a run that
//! nobody touched, or a sentence says what is wrong. Where the checksums are made to fit again, the parsers
//! behind them are reached; then a forged count may also be found by the verification, and what a forged
//! picture claims to have computed is believed where no sample contradicts it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::forge::CHANGES;
use super::told;
use crate::chance::{Chance, dcomp, patience, words};
use crate::util::Dir;

/// A run that is stopped twice.
struct Work {
    name: &'static str,
    words: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    outputs: &'static [&'static str],
    /// What stops it, and the ranks of both runs.
    stops: [(&'static str, &'static str); 2],
    ranks: u32,
}

const WORKS: [Work; 6] = [
    Work {
        name: "bands",
        words: &[
            "mandelbrot",
            "-W",
            "1500",
            "-H",
            "60",
            "-n",
            "30",
            "--depth",
            "16",
            "-o",
            "out.png",
        ],
        variables: &[("DCOMP_BAND_PIXELS", "20000")],
        outputs: &["out.png"],
        stops: [("DCOMP_STOP_AFTER", "2"), ("DCOMP_STOP_AFTER_PIECES", "1")],
        ranks: 1,
    },
    Work {
        name: "histogram",
        words: &[
            "mandelbrot",
            "-W",
            "1500",
            "-H",
            "60",
            "-n",
            "30",
            "--depth",
            "16",
            "--palette",
            "histogram",
            "-o",
            "out.png",
            "--hdf5",
            "out.h5",
        ],
        variables: &[("DCOMP_BAND_PIXELS", "10000")],
        outputs: &["out.png", "out.h5"],
        stops: [("DCOMP_STOP_AFTER", "6"), ("DCOMP_STOP_AFTER_PIECES", "3")],
        ranks: 2,
    },
    Work {
        name: "numbers",
        words: &["counter-sort", "in", "-o", "out.txt", "--counts", "out.csv", "--on-error=skip"],
        variables: &[("DCOMP_SMALL_BYTES", "64"), ("DCOMP_SPLIT_BYTES", "100")],
        outputs: &["out.txt", "out.csv"],
        stops: [("DCOMP_STOP_AFTER_PIECES", "10"), ("DCOMP_STOP_AFTER_PIECES", "14")],
        ranks: 1,
    },
    Work {
        name: "counted",
        words: &["counter-sort", "in", "-o", "out.i64", "--output-format=i64"],
        variables: &[("DCOMP_SMALL_BYTES", "64")],
        outputs: &["out.i64"],
        stops: [("DCOMP_STOP_AFTER_PIECES", "5"), ("DCOMP_STOP_AFTER_PIECES", "6")],
        ranks: 3,
    },
    Work {
        name: "keys",
        words: &["mergesort", "keys", "--type", "u64", "-o", "out"],
        variables: &[("DCOMP_RUN_BYTES", "4000")],
        outputs: &["out"],
        stops: [("DCOMP_STOP_AFTER", "6"), ("DCOMP_STOP_AFTER", "30")],
        ranks: 2,
    },
    Work {
        name: "lines",
        words: &["mergesort", "text", "-k1n", "--unique", "--compress-temp", "-o", "out"],
        variables: &[("DCOMP_RUN_BYTES", "1500")],
        outputs: &["out"],
        stops: [("DCOMP_STOP_AFTER", "9"), ("DCOMP_STOP_AFTER", "60")],
        ranks: 1,
    },
];

/// What a work leaves when it was stopped twice, and what it would have made.
pub struct Scene {
    work: &'static Work,
    pub dir: Dir,
    /// Where the checkpoint and the part files are kept.
    kept: Dir,
    left: Vec<String>,
    expected: Vec<Vec<u8>>,
}

const SAVING: [&str; 4] = ["--checkpoint", "ck", "--resume", "-q"];

impl Scene {
    fn new(work: &'static Work) -> Self {
        let dir = Dir::in_memory(&format!("forged-{}", work.name));
        dir.dcomp(&["generate", "numbers", "--files=40", "--per-file=30", "-q", "-o", "in"]).ok();
        dir.dcomp(&["generate", "keys", "--pattern=heavy", "--count=3001", "-q", "-o", "keys"])
            .ok();
        let line = |number: u64| format!("{} {number}\n", number * 2_654_435_761 % 500);
        dir.write("text", &(0..900).map(line).collect::<String>());
        dir.dcomp(work.words).envs(work.variables).ok();
        let expected = work.outputs.iter().map(|name| dir.read(name)).collect();
        let before = |name: &String| !work.outputs.iter().any(|output| name.starts_with(output));
        for name in dir.names().iter().filter(|name| !before(name)) {
            remove(&dir.path(name));
        }
        let words: Vec<&str> = work.words.iter().chain(&SAVING).copied().collect();
        for (variable, value) in work.stops {
            let run = dir.dcomp(&words).ranks(work.ranks).envs(work.variables);
            run.env(variable, value).fails(75);
        }
        let kept = Dir::in_memory("forged-kept");
        let names = dir.names().into_iter().filter(|name| name == "ck" || name.starts_with('.'));
        let left: Vec<String> = names.collect();
        for name in &left {
            copy(&dir.path(name), &kept.path(name));
        }
        let scene = Self { work, dir, kept, left, expected };
        assert!(scene.heads().len() == 2, "{}: {:?}", work.name, scene.files());
        scene
    }

    /// As the runs left it.
    fn restore(&self) {
        for name in self.dir.names() {
            let ours = name == "ck" || name.starts_with('.') || name.starts_with("out");
            if ours && name != ".." {
                remove(&self.dir.path(&name));
            }
        }
        for name in &self.left {
            copy(&self.kept.path(name), &self.dir.path(name));
        }
    }

    /// All files that were left.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for name in &self.left {
            walk(&self.dir.path(name), &mut all);
        }
        all.sort();
        all
    }

    /// The checkpoints' heads, oldest first.
    pub fn heads(&self) -> Vec<PathBuf> {
        self.files().into_iter().filter(|path| path.ends_with("head.json")).collect()
    }
}

fn walk(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), into);
        }
    } else {
        into.push(path.to_owned());
    }
}

pub fn remove(path: &Path) {
    let Ok(meta) = path.symlink_metadata() else { return };
    if meta.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
}

pub fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

/// Goes on from what is there, and says what is wrong with how it ended.
fn judge(scene: &Scene, label: &str, fits: bool, tally: &mut Tally) -> Option<String> {
    let Scene { work, dir, .. } = scene;
    let line: Vec<&str> = work.words.iter().chain(&SAVING).copied().collect();
    let variables: Vec<(OsString, OsString)> =
        work.variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let ended = dcomp(&dir.path(""), &words(&line), &variables);
    tally.count(ended.code);
    let outputs = || work.outputs.iter().map(|name| std::fs::read(dir.path(name)).ok());
    let problem = if ended.code == 0 {
        let same =
            outputs().zip(&scene.expected).all(|(found, right)| found.as_ref() == Some(right));
        // Nobody can tell pixels that were computed from such as are said to be.
        let believed = fits && work.words[0] == "mandelbrot" && outputs().all(|out| out.is_some());
        (!same && !believed).then(|| "other bytes".to_owned())
    } else if !(matches!(ended.code, 2 | 65 | 74) || fits && ended.code == 1) {
        Some("the exit code".into())
    } else if outputs().any(|output| output.is_some()) {
        Some("an output of a run that failed".into())
    } else if !told(&ended) {
        Some("no sentence".into())
    } else {
        (ended.took_s > patience().as_secs_f64()).then(|| format!("{:.2} s", ended.took_s))
    };
    let problem = problem?;
    Some(format!("{problem}\n{}: {label}\n{ended:#?}", work.name))
}

/// How runs ended.
#[derive(Debug, Default)]
struct Tally {
    went_on: usize,
    refused: usize,
    disproved: usize,
}

impl Tally {
    fn count(&mut self, code: i32) {
        match code {
            0 => self.went_on += 1,
            1 => self.disproved += 1,
            _ => self.refused += 1,
        }
    }
}

fn none_is_believed_blindly(name: &str, seed: u64, count: usize) {
    let mut chance = Chance::new(name, seed);
    let mut problems = Vec::new();
    for work in &WORKS {
        let scene = Scene::new(work);
        let mut tally = Tally::default();
        for (number, change) in (0..count).zip(CHANGES.iter().cycle()) {
            scene.restore();
            let (label, fits) = change(&mut chance, &scene);
            if let Some(problem) = judge(&scene, &label, fits, &mut tally) {
                eprintln!("case {number}: {problem}\n");
                problems.push(number);
            }
        }
        eprintln!("{}: {count} changes of a checkpoint: {tally:?}", work.name);
        assert!(tally.went_on > 0 && tally.refused > 0, "{}: {tally:?}", work.name);
    }
    assert!(problems.is_empty(), "{} problems, see above", problems.len());
}

#[test]
fn checkpoints_that_are_not_what_was_left_are_found_out() {
    none_is_believed_blindly("forged", 21, 24);
}

/// For `make campaign`: some thousand.
#[test]
#[ignore = "takes minutes"]
fn thousands_of_forged_checkpoints_are_found_out() {
    none_is_believed_blindly("forged-campaign", 22, 500);
}
