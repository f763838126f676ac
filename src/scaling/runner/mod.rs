//! Carries out a study: rounds of runs in random order, each appended to `runs.jsonl` at once.
//!
//! The runs are other processes; this one waits. It may be ended at any time: what was measured is in the
//! file, and the same command again goes on where it stopped.

mod child;
mod directory;
mod measure;
mod runs_file;
pub mod slurm;
pub mod surroundings;

use std::path::{Path, PathBuf};

use super::report::Metric;
use super::sample::{Outcome, Sample};
use super::stats::{median, median_interval};
use super::study::Study;
use super::study::order::permutation;
use super::study::points::{self, Point};
use crate::error::{Error, Result};
use crate::measure::progress::Progress;
use crate::num::to_u64;
use measure::Bench;
use runs_file::RunsFile;
use surroundings::Surroundings;

/// After so many failures in a row a size is given up.
const FAILURES: usize = 2;

/// How a study is carried out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the runs, logs and scratch files go.
    pub directory: PathBuf,
    /// Only sizes of so many nodes, when one job of several carries out its part; its runs go to a
    /// file of their own.
    pub nodes: Option<u64>,
    /// Begin anew where runs of another study are.
    pub force: bool,
    /// No progress.
    pub quiet: bool,
}

/// What became of a study.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Runs that gave a value, those of earlier starts included.
    pub measured: u64,
    /// Runs of this start that gave none.
    pub failed: u64,
    /// Runs that were there already.
    pub found: u64,
    /// Where they are.
    pub file: PathBuf,
    /// Sizes with fewer values than asked for, in ranks.
    pub short: Vec<u64>,
    /// The first failure.
    pub first_failure: Option<String>,
}

/// What is known of one size.
struct Size {
    point: Point,
    values: Vec<f64>,
    /// Input made, warm-ups done.
    ready: bool,
    failures: usize,
}

impl Size {
    /// Whether another run is wanted.
    fn wants(&self, study: &Study) -> bool {
        let measured = to_u64(self.values.len());
        if self.failures >= FAILURES {
            return false;
        }
        measured < study.repeats
            || study.until.is_some_and(|until| {
                measured < study.max_repeats && half_width(&self.values) > until
            })
    }
}

/// Half the width of the median's 95 % interval, relative to it; endless when unknown.
fn half_width(values: &[f64]) -> f64 {
    let interval = median_interval(values).filter(|interval| interval.coverage >= 0.95);
    let width = interval.zip(median(values)).map(|(i, middle)| (i.hi - i.lo) / 2.0 / middle);
    width.unwrap_or(f64::INFINITY)
}

/// Carries out what of the study is not there yet.
///
/// # Errors
/// When the study cannot start, a file cannot be written, or a signal stops it.
pub fn run(study: &Study, settings: &Settings) -> Result<Done> {
    let surroundings = Surroundings::find(study)?;
    let points: Vec<Point> = points::of(study, surroundings.place())
        .into_iter()
        .filter(|point| settings.nodes.is_none_or(|nodes| point.nodes() == nodes))
        .collect();
    surroundings.check(study, &points)?;
    directory::lay_out(study, settings)?;
    let _alone = directory::lock(settings)?;
    let (mut file, earlier) = RunsFile::open(settings)?;
    let bench = Bench::new(study, settings, surroundings)?;
    if study.prepare.is_empty() {
        bench.rehearse(&points, earlier.is_empty())?;
    }
    let progress = Progress::new("scaling", true, settings.quiet);
    if !earlier.is_empty() {
        progress.say(&format!("going on: {} runs are in {}", earlier.len(), file.path.display()));
    }
    let mut sizes: Vec<Size> = points.iter().map(|point| known(point, &earlier)).collect();
    let mut done = Done { file: file.path.clone(), ..Done::default() };
    done.found = sizes.iter().map(|size| to_u64(size.values.len())).sum();
    for round in 0.. {
        if !sizes.iter().any(|size| size.wants(study)) {
            break;
        }
        for at in permutation(sizes.len(), study.seed, round) {
            if sizes[at].wants(study) {
                one(&bench, &mut file, &mut sizes[at], &mut done)?;
                // Under `until` nobody knows how many will be needed: at least one more of some.
                let wanted = |size: &Size| {
                    let more = u64::from(size.wants(study));
                    study.repeats.max(to_u64(size.values.len()) + more)
                };
                progress.total(sizes.iter().map(wanted).sum());
                progress.at(sizes.iter().map(|size| to_u64(size.values.len())).sum());
            }
        }
    }
    progress.finish();
    done.measured = sizes.iter().map(|size| to_u64(size.values.len())).sum();
    let short = sizes.iter().filter(|size| to_u64(size.values.len()) < study.repeats);
    done.short = short.map(|size| size.point.ranks).collect();
    bench.clear();
    Ok(done)
}

/// What earlier starts left of a size.
fn known(point: &Point, earlier: &[Sample]) -> Size {
    let of_point =
        |sample: &&Sample| sample.ranks == point.ranks && sample.threads == point.threads;
    let ok = earlier.iter().filter(of_point).filter(|sample| sample.outcome == Outcome::Ok);
    let values = ok.filter(|sample| sample.repeat > 0).filter_map(|sample| sample.value).collect();
    Size { point: *point, values, ready: false, failures: 0 }
}

/// One run, after what its size needs first: input and warm-ups.
fn one(bench: &Bench, file: &mut RunsFile, size: &mut Size, done: &mut Done) -> Result<()> {
    if !size.ready {
        bench.prepare(&size.point)?;
        if !bench.study.prepare.is_empty() {
            bench.rehearse(&[size.point], false)?;
        }
        size.ready = true;
        for _ in 0..bench.study.warmup {
            if measured(bench, file, size, done, 0)?.is_none() {
                return Ok(());
            }
        }
    }
    let repeat = to_u64(size.values.len()) + 1;
    let value = measured(bench, file, size, done, repeat)?;
    size.values.extend(value);
    Ok(())
}

/// Runs and keeps a run; its value, if it gave one.
fn measured(
    bench: &Bench,
    file: &mut RunsFile,
    size: &mut Size,
    done: &mut Done,
    repeat: u64,
) -> Result<Option<f64>> {
    let sample = bench.run(&size.point, repeat)?;
    file.append(&sample)?;
    if sample.value.is_some() {
        size.failures = 0;
    } else {
        size.failures += 1;
        done.failed += 1;
        let ranks = size.point.ranks;
        done.first_failure.get_or_insert_with(|| format!("at {ranks} ranks: {}", sample.message));
    }
    Ok(sample.value)
}

/// Makes a study's directory with its `study.toml`, for jobs that start later.
///
/// # Errors
/// When another study is there, or the system refuses.
pub fn lay_out(study: &Study, directory: &Path, force: bool) -> Result<()> {
    let settings = Settings { directory: directory.into(), nodes: None, force, quiet: true };
    directory::lay_out(study, &settings)
}

/// What a study measures.
fn metric(study: &Study) -> Metric {
    if study.rate { Metric::Throughput } else { Metric::Time }
}

/// A text as an error of usage, for what another flag mends.
fn usage(text: impl Into<String>) -> Error {
    Error::usage(text)
}

/// The words of a command as one line that a shell would read the same.
pub fn line_of(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
