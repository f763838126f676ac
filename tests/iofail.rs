//! Every I/O call failed once: no loss in silence, no half-made file, the older output intact.
//!
//! A run is made once to log its calls (`tests/shim/iofail.c`), then again and again, each time with one
//! more of them failing in one more way: no room, a broken disk, a quota, a signal, half of the bytes. What
//! it may leave is judged from outside (`oracle`). `make test` draws a sample by a seed, `make campaign`
//! makes all. `IOFAIL_SEED` chooses another sample. `IOFAIL_ONLY=JOB` keeps to one job.
//!
//! One rank alone has one thread, so that calls come in one order, but for the sync beside the read-back.

mod jobs;
pub mod oracle;
mod saving;
mod shim;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dcomp::num::mix64;

use crate::util::{Dir, Done};
use jobs::{JOBS, Job};
use oracle::{Files, Seen, Verdict, files, restore};
use shim::{Call, Fault, WAYS, calls};

/// A run of these sizes ends in a second; more is a hang.
const LIMIT_S: u32 = 30;

/// Where jobs run, and what is there before and after.
struct Stage {
    /// For the log.
    dir: Dir,
    /// For the job.
    work: Dir,
    root: PathBuf,
    inputs: Files,
}

/// A job with its ranks, an older output or none, and what a run without a fault leaves.
struct Scene<'a> {
    stage: &'a Stage,
    job: &'static Job,
    ranks: Option<u32>,
    before: Files,
    whole: Files,
    calls: Vec<Call>,
}

/// How many runs went which way.
#[derive(Clone, Debug, Default)]
struct Tally {
    runs: u64,
    refused: u64,
    done: u64,
    unrecorded: u64,
    /// There was no such call, or not one that can be short.
    untouched: u64,
    /// What went wrong.
    wrong: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let work = Dir::in_memory("iofail");
        jobs::inputs(&work);
        let root = work.path("").canonicalize().unwrap();
        Self { dir: Dir::in_memory("iofail-log"), inputs: files(&root), root, work }
    }

    /// Runs a job in a directory that holds `before`; the calls it made.
    fn run(
        &self,
        job: &Job,
        ranks: Option<u32>,
        before: &Files,
        fault: Option<Fault>,
    ) -> (Done, Vec<Call>) {
        self.run_with(job, ranks, job.variables, before, fault)
    }

    fn run_with(
        &self,
        job: &Job,
        ranks: Option<u32>,
        variables: &[(&str, &str)],
        before: &Files,
        fault: Option<Fault>,
    ) -> (Done, Vec<Call>) {
        restore(&self.root, before);
        let log = self.dir.path("log");
        std::fs::remove_file(&log).ok();
        let mut words = shim::words(&self.root, &log, fault);
        words.push(env!("CARGO_BIN_EXE_dcomp").into());
        words.extend(job.line.split_whitespace().map(String::from));
        words.extend(["-q", "--threads", "1"].map(String::from));
        if job.replaces {
            words.push("--force".into());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run =
            self.work.program("env", &words).ranks_or_alone(ranks).envs(variables).limit_s(LIMIT_S);
        (run.run(), calls(&log))
    }
}

impl<'a> Scene<'a> {
    fn new(stage: &'a Stage, job: &'static Job, ranks: Option<u32>, older: bool) -> Self {
        let mut before = stage.inputs.clone();
        if older {
            for name in job.outputs {
                before.insert((*name).into(), Some(format!("older {name}").into_bytes()));
            }
            before.insert(
                job.record(),
                Some(b"{\"schema\": \"dcomp-run/1\", \"older\": true}".to_vec()),
            );
        }
        let (done, calls) = stage.run(job, ranks, &before, None);
        assert_eq!(done.code, 0, "{done:#?}");
        assert!(calls.len() > 20, "{}: calls are seen", job.name);
        let whole = files(&stage.root);
        for name in job.outputs {
            assert!(whole.contains_key(*name), "{} makes {name}", job.name);
        }
        Self { stage, job, ranks, before, whole, calls }
    }

    /// The greatest number of calls of a rank that the fault concerns.
    fn most(&self, rank: Option<u32>) -> u64 {
        let mine = self.calls.iter().filter(|call| rank.is_none_or(|rank| rank == call.rank));
        mine.map(|call| call.number).max().unwrap_or(0)
    }

    /// Makes one run with a fault and judges it: the verdict, unless no call failed, or what is wrong.
    fn fail(&self, fault: Fault) -> Result<Option<Verdict>, String> {
        let (done, calls) = self.stage.run(self.job, self.ranks, &self.before, Some(fault));
        let after = files(&self.stage.root);
        let hits: Vec<&Call> = calls.iter().filter(|call| call.failed).collect();
        let Self { job, before, whole, stage, .. } = self;
        let (root, way) = (&stage.root, fault.way);
        let seen = Seen { job, root, hits: &hits, way, before, after: &after, whole, done: &done };
        let reached = !hits.is_empty();
        seen.verdict().map(|verdict| reached.then_some(verdict)).map_err(|problem| {
            let new: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
            format!("{}: {problem}\n{fault:?}\n{hits:?}\nnew: {new:?}\n{done:#?}", job.name)
        })
    }
}

impl Tally {
    fn add(&mut self, verdict: Result<Option<Verdict>, String>) {
        self.runs += 1;
        match verdict {
            Ok(None) => self.untouched += 1,
            Ok(Some(Verdict::Refused)) => self.refused += 1,
            Ok(Some(Verdict::Done)) => self.done += 1,
            Ok(Some(Verdict::Unrecorded)) => self.unrecorded += 1,
            Err(problem) => self.wrong.push(problem),
        }
    }

    fn told(&self) -> String {
        let Self { runs, refused, done, unrecorded, untouched, wrong } = self;
        let wrong = wrong.len();
        format!(
            "runs={runs} refused={refused} went-on={done} unrecorded={unrecorded} \
             untouched={untouched} wrong={wrong}"
        )
    }
}

/// Fails when anything went wrong, after all was tried.
fn all_well<'a>(tallies: impl IntoIterator<Item = &'a Tally>) {
    let wrong: Vec<&String> = tallies.into_iter().flat_map(|tally| &tally.wrong).collect();
    let first: Vec<&str> = wrong.iter().take(30).map(|problem| problem.as_str()).collect();
    assert!(wrong.is_empty(), "{} runs went wrong:\n{}", wrong.len(), first.join("\n\n"));
}

/// The job that the environment asks for, or all.
fn wanted() -> impl Iterator<Item = &'static Job> {
    let only = std::env::var("IOFAIL_ONLY").ok();
    JOBS.iter().filter(move |job| only.as_ref().is_none_or(|only| job.name == only))
}

/// What `make test` draws by.
fn seed() -> u64 {
    let seed =
        std::env::var("IOFAIL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121);
    eprintln!("IOFAIL_SEED={seed}");
    seed
}

/// `count` faults, drawn by the seed; the rank that each concerns by `rank`.
fn sample(scene: &Scene<'_>, count: u64, seed: u64, rank: Option<u32>) -> Tally {
    let (mut tally, most) = (Tally::default(), scene.most(rank));
    for draw in 0..count {
        let random = mix64(seed + draw);
        let way = WAYS[usize::try_from(random % 5).unwrap()];
        tally.add(scene.fail(Fault { at: 1 + random / 5 % most, rank, way }));
    }
    tally
}

#[test]
fn a_failed_call_is_told_or_made_good() {
    let (stage, seed) = (Stage::new(), seed());
    let mut all = Vec::new();
    for (job, number) in wanted().zip(0_u64..) {
        let older = job.replaces && mix64(seed + number).is_multiple_of(2);
        let tally = sample(&Scene::new(&stage, job, None, older), 24, seed + (number << 32), None);
        eprintln!("iofail {}: {}", job.name, tally.told());
        all.push(tally);
    }
    all_well(&all);
    let sum = |pick: fn(&Tally) -> u64| all.iter().map(pick).sum::<u64>();
    assert!(sum(|tally| tally.refused) > 20 && sum(|tally| tally.done) > 20);
}

#[test]
fn a_failed_call_of_one_rank_is_everybodys() {
    let (stage, seed) = (Stage::new(), seed());
    let mut all = Vec::new();
    for (job, number) in wanted().zip(0_u64..).filter(|(_, number)| number % 3 == seed % 3) {
        let scene = Scene::new(&stage, job, Some(2), job.replaces);
        let rank = (number % 2 == 0).then_some(1);
        let tally = sample(&scene, 2, seed + (number << 32), rank);
        eprintln!("iofail {} of 2 ranks: {}", job.name, tally.told());
        all.push(tally);
    }
    all_well(&all);
}

/// Each of the calls of one rank in every way that it can fail, and some more: a fault may bring more calls
/// than there were without it.
fn every_fault(calls: &[Call]) -> Vec<Fault> {
    let most = calls.iter().map(|call| call.number).max().unwrap_or(0);
    let ways_of = |at| {
        let call = calls.iter().find(|call| call.number == at);
        let ways =
            WAYS.into_iter().filter(move |way| *way != "SHORT" || call.is_none_or(Call::moves));
        ways.map(move |way| Fault { at, rank: None, way })
    };
    (1..=most + 3).flat_map(ways_of).collect()
}

/// Every call, every way, with an older output and without.
#[test]
#[ignore = "ten thousand runs: make campaign"]
fn every_call_of_every_job_failed_once() {
    let stage = Stage::new();
    let mut all = Vec::new();
    for job in wanted() {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for older in if job.replaces { &[false, true][..] } else { &[false] } {
            let scene = Scene::new(&stage, job, None, *older);
            for fault in every_fault(&scene.calls) {
                tallies.entry(fault.way).or_default().add(scene.fail(fault));
            }
        }
        tell(job.name, tallies, &mut all);
    }
    conclude(&all);
}

/// At two ranks: every call of one rank, and of both at once, each in one way.
#[test]
#[ignore = "an hour: make campaign"]
fn every_call_of_every_rank_failed_once() {
    let (stage, seed) = (Stage::new(), seed());
    let mut all = Vec::new();
    for job in wanted() {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        let scene = Scene::new(&stage, job, Some(2), job.replaces);
        for (rank, who) in [(Some(0), "rank 0"), (Some(1), "rank 1"), (None, "both ranks")] {
            for at in 1..=scene.most(rank) {
                let way = WAYS[usize::try_from(mix64(seed + at) % 5).unwrap()];
                tallies.entry(who).or_default().add(scene.fail(Fault { at, rank, way }));
            }
        }
        tell(job.name, tallies, &mut all);
    }
    conclude(&all);
}

/// Tells of one job's runs as soon as they are made.
fn tell(job: &str, tallies: BTreeMap<&'static str, Tally>, all: &mut Vec<Tally>) {
    for (what, tally) in tallies {
        eprintln!("iofail {job} {what}: {}", tally.told());
        all.push(tally);
    }
}

fn conclude(all: &[Tally]) {
    all_well(all);
    let sum: u64 = all.iter().map(|tally| tally.runs - tally.untouched).sum();
    eprintln!("iofail: {sum} runs with a failed call, silent=0 half-made=0");
    assert!(sum >= 1000 || std::env::var("IOFAIL_ONLY").is_ok());
}
