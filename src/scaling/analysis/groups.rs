//! Runs into curves and points. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Failed, Metric, Mode, Outcome, Sample, Timing, Unit};
use crate::error::{Error, Result};
use crate::num::{len_f64, to_f64};

/// The runs of one curve.
pub(super) struct Group {
    pub name: String,
    pub mode: Mode,
    /// Whether the mode was found out from the runs, not told.
    pub guessed: bool,
    pub metric: Metric,
    pub timing: Timing,
    /// Rising in size.
    pub points: Vec<Point>,
    pub failed: Vec<Failed>,
}

/// The runs of one size, in the order they were measured.
pub(super) struct Point {
    pub ranks: u64,
    pub threads: u64,
    pub nodes: Option<u64>,
    pub runs: Vec<Sample>,
}

impl Point {
    /// The values, in order.
    pub fn values(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.value).collect()
    }

    /// The mean work of a run, when every run tells it.
    pub fn work(&self) -> Option<f64> {
        let works: Option<Vec<f64>> = self.runs.iter().map(|run| run.work).collect();
        works.map(|works| works.iter().sum::<f64>() / len_f64(works.len()))
    }
}

impl Group {
    /// Ranks, unless threads differ.
    pub fn unit(&self) -> Unit {
        let threads = self.points.first().map(|point| point.threads);
        let alike = self.points.iter().all(|point| Some(point.threads) == threads);
        if alike { Unit::Ranks } else { Unit::Cores }
    }

    pub fn runs(&self) -> impl Iterator<Item = &Sample> {
        self.points.iter().flat_map(|point| &point.runs)
    }

    /// What was computed: the study's command, else that of the smallest size.
    pub fn input(&self) -> String {
        if let Some(study) = self.runs().find_map(|run| run.study.clone()) {
            return study;
        }
        let first = self.runs().find(|run| !run.command.is_empty());
        first.map_or_else(String::new, |run| {
            let words = run.command.iter().map(|word| {
                shlex::try_quote(word).map_or_else(|_| word.clone(), std::borrow::Cow::into_owned)
            });
            words.collect::<Vec<_>>().join(" ")
        })
    }
}

/// Each measured run once, whatever files it came from. Rows of tables have no identity: equal ones stay.
pub(super) fn distinct(samples: Vec<Sample>) -> Vec<Sample> {
    let mut seen = BTreeSet::new();
    let mut is_new = |sample: &Sample| {
        sample.started.is_empty()
            || seen.insert((
                sample.series.clone(),
                sample.ranks,
                sample.repeat,
                sample.started.clone(),
                sample.process_s.or(sample.value).map(f64::to_bits),
            ))
    };
    samples.into_iter().filter(|sample| is_new(sample)).collect()
}

/// Sorts runs into curves by series, mode, metric and clock; curves by name.
pub(super) fn group(samples: Vec<Sample>, told: Option<Mode>) -> Result<Vec<Group>> {
    type Key = (String, Option<Mode>, bool, u8);
    let mut curves: BTreeMap<Key, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        let key = (
            sample.series.clone(),
            sample.mode.or(told),
            sample.metric == Metric::Throughput,
            clock(sample.timing),
        );
        curves.entry(key).or_default().push(sample);
    }
    curves.into_iter().map(|((name, mode, ..), samples)| curve(name, mode, samples)).collect()
}

fn clock(timing: Timing) -> u8 {
    match timing {
        Timing::Run => 0,
        Timing::Process => 1,
        Timing::Printed => 2,
        Timing::Told => 3,
    }
}

fn curve(name: String, mode: Option<Mode>, samples: Vec<Sample>) -> Result<Group> {
    let (metric, timing) = (samples[0].metric, samples[0].timing);
    let guessed = mode.is_none();
    let mode = match mode {
        Some(mode) => mode,
        None => guess(&samples).ok_or_else(|| {
            Error::bad_input(format!(
                "the records of {name} do neither the same work nor the same work per rank; say \
                 which series they are: --mode strong or --mode weak"
            ))
        })?,
    };
    let mut points: BTreeMap<(u64, u64, Option<u64>), Vec<Sample>> = BTreeMap::new();
    let mut failed = Vec::new();
    for sample in samples {
        if sample.outcome == Outcome::Ok && sample.value.is_some() {
            points.entry((sample.ranks, sample.threads, sample.nodes)).or_default().push(sample);
        } else {
            let why = if sample.message.is_empty() { "no value".into() } else { sample.message };
            failed.push(Failed { ranks: sample.ranks, repeat: sample.repeat, why });
        }
    }
    failed.sort_by_key(|failed| (failed.ranks, failed.repeat));
    let mut points: Vec<Point> = points
        .into_iter()
        .map(|((ranks, threads, nodes), mut runs)| {
            // A function of the runs, not of the order of files.
            runs.sort_by(|a, b| {
                let key = |run: &Sample| (run.repeat, run.started.clone());
                key(a)
                    .cmp(&key(b))
                    .then(a.value.partial_cmp(&b.value).unwrap_or(std::cmp::Ordering::Equal))
            });
            Point { ranks, threads, nodes, runs }
        })
        .collect();
    points.sort_by_key(|point| (point.ranks * point.threads, point.ranks, point.nodes));
    Ok(Group { name, mode, guessed, metric, timing, points, failed })
}

/// Strong when all runs found the same, weak when their work grows with the ranks within a quarter.
fn guess(samples: &[Sample]) -> Option<Mode> {
    let ok: Vec<&Sample> = samples.iter().filter(|s| s.outcome == Outcome::Ok).collect();
    let result = |sample: &Sample| -> Option<Value> {
        sample.record.as_ref().map(|record| record.result.clone())
    };
    let first = ok.first()?;
    if ok.iter().all(|sample| result(sample) == result(first)) {
        return Some(Mode::Strong);
    }
    let per_rank: Option<Vec<f64>> =
        ok.iter().map(|s| s.work.map(|work| work / to_f64(s.ranks * s.threads))).collect();
    let per_rank = per_rank?;
    let least = per_rank.iter().copied().fold(f64::INFINITY, f64::min);
    let most = per_rank.iter().copied().fold(0.0, f64::max);
    (most <= 1.25 * least).then_some(Mode::Weak)
}
