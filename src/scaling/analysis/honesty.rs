//! What a reader must know before any number. Each warning also marks the figures and refuses
//! `--publish`. Pure.

use std::collections::BTreeSet;

use super::groups::Group;
use super::words::{list, seconds};
use super::{Mode, Options, Timing, rows};
use crate::scaling::stats::median;

/// Times below this are mostly start-up and noise.
const SHORTEST_S: f64 = 1.0;

/// What speaks against one curve.
pub(super) fn warnings(group: &Group, options: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(format!("{}: {text}", group.name));
    let over: Vec<String> = group
        .points
        .iter()
        .filter(|point| point.runs.iter().any(|run| run.oversubscribed))
        .map(|point| point.ranks.to_string())
        .collect();
    if !over.is_empty() {
        warn(format!(
            "more ranks than cores at {} ranks; such times say nothing about scaling",
            list(&over)
        ));
    }
    let sizes: BTreeSet<u64> =
        group.points.iter().map(|point| point.ranks * point.threads).collect();
    if sizes.len() < 3 {
        warn(format!("{} sizes measured; a curve needs at least 3", sizes.len()));
    }
    let shortest = group.points.iter().filter_map(|point| median(&point.values()));
    let shortest = shortest.fold(f64::INFINITY, f64::min);
    if group.metric == super::Metric::Time && shortest < SHORTEST_S {
        warn(format!(
            "runs of {} are too short to tell scaling from start-up and noise; take a larger problem",
            seconds(shortest)
        ));
    }
    if !group.failed.is_empty() {
        let ranks: BTreeSet<String> = group.failed.iter().map(|f| f.ranks.to_string()).collect();
        let ranks: Vec<String> = ranks.into_iter().collect();
        warn(format!(
            "{} runs failed (at {} ranks; the first: {})",
            group.failed.len(),
            list(&ranks),
            group.failed[0].why
        ));
    }
    if let Some(asked) = rows::asked(group, options.baseline)
        && !group.points.iter().any(|point| point.ranks == asked)
    {
        warn(format!("the baseline of {asked} ranks is missing; speedups are relative to another"));
    }
    if let Some(text) = inputs(group) {
        warn(text);
    }
    if group.guessed && group.timing != Timing::Told {
        let mode = if group.mode == Mode::Strong { "strong" } else { "weak" };
        warn(format!(
            "taken for a {mode} series from the work of its runs; say --mode {mode} if so"
        ));
    }
    let machines: BTreeSet<&str> = group
        .runs()
        .filter_map(|run| run.machine.as_ref())
        .map(|machine| machine.cpu_model.as_str())
        .collect();
    if machines.len() > 1 {
        warn(format!("measured on different processors: {}", list(&Vec::from_iter(machines))));
    }
    let programs: BTreeSet<&str> = group
        .runs()
        .filter_map(|run| run.record.as_ref())
        .map(|record| record.program.git.as_str())
        .collect();
    if programs.len() > 1 {
        warn(format!("measured with different programs: {}", list(&Vec::from_iter(programs))));
    }
    warnings
}

/// Whether the runs did what a series of this mode does.
fn inputs(group: &Group) -> Option<String> {
    let works: Vec<(u64, f64)> = group
        .points
        .iter()
        .filter_map(|point| Some((point.ranks * point.threads, point.work()?)))
        .collect();
    match group.mode {
        Mode::Strong => {
            let mut results = group.runs().filter_map(|run| run.record.as_ref());
            let first = results.next().map(|record| &record.result);
            let differ = results.any(|record| Some(&record.result) != first);
            let by_work = works.iter().any(|(_, work)| (work / works[0].1 - 1.0).abs() > 1e-9);
            (differ || by_work).then(|| {
                "different inputs in one strong series: the runs did not find the same".into()
            })
        }
        Mode::Weak => {
            let per_core = |(cores, work): &(u64, f64)| work / crate::num::to_f64(*cores);
            let all: Vec<f64> = works.iter().map(per_core).collect();
            let off = all.iter().map(|work| (work / all[0] - 1.0).abs()).fold(0.0, f64::max);
            (off > 0.25).then(|| {
                format!(
                    "the work per rank differs by up to {:.0} %; a weak series keeps it (efficiencies \
                     are corrected for it)",
                    off * 100.0
                )
            })
        }
    }
}
