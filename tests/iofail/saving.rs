//! The same of runs with checkpoints: whatever call fails, the same command ends well when it is given again.
//!
//! A run that refuses may leave its checkpoints and the part files that belong to them, and nothing else. The
//! next run, in which no call fails, goes on from there or starts anew, and leaves what one run would have.

use std::collections::BTreeMap;

use super::oracle::{Files, Seen, Verdict, files, restore};
use super::shim::{Call, Fault, WAYS};
use super::{Stage, Tally, all_well, every_fault, jobs, seed, tell};
use dcomp::num::mix64;
use jobs::Job;

/// What a run begins with, nothing of its own or what a stopped one left, and whether it is stopped itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Fresh,
    Stopped,
    /// Fresh, and told to stop.
    Stopping,
}

const BEGINS: [Begin; 3] = [Begin::Fresh, Begin::Stopped, Begin::Stopping];

/// A job that saves, with what is there before it and what is there in the end.
struct Scene<'a> {
    stage: &'a Stage,
    job: &'static Job,
    variables: Vec<(&'static str, &'static str)>,
    before: Files,
    whole: Files,
    calls: Vec<Call>,
}

/// Whether a file belongs to checkpoints.
fn is_kept(name: &str) -> bool {
    name == "saves" || name.starts_with("saves/") || name.ends_with(".checkpoint.part")
}

impl<'a> Scene<'a> {
    fn new(stage: &'a Stage, job: &'static Job, begin: Begin) -> Self {
        let mut before = stage.inputs.clone();
        for name in job.outputs {
            before.insert((*name).into(), Some(format!("older {name}").into_bytes()));
        }
        let older = b"{\"schema\": \"dcomp-run/1\", \"older\": true}".to_vec();
        before.insert(job.record(), Some(older));
        let stopping = [job.variables, &[jobs::STOP]].concat();
        if begin == Begin::Stopped {
            let stopped = stage.run_with(job, None, &stopping, &before, None).0;
            assert_eq!(stopped.code, 75, "{stopped:#?}");
            before = files(&stage.root);
            assert!(
                before.keys().any(|name| name.starts_with("saves/ckpt-")),
                "{:?}",
                before.keys()
            );
        }
        let (done, mut calls) = stage.run(job, None, &before, None);
        assert_eq!(done.code, 0, "{done:#?}");
        let whole = files(&stage.root);
        assert!(!whole.keys().any(|name| is_kept(name)), "{:?} left", whole.keys());
        let mut variables = job.variables.to_vec();
        if begin == Begin::Stopping {
            variables = stopping;
            calls = stage.run_with(job, None, &variables, &before, None).1;
        }
        Self { stage, job, variables, before, whole, calls }
    }

    fn most(&self) -> u64 {
        self.calls.iter().map(|call| call.number).max().unwrap_or(0)
    }

    /// Makes one run with a fault, and one without it where that refused, and judges both.
    fn fail(&self, fault: Fault) -> Result<Option<Verdict>, String> {
        let Self { stage, job, variables, before, whole, .. } = self;
        let (done, calls) = stage.run_with(job, None, variables, before, Some(fault));
        let left = files(&stage.root);
        let hits: Vec<&Call> = calls.iter().filter(|call| call.failed).collect();
        let reached = !hits.is_empty();
        let without_kept = |files: &Files| -> Files {
            let others = files.iter().filter(|(name, _)| done.code == 0 || !is_kept(name));
            others.map(|(name, held)| (name.clone(), held.clone())).collect()
        };
        let (root, way) = (&stage.root, fault.way);
        let seen = Seen {
            job,
            root,
            hits: &hits,
            way,
            before: &without_kept(before),
            after: &without_kept(&left),
            whole,
            done: &done,
        };
        let wrong = |problem: String| {
            let new: Vec<_> = left.keys().filter(|name| !before.contains_key(*name)).collect();
            format!("{}: {problem}\n{fault:?}\n{hits:?}\nnew: {new:?}\n{done:#?}", job.name)
        };
        // The record of a failure has another name where it could not be seen what has the usual one.
        let failed = |name: &&String| name.starts_with(&format!("{}.failed", job.outputs[0]));
        let records: Vec<String> =
            left.keys().filter(failed).cloned().chain([job.record()]).collect();
        let verdict = if done.code == 75 && variables.contains(&jobs::STOP) {
            // Whatever failed, there is a checkpoint, or an older one; the output is as it was.
            seen.same(before, &records).map(|()| Verdict::Refused)
        } else {
            seen.verdict()
        };
        let verdict = verdict.map_err(wrong)?;
        if done.code != 0 {
            let again = stage.run(job, None, &left, None).0;
            let after = files(&stage.root);
            let last = Seen { after: &after, done: &again, hits: &[], ..seen };
            let same =
                if again.code == 0 { last.same(whole, &records) } else { Err("refused".into()) };
            same.map_err(|problem| wrong(format!("then {problem}: {again:#?}")))?;
        }
        Ok(reached.then_some(verdict))
    }
}

/// A sample, drawn by the seed.
#[test]
fn a_failed_call_of_a_run_with_checkpoints_costs_nothing_that_was_kept() {
    let (stage, seed) = (Stage::new(), seed());
    let mut all = Vec::new();
    for (job, number) in jobs::SAVING.iter().zip(0_u64..) {
        for begin in BEGINS {
            let scene = Scene::new(&stage, job, begin);
            let (mut tally, most) = (Tally::default(), scene.most());
            for draw in 0..8 {
                let random = mix64(seed + draw + (number << 32));
                let way = WAYS[usize::try_from(random % 5).unwrap()];
                tally.add(scene.fail(Fault { at: 1 + random / 5 % most, rank: None, way }));
            }
            eprintln!("iofail {} {begin:?}: {}", job.name, tally.told());
            all.push(tally);
        }
    }
    all_well(&all);
}

/// Every call, every way.
#[test]
#[ignore = "some thousand runs: make campaign"]
fn every_call_of_every_run_with_checkpoints_failed_once() {
    let stage = Stage::new();
    let mut all = Vec::new();
    for job in &jobs::SAVING {
        for begin in BEGINS {
            let scene = Scene::new(&stage, job, begin);
            let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
            for fault in every_fault(&scene.calls) {
                tallies.entry(fault.way).or_default().add(scene.fail(fault));
            }
            tell(&format!("{} {begin:?}", job.name), tallies, &mut all);
        }
    }
    restore(&stage.root, &stage.inputs);
    all_well(&all);
    let sum: u64 = all.iter().map(|tally| tally.runs - tally.untouched).sum();
    eprintln!("iofail: {sum} runs with checkpoints and a failed call, silent=0 half-made=0");
}
